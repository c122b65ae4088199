"""What users bring with their nets: schedules, checkpoints, datasets, odd batches, Ctrl-C."""

import os
import signal
from itertools import count

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from skorch import NeuralNetClassifier
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    InputShapeSetter,
    LRScheduler,
)
from skorch.dataset import Dataset, ValidSplit
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from sklearn_capoz import CAPoZPruner
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.thresholds import Count

X, Y = make_classification(
    180, 8, n_informative=6, n_redundant=0, n_classes=3, class_sep=2.0, random_state=0
)
X = X.astype(np.float32)


class Net(nn.Module):
    def __init__(self, input_dim=8, width=10, norm=False):
        super().__init__()
        norms = [nn.BatchNorm1d(width)] if norm else []
        self.layers = nn.Sequential(
            nn.Linear(input_dim, width), *norms, nn.ReLU(), nn.Linear(width, 3)
        )

    def forward(self, inputs):
        return self.layers(inputs)


def make_net(**parameters):
    quick = {"criterion": nn.CrossEntropyLoss, "max_epochs": 4, "lr": 0.1, "batch_size": 32,
             "train_split": None, "verbose": 0, "iterator_train__shuffle": True}  # fmt: skip
    return NeuralNetClassifier(**({"module": Net} | quick | parameters))


def pruned(net, **parameters):
    quick = {"threshold": Count(2), "n_iterations": 2, "retrain_max_iter": 4, "random_state": 0,
             "keep": "last"}  # fmt: skip
    return CAPoZPruner(net, **(quick | parameters)).fit(X, Y)


class Rates(Callback):
    """Notes the learning rate of every epoch of a training, for each training in a list."""

    seen: list = []

    def on_train_begin(self, net, **kwargs):
        self.seen.append([])

    def on_epoch_end(self, net, **kwargs):
        self.seen[-1].append(net.optimizer_.param_groups[0]["lr"])


@pytest.mark.parametrize(
    ("scheduler", "retrain_max_iter"),
    [
        (LRScheduler("StepLR", step_size=2, gamma=0.1), 4),
        (LRScheduler("CosineAnnealingLR", T_max=4), 4),
        (LRScheduler(OneCycleLR, max_lr=0.2, total_steps=4), 4),
        (LRScheduler(OneCycleLR, max_lr=0.2, epochs=4, steps_per_epoch=1), 7),
        (LRScheduler("ExponentialLR", gamma=0.5), 4),
    ],
)
def test_a_schedule_begins_anew_with_each_retraining(monkeypatch, scheduler, retrain_max_iter):
    monkeypatch.setattr(Rates, "seen", [])
    model = pruned(
        make_net(callbacks=[Rates, ("rate", scheduler)]), retrain_max_iter=retrain_max_iter
    )
    first, second, third = Rates.seen
    assert second == pytest.approx(third)
    if retrain_max_iter == 4:
        assert second == pytest.approx(first)
    assert len(second) == retrain_max_iter
    history = model.estimator_.history
    assert history[:, "epoch"] == list(range(1, 5 + 2 * retrain_max_iter))
    again = model.estimator_.get_params()["callbacks"][1][1]
    assert getattr(again, "total_steps", None) == getattr(scheduler, "total_steps", None)


def test_each_group_of_parameters_begins_with_its_own_rate(monkeypatch):
    monkeypatch.setattr(Rates, "seen", [])
    net = make_net(
        callbacks=[Rates, LRScheduler("ExponentialLR", gamma=0.5)],
        optimizer__param_groups=[("layers.0.*", {"lr": 0.02})],
    )
    pruned(net)
    assert [rates[0] for rates in Rates.seen] == pytest.approx([0.02] * 3)


def test_a_checkpoint_brings_back_the_best_of_its_own_training(tmp_path):
    checkpoint = Checkpoint(dirname=str(tmp_path), monitor="valid_loss_best", load_best=True)
    model = pruned(make_net(train_split=ValidSplit(4), callbacks=[checkpoint]))
    assert model.history_["n_units"].tolist() == [10, 8, 6]
    assert model.estimator_.module_.layers[0].out_features == 6
    np.testing.assert_allclose(model.estimator_.predict_proba(X), model.predict_proba(X), atol=1e-6)


def test_a_cut_network_is_compared_with_none_that_was_larger(tmp_path):
    """All epochs before are better: the first of each training is its best all the same."""
    scores = count(start=0, step=-1)
    net = make_net(
        callbacks=[
            EpochScoring(lambda *_: next(scores), False, on_train=True, name="own"),
            Checkpoint(dirname=str(tmp_path), monitor="own_best", load_best=True),
        ]
    )
    assert pruned(net).estimator_.module_.layers[0].out_features == 6


def test_input_shape_setter():
    model = pruned(make_net(module__input_dim=3, callbacks=[InputShapeSetter()]))
    assert model.estimator_.module_.layers[0].in_features == 8
    assert model.history_["n_units"].tolist() == [10, 8, 6]


class MakesAnew(Callback):
    def on_train_begin(self, net, **kwargs):
        net.set_params(module__width=9)


def test_a_callback_that_makes_the_module_anew_is_refused():
    with pytest.raises(UnsupportedNetworkError, match="A callback made the net's module anew"):
        pruned(make_net(callbacks=[MakesAnew]))


class Counting(Dataset):
    n_rows = 0

    def __getitem__(self, i):
        type(self).n_rows += 1
        return super().__getitem__(i)


