"""The skorch net of an engine's network, and skorch nets after surgery."""

import pickle
from contextlib import nullcontext
from copy import deepcopy

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz.networks._module import MLPModule, network_from_module
from sklearn_capoz.training._engine import TrainingSettings, TrainingTask, initial_network, train
from sklearn_capoz.training._optimizer import flatten
from sklearn_capoz.training._optimizer_surgery import rebuild_optimizer
from sklearn_capoz.training._skorch_net import (
    MLPNet,
    check_device,
    net_from_training,
)


def make_data(n_classes=3, dtype=np.float64):
    random = np.random.RandomState(0)
    X = random.standard_normal((60, 5)).astype(dtype)
    return X, random.randint(0, n_classes, 60)


def trained_net(settings, n_classes=3, dtype=np.float64, **kwargs):
    X, y = make_data(n_classes, dtype)
    output = "logistic" if n_classes == 2 else "softmax"
    network = initial_network(5, (6,), n_classes, "relu", 0, dtype, output)
    task = TrainingTask(network, X, y, X_val=X, y_val=y, random_state=0)
    [result] = train([task], settings)
    net = net_from_training(
        result.network,
        settings,
        optimizer=result.optimizer,
        loss_curve=result.loss_curve,
        validation_losses=result.validation_losses,
        validation_accuracies=result.validation_accuracies,
        **kwargs,
    )
    return net, result


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predicts_what_the_network_predicts(n_classes, dtype):
    X, _ = make_data(n_classes, dtype)
    net, result = trained_net(TrainingSettings(max_iter=5), n_classes, dtype)
    logits = result.network.forward(X)[-1]
    before = torch.get_rng_state()
    np.testing.assert_allclose(
        net.predict_proba(X), result.network.probabilities(logits), rtol=1e-5
    )
    np.testing.assert_array_equal(net.predict(X), result.network.labels(logits))
    assert torch.equal(torch.get_rng_state(), before)
    assert net.predict_proba(X).dtype == dtype
    np.testing.assert_array_equal(net.classes_, np.arange(n_classes))


def test_history_is_the_engines():
    net, result = trained_net(TrainingSettings(max_iter=5))
    assert net.history[:, "train_loss"] == list(result.loss_curve)
    assert net.history[:, "valid_loss"] == list(result.validation_losses)
    assert net.history[:, "valid_acc"] == list(result.validation_accuracies)
    assert net.history[:, "epoch"] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "changes",
    [
        {"solver": "adam", "alpha": 0.5},
        {"solver": "sgd", "learning_rate_init": 0.05},
        {"solver": "sgd", "nesterovs_momentum": False},
    ],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_partial_fit_goes_on_where_the_engine_stopped(changes, n_classes):
    settings = TrainingSettings(max_iter=4, batch_size=25, shuffle=False, **changes)
    X, y = make_data(n_classes)
    net, result = trained_net(settings, n_classes)
    [more] = train([TrainingTask(result.network, X, y, optimizer=result.optimizer)], settings)
    net.partial_fit(X, y)
    np.testing.assert_allclose(net.history[-4:, "train_loss"], more.loss_curve, rtol=0, atol=1e-8)
    np.testing.assert_allclose(
        flatten(network_from_module(net.module_)), flatten(more.network), rtol=0, atol=1e-8
    )


def test_a_clone_has_the_same_shape_and_can_be_fitted(capsys):
    net, _ = trained_net(TrainingSettings(max_iter=2))
    X, y = make_data()
    again = clone(net).fit(X, y)
    assert network_from_module(again.module_).widths == (6,)
    assert again.history[-1, "train_loss"] < again.history[0, "train_loss"]
    assert capsys.readouterr().out == ""


def test_pickles_with_its_moments():
    net, _ = trained_net(TrainingSettings(max_iter=2, shuffle=False))
    X, y = make_data()
    again = pickle.loads(pickle.dumps(net))
    for each in (net, again):
        each.partial_fit(X, y)
    assert net.history[:, "train_loss"] == again.history[:, "train_loss"]


