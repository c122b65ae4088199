"""CAPoZPrunerCV: which criterion, rule and number of iterations cross-validation picks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from numbers import Integral, Real
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from .._sklearn import Interval, InvalidParameterError, StrOptions, check_sample_weight
from .._validation import check_labels
from ..criteria import check_criterion
from ..networks._inputs import leaves
from ..pruning import prune_together
from ..thresholds import check_threshold
from ._check_inputs import has_several
from ._fitting import Dense, job_of, learn
from ._kept import missing

# PruningPath and pruning_path: where files of version 0.1.0 look for them.
from ._path import PruningPath, as_pruner, pruning_path
from ._register import check_columns
from ._search_folds import complete, make_fold
from ._search_results import choose_candidate, tabulate
from ._search_scoring import Scoring, make_scoring
from ._search_walk import walk_all
from ._split import check_groups, check_X_y, shell_of

__all__ = ["CAPoZPrunerCV", "PruningPath", "pruning_path"]

#: X, which before the steps of a Pipeline may be anything that they take; y, weights and groups.
_Samples = tuple[Any, np.ndarray, np.ndarray | None, np.ndarray | None]

#: What a fit does not learn without a refit; without a scorer to choose by, none of it.
_OF_THE_CHOICE = {
    *("best_estimator_", "best_index_", "best_params_", "best_score_", "classes_", "refit_time_"),
}

#: What an earlier fit may have learnt and a new one does not.
_FORGOTTEN = _OF_THE_CHOICE | {"feature_names_in_", "n_features_in_"}


class CAPoZPrunerCV(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Cross-validated choice of criterion, threshold rule and number of iterations.

    In every fold the dense network is trained once, and the path of every
    criterion and rule is walked once; the networks on these paths are retrained
    side by side. A grid search over the same candidates, which gives the same
    scores where samples are not weighted, trains each of them from the start. The
    engine trains the folds' dense networks, those of an MLPClassifier as well,
    unless `scoring` is a callable, which may look at the fitted estimators.

    Parameters
    ----------
    estimator : PrunedMLPClassifier, CAPoZPruner or what CAPoZPruner takes, or a Pipeline
        With the settings of training and pruning that are not searched. Of a
        Pipeline it is the last step; the steps before it are fitted in each fold,
        on its training part alone.
    criteria : sequence of str or Criterion, default=("c-apoz",)
    thresholds : sequence of str or ThresholdRule, default=("mean+std",)
    max_iterations : int, default=7
        Candidates have 0 to `max_iterations` iterations; 0 is the dense network.
    cv : int, cross-validation generator or iterable, default=None
        As in GridSearchCV.
    scoring : str, callable, list, tuple or dict, default=None
        As in GridSearchCV; None is accuracy. A callable gets the whole of a
        Pipeline, and samples as that takes them.
    refit : bool or str, default=True
        Fit the chosen candidate on all samples. With several scorers it is the
        name of the one to choose by, or False.
    keep : {"best", "smallest", "one-standard-error"}, default="best"
        The highest mean score; or the fewest parameters within `tolerance` of
        it, or within the standard error of its mean.
    tolerance : float, default=0.0
        Score that `keep="smallest"` may give up.
    n_jobs : int or None, default=None
        Dense networks, and then parts of the paths, to work on at the same time.
    verbose : int, default=0
        Passed on to joblib.
    error_score : "raise" or float, default=nan
        The score of a candidate that fails in a fold, which a FitFailedWarning
        names; "raise" ends the search with the error.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        As in GridSearchCV, a row per candidate; and `mean_n_units`,
        `mean_n_parameters` over the folds. A score that is not finite ranks last.
    best_index_ : int
    best_params_ : dict
        criterion, threshold and n_iterations.
    best_score_ : float
    best_estimator_ : estimator
        The pruner of `best_params_`, fitted on all samples; in its Pipeline, if it
        came in one.
    scorer_ : callable or dict of callable
    n_splits_ : int
    refit_time_ : float
        Seconds, those of the dense network's training included.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    See Also
    --------
    pruning_path : All models of one run.

    Notes
    -----
    Candidates are networks along one path. Where a shorter run would not be its beginning, as a
    schedule spreads its cuts over all iterations (`Gradual`), `best_estimator_` has the path's
    `n_iterations` and keeps the network of the one chosen; where it cuts while the network is
    trained, that is the network just before the next cut.

    With `sample_weight`, GridSearchCV of recent scikit-learn weighs the scores of
    the folds too; this search weighs training alone.

    A search that is interrupted (Ctrl-C) or fails sets nothing: what an earlier one
    has found stays. Training that scikit-learn does itself ends early instead,
    as in GridSearchCV, and the search goes on with the network at hand.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn_capoz import CAPoZPrunerCV, PrunedMLPClassifier
    >>> X, y = make_classification(n_samples=300, random_state=0)
    >>> model = PrunedMLPClassifier((10,), max_iter=20, retrain_max_iter=10, random_state=0)
    >>> search = CAPoZPrunerCV(model, criteria=["c-apoz", "taylor"], max_iterations=3, cv=3)
    >>> len(search.fit(X, y).cv_results_["params"])
    8
    """

    _parameter_constraints = {
        "estimator": "no_validation",
        "criteria": ["array-like"],
        "thresholds": ["array-like"],
        "max_iterations": [Interval(Integral, 0, None, closed="left")],
        "cv": ["cv_object"],
        "scoring": [str, callable, list, tuple, dict, None],
        "refit": ["boolean", str],
        "keep": [StrOptions({"best", "smallest", "one-standard-error"})],
        "tolerance": [Interval(Real, 0, None, closed="left")],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "error_score": [StrOptions({"raise"}), Real],
    }

    def __init__(
        self,
        estimator,
        *,
        criteria=("c-apoz",),
        thresholds=("mean+std",),
        max_iterations=7,
        cv=None,
        scoring=None,
        refit=True,
        keep="best",
        tolerance=0.0,
        n_jobs=None,
        verbose=0,
        error_score=np.nan,
    ):
        self.estimator = estimator
        self.criteria = criteria
        self.thresholds = thresholds
        self.max_iterations = max_iterations
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.keep = keep
        self.tolerance = tolerance
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.error_score = error_score

    def fit(self, X, y, groups=None, sample_weight=None):
        """Walk all paths in all folds, choose a candidate and fit it on all samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of a skorch net what :class:`CAPoZPruner` takes: samples of more axes, or several
            arrays in a dict or tuple.
        y : array-like of shape (n_samples,)
        groups : array-like of shape (n_samples,), default=None
            Which samples belong together, such as the spectra of one rock: for
            splitters that keep groups together, and for the split that each fit
            makes of its training samples.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights in training; scores of the folds are not weighted.

        Returns
        -------
        self : CAPoZPrunerCV
        """
        self._validate_params()
        steps, pruner = self._take_apart()
        parts = list(product(_candidates(self, "criteria"), _candidates(self, "thresholds")))
        plans = [(check_criterion(c), check_threshold(t)) for c, t in parts]
        scoring = make_scoring(pruner, self.scoring, self.refit, self.error_score)
        # Its own are not searched; what is wrong with the parameters is no matter of a fold.
        plan = pruner.set_params(criterion=plans[0][0], threshold=plans[0][1])._plan()
        for criterion, threshold in plans:
            replace(plan.pruning, criterion=criterion, threshold=threshold).check_parts()
        samples, columns = self._check(X, y, groups, sample_weight, steps, plan)
        cv = check_cv(self.cv, samples[1], classifier=True)
        # Of several arrays scikit-learn's splitters would count the arrays.
        rows = samples[1] if has_several(samples[0]) else samples[0]
        splits = list(cv.split(rows, samples[1], samples[3]))
        folds = [make_fold(steps, *samples, train, test) for train, test in splits]
        whole = (X, samples[1], None, None, *samples[2:])  # X as it came, with column names
        if steps is not None and self.refit:
            steps = clone(steps)
            whole = (steps.fit_transform(X, samples[1]), *whole[1:])
        table, dense = walk_all(
            pruner,
            folds,
            whole if self.refit else None,
            plans,
            scoring,
            travels=plan.is_arrays,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        learnt = columns | self._results(parts, table, scoring)
        if self.refit:
            learnt |= self._refit(pruner, steps, whole, dense, learnt["best_params_"])
        return learn(self, learnt, _FORGOTTEN)

    def _take_apart(self) -> tuple[Pipeline | None, BaseEstimator]:
        """Return the pruner with what the search sets, and a Pipeline without it in its place."""
        steps, last = None, self.estimator
        if isinstance(last, Pipeline):
            name, last = last.steps[-1]
            if len(self.estimator.steps) > 1:
                steps = clone(self.estimator).set_params(**{name: "passthrough"})
        pruner = as_pruner(last).set_params(
            n_iterations=self.max_iterations, keep="last", verbose=False
        )
        if pruner.random_state is None:  # every part of the search must see the same splits
            pruner.set_params(random_state=check_random_state(None).randint(2**31 - 1))
        return steps, pruner

    def _check(self, X, y, groups, sample_weight, steps, plan) -> tuple[_Samples, dict]:
        """Check X, y, weights and groups; return them and what is learnt of X."""
        shell = shell_of(self)
        if steps is None:
            allow_nd = plan.inner is not None and plan.inner.adapter.allow_nd
            X_checked, y = check_X_y(shell, X, y, allow_nd, reset=True)
            is_frozen = plan.inner is not None and plan.inner.is_frozen
            if is_frozen and not has_several(X) and np.ndim(X) < 3:  # the folds have no names
                check_columns(plan.inner.estimator, X, plan.inner.description.n_features)
        else:  # the first step says what X may be
            X_checked, y = X, column_or_1d(y, warn=True)
            validate_data(shell, X, skip_check_array=True)
        check_labels(y)
        check_classification_targets(y)
        arrays = leaves(X_checked) if has_several(X_checked) else (X_checked,)
        check_consistent_length(*arrays, y, groups)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, np.empty((len(y), 1)))
        groups = None if groups is None else check_groups(groups)
        names = ("n_features_in_", "feature_names_in_")
        columns = {name: vars(shell)[name] for name in names if name in vars(shell)}
        return (X_checked, y, sample_weight, groups), columns

    def _results(self, parts: Sequence[tuple], table: np.ndarray, scoring: Scoring) -> dict:
        """Tabulate what the folds give, and choose."""
        params = [
            {"criterion": criterion, "threshold": threshold, "n_iterations": iteration}
            for criterion, threshold in parts
            for iteration in range(self.max_iterations + 1)
        ]
        n_folds, names = len(table), list(scoring.scorers)
        results = tabulate(params, table.reshape(n_folds, len(params), -1), names)
        learnt = {
            "cv_results_": results,
            "n_splits_": n_folds,
            "scorer_": scoring.scorers["score"] if names == ["score"] else scoring.scorers,
        }
        by = names[0] if len(names) == 1 else self.refit
        if by is False:
            return learnt  # nothing says by which score to choose
        scores = np.stack([results[f"split{i}_test_{by}"] for i in range(n_folds)])
        best = choose_candidate(scores, results["mean_n_parameters"], self.keep, self.tolerance)
        return learnt | {
            "best_index_": best,
            "best_params_": params[best],
            "best_score_": results[f"mean_test_{by}"][best],
        }

    def _refit(self, pruner, steps, whole: tuple, dense: Dense | None, params: dict) -> dict:
        """Fit the chosen candidate on all samples; its dense network may be trained already."""
        start, seconds = perf_counter(), 0.0 if dense is None else dense.seconds
        n_iterations = params["n_iterations"]
        best = clone(pruner).set_params(**params | {"n_iterations": self.max_iterations})
        plan = best._plan()
        samples = best._split(plan, *whole)
        dense = dense or best._train(plan, samples)
        if plan.pruning.is_prefix(n_iterations, dense.model):
            plan = best.set_params(n_iterations=n_iterations)._plan()
        [records] = prune_together([job_of(plan, samples, dense)], keep_interrupted=False)
        best._keep(plan, samples, dense, records, min(n_iterations, len(records) - 1))
        learnt = {"refit_time_": seconds + perf_counter() - start, "classes_": best.classes_}
        if steps is not None:
            best = complete(steps, best)
        return learnt | {"best_estimator_": best}

    def predict(self, X):
        """Predict labels with the chosen candidate.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return self.best_estimator_.predict(X)

    def predict_proba(self, X):
        """Predict class probabilities with the chosen candidate.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        return self.best_estimator_.predict_proba(X)

    def predict_log_proba(self, X):
        """Logarithm of `predict_proba`."""
        return self.best_estimator_.predict_log_proba(X)

    def score(self, X, y, sample_weight=None):
        """Score the chosen candidate by `scoring`, with several by the one that chose it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Weights in the score.

        Returns
        -------
        score : float
        """
        chosen = self.best_estimator_
        scorer = self.scorer_[self.refit] if isinstance(self.scorer_, dict) else self.scorer_
        weight = {} if sample_weight is None else {"sample_weight": sample_weight}
        return scorer(chosen, X, y, **weight)

    def __getattr__(self, name: str):
        # Only what is not there comes here.
        if name in _OF_THE_CHOICE and "cv_results_" in vars(self):
            raise NotFittedError(
                f"This {type(self).__name__} has no {name}: it was fitted with refit=False. Fit it "
                "with refit=True or, where there are several scorers, the name of one."
            )
        raise missing(self, name, learnt="cv_results_")


def _candidates(search: CAPoZPrunerCV, parameter: str) -> list:
    """List the parts to try; names out of an array become plain strings again."""
    parts = list(getattr(search, parameter))
    if not parts:
        raise InvalidParameterError(f"{parameter} must hold at least one candidate, got none.")
    return [str(part) if isinstance(part, str) else part for part in parts]
