"""The spectral absorption index by hand, its identities and its refusals."""

import numpy as np
import pytest

from benchmarks.spectral_exactness import UNEVEN, random_spectra
from sklearn_capoz.spectral import ContinuumRemoval, SpectralAbsorptionIndex

NAN = np.nan
NM = np.arange(2100.0, 2310, 10)


def plain(nm, **settings):
    """Index of single bands against single bands."""
    return SpectralAbsorptionIndex(nm, shoulder_bands=1, centre_bands=1, **settings)


def test_uneven_shoulders_by_hand():
    nm, r = [2150.0, 2200.0, 2225.0], [0.5, 0.2, 0.8]
    # d = (2200 - 2225) / (2150 - 2225) = 1/3, Rc = 0.5/3 + 0.8 * 2/3 = 0.7
    index = plain(nm, bands=[2200], shoulders=[(2150, 2225)]).fit([r])
    np.testing.assert_allclose(index.transform([r]), [[0.7 / 0.2]], rtol=1e-14)
    np.testing.assert_allclose(
        index.set_params(log=True).transform([r]), [[np.log(3.5)]], rtol=1e-14
    )


def test_means_over_bands_by_hand():
    r = np.ones(21)
    r[[9, 10, 11]] = 0.3, 0.6, 0.9
    r[5] = 0.5  # one of the five bands around 2160 nm
    index = SpectralAbsorptionIndex(NM, bands=[2200], half_widths=40).fit([r])
    left, centre, right = 0.9, 0.6, 1.0
    np.testing.assert_allclose(index.transform([r]), [[(left + right) / 2 / centre]])


def test_straight_spectra_have_index_one_at_any_spacing():
    X = np.outer([0.2, 1.0], 1 + (UNEVEN - 2000) / 800)
    index = SpectralAbsorptionIndex(UNEVEN).fit_transform(X)
    np.testing.assert_allclose(index, 1, rtol=1e-12)


def test_hull_shoulders_are_one_over_the_hull_quotient():
    X = random_spectra(UNEVEN, 10, random_state=0)
    index = SpectralAbsorptionIndex(UNEVEN, shoulders="hull").fit_transform(X)
    np.testing.assert_allclose(index, 1 / ContinuumRemoval(UNEVEN).fit_transform(X))


def test_attenuation_is_the_weighted_mean_over_half_widths():
    X = random_spectra(NM, 10, random_state=0)
    single = [SpectralAbsorptionIndex(NM, half_widths=h).fit_transform(X) for h in (40, 60, 80)]
    joined = SpectralAbsorptionIndex(NM, attenuation=30.0).fit(X)
    weights = np.exp(-np.array([40, 60, 80]) / 30)
    np.testing.assert_allclose(
        joined.transform(X), np.average(single, axis=0, weights=weights), rtol=1e-12
    )
    assert joined.get_feature_names_out()[0] == "asai_2100nm"
    np.testing.assert_array_equal(SpectralAbsorptionIndex(NM).fit_transform(X), np.hstack(single))


