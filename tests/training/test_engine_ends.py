"""How a training ends: refused, interrupted, diverging, or with numbers near zero."""

import platform
import re

import numpy as np
import pytest

from sklearn_capoz.training._engine import TrainingSettings, TrainingTask, initial_network, train
from sklearn_capoz.training._optimizer import OptimizerState, unflatten
from sklearn_capoz.training._trainee import Trainee


def test_on_epoch_counts_every_epoch_of_every_network(different_tasks):
    counts = []
    results = train(
        different_tasks(), TrainingSettings(max_iter=7, batch_size=32), on_epoch=counts.append
    )
    assert sum(counts) == sum(result.n_epochs for result in results)


def test_interrupt_reaches_the_caller(different_tasks):
    def interrupt(n):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(different_tasks(), TrainingSettings(max_iter=10**6, tol=-1), on_epoch=interrupt)


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({}, {"early_stopping": True}, "give X_val and y_val"),
        ({}, {"distillation": 0.5}, "needs the teacher's logits"),
        (
            {"teacher": np.zeros((90, 2))},
            {"distillation": 0.5},
            r"one column for each of the 3 outputs, got shape \(90, 2\)",
        ),
        ({"sample_weight": np.zeros(90)}, {}, "All sample weights are zero"),
        ({"sample_weight": np.ones(89)}, {}, r"sample_weight must have .* got shape \(89,\)"),
        ({"sample_weight": -np.ones(90)}, {}, "finite and not negative"),
        ({"X": np.zeros((90, 4))}, {}, r"X must have 5 columns .* got shape \(90, 4\)"),
        ({"X": np.zeros((90, 6))}, {}, "X must have 5 columns"),
        ({"X": np.zeros(90)}, {}, "X must have 5 columns"),
        ({"X": np.zeros((80, 5))}, {}, r"y must have one value for each of the 80 rows"),
        ({"y": np.zeros((90, 1))}, {}, "y must have one value"),
        ({"y": np.full(90, 3)}, {}, "index of a class, 0 to 2"),
        ({"y": np.full(90, -1)}, {}, "it reaches from -1 to -1"),
        ({"y": np.full(90, 0.5)}, {}, "index of a class"),
        ({"X_val": np.zeros((9, 4)), "y_val": np.zeros(9)}, {}, "X must have 5 columns"),
        ({"X_val": np.zeros((9, 5)), "y_val": np.zeros(8)}, {}, "y must have one value"),
        ({"X_val": np.zeros((9, 5)), "y_val": np.full(9, 7)}, {}, "index of a class"),
        ({"teacher": np.zeros((80, 3))}, {"distillation": 0.5}, "have 80 rows, X has 90"),
        (
            {"optimizer": ((6,), "sgd")},
            {},
            "keeps 2 moments, the given optimizer state has 1",
        ),
        (
            {"optimizer": ((2,), "adam")},
            {},
            "moments of another shape",
        ),
    ],
)
def test_refusals(changes, settings, message, make_data, make_network):
    X, y = make_data(3)
    if "optimizer" in changes:
        widths, solver = changes["optimizer"]
        changes = {"optimizer": OptimizerState.zeros(make_network(3, widths), solver)}
    task = TrainingTask(make_network(), **({"X": X, "y": y} | changes))
    with pytest.raises(ValueError, match=message):
        train([task], TrainingSettings(**settings))


def test_two_tasks_may_not_share_a_generator(different_tasks):
    tasks = different_tasks()
    tasks[0].random_state = tasks[1].random_state = np.random.RandomState(0)
    with pytest.raises(ValueError, match="RandomState of its own"):
        train(tasks, TrainingSettings())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate", [1e6, 1e30])
def test_divergence_is_an_error_with_a_remedy(rate, dtype, make_data, make_network):
    """Also where the weights are finite, 1e157 for example, and only their products are not."""
    X, y = make_data(3, dtype=dtype)
    task = TrainingTask(make_network(dtype=dtype), X * dtype(1e18), y, random_state=0)
    settings = TrainingSettings(solver="sgd", learning_rate_init=rate, max_iter=50)
    message = rf"not finite.*lower learning_rate_init \(it was {re.escape(str(rate))}\)"
    with pytest.raises(ValueError, match=message):
        train([task], settings)


def test_divergence_in_the_last_step_is_found(make_data, make_network):
    """The loss of an epoch is that of the weights before it: it is still finite here."""
    X, y = make_data(3)
    task = TrainingTask(make_network(), X * 1e100, y, random_state=0)
    settings = TrainingSettings(solver="sgd", learning_rate_init=1e200, max_iter=1)
    with pytest.raises(ValueError, match=r"outputs that are not finite.*\(it was 1e\+200\)"):
        train([task], settings)


def test_early_stopping_gives_back_what_was_before_the_divergence(
    make_data, make_network, assert_same_network
):
    X, y = make_data(3)
    task = TrainingTask(make_network(), X, y, X_val=X, y_val=y, random_state=0)
    trainee = Trainee(task, TrainingSettings(early_stopping=True))
    assert trainee.record(1.0, (1.0, 0.9))
    trainee.best = (trainee.parameters.copy(), trainee.moments.copy(), 1)
    assert not trainee.record(np.nan, (np.nan, 0.3))
    trainee.parameters[:] = np.nan
    assert_same_network(trainee.result().network, task.network)


def test_not_the_learning_rate_is_blamed_for_nan_in_x(make_data, make_network):
    X, y = make_data(3)
    X[3, 2] = np.nan
    with pytest.raises(ValueError, match="as X holds NaN or infinity"):
        train([TrainingTask(make_network(), X, y, random_state=0)], TrainingSettings(max_iter=3))


@pytest.mark.parametrize("widths", [(6,), (2000,)], ids=["loops", "BLAS"])
def test_denormal_inputs_are_zero(widths, make_data, make_network, assert_same_network):
    """Products with them take a hundred times as long, and no layer tells them from zero."""
    X, y = make_data(3, dtype=np.float32)
    networks = []
    for data in (X * np.float32(1e-40), np.zeros_like(X)):
        task = TrainingTask(make_network(widths=widths, dtype=np.float32), data, y, random_state=0)
        [result] = train([task], TrainingSettings(max_iter=3))
        networks.append(result.network)
    assert_same_network(*networks)
    assert np.float32(1e-40) * np.float32(0.5) != 0  # the thread is as it was


def test_moments_do_not_stay_denormal(make_data, make_network):
    """Those of a unit that is never active only decay, and rounding would hold them up at 1e-45."""
    X, y = make_data(3, dtype=np.float32)
    network = make_network(dtype=np.float32)
    network.biases[0][0] = -1e6
    tiny = np.float32(1e-40)
    moments = tuple(unflatten(np.full(network.n_parameters, tiny), network) for _ in range(2))
    task = TrainingTask(network, X, y, optimizer=OptimizerState(moments, 10), random_state=0)
    [result] = train([task], TrainingSettings(max_iter=1, alpha=0.0))
    if platform.machine().lower() in {"x86_64", "amd64", "aarch64", "arm64"}:
        assert not result.optimizer.moments[0].weights[0][:, 0].any()


def test_logistic_output_is_for_two_classes():
    with pytest.raises(ValueError, match="2 classes, got n_classes=3"):
        initial_network(5, (6,), 3, "relu", 0, np.float64, "logistic")
