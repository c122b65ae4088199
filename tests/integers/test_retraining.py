"""Retraining with the rounding in the loop."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from sklearn_capoz.integers import integer_network, retrain
from sklearn_capoz.integers._retraining import _Student
from sklearn_capoz.networks import ACTIVATIONS, DenseNetwork


def quantized(widths, activation="relu", bits=4, seed=0):
    rng = np.random.RandomState(seed)
    dense = DenseNetwork(
        tuple(rng.randn(a, b) / np.sqrt(a) for a, b in pairwise(widths)),
        tuple(0.3 * rng.randn(b) for b in widths[1:]),
        (activation,) * (len(widths) - 2),
        "logistic" if widths[-1] == 1 else "softmax",
    )
    X = rng.randn(400, widths[0])
    network = integer_network(dense, X, bits=bits)
    return network, network.quantize_input(X), dense.probabilities(dense.forward(X)[-1])


def cross_entropy(network, codes, targets):
    probabilities = network.probabilities(network.logits(codes)).astype(float)
    return -(targets * np.log(np.maximum(probabilities, 1e-12))).sum(axis=1).mean()


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("widths", [(6, 3), (7, 5, 1), (8, 6, 5, 4)])
def test_the_loss_is_that_of_the_integers(activation, widths):
    network, codes, targets = quantized(widths, activation)
    found = _Student(network).loss(
        torch.tensor(codes, dtype=torch.float32), torch.tensor(targets, dtype=torch.float32)
    )
    assert found.item() == pytest.approx(cross_entropy(network, codes, targets), abs=2e-3)


def test_untrained_integers_come_back():
    for bits in (8, 4):
        network, _, _ = quantized((8, 6, 3), bits=bits)
        back = _Student(network).network()
        for one, other in zip(network.layers, back.layers, strict=True):
            np.testing.assert_array_equal(one.weights, other.weights)
            # float32 holds seven digits of a bias.
            np.testing.assert_allclose(one.biases, other.biases, rtol=1e-6, atol=1)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_it_learns_what_rounding_lost(activation):
    """Labels are of the float network: 4 bits come nearer to them than rounding did."""
    network, codes, probabilities = quantized((10, 8, 4), activation)
    targets = np.eye(4)[probabilities.argmax(axis=1)]
    found = retrain(network, codes, targets, epochs=40, random_state=np.random.RandomState(0))
    before, after = (cross_entropy(n, codes, targets) for n in (network, found))
    assert after < 0.8 * before
    assert np.abs(found.layers[0].weights.astype(int)).max() <= 7
    for one, other in zip(network.layers, found.layers, strict=True):
        np.testing.assert_array_equal(one.multipliers, other.multipliers)


def test_same_seed_same_integers_and_no_other_generator():
    network, codes, targets = quantized((6, 5, 3))
    torch.manual_seed(5)
    np.random.seed(5)
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    one, two = (
        retrain(network, codes, targets, epochs=3, random_state=np.random.RandomState(1))
        for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)
    for a, b in zip(one.layers, two.layers, strict=True):
        np.testing.assert_array_equal(a.weights, b.weights)
        np.testing.assert_array_equal(a.biases, b.biases)
