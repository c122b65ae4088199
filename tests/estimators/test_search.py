"""The path and its cross-validated choice: the same as fitting every candidate on its own."""

import joblib
import numpy as np
import pandas as pd
import pytest
from joblib import Memory
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_capoz import CAPoZPruner, CAPoZPrunerCV, PrunedMLPClassifier, pruning_path
from sklearn_capoz.criteria import CAPoZ
from sklearn_capoz.estimators import _split
from sklearn_capoz.estimators._fitting import job_of
from sklearn_capoz.estimators._search_results import choose_candidate
from sklearn_capoz.exceptions import (
    PruningStalledWarning,
    SmallDataWarning,
)
from sklearn_capoz.thresholds import Count, Fraction

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{category.__module__}.{category.__qualname__}")
    for category in (ConvergenceWarning, PruningStalledWarning, SmallDataWarning)
]

CV = StratifiedKFold(2, shuffle=True, random_state=0)


@pytest.fixture
def pruner():
    return CAPoZPruner(
        MLPClassifier((12,), max_iter=20, random_state=0),
        keep="last",
        retrain_max_iter=5,
        random_state=0,
    )


def test_path_holds_what_each_iteration_count_gives(data, inner):
    inner.set_params(n_iterations=3)
    path = pruning_path(inner, *data)
    assert [e.network_.widths[0] for e in path.estimators] == [12, 9, 7, 6]
    for n_iterations, estimator in enumerate(path.estimators):
        alone = clone(inner).set_params(n_iterations=n_iterations).fit(*data)
        np.testing.assert_array_equal(
            estimator.predict_proba(data[0]), alone.predict_proba(data[0])
        )
        assert estimator.best_iteration_ == n_iterations
        assert estimator.support_[0].sum() == estimator.network_.widths[0]
    assert not hasattr(inner, "network_")


def test_path_tells_what_keep_chooses(data, inner):
    inner.set_params(n_iterations=3, keep="smallest", tolerance=1.0)
    assert pruning_path(inner, *data).best_iteration == 3


def test_an_interrupted_path_ends_with_what_is_done(data, inner):
    class InterruptedOnce(CAPoZ):
        calls = 0

        def score(self, layer):
            type(self).calls += 1
            if self.calls == 3:
                raise KeyboardInterrupt
            return super().score(layer)

    inner.set_params(criterion=InterruptedOnce(), n_iterations=3)
    with pytest.warns(UserWarning, match="Pruning was interrupted"):
        path = pruning_path(inner, *data)
    assert [e.network_.widths[0] for e in path.estimators] == [12, 9, 7]


def test_path_puts_a_pruner_around_a_bare_network(data):
    path = pruning_path(MLPClassifier((6,), max_iter=5, random_state=0), *data)
    assert all(isinstance(e, CAPoZPruner) for e in path.estimators)
    assert path.estimators[0].estimator_.coefs_[0].shape == (12, 6)


