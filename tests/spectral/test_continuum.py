"""The continuum against brute force and by hand, in all kinds and modes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.spectral_exactness import (
    UNEVEN,
    brute_force_quotient,
    edge_cases,
    random_spectra,
)
from sklearn_capoz.spectral import ContinuumRemoval

NM = np.array([2100.0, 2110.0, 2140.0, 2150.0, 2160.0, 2200.0, 2210.0])
R = np.array([0.2, 0.5, 0.3, 0.4, 0.3, 0.6, 0.2])


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-6)])
@pytest.mark.parametrize("nm", [UNEVEN, np.linspace(380, 2510, 224)], ids=["uneven", "224"])
def test_hull_quotient_equals_brute_force(nm, dtype, tolerance):
    X = random_spectra(nm, 30, random_state=1).astype(dtype)
    quotient = ContinuumRemoval(nm).fit_transform(X)
    assert quotient.dtype == dtype
    exact = [brute_force_quotient(nm, row) for row in X]
    np.testing.assert_allclose(quotient, exact, rtol=0, atol=tolerance)


@settings(max_examples=60, deadline=None)
@given(
    arrays(float, 12, elements=st.floats(0.01, 1) | st.just(np.nan) | st.just(np.inf)),
    st.lists(st.floats(1, 500), min_size=12, max_size=12),
)
def test_any_spectrum_with_gaps_equals_brute_force(spectrum, gaps):
    nm = 400 + np.cumsum(gaps)
    quotient = ContinuumRemoval(nm).fit_transform(spectrum[None])[0]
    np.testing.assert_allclose(quotient, brute_force_quotient(nm, spectrum), rtol=1e-11)
    assert not (quotient > 1).any()


@pytest.mark.parametrize("case", edge_cases(), ids=lambda case: case.name)
def test_odd_inputs_give_what_is_documented(case):
    assert case.holds(case.observe())


def test_the_kinds_of_continuum_by_hand():
    convex = np.array([0.2, 0.5, 0.5 + 0.1 / 3, 0.5 + 0.4 / 9, 0.5 + 0.5 / 9, 0.6, 0.2])
    segmented = np.array([0.2, 0.5, 0.425, 0.4, 0.44, 0.6, 0.2])
    for hull, continuum in (("convex", convex), ("segmented", segmented), ("linear", 0.2)):
        quotient = ContinuumRemoval(NM, hull=hull).fit_transform([R])[0]
        np.testing.assert_allclose(quotient, R / continuum, rtol=1e-14, err_msg=hull)


def test_segmented_lays_a_hull_between_two_maxima():
    # Between the maximum at 1 and the end the shoulder at 5 rises above their line.
    r = np.array([0.1, 0.6, 0.3, 0.2, 0.3, 0.626, 0.63])
    at = np.arange(1000.0, 1070, 10)
    continuum = 0.6 + 0.026 * (at - 1010) / 40
    quotient = ContinuumRemoval(at, hull="segmented").fit_transform([r])[0]
    np.testing.assert_allclose(quotient[2:5], r[2:5] / continuum[2:5], rtol=1e-14)
    assert quotient[5] == 1


def test_modes_say_the_same_in_other_words():
    X = random_spectra(UNEVEN, 5, random_state=0)
    divide, subtract, log = (
        ContinuumRemoval(UNEVEN, mode=mode).fit_transform(X)
        for mode in ("divide", "subtract", "log")
    )
    np.testing.assert_allclose(log, np.log(divide), rtol=0, atol=1e-15)
    np.testing.assert_allclose(subtract, X - X / divide, rtol=0, atol=1e-14)


def test_modes_where_a_quotient_has_no_meaning():
    X = [[0.4, 0.2, 0.0, -0.1, 0.4], [-0.2, -0.4, -0.3, -0.5, -0.2]]
    at = np.arange(1000.0, 1050, 10)
    log = ContinuumRemoval(at, mode="log").fit_transform(X)
    subtract = ContinuumRemoval(at, mode="subtract").fit_transform(X)
    nan = np.nan
    np.testing.assert_allclose(log, [[0, np.log(0.5), nan, nan, 0], [nan] * 5])
    np.testing.assert_allclose(subtract, [[0, -0.2, -0.4, -0.5, 0], [0, -0.2, -0.1, -0.3, 0]])


def test_ranges_have_a_continuum_each_and_drop_the_rest():
    removal = ContinuumRemoval(NM, ranges=[(2150, 2210), (2100, 2140)]).fit([R])
    left = ContinuumRemoval(NM[:3]).fit_transform([R[:3]])
    right = ContinuumRemoval(NM[3:]).fit_transform([R[3:]])
    np.testing.assert_array_equal(removal.transform([R]), np.hstack([left, right]))
    inner = ContinuumRemoval(NM, ranges=[(2105, 2155)]).fit([R])
    np.testing.assert_array_equal(inner.wavelengths_, [2110, 2140, 2150])
    np.testing.assert_allclose(inner.transform([R]), [[1, 0.3 / 0.425, 1]])


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ([(2100, 2150), (2140, 2200)], "overlap"),
        ([(2150, 2100)], "low < high"),
        ([2100, 2150], "pairs"),
        ([(300, 400)], "No band is left of 7"),
        ([(2100, 2150), (3000, 4000)], "The range from 3000 to 4000 nm holds no band"),
    ],
)
def test_wrong_ranges_are_refused(ranges, words):
    with pytest.raises(ValueError, match=words):
        ContinuumRemoval(NM, ranges=ranges).fit([R])


def test_brightness_scale_and_order_do_not_matter():
    X = random_spectra(UNEVEN, 5, random_state=0)
    quotient = ContinuumRemoval(UNEVEN).fit_transform(X)
    np.testing.assert_allclose(ContinuumRemoval(UNEVEN, scale=0.01).fit_transform(X), quotient)
    order = np.random.default_rng(0).permutation(len(UNEVEN))
    shuffled = ContinuumRemoval(UNEVEN[order]).fit(X[:, order])
    np.testing.assert_array_equal(shuffled.transform(X[:, order]), quotient[:, order])
    np.testing.assert_array_equal(shuffled.wavelengths_, UNEVEN[order])
