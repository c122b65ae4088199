"""scikit-learn's own estimator checks; no failure is expected of any."""

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz import CAPoZPruner, PrunedCNNClassifier, PrunedMLPClassifier

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn_capoz.exceptions.PruningStalledWarning"),
    pytest.mark.filterwarnings("ignore::sklearn_capoz.exceptions.SmallDataWarning"),
]


class Hidden(nn.Module):
    """One hidden layer that takes its input size from the data; shapes must be known to skorch."""

    def __init__(self, n_features=1, n_classes=2):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_features, 10), nn.ReLU(), nn.Linear(10, n_classes))

    def forward(self, X):
        return self.layers(X)


class DataSizedNet(NeuralNetClassifier):
    """A skorch net whose module has the sizes of the data that it is first given."""

    def check_data(self, X, y):
        super().check_data(X, y)
        if not self.initialized_:
            self.set_params(module__n_features=X.shape[1], module__n_classes=len(np.unique(y)))


NET = DataSizedNet(
    Hidden,
    criterion=nn.CrossEntropyLoss,
    max_epochs=15,
    lr=0.2,
    batch_size=32,
    train_split=None,
    verbose=0,
)


@parametrize_with_checks(
    [
        CAPoZPruner(MLPClassifier()),
        CAPoZPruner(PrunedMLPClassifier()),
        CAPoZPruner(NET, n_iterations=2, retrain_max_iter=5),  # skorch's loop takes its time
        CAPoZPruner(MLPClassifier(), granularity="connection", criterion="taylor"),
    ]
)
def test_pruner(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [PrunedMLPClassifier(), PrunedMLPClassifier(granularity="connection", criterion="l1")]
)
def test_classifier(estimator, check):
    check(estimator)


# In float32 weighted and repeated samples differ by more than scikit-learn allows.
@parametrize_with_checks(
    [
        PrunedCNNClassifier(
            network_params={"channels": 4, "hidden": 8}, n_iterations=1, retrain_max_iter=1,
            learning_rate_init=0.01, max_iter=10, dtype="float64",
        )
    ]
)  # fmt: skip
def test_convolutional_classifier(estimator, check):
    check(estimator)
