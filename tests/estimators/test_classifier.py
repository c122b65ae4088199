"""PrunedMLPClassifier: what it learns, what it takes and what it refuses."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier
from skorch.callbacks import Callback

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.criteria import CAPoZ, Criterion
from sklearn_capoz.estimators._split import spawn_random_states
from sklearn_capoz.exceptions import NoCorrectSampleError, PruningStalledWarning, SmallDataWarning
from sklearn_capoz.schedules import Widths
from sklearn_capoz.thresholds import Count, FixedValue

X, Y = make_classification(
    240, 8, n_informative=6, n_redundant=0, n_classes=3, class_sep=2.0, random_state=0
)
NAMES = np.array(["kaolinite", "alunite", "calcite"])[Y]


@pytest.fixture(scope="module")
def fitted(classifier):
    return classifier(hidden_layer_sizes=(12, 8)).fit(X, NAMES)


def test_what_is_learned_fits_together(fitted):
    table = fitted.history_
    assert table["iteration"].tolist() == [0, 1, 2, 3]
    assert table["n_units_0"].tolist() == [12, 10, 8, 6]
    assert table["n_units_1"].tolist() == [8, 6, 4, 2]
    np.testing.assert_allclose(table["unit_ratio"], 20 / table["n_units"])
    parameters = [9 * a + (a + 1) * b + (b + 1) * 3
                  for a, b in zip(table["n_units_0"], table["n_units_1"], strict=True)]  # fmt: skip
    assert table["n_parameters"].tolist() == parameters
    np.testing.assert_allclose(table["parameter_ratio"], parameters[0] / np.array(parameters))
    assert table["n_bytes"].tolist() == [8 * n for n in parameters]
    assert table["n_epochs"].tolist() == [fitted.n_iter_, 4, 4, 4]
    assert fitted.n_iter_ == len(fitted.loss_curve_) == 12
    assert fitted.best_iteration_ == 3
    assert fitted.compression_rate_ == table["parameter_ratio"].iloc[3]
    assert [[scores.size for scores in layers] for layers in fitted.importances_] == [
        [12, 8], [10, 6], [8, 4], [6, 2],
    ]  # fmt: skip
    assert [kept.shape for kept in fitted.support_] == [(12,), (8,)]
    assert tuple(kept.sum() for kept in fitted.support_) == fitted.network_.widths == (6, 2)
    assert table["accuracy_after"].between(0, 1).all()
    assert table["accuracy_after"].iloc[0] > 0.6
    assert isinstance(fitted.criterion_, CAPoZ)
    assert fitted.classes_.tolist() == sorted(set(NAMES))


def test_network_net_and_estimator_predict_the_same(fitted):
    probabilities = fitted.predict_proba(X)
    network = fitted.network_
    np.testing.assert_allclose(
        network.probabilities(network.forward(X)[-1]), probabilities, atol=1e-6
    )
    np.testing.assert_allclose(fitted.net_.predict_proba(X), probabilities, atol=1e-6)
    np.testing.assert_array_equal(fitted.classes_[fitted.net_.predict(X)], fitted.predict(X))
    np.testing.assert_array_equal(fitted.classes_[probabilities.argmax(axis=1)], fitted.predict(X))
    np.testing.assert_allclose(fitted.predict_log_proba(X), np.log(probabilities))
    assert fitted.score(X, NAMES) == np.mean(fitted.predict(X) == NAMES)


def test_zero_iterations_are_mlpclassifier(classifier):
    """With validation data of its own and the same generator, weight by weight."""
    model = classifier(n_iterations=0, random_state=7).fit(X, Y, X[:20], Y[:20])
    _, training, _ = spawn_random_states(np.random.RandomState(7), 3)
    [generator] = spawn_random_states(training, 1)
    mlp = MLPClassifier((12,), max_iter=12, learning_rate_init=0.01, random_state=generator)
    with pytest.warns(match="Stochastic Optimizer"):
        mlp.fit(X, Y)
    for ours, theirs in zip(model.network_.weights, mlp.coefs_, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)
    np.testing.assert_allclose(model.loss_curve_, mlp.loss_curve_, atol=1e-9)
    assert len(model.history_) == 1
    assert model.compression_rate_ == 1
    assert model.support_[0].all()


def test_no_retraining(classifier):
    dense = classifier(n_iterations=0).fit(X, Y)
    pruned = classifier(retrain_max_iter=0).fit(X, Y)
    table = pruned.history_
    assert table["n_epochs"].tolist() == [dense.n_iter_, 0, 0, 0]
    np.testing.assert_array_equal(table["accuracy_before"], table["accuracy_after"])
    [kept] = pruned.support_
    np.testing.assert_array_equal(pruned.network_.weights[0], dense.network_.weights[0][:, kept])
    np.testing.assert_array_equal(pruned.network_.weights[1], dense.network_.weights[1][kept])


def test_a_shorter_run_is_the_beginning_of_a_longer_one(classifier, history):
    short, long = (classifier(n_iterations=n).fit(X, Y) for n in (2, 4))
    pd.testing.assert_frame_equal(history(short), history(long).iloc[:3])
    for a, b in zip(short.importances_, long.importances_, strict=False):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("tolerance", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("keep", ["last", "best", "smallest"])
def test_which_iteration_is_kept(keep, tolerance, classifier, history):
    parameters = {"threshold": Count(3), "n_iterations": 3, "retrain_max_iter": 1}
    last = classifier(**parameters).fit(X, Y)
    model = classifier(keep=keep, tolerance=tolerance, **parameters).fit(X, Y)
    pd.testing.assert_frame_equal(history(model), history(last))
    reached = model.history_["accuracy_after"]
    good = reached >= reached.max() - (tolerance if keep == "smallest" else 0) - 1e-12
    expected = 3 if keep == "last" else int(np.flatnonzero(good)[-1])
    assert model.best_iteration_ == expected
    assert model.network_.widths == (12 - 3 * expected,)
    assert model.support_[0].sum() == 12 - 3 * expected
    assert model.compression_rate_ == model.history_["parameter_ratio"].iloc[expected]
    assert len(model.importances_) == 4


@pytest.mark.parametrize("callbacks", [None, []])
@pytest.mark.parametrize("changes", [{}, {"dropout": 0.2, "n_restarts": 2, "criterion": "random"}])
def test_one_seed_one_model_and_the_callers_generators_stay(
    callbacks, changes, classifier, assert_same_model
):
    changes = changes | {"callbacks": callbacks, "n_iterations": 1, "max_iter": 3}
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    first = classifier(**changes).fit(X, Y)
    again = classifier(**changes).fit(X, Y)
    other = classifier(**changes).set_params(random_state=1).fit(X, Y)
    first.predict_proba(X)
    first.net_.predict(X)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state[1])
    assert np.random.get_state()[2:] == numpy_state[2:]
    assert_same_model(first, again)
    assert not np.array_equal(first.network_.weights[1], other.network_.weights[1])


def test_a_generator_as_random_state_is_drawn_from(classifier, assert_same_model):
    generator = np.random.RandomState(0)
    first = classifier(random_state=generator).fit(X, Y)
    assert_same_model(first, classifier(random_state=0).fit(X, Y))
    second = classifier(random_state=generator).fit(X, Y)
    assert not np.array_equal(first.network_.weights[0], second.network_.weights[0])


def test_fitting_again_starts_anew(classifier, assert_same_model):
    model = classifier().fit(X, Y)
    once = copy.deepcopy(model)
    assert_same_model(model.fit(X, Y), once)
    model.fit(X[:, :5], NAMES)
    assert (model.n_features_in_, model.network_.n_features) == (5, 5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("callbacks", [None, []])
def test_the_precision_of_the_data_is_kept(dtype, callbacks, classifier):
    model = classifier(callbacks=callbacks, n_iterations=1, max_iter=3).fit(X.astype(dtype), Y)
    assert model.network_.dtype == dtype
    assert model.predict_proba(X.astype(dtype)).dtype == dtype
    assert next(model.net_.module_.parameters()).dtype == getattr(torch, np.dtype(dtype).name)
    assert model.history_["n_bytes"].iloc[-1] == (
        model.history_["n_parameters"].iloc[-1] * np.dtype(dtype).itemsize
    )


def test_validation_data_of_the_other_precision(classifier):
    model = classifier().fit(X[:200].astype(np.float32), Y[:200], X[200:], Y[200:])
    assert model.network_.dtype == np.float32


def test_tables_and_string_labels(classifier, assert_same_model):
    table = pd.DataFrame(X, columns=[f"{1300 + 10 * i} nm" for i in range(8)])
    labels = pd.Series(NAMES)
    model = classifier().fit(table[:180], labels[:180], table[180:], labels[180:])
    assert model.feature_names_in_.tolist() == list(table.columns)
    assert_same_model(model, classifier().fit(X[:180], NAMES[:180], X[180:], NAMES[180:]))
    assert set(model.predict(table)) <= set(NAMES)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table[table.columns[::-1]])


class Counting(Callback):
    """Counts epochs, over all of its copies."""

    epochs = 0

    def on_epoch_end(self, net, **kwargs):
        type(self).epochs += 1


def test_callbacks_are_called_in_training_and_retraining(classifier):
    Counting.epochs = 0
    callback = Counting()
    model = classifier(callbacks=[("counting", callback)], max_iter=5, retrain_max_iter=2)
    model.fit(X, NAMES)
    assert Counting.epochs == 5 + 3 * 2
    assert model.history_["n_epochs"].tolist() == [5, 2, 2, 2]
    assert model.net_.callbacks[0][0] == "counting"
    assert model.callbacks[0][1] is callback
    assert len(model.net_.history) == 11
    np.testing.assert_allclose(model.net_.predict_proba(X), model.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("callbacks", [None, []])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_the_net_goes_on_learning_and_its_clone_has_the_pruned_widths(
    solver, callbacks, classifier
):
    model = classifier(solver=solver, callbacks=callbacks, n_iterations=1, max_iter=3).fit(X, Y)
    before = model.predict_proba(X)
    net = copy.deepcopy(model.net_)
    weights = [parameter.detach().clone() for parameter in net.module_.parameters()]
    net.partial_fit(X, Y)
    for old, new in zip(weights, net.module_.parameters(), strict=True):
        assert not torch.equal(old, new)
    fresh = clone(model.net_).initialize()
    assert [p.shape for p in fresh.module_.parameters()] == [w.shape for w in weights]
    np.testing.assert_array_equal(model.predict_proba(X), before)


@pytest.mark.parametrize(
    "changes",
    [
        {"solver": "sgd"},
        {"early_stopping": True, "n_iter_no_change": 2},
        {"dropout": 0.3},
        {"batch_size": 16},
        {"hidden_layer_sizes": 10},
        {"hidden_layer_sizes": [10, 6]},
        {"hidden_layer_sizes": np.array([10])},
        {"activation": "tanh", "criterion": "taylor"},
        {"activation": "logistic", "criterion": CAPoZ(tolerance=0.2)},
        {"compensation": "bias"},
        {"compensation": "least-squares", "criterion": "reconstruction"},
        {"distillation": 0.7, "temperature": 3.0},
        {"distillation": 1.0, "retrain_learning_rate": "cosine"},
        {"schedule": "iterative"},
        {"schedule": "one-shot"},
        {"schedule": Widths((7, 3))},
    ],
)
@pytest.mark.parametrize("callbacks", [None, []])
def test_every_option_prunes_and_predicts(changes, callbacks, classifier):
    small = {"n_iterations": 2, "max_iter": 8, "retrain_max_iter": 2, "callbacks": callbacks}
    model = classifier(**(small | changes)).fit(X, NAMES)
    assert model.network_.widths < tuple(np.atleast_1d(model.hidden_layer_sizes))
    assert model.predict_proba(X).shape == (240, 3)
    np.testing.assert_allclose(model.net_.predict_proba(X), model.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("callbacks", [None, []])
def test_compensation_and_distillation_do_what_they_should(callbacks, classifier):
    """A refit loses less before retraining; the teacher pulls towards the dense network."""
    common = {"threshold": Count(8), "n_iterations": 1, "max_iter": 40, "callbacks": callbacks}
    dense = classifier(**(common | {"n_iterations": 0})).fit(X, Y).predict_proba(X)

    def distance(**changes):
        model = classifier(**(common | changes)).fit(X, Y)
        return np.abs(model.predict_proba(X) - dense).mean()

    cut, bias, refit = (distance(retrain_max_iter=0, compensation=name)
                        for name in (None, "bias", "least-squares"))  # fmt: skip
    assert refit < bias
    assert refit < cut
    taught = distance(distillation=1.0, retrain_max_iter=40)
    assert taught < distance(retrain_max_iter=0)


def test_a_stall_is_recorded_and_ends_the_loop(classifier):
    with pytest.warns(PruningStalledWarning, match="Pruning stopped in iteration 1: FixedValue"):
        model = classifier(threshold=FixedValue(1.1)).fit(X, Y)
    assert model.history_["n_pruned_0"].tolist() == [0, 0]
    assert model.history_["n_epochs"].tolist()[1] == 0
    assert model.history_["accuracy_after"].nunique() == 1


def test_all_equal_scores_prune_nothing(classifier):
    class Equal(Criterion):
        def score(self, layer):
            return np.full(layer.n_units, 0.1)

    with pytest.warns(PruningStalledWarning):
        model = classifier(criterion=Equal(), threshold="mean+std").fit(X, Y)
    assert model.network_.widths == (12,)


def test_no_right_scoring_sample_explains_itself(classifier):
    rows = Y < 2
    X_two, y_two = 3 * X[rows], Y[rows]
    dense = classifier(n_iterations=0, max_iter=100).fit(X_two, y_two, X_two, y_two)
    sure = dense.predict(X_two) == y_two
    message = r"labels none of the \d+ scoring samples right, so C-APoZ, .* check that the valid"
    with pytest.raises(NoCorrectSampleError, match=message):
        classifier(max_iter=100).fit(X_two, y_two, X_two[sure], 1 - y_two[sure])


@pytest.mark.parametrize("n_rows", [5, len(X)])
def test_one_class_has_one_column(n_rows, classifier):
    model = classifier(n_iterations=0).fit(X, np.full(len(X), "kaolinite"))
    np.testing.assert_array_equal(model.predict_proba(X[:n_rows]), np.ones((n_rows, 1)))
    assert set(model.predict(X[:n_rows])) == {"kaolinite"}


def test_few_samples_warn(classifier):
    with pytest.warns(SmallDataWarning, match="20 samples of 3 classes leave less than 4"):
        classifier().fit(X[:20], Y[:20])


def test_an_interrupt_keeps_what_is_done(classifier, history):
    class Interrupted(Criterion):
        calls = 0

        def score(self, layer):
            type(self).calls += 1
            if self.calls == 3:
                raise KeyboardInterrupt
            return CAPoZ().score(layer)

    with pytest.warns(UserWarning, match="Pruning was interrupted"):
        model = classifier(criterion=Interrupted()).fit(X, Y)
    pd.testing.assert_frame_equal(history(model), history(classifier(n_iterations=2).fit(X, Y)))
    assert model.score(X, Y) > 0.7


def test_a_bar_only_when_verbose(capsys, classifier):
    classifier().fit(X, Y)
    assert capsys.readouterr() == ("", "")
    classifier(verbose=True).fit(X, Y)
    shown = capsys.readouterr().err
    assert "c-apoz: 100%" in shown
    assert "4/4" in shown
    assert "units 6, accuracy" in shown


def test_the_html_view(fitted, classifier):
    assert "PrunedMLPClassifier" in PrunedMLPClassifier()._repr_html_()
    assert "PrunedMLPClassifier" in fitted._repr_html_()
    assert "Count" in classifier()._repr_html_()


@pytest.mark.filterwarnings("ignore::sklearn_capoz.exceptions.PruningStalledWarning")
@settings(max_examples=15, deadline=None)
@given(
    widths=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    criterion=st.sampled_from(["c-apoz", "l1", "correlation", "reconstruction", "random"]),
    schedule=st.sampled_from(["multi-pass", "iterative", "gradual"]),
    compensation=st.sampled_from([None, "bias", "least-squares"]),
    n_classes=st.integers(2, 3),
)
def test_any_shape_is_pruned_down_to_one_unit_per_layer(
    widths, criterion, schedule, compensation, n_classes
):
    rows = n_classes > Y
    model = PrunedMLPClassifier(
        tuple(widths), criterion=criterion, schedule=schedule, compensation=compensation,
        threshold=Count(2), n_iterations=2, max_iter=3, retrain_max_iter=1,
        learning_rate_init=0.01, random_state=0,
    )  # fmt: skip
    model.fit(X[rows], Y[rows])
    assert all(1 <= after <= before
               for before, after in zip(widths, model.network_.widths, strict=True))  # fmt: skip
    assert model.predict_proba(X).shape == (240, n_classes)
