"""The engine against MLPClassifier, against itself, and its refusals."""

import threading

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from sklearn_capoz.training._engine import TrainingSettings, TrainingTask, train
from sklearn_capoz.training._optimizer import OptimizerState, flatten, unflatten


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("activation", "widths", "settings"),
    [
        ("relu", (6,), {}),
        ("tanh", (6, 4), {"batch_size": 32, "alpha": 0.1}),
        ("logistic", (4, 3, 3), {"batch_size": 200, "shuffle": False}),
        ("identity", (4,), {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-4}),
        ("relu", (6,), {"solver": "sgd", "learning_rate_init": 0.05, "batch_size": 16}),
        ("relu", (), {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5}),
    ],
)
def test_reproduces_mlpclassifier(
    n_classes, weighted, activation, widths, settings, make_data, make_network
):
    X, y = make_data(n_classes)
    weight = np.random.RandomState(1).uniform(0.1, 3, len(y)) if weighted else None
    kwargs = {"max_iter": 12, "tol": 1e-3, "n_iter_no_change": 3} | settings
    reference = MLPClassifier(widths, activation=activation, random_state=3, **kwargs)
    if kwargs.get("batch_size", 0) != 200:
        reference.fit(X, y, sample_weight=weight)
    else:
        with pytest.warns(UserWarning, match="clipped"):
            reference.fit(X, y, sample_weight=weight)

    random = np.random.RandomState(3)
    network = make_network(n_classes, widths, activation, random)
    [result] = train(
        [TrainingTask(network, X, y, weight, random_state=random)], TrainingSettings(**kwargs)
    )

    assert result.n_epochs == reference.n_iter_
    np.testing.assert_allclose(result.loss_curve, reference.loss_curve_, rtol=0, atol=1e-8)
    for ours, theirs in zip(
        (*result.network.weights, *result.network.biases),
        (*reference.coefs_, *reference.intercepts_),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-8)