@pytest.mark.parametrize("kind", ["inner", "pruner"])
def test_search_gives_the_scores_of_a_grid_search(data, kind, request):
    estimator = request.getfixturevalue(kind)
    criteria, thresholds = ["c-apoz", "random"], [Fraction(0.3), Count(2)]
    search = CAPoZPrunerCV(
        estimator, criteria=criteria, thresholds=thresholds, max_iterations=2, cv=CV
    ).fit(*data)
    grid = GridSearchCV(
        estimator,
        {"criterion": criteria, "threshold": thresholds, "n_iterations": [0, 1, 2]},
        cv=CV,
    ).fit(*data)

    def scores(results):
        return {
            (p["criterion"], str(p["threshold"]), p["n_iterations"]): [
                results[f"split{i}_test_score"][row] for i in range(2)
            ]
            for row, p in enumerate(results["params"])
        }

    assert scores(search.cv_results_) == scores(grid.cv_results_)
    assert search.best_score_ == grid.best_score_
    assert search.n_splits_ == 2
    chosen = clone(estimator).set_params(**search.best_params_).fit(*data)
    np.testing.assert_array_equal(search.predict(data[0]), chosen.predict(data[0]))
    assert search.score(*data) == chosen.score(*data)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"solver": "sgd", "learning_rate_init": 0.05, "batch_size": 32},
        {"random_state": None, "hidden_layer_sizes": [8, 6], "activation": "tanh"},
        {"learning_rate": "adaptive"},  # which Adam knows nothing of
    ],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_engine_trains_the_folds_as_scikit_learn_would(changes, n_classes):
    X, y = make_classification(150, 8, n_informative=6, n_classes=n_classes, random_state=0)
    parameters = {"hidden_layer_sizes": (6,), "max_iter": 15, "random_state": 3} | changes
    pruner = CAPoZPruner(MLPClassifier(**parameters), random_state=0)
    weight = np.random.RandomState(0).uniform(0.5, 2, 150)
    found = []
    for short_cut in (False, True):
        plan = pruner._plan()
        samples = pruner._split(plan, X, y, sample_weight=weight)
        dense = pruner._train(plan, samples, network_only=short_cut)
        found.append((job_of(plan, samples, dense), dense.fitted))
    (slow, fitted), (fast, nothing) = found
    assert isinstance(fitted, MLPClassifier)
    assert nothing is None
    for a, b in zip(slow.model.network.weights, fast.model.network.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)
    assert slow.model.settings == fast.model.settings
    assert slow.dense_epochs == fast.dense_epochs
    # What is drawn from here on, in retraining and for criteria that draw, is the same.
    assert slow.model.random_state.randint(10**6) == fast.model.random_state.randint(10**6)
    assert slow.random_state.randint(10**6) == fast.random_state.randint(10**6)


@pytest.mark.parametrize(
    "changes",
    [
        {"solver": "lbfgs"},
        {"solver": "sgd", "learning_rate": "invscaling"},
        {"early_stopping": True},
    ],
)
def test_what_the_engine_cannot_train_scikit_learn_does(data, changes):
    estimator = MLPClassifier((6,), max_iter=5, random_state=0, **changes)
    pruner = CAPoZPruner(estimator, random_state=0)
    plan = pruner._plan()
    dense = pruner._train(plan, pruner._split(plan, *data), network_only=True)
    assert dense.fitted.coefs_[0] is dense.model.network.weights[0]


def test_a_scorer_of_the_users_own_sees_the_fitted_pruner(data, pruner):
    def size(estimator, X, y):
        return -len(estimator.estimator_.intercepts_[0]) / estimator.history_["n_units"].iloc[0]

    search = CAPoZPrunerCV(
        pruner, thresholds=[Count(3)], max_iterations=2, cv=CV, scoring=size
    ).fit(*data)
    assert search.cv_results_["mean_test_score"].tolist() == [-1, -9 / 12, -6 / 12]


def test_names_of_scorers_are_those_of_a_grid_search(data, pruner):
    shared = {"scoring": "neg_log_loss", "cv": CV}
    search = CAPoZPrunerCV(pruner, thresholds=[Count(3)], max_iterations=2, **shared).fit(*data)
    grid = GridSearchCV(
        pruner.set_params(threshold=Count(3)), {"n_iterations": [0, 1, 2]}, **shared
    ).fit(*data)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], grid.cv_results_["mean_test_score"], rtol=1e-6
    )


def test_memory_changes_no_score_and_trains_once(data, pruner, tmp_path):
    grid = {"n_iterations": [0, 1, 2], "threshold": [Count(2), Count(3)]}
    plain = GridSearchCV(pruner, grid, cv=CV, refit=False).fit(*data)
    memory = Memory(tmp_path, verbose=0)
    pruner.set_params(memory=memory)
    cached = GridSearchCV(pruner, grid, cv=CV, refit=False).fit(*data)
    np.testing.assert_array_equal(
        cached.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"]
    )
    # A dense network and 2 x 2 retrainings in each of two folds, however many candidates.
    stored = {
        name: len(list(tmp_path.rglob(f"{name}/*/output.pkl"))) for name in ("_fit", "_train_alone")
    }
    assert stored == {"_fit": 2, "_train_alone": 8}


