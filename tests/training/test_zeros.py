"""Weights that are zero as a training begins are so at its end, exactly, whatever trains."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz.networks._dense import DenseNetwork
from sklearn_capoz.training import (
    OptimizerState,
    TrainingSettings,
    TrainingTask,
    ZerosStay,
    initial_network,
    train,
)
from sklearn_capoz.training._device import train_on_device
from sklearn_capoz.training._optimizer import flatten, unflatten
from sklearn_capoz.training._skorch_loop import train_with_skorch
from sklearn_capoz.training._trainee import Trainee

X = np.random.RandomState(0).randn(60, 5)
Y = np.arange(60) % 3


def masked(network: DenseNetwork, share: float, seed: int = 0) -> DenseNetwork:
    random = np.random.RandomState(seed)
    weights = tuple(np.where(random.rand(*w.shape) < share, 0, w) for w in network.weights)
    return replace(network, weights=tuple(w.astype(network.dtype) for w in weights))


def old_moments(network: DenseNetwork, solver: str) -> OptimizerState:
    """Moments as if all weights had been trained until now."""
    random = np.random.RandomState(1)
    n_moments = 2 if solver == "adam" else 1
    vectors = [np.abs(random.randn(network.n_parameters)) for _ in range(n_moments)]
    return OptimizerState(
        tuple(unflatten(v.astype(network.dtype), network) for v in vectors), n_steps=50
    )


@settings(max_examples=40, deadline=None)
@given(
    widths=st.sampled_from([(), (6,), (6, 4)]),
    share=st.sampled_from([0.2, 0.7, 0.95, 1.0]),
    solver=st.sampled_from(["adam", "sgd"]),
    dtype=st.sampled_from([np.float32, np.float64]),
    alpha=st.sampled_from([0.0, 1.0]),
    momentum=st.sampled_from([0.0, 0.9]),
    nesterovs_momentum=st.booleans(),
    dropout=st.sampled_from([0.0, 0.5]),
    early_stopping=st.booleans(),
    distils=st.booleans(),
    on_device=st.booleans(),
    seed=st.integers(0, 5),
)
def test_the_engine_keeps_zeros(
    widths, share, solver, dtype, dropout, early_stopping, distils, on_device, seed, **given
):  # fmt: skip
    network = masked(initial_network(5, widths, 3, "relu", seed, dtype), share, seed)
    rule = TrainingSettings(
        solver=solver, dropout=dropout, early_stopping=early_stopping, max_iter=3, batch_size=16,
        learning_rate_init=0.05, distillation=0.5 if distils else 0.0, zeros_stay=True, **given,
    )  # fmt: skip
    task = TrainingTask(
        network, X, Y, X_val=X, y_val=Y, optimizer=old_moments(network, solver),
        teacher=np.random.RandomState(2).randn(60, 3), random_state=seed,
    )  # fmt: skip
    if on_device:
        trainee = Trainee(task, rule)
        train_on_device([trainee], rule, "cpu", lambda n: None)
        result = trainee.result()
    else:
        [result] = train([task], rule)
    for old, new, *moments in zip(
        network.weights,
        result.network.weights,
        *(moment.weights for moment in result.optimizer.moments),
        strict=True,
    ):
        assert (new[old == 0] == 0).all()
        assert all((moment[old == 0] == 0).all() for moment in moments)
        assert (new[old != 0] != 0).all()
    # Biases are no connections: those of units that get nothing move as well.
    assert not np.array_equal(result.network.biases[-1], network.biases[-1])


def test_without_the_setting_zeros_are_weights_as_others():
    network = masked(initial_network(5, (6,), 3, "relu", 0, np.float64), 0.5)
    task = TrainingTask(network, X, Y, random_state=0)
    [result] = train([task], TrainingSettings(max_iter=2))
    assert all((weight != 0).mean() > 0.9 for weight in result.network.weights)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_without_a_zero_nothing_changes(solver):
    network = initial_network(5, (6,), 3, "relu", 0, np.float64)
    rule = TrainingSettings(solver=solver, max_iter=4, batch_size=16)
    vectors = [
        flatten(train([TrainingTask(network, X, Y, random_state=0)], each)[0].network)
        for each in (rule, replace(rule, zeros_stay=True))
    ]
    np.testing.assert_array_equal(*vectors)


def test_a_masked_network_trains_as_a_narrower_one():
    """Whose dead unit has neither inputs nor outputs, and so no part in anything."""
    narrow = initial_network(5, (3,), 3, "tanh", 0, np.float64)
    wide = DenseNetwork(
        (
            np.insert(narrow.weights[0], 1, 0, axis=1),
            np.insert(narrow.weights[1], 1, 0, axis=0),
        ),
        (np.insert(narrow.biases[0], 1, 0), narrow.biases[1]),
        narrow.activations,
    )
    rule = TrainingSettings(max_iter=5, batch_size=16, alpha=0.1, zeros_stay=True)
    small, large = (
        train([TrainingTask(network, X, Y, random_state=0)], rule)[0].network
        for network in (narrow, wide)
    )
    np.testing.assert_allclose(np.delete(large.weights[0], 1, axis=1), small.weights[0], atol=1e-9)
    np.testing.assert_allclose(np.delete(large.weights[1], 1, axis=0), small.weights[1], atol=1e-9)


class Mixing(torch.optim.SGD):
    """Moves every weight of a parameter by the mean of its gradients, as no mask would have it."""

    def step(self, closure=None):
        loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter -= group["lr"] * (parameter.grad.mean() + 0.1)
        return loss


OPTIMIZERS = {
    "sgd": {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9,
            "optimizer__weight_decay": 0.1},
    "adamw": {"optimizer": torch.optim.AdamW, "optimizer__weight_decay": 0.1},
    "amsgrad": {"optimizer": torch.optim.Adam, "optimizer__amsgrad": True},
    "rmsprop": {"optimizer": torch.optim.RMSprop, "optimizer__momentum": 0.9,
                "optimizer__centered": True},
    "lbfgs": {"optimizer": torch.optim.LBFGS, "batch_size": -1, "lr": 1e-3},
    "mixing": {"optimizer": Mixing},
}  # fmt: skip


def make_net(**given):
    module = nn.Sequential(
        nn.Unflatten(1, (1, 5)), nn.Conv1d(1, 4, 2), nn.BatchNorm1d(4), nn.ReLU(),
        nn.ConvTranspose1d(4, 4, 2, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3),
    )  # fmt: skip
    given = {"lr": 0.05, "max_epochs": 3, "batch_size": 16} | given
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for part in module:
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()
        net = NeuralNetClassifier(
            module, criterion=nn.CrossEntropyLoss, train_split=None, verbose=0, **given
        ).initialize()
        net.partial_fit(X.astype(np.float32), Y)  # moments of all weights
        with torch.no_grad():
            for part in (1, 4, 7):
                weight = net.module_[part].weight
                weight[torch.rand_like(weight) < 0.6] = 0
    return net


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_skorchs_loop_keeps_zeros(name, early_stopping):
    net = make_net(**OPTIMIZERS[name])
    old = {key: value.clone() for key, value in net.module_.state_dict().items()}
    rule = TrainingSettings(max_iter=3, zeros_stay=True, early_stopping=early_stopping)
    train_with_skorch(
        net, X.astype(np.float32), Y, rule, X_val=X.astype(np.float32), y_val=Y, random_state=0
    )
    for key, value in net.module_.state_dict().items():
        if key.split(".")[0] in "147" and key.endswith("weight"):
            assert torch.equal(value == 0, old[key] == 0)
            assert not torch.equal(value, old[key])
    assert not torch.equal(net.module_[2].bias, old["2.bias"])
    assert not any(isinstance(part, ZerosStay) for _, part in net.callbacks_)


def test_the_callback_is_for_any_net():
    net = make_net(callbacks=[ZerosStay()])
    old = net.module_[7].weight.detach().clone()
    net.partial_fit(X.astype(np.float32), Y)
    assert torch.equal(net.module_[7].weight == 0, old == 0)
    weight = net.module_[7].weight
    for value in net.optimizer_.state[weight].values():
        assert value is None or (value[old == 0] == 0).all()