def test_early_stopping_is_that_of_mlpclassifier(make_data, make_network):
    X, y = make_data(3, 200)
    kwargs = {"early_stopping": True, "n_iter_no_change": 3, "learning_rate_init": 0.05}
    reference = MLPClassifier((6,), random_state=3, max_iter=100, **kwargs).fit(X, y)

    # the same draws: first the weights, then the split, then the orders of the rows
    from sklearn.model_selection import train_test_split

    random = np.random.RandomState(3)
    network = make_network(3, seed=random)
    X_train, X_val, y_train, y_val = train_test_split(X, y, random_state=random, test_size=0.1)
    task = TrainingTask(network, X_train, y_train, X_val=X_val, y_val=y_val, random_state=random)
    [result] = train([task], TrainingSettings(max_iter=100, **kwargs))

    assert result.converged
    np.testing.assert_allclose(result.validation_accuracies, reference.validation_scores_)
    np.testing.assert_allclose(result.network.weights[0], reference.coefs_[0], rtol=0, atol=1e-8)
    # the moments are those of the best epoch as well
    n_batches = -(-len(y_train) // min(200, len(y_train)))
    assert result.optimizer.n_steps == n_batches * (
        1 + int(np.argmax(result.validation_accuracies))
    )


def test_validation_scores_are_weighted_cross_entropy_and_accuracy(make_data, make_network):
    X, y = make_data(3)
    weight = np.arange(len(y), dtype=float)
    network = make_network(3)
    task = TrainingTask(network, X, y, X_val=X, y_val=y, sample_weight_val=weight, random_state=0)
    [result] = train([task], TrainingSettings(max_iter=1))
    logits = result.network.forward(X)[-1]
    probability = result.network.probabilities(logits)[np.arange(len(y)), y]
    assert result.validation_losses == pytest.approx(
        [np.average(-np.log(probability), weights=weight)]
    )
    assert result.validation_accuracies == pytest.approx(
        [np.average(logits.argmax(axis=1) == y, weights=weight)]
    )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_integer_weights_equal_repeated_rows_and_zero_equals_absence(
    n_classes, make_data, make_network, assert_same_network
):
    X, y = make_data(n_classes)
    weight = np.random.RandomState(2).randint(0, 4, len(y))
    settings = TrainingSettings(batch_size=1000, max_iter=20)
    network = make_network(n_classes)
    repeated = np.repeat(np.arange(len(y)), weight)
    weighted, again = train(
        [
            TrainingTask(network, X, y, weight, random_state=0),
            TrainingTask(network, X[repeated], y[repeated], random_state=0),
        ],
        settings,
    )
    np.testing.assert_allclose(weighted.loss_curve, again.loss_curve, atol=1e-10)
    assert_same_network(weighted.network, again.network, atol=1e-8)


def test_rows_of_weight_zero_leave_no_trace_in_the_draws(
    make_data, make_network, assert_same_network
):
    X, y = make_data(3)
    weight = np.ones(len(y))
    weight[::3] = 0
    used = weight > 0
    a, b = train(
        [
            TrainingTask(make_network(), X, y, weight, random_state=0),
            TrainingTask(make_network(), X[used], y[used], random_state=0),
        ],
        TrainingSettings(batch_size=16, max_iter=5),
    )
    assert a.loss_curve == b.loss_curve
    assert_same_network(a.network, b.network)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_side_by_side_equals_one_by_one(solver, dropout, assert_same_network, different_tasks):
    settings = TrainingSettings(
        solver=solver, dropout=dropout, batch_size=32, max_iter=30, tol=3e-2,
        n_iter_no_change=2, learning_rate_init=0.01, learning_rate="cosine", distillation=0.4,
    )  # fmt: skip
    together = train(different_tasks(), settings)
    for task, result in zip(different_tasks(), together, strict=True):
        [alone] = train([task], settings)
        assert result.loss_curve == alone.loss_curve
        assert result.validation_losses == alone.validation_losses
        assert_same_network(result.network, alone.network)
    assert len({result.n_epochs for result in together}) > 1  # they did part


def test_threads_give_the_results_of_one_thread(monkeypatch, assert_same_network, different_tasks):
    from sklearn_capoz.training import _engine

    settings = TrainingSettings(batch_size=32, max_iter=10)
    monkeypatch.setattr(_engine, "effective_n_threads", lambda: 1)
    alone = train(different_tasks(), settings)
    monkeypatch.setattr(_engine, "effective_n_threads", lambda: 3)
    together = train(different_tasks(), settings)
    for a, b in zip(alone, together, strict=True):
        assert_same_network(a.network, b.network)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_batches_taken_in_parts_are_batches(
    monkeypatch, dropout, assert_same_network, different_tasks
):
    settings = TrainingSettings(
        batch_size=200, max_iter=5, distillation=0.3, dropout=dropout, learning_rate_init=0.01
    )
    whole = train(different_tasks(), settings)
    seen = []
    monkeypatch.setattr(
        "sklearn_capoz.training._cpu._chunk_rows",
        lambda widths, batch_rows: seen.append(batch_rows) or min(25, batch_rows),
    )
    parts = train(different_tasks(), settings)
    assert set(seen) == {90, 60, 30}
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a.loss_curve, b.loss_curve, rtol=1e-12)
        np.testing.assert_allclose(a.validation_losses, b.validation_losses, rtol=1e-12)
        assert_same_network(a.network, b.network, atol=1e-9)


@pytest.mark.parametrize(
    ("widths", "batch_rows", "expected"),
    [
        ((50, 30, 7), 700, 256),
        ((50, 30, 7), 32, 32),
        ((200, 512, 16), 1024, 1024),  # its products are left to BLAS and its threads
    ],
)
def test_batches_of_small_networks_go_in_parts(widths, batch_rows, expected):
    from sklearn_capoz.training._cpu import _chunk_rows

    assert _chunk_rows(np.array(widths), batch_rows) == expected


@pytest.mark.parametrize("settings", [{"learning_rate": "cosine"}, {"tol": 0.03}])
def test_epochs_in_one_call_are_epochs(
    monkeypatch, settings, make_data, make_network, assert_same_network
):
    X, y = make_data(3)

    def run():
        task = TrainingTask(make_network(3), X, y, random_state=1)
        rules = {"max_iter": 45, "n_iter_no_change": 4, "learning_rate_init": 0.03, "tol": -1.0}
        [result] = train([task], TrainingSettings(**(rules | settings)))
        return result

    together = run()
    monkeypatch.setattr("sklearn_capoz.training._cpu._ROWS_AT_ONCE", 1)
    alone = run()
    assert together.loss_curve == alone.loss_curve
    assert together.optimizer.n_steps == alone.optimizer.n_steps
    assert_same_network(together.network, alone.network)
    assert alone.converged == ("tol" in settings)


