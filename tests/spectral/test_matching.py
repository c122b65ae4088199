"""Matching: worked similarities, the published baseline, gaps, features, and blocks."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from scipy.stats import pearsonr
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from benchmarks.spectral_exactness import random_spectra
from sklearn_capoz.datasets import (
    CUPRITE_MINERALS,
    fetch_cuprite_pixels,
    fetch_usgs_splib,
    load_usgs_minerals,
)
from sklearn_capoz.spectral import ContinuumRemoval, SpectralMatcher
from sklearn_capoz.spectral._feature_fit import find_features

NM = np.linspace(1990.8, 2479.0, 50)
LIBRARY = random_spectra(NM, 30, random_state=0)
NAMES = np.array(list("abcde"))[np.arange(30) % 5]
PIXELS = random_spectra(NM, 700, random_state=1)
METRICS = ("correlation", "sam", "features")
each_metric = pytest.mark.parametrize("metric", METRICS)


# scikit-learn's checks bring arrays of 1 to 20 columns without wavelengths, integers, and gaps.
@pytest.mark.filterwarnings("ignore:.*library records have no value:UserWarning")
@parametrize_with_checks(
    [
        SpectralMatcher(wavelengths="index", scale=1.0),
        SpectralMatcher("sam", continuum=None, wavelengths="index", scale=1.0, n_jobs=2),
        SpectralMatcher("features", wavelengths="index", scale=1.0),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_similarities_worked_by_hand():
    nm, records = [2100, 2200, 2300], np.array([[1, 0, 1], [0.2, 0.4, 0.9]])
    pixel = np.array([[0.3, 0.1, 0.8]])
    settings = {"wavelengths": nm, "continuum": None}
    found = SpectralMatcher("sam", **settings).fit(records, ["x", "y"]).similarity(pixel)
    lengths = np.sqrt(0.09 + 0.01 + 0.64) * np.sqrt([2, 0.04 + 0.16 + 0.81])
    np.testing.assert_allclose(found, [[1.1, 0.06 + 0.04 + 0.72] / lengths])
    found = SpectralMatcher(**settings).fit(records, ["x", "y"]).similarity(pixel)
    expected = [pearsonr(pixel[0], record).statistic for record in records]
    np.testing.assert_allclose(found, [expected])
    assert SpectralMatcher(**settings).fit(records, ["x", "y"]).predict(pixel) == ["y"]


def test_correlation_is_that_of_hull_quotients_within_the_ranges():
    ranges = [(2050, 2250), (2300, 2420)]
    matcher = SpectralMatcher(wavelengths=NM, ranges=ranges).fit(LIBRARY, NAMES)
    removal = ContinuumRemoval(NM, ranges=ranges)
    pixels, records = removal.fit_transform(PIXELS[:20]), removal.transform(LIBRARY)
    each = np.corrcoef(pixels, records)[:20, 20:]
    best = np.column_stack([each[:, name == NAMES].max(axis=1) for name in "abcde"])
    np.testing.assert_allclose(matcher.similarity(PIXELS[:20]), best, atol=1e-12)
    np.testing.assert_array_equal(
        matcher.predict(PIXELS[:20]), np.array(list("abcde"))[best.argmax(1)]
    )
    probabilities = matcher.predict_proba(PIXELS[:20])
    np.testing.assert_allclose(probabilities, softmax(best / 0.02, axis=1))
    fits, records = matcher.kneighbors(PIXELS[:20], n_neighbors=30)
    np.testing.assert_allclose(fits, -np.sort(-each, axis=1), atol=1e-12)
    np.testing.assert_allclose(np.take_along_axis(each, records, axis=1), fits, atol=1e-12)


@pytest.mark.parametrize(
    ("ranges", "overall", "balanced"), [(None, 0.934, 0.700), ([(2080, 2420)], 0.949, 0.682)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_published_baseline_on_pixels_of_cuprite(data_home, ranges, overall, balanced, dtype):
    library = fetch_usgs_splib(data_home=data_home)
    names = library.target_names[library.target]
    seven = np.isin(names, CUPRITE_MINERALS)
    bands = library.cuprite_bands
    matcher = SpectralMatcher(wavelengths=library.wavelengths[bands], ranges=ranges)
    matcher.fit(library.data[seven][:, bands].astype(dtype), names[seven])
    pixels = fetch_cuprite_pixels(data_home=data_home)
    known = pixels.target >= 0
    y = pixels.target_names[pixels.target[known]]
    found = matcher.predict(pixels.data[known].astype(dtype))
    assert (found == y).mean() == pytest.approx(overall, abs=5e-4)
    recalls = [(found[y == name] == name).mean() for name in np.unique(y)]
    assert np.mean(recalls) == pytest.approx(balanced, abs=5e-4)


@each_metric
def test_records_are_found_in_shade(metric):
    matcher = SpectralMatcher(metric, wavelengths=NM).fit(LIBRARY, NAMES)
    for light in (1, 0.3):
        fits, records = matcher.kneighbors(light * LIBRARY)
        np.testing.assert_array_equal(records[:, 0], np.arange(30))
        np.testing.assert_allclose(fits, 1, atol=1e-9)
    np.testing.assert_array_equal(matcher.predict(0.3 * LIBRARY), NAMES)


@each_metric
def test_blocks_threads_and_precision_do_not_matter(metric):
    many = np.tile(PIXELS, (40, 1))
    matcher = SpectralMatcher(metric, wavelengths=NM).fit(LIBRARY, NAMES)
    expected = matcher.similarity(many)
    np.testing.assert_allclose(expected[:700], matcher.similarity(PIXELS), atol=1e-12)
    np.testing.assert_allclose(expected[-700:], expected[:700], atol=1e-12)
    np.testing.assert_array_equal(matcher.classes_[expected.argmax(axis=1)], matcher.predict(many))
    two = clone(matcher).set_params(n_jobs=2).fit(LIBRARY, NAMES).similarity(many)
    np.testing.assert_allclose(two, expected, atol=1e-12)
    single = clone(matcher).fit(LIBRARY.astype(np.float32), NAMES)
    found = single.similarity(PIXELS.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected[:700], atol=5e-4)


@each_metric
def test_gaps_are_left_out(metric):
    matcher = SpectralMatcher(metric, wavelengths=NM).fit(LIBRARY, NAMES)
    holes = LIBRARY.copy()
    holes[::3, 20] = np.nan
    holes[1::3, 5:8] = np.inf
    names = matcher.predict(holes)
    assert (names == NAMES).mean() > (0.5 if metric == "features" else 0.99)
    if metric != "features":
        kept = np.arange(50) != 20
        without = SpectralMatcher(metric, wavelengths=NM[kept]).fit(LIBRARY[:, kept], NAMES)
        expected = without.similarity(LIBRARY[::3][:, kept])
        np.testing.assert_allclose(matcher.similarity(holes)[::3], expected, atol=1e-9)
    holes[4] = np.nan
    assert np.isnan(matcher.similarity(holes)[4]).all()
    assert np.isnan(matcher.predict_proba(holes)[4]).all()
    assert np.isfinite(matcher.similarity(holes)[5]).all()
    with pytest.raises(ValueError, match=r"1 of 30 spectra have no finite .* row 4\."):
        matcher.predict(holes)
    masked = np.ma.masked_invalid(holes[:4])
    np.testing.assert_allclose(matcher.similarity(masked), matcher.similarity(holes[:4]))


def test_flat_spectra_fit_nothing():
    matcher = SpectralMatcher(wavelengths=NM).fit(LIBRARY, NAMES)
    np.testing.assert_array_equal(matcher.similarity(np.full((1, 50), 0.4)), 0)
    matcher = SpectralMatcher("features", wavelengths=NM).fit(LIBRARY, NAMES)
    np.testing.assert_array_equal(matcher.similarity(np.full((1, 50), 0.4)), 0)


def dip(centre, depth, width=25.0):
    return 1 - depth * np.exp(-0.5 * ((NM - centre) / width) ** 2)


def test_features_are_fitted_one_by_one_with_their_depth():
    library = np.stack([dip(2200, 0.4), dip(2330, 0.3), dip(2200, 0.2) * dip(2330, 0.2)])
    matcher = SpectralMatcher("features", wavelengths=NM).fit(library, ["a", "b", "both"])
    # Diluted with what is flat, and under a slope: the same features, shallower.
    slope = np.linspace(0.3, 0.6, 50)
    pixels = slope * (0.5 + 0.5 * library)
    np.testing.assert_array_equal(matcher.predict(pixels), ["a", "b", "both"])
    fits, _ = matcher.kneighbors(pixels)
    np.testing.assert_allclose(fits, 1, atol=0.01)
    np.testing.assert_allclose(matcher.depth(library), [0.4, 0.3, 0.2], rtol=0.05)
    np.testing.assert_allclose(matcher.depth(pixels), [0.2, 0.15, 0.1], rtol=0.05)
    # What points upwards counts against a record.
    assert (matcher.similarity((2 - library[:2]) * 0.3)[[0, 1], [0, 1]] < -0.9).all()
    assert not hasattr(SpectralMatcher(), "depth")


def test_features_of_a_record_worked_by_hand():
    nm = np.arange(9.0) * 10 + 2000
    r = np.array([[0.8, 0.8, 0.8, 0.6, 0.4, 0.6, 0.8, 0.8, 0.8]])
    found = find_features(r, r / 0.8, nm, np.array([0, 9]))
    assert (found.first.tolist(), found.last.tolist()) == ([2], [6])
    assert (found.left.tolist(), found.right.tolist()) == ([[1, 4]], [[5, 8]])
    level = (0.8 + 0.8 + 0.6) / 3  # both shoulders take in the first band of the slope
    assert found.depth[0] == pytest.approx(1 - 0.4 / level)
    shape = np.array([0.8, 0.6, 0.4, 0.6, 0.8]) / level
    np.testing.assert_allclose(found.shape[0, 2:7], shape - shape.mean())
    assert found.weight.tolist() == [1]


def test_the_names_of_records_come_from_the_index():
    frame = pd.DataFrame(
        LIBRARY, columns=[f"{nm} nm" for nm in NM], index=[f"r{i}" for i in range(30)]
    )
    matcher = SpectralMatcher().fit(frame, NAMES)
    _, records = matcher.kneighbors(frame.iloc[[7]], n_neighbors=1)
    assert matcher.record_names_[records[0, 0]] == "r7"


def test_order_of_bands_and_integers_do_not_matter():
    expected = SpectralMatcher(wavelengths=NM).fit(LIBRARY, NAMES).similarity(PIXELS)
    turned = SpectralMatcher(wavelengths=NM[::-1]).fit(LIBRARY[:, ::-1], NAMES)
    np.testing.assert_allclose(turned.similarity(PIXELS[:, ::-1]), expected, atol=1e-12)
    counts = np.round(PIXELS * 10_000).astype(np.uint16)
    scaled = SpectralMatcher(wavelengths=NM, scale=10_000).fit(LIBRARY * 10_000, NAMES)
    np.testing.assert_allclose(scaled.similarity(counts), expected, atol=2e-2)
    with pytest.raises(ValueError, match="X holds integers"):
        SpectralMatcher(wavelengths=NM).fit(LIBRARY, NAMES).predict(counts)


def test_a_library_of_one_record_each_does_not_warn():
    library = load_usgs_minerals(as_frame=True)
    matcher = SpectralMatcher(ranges=[(2000, 2490)]).fit(library.data, np.arange(36))
    np.testing.assert_array_equal(matcher.predict(library.data), np.arange(36))


def test_two_classes_have_one_decision():
    two = np.isin(NAMES, ["a", "b"])
    matcher = SpectralMatcher(wavelengths=NM).fit(LIBRARY[two], NAMES[two])
    decision, similarity = matcher.decision_function(PIXELS), matcher.similarity(PIXELS)
    np.testing.assert_allclose(decision, similarity[:, 1] - similarity[:, 0])


def test_impossible_libraries_are_named():
    holes = LIBRARY.copy()
    holes[3, 10] = np.nan
    with pytest.warns(UserWarning, match=r"1 of 30 library records have .* and are left out\."):
        matcher = SpectralMatcher(wavelengths=NM).fit(holes, NAMES)
    records = matcher.kneighbors(LIBRARY, n_neighbors=29)[1]
    np.testing.assert_array_equal(np.unique(records), np.delete(np.arange(30), 3))
    with pytest.raises(ValueError, match="without them x has no record left"):
        SpectralMatcher(wavelengths=NM).fit(holes, np.where(np.arange(30) == 3, "x", "y"))
    with pytest.raises(ValueError, match="n_neighbors must be from 1 to 30"):
        SpectralMatcher(wavelengths=NM).fit(LIBRARY, NAMES).kneighbors(PIXELS, n_neighbors=31)
    with pytest.raises(ValueError, match="A single band has no shape"):
        SpectralMatcher(wavelengths=NM, bad_bands=np.arange(1, 50)).fit(LIBRARY, NAMES)


def test_a_failed_fit_leaves_the_old_library():
    matcher = SpectralMatcher(wavelengths=NM).fit(LIBRARY, NAMES)
    expected = matcher.similarity(PIXELS[:5])
    with pytest.raises(ValueError, match="one value for each of the 3 bands"):
        matcher.fit(LIBRARY[:, :3], NAMES)
    np.testing.assert_array_equal(matcher.similarity(PIXELS[:5]), expected)
    with pytest.raises(ValueError, match="X has 3 features"):
        matcher.predict(PIXELS[:, :3])
