"""Weights to integers: the grid, and that rounding together beats rounding alone."""

import numpy as np
import pytest

from sklearn_capoz.integers._rounding import round_weights


def moment_of(inputs):
    centred = inputs - inputs.mean(axis=0)
    return centred.T @ centred / len(centred)


@pytest.mark.parametrize(("bits", "largest"), [(8, 127), (4, 7)])
def test_integers_keep_to_their_bits(bits, largest):
    rng = np.random.RandomState(0)
    weights = rng.standard_cauchy((20, 6))
    rounded, steps = round_weights(weights, np.eye(20), bits, np.zeros(6))
    assert rounded.dtype == np.int8
    assert np.abs(rounded.astype(int)).max() == largest
    assert (steps > 0).all()


def test_weights_on_the_grid_stay():
    rng = np.random.RandomState(0)
    grid = rng.randint(-7, 8, (10, 4))
    grid[0] = 7
    steps = np.array([0.1, 1.0, 3.0, 1e-3])
    inputs = rng.randn(50, 10)
    rounded, found = round_weights(grid * steps, moment_of(inputs), 4, np.zeros(4))
    np.testing.assert_array_equal(rounded, grid)
    np.testing.assert_allclose(found, steps)


def test_correlated_inputs_take_back_what_rounding_changed():
    """Neighbouring bands: a smooth spectrum and little noise."""
    rng = np.random.RandomState(0)
    smooth = np.cumsum(rng.randn(500, 40), axis=1) + 0.1 * rng.randn(500, 40)
    weights = rng.randn(40, 8)
    moment = moment_of(smooth)
    rounded, steps = round_weights(weights, moment, 4, np.zeros(8))
    widest = np.abs(weights).max(axis=0) / 7
    alone = np.rint(weights / widest) * widest

    def error(found):
        wrong = found - weights
        return np.einsum("ij,ij->", wrong, moment @ wrong)

    assert error(rounded * steps) < 0.2 * error(alone)


def test_a_unit_without_weights_and_inputs_that_never_change():
    rounded, steps = round_weights(np.zeros((3, 2)), np.zeros((3, 3)), 8, np.full(2, 0.5))
    assert not rounded.any()
    np.testing.assert_array_equal(steps, 0.5)


def test_blocks_are_no_other_rounding(monkeypatch):
    rng = np.random.RandomState(0)
    weights, inputs = rng.randn(50, 5), np.cumsum(rng.randn(300, 50), axis=1)
    found = []
    for block in (1, 7, 50):
        monkeypatch.setattr("sklearn_capoz.integers._rounding._BLOCK", block)
        found.append(round_weights(weights, moment_of(inputs), 4, np.zeros(5)))
    for rounded, steps in found[1:]:
        np.testing.assert_array_equal(rounded, found[0][0])
        np.testing.assert_array_equal(steps, found[0][1])
