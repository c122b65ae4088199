"""Compensation: what goes is folded into what stays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_capoz.pruning._compensation import COMPENSATIONS, fold

KEEP = np.array([True, False, True, True])


@pytest.fixture
def layer():
    random = np.random.RandomState(0)
    return random.uniform(size=(50, 4)), random.randn(4, 3), random.randn(3)


def difference(inputs, weight, bias, keep, folded):
    """How far the next layer's inputs are from what they were."""
    return inputs[:, keep] @ folded[0] + folded[1] - (inputs @ weight + bias)


@pytest.mark.parametrize("compensation", [None, *COMPENSATIONS])
def test_the_arrays_given_stay_as_they_were(layer, compensation):
    inputs, weight, bias = layer
    copies = [array.copy() for array in layer]
    fold(inputs, KEEP, weight, bias, np.ones(50), compensation)
    for array, copy in zip(layer, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_unknown_names_raise(layer):
    with pytest.raises(
        ValueError, match=r"None or one of \['bias', 'least-squares'\], got 'ridge'"
    ):
        fold(layer[0], KEEP, *layer[1:], np.ones(50), "ridge")


def test_none_only_cuts(layer):
    inputs, weight, bias = layer
    folded = fold(inputs, KEEP, weight, bias, np.ones(50), None)
    np.testing.assert_array_equal(folded[0], weight[KEEP])
    np.testing.assert_array_equal(folded[1], bias)


@pytest.mark.parametrize("compensation", [None, *COMPENSATIONS])
def test_keeping_all_changes_nothing(layer, compensation):
    inputs, weight, bias = layer
    folded = fold(inputs, np.ones(4, dtype=bool), weight, bias, np.ones(50), compensation)
    np.testing.assert_allclose(folded[0], weight, rtol=1e-12)
    np.testing.assert_allclose(folded[1], bias, rtol=1e-12)


def test_bias_by_hand():
    """A unit of mean 2 with outgoing weight 3 adds 6 to the bias; weighted, of mean 3, adds 9."""
    inputs, weight, bias = np.array([[1.0, 5.0], [3.0, 7.0]]), np.array([[3.0], [1.0]]), np.ones(1)
    keep = np.array([False, True])
    new_weight, new_bias = fold(inputs, keep, weight, bias, np.ones(2), "bias")
    assert (new_weight.tolist(), new_bias.tolist()) == ([[1.0]], [7.0])
    new_weight, new_bias = fold(inputs, keep, weight, bias, np.array([0.0, 4.0]), "bias")
    assert (new_weight.tolist(), new_bias.tolist()) == ([[1.0]], [10.0])


@pytest.mark.parametrize("compensation", COMPENSATIONS)
@pytest.mark.parametrize("value", [0.0, 0.3, -12.5])
def test_exact_for_a_constant_unit(layer, compensation, value):
    inputs, weight, bias = layer
    inputs[:, 1] = value
    folded = fold(inputs, KEEP, weight, bias, np.ones(50), compensation)
    np.testing.assert_allclose(difference(inputs, weight, bias, KEEP, folded), 0, atol=1e-12)
    np.testing.assert_allclose(folded[0], weight[KEEP], atol=1e-12)


@pytest.mark.parametrize("ridge", [1e-3, 1e-6, 1e-9])
def test_least_squares_is_exact_for_a_duplicate_up_to_the_ridge(layer, ridge):
    inputs, weight, bias = layer
    inputs[:, 1] = 2 * inputs[:, 3] + 1
    folded = fold(inputs, KEEP, weight, bias, np.ones(50), "least-squares", ridge)
    left = np.abs(difference(inputs, weight, bias, KEEP, folded)).max()
    assert left < 20 * ridge
    if ridge < 1e-3:
        np.testing.assert_allclose(folded[0][2], weight[3] + 2 * weight[1], atol=20 * ridge)
    assert np.abs(difference(inputs, weight, bias, KEEP, (weight[KEEP], bias))).max() > 0.1


@given(
    seed=st.integers(0, 10**6),
    ridge=st.sampled_from([1e-9, 1e-3, 0.1]),
    kept=st.sets(st.integers(0, 4), min_size=1, max_size=4),
    weighted=st.booleans(),
)
def test_least_squares_is_the_ridge_regression(seed, ridge, kept, weighted):
    """The same as an augmented least-squares solve, and the bias makes the means agree."""
    random = np.random.RandomState(seed)
    inputs, weight, bias = random.randn(30, 5) + 1, random.randn(5, 2), random.randn(2)
    sample_weight = random.uniform(0.1, 3, 30) if weighted else np.ones(30)
    keep = np.isin(np.arange(5), list(kept))
    folded = fold(inputs, keep, weight, bias, sample_weight, "least-squares", ridge)

    root = np.sqrt(sample_weight)[:, None]
    A = (inputs - np.average(inputs, axis=0, weights=sample_weight)) * root
    strength = ridge * (A**2).sum() / 5
    left = np.vstack([A[:, keep], np.sqrt(strength) * np.eye(len(kept))])
    right = np.vstack([A[:, ~keep] @ weight[~keep], np.zeros((len(kept), 2))])
    change = np.linalg.lstsq(left, right, rcond=None)[0]
    np.testing.assert_allclose(folded[0], weight[keep] + change, atol=1e-9)
    off = difference(inputs, weight, bias, keep, folded)
    np.testing.assert_allclose(np.average(off, axis=0, weights=sample_weight), 0, atol=1e-12)


def test_each_step_loses_less(layer):
    inputs, weight, bias = layer
    losses = [
        (difference(inputs, weight, bias, KEEP,
                    fold(inputs, KEEP, weight, bias, np.ones(50), name)) ** 2).sum()
        for name in (None, "bias", "least-squares")
    ]  # fmt: skip
    assert losses[0] > losses[1] > losses[2] > 0


def test_weights_are_repeated_rows(layer):
    inputs, weight, bias = layer
    repeats = np.random.RandomState(1).randint(3, size=50)
    for compensation in COMPENSATIONS:
        weighted = fold(inputs, KEEP, weight, bias, repeats.astype(float), compensation)
        rows = inputs.repeat(repeats, axis=0)
        repeated = fold(rows, KEEP, weight, bias, np.ones(len(rows)), compensation)
        for a, b in zip(weighted, repeated, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9)


@pytest.mark.parametrize("compensation", [None, *COMPENSATIONS])
def test_float32_stays_float32(layer, compensation):
    inputs, weight, bias = (array.astype(np.float32) for array in layer)
    folded = fold(inputs, KEEP, weight, bias, np.ones(50), compensation)
    assert [array.dtype for array in folded] == [np.float32, np.float32]


def test_only_dead_units_left():
    """Nothing varies: there is nothing to refit, and nothing is divided by zero."""
    inputs, weight = np.zeros((6, 3)), np.ones((3, 2))
    keep = np.array([True, False, True])
    new = fold(inputs, keep, weight, np.zeros(2), np.ones(6), "least-squares")
    np.testing.assert_array_equal(new[0], weight[keep])
    np.testing.assert_array_equal(new[1], 0)
