"""Which bands are kept."""

import numpy as np
import pytest

from sklearn_capoz.spectral import BandSelector

NM = np.array([700.0, 1340.0, 1400.0, 1450.0, 1500.0, 1800.0, 2200.0])
X = np.arange(14).reshape(2, 7)


def test_water_windows_go_by_default():
    selector = BandSelector(wavelengths=NM).fit(X)
    np.testing.assert_array_equal(selector.wavelengths_, [700, 1500, 2200])
    np.testing.assert_array_equal(selector.transform(X), X[:, [0, 4, 6]])
    assert selector.transform(X).dtype == X.dtype
    assert list(selector.get_feature_names_out()) == ["700nm", "1500nm", "2200nm"]
    np.testing.assert_array_equal(
        selector.inverse_transform(X[:, [0, 4, 6]])[0], [0, 0, 0, 0, 4, 0, 6]
    )


def test_ranges_exclude_and_bad_bands_add_up():
    selector = BandSelector(
        [(600, 1000), (1400, 2300)], wavelengths=NM / 1000, exclude=[(1490, 1600)], bad_bands=[-1]
    )
    np.testing.assert_array_equal(selector.fit(X).wavelengths_, [700, 1400, 1450, 1800])
    assert BandSelector(wavelengths=NM, exclude=None).fit(X).get_support().all()


def test_nothing_left_is_an_error():
    with pytest.raises(ValueError, match="No band is left: the 7 bands reach from 700 to 2200 nm"):
        BandSelector([(1340, 1450)], wavelengths=NM).fit(X)
