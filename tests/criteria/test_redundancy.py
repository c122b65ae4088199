"""Correlation and reconstruction: duplicates, constants, dead units, and brute force."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_capoz.criteria import Correlation, Reconstruction


def test_correlation_by_hand(make_layer):
    """Units a, 2a and b with corr(a, b) = 0: one of the twins goes, the rest share nothing."""
    a, b = np.array([1.0, -1.0, 1.0, -1.0]), np.array([1.0, 1.0, -1.0, -1.0])
    layer = make_layer(
        np.stack([a, 2 * a, b], axis=1), outgoing=np.array([[1.0, 1.0], [3.0, 4.0], [1.0, 0.0]])
    )
    np.testing.assert_allclose(Correlation().score(layer), [1, 0, 0], atol=1e-12)


def test_correlation_of_one_half(make_layer):
    """corr(a, a + c) where c is orthogonal to a and thrice its variance is 1/2."""
    a, c = np.array([1.0, -1.0, 1.0, -1.0]), np.array([1.0, 1.0, -1.0, -1.0])
    layer = make_layer(
        np.stack([a, -(a + np.sqrt(3) * c)], axis=1), outgoing=np.array([[2.0], [1.0]])
    )
    np.testing.assert_allclose(Correlation().score(layer), [0, 0.5], atol=1e-12)


def test_of_equal_twins_the_lower_index_goes(make_layer):
    a = np.array([[1.0], [0.0], [2.0]])
    np.testing.assert_allclose(Correlation().score(make_layer(np.hstack([a, a]))), [1, 0])


def test_the_last_of_three_equal_units_stays(make_layer):
    a = np.array([[1.0], [0.0], [2.0]])
    scores = Correlation().score(make_layer(np.hstack([a, a, a]), outgoing=np.eye(3)))
    np.testing.assert_allclose(scores, [1, 1, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 3.7, -250.3, 1e6])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_constant_unit_is_wholly_redundant(random_layer, dtype, value, weighted):
    layer = random_layer(n_samples=777, dtype=dtype)
    if weighted:
        layer = replace(layer, sample_weight=np.random.RandomState(0).uniform(0.1, 3, 777))
    activations = layer.activations.copy()
    activations[..., [1, 4]] = value
    scores = Correlation().score(replace(layer, activations=activations))
    assert scores[1] == scores[4] == 1
    rest = [0, 2, 3, 5]
    np.testing.assert_allclose(
        scores[rest], Correlation().score(_only(layer, rest)), atol=1e-6, rtol=1e-6
    )


@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1e8])
def test_correlation_does_not_depend_on_the_scale(random_layer, scale):
    layer = random_layer()
    np.testing.assert_allclose(
        Correlation().score(replace(layer, activations=layer.activations * scale)),
        Correlation().score(layer),
        rtol=1e-9,
        atol=1e-12,
    )


def _only(layer, units):
    return replace(
        layer,
        activations=layer.activations[..., units],
        incoming=layer.incoming[units],
        outgoing=layer.outgoing[units],
        gradients=layer.gradients[..., units],
    )


def greedy_by_brute_force(layer, ridge_share):
    """Refit all units that stay, for every candidate, by an augmented least-squares solve."""
    root = np.sqrt(layer.sample_weight)[:, None]
    activations = layer.activations[:, 0]
    mean = layer.sample_weight @ activations / layer.sample_weight.sum()
    A, W = (activations - mean) * root, layer.outgoing[:, 0].copy()
    ridge = ridge_share * (A**2).sum() / A.shape[1]
    total = ((A @ W) ** 2).sum()
    alive, scores, lost = list(range(A.shape[1])), np.empty(A.shape[1]), 0.0
    while alive:
        trials = []
        for unit in alive:
            rest = [other for other in alive if other != unit]
            target = np.outer(A[:, unit], W[unit])
            penalised = np.vstack([A[:, rest], np.sqrt(ridge) * np.eye(len(rest))])
            goal = np.vstack([target, np.zeros((len(rest), W.shape[1]))])
            change = np.linalg.lstsq(penalised, goal, rcond=None)[0]
            trials.append((((penalised @ change - goal) ** 2).sum(), unit, rest, change))
        cost, unit, rest, change = min(trials, key=lambda trial: trial[0])
        lost += cost
        scores[unit] = np.log10(lost / total)
        W[rest] += change
        alive.remove(unit)
    return scores


@given(
    n_units=st.integers(1, 6),
    n_samples=st.integers(8, 30),
    seed=st.integers(0, 1000),
    ridge=st.sampled_from([1e-3, 1e-2, 0.3]),
    weighted=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_reconstruction_is_the_greedy_refit(
    random_layer, n_units, n_samples, seed, ridge, weighted
):
    layer = random_layer(n_samples, n_units, seed=seed)
    random = np.random.RandomState(seed)
    layer = replace(
        layer, activations=layer.activations + 0.1 * random.randn(n_samples, 1, n_units)
    )
    if weighted:
        layer = replace(layer, sample_weight=random.uniform(0.1, 3, n_samples))
    np.testing.assert_allclose(
        Reconstruction(ridge).score(layer), greedy_by_brute_force(layer, ridge), atol=1e-6
    )


def test_reconstruction_by_hand(make_layer):
    """Orthogonal units: nothing can be taken over, each costs its own variance."""
    layer = make_layer(
        [[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]],
        outgoing=np.array([[3.0, 0.0], [0.0, 1.0]]),
    )
    # Variances times outgoing squares are 9 and 1: the second costs 1 / 10, then all is lost.
    np.testing.assert_allclose(Reconstruction(1e-9).score(layer), [0, -1], atol=1e-6)


def test_dead_constant_and_duplicate_units_cost_nothing(random_layer):
    layer = random_layer(n_units=7)
    activations = layer.activations.copy()
    activations[..., 0], activations[..., 1] = 0, 4.2
    activations[..., 2] = 3 * activations[..., 5]
    scores = Reconstruction(1e-9).score(replace(layer, activations=activations))
    assert (scores[[0, 1]] < -11.9).all()
    assert scores[[2, 5]].min() < -7  # either of the twins goes for nothing
    assert (np.sort(scores)[3:] > -6).all()
    assert scores.max() == pytest.approx(0, abs=1e-6)


def test_scores_rise_in_the_order_of_removal(random_layer):
    """Taking the lowest k is taking the first k of the greedy path, for every k."""
    layer = random_layer(n_units=5)
    scores = Reconstruction().score(layer)
    assert len(set(scores)) == 5
    assert (np.diff(np.sort(scores)) > 0).all()


def test_reconstruction_beats_single_cost_where_units_share(random_layer):
    """Of two pairs of near-twins one each goes first, never both of a pair."""
    layer = random_layer(n_samples=200, n_units=4)
    activations = layer.activations.copy()
    noise = 1e-3 * np.random.RandomState(5).randn(200, 1, 2)
    activations[..., [2, 3]] = activations[..., [0, 1]] + noise
    scores = Reconstruction(1e-6).score(replace(layer, activations=activations))
    # Units 0 and 2 are one pair, 1 and 3 the other.
    assert sorted(np.argsort(scores)[:2] % 2) == [0, 1]
