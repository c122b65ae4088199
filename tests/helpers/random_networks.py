"""Random dense networks, and their compiled form beside the plain one in double precision."""

from itertools import pairwise

import numpy as np

from sklearn_capoz.networks import DenseNetwork


def make_network(widths, dtype=np.float32, activation="relu", seed=0):
    """Random dense network; one output unit makes it a logistic one."""
    rng = np.random.RandomState(seed)
    pairs = list(pairwise(widths))
    return DenseNetwork(
        tuple(rng.randn(*pair).astype(dtype) for pair in pairs),
        tuple(rng.randn(width).astype(dtype) for width in widths[1:]),
        (activation,) * (len(pairs) - 1),
        "logistic" if widths[-1] == 1 else "softmax",
    )


def codes_of(predictor, X):
    network = predictor.network
    return predictor.labels(X, np.arange(max(2, len(network.biases[-1]))))


def samples(n, width, dtype=np.float32, seed=1):
    return np.random.RandomState(seed).randn(n, width).astype(dtype)


def assert_same(predictor, X):
    """Compare with the plain forward pass in double precision."""
    network = predictor.network
    exact = DenseNetwork(
        tuple(w.astype(float) for w in network.weights),
        tuple(b.astype(float) for b in network.biases),
        network.activations,
        network.output,
    )
    logits = exact.forward(X.astype(float))[-1]
    tolerance = 1e-4 if network.dtype == np.float32 else 1e-12
    found = predictor.probabilities(X)
    assert found.dtype == network.dtype
    np.testing.assert_allclose(found, exact.probabilities(logits), rtol=0, atol=tolerance)
    # A label may differ only where two classes are equally likely.
    labels, expected = codes_of(predictor, X), exact.labels(logits)
    assert labels.dtype == np.intp
    probabilities, rows = exact.probabilities(logits), np.arange(len(X))
    gap = probabilities[rows, expected] - probabilities[rows, labels]
    assert np.all(np.abs(gap) <= tolerance)
