"""Mean 0 and standard deviation 1 in every row."""

import numpy as np
import pytest
from scipy.stats import zscore

from sklearn_capoz.spectral import SpectrumStandardizer


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_rows_equal_scipys_zscore(dtype, tolerance):
    X = np.random.default_rng(0).uniform(0.1, 0.9, (20, 30)).astype(dtype)
    found = SpectrumStandardizer().fit_transform(X)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, zscore(X, axis=1), rtol=0, atol=tolerance)


def test_products_are_correlations():
    X = np.random.default_rng(0).uniform(0.1, 0.9, (4, 30))
    found = SpectrumStandardizer().fit_transform(X)
    np.testing.assert_allclose(found @ found.T / 30, np.corrcoef(X), atol=1e-12)


def test_gaps_are_left_out_of_mean_and_deviation():
    X = np.array([[0.1, np.nan, 0.3, np.inf, 0.8]])
    expected = np.full(5, np.nan)
    expected[[0, 2, 4]] = zscore([0.1, 0.3, 0.8])
    np.testing.assert_allclose(SpectrumStandardizer().fit_transform(X), [expected])
    masked = np.ma.array([[0.1, 7.0, 0.3, 7.0, 0.8]], mask=[[0, 1, 0, 1, 0]])
    np.testing.assert_allclose(SpectrumStandardizer().fit_transform(masked), [expected])


@pytest.mark.parametrize("level", [0.0, 0.1, -3.0])
def test_flat_spectra_are_zero(level):
    flat = np.full((1, 50), level)
    np.testing.assert_array_equal(SpectrumStandardizer().fit_transform(flat), 0)
    one_band = np.where(np.arange(50) == 3, flat, np.nan)
    assert SpectrumStandardizer().fit_transform(one_band)[0, 3] == 0


@pytest.mark.parametrize(
    "power", [-1060, -1000, -700, -660, -340, -330, 330, 340, 500, 660, 900, 1023]
)
def test_spectra_of_any_size_have_the_same_shape(power):
    """Multiplying by a power of two is exact: so must the answer be, where no square is a number.

    Below 2**-1022 numbers lose digits, and only there.
    """
    X = np.random.default_rng(0).uniform(-0.9, 0.9, (5, 40))
    X[0, 3] = np.nan
    tiny = power < -1022
    expected = SpectrumStandardizer().fit_transform(X)
    found = SpectrumStandardizer().fit_transform(np.ldexp(X, power))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 if tiny else 1e-13)


@pytest.mark.parametrize("power", [-1000, -340, 340, 1000])
def test_neighbouring_numbers_are_told_apart_at_any_size(power):
    X = np.array([[1.0, np.nextafter(1.0, 2.0)] * 4])
    expected = SpectrumStandardizer().fit_transform(X)
    assert expected[0, 1] > expected[0, 0]
    np.testing.assert_array_equal(
        SpectrumStandardizer().fit_transform(np.ldexp(X, power)), expected
    )


def test_integers_need_no_scale():
    counts = np.array([[1000, 2000, 6000]], dtype=np.uint16)
    np.testing.assert_allclose(
        SpectrumStandardizer().fit_transform(counts), zscore(counts / 1e4, axis=1)
    )
