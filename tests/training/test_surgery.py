"""Dynamic network surgery: who goes, who comes back, and how many are left."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.networks._dense import DenseNetwork
from sklearn_capoz.schedules import Gradual, OneShot, Step, Surgery
from sklearn_capoz.training import TrainingSettings, TrainingTask, initial_network, train
from sklearn_capoz.training._surgery import chance_of, largest, revise
from sklearn_capoz.training._task import SurgeryRule

RNG = np.random.RandomState(0)
X = RNG.randn(120, 6)
Y = (X[:, 0] * X[:, 1] > 0) + 2 * (X[:, 2] > 0)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_two_thresholds_by_hand():
    weights = np.array([0.95, -1.05, 1.2, -0.8, 0.0])
    # Two are to stay: the second largest is 1.05, so one goes below 0.945 and comes above 1.155.
    there = np.array([True, False, False, True, False])
    assert revise(weights, there, 2, 0.1).tolist() == [True, False, True, False, False]
    assert revise(weights, ~there, 2, 0.1).tolist() == [False, True, True, False, False]
    # Without a margin they are the largest.
    assert revise(weights, there, 2, 0.0).tolist() == [False, True, True, False, False]
    assert revise(weights, there, 0, 0.1).tolist() == [False] * 5
    # What nothing has moved does not come back, were there none larger.
    assert revise(np.zeros(3), np.array([True, False, False]), 2, 0.1).tolist() == [
        True,
        False,
        False,
    ]


def test_chance_and_ties():
    assert [chance_of(epoch, 4) for epoch in range(4)] == [1, 0.75, 0.5, 0.25]
    assert largest(np.array([1.0, -2, 1, 1]), 2).tolist() == [True, True, False, False]


def masked(dtype=np.float64, share=0.7, seed=0):
    network = initial_network(6, (8,), 4, "relu", seed, dtype)
    random = np.random.RandomState(seed)
    weights = tuple(np.where(random.rand(*w.shape) < share, 0, w) for w in network.weights)
    return replace(network, weights=tuple(w.astype(dtype) for w in weights))


def left(network):
    return [int(np.count_nonzero(weight)) for weight in network.weights]


@settings(max_examples=25, deadline=None)
@given(
    solver=st.sampled_from(["adam", "sgd"]),
    dtype=st.sampled_from([np.float32, np.float64]),
    dropout=st.sampled_from([0.0, 0.3]),
    alpha=st.sampled_from([0.0, 0.1]),
    epochs=st.integers(1, 8),
    margin=st.sampled_from([0.0, 0.1, 0.5]),
    distils=st.booleans(),
)
def test_as_many_are_left_and_their_moments(dtype, epochs, margin, distils, **given):
    network = masked(dtype)
    rule = TrainingSettings(
        max_iter=6, batch_size=20, learning_rate_init=0.05, zeros_stay=True,
        distillation=0.5 if distils else 0.0, surgery=SurgeryRule(epochs, margin), **given,
    )  # fmt: skip
    task = TrainingTask(network, X, Y, teacher=RNG.randn(120, 4), random_state=0)
    first, second = (train([replace(task)], rule)[0] for _ in range(2))
    assert left(first.network) == left(network)
    assert first.n_epochs == 6
    for a, b in zip(first.network.weights, second.network.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    for moment in first.optimizer.moments:
        for weight, memory in zip(first.network.weights, moment.weights, strict=True):
            assert (memory[weight == 0] == 0).all()


def test_connections_come_back_that_are_needed():
    """All weights of the one feature that tells the classes are cut; surgery finds them again."""
    x = RNG.randn(200, 5)
    y = (x[:, 3] > 0).astype(int)
    weight = np.zeros((5, 2))
    weight[[0, 1]] = 0.3
    network = DenseNetwork((weight,), (np.zeros(2),), ())
    rule = TrainingSettings(max_iter=30, learning_rate_init=0.05, zeros_stay=True)
    task = TrainingTask(network, x, y, random_state=0)
    [still] = train([task], rule)
    [healed] = train([replace(task)], replace(rule, surgery=SurgeryRule(20, 0.1)))
    accuracy = [
        (each.network.labels(each.network.forward(x)[-1]) == y).mean() for each in (still, healed)
    ]
    assert accuracy[0] < 0.65 < 0.75 < accuracy[1]
    assert (healed.network.weights[0][3] != 0).all()
    assert left(healed.network) == [4]


def test_a_schedule_gives_its_rule_to_the_steps_of_another():
    inner = Gradual(0.9, epochs=(2, 8))
    steps = [step for (step,) in Surgery(inner, epochs=3, margin=0.2).iterations((30, 20), 2)]
    assert steps == [
        replace(step, surgery=SurgeryRule(3, 0.2)) for (step,) in inner.iterations((30, 20), 2)
    ]
    assert "surgery" not in repr(steps[0])


@pytest.mark.parametrize(
    ("schedule", "error", "message"),
    [
        (Surgery("one-shot"), TypeError, r"Surgery needs a schedule that cuts, OneShot\(\) for"),
        (Surgery(Surgery(OneShot())), TypeError, "Surgery needs a schedule that cuts"),
        (Surgery(OneShot(), epochs=0), ValueError, "The 'epochs' parameter of Surgery"),
        (Surgery(OneShot(), margin=1), ValueError, "The 'margin' parameter of Surgery"),
        (Surgery(Gradual(2)), ValueError, "Gradual"),
    ],
)
def test_what_surgery_is_not(schedule, error, message):
    with pytest.raises(error, match=message):
        own(schedule=schedule).fit(X, Y)


def own(**given):
    quick = {
        "granularity": "connection",
        "criterion": "l1",
        "n_iterations": 1,
        "max_iter": 10,
        "retrain_max_iter": 8,
        "random_state": 0,
        "schedule": Surgery(Gradual(0.8), epochs=5),
    }
    return PrunedMLPClassifier((12,), **(quick | given))


def test_units_devices_and_mutual_learning_are_refused_before_any_training(monkeypatch):
    def trained(*args, **kwargs):
        raise AssertionError("trained before all was checked")

    monkeypatch.setattr("sklearn_capoz.pruning._dense_model.train", trained)
    with pytest.raises(ValueError, match="brings connections back, and units that are cut are"):
        own(granularity="unit").fit(X, Y)
    with pytest.raises(UnsupportedNetworkError, match=r"cannot go together; take another teacher"):
        own(teacher="mutual", distillation=0.5).fit(X, Y)
    with pytest.raises(ValueError, match="retrain_max_iter=0 leaves that out"):
        own(retrain_max_iter=0).fit(X, Y)
    monkeypatch.setattr("sklearn_capoz.training._skorch_net.check_device", lambda device: None)
    with pytest.raises(UnsupportedNetworkError, match=r"is done on the CPU, and device='cuda'"):
        own(device="cuda").fit(X, Y)


def test_within_the_first_training_no_retraining_is_needed():
    schedule = Surgery(Gradual(0.5, epochs=(2, 4)), epochs=2)
    found = own(schedule=schedule, retrain_max_iter=0).fit(X, Y)
    assert found.history_["n_connections"].iloc[-1] < found.history_["n_connections"].iloc[0]


def net(**given):
    return NeuralNetClassifier(
        nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 4)),
        criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=0.02, max_epochs=10,
        train_split=None, verbose=0, **given,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["own", "callbacks", "mlp", "net"])
@pytest.mark.parametrize("inner", [Gradual(0.8), Gradual(0.8, epochs=(1, 6))])
def test_every_kind_keeps_the_counts(kind, inner):
    schedule = Surgery(inner, epochs=4)
    if kind in ("own", "callbacks"):
        model = own(schedule=schedule, callbacks=[] if kind == "callbacks" else None)
    else:
        estimator = net() if kind == "net" else MLPClassifier((12,), max_iter=10, random_state=0)
        given = own(schedule=schedule).get_params()
        names = CAPoZPruner(net()).get_params(deep=False).keys() & given.keys()
        model = CAPoZPruner(estimator, **{name: given[name] for name in names})
    model.set_params(n_iterations=2, keep="last").fit(X, Y)
    weights = model._network.weights
    assert [np.count_nonzero(w) for w in weights] == [round(0.2 * w.size) for w in weights]
    assert [int(s.sum()) for s in model.support_] == [round(0.2 * w.size) for w in weights]
    table = model.history_
    assert table["n_connections"].iloc[-1] == sum(round(0.2 * w.size) for w in weights)


def test_in_skorch_connections_come_back_and_stay_afterwards():
    model = CAPoZPruner(
        net(), granularity="connection", criterion="random", schedule=Surgery(OneShot(), epochs=6),
        threshold="fraction", n_iterations=1, retrain_max_iter=10, keep="last", random_state=0,
    ).fit(X, Y)  # fmt: skip
    still = CAPoZPruner(
        net(), granularity="connection", criterion="random", schedule=OneShot(),
        threshold="fraction", n_iterations=1, retrain_max_iter=10, keep="last", random_state=0,
    ).fit(X, Y)  # fmt: skip
    assert not np.array_equal(model.support_[0], still.support_[0])
    assert [int(s.sum()) for s in model.support_] == [int(s.sum()) for s in still.support_]


def test_steps_of_surgery_are_for_connections_only():
    assert Step((0,)).surgery is None
