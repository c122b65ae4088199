"""skorch's own loop against the engine, and with nets of any kind."""

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EpochScoring
from skorch.dataset import ValidSplit
from torch import nn

from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.networks._module import network_from_module
from sklearn_capoz.training._engine import TrainingSettings, TrainingTask, initial_network, train
from sklearn_capoz.training._optimizer import flatten
from sklearn_capoz.training._skorch_loop import train_with_skorch
from sklearn_capoz.training._skorch_net import net_from_training


def make_data(n_classes=3, n_samples=70, dtype=np.float64, seed=0):
    random = np.random.RandomState(seed)
    X = random.standard_normal((n_samples, 5)).astype(dtype)
    y = random.randint(0, n_classes, n_samples)
    X[:, :n_classes] += np.eye(n_classes, dtype=dtype)[y]
    return X, y


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"solver": "sgd", "learning_rate_init": 0.05, "learning_rate": "cosine"},
        {"alpha": 1.0, "distillation": 0.6, "temperature": 3.0},
        {"tol": 0.05, "n_iter_no_change": 2, "learning_rate_init": 0.02},
        {"early_stopping": True, "n_iter_no_change": 1, "learning_rate_init": 0.05},
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_curves_of_engine_and_skorch_agree(n_classes, changes, weighted):
    X, y = make_data(n_classes)
    X_val, y_val = make_data(n_classes, 30, seed=1)
    # only integers, and zeros among them
    weight = np.random.RandomState(2).randint(0, 4, len(y)) if weighted else None
    output = "logistic" if n_classes == 2 else "softmax"
    network = initial_network(5, (6, 4), n_classes, "tanh", 0, np.float64, output)
    teacher = initial_network(5, (20,), n_classes, "tanh", 1, np.float64, output).forward(3 * X)[-1]
    settings = TrainingSettings(batch_size=32, max_iter=12, **changes)
    task = TrainingTask(network, X, y, weight, X_val, y_val, teacher=teacher, random_state=5)
    [result] = train([task], settings)

    net = net_from_training(network, settings)
    before = torch.get_rng_state()
    train_with_skorch(
        net, X, y, settings, sample_weight=weight, X_val=X_val, y_val=y_val, teacher=teacher,
        random_state=5, engine_order=True,
    )  # fmt: skip
    history = net.history
    np.testing.assert_allclose(history[:, "train_loss"], result.loss_curve, rtol=0, atol=1e-8)
    np.testing.assert_allclose(
        history[:, "valid_loss"], result.validation_losses, rtol=0, atol=1e-8
    )
    np.testing.assert_allclose(history[:, "valid_acc"], result.validation_accuracies)
    np.testing.assert_allclose(
        flatten(network_from_module(net.module_)), flatten(result.network), rtol=0, atol=1e-8
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert result.n_epochs == len(history)
    if "n_iter_no_change" in changes:
        assert result.converged
        assert result.n_epochs < 12
    # the net has its own parts back
    assert type(net.criterion_) is nn.CrossEntropyLoss
    assert net.train_split is None
    assert net.iterator_train is torch.utils.data.DataLoader
    assert [group["lr"] for group in net.optimizer_.param_groups] == [settings.learning_rate_init]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_early_stopping_weighs_the_validation_samples(n_classes):
    """As in the engine; the net's own valid_acc counts them alike."""
    X, y = make_data(n_classes)
    X_val, y_val = make_data(n_classes, 30, seed=3)
    weight = np.where(np.arange(30) < 4, 50.0, 0.1)
    output = "logistic" if n_classes == 2 else "softmax"
    network = initial_network(5, (6,), n_classes, "tanh", 0, np.float64, output)
    settings = TrainingSettings(
        batch_size=32, max_iter=40, early_stopping=True, n_iter_no_change=2, learning_rate_init=0.02
    )
    epochs = {}
    for name, given in (("alike", None), ("weighted", weight)):
        task = TrainingTask(network, X, y, None, X_val, y_val, given, random_state=5)
        [result] = train([task], settings)
        net = net_from_training(network, settings)
        epochs[name], _ = train_with_skorch(
            net, X, y, settings, X_val=X_val, y_val=y_val, sample_weight_val=given,
            random_state=5, engine_order=True,
        )  # fmt: skip
        assert epochs[name] == result.n_epochs
        np.testing.assert_allclose(
            flatten(network_from_module(net.module_)), flatten(result.network), rtol=0, atol=1e-8
        )
    assert epochs["alike"] != epochs["weighted"]  # or nothing was tested


class Probabilities(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3), nn.Softmax(1))

    def forward(self, X):
        return self.layers(X)


