"""Networks that learn from each other: against one alone, by hand, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sklearn_capoz.training import TrainingSettings, TrainingTask, train, train_mutually

SETTINGS = TrainingSettings(
    batch_size=32, max_iter=4, distillation=0.6, temperature=3.0, learning_rate_init=0.01
)


def make_tasks(make_data, make_network, widths, n_classes=3, **given):
    X, y = make_data(n_classes)
    return [
        TrainingTask(make_network(n_classes, (width,), seed=i), X, y, random_state=i, **given)
        for i, width in enumerate(widths)
    ]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_one_network_trains_as_if_alone(
    make_data, make_network, assert_same_network, dropout, solver
):
    settings = replace(SETTINGS, dropout=dropout, solver=solver)
    [together] = train_mutually(make_tasks(make_data, make_network, (6,)), settings)
    [alone] = train(make_tasks(make_data, make_network, (6,)), replace(settings, distillation=0.0))
    assert_same_network(together.network, alone.network)
    for ours, theirs in zip(together.optimizer.moments, alone.optimizer.moments, strict=True):
        assert_same_network(ours, theirs)
    np.testing.assert_allclose(together.loss_curve, alone.loss_curve, rtol=1e-14)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_one_step_is_that_of_torch(make_data, make_network, n_classes):
    """Every network's gradient, with all others as they were before the step."""
    tasks = make_tasks(make_data, make_network, (6, 4, 5), n_classes)
    share, T, rate = 0.6, 3.0, 0.1
    settings = TrainingSettings(
        "sgd", 0.0, batch_size=90, max_iter=1, momentum=0.0, learning_rate_init=rate,
        distillation=share, temperature=T,
    )  # fmt: skip
    found = train_mutually(tasks, settings)

    y = torch.from_numpy(tasks[0].y)
    parameters, logits = [], []
    for task in tasks:
        arrays = [*task.network.weights, *task.network.biases]
        own = [torch.from_numpy(array.copy()).requires_grad_() for array in arrays]
        hidden = torch.relu(torch.from_numpy(task.X) @ own[0] + own[2])
        out = hidden @ own[1] + own[3]
        parameters.append(own)
        logits.append(torch.hstack([torch.zeros_like(out), out]) if n_classes == 2 else out)
    for k, (own, result) in enumerate(zip(parameters, found, strict=True)):
        loss = (1 - share) * torch.nn.functional.cross_entropy(logits[k], y)
        for other in range(len(tasks)):
            if other != k:
                target = torch.softmax(logits[other].detach() / T, 1)
                divergence = torch.nn.functional.kl_div(
                    torch.log_softmax(logits[k] / T, 1), target, reduction="batchmean"
                )
                loss = loss + share * T**2 / (len(tasks) - 1) * divergence
        assert result.loss_curve[0] == pytest.approx(loss.item())
        gradients = torch.autograd.grad(loss, own)
        arrays = (*result.network.weights, *result.network.biases)
        for array, before, gradient in zip(arrays, own, gradients, strict=True):
            expected = (before - rate * gradient).detach().numpy()
            np.testing.assert_allclose(array, expected, atol=1e-12)


def test_the_same_seed_gives_the_same_networks_and_tasks_stay_as_they_were(
    make_data, make_network, assert_same_network
):
    tasks = make_tasks(make_data, make_network, (6, 3))
    before = [task.network.weights[0].copy() for task in tasks]
    found = [train_mutually(tasks, SETTINGS) for _ in range(2)]
    for one, other in zip(*found, strict=True):
        assert_same_network(one.network, other.network)
    for task, weights in zip(tasks, before, strict=True):
        np.testing.assert_array_equal(task.network.weights[0], weights)


def test_all_train_until_the_last_has_finished(make_data, make_network):
    settings = replace(SETTINGS, max_iter=40, early_stopping=True, n_iter_no_change=2)
    X_val, y_val = make_data(3, 30, seed=9)
    tasks = make_tasks(make_data, make_network, (6, 1), X_val=X_val, y_val=y_val)
    first, second = train_mutually(tasks, settings)
    assert first.n_epochs == second.n_epochs == len(first.validation_accuracies)


def test_other_samples_are_refused(make_data, make_network):
    tasks = make_tasks(make_data, make_network, (6, 3))
    X, y = make_data(3, 60)
    with pytest.raises(ValueError, match="need the same samples and the same outputs"):
        train_mutually([tasks[0], replace(tasks[1], X=X, y=y)], SETTINGS)
