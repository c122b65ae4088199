"""A search in which something fails: paths that stall, interrupts, scores, parameters."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier

from sklearn_capoz import CAPoZPruner, CAPoZPrunerCV, pruning_path
from sklearn_capoz.criteria import CAPoZ, Criterion
from sklearn_capoz.exceptions import (
    NoCorrectSampleError,
    PruningStalledWarning,
    SmallDataWarning,
    UnsupportedNetworkError,
)
from sklearn_capoz.pruning._dense_model import DenseModel
from sklearn_capoz.thresholds import Count, Fraction, MeanStd

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{category.__module__}.{category.__qualname__}")
    for category in (ConvergenceWarning, PruningStalledWarning, SmallDataWarning)
]

CV = StratifiedKFold(2, shuffle=True, random_state=0)


def test_a_stalled_path_counts_for_all_later_iterations(data, inner):
    inner.set_params(threshold=Fraction(0.9), min_units=2)
    results = (
        CAPoZPrunerCV(inner, thresholds=[Fraction(0.9)], max_iterations=4, cv=CV)
        .fit(*data)
        .cv_results_
    )
    assert results["mean_n_units"].tolist() == [12, 2, 2, 2, 2]
    assert len(set(results["split0_test_score"][1:])) == 1


def interrupted_search(estimator, when, **given):
    """Make a search whose scoring of a layer Ctrl-C interrupts `when` it is that layer's turn."""

    class Interrupting(Criterion):  # not of the module: other processes cannot import that
        def score(self, layer):
            if when(layer):
                raise KeyboardInterrupt
            return layer.activations.mean(axis=(0, 1))

    return CAPoZPrunerCV(
        estimator,
        criteria=[Interrupting()],
        thresholds=[Count(4)],
        max_iterations=2,
        cv=CV,
        **given,
    )


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_interrupt_ends_the_search(data, inner, n_jobs):
    search = interrupted_search(inner, lambda layer: layer.n_units == 8, refit=False, n_jobs=n_jobs)
    with pytest.raises(KeyboardInterrupt):
        search.fit(*data)
    assert not hasattr(search, "cv_results_")


def test_an_interrupt_of_the_refit_ends_it_too(data, inner):
    # Of all samples 24 score the units, of a fold's training samples 12.
    search = interrupted_search(
        inner,
        lambda layer: layer.activations.shape == (24, 1, 8),
        keep="smallest",
        tolerance=1.0,
    )
    with pytest.raises(KeyboardInterrupt):
        search.fit(*data)
    assert not vars(search).keys() & {"cv_results_", "best_params_", "best_estimator_"}


def test_names_in_an_array_come_back_as_strings(data, inner):
    search = CAPoZPrunerCV(
        inner,
        criteria=np.array(["l1"]),
        thresholds=np.array(["count"]),
        max_iterations=0,
        cv=CV,
    ).fit(*data)
    assert [type(search.best_params_[name]) for name in ("criterion", "threshold")] == [str, str]


def test_a_path_that_gets_nothing_right_ends_and_the_search_goes_on(data, inner):
    class NothingRight(CAPoZ):
        def score(self, layer):
            if layer.n_units < 9:
                raise NoCorrectSampleError
            return super().score(layer)

    search = CAPoZPrunerCV(
        inner,
        criteria=[NothingRight(), "l1"],
        thresholds=["fraction"],
        max_iterations=4,
        cv=CV,
    ).fit(*data)
    assert search.cv_results_["mean_n_units"].tolist() == [12, 9, 7, 7, 7, 12, 9, 7, 6, 5]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"criteria": ["nonsense"]}, "criterion='nonsense' is not known"),
        ({"criteria": []}, "criteria must hold at least one candidate, got none"),
        ({"thresholds": ()}, "thresholds must hold at least one candidate, got none"),
        ({"thresholds": [MeanStd(k=-1)]}, "'k' parameter of MeanStd"),
        ({"max_iterations": -1}, "max_iterations"),
        ({"keep": "first"}, "keep"),
    ],
)
def test_bad_parameters_are_named(data, inner, parameters, message):
    with pytest.raises(ValueError, match=message):
        CAPoZPrunerCV(inner, **parameters).fit(*data)


