"""Layers made by hand, for tests of criteria."""

import numpy as np
import pytest

from sklearn_capoz.criteria import Layer


@pytest.fixture(scope="session")
def make_layer():
    """Return a function that makes a `Layer` of activations, everything else optional.

    Arrays without an axis of positions or taps are given one of length one.
    """

    def make(activations, **given):
        given["activations"] = np.asarray(activations)
        for name in {"activations", "gradients", "outgoing"} & given.keys():
            if given[name] is not None and given[name].ndim == 2:
                given[name] = given[name][:, None, :]
        n_samples, _, n_units = given["activations"].shape
        fields = {
            "activation": "relu",
            "correct": np.ones(n_samples, dtype=bool),
            "y": np.zeros(n_samples, dtype=int),
            "sample_weight": np.ones(n_samples),
            "incoming": np.ones((n_units, 2)),
            "outgoing": np.ones((n_units, 1, 2)),
            "random_state": np.random.RandomState(0),
        }
        return Layer(**(fields | given))

    return make


@pytest.fixture(scope="session")
def random_layer(make_layer):
    """Return a function that makes a layer as a trained ReLU network has it."""

    def make(n_samples=60, n_units=6, dtype=np.float64, seed=0, rows=None, units=None):
        random = np.random.RandomState(seed)
        mixed = random.randn(n_samples, n_units) @ random.randn(n_units, n_units)
        activations = np.maximum(mixed, 0).astype(dtype)
        rows = np.arange(n_samples) if rows is None else rows
        units = np.arange(n_units) if units is None else units
        return make_layer(
            activations[np.ix_(rows, units)],
            correct=(random.uniform(size=n_samples) < 0.7)[rows],
            y=random.randint(3, size=n_samples)[rows],
            sample_weight=np.ones(len(rows)),
            incoming=random.randn(5, n_units).astype(dtype).T[units],
            outgoing=random.randn(n_units, 3).astype(dtype)[units],
            gradients=random.randn(n_samples, n_units).astype(dtype)[np.ix_(rows, units)],
        )

    return make
