"""Units, names, order, duplicates and bad bands: settled once for all transformers."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklearn_capoz.spectral import ContinuumRemoval
from sklearn_capoz.spectral._wavelengths import band_axis, distinct_labels, wavelengths_nm

NM = np.array([2100.0, 2125.5, 2200.0])
X = np.array([[0.4, 0.2, 0.4]])


def axis(nm, X=None, **settings):
    settings = {"unit": None, "bad_bands": None, "duplicates": "error"} | settings
    return band_axis(X, len(nm), wavelengths=nm, **settings)


@pytest.mark.parametrize(
    "names",
    [
        [2100, 2125.5, 2200],
        ["2100", "2125.5", "2200"],
        ["R2100", "R2125.5", "R2200"],
        ["band_2100nm", "band_2125.5nm", "band_2200nm"],
        ["b1_2100 nm", "b2_2125.5 nm", "b3_2200 nm"],
        ["2.1 um", "2.1255 um", "2.2 um"],
        ["2.1", "2.1255", "2.2"],
        ["2.1µm", "2.1255μm", "2.2micrometers"],
        ["2.1 MICROMETRES", "2.1255 Microns", "2.2 UM"],
        ["2100 Nanometres", "2125.5 NM", "2200nanometers"],
    ],
)
def test_column_names_hold_wavelengths(names):
    frame = pd.DataFrame(X, columns=names)
    np.testing.assert_allclose(wavelengths_nm(frame, 3), NM)


def test_polars_columns_work_too():
    frame = pl.DataFrame(X, schema=["2100", "2125.5", "2200"])
    removal = ContinuumRemoval().fit(frame)
    np.testing.assert_allclose(removal.wavelengths_, NM)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a", "b", "c"], "No single wavelength can be read from the column name 'a'"),
        (["2100_1", "2125_2", "2200_3"], "No single wavelength"),
        (["2100nm", "2125", "2200nm"], "mix units"),
    ],
)
def test_unclear_column_names_are_refused(names, words):
    with pytest.raises(ValueError, match=words):
        wavelengths_nm(pd.DataFrame(X, columns=names), 3)


def test_an_array_without_wavelengths_is_refused():
    with pytest.raises(ValueError, match="wavelengths of the bands are not known"):
        ContinuumRemoval().fit(X)
    np.testing.assert_array_equal(ContinuumRemoval("index").fit(X).wavelengths_, [0, 1, 2])


@pytest.mark.parametrize(
    ("given", "unit", "nm"),
    [
        ([2.1, 2.2], None, [2100, 2200]),
        ([2100, 2200], None, [2100, 2200]),
        ([50.0, 60.0], "um", [50_000, 60_000]),
        ([50.0, 60.0], "nm", [50, 60]),
    ],
)
def test_units_are_inferred_or_given(given, unit, nm):
    np.testing.assert_allclose(wavelengths_nm(None, 2, given, unit), nm)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([1, 50, 224], "neither clearly micrometres"),
        ([0.4, 0.5, 2200.0], "neither clearly micrometres"),
        ([2100, np.nan, 2200], "positive and finite"),
        ([0, 2100, 2200], "positive and finite"),
        ([2100, 2200, 2e6], "another unit than 'nm'"),
        ([[2100, 2125, 2200]], r"one value for each of the 3 bands, got an array of shape"),
    ],
)
def test_unclear_wavelengths_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        wavelengths_nm(None, 3, given)


def test_bad_bands_count_for_nothing():
    bad = np.array([True, False, False])
    np.testing.assert_allclose(
        wavelengths_nm(None, 3, [0.0, 2.1, 2.2], bad=bad), [np.nan, 2100, 2200]
    )
    np.testing.assert_array_equal(wavelengths_nm(None, 3, [2000, 2100, 2200], bad=bad)[0], 2000)
    assert np.isnan(wavelengths_nm(None, 3, [0, 0, 0], bad=np.ones(3, dtype=bool))).all()
    assert band_axis(
        None, 3, wavelengths=[0, 2100, 2200], unit=None, bad_bands=[0], duplicates="error"
    ).wavelengths.tolist() == [2100, 2200]


@pytest.mark.parametrize(("unit", "factor"), [("um", 1), ("nm", 0.001)])
def test_implausible_units_are_refused(unit, factor):
    with pytest.raises(ValueError, match=rf"{unit} are none .* another unit than '{unit}'"):
        wavelengths_nm(None, 3, NM * factor, unit)


def test_bands_are_sorted_and_found_again():
    found = axis([2200.0, 2100.0, 2300.0, 2150.0], bad_bands=[2])
    np.testing.assert_array_equal(found.wavelengths, [2100, 2150, 2200])
    np.testing.assert_array_equal(found.kept, [0, 1, 3])
    np.testing.assert_array_equal(found.wavelengths[found.positions], [2200, 2100, 2150])
    rows = found.gather(np.array([[4.0, 1.0, 9.0, 2.0]]), np.dtype(np.float32), scale=2)
    np.testing.assert_array_equal(rows, [[0.5, 1.0, 2.0]])
    assert rows.dtype == np.float32


def test_duplicates_are_averaged_over_what_is_there():
    found = axis([2200.0, 2100.0, 2200.0], duplicates="average")
    rows = found.gather(
        np.array([[1.0, 5.0, 3.0], [np.nan, 5.0, 3.0], [np.nan, 5.0, np.inf]]), np.dtype(float)
    )
    np.testing.assert_array_equal(rows, [[5, 2], [5, 3], [5, np.nan]])
    np.testing.assert_array_equal(found.kept, [0, 1])


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ([True, False], "one entry for each of the 3 bands"),
        ([3], "names band 3"),
        ([-4], "names band -4"),
        ([0.5], "a boolean mask or a list of band numbers"),
        ([0, 1, 2], "No band is left of 3"),
        ([1, 0, 1], r"looks like the bbl of an ENVI header.*=np\.array\(bbl\) == 0"),
        ([1.0, 1.0, 1.0], "looks like the bbl"),
        ([1, 1], "a band more than once"),
        ([2, -1], "a band more than once"),
    ],
)
def test_wrong_bad_bands_are_refused(bad, words):
    with pytest.raises(ValueError, match=words):
        axis(NM, bad_bands=bad)


def test_a_mask_and_band_numbers_mean_the_same():
    by_mask, by_number = axis(NM, bad_bands=[False, True, False]), axis(NM, bad_bands=[1])
    np.testing.assert_array_equal(by_mask.columns, by_number.columns)
    np.testing.assert_array_equal(axis(NM, bad_bands=[]).columns, [0, 1, 2])


def test_labels_are_as_short_as_they_can_be():
    assert distinct_labels([2200.3, 2210.3]) == ["2200", "2210"]
    assert distinct_labels([1879.55, 1879.9, 1890]) == ["1879.5", "1879.9", "1890.0"]
