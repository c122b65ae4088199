"""Trainings that pause and go on, in both loops."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import EarlyStopping, LRScheduler
from torch import nn
from torch.optim import lr_scheduler as rates

from sklearn_capoz.networks._module import network_from_module
from sklearn_capoz.training._engine import TrainingSettings, TrainingTask, train
from sklearn_capoz.training._optimizer import flatten
from sklearn_capoz.training._optimizer_surgery import rebuild_optimizer
from sklearn_capoz.training._pause import Pause
from sklearn_capoz.training._skorch_loop import train_with_skorch
from sklearn_capoz.training._skorch_net import copy_net, net_from_training
from sklearn_capoz.training._stopping import StoppingRule

PAUSES = (3, 4, 9)


def in_parts(task, settings, pauses=PAUSES, device="cpu"):
    """Train with pauses; return the results of all parts."""
    results = []
    for pause in (*pauses, None):
        [result] = train([task], replace(settings, pause_at=pause), device=device)
        results.append(result)
        task = replace(
            task, network=result.network, optimizer=result.optimizer, begun=result.paused
        )
    return results


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"solver": "sgd"},
        {"learning_rate": "cosine"},
        {"dropout": 0.2},
        {"shuffle": False},
        {"early_stopping": True, "n_iter_no_change": 4},
        {"tol": 0.05, "n_iter_no_change": 6},
    ],
)
@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_the_engine_goes_on_as_if_it_had_not_paused(given, device, make_data, make_network):
    """Bit for bit; a name with an index has the device's loop run on the CPU."""
    X, y = make_data(3)
    X_val, y_val = make_data(3, 30, seed=9)
    settings = TrainingSettings(max_iter=30, batch_size=16, learning_rate_init=0.01, **given)
    task = TrainingTask(
        make_network(3), X, y, X_val=X_val, y_val=y_val, random_state=np.random.RandomState(3)
    )
    [whole] = train([replace(task, random_state=3)], settings, device=device)
    parts = in_parts(task, settings, device=device)
    last = parts[-1]
    assert [part.n_epochs for part in parts] == [3, 1, 5, whole.n_epochs - 9]
    assert last.paused is None
    assert whole.n_epochs > 9
    assert last.converged == whole.converged
    for name in ("weights", "biases"):
        for a, b in zip(getattr(last.network, name), getattr(whole.network, name), strict=True):
            np.testing.assert_array_equal(a, b)
    assert last.optimizer.n_steps == whole.optimizer.n_steps
    for curve in ("loss_curve", "validation_accuracies"):
        assert sum((getattr(part, curve) for part in parts), ()) == getattr(whole, curve)


def test_a_stopping_rule_does_not_end_a_training_before_its_pause(make_data, make_network):
    X, y = make_data(3)
    task = TrainingTask(make_network(3), X, y, random_state=0)
    settings = TrainingSettings(max_iter=50, tol=10.0, n_iter_no_change=2)
    [whole] = train([task], settings)
    assert (whole.n_epochs, whole.converged) == (4, True)  # the first epoch alone is an improvement
    [first] = train([task], replace(settings, pause_at=20))
    assert first.n_epochs == first.paused.n_epochs == 20
    task = replace(task, network=first.network, optimizer=first.optimizer)
    [at_once] = train([replace(task, begun=first.paused)], settings)
    assert at_once.n_epochs == 0
    # What is cut begins to count anew.
    [anew] = train([replace(task, begun=first.paused.after_cut())], settings)
    assert anew.n_epochs == 4


def test_a_cut_forgets_the_best_and_what_was_counted():
    rule = StoppingRule(0.1, 3, True)
    rule.update(0.5, 0.9)
    rule.update(0.5, 0.9)
    cut = Pause(7, rule, np.arange(3), ("weights",)).after_cut()
    assert (cut.n_epochs, cut.best, cut.rule.best) == (7, None, -np.inf)
    assert (cut.rule.tol, cut.rule.n_iter_no_change, cut.rule.early_stopping) == (0.1, 3, True)
    assert cut.begin() is not cut.rule
    assert rule.n_without_improvement == 1


def make_net(**given):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 3)).double()
    given = {"lr": 0.02, "batch_size": 16, "train_split": None, "verbose": 0} | given
    net = NeuralNetClassifier(
        module, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, **given
    )
    return net.initialize()


def skorch_in_parts(net, X, y, settings, pauses=PAUSES, between=lambda net: net, **given):
    begun, n_epochs, random = None, [], np.random.RandomState(3)
    for pause in (*pauses, None):
        n, begun = train_with_skorch(
            net, X, y, replace(settings, pause_at=pause), random_state=random, begun=begun, **given
        )
        n_epochs.append(n)
        if pause is not None:
            net = between(copy_net(net))
    return net, n_epochs


