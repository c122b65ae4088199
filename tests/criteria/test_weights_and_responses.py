"""Norms, geometric median, mean activation, gradient, Taylor and random, by hand."""

import numpy as np
import pytest
from scipy.special import softmax

from sklearn_capoz.criteria import (
    CAPoZ,
    GeometricMedian,
    Gradient,
    MeanActivation,
    Random,
    Reversed,
    Taylor,
    WeightNorm,
)
from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.thresholds import Count


def test_norms_by_hand(make_layer):
    layer = make_layer(np.ones((1, 3)), incoming=np.array([[3.0, -4.0], [1.0, 0.0], [0.0, 0.0]]))
    np.testing.assert_allclose(WeightNorm(1).score(layer), [7, 1, 0])
    np.testing.assert_allclose(WeightNorm(2).score(layer), [5, 1, 0])
    # Distances: 0-1 is sqrt(4 + 16), 0-2 is 5, 1-2 is 1.
    a = np.sqrt(20)
    np.testing.assert_allclose(GeometricMedian().score(layer), [a + 5, a + 1, 5 + 1])


def test_the_unit_in_the_middle_is_the_most_redundant(make_layer):
    layer = make_layer(np.ones((1, 3)), incoming=np.array([[0.0], [1.0], [2.5]]))
    assert GeometricMedian().score(layer).argmin() == 1
    assert Count(1).decide(
        GeometricMedian().score(layer), prune_high=GeometricMedian.prune_high
    ).keep.tolist() == [True, False, True]


def test_responses_by_hand(make_layer):
    layer = make_layer(
        [[1.0, -2.0], [3.0, 0.0]],
        gradients=np.array([[0.5, 1.0], [-0.5, 4.0]]),
        sample_weight=np.array([3.0, 1.0]),
    )
    np.testing.assert_allclose(MeanActivation().score(layer), [6 / 4, 6 / 4])
    np.testing.assert_allclose(Gradient().score(layer), [2 / 4, 7 / 4])
    np.testing.assert_allclose(Taylor().score(layer), [(3 * 0.5 + 1.5) / 4, 6 / 4])


@pytest.mark.parametrize("output", ["softmax", "logistic"])
def test_gradients_are_those_of_the_loss(output):
    """Finite differences of the cross-entropy by each hidden activation."""
    random = np.random.RandomState(0)
    n_out = 3 if output == "softmax" else 1
    network = DenseNetwork(
        (random.randn(4, 5), random.randn(5, 3), random.randn(3, n_out)),
        (random.randn(5), random.randn(3), random.randn(n_out)),
        ("tanh", "logistic"),
        output,
    )
    y = np.arange(6) % (3 if output == "softmax" else 2)
    *hidden, logits = network.forward(random.randn(6, 4))

    def losses(layer, activations):
        rest = DenseNetwork(
            network.weights[layer + 1 :], network.biases[layer + 1 :],
            network.activations[layer + 1 :], output,
        )  # fmt: skip
        return -np.log(rest.probabilities(rest.forward(activations)[-1])[np.arange(6), y])

    for layer, gradients in enumerate(network.backward(hidden, logits, y)):
        for unit in range(hidden[layer].shape[1]):
            step = np.zeros(hidden[layer].shape[1])
            step[unit] = 1e-6
            slope = (
                losses(layer, hidden[layer] + step) - losses(layer, hidden[layer] - step)
            ) / 2e-6
            np.testing.assert_allclose(gradients[:, unit], slope, atol=1e-8)


def test_the_output_gradient_is_probability_minus_target():
    """With an identity layer behind the units, their gradient is softmax - one-hot."""
    network = DenseNetwork((np.eye(3), np.eye(3)), (np.zeros(3), np.zeros(3)), ("identity",))
    X, y = np.random.RandomState(0).randn(5, 3), np.array([0, 1, 2, 0, 1])
    *hidden, logits = network.forward(X)
    [gradients] = network.backward(hidden, logits, y)
    np.testing.assert_allclose(gradients, softmax(X, axis=1) - np.eye(3)[y])


def test_random_draws_from_the_layers_own_generator(make_layer):
    first, again = (
        make_layer(np.ones((2, 4)), random_state=np.random.RandomState(3)) for _ in "ab"
    )
    scores = Random().score(first)
    np.testing.assert_array_equal(scores, Random().score(again))
    assert not np.array_equal(scores, Random().score(first))
    assert ((scores >= 0) & (scores < 1)).all()


def test_reversed_swaps_the_side_and_nothing_else(random_layer):
    layer = random_layer()
    for inner in (CAPoZ(), Taylor()):
        other = Reversed(inner)
        assert other.prune_high is not inner.prune_high
        assert other.needs is inner.needs
        assert other.name == f"{inner.name}, reversed"
        np.testing.assert_array_equal(other.score(layer), inner.score(layer))
    assert Reversed(CAPoZ()).set_params(criterion__tolerance=0.5).criterion.tolerance == 0.5
