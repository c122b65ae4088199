"""Jobs of small networks, and their paths."""

import numpy as np
import pytest

from sklearn_capoz.criteria import CAPoZ
from sklearn_capoz.pruning import (
    PruningJob,
    PruningPlan,
    prune_together,
)
from sklearn_capoz.pruning._dense_model import DenseModel
from sklearn_capoz.schedules import (
    MultiPass,
)
from sklearn_capoz.thresholds import Count
from sklearn_capoz.training import TrainingSettings, initial_network
from sklearn_capoz.training._samples import PruningData, Samples


@pytest.fixture(scope="session")
def make_data():
    """Return a function that makes samples of classes that lie apart."""

    def call(n_samples=90, seed=0):
        random = np.random.RandomState(seed)
        y = random.randint(3, size=n_samples)
        X = random.randn(n_samples, 4) + 3 * np.eye(4)[y]
        parts = [Samples(X[i::3], y[i::3], random.uniform(0.5, 2, len(y[i::3]))) for i in range(3)]
        return PruningData(*parts)

    return call


@pytest.fixture(scope="session")
def make_job(make_data):
    """Return a function that makes the job of pruning a small network."""

    def call(
        hidden=(8,), max_iter=0, data=None, criterion=None, threshold=None, schedule=None,
        n_iterations=3, min_units=1, compensation=None, seed=0, **given,
    ):  # fmt: skip
        network = initial_network(4, hidden, 3, "relu", seed, np.float64)
        settings = TrainingSettings(max_iter=max_iter, batch_size=16, learning_rate_init=0.01)
        model = DenseModel(network, None, settings, "cpu", np.random.RandomState(seed))
        plan = PruningPlan(
            criterion or CAPoZ(), threshold or Count(2), schedule or MultiPass(), n_iterations,
            min_units, compensation,
        )  # fmt: skip
        return PruningJob(model, data or make_data(), plan, np.random.RandomState(seed), **given)

    return call


@pytest.fixture(scope="session")
def walk(make_job):
    """Return a function that walks the path of such a job."""

    def call(*args, **kwargs):
        return prune_together([make_job(*args, **kwargs)])[0]

    return call


@pytest.fixture(scope="session")
def assert_same_records():
    """Return a function that compares two paths."""

    def call(first, second, scores=True):
        assert len(first) == len(second)
        for a, b in zip(first, second, strict=True):
            assert (a.iteration, a.n_pruned, a.n_epochs) == (b.iteration, b.n_pruned, b.n_epochs)
            assert (a.accuracy_before, a.accuracy_after) == (b.accuracy_before, b.accuracy_after)
            for name in ("weights", "biases"):
                for x, y in zip(
                    getattr(a.model.network, name), getattr(b.model.network, name), strict=True
                ):
                    np.testing.assert_array_equal(x, y)
            for x, y in zip(a.support, b.support, strict=True):
                np.testing.assert_array_equal(x, y)
            if scores:
                np.testing.assert_array_equal(a.thresholds, b.thresholds)
                for x, y in zip(a.importances, b.importances, strict=True):
                    np.testing.assert_array_equal(x, y)

    return call
