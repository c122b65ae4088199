"""What CAPoZPruner refuses, by name and before any training."""

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from small_estimators import X, Y, make_mlp, make_net, make_own, pruner, seeded
from torch import nn

from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier
from sklearn_capoz.estimators import _own_adapter
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.schedules import Widths
from sklearn_capoz.thresholds import Budget

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class OnLogits(NeuralNetClassifier):
    """A net whose loss takes logits, whatever skorch's own does with this criterion."""

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        return self.criterion_(y_pred.log_softmax(dim=1), y_true)


def test_a_loss_of_the_users_own_is_not_judged():
    parts = seeded(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 3))
    net = OnLogits(parts, lr=0.1, batch_size=32, train_split=None, verbose=0)
    assert pruner(net).fit(X, Y).score(X, Y) > 0.6


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(8, 9), nn.Linear(9, 3)

    def forward(self, X):
        X = torch.relu(self.first(X))
        return self.last((X[:, :, None] @ X[:, None]).mean(1))


@pytest.fixture
def no_training(monkeypatch):
    def trained(*args, **kwargs):
        raise AssertionError("trained before all was checked")

    monkeypatch.setattr(MLPClassifier, "fit", trained)
    monkeypatch.setattr(NeuralNetClassifier, "partial_fit", trained)
    monkeypatch.setattr(_own_adapter, "first_training", trained)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            LogisticRegression(),
            UnsupportedNetworkError,
            r"CAPoZPruner cannot prune LogisticRegression; give it a.* MLPClassifier, a NeuralNet",
        ),
        (FrozenEstimator(LogisticRegression()), UnsupportedNetworkError, "LogisticRegression"),
        (None, UnsupportedNetworkError, "CAPoZPruner cannot prune NoneType"),
        (CAPoZPruner(make_mlp()), UnsupportedNetworkError, "CAPoZPruner cannot prune CAPoZPruner"),
        (
            NeuralNetClassifier(Attentive, criterion=nn.CrossEntropyLoss, verbose=0),
            UnsupportedNetworkError,
            r"Attentive has no units that could go: those of 'first', as Attentive runs matmul",
        ),
        (
            make_net(nn.Linear(8, 3)),
            UnsupportedNetworkError,
            "Sequential has no units that could go: those of '0', as they are the network's outp",
        ),
        (
            make_net(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 4)),
            ValueError,
            "The module gives 4 outputs, y holds 3 classes; give the module one output per class",
        ),
        *(
            (
                make_net(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3), criterion=criterion),
                ValueError,
                rf"{criterion.__name__} fails on scores of shape \(n_samples, 3\).*give the net a",
            )
            for criterion in (nn.MSELoss, nn.BCEWithLogitsLoss, nn.CTCLoss)
        ),
        (
            make_net(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3), criterion=nn.NLLLoss),
            UnsupportedNetworkError,
            "Sequential ends in linear and is trained with NLLLoss, .* Use CrossEntropyLoss with",
        ),
        (
            make_net(
                nn.Linear(8, 5),
                nn.ReLU(),
                nn.Linear(5, 3),
                nn.LogSoftmax(dim=1),
                criterion=nn.NLLLoss,
            ),
            UnsupportedNetworkError,
            "ends in log_softmax and is trained with NLLLoss",
        ),
        (make_own(hidden_layer_sizes=(0,)), ValueError, "hidden_layer_sizes"),
    ],
)
def test_what_cannot_be_pruned_is_said_before_any_training(no_training, given, error, message):
    with pytest.raises(error, match=message):
        pruner(given).fit(X, Y)


@pytest.mark.parametrize("make", [make_net, make_own])
@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda", "device='cuda': torch finds no CUDA device here; use device='cpu'"),
        ("gpu", "device='gpu' is none of torch's: Expected one of cpu"),
    ],
)
def test_a_device_that_is_not_there(no_training, monkeypatch, make, device, message):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match=message):
        pruner(make(device=device)).fit(X, Y)


@pytest.mark.parametrize("make", [make_mlp, make_own])
def test_a_schedule_for_other_layers_raises_before_any_training(no_training, make):
    with pytest.raises(ValueError, match="Widths"):
        CAPoZPruner(make(), schedule=Widths([[4, 4]])).fit(X, Y)


@pytest.mark.parametrize("make", [make_mlp, make_own])
def test_a_budget_that_cannot_be_reached_raises_before_any_training(no_training, make):
    # 8 features, 12 units, 3 classes: one unit leaves 11 of 132 multiply-adds.
    with pytest.raises(ValueError, match=r"0.0833 of the 132 multiply-adds are left"):
        CAPoZPruner(make(), threshold=Budget(0.05)).fit(X, Y)
    with pytest.raises(ValueError, match=r"0.0833 of the 132 multiply-adds are left"):
        PrunedMLPClassifier((12,), threshold=Budget(0.05)).fit(X, Y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"criterion": "apo"}, "criterion='apo' is not known"),
        ({"threshold": "median"}, "threshold='median' is not known"),
        ({"schedule": "daily"}, "schedule='daily' is not known"),
        ({"n_iterations": -1}, "'n_iterations' parameter of CAPoZPruner"),
        ({"keep": "first"}, "'keep'"),
        ({"tolerance": -0.1}, "'tolerance'"),
        ({"min_units": 0}, "'min_units'"),
        ({"validation_fraction": 1}, "'validation_fraction'"),
        ({"retrain_max_iter": None}, "'retrain_max_iter'"),
        ({"retrain_learning_rate": 0.1}, "'retrain_learning_rate'"),
        ({"compensation": True}, "'compensation'"),
        ({"distillation": 2}, "'distillation'"),
        ({"temperature": -1}, "'temperature'"),
        ({"verbose": "loud"}, "'verbose'"),
        ({"random_state": "seed"}, "'random_state'"),
    ],
)
def test_bad_parameters_raise_before_any_training(no_training, estimator, parameters, message):
    with pytest.raises(ValueError, match=message):
        pruner(estimator, **parameters).fit(X, Y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": np.full((240, 8), np.nan)}, "Input X contains NaN"),
        ({"y": X[:, 0]}, "Unknown label type: continuous"),
        ({"X_val": X}, "X_val and y_val belong together; only X_val was given"),
        ({"X_val": X, "y_val": Y + 1}, r"y_val holds labels that .*: \[3\]"),
        ({"X_val": X[:, :3], "y_val": Y}, "X has 3 features"),
        ({"sample_weight": -np.ones(240)}, "Negative values"),
    ],
)
def test_bad_data_raise_before_any_training(no_training, estimator, arguments, message):
    with pytest.raises(ValueError, match=message):
        pruner(estimator).fit(**({"X": X, "y": Y} | arguments))
