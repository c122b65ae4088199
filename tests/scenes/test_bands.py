import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.scenes._bands import (
    as_stored,
    match_bands,
    scene_wavelengths,
)
from sklearn_capoz.scenes._model import SceneModel
from sklearn_capoz.scenes._scratch import Scratch
from sklearn_capoz.spectral import ContinuumRemoval

ALL_GOOD = np.ones(4, dtype=bool)
CENTRES = np.array([2000.0, 2010.0, 2030.0, 2040.0])


def matched(values, wavelengths, wanted, *, good=None, max_gap=20.0, scale=1.0, nodata=None):
    """Spectrum on the wanted bands of one pixel with these values."""
    block = np.asarray(values)[None, None]
    good = np.ones(block.shape[2], dtype=bool) if good is None else good
    match = match_bands(np.asarray(wavelengths), good, len(wanted), np.asarray(wanted), max_gap)
    return match.spectra(block[..., match.bands], scale, nodata, np.dtype(np.float64), Scratch())


def test_same_bands_are_taken_as_they_are():
    match = match_bands(CENTRES, ALL_GOOD, 4, CENTRES + 0.02, 20.0)
    np.testing.assert_array_equal(match.bands, [0, 1, 2, 3])
    np.testing.assert_array_equal(match.lower, [0, 1, 2, 3])
    np.testing.assert_array_equal(match.weight, 0)


def test_a_band_just_above_the_wanted_one_is_taken_alone():
    match = match_bands(CENTRES, ALL_GOOD, 3, CENTRES[1:] - 0.02, 20.0)
    np.testing.assert_array_equal(match.bands, [1, 2, 3])
    np.testing.assert_array_equal(match.lower, match.upper)
    # What is missing below it does not count.
    X, valid = matched([np.nan, 0.2, 0.4, 0.3], CENTRES, [2009.98])
    np.testing.assert_array_equal(X, [[0.2]])
    assert valid.all()


def test_between_two_bands_is_the_line_through_them():
    X, valid = matched([0.1, 0.2, 0.4, 0.3], CENTRES, [2005.0, 2025.0, 2040.0])
    np.testing.assert_allclose(X, [[0.15, 0.35, 0.3]], rtol=1e-12)
    assert valid.all()


def test_order_of_the_scene_is_free_and_the_models_is_kept():
    X, _ = matched([0.3, 0.1, 0.4, 0.2], [2040.0, 2000.0, 2030.0, 2010.0], [2025.0, 2000.0])
    np.testing.assert_allclose(X, [[0.35, 0.1]], rtol=1e-12)


def test_bad_bands_are_bridged_within_the_gap():
    good = np.array([True, True, False, True])
    X, _ = matched([0.1, 0.2, 9.0, 0.5], CENTRES, [2030.0], good=good)
    np.testing.assert_allclose(X, [[0.4]], rtol=1e-12)
    with pytest.raises(ValueError, match=r"1 of the model's 1 bands \(2030 nm\) have no good band"):
        matched([0.1, 0.2, 9.0, 0.5], CENTRES, [2030.0], good=good, max_gap=9.0)


def test_the_gap_itself_is_no_gap():
    good = np.array([True, True, False, True])
    X, _ = matched([0.1, 0.2, 9.0, 0.5], CENTRES, [2030.0], good=good, max_gap=10.0)
    np.testing.assert_allclose(X, [[0.4]], rtol=1e-12)
    X, _ = matched([0.1, 0.2, 0.4, 0.3], CENTRES, [1980.0], max_gap=20.0)
    np.testing.assert_allclose(X, [[0.1]])


def test_a_few_of_many_bands_without_a_wavelength_are_named():
    unknown = np.full(50, np.nan)
    with pytest.raises(
        DataFormatError, match=r"50 good bands have none \(numbers 0, 1, 2, 3, 4, \."
    ):
        match_bands(unknown, np.ones(50, bool), 1, np.array([2000.0]), 20.0)


def test_past_the_last_band_is_the_last_band():
    X, _ = matched([0.1, 0.2, 0.4, 0.3], CENTRES, [1990.0, 2050.0])
    np.testing.assert_allclose(X, [[0.1, 0.3]])
    with pytest.raises(ValueError, match="span 2000 to 2040 nm"):
        matched([0.1, 0.2, 0.4, 0.3], CENTRES, [2200.0])


def test_one_band_is_enough_for_one_band():
    X, _ = matched([0.7], [2000.0], [2004.0])
    np.testing.assert_array_equal(X, [[0.7]])


def test_no_good_band_is_an_error():
    with pytest.raises(ValueError, match="no good band"):
        matched([0.1] * 4, CENTRES, [2000.0], good=~ALL_GOOD)
    with pytest.raises(ValueError, match="no good band"):
        match_bands(None, ~ALL_GOOD, 4, None, 20.0)


def test_without_wavelengths_the_count_must_fit():
    good = np.array([True, False, True, True])
    np.testing.assert_array_equal(match_bands(None, good, 4, CENTRES, 20.0).bands, [0, 1, 2, 3])
    np.testing.assert_array_equal(match_bands(CENTRES, good, 3, None, 20.0).bands, [0, 2, 3])
    with pytest.raises(ValueError, match=r"takes 2 bands, the scene has 4 \(3 of them good\)"):
        match_bands(None, good, 2, CENTRES[:2], 20.0)
    with pytest.raises(ValueError, match="the model knows no wavelengths_"):
        match_bands(CENTRES, good, 2, None, 20.0)


