"""Quick classifiers, and what is the same of two of them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification
from small_estimators import KINDS

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.thresholds import Count


@pytest.fixture(scope="session")
def classifier():
    """Return a function that makes one that trains and prunes in a few hundredths of a second."""

    def call(**parameters):
        quick = {"hidden_layer_sizes": (12,), "max_iter": 12, "retrain_max_iter": 4,
                 "learning_rate_init": 0.01, "threshold": Count(2), "n_iterations": 3,
                 "keep": "last", "random_state": 0}  # fmt: skip
        return PrunedMLPClassifier(**(quick | parameters))

    return call


@pytest.fixture(scope="session")
def history():
    """Return a function that takes the history without what the clock says."""

    def call(model):
        return model.history_.drop(columns="seconds")

    return call


@pytest.fixture(scope="session")
def assert_same_network():
    """Return a function that compares all weights of two networks."""

    def call(a, b):
        for first, second in zip(a.weights, b.weights, strict=True):
            np.testing.assert_array_equal(first, second)

    return call


@pytest.fixture(scope="session")
def assert_same_model(history, assert_same_network):
    """Return a function that compares two pruned models."""

    def call(a, b):
        pd.testing.assert_frame_equal(history(a), history(b))
        assert_same_network(a.network_, b.network_)

    return call


@pytest.fixture(scope="module")
def data():
    return make_classification(240, n_features=12, n_informative=6, n_classes=3, random_state=0)


@pytest.fixture
def inner():
    return PrunedMLPClassifier(
        (12,), threshold="fraction", keep="last", max_iter=20, retrain_max_iter=5, random_state=0
    )


@pytest.fixture(params=KINDS)
def estimator(request):
    return KINDS[request.param]()
