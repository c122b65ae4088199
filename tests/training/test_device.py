"""The batched engine, run by torch on the CPU, against the compiled one."""

import numpy as np
import pytest
import torch

from sklearn_capoz.training import _engine
from sklearn_capoz.training._device import train_on_device
from sklearn_capoz.training._engine import TrainingSettings, TrainingTask, initial_network, train
from sklearn_capoz.training._optimizer import flatten
from sklearn_capoz.training._trainee import Trainee


def make_tasks(n_classes, activation, dtype=np.float64):
    """Networks of several widths on two data sets of different size, some sharing X."""
    tasks = []
    for seed, (widths, n) in enumerate([((5, 4), 60), ((3, 4), 60), ((5, 1), 60), ((2, 2), 45)]):
        random = np.random.RandomState(seed if n == 45 else 0)
        X = random.standard_normal((60, 4)).astype(dtype)[:n]
        y = random.randint(0, n_classes, n)
        output = "logistic" if n_classes == 2 else "softmax"
        network = initial_network(4, widths, n_classes, activation, seed, dtype, output)
        tasks.append(
            TrainingTask(
                network, X, y, np.linspace(1, 2, n) if seed % 2 else None, X[:20], y[:20],
                teacher=random.standard_normal((n, network.biases[-1].size)), random_state=seed,
            )
        )  # fmt: skip
    tasks[1].X = tasks[0].X
    return tasks


def on_device(tasks, settings, device="cpu", report=lambda n: None):
    trainees = [Trainee(task, settings) for task in tasks]
    train_on_device(trainees, settings, device, report)
    return [trainee.result() for trainee in trainees]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize(
    "changes",
    [
        {"tol": 2e-2, "n_iter_no_change": 2},
        {"solver": "sgd", "distillation": 0.4, "learning_rate": "cosine"},
        {"dropout": 0.3, "alpha": 0.5},
        {"early_stopping": True, "n_iter_no_change": 2, "distillation": 1.0},
    ],
)
def test_agrees_with_the_compiled_engine(n_classes, activation, changes):
    settings = TrainingSettings(batch_size=16, max_iter=20, learning_rate_init=0.01, **changes)
    counts = []
    batched = on_device(make_tasks(n_classes, activation), settings, report=counts.append)
    compiled = train(make_tasks(n_classes, activation), settings)
    assert sum(counts) == sum(result.n_epochs for result in batched)
    for a, b in zip(batched, compiled, strict=True):
        assert (a.n_epochs, a.converged) == (b.n_epochs, b.converged)
        assert a.optimizer.n_steps == b.optimizer.n_steps
        for name in ("loss_curve", "validation_losses", "validation_accuracies"):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=0, atol=1e-8)
        assert a.network.widths == b.network.widths
        np.testing.assert_allclose(flatten(a.network), flatten(b.network), rtol=0, atol=1e-8)
        for ours, theirs in zip(a.optimizer.moments, b.optimizer.moments, strict=True):
            np.testing.assert_allclose(flatten(ours), flatten(theirs), rtol=0, atol=1e-8)


def test_float32_and_continued_moments():
    settings = TrainingSettings(batch_size=16, max_iter=3)
    tasks = make_tasks(3, "relu", np.float32)
    states = [result.optimizer for result in train(tasks, settings)]
    results = []
    for run in (on_device, train):
        again = make_tasks(3, "relu", np.float32)
        for task, state in zip(again, states, strict=True):
            task.optimizer = state
        results.append(run(again, settings))
    for a, b in zip(*results, strict=True):
        assert a.network.dtype == np.float32
        np.testing.assert_allclose(a.loss_curve, b.loss_curve, rtol=1e-5)


def test_train_sends_other_devices_here(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "sklearn_capoz.training._device.train_on_device",
        lambda trainees, settings, device, report: seen.append(device),
    )
    _engine.train(make_tasks(3, "relu"), TrainingSettings(), device="cuda")
    assert seen == ["cuda"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_agrees_with_the_cpu():
    settings = TrainingSettings(batch_size=16, max_iter=20)
    for a, b in zip(
        train(make_tasks(3, "relu"), settings, device="cuda"),
        train(make_tasks(3, "relu"), settings),
        strict=True,
    ):
        np.testing.assert_allclose(a.loss_curve, b.loss_curve, rtol=0, atol=1e-8)