def test_a_network_without_a_hidden_layer_is_refused_before_any_training(data, monkeypatch):
    bare = MLPClassifier((), max_iter=5, random_state=0)
    frozen = FrozenEstimator(clone(bare).fit(*data))
    monkeypatch.setattr(DenseModel, "train_together", None)
    monkeypatch.setattr(MLPClassifier, "fit", None)
    for estimator in (bare, frozen):
        for fit in (CAPoZPruner(estimator).fit, CAPoZPrunerCV(estimator).fit):
            with pytest.raises(UnsupportedNetworkError, match="has no hidden layer, and pruning"):
                fit(*data)
        with pytest.raises(UnsupportedNetworkError, match="has no hidden layer, and pruning"):
            pruning_path(estimator, *data)


def test_columns_in_another_order_are_refused_before_the_folds(data, monkeypatch):
    X, y = pd.DataFrame(data[0]).add_prefix("band "), data[1]
    frozen = FrozenEstimator(MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X, y))
    monkeypatch.setattr(DenseModel, "train_together", None)
    with pytest.raises(ValueError, match="feature names should match"):
        CAPoZPrunerCV(frozen, refit=False).fit(X[X.columns[::-1]], y)


@pytest.mark.parametrize("name", ["best_estimator_", "best_params_", "cv_results_", "classes_"])
def test_what_a_search_has_not_learnt_it_says(data, inner, name):
    search = CAPoZPrunerCV(inner, max_iterations=1, cv=CV, refit=False)
    assert not hasattr(search, name)
    with pytest.raises(NotFittedError, match=f"not fitted yet, so that it has no {name[:-1]}"):
        getattr(search, name)
    search.fit(*data)
    if name in ("best_params_", "cv_results_"):
        assert hasattr(search, name)
        return
    assert not hasattr(search, name)
    with pytest.raises(NotFittedError, match=f"has no {name}: it was fitted with refit=False"):
        getattr(search, name)
    with pytest.raises(NotFittedError, match="refit=False"):
        search.predict(data[0])


def test_what_no_search_learns_is_a_plain_attribute_error(inner):
    with pytest.raises(AttributeError, match="no attribute 'epochs'") as caught:
        _ = CAPoZPrunerCV(inner).epochs
    assert type(caught.value) is AttributeError


class OnlyOnMany(Criterion):
    """Fails for the dense network of one fold, whose scoring samples are fewer."""

    def score(self, layer):
        if len(layer.y) < 13:
            raise FloatingPointError("too few")
        return np.arange(layer.incoming.shape[0], dtype=float)


def test_what_fails_in_a_fold_has_the_error_score(data, inner):
    cv = [(np.arange(0, 180), np.arange(180, 240)), (np.arange(100), np.arange(100, 240))]
    search = CAPoZPrunerCV(
        inner, criteria=[OnlyOnMany(), "l1"], thresholds=[Count(2)], max_iterations=1, cv=cv
    )
    with (
        pytest.warns(FitFailedWarning, match=r"(?s)in 1 of 2 folds.*Fold 1 \(split1_test.*too few"),
        pytest.warns(UserWarning, match="test score of 2 of 4 candidates is not finite"),
    ):
        search.fit(*data)
    results = search.cv_results_
    assert np.isnan(results["split1_test_score"]).tolist() == [True, True, False, False]
    assert np.isfinite(results["split0_test_score"]).all()
    assert results["rank_test_score"].tolist()[:2] == [3, 3]
    assert search.best_params_["criterion"] == "l1"
    with pytest.warns(FitFailedWarning):
        search.set_params(error_score=0.25).fit(*data)
    assert search.cv_results_["split1_test_score"][:2].tolist() == [0.25, 0.25]
    with pytest.raises(FloatingPointError, match="too few"):
        search.set_params(error_score="raise").fit(*data)


def test_scores_that_are_not_finite_rank_last(data, inner):
    def scoring(estimator, X, y):
        return {12: 0.5, 10: np.nan, 8: np.inf}[estimator.network_.widths[0]]

    search = CAPoZPrunerCV(inner, thresholds=[Count(2)], max_iterations=2, cv=CV, scoring=scoring)
    with pytest.warns(UserWarning, match="not finite; they rank last"):
        search.fit(*data)
    assert search.cv_results_["rank_test_score"].tolist() == [1, 2, 2]
    assert search.best_params_["n_iterations"] == 0
    search.set_params(scoring=lambda estimator, X, y: np.nan)
    with (
        pytest.warns(UserWarning, match="3 of 3 candidates"),
        pytest.raises(ValueError, match="No candidate has a finite mean score"),
    ):
        search.fit(*data)