def test_two_callers_at_once(assert_same_network, different_tasks):
    results = {}

    def call(name):
        results[name] = train(different_tasks(), TrainingSettings(batch_size=32, max_iter=10))

    threads = [threading.Thread(target=call, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(results[0], results[1], strict=True):
        assert_same_network(a.network, b.network)


def test_two_trainings_equal_one_when_moments_and_draws_go_on(
    make_data, make_network, assert_same_network
):
    X, y = make_data(3)
    [whole] = train(
        [TrainingTask(make_network(), X, y, random_state=0)],
        TrainingSettings(max_iter=6, batch_size=32, shuffle=False),
    )
    half = TrainingSettings(max_iter=3, batch_size=32, shuffle=False)
    [first] = train([TrainingTask(make_network(), X, y, random_state=0)], half)
    [second] = train(
        [TrainingTask(first.network, X, y, optimizer=first.optimizer, random_state=0)], half
    )
    assert whole.loss_curve == first.loss_curve + second.loss_curve
    assert_same_network(whole.network, second.network)
    assert second.optimizer.n_steps == whole.optimizer.n_steps == 18


def test_nothing_given_is_changed(make_data, make_network):
    X, y = make_data(3)
    network = make_network()
    before = flatten(network)
    state = OptimizerState.zeros(network, "adam")
    global_state = np.random.get_state()[1].copy()
    for array in (X, y):
        array.flags.writeable = False
    train(
        [TrainingTask(network, X, y, optimizer=state, random_state=0)],
        TrainingSettings(max_iter=2, dropout=0.5),
    )
    np.testing.assert_array_equal(flatten(network), before)
    assert not flatten(state.moments[0]).any()
    np.testing.assert_array_equal(np.random.get_state()[1], global_state)


def test_float32_stays_float32(make_data, make_network):
    X, y = make_data(3, dtype=np.float32)
    [result] = train(
        [TrainingTask(make_network(dtype=np.float32), X, y, np.ones(len(y)), random_state=0)],
        TrainingSettings(max_iter=3),
    )
    assert result.network.dtype == np.float32
    assert result.optimizer.moments[1].dtype == np.float32
    [wide] = train(
        [TrainingTask(make_network(), X, y, random_state=0)], TrainingSettings(max_iter=3)
    )
    np.testing.assert_allclose(result.loss_curve, wide.loss_curve, rtol=1e-5)


def test_cosine_falls_from_the_initial_rate_to_nearly_zero():
    settings = TrainingSettings(learning_rate="cosine", learning_rate_init=0.2, max_iter=4)
    rates = [settings.learning_rate_at(epoch) for epoch in range(5)]
    np.testing.assert_allclose(
        rates, [0.2, 0.1 + 0.1 / 2**0.5, 0.1, 0.1 - 0.1 / 2**0.5, 0], atol=1e-15
    )


def test_dropout_is_drawn_for_its_share_and_leaves_the_expected_activation(make_data, make_network):
    # an identity network without hidden biases is linear: dropout changes only the noise
    X, y = make_data(3, 4000)
    losses = []
    for dropout in (0.0, 0.5):
        [result] = train(
            [TrainingTask(make_network(3, (50,), "identity"), X, y, random_state=0)],
            TrainingSettings(dropout=dropout, max_iter=3, batch_size=4000),
        )
        losses.append(result.loss_curve)
    assert losses[1] != losses[0]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.3)


def test_a_perfect_teacher_of_itself_moves_nothing(make_data, make_network, assert_same_network):
    X, y = make_data(3)
    network = make_network()
    [result] = train(
        [TrainingTask(network, X, y, teacher=network.forward(X)[-1], random_state=0)],
        TrainingSettings(solver="sgd", distillation=1.0, alpha=0.0, max_iter=2),
    )
    np.testing.assert_allclose(result.loss_curve, 0, atol=1e-12)
    assert_same_network(result.network, network, atol=1e-12)


def test_cut_removes_the_same_units_from_every_moment(make_data, make_network):
    X, y = make_data(3)
    [result] = train(
        [TrainingTask(make_network(), X, y, random_state=0)], TrainingSettings(max_iter=2)
    )
    keep = np.array([True, False, True, True, False, True])
    cut = result.optimizer.cut(0, keep)
    assert cut.n_steps == result.optimizer.n_steps
    for before, after in zip(result.optimizer.moments, cut.moments, strict=True):
        np.testing.assert_array_equal(after.weights[0], before.weights[0][:, keep])
        np.testing.assert_array_equal(after.weights[1], before.weights[1][keep])
        np.testing.assert_array_equal(after.biases[0], before.biases[0][keep])
    network = result.network.cut(0, keep)
    [again] = train(
        [TrainingTask(network, X, y, optimizer=cut, random_state=0)], TrainingSettings(max_iter=1)
    )
    assert again.network.widths == (4,)


def test_flatten_and_unflatten_are_inverse(make_network, assert_same_network):
    network = make_network(3, (4, 2))
    vector = flatten(network)
    assert vector.size == network.n_parameters
    assert_same_network(unflatten(vector, network), network)
