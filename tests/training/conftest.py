"""Small data and networks for the engine."""

import numpy as np
import pytest

from sklearn_capoz.training._engine import TrainingTask, initial_network
from sklearn_capoz.training._optimizer import flatten


@pytest.fixture(scope="session")
def make_data():
    """Return a function that makes samples of classes that lie apart."""

    def call(n_classes, n_samples=90, dtype=np.float64, seed=0):
        random = np.random.RandomState(seed)
        X = random.standard_normal((n_samples, 5)).astype(dtype)
        y = random.randint(0, n_classes, n_samples)
        X[:, :n_classes] += 2 * np.eye(n_classes, dtype=dtype)[y]
        return X, y

    return call


@pytest.fixture(scope="session")
def make_network():
    """Return a function that makes a network with random weights."""

    def call(n_classes=3, widths=(6,), activation="relu", seed=0, dtype=np.float64, output=None):
        output = output or ("logistic" if n_classes == 2 else "softmax")
        return initial_network(5, widths, n_classes, activation, seed, dtype, output)

    return call


@pytest.fixture(scope="session")
def assert_same_network():
    """Return a function that compares all weights of two networks."""

    def call(a, b, atol=0.0):
        np.testing.assert_allclose(flatten(a), flatten(b), rtol=0, atol=atol)

    return call


@pytest.fixture(scope="session")
def different_tasks(make_data, make_network):
    """Return a function that makes tasks that differ in all that may differ."""

    def call():
        tasks = []
        for seed, (width, n_samples) in enumerate([(6, 90), (3, 90), (6, 60), (1, 90), (4, 60)]):
            X, y = make_data(3, n_samples, seed=seed)
            weight = np.linspace(0.5, 2, n_samples) if seed % 2 else None
            X_val, y_val = make_data(3, 30, seed=9)
            tasks.append(
                TrainingTask(
                    make_network(3, (width, 4), "logistic", seed),
                    X,
                    y,
                    weight,
                    X_val,
                    y_val,
                    teacher=np.random.RandomState(seed).standard_normal((n_samples, 3)),
                    random_state=seed,
                )
            )
        return tasks

    return call
