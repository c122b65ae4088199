"""From floats to integers: near the float network, for every activation and odd inputs."""

from itertools import pairwise

import numpy as np
import pytest

from sklearn_capoz.integers import INPUT_LIMIT, _quantizing, integer_network
from sklearn_capoz.networks import ACTIVATIONS, DenseNetwork


def random_network(widths, activation="relu", dtype=np.float64, seed=0):
    rng = np.random.RandomState(seed)
    return DenseNetwork(
        tuple((rng.randn(a, b) / np.sqrt(a)).astype(dtype) for a, b in pairwise(widths)),
        tuple(0.3 * rng.randn(b).astype(dtype) for b in widths[1:]),
        (activation,) * (len(widths) - 2),
        "logistic" if widths[-1] == 1 else "softmax",
    )


def error_of(network, quantized, X):
    """Largest difference of a logit, beside their spread."""
    expected = network.forward(X.copy())[-1]
    found = quantized.logits(quantized.quantize_input(X)) * quantized.logit_scale
    return np.abs(found - expected).max() / expected.std()


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("widths", [(6, 3), (10, 8, 1), (20, 16, 12, 4)])
@pytest.mark.parametrize("input_scale", [None, 2000.0])
def test_eight_bits_are_near(activation, widths, input_scale):
    network = random_network(widths, activation)
    X = np.random.RandomState(1).randn(400, widths[0])
    quantized = integer_network(network, X, input_scale=input_scale)
    assert error_of(network, quantized, X) < 0.06
    assert quantized.widths == network.widths
    assert quantized.n_multiply_adds == network.n_multiply_adds


def test_four_bits_are_farther_but_follow():
    network = random_network((20, 16, 4))
    X = np.random.RandomState(1).randn(400, 20)
    errors = [error_of(network, integer_network(network, X, bits=bits), X) for bits in (8, 4)]
    assert errors[0] < errors[1] < 0.6


def test_weights_make_up_for_what_layers_before_lost(monkeypatch):
    """Counted on samples that it has not seen, whose features are alike as bands are."""
    X = np.cumsum(np.random.RandomState(1).randn(1200, 20), axis=1)

    def lost():
        squares = []
        for seed in range(5):
            network = random_network((20, 16, 4), seed=seed)
            found = integer_network(network, X[:600], bits=4)
            logits = found.logits(found.quantize_input(X[600:])) * found.logit_scale
            squares.append(((logits - network.forward(X[600:])[-1]) ** 2).mean())
        return np.mean(squares)

    made_up = lost()
    monkeypatch.setattr(_quantizing, "_making_up", lambda *arrays: 0)
    assert made_up < 0.9 * lost()


def test_features_of_any_size_get_a_scale_of_their_own():
    """Positions in nm beside depths: as near as if all were standardised."""
    rng = np.random.RandomState(0)
    X = rng.randn(400, 3)
    size, shift = np.array([1e-4, 1.0, 50.0]), np.array([0.0, 5.0, 2200.0])
    network = random_network((3, 8, 3))
    scaled = DenseNetwork(
        (network.weights[0] / size[:, None], network.weights[1]),
        (network.biases[0] - (shift / size) @ network.weights[0], network.biases[1]),
        network.activations,
    )
    found = error_of(scaled, integer_network(scaled, X * size + shift), X * size + shift)
    assert found == pytest.approx(error_of(network, integer_network(network, X), X), abs=0.02)


def test_a_scale_takes_stored_integers_as_they_are():
    network = random_network((5, 4, 3))
    stored = np.random.RandomState(0).randint(0, 9000, (50, 5)).astype(np.int16)
    quantized = integer_network(network, stored / 10000, input_scale=10000)
    np.testing.assert_array_equal(quantized.quantize_input(stored / 10000), stored)
    assert quantized.input_limit == INPUT_LIMIT


def test_units_that_are_dead_or_have_no_weights():
    network = random_network((5, 6, 3))
    network.weights[0][:, 0] = 0  # constant
    network.biases[0][1] = -1e3  # never on
    network.weights[1][2] = 0  # never heard
    network.weights[0][:, 3] *= 1e-9  # all but constant
    X = np.random.RandomState(0).randn(100, 5)
    assert error_of(network, integer_network(network, X), X) < 0.05


def test_a_layer_that_is_dead_altogether():
    network = random_network((5, 3, 4))
    network.biases[0][:] = -1e3
    X = np.random.RandomState(0).randn(100, 5)
    quantized = integer_network(network, X)
    logits = quantized.logits(quantized.quantize_input(X)) * quantized.logit_scale
    np.testing.assert_allclose(logits, network.forward(X)[-1], atol=1e-3)


def test_a_feature_that_never_changes_in_the_samples():
    network = random_network((4, 5, 3))
    X = np.random.RandomState(0).randn(100, 4)
    X[:, 2] = 0.7
    quantized = integer_network(network, X)
    assert error_of(network, quantized, X) < 0.05
    X[:, 2] = 0.9  # and does elsewhere: some units leave the range that they had
    assert error_of(network, quantized, X) < 0.3


def test_what_could_overflow_gets_a_limit_or_is_refused():
    """600 bands with weights of one size and both signs."""
    n = 600
    weights = np.ones((n, 2))
    weights[::2] = -1
    network = DenseNetwork((weights,), (np.zeros(2),), ())
    X = np.random.RandomState(0).uniform(0, 0.5, (40, n))
    quantized = integer_network(network, X, input_scale=50000)
    bias = np.abs(quantized.layers[0].biases).max()
    assert quantized.input_limit == (2**31 - 1 - bias) // (127 * n) == 28182
    largest = r"up to 31,99\d with input_scale=64000; pass an input_scale of at most 5.64e\+04"
    with pytest.raises(ValueError, match=largest):
        integer_network(network, X, input_scale=64000)


def test_inputs_beyond_sixteen_bits_are_refused():
    network = random_network((3, 2))
    X = np.random.RandomState(0).uniform(0, 1, (40, 3))
    with pytest.raises(ValueError, match=r"are up to 98,837 with input_scale=100000"):
        integer_network(network, X, input_scale=100000)