class Norm(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.first = nn.Linear(5, width)
        self.norm = nn.BatchNorm1d(width)
        self.last = nn.Linear(width, 3)

    def forward(self, X):
        return self.last(torch.relu(self.norm(self.first(X))))


def pretrained(optimizer=torch.optim.Adam, **kwargs):
    X, y = make_data(dtype=np.float32)
    torch.manual_seed(0)
    net = NeuralNetClassifier(
        Norm, criterion=nn.CrossEntropyLoss, optimizer=optimizer, lr=0.01, max_epochs=2,
        train_split=None, verbose=0, **kwargs,
    )  # fmt: skip
    return net.fit(X, y), X, y


def cut_module(module, keep):
    new = Norm(len(keep))
    new.first.weight.data = module.first.weight.data[keep]
    new.first.bias.data = module.first.bias.data[keep]
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(new.norm, name).data = getattr(module.norm, name).data[keep]
    new.last.weight.data = module.last.weight.data[:, keep]
    new.last.bias.data = module.last.bias.data.clone()
    return new


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD])
def test_rebuilt_optimizer_holds_the_surviving_moments(optimizer):
    momentum = {} if optimizer is torch.optim.Adam else {"optimizer__momentum": 0.9}
    net, X, y = pretrained(
        optimizer, optimizer__param_groups=[("last*", {"lr": 0.003})], **momentum
    )
    net.optimizer_.param_groups[0]["lr"] = 0.007  # as a scheduler would
    old_state = deepcopy(net.optimizer_.state_dict())
    old_weights = deepcopy(net.module_.state_dict())
    keep = np.array([0, 2, 3])
    one = (keep,)
    new = rebuild_optimizer(
        net,
        cut_module(net.module_, keep),
        {
            "first.weight": (keep, None), "first.bias": one, "norm.weight": one,
            "norm.bias": one, "last.weight": (None, keep),
        },
    )  # fmt: skip

    name = "exp_avg" if optimizer is torch.optim.Adam else "momentum_buffer"
    for attribute, index in [("first", (keep,)), ("last", (slice(None), keep))]:
        old = net.optimizer_.state[getattr(net.module_, attribute).weight]
        now = new.optimizer_.state[getattr(new.module_, attribute).weight]
        assert torch.equal(now[name], old[name][index])
        assert old.get("step") == now.get("step")
    bias = new.module_.last.bias
    assert torch.equal(
        new.optimizer_.state[bias][name], net.optimizer_.state[net.module_.last.bias][name]
    )
    assert [group["lr"] for group in new.optimizer_.param_groups] == [0.007, 0.01]

    before = deepcopy(new.module_.state_dict())
    new.partial_fit(X, y)
    for key, value in new.module_.state_dict().items():
        # batch norm takes the mean away, and with it what the bias before it could do
        assert key == "first.bias" or not torch.equal(value, before[key]), f"{key} did not move"
    # the original stays as it was
    for key, value in net.module_.state_dict().items():
        assert torch.equal(value, old_weights[key])
    for a, b in zip(
        net.optimizer_.state_dict()["state"].values(), old_state["state"].values(), strict=True
    ):
        assert all(torch.equal(a[key], b[key]) for key in b)
    assert new.history is not net.history


@pytest.mark.parametrize(
    ("n_devices", "device", "message"),
    [
        (0, "cuda", "device='cuda': torch finds no CUDA device here; use device='cpu'"),
        (2, "cuda:2", "device='cuda:2': torch finds 2 CUDA devices here, counted from 0"),
        (2, "gpu", "device='gpu' is none of torch's: Expected one of cpu, cuda"),
        (2, "cuda:1", None),
        (0, "cpu", None),
        (0, torch.device("cpu"), None),
    ],
)
def test_devices_are_those_that_torch_finds(monkeypatch, n_devices, device, message):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_devices)
    with nullcontext() if message is None else pytest.raises(ValueError, match=message):
        check_device(device)


def test_default_net_is_quiet_and_has_the_modules_parameters():
    net = MLPNet(module__n_features=5, module__hidden_layer_sizes=(6,), module__n_classes=3)
    assert net.get_params()["alpha"] == 1e-4
    assert net.module is MLPModule
    assert net.verbose == 0