class Scaled(Dataset):
    def __getitem__(self, i):
        inputs, target = super().__getitem__(i)
        return 2 * inputs, target


def plain(rows):
    plain.n_calls += 1
    return torch.utils.data.default_collate(rows)


def noisy(rows):
    inputs, targets = torch.utils.data.default_collate(rows)
    return inputs * 2, targets


@pytest.mark.parametrize("distillation", [None, 0.5])
def test_the_nets_own_dataset_and_collate_fn_are_used(monkeypatch, distillation):
    monkeypatch.setattr(Counting, "n_rows", 0)
    monkeypatch.setattr(plain, "n_calls", 0, raising=False)
    net = make_net(dataset=Counting, iterator_train__collate_fn=plain)
    pruned(net, n_iterations=1, distillation=distillation)
    n_train = 144
    assert Counting.n_rows >= 2 * 4 * n_train  # and two for a look
    assert plain.n_calls == 2 * 4 * 5


def test_what_a_training_does_to_its_batches_is_its_own():
    assert pruned(make_net(iterator_train__collate_fn=noisy)).history_["n_units"].iloc[-1] == 6


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dataset": Scaled}, "The dataset of NeuralNetClassifier changes its rows, .* Pipeline"),
        ({"dataset": Dataset(X, Y)}, "has 180 rows where it was given 144: pruning splits"),
        ({"iterator_valid__collate_fn": noisy}, "The collate_fn of NeuralNetClassifier changes"),
    ],
)
def test_what_predictions_would_miss_is_refused_before_training(monkeypatch, parameters, message):
    monkeypatch.setattr(NeuralNetClassifier, "partial_fit", None)
    with pytest.raises(UnsupportedNetworkError, match=message):
        pruned(make_net(**parameters))


class BatchSizes(Callback):
    seen: list = []

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        self.seen.append(len(batch[1]))


@pytest.mark.parametrize(
    ("batch_size", "norm", "expected"),
    [
        (143, True, [72, 72]),
        (13, True, [13] * 10 + [7, 7]),  # 144 = 11 * 13 + 1
        (143, False, [143, 1]),  # without a norm a row may come alone
        (100, True, [100, 44]),
        (144, True, [144]),
    ],
)
@pytest.mark.parametrize("shuffle", [False, True])
def test_no_row_comes_alone_to_a_batch_norm(monkeypatch, batch_size, norm, expected, shuffle):
    monkeypatch.setattr(BatchSizes, "seen", [])
    net = make_net(
        module__norm=norm, batch_size=batch_size, callbacks=[BatchSizes], max_epochs=1,
        iterator_train__shuffle=shuffle,
    )  # fmt: skip
    pruned(net, n_iterations=0)
    assert BatchSizes.seen == expected


def test_three_rows_in_batches_of_two_are_one_batch():
    from sklearn_capoz.training._skorch_data import _NoRowAlone

    for n_rows, sizes in [(3, [3]), (5, [2, 3]), (4, [2, 2]), (1, [1])]:
        batches = _NoRowAlone(range(n_rows), 2, drop_last=False)
        assert [len(batch) for batch in batches] == sizes
        assert len(batches) == len(sizes)
        assert [row for batch in batches for row in batch] == list(range(n_rows))


class CtrlC(Callback):
    """Ctrl-C in one batch of one of the trainings."""

    training = n_trainings = 0

    def on_train_begin(self, net, **kwargs):
        type(self).n_trainings += 1

    def on_batch_end(self, net, **kwargs):
        if self.n_trainings == self.training:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def ctrl_c_in(monkeypatch):
    def ctrl_c_in(training):
        monkeypatch.setattr(CtrlC, "training", training)
        monkeypatch.setattr(CtrlC, "n_trainings", 0)
        return CtrlC

    # A run in the background of a shell ignores Ctrl-C from its beginning.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield ctrl_c_in
    after = signal.signal(signal.SIGINT, before)
    assert after is signal.default_int_handler


def test_ctrl_c_in_the_first_training_raises(ctrl_c_in):
    with pytest.raises(KeyboardInterrupt):
        pruned(make_net(callbacks=[ctrl_c_in(1)]))


def test_ctrl_c_in_a_retraining_keeps_the_iterations_done(ctrl_c_in):
    with pytest.warns(UserWarning, match="interrupted"):
        model = pruned(make_net(callbacks=[ctrl_c_in(3)]))
    assert model.history_["n_units"].tolist() == [10, 8]
    assert model.estimator_.module_.layers[0].out_features == 8


def test_a_callback_that_ends_a_training_ends_that_one_alone():
    stop = EarlyStopping(monitor="train_loss", patience=2, threshold=1e9, threshold_mode="abs")
    model = pruned(make_net(callbacks=[stop]))
    assert model.history_["n_units"].tolist() == [10, 8, 6]
    assert model.history_["n_epochs"].tolist() == [3, 3, 3]


class WithLogarithms(Net):
    """Its first Linear takes twice the columns of X."""

    def __init__(self):
        super().__init__(input_dim=16)

    def forward(self, inputs):
        return super().forward(torch.cat([inputs, (inputs.abs() + 1).log()], dim=1))


def test_what_comes_before_the_first_linear_is_followed():
    model = pruned(make_net(module=WithLogarithms))
    assert model.history_["n_units"].tolist() == [10, 8, 6]
    assert model.n_features_in_ == 8
    np.testing.assert_allclose(model.estimator_.predict_proba(X), model.predict_proba(X), atol=1e-6)