class Recorder(Callback):
    def __init__(self):
        self.batches = []

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        self.batches.append((training, len(batch), len(batch[1])))


def own_net(**kwargs):
    torch.manual_seed(0)
    defaults = {"train_split": ValidSplit(5, stratified=True), "lr": 0.1}
    return NeuralNetClassifier(Probabilities, verbose=0, **defaults | kwargs).initialize()


def test_a_net_of_its_own_kind_keeps_callbacks_split_and_optimizer():
    X, y = make_data(dtype=np.float32)
    recorder = Recorder()
    net = own_net(callbacks=[recorder, ("again", EpochScoring("accuracy", use_caching=False))])
    optimizer = net.optimizer_
    settings = TrainingSettings(max_iter=3, distillation=0.5)
    teacher = 5 * np.eye(3, dtype=np.float32)[y]
    train_with_skorch(
        net, X, y, settings, sample_weight=np.ones(len(y)), teacher=teacher, random_state=0
    )
    assert net.optimizer_ is optimizer
    batches = dict(net.callbacks_)["Recorder"].batches
    assert {length for _, length, _ in batches} == {2}  # (X, y), as ever
    assert sum(n for training, _, n in batches if training) == 3 * 56  # four of five rows
    assert len(net.history) == 3
    assert net.history[-1, "accuracy"] == net.history[-1, "valid_acc"]
    assert net.max_epochs == 10
    assert "engine_rules" not in dict(net.callbacks_)


def test_distillation_pulls_a_net_towards_its_teacher():
    X, y = make_data(dtype=np.float32)
    teacher = 4 * np.eye(3, dtype=np.float32)[(y + 1) % 3]  # contradicts the labels
    for share, offset in [(0.0, 0), (1.0, 1)]:
        net = own_net(lr=1.0, batch_size=-1)
        settings = TrainingSettings(max_iter=150, tol=-1, distillation=share)
        train_with_skorch(net, X, y, settings, teacher=teacher, random_state=0)
        assert np.mean(net.predict(X) == (y + offset) % 3) > 0.6


def test_class_weights_of_the_criterion_still_count():
    X, y = make_data(dtype=np.float32)
    class_weight = np.array([1, 2, 5], np.float32)
    curves = []
    for kwargs, sample_weight in [
        ({"criterion__weight": torch.tensor(class_weight)}, np.ones(len(y), np.float32)),
        ({"criterion__weight": torch.tensor(class_weight)}, None),
        ({}, class_weight[y]),
    ]:
        net = own_net(train_split=None, **kwargs)
        train_with_skorch(
            net, X, y, TrainingSettings(max_iter=4), sample_weight=sample_weight, random_state=0
        )
        curves.append(net.history[:, "train_loss"])
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-5)
    np.testing.assert_allclose(curves[0], curves[2], rtol=1e-5)


def test_the_same_seed_gives_the_same_net():
    X, y = make_data(dtype=np.float32)
    curves = []
    for _ in range(2):
        torch.manual_seed(np.random.randint(2**31))  # whatever the caller does
        net = NeuralNetClassifier(
            Probabilities, verbose=0, train_split=None, iterator_train__shuffle=True
        )
        train_with_skorch(net, X, y, TrainingSettings(max_iter=3), random_state=4)
        curves.append(net.history[:, "train_loss"])
    assert curves[0] == curves[1]


class OwnLoss(NeuralNetClassifier):
    def get_loss(self, y_pred, y_true, X=None, training=False):
        return nn.functional.nll_loss(torch.log(y_pred), y_true)


def test_refusals():
    X, y = make_data(dtype=np.float32)
    distil = TrainingSettings(max_iter=1, distillation=0.5)
    teacher = np.zeros((len(y), 3), np.float32)
    with pytest.raises(ValueError, match="needs the teacher's logits"):
        train_with_skorch(own_net(), X, y, distil)
    net = own_net(criterion=nn.MultiMarginLoss)
    with pytest.raises(UnsupportedNetworkError, match="got MultiMarginLoss"):
        train_with_skorch(net, X, y, distil, teacher=teacher)
    own = OwnLoss(Probabilities, verbose=0, train_split=None)
    with pytest.raises(UnsupportedNetworkError, match="does not call its criterion_"):
        train_with_skorch(own, X, y, distil, teacher=teacher)
    assert type(own.criterion_) is nn.NLLLoss
    with pytest.raises(ValueError, match="watches 'valid_acc'"):
        train_with_skorch(
            own_net(train_split=None), X, y, TrainingSettings(early_stopping=True), random_state=0
        )
