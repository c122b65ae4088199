"""Validation data and weights reach both estimators through pipelines and searches."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.datasets import make_classification
from sklearn.feature_selection import SelectKBest
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter

from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier
from sklearn_capoz.estimators import _split
from sklearn_capoz.thresholds import Count

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = make_classification(240, 8, n_informative=6, n_classes=3, random_state=0)
X = 50 * X + 1000  # as raw spectra are: without the scaler nothing is learned
NAMES = np.array(["kaolinite", "alunite", "calcite"])[Y]
TRAIN, VAL = slice(0, 160), slice(160, None)


@pytest.fixture(autouse=True)
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture(params=["classifier", "pruner"])
def estimator(request):
    prune = {"threshold": Count(2), "n_iterations": 2, "retrain_max_iter": 3, "random_state": 0}
    train = {"hidden_layer_sizes": (10,), "max_iter": 15, "learning_rate_init": 0.02}
    if request.param == "classifier":
        return PrunedMLPClassifier(**train, **prune)
    return CAPoZPruner(MLPClassifier(random_state=0, **train), **prune)


def skip_without_weights(estimator):
    if isinstance(estimator, CAPoZPruner) and not has_fit_parameter(
        estimator.estimator, "sample_weight"
    ):
        pytest.skip("this scikit-learn's MLPClassifier takes no weights")


def assert_same(first, second):
    pd.testing.assert_frame_equal(
        first.history_.drop(columns="seconds"), second.history_.drop(columns="seconds")
    )


def test_validation_data_are_transformed_like_the_rest(estimator):
    estimator.set_fit_request(X_val=True, y_val=True)
    steps = [("scale", StandardScaler()), ("best", SelectKBest(k=6)), ("prune", estimator)]
    pipeline = Pipeline(steps, transform_input=["X_val"])
    pipeline.fit(X[TRAIN], NAMES[TRAIN], X_val=X[VAL], y_val=NAMES[VAL])
    by_hand = Pipeline(steps[:-1]).fit(X[TRAIN], NAMES[TRAIN])
    expected = sklearn.clone(estimator).fit(
        by_hand.transform(X[TRAIN]), NAMES[TRAIN], by_hand.transform(X[VAL]), NAMES[VAL]
    )
    assert_same(pipeline[-1], expected)
    assert pipeline[-1].n_features_in_ == 6
    assert pipeline.score(X[VAL], NAMES[VAL]) > 0.4
    np.testing.assert_array_equal(pipeline.predict(X), expected.predict(by_hand.transform(X)))


def test_raw_validation_data_would_be_seen(estimator):
    """Without `transform_input` the accuracies differ: the test above can fail."""
    estimator.set_fit_request(X_val=True, y_val=True)

    def accuracies(names):
        steps = [("scale", StandardScaler()), ("prune", estimator)]
        pipeline = Pipeline(steps, transform_input=names)
        pipeline.fit(X[TRAIN], NAMES[TRAIN], X_val=X[VAL], y_val=NAMES[VAL])
        return pipeline[-1].history_["accuracy_after"]

    with pytest.warns(UserWarning, match="X_val lies elsewhere than X.*transform_input"):
        raw = accuracies(None)
    assert raw[0] < accuracies(["X_val"])[0]


def test_weights_go_through_a_pipeline(estimator):
    skip_without_weights(estimator)
    estimator.set_fit_request(sample_weight=True)
    weight = np.where(Y == 0, 3.0, 1.0)
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    pipeline = Pipeline([("scale", scaler), ("prune", estimator)])
    pipeline.fit(X, NAMES, sample_weight=weight)
    expected = sklearn.clone(estimator).fit(scaler.fit_transform(X), NAMES, sample_weight=weight)
    assert_same(pipeline[-1], expected)


def test_weights_go_through_a_search(estimator):
    """The search hands each fold its own weights: with zeros it is as if they were not there."""
    skip_without_weights(estimator)
    estimator.set_fit_request(sample_weight=True)
    # Before scikit-learn 1.8, Pipeline.score passed no weights on.
    scoring = make_scorer(accuracy_score).set_score_request(sample_weight=True)
    scaler = StandardScaler().set_fit_request(sample_weight=True)
    pipeline = Pipeline([("scale", scaler), ("prune", estimator)])
    grid = {"prune__threshold__count": [1, 3]}
    search = GridSearchCV(pipeline, grid, scoring=scoring, cv=2)
    search.fit(X, NAMES, sample_weight=np.where(NAMES == "alunite", 0.0, 1.0))
    assert search.best_estimator_[-1].classes_.tolist() == ["calcite", "kaolinite"]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_what_is_not_asked_for_is_refused(estimator):
    with pytest.raises(ValueError, match="sample_weight"):
        cross_val_score(estimator, X, Y, params={"sample_weight": np.ones(240)})
    with pytest.raises(ValueError, match="X_val"):
        Pipeline([("scale", StandardScaler()), ("prune", estimator)]).fit(
            X[TRAIN], Y[TRAIN], X_val=X[VAL], y_val=Y[VAL]
        )


def test_groups_go_through_a_search(estimator, monkeypatch):
    """With routing the estimator is handed those of the fold's training samples."""
    seen, split = [], _split._split_groups
    monkeypatch.setattr(
        _split, "_split_groups", lambda *given: seen.append(given[1]) or split(*given)
    )
    estimator.set_fit_request(groups=True)
    rocks = np.arange(240) // 6
    pipeline = Pipeline([("scale", StandardScaler()), ("prune", estimator)])
    GridSearchCV(pipeline, {"prune__n_iterations": [1]}, cv=GroupKFold(2), refit=False).fit(
        X, NAMES, groups=rocks
    )
    assert [set(groups) & set(other) for groups, other in (seen, seen[::-1])] == [set(), set()]
    assert sum(map(len, seen)) == 240


@pytest.mark.parametrize("rows", [slice(160, None), np.flatnonzero(Y[160:] == 0) + 160])
def test_validation_data_of_the_same_kind_do_not_warn(estimator, rows, recwarn):
    scaled = StandardScaler().fit_transform(X)
    estimator.set_params(criterion="apoz").fit(scaled[TRAIN], Y[TRAIN], scaled[rows], Y[rows])
    assert not [w for w in recwarn if "X_val lies elsewhere" in str(w.message)]


@pytest.mark.parametrize("change", [lambda X: X + 1000, lambda X: X / 50, lambda X: 20 * X])
def test_validation_data_from_elsewhere_warn(estimator, change):
    scaled = StandardScaler().fit_transform(X)
    estimator.set_params(criterion="apoz")  # which asks for no sample that is labelled right
    with pytest.warns(UserWarning, match="X_val lies elsewhere than X") as caught:
        estimator.fit(scaled[TRAIN], Y[TRAIN], change(scaled[VAL]), Y[VAL])
    assert {w.filename for w in caught if "elsewhere" in str(w.message)} == {__file__}