STEP = LRScheduler(policy=rates.StepLR, step_size=4, gamma=0.5)
CYCLE = LRScheduler(policy=rates.OneCycleLR, max_lr=0.1, total_steps=20)
CYCLE_OF_BATCHES = LRScheduler(
    policy=rates.OneCycleLR, max_lr=0.1, total_steps=120, step_every="batch"
)


@pytest.mark.parametrize(
    ("given", "callbacks"),
    [
        ({}, []),
        ({"learning_rate": "cosine"}, []),
        ({"early_stopping": True, "n_iter_no_change": 9}, []),
        ({}, [STEP]),
        ({}, [CYCLE]),
        ({}, [CYCLE_OF_BATCHES]),
    ],
)
def test_skorchs_loop_goes_on_as_if_it_had_not_paused(given, callbacks, make_data):
    X, y = make_data(3)
    X_val, y_val = make_data(3, 30, seed=9)
    settings = TrainingSettings(max_iter=20, **{"n_iter_no_change": 10**9} | given)
    whole, parts = (make_net(callbacks=deepcopy(callbacks)) for _ in range(2))
    watched = {"X_val": X_val, "y_val": y_val}
    before = torch.get_rng_state()
    n_whole, _ = train_with_skorch(whole, X, y, settings, random_state=3, **watched)
    parts, n_epochs = skorch_in_parts(parts, X, y, settings, **watched)
    assert torch.equal(before, torch.get_rng_state())
    assert n_epochs == [3, 1, 5, n_whole - 9]
    for a, b in zip(whole.module_.parameters(), parts.module_.parameters(), strict=True):
        assert torch.equal(a, b)
    for name in ("epoch", "train_loss", "valid_acc"):
        assert parts.history[:, name] == whole.history[:, name]
    [rate], [same] = ([g["lr"] for g in net.optimizer_.param_groups] for net in (parts, whole))
    assert rate == same


@pytest.mark.parametrize("policy", ["step", "sequence"])
def test_a_schedule_sets_the_rates_of_the_net_that_was_cut(policy, make_data):
    """Surgery makes another optimizer; the schedule follows it."""
    X, y = make_data(3)

    def make(optimizer, last_epoch=-1):
        parts = [rates.StepLR(optimizer, 1, gamma=gamma) for gamma in (0.9, 0.5)]
        return rates.SequentialLR(optimizer, parts, [5]) if policy == "sequence" else parts[0]

    scheduler = LRScheduler(policy=make)

    def cut(net):
        module = deepcopy(net.module_)
        module[0], module[3] = nn.Linear(5, 4).double(), nn.Linear(4, 3).double()
        rows = np.arange(4)
        kept = {"0.weight": (rows, None), "0.bias": (rows,), "3.weight": (None, rows)}
        return rebuild_optimizer(net, module, kept)

    settings = TrainingSettings(max_iter=6, n_iter_no_change=10**9)
    whole = make_net(callbacks=[deepcopy(scheduler)])
    train_with_skorch(whole, X, y, settings, random_state=3)
    net, _ = skorch_in_parts(make_net(callbacks=[scheduler]), X, y, settings, (2,), between=cut)
    assert net.module_[0].out_features == 4
    assert net.history[:, "event_lr"] == whole.history[:, "event_lr"]
    [group] = net.optimizer_.param_groups
    [same] = whole.optimizer_.param_groups
    assert group["lr"] == same["lr"]
    assert group["lr"] < 0.02


def test_a_callback_that_ends_the_training_ends_it_before_the_pause(make_data):
    X, y = make_data(3)
    net = make_net(callbacks=[EarlyStopping("train_loss", patience=2, threshold=100.0)])
    settings = TrainingSettings(max_iter=50, n_iter_no_change=10**9, pause_at=30)
    n_epochs, paused = train_with_skorch(net, X, y, settings, random_state=0)
    assert n_epochs == paused.n_epochs < 30


def test_both_loops_pause_alike(make_data, make_network):
    """The twin: skorch's loop in the engine's order of rows."""
    X, y = make_data(3)
    settings = TrainingSettings(max_iter=8, batch_size=90, learning_rate="cosine", tol=-1)
    network = make_network(3)
    results = in_parts(TrainingTask(network, X, y, random_state=3), settings, (2, 5))
    net = net_from_training(network, settings)
    net, n_epochs = skorch_in_parts(net, X, y, settings, (2, 5))
    assert n_epochs == [result.n_epochs for result in results]
    np.testing.assert_allclose(
        flatten(network_from_module(net.module_)), flatten(results[-1].network), rtol=0, atol=1e-8
    )