@pytest.mark.parametrize(
    ("keep", "tolerance", "expected"),
    [("best", 0.0, 1), ("smallest", 0.02, 2), ("one-standard-error", 0.0, 3)],
)
def test_choice_of_the_candidate(keep, tolerance, expected):
    # Means 0.85, 0.9, 0.88, 0.87; the best one's standard error is 0.04.
    scores = np.array([[0.85, 0.94, 0.88, 0.87], [0.85, 0.86, 0.88, 0.87]])
    sizes = np.array([100, 90, 50, 40])
    assert choose_candidate(scores, sizes, keep, tolerance) == expected


def test_of_equal_candidates_the_smaller_is_chosen():
    scores = np.full((3, 2), 0.9)
    assert choose_candidate(scores, np.array([90, 50]), "best", 0.0) == 1


def test_groups_scoring_and_refit(data, inner):
    groups = np.arange(240) % 4
    search = CAPoZPrunerCV(
        inner,
        max_iterations=1,
        cv=GroupKFold(4),
        scoring="balanced_accuracy",
        refit=False,
    ).fit(*data, groups=groups)
    assert search.n_splits_ == 4
    assert not hasattr(search, "best_estimator_")
    with pytest.raises(NotFittedError, match="fitted with refit=False"):
        search.predict(data[0])


def test_folds_in_processes_give_the_same(data, inner, tmp_path):
    search = CAPoZPrunerCV(
        inner, criteria=["c-apoz", "random", "l1"], max_iterations=2, cv=StratifiedKFold(3)
    )
    alone = clone(search).fit(*data)
    together = clone(search).set_params(n_jobs=2).fit(*data)
    np.testing.assert_array_equal(
        alone.cv_results_["mean_test_score"], together.cv_results_["mean_test_score"]
    )
    joblib.dump(together, tmp_path / "search.joblib")
    np.testing.assert_array_equal(
        joblib.load(tmp_path / "search.joblib").predict(data[0]), alone.predict(data[0])
    )


def test_frozen_network_is_pruned_in_every_fold(data):
    trained = MLPClassifier((12,), max_iter=20, random_state=0).fit(*data)
    before = trained.coefs_[0].copy()
    search = CAPoZPrunerCV(
        CAPoZPruner(FrozenEstimator(trained), retrain_max_iter=2, random_state=0),
        thresholds=[Count(2)],
        max_iterations=2,
        cv=CV,
    ).fit(*data)
    assert search.cv_results_["mean_n_units"].tolist() == [12, 10, 8]
    np.testing.assert_array_equal(trained.coefs_[0], before)


def test_a_callable_scorer_looks_at_the_whole_pipeline(data, inner):
    """It gets the fitted Pipeline and samples as that takes them, as in GridSearchCV."""
    X = pd.DataFrame(data[0], columns=[f"band {i}" for i in range(12)])
    seen = []

    def scorer(estimator, X_test, y_test):
        seen.append((estimator, X_test))
        return estimator.score(X_test, y_test)

    pipeline = make_pipeline(StandardScaler(), inner)
    search = CAPoZPrunerCV(pipeline, max_iterations=1, cv=CV, scoring=scorer).fit(X, data[1])
    assert len(seen) == 4
    for (estimator, X_test), rows in zip(seen[::2], CV.split(*data), strict=True):
        np.testing.assert_allclose(estimator["standardscaler"].mean_, X.iloc[rows[0]].mean())
        pd.testing.assert_frame_equal(X_test, X.iloc[rows[1]])
        assert [name for name, _ in estimator.steps] == [name for name, _ in pipeline.steps]
    plain = CAPoZPrunerCV(pipeline, max_iterations=1, cv=CV).fit(X, data[1])
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"]
    )
    assert search.score(X, data[1]) == search.best_estimator_.score(X, data[1])


