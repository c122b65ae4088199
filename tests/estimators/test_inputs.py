"""prune_inputs: the estimators take whole samples, and their networks what is left of them."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from sklearn_capoz import CAPoZPruner, CAPoZPrunerCV, pruning_path, sensitivity_curve
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.schedules import Widths
from sklearn_capoz.thresholds import Budget, Count

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CUT = {"prune_inputs": True, "criterion": "taylor", "threshold": Count(2)}


@pytest.fixture(scope="module")
def data():
    """Three classes of which six columns of twelve speak; the others are noise."""
    random = np.random.RandomState(0)
    y = np.arange(240) % 3
    X = random.normal(size=(240, 12))
    X[:, ::2] += 1.5 * np.eye(3)[y][:, [0, 1, 2, 0, 1, 2]]
    return X, y


@pytest.fixture(scope="module")
def fitted(classifier, data):
    return classifier(**CUT, max_iter=40).fit(*data)


@pytest.fixture(scope="module")
def pruners(classifier):
    mlp = MLPClassifier((12,), max_iter=20, random_state=0)
    common = CUT | {"n_iterations": 3, "keep": "last", "retrain_max_iter": 4, "random_state": 0}
    return [CAPoZPruner(mlp, **common), CAPoZPruner(classifier(), **common)]


def test_what_is_learnt(fitted, data):
    X, y = data
    table = fitted.history_
    assert table["n_inputs"].tolist() == [12, 10, 8, 6]
    assert table["n_pruned_inputs"].tolist() == [0, 2, 2, 2]
    assert table["n_units"].tolist() == table["n_units_0"].tolist() == [12, 10, 8, 6]
    assert table["n_parameters"].tolist() == [n * n + n + n * 3 + 3 for n in (12, 10, 8, 6)]
    assert [len(scores) for scores in fitted.input_importances_] == [12, 10, 8, 6]
    assert [len(layers) for layers in fitted.importances_] == [1] * 4
    assert [kept.shape for kept in fitted.support_] == [(12,)]
    assert fitted.n_features_in_ == 12
    assert fitted.network_.n_features == fitted.input_support_.sum() == 6
    assert_array_equal(fitted.get_support(), fitted.input_support_)
    assert_array_equal(fitted.get_support(indices=True), np.flatnonzero(fitted.input_support_))
    # What speaks is found, and what is left predicts.
    assert fitted.input_support_[::2].sum() >= 5
    logits = fitted.network_.forward(X[:, fitted.get_support()])[-1]
    assert_array_equal(fitted.predict(X), logits.argmax(axis=1))
    assert fitted.score(X, y) > 0.7


def test_columns_that_are_gone_may_hold_anything(fitted, data):
    X = data[0].copy()
    X[:, ~fitted.get_support()] = np.nan
    assert_array_equal(fitted.predict(X), fitted.predict(data[0]))
    many = np.tile(X, (10, 1))  # more than numpy computes
    assert_allclose(
        fitted.predict_proba(many), np.tile(fitted.predict_proba(data[0]), (10, 1)), atol=1e-12
    )
    X[3, fitted.get_support(indices=True)[0]] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        fitted.predict(X)
    with pytest.raises(ValueError, match="expecting 12 features"):
        fitted.predict(data[0][:, :6])


def test_without_it_all_columns_are_taken(classifier, data):
    model = classifier().fit(*data)
    assert model.get_support().tolist() == [True] * 12
    assert "n_inputs" not in model.history_
    assert not hasattr(model, "input_support_")


def test_a_new_fit_forgets(classifier, data):
    model = classifier(**CUT).fit(*data)
    model.set_params(prune_inputs=False).fit(*data)
    assert model.get_support().all()
    assert model.network_.n_features == 12
    assert not hasattr(model, "input_importances_")


def test_clone_pickle_and_the_net(fitted, data, assert_same_network):
    X, y = data
    again = clone(fitted).fit(X, y)
    assert_same_network(again.network_, fitted.network_)
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    net = fitted.net_
    assert_allclose(
        net.predict_proba(X[:, fitted.get_support()]), fitted.predict_proba(X), atol=1e-6
    )


def test_the_last_training_has_all_samples_and_those_columns(classifier, data):
    model = classifier(**CUT | {"keep": "smallest", "tolerance": 1.0}).fit(*data)
    assert model.network_.n_features == model.get_support().sum() == 6


@pytest.mark.parametrize("number", [0, 1])
def test_pruners(pruners, data, number):
    X, y = data
    table = pd.DataFrame(X, columns=[f"b{i}" for i in range(12)])
    pruner = clone(pruners[number]).fit(table, y)
    inner, support = pruner.estimator_, pruner.get_support()
    assert support.sum() == 6 == inner.n_features_in_
    assert inner.feature_names_in_.tolist() == table.columns[support].tolist()
    assert_allclose(inner.predict_proba(table.loc[:, support]), pruner.predict_proba(table))
    loaded = pickle.loads(pickle.dumps(pruner))
    assert_array_equal(loaded.predict(table), pruner.predict(table))
    curve = sensitivity_curve(pruner, table, y, random_state=0)
    assert curve["n_pruned"].max() == 5


def test_a_frozen_one_goes_on_from_the_columns_it_has(fitted, data, classifier):
    X, y = data
    common = {"keep": "last", "n_iterations": 1, "retrain_max_iter": 2, "random_state": 0}
    further = CAPoZPruner(FrozenEstimator(fitted), **CUT, **common).fit(X, y)
    assert further.get_support().sum() == 4
    assert not (further.get_support() & ~fitted.get_support()).any()
    units_only = CAPoZPruner(FrozenEstimator(fitted), threshold=Count(1), **common).fit(X, y)
    assert_array_equal(units_only.get_support(), fitted.get_support())
    assert units_only.estimator_.predict(X[:, fitted.get_support()]).shape == (240,)
    assert units_only.predict(X).shape == (240,)


def test_path_and_search(classifier, data):
    X, y = data
    path = pruning_path(classifier(**CUT), X, y)
    assert [model.get_support().sum() for model in path.estimators] == [12, 10, 8, 6]
    for model in path.estimators:
        assert model.predict(X).shape == (240,)
    search = CAPoZPrunerCV(
        classifier(prune_inputs=True), criteria=["taylor", "l1"], thresholds=[Count(2)],
        max_iterations=2, cv=2,
    ).fit(X, y)  # fmt: skip
    assert search.best_estimator_.predict(X).shape == (240,)
    assert search.cv_results_["mean_n_units"].tolist() == [12, 10, 8] * 2


@pytest.mark.parametrize("criterion", ["reconstruction", "correlation", "l2", "gradient", "random"])
@pytest.mark.parametrize("compensation", [None, "least-squares"])
def test_every_criterion_that_inputs_have(classifier, data, criterion, compensation):
    model = classifier(
        prune_inputs=True, criterion=criterion, compensation=compensation,
        schedule=Widths([(8, 10), (5, 6)]),
    ).fit(*data)  # fmt: skip
    assert model.network_.n_features == 5
    assert model.network_.widths == (6,)


@pytest.mark.parametrize("schedule", ["iterative", "gradual", "one-shot"])
def test_schedules_and_rules(classifier, data, schedule):
    model = classifier(**CUT | {"schedule": schedule, "threshold": "mean+std"}).fit(*data)
    assert 1 <= model.network_.n_features < 12
    budget = classifier(**CUT | {"threshold": Budget(0.3)}).fit(*data)
    assert budget.network_.n_multiply_adds <= 0.3 * (12 * 12 + 12 * 3)


def test_zeros_are_counted_where_there_are_some_and_refused_where_not(classifier, data):
    with pytest.raises(ValueError, match="no input ever is on the 24 scoring samples"):
        classifier(prune_inputs=True, max_iter=10**6).fit(*data)
    X, y = load_digits(return_X_y=True)
    pixels = classifier(prune_inputs=True, threshold="mean+std").fit(X / 16, y)
    silent = np.flatnonzero((X == 0).all(axis=0))
    assert not pixels.get_support()[silent].any()


def test_refusals_come_before_any_training(classifier, data):
    X, y = data
    with pytest.raises(UnsupportedNetworkError, match="skorch net's module"):
        classifier(**CUT, callbacks=[]).fit(X, y)
    with pytest.raises(ValueError, match="Widths names 1 layers"):
        classifier(**CUT | {"schedule": Widths([(5,)]), "max_iter": 10**6}).fit(X, y)
    with pytest.raises(ValueError, match="prune_inputs"):
        classifier(**CUT | {"prune_inputs": "yes"}).fit(X, y)


def test_standardized_columns_and_the_default_rule(classifier, data):
    X, y = data
    X = StandardScaler().fit_transform(X)
    model = classifier(prune_inputs=True, criterion="reconstruction", threshold="mean+std").fit(
        X, y
    )
    first = model.history_["threshold_inputs"].iloc[0]
    assert np.isfinite(first)
    gone = int((model.input_importances_[0] < first).sum())
    assert gone == model.history_["n_pruned_inputs"].iloc[1] <= 6
