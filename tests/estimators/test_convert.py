"""as_dense_network: the same outputs as the estimator it came from."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier
from sklearn_capoz.estimators._convert import as_dense_network
from sklearn_capoz.exceptions import UnsupportedNetworkError

RNG = np.random.RandomState(0)
X = RNG.randn(60, 5).astype(np.float32)
Y = np.arange(60) % 3


def probabilities(network, X):
    return network.probabilities(network.forward(X)[-1])


def skorch_net(module, criterion=nn.CrossEntropyLoss):
    """Initialise a net with batch statistics that are far from 0 and 1."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = NeuralNetClassifier(module, criterion=criterion, classes=[0, 1, 2], verbose=0)
        net.initialize()
        for part in net.module_.modules():
            if isinstance(part, nn.BatchNorm1d) and part.track_running_stats:
                n = part.num_features
                part.running_mean.copy_(torch.randn(n))
                part.running_var.copy_(torch.rand(n) + 0.1)
                if part.affine:
                    nn.init.normal_(part.weight)
                    nn.init.normal_(part.bias)
    return net


class Functional(nn.Module):
    """Activations and dropout as functions, the input flattened first."""

    def __init__(self, training_dropout=False):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)
        self.training_dropout = training_dropout

    def forward(self, X):
        X = torch.tanh(self.first(X.flatten(1)))
        X = F.dropout(self.norm(X), 0.5, training=self.training or self.training_dropout)
        return self.last(X)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))

    def forward(self, X):
        return self.layers(X * 2)


def chain(*parts):
    return nn.Sequential(*parts)


MODULES = {
    "plain": lambda: chain(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)),
    "no bias": lambda: chain(nn.Linear(5, 4, bias=False), nn.Tanh(), nn.Linear(4, 3, bias=False)),
    "norm before": lambda: chain(
        nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.ReLU(), nn.Linear(4, 3)
    ),
    "norm after": lambda: chain(
        nn.Linear(5, 4), nn.Sigmoid(), nn.BatchNorm1d(4, affine=False), nn.Linear(4, 3)
    ),
    "norms everywhere": lambda: chain(
        nn.BatchNorm1d(5),
        nn.Linear(5, 4),
        nn.BatchNorm1d(4),
        nn.ReLU(),
        nn.BatchNorm1d(4),
        nn.BatchNorm1d(4),
        nn.Linear(4, 4),
        nn.Linear(4, 3),
    ),
    "log softmax": lambda: chain(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3), nn.LogSoftmax(-1)),
    "functional": Functional,
}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_skorch_net_and_its_network_agree(name, dtype):
    net = skorch_net(MODULES[name]())
    net.module_.to(dtype)
    data = X.astype(str(dtype).removeprefix("torch."))
    network = as_dense_network(net)
    assert network.dtype == data.dtype
    tolerance = 2e-6 if dtype is torch.float32 else 1e-12
    np.testing.assert_allclose(
        probabilities(network, data), net.predict_proba(data), rtol=0, atol=tolerance
    )


def test_a_softmax_with_nllloss_is_skorchs_default():
    net = skorch_net(
        chain(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3), nn.Softmax(dim=1)), nn.NLLLoss
    )
    np.testing.assert_allclose(
        probabilities(as_dense_network(net), X), net.predict_proba(X), atol=1e-6
    )


def test_the_module_is_left_as_it_was():
    net = skorch_net(MODULES["norms everywhere"]())
    net.module_.train()
    before = {name: value.clone() for name, value in net.module_.state_dict().items()}
    as_dense_network(net)
    assert net.module_.training
    for name, value in net.module_.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("module", "criterion", "message"),
    [
        (lambda: chain(nn.Linear(5, 4), nn.GELU(), nn.Linear(4, 3)), None, "gelu in '1' has no"),
        (Scaled, None, "runs mul on its data"),
        (lambda: Functional(True), None, "runs dropout on its data in evaluation mode too"),
        (
            lambda: chain(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3), nn.Softmax(dim=1)),
            None,
            "ends in softmax and is trained with CrossEntropyLoss",
        ),
        (MODULES["plain"], nn.NLLLoss, "ends in linear and is trained with NLLLoss"),
        (
            lambda: chain(
                nn.Linear(5, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 3)
            ),
            None,
            "without running statistics",
        ),
        (
            lambda: chain(nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)),
            None,
            "relu in '0' has no place",
        ),
        (
            lambda: chain(nn.Linear(5, 4), nn.Linear(4, 3), nn.ReLU(), nn.LogSoftmax(dim=1)),
            None,
            "An activation follows the last Linear",
        ),
    ],
)
def test_what_a_dense_network_cannot_stand_for_is_refused(module, criterion, message):
    net = skorch_net(module(), criterion or nn.CrossEntropyLoss)
    with pytest.raises(UnsupportedNetworkError, match=message):
        as_dense_network(net)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_mlp_pruned_pruner_and_frozen_agree_with_themselves(n_classes):
    y = np.arange(60) % n_classes
    mlp = MLPClassifier((6,), max_iter=5, random_state=0).fit(X, y)
    pruned = PrunedMLPClassifier((6,), max_iter=5, n_iterations=0, random_state=0).fit(X, y)
    pruner = CAPoZPruner(clone(mlp), n_iterations=1, retrain_max_iter=1, random_state=0).fit(X, y)
    for estimator in (mlp, pruned, pruner):
        for given in (estimator, FrozenEstimator(estimator)):
            network = as_dense_network(given)
            np.testing.assert_allclose(
                probabilities(network, X), estimator.predict_proba(X), atol=1e-6
            )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_several_labels_at_once_are_refused():
    mlp = MLPClassifier((6,), max_iter=2, random_state=0).fit(X, np.eye(3, dtype=int)[Y])
    with pytest.raises(UnsupportedNetworkError, match="3 labels at once"):
        as_dense_network(mlp)


def test_other_estimators_and_unfitted_ones_are_named():
    with pytest.raises(UnsupportedNetworkError, match="LogisticRegression holds no network"):
        as_dense_network(LogisticRegression())
    with pytest.raises(NotFittedError, match="MLPClassifier"):
        as_dense_network(MLPClassifier())
    search = GridSearchCV(MLPClassifier((2,), max_iter=500, tol=1), {"alpha": [0.1]}, cv=2)
    with pytest.raises(UnsupportedNetworkError, match="is a search; give its best_estimator_"):
        as_dense_network(search.fit(X, Y))


def test_folding_a_norm_by_hand():
    """(3 x - 1) / 2 * 4 + 5 = 6 x + 3, with variance 4 - eps, mean 1, weight 4, bias 5."""
    linear, norm = nn.Linear(1, 1), nn.BatchNorm1d(1)
    last = nn.Linear(1, 2)
    with torch.no_grad():
        linear.weight.fill_(3)
        linear.bias.zero_()
        norm.running_mean.fill_(1)
        norm.running_var.fill_(4 - norm.eps)
        norm.weight.fill_(4)
        norm.bias.fill_(5)
    net = NeuralNetClassifier(chain(linear, norm, nn.ReLU(), last), criterion=nn.CrossEntropyLoss)
    network = as_dense_network(net.initialize())
    np.testing.assert_allclose(network.weights[0], [[6]], rtol=1e-6)
    np.testing.assert_allclose(network.biases[0], [3], rtol=1e-6)