def test_a_pipeline_is_fitted_in_each_fold(data, inner):
    """The scores are those of a grid search over the Pipeline, whose scaler sees no test fold."""
    X, y = 100 + 30 * data[0], data[1]
    pipeline = make_pipeline(StandardScaler(), inner)
    search = CAPoZPrunerCV(pipeline, thresholds=[Count(2)], max_iterations=2, cv=CV).fit(X, y)
    last = "prunedmlpclassifier__"
    grid = GridSearchCV(
        pipeline.set_params(**{f"{last}threshold": Count(2)}),
        {f"{last}n_iterations": [0, 1, 2]},
        cv=CV,
    ).fit(X, y)
    for name in ("split0_test_score", "split1_test_score", "mean_test_score"):
        np.testing.assert_array_equal(search.cv_results_[name], grid.cv_results_[name])
    assert isinstance(search.best_estimator_, Pipeline)
    np.testing.assert_array_equal(search.predict(X), grid.predict(X))
    assert search.score(X, y) == grid.score(X, y)
    assert (search.n_features_in_, search.classes_.tolist()) == (12, [0, 1, 2])


@pytest.mark.parametrize("keep", ["best", "smallest"])
def test_several_scorers(data, inner, keep):
    names = ["accuracy", "neg_log_loss"]
    shared = {"scoring": names, "refit": "neg_log_loss", "cv": CV}
    search = CAPoZPrunerCV(inner, thresholds=[Count(2)], max_iterations=2, keep=keep, **shared).fit(
        *data
    )
    grid = GridSearchCV(
        inner.set_params(threshold=Count(2)), {"n_iterations": [0, 1, 2]}, **shared
    ).fit(*data)
    for name in names:
        for column in (f"mean_test_{name}", f"std_test_{name}", f"rank_test_{name}"):
            np.testing.assert_allclose(
                search.cv_results_[column], grid.cv_results_[column], rtol=1e-6
            )
    assert search.best_params_["n_iterations"] == grid.best_params_["n_iterations"]
    assert search.scorer_.keys() == grid.scorer_.keys()
    assert search.score(*data) == pytest.approx(grid.score(*data))
    for refit in (True, "balanced_accuracy"):
        with pytest.raises(ValueError, match="With several scorers refit must be one of"):
            CAPoZPrunerCV(inner, scoring=names, refit=refit).fit(*data)
    table = CAPoZPrunerCV(inner, scoring=names, refit=False, cv=CV).fit(*data)
    assert not hasattr(table, "best_index_")


def test_the_score_takes_weights(data, inner):
    search = CAPoZPrunerCV(inner, max_iterations=1, cv=CV).fit(*data)
    right = search.predict(data[0]) == data[1]
    weight = np.random.RandomState(0).uniform(0, 3, len(right))
    score = search.score(*data, sample_weight=weight)
    assert score == pytest.approx(np.average(right, weights=weight))
    assert score != search.score(*data)


def test_groups_reach_the_inner_split(data, inner, monkeypatch):
    """In every fold and in the refit, no group is trained on and validated on."""
    groups, seen = np.arange(240) // 8, []
    plain = _split._split_groups

    def spy(samples, groups, fraction, random_state):
        found = plain(samples, groups, fraction, random_state)
        rows = {tuple(row): group for row, group in zip(samples.X, groups, strict=True)}
        seen.append([{rows[tuple(row)] for row in part.X}
                     for part in (found.train, found.score, found.select)])  # fmt: skip
        return found

    monkeypatch.setattr(_split, "_split_groups", spy)
    CAPoZPrunerCV(inner, max_iterations=1, cv=GroupKFold(3)).fit(*data, groups=groups)
    assert len(seen) >= 4
    for train, score, select in seen:
        assert not train & (score | select)
        assert not score & select
        assert len(score | select) > 2


@parametrize_with_checks(
    [
        CAPoZPrunerCV(
            # So small a part for validation that units are scored on all of the checks' toy
            # data: only then are weights and repeated samples the same.
            PrunedMLPClassifier(
                max_iter=50, retrain_max_iter=10, validation_fraction=0.1, random_state=0
            ),
            max_iterations=1,
            cv=3,
        )
    ]
)
def test_estimator_checks(estimator, check):
    check(estimator)