@settings(max_examples=50, deadline=None)
@given(
    wavelengths=st.lists(
        st.floats(2000, 2500).map(lambda w: round(w, 1)), min_size=2, max_size=20, unique=True
    ),
    wanted=st.lists(st.floats(1990, 2510), min_size=1, max_size=10),
)
def test_a_straight_line_is_resampled_exactly(wavelengths, wanted):
    scene = np.asarray(wavelengths)
    X, valid = matched(scene / 1000, scene, wanted, max_gap=1000.0)
    exact = np.clip(wanted, scene.min(), scene.max()) / 1000
    assert valid.all()
    # Bands nearer than 0.05 nm are the same band.
    np.testing.assert_allclose(X[0], exact, atol=6e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -9999.0])
def test_missing_numbers_make_missing_pixels(value):
    block = np.full((2, 3, 4), 0.5)
    block[0, 1, 2] = value
    for wanted, missing in ((CENTRES, True), ([2025.0], True), ([2000.0, 2005.0], False)):
        match = match_bands(CENTRES, ALL_GOOD, len(wanted), np.asarray(wanted), 20.0)
        X, valid = match.spectra(
            block[..., match.bands], 1.0, -9999.0, np.dtype(np.float32), Scratch()
        )
        assert valid[0, 1] == (not missing)
        assert valid.sum() == len(X) == 6 - missing
        assert X.dtype == np.float32


def test_the_mean_of_two_numbers_is_not_taken_for_the_no_data_value():
    X, valid = matched([-0.1, 0.1], [2000.0, 2010.0], [2005.0], nodata=0.0)
    assert valid.all()
    np.testing.assert_allclose(X, [[0.0]], atol=1e-15)


def test_integers_are_divided_as_numpy_does_it():
    stored = np.arange(-20, 10000, 7, dtype=np.int16)
    match = match_bands(None, np.ones(1, dtype=bool), 1, None, 20.0)
    X, _ = match.spectra(stored[None, :, None], 10000.0, None, np.dtype(np.float32), Scratch())
    np.testing.assert_array_equal(X[:, 0], stored.astype(np.float32) / np.float32(10000))


def test_no_data_value_is_rounded_as_it_is_stored():
    lowest = -3.40282347e38
    assert as_stored(lowest, np.dtype(">f4")) == np.finfo(np.float32).min
    assert np.isnan(as_stored(None, np.dtype("f4")))


@pytest.mark.parametrize(
    ("values", "unit", "expected"),
    [
        ([2.0, 2.1], None, [2000, 2100]),
        ([2000, 2100], "", [2000, 2100]),
        ([2.0, 2.1], "Micrometers", [2000, 2100]),
        ([2000, 2100], "Nanometers", [2000, 2100]),
        ([2000, 2100], "unknown", [2000, 2100]),
    ],
)
def test_units(values, unit, expected):
    np.testing.assert_allclose(scene_wavelengths(values, 2, unit), expected)


def test_units_that_are_unclear():
    with pytest.raises(ValueError, match="must be in nm or um; their unit is 'GHz'"):
        scene_wavelengths([100, 200], 2, "GHz")
    with pytest.raises(ValueError, match="neither clearly micrometres"):
        scene_wavelengths([50, 60], 2)


def test_what_a_model_knows():
    X, y = 0.1 + np.random.RandomState(0).rand(20, 4), np.arange(20) % 2
    plain = GaussianNB().fit(X, y)
    assert SceneModel.of(plain).wavelengths is None
    plain.wavelengths_ = CENTRES
    np.testing.assert_array_equal(SceneModel.of(plain).wavelengths, CENTRES)
    removal = ContinuumRemoval(CENTRES / 1000)
    pipeline = make_pipeline(MaxAbsScaler(), removal, GaussianNB()).fit(X, y)
    np.testing.assert_allclose(SceneModel.of(pipeline).wavelengths, CENTRES)
    nested = make_pipeline("passthrough", pipeline[:-1], pipeline[-1])
    np.testing.assert_allclose(SceneModel.of(nested).wavelengths, CENTRES)
    assert SceneModel.of(nested).n_bands == 4
    by_number = make_pipeline(ContinuumRemoval("index"), GaussianNB()).fit(X, y)
    assert SceneModel.of(by_number).wavelengths is None


def test_bands_that_the_model_leaves_out_need_no_band_of_the_scene():
    X, y = np.random.RandomState(0).rand(20, 4), np.arange(20) % 2
    removal = ContinuumRemoval([2000.0, 2010.0, 1400.0, 2040.0], bad_bands=[2])
    pipeline = make_pipeline(removal, GaussianNB()).fit(X, y)
    wanted = SceneModel.of(pipeline).wavelengths
    np.testing.assert_array_equal(wanted, [2000, 2010, 2000, 2040])
    match = match_bands(CENTRES, ALL_GOOD, 4, wanted, 20.0)
    np.testing.assert_array_equal(match.bands, [0, 1, 3])