def test_gaps_give_what_the_spectrum_without_them_gives():
    X = random_spectra(NM, 4, random_state=0)
    complete = SpectralAbsorptionIndex(NM, half_widths=40)
    X[:, 3] = NAN
    X[0, 3] = np.inf
    index = complete.fit_transform(X)
    assert np.isnan(index[:, 3]).all()
    # Bands whose shoulders and centre do not touch the gap, on the grid without it.
    shorter = SpectralAbsorptionIndex(np.delete(NM, 3), half_widths=40).fit_transform(
        np.delete(X, 3, axis=1)
    )
    np.testing.assert_array_equal(index[:, 10:], shorter[:, 9:])
    # By hand at 2150 nm: the left shoulder is 2100 and 2110 and 2120, without 2130.
    left, right = X[:, [0, 1, 2]].mean(axis=1), X[:, 7:12].mean(axis=1)
    d = (2150 - 2190) / (2110 - 2190)
    expected = (d * left + (1 - d) * right) / X[:, 4:7].mean(axis=1)
    np.testing.assert_allclose(index[:, 5], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("spectrum", "expected"),
    [
        ([0.0, 0.0, 0.0], 1),
        ([0.3, 0.3, 0.3], 1),
        ([0.3, 0.0, 0.3], NAN),
        ([0.3, -0.1, 0.3], NAN),
        ([-0.3, -0.1, -0.3], NAN),
        ([-0.3, -0.3, -0.3], NAN),
        ([0.3, 0.2, NAN], NAN),
        ([0.3, np.inf, 0.3], NAN),
        ([0.3, 0.6, 0.3], 0.5),
    ],
)
def test_odd_spectra_give_what_is_documented(spectrum, expected):
    index = plain([2160, 2200, 2240], bands=[2200], half_widths=40)
    np.testing.assert_allclose(index.fit_transform([spectrum]), [[expected]], rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fill", [-0.9999, -9999.0, -1.23e34])
def test_fill_values_are_no_mineral(fill, dtype):
    nm = np.linspace(1990.8, 2479.0, 50)  # uneven enough for rounding to differ from band to band
    X = np.full((2, 50), fill, dtype=dtype)
    X[1, 25] = np.nan
    index = SpectralAbsorptionIndex(nm).fit_transform(X).reshape(2, 3, 50)
    assert np.isnan(index[:, :, 6:-6]).all()
    assert np.isnan(SpectralAbsorptionIndex(nm, shoulders="hull").fit_transform(X)).all()
    assert np.isnan(SpectralAbsorptionIndex(nm, attenuation=30).fit_transform(X)[:, 6:-6]).all()


@pytest.mark.parametrize("n_bands", [1, 2])
@pytest.mark.parametrize("shoulders", ["local", "hull"])
def test_one_and_two_bands_have_nothing_to_measure(n_bands, shoulders):
    index = SpectralAbsorptionIndex(NM[:n_bands], shoulders=shoulders, half_widths=40)
    np.testing.assert_array_equal(index.fit_transform([[0.3, 0.1][:n_bands]]), [[1] * n_bands])


def test_one_half_width_that_reaches_a_neighbour_is_enough():
    X = random_spectra(NM, 2, random_state=0)
    index = plain(NM, half_widths=(1, 6)).fit_transform(X)
    np.testing.assert_array_equal(index[:, :21], 1)
    assert (index[:, 22:-1] != 1).all()


def test_the_ends_of_the_spectrum_measure_nothing():
    index = SpectralAbsorptionIndex(NM, half_widths=40).fit_transform([NM / 3000 + NM % 20 / 100])
    assert index[0, 0] == index[0, -1] == 1
    assert (index[0, 2:-2] != 1).all()


def test_diagnostic_bands_are_the_papers():
    nm = np.linspace(1990.8, 2479.0, 50)
    index = SpectralAbsorptionIndex(nm, bands="diagnostic", half_widths=60).fit(np.ones((1, 50)))
    wanted = [2160, 2170, 2200, 2210, 2230, 2250, 2320, 2340, 2350]
    assert list(index.get_feature_names_out()) == [f"sai_{band}nm" for band in wanted]
    assert np.abs(index.bands_ - wanted).max() < 5


def test_names_tell_half_widths_and_near_bands_apart():
    X = np.ones((1, 4))
    names = (
        SpectralAbsorptionIndex([1869.6, 1879.55, 1879.9, 1890.0], half_widths=(80, 40))
        .fit(X)
        .get_feature_names_out()
    )
    assert list(names[:5]) == [
        "sai_1869.6nm_hw40", "sai_1879.5nm_hw40", "sai_1879.9nm_hw40", "sai_1890.0nm_hw40",
        "sai_1869.6nm_hw80",
    ]  # fmt: skip
    positions = SpectralAbsorptionIndex("index", half_widths=2).fit(X)
    assert list(positions.get_feature_names_out()) == [f"sai_band{i}" for i in range(4)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"bands": [1500]}, "No band lies near 1500 nm"),
        ({"bands": [2200, 2202]}, "fall on the same band"),
        ({"shoulder_bands": 4}, "shoulder_bands must be odd"),
        ({"half_widths": [40, 0]}, "half_widths must be above 0"),
        ({"half_widths": []}, "half_widths must be above 0"),
        ({"half_widths": (0.04, 0.06)}, "reach 0.06 nm at most, .* between two bands is 10 nm"),
        ({"half_widths": 4, "bands": [2200]}, "half_widths are in nm"),
        ({"shoulders": "hull", "attenuation": 3}, "attenuation joins half widths"),
        ({"bands": [2200], "shoulders": [(2150, 2190)]}, "left < band < right"),
        ({"bands": [2200], "shoulders": [2150, 2250]}, "one .left, right. pair"),
        ({"bands": [2200], "shoulders": [(1000, 2250)]}, "No band lies near 1000 nm"),
    ],
)
def test_what_cannot_be_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        SpectralAbsorptionIndex(NM, **settings).fit(np.ones((2, len(NM))))
