"""Connections that go while the network is trained for the first time."""

import numpy as np
import pytest
import torch
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz import CAPoZPruner, CAPoZPrunerCV, PrunedCNNClassifier, PrunedMLPClassifier
from sklearn_capoz.schedules import Gradual

#: Of 12 * 10 and 10 * 3 weights a fifth in the end: cut after epochs 4, 6 and 8 of 12.
SCHEDULE = Gradual(0.8, epochs=(2, 8))
#: 150 (1 - 0.8 (1 - (1 - t/3)^3)): 0.437, 0.230 and 0.2 of 120 and of 30.
CONNECTIONS = [150, 52 + 13, 28 + 7, 24 + 6]
PRUNING = {
    "schedule": SCHEDULE, "granularity": "connection", "criterion": "l1", "n_iterations": 3,
    "keep": "last", "random_state": 0,
}  # fmt: skip


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 3))

    def forward(self, X):
        return self.layers(X)


def make_net(optimizer=torch.optim.Adam, **given):
    return NeuralNetClassifier(
        Net, criterion=nn.CrossEntropyLoss, optimizer=optimizer, lr=0.01, batch_size=32,
        max_epochs=12, train_split=None, verbose=0, **given,
    )  # fmt: skip


def make_own(**given):
    return PrunedMLPClassifier((10,), max_iter=12, learning_rate_init=0.01, **given)


MAKERS = {
    "classifier": lambda: make_own(**PRUNING),
    "by sgd": lambda: make_own(solver="sgd", **PRUNING),
    "in skorch's loop": lambda: make_own(callbacks=[], **PRUNING),
    "device": lambda: make_own(device="cpu:0", **PRUNING),
    "MLPClassifier": lambda: CAPoZPruner(MLPClassifier((10,), max_iter=12), **PRUNING),
    "own": lambda: CAPoZPruner(make_own(), **PRUNING),
    "own in skorch's loop": lambda: CAPoZPruner(make_own(callbacks=[]), **PRUNING),
    "net": lambda: CAPoZPruner(make_net(), **PRUNING),
    "net with momentum": lambda: CAPoZPruner(
        make_net(torch.optim.SGD, optimizer__momentum=0.9, optimizer__weight_decay=0.01), **PRUNING
    ),
}


@pytest.fixture(scope="module")
def samples(data):
    return data[0].astype(np.float32), data[1]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_zeros_come_along_the_cubic_and_stay(make, samples):
    model, again = make().fit(*samples), make().fit(*samples)
    history = model.history_
    assert history["n_connections"].tolist() == CONNECTIONS
    assert history["n_epochs"].tolist() == [4, 2, 2, 4]
    found = [int(np.count_nonzero(weights)) for weights in model._network.weights]
    assert found == [24, 6]  # trained for four epochs more, and still exactly zero
    assert [int(support.sum()) for support in model.support_] == found
    for a, b in zip(model._network.weights, again._network.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_connection_that_is_gone_leaves_no_moment(samples):
    model = make_own(**PRUNING).fit(*samples)
    for weights, *moments in zip(
        model._network.weights, *(m.weights for m in model._kept.optimizer.moments), strict=True
    ):
        for moment in moments:
            assert not moment[weights == 0].any()
            assert moment[weights != 0].any()


def test_without_a_cut_it_is_the_plain_training(samples):
    plain = make_own(**PRUNING | {"n_iterations": 0}).fit(*samples)
    paused = make_own(**PRUNING | {"schedule": Gradual(0.0, epochs=(2, 8))}).fit(*samples)
    for a, b in zip(plain.network_.weights, paused.network_.weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_what_is_kept_and_searched(keep, samples):
    model = make_own(**PRUNING | {"keep": keep}).fit(*samples)
    row = model.history_.iloc[model.best_iteration_]
    kept = sum(int(np.count_nonzero(weights)) for weights in model.network_.weights)
    assert kept == row["n_connections"]
    search = CAPoZPrunerCV(model, criteria=["l1", "taylor"], max_iterations=3, cv=2)
    best = search.fit(*samples).best_estimator_
    kept = sum(int(np.count_nonzero(weights)) for weights in best.network_.weights)
    assert kept == CONNECTIONS[search.best_params_["n_iterations"]]


def test_kernels(samples):
    model = PrunedCNNClassifier(
        "1d", network_params={"channels": 4, "hidden": 6, "kernel_size": 3, "pool_size": 2},
        compensation=None, max_iter=12, **PRUNING,
    ).fit(*samples)  # fmt: skip
    assert model.history_["sparsity"].iloc[-1] == pytest.approx(0.8, abs=0.01)
    zeros = [int((p == 0).sum()) for p in model.module_.parameters() if p.ndim > 1]
    assert sum(zeros) == int((~np.concatenate([s.ravel() for s in model.support_])).sum())


def test_an_epoch_beyond_the_training_is_refused_before_it(samples):
    model = make_own(**PRUNING).set_params(max_iter=8)
    with pytest.raises(ValueError, match="after epoch 8, and that training has 8 epochs"):
        model.fit(*samples)
    with pytest.raises(ValueError, match="after epoch 8, and that training has 8 epochs"):
        CAPoZPruner(make_own(callbacks=[]).set_params(max_iter=8), **PRUNING).fit(*samples)
