"""The whole path at once: every iteration's model, and which one cross-validation picks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from itertools import product
from numbers import Integral, Real
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from joblib import effective_n_jobs
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, validate_data

from .._sklearn import Interval, InvalidParameterError, StrOptions, check_sample_weight
from ..criteria import check_criterion
from ..pruning import choose_iteration, prune_together
from ..thresholds import check_threshold
from ._classifier import PrunedMLPClassifier
from ._pruner import CAPoZPruner
from ._search_folds import Fold, Scoring, score_paths, train_fold

__all__ = ["CAPoZPrunerCV", "PruningPath", "pruning_path"]


#: So many that the last ones to end leave the other processes without work for a short time only.
_TASKS_PER_PROCESS = 6


@dataclass(frozen=True, eq=False)
class PruningPath:
    """Every iteration of one pruning run.

    Parameters
    ----------
    history : DataFrame
        A row per iteration, as `history_` of the estimators.
    estimators : list of estimator
        Fitted; one per iteration, from the dense network on.
    best_iteration : int
        The one that the estimator's `keep` and `tolerance` choose.
    """

    history: pd.DataFrame
    estimators: list
    best_iteration: int


def pruning_path(estimator, X, y, X_val=None, y_val=None, *, sample_weight=None) -> PruningPath:
    """Fit an estimator once and return the model of every iteration.

    Iterations 1 to T are prefixes of one run, so that T + 1 models cost no more
    than the last of them. An interrupt (Ctrl-C) of the pruning ends the path with
    the iterations that are done, and a warning.

    Parameters
    ----------
    estimator : PrunedMLPClassifier, CAPoZPruner or what CAPoZPruner takes
        Not changed. Its `n_iterations` is the length of the path.
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
    X_val, y_val, sample_weight : array-like, default=None
        As in `PrunedMLPClassifier.fit`.

    Returns
    -------
    path : PruningPath

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn_capoz import PrunedMLPClassifier, pruning_path
    >>> X, y = make_classification(n_samples=300, random_state=0)
    >>> model = PrunedMLPClassifier((10,), threshold="fraction", n_iterations=3, random_state=0)
    >>> path = pruning_path(model, X, y)
    >>> len(path.estimators), path.estimators[0].network_.widths
    (4, (10,))
    """
    pruner = _as_pruner(estimator)
    job, fitted = pruner._prepare(X, y, X_val, y_val, sample_weight)
    records = pruner._walk(job)
    estimators = [copy(pruner)._store(records, i, fitted) for i in range(len(records))]
    best = choose_iteration(records, pruner.keep, pruner.tolerance)
    return PruningPath(estimators[0].history_, estimators, best)


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
    estimator : PrunedMLPClassifier, CAPoZPruner or what CAPoZPruner takes
        With the settings of training and pruning that are not searched.
    criteria : sequence of str or Criterion, default=("c-apoz",)
    thresholds : sequence of str or ThresholdRule, default=("mean+std",)
    max_iterations : int, default=7
        Candidates have 0 to `max_iterations` iterations; 0 is the dense network.
    cv : int, cross-validation generator or iterable, default=None
        As in GridSearchCV.
    scoring : str or callable, default=None
        As in GridSearchCV; None is accuracy.
    refit : bool, default=True
        Fit the chosen candidate on all samples.
    keep : {"best", "smallest", "one-standard-error"}, default="best"
        The highest mean score; or the fewest parameters within `tolerance` of
        it, or within the standard error of its mean.
    tolerance : float, default=0.0
        Score that `keep="smallest"` may give up.
    n_jobs : int or None, default=None
        Dense networks, and then parts of the paths, to work on at the same time.
    verbose : int, default=0
        Passed on to joblib.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        As in GridSearchCV, a row per candidate; and `mean_n_units`,
        `mean_n_parameters` over the folds.
    best_index_ : int
    best_params_ : dict
        criterion, threshold and n_iterations.
    best_score_ : float
    best_estimator_ : estimator
        The pruner of `best_params_`, fitted on all samples.
    scorer_ : callable
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
    With `sample_weight`, GridSearchCV of recent scikit-learn weighs the scores of
    the folds too; this search weighs training alone.

    An interrupt (Ctrl-C) ends the search with a KeyboardInterrupt, and nothing is
    stored. Training that scikit-learn or skorch does itself ends early instead,
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
        "scoring": [str, callable, None],
        "refit": ["boolean"],
        "keep": [StrOptions({"best", "smallest", "one-standard-error"})],
        "tolerance": [Interval(Real, 0, None, closed="left")],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
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

    def fit(self, X, y, groups=None, sample_weight=None):
        """Walk all paths in all folds, choose a candidate and fit it on all samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        groups : array-like of shape (n_samples,), default=None
            For splitters that keep groups together, such as the physical
            samples of a spectral library.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights in training; scores of the folds are not weighted.

        Returns
        -------
        self : CAPoZPrunerCV
        """
        self._validate_params()
        parts = list(product(_candidates(self, "criteria"), _candidates(self, "thresholds")))
        plans = [(check_criterion(c), check_threshold(t)) for c, t in parts]
        pruner = _as_pruner(self.estimator).set_params(
            n_iterations=self.max_iterations, keep="last", verbose=False
        )
        if pruner.random_state is None:  # every part of the search must see the same splits
            pruner.set_params(random_state=check_random_state(None).randint(2**31 - 1))
        checked, labels = validate_data(self, X, y, dtype=(np.float64, np.float32))
        check_classification_targets(labels)
        if isinstance(pruner, CAPoZPruner):
            pruner._check_columns(X)  # the folds' arrays have no names
        weight = None
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, checked)
        self.scorer_ = check_scoring(pruner, self.scoring)
        cv = check_cv(self.cv, labels, classifier=True)
        splits = cv.split(checked, labels, groups)
        folds = [Fold(checked, labels, weight, train, test) for train, test in splits]
        self.n_splits_ = len(folds)
        tables, dense = self._walk_all(pruner, folds, plans)
        self._store_results(parts, tables)
        if self.refit:
            start = perf_counter()
            best = clone(pruner).set_params(**self.best_params_)
            training = (X, labels, None, None, sample_weight)  # X as it came, with column names
            seconds_before = 0.0
            if dense is None:
                job, fitted = best._prepare(*training)
            else:
                job, fitted = best._take_up(dense[0], *training), dense[1]
                seconds_before = job.dense_seconds
            [records] = prune_together([job], keep_interrupted=False)
            self.best_estimator_ = best._store(records, len(records) - 1, fitted)
            self.refit_time_ = seconds_before + perf_counter() - start
            self.classes_ = best.classes_
        return self

    def _walk_all(
        self, pruner, folds: Sequence[Fold], plans: Sequence[tuple]
    ) -> tuple[list[np.ndarray], tuple | None]:
        """Train the dense network of every fold, then walk all paths.

        Returns what `score_paths` gives for each fold; and for the refit, whose
        dense network is trained beside the paths, what `train_fold` gives. A
        network that may not survive the way between processes is trained where
        it is needed, and None stands for it.
        """
        travels = pruner._keeps_arrays()
        scoring = Scoring(self.scorer_, self._predictions_only)
        n_slices, n_jobs = 1, effective_n_jobs(self.n_jobs)
        if travels and n_jobs > 1:
            # The paths of a fold are retrained side by side; but no process is to be without work.
            n_slices = min(len(plans), math.ceil(_TASKS_PER_PROCESS * n_jobs / len(folds)))
        # Not in a row, so that criteria meet: where they agree, a network is retrained once.
        slices = [plans[i::n_slices] for i in range(n_slices)]
        # Each task is long enough to be sent on its own.
        with Parallel(n_jobs=self.n_jobs, verbose=self.verbose, batch_size=1) as parallel:
            dense = [None] * len(folds)
            if travels:
                network_only = scoring.predictions_only
                dense = parallel(delayed(train_fold)(pruner, fold, network_only) for fold in folds)
            tasks = [
                delayed(score_paths)(pruner, fold, network, part, scoring)
                for fold, network in zip(folds, dense, strict=True)
                for part in slices
            ]
            beside = self.refit and travels
            if beside:
                tasks.insert(0, delayed(train_fold)(pruner, folds[0].whole, False))
            tables = parallel(tasks)
        dense_whole = tables.pop(0) if beside else None
        starts = range(0, len(tables), n_slices)
        return [_interleave(tables[start : start + n_slices]) for start in starts], dense_whole

    @property
    def _predictions_only(self) -> bool:
        """Whether scoring sees predictions only; the user's own may look at the estimator."""
        return self.scoring is None or isinstance(self.scoring, str)

    def _store_results(self, parts: Sequence[tuple], folds: Sequence[np.ndarray]) -> None:
        """Tabulate what the folds give, an array (part, iteration, column) each."""
        params = [
            {"criterion": criterion, "threshold": threshold, "n_iterations": iteration}
            for criterion, threshold in parts
            for iteration in range(self.max_iterations + 1)
        ]
        table = np.stack([fold.reshape(len(params), -1) for fold in folds])
        scores = table[..., 0]
        results: dict[str, Any] = {"params": params}
        for name in ("criterion", "threshold", "n_iterations"):
            column = np.empty(len(params), dtype=object)
            column[:] = [p[name] for p in params]
            results[f"param_{name}"] = np.ma.MaskedArray(column, mask=False)
        results |= {f"split{i}_test_score": row for i, row in enumerate(scores)}
        results["mean_test_score"] = scores.mean(axis=0)
        results["std_test_score"] = scores.std(axis=0)
        results["rank_test_score"] = rankdata(-scores.mean(axis=0), method="min").astype(np.int32)
        results["mean_n_units"], results["mean_n_parameters"] = table[..., 1:].mean(axis=0).T
        self.cv_results_ = results
        self.best_index_ = self._choose(scores, results["mean_n_parameters"])
        self.best_params_ = params[self.best_index_]
        self.best_score_ = results["mean_test_score"][self.best_index_]

    def _choose(self, scores: np.ndarray, sizes: np.ndarray) -> int:
        """Index of the smallest candidate among those that score well enough."""
        mean = scores.mean(axis=0)
        allowed = {"best": 0.0, "smallest": self.tolerance}.get(self.keep)
        if allowed is None:
            spread = scores[:, mean.argmax()].std(ddof=1) if len(scores) > 1 else 0.0
            allowed = spread / np.sqrt(len(scores))
        good = np.flatnonzero(mean >= mean.max() - allowed - 1e-12)
        return int(good[np.lexsort((-mean[good], sizes[good]))[0]])

    def predict(self, X):
        """Predict labels with the chosen candidate.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return self._chosen(X).predict(X)

    def predict_proba(self, X):
        """Predict class probabilities with the chosen candidate.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        return self._chosen(X).predict_proba(X)

    def predict_log_proba(self, X):
        """Logarithm of `predict_proba`."""
        return self._chosen(X).predict_log_proba(X)

    def score(self, X, y):
        """Score the chosen candidate by `scoring`."""
        return self.scorer_(self._chosen(X), X, y)

    def _chosen(self, X):
        check_is_fitted(self, "best_estimator_")
        return self.best_estimator_


def _candidates(search: CAPoZPrunerCV, parameter: str) -> list:
    """List the parts to try; names out of an array become plain strings again."""
    parts = list(getattr(search, parameter))
    if not parts:
        raise InvalidParameterError(f"{parameter} must hold at least one candidate, got none.")
    return [str(part) if isinstance(part, str) else part for part in parts]


def _interleave(slices: Sequence[np.ndarray]) -> np.ndarray:
    """Join what was dealt out as `plans[i::n]`."""
    table = np.empty((sum(map(len, slices)), *slices[0].shape[1:]))
    for i, part in enumerate(slices):
        table[i :: len(slices)] = part
    return table


def _as_pruner(estimator):
    """Clone a pruner, or put a CAPoZPruner around what it takes."""
    if isinstance(estimator, CAPoZPruner | PrunedMLPClassifier):
        return clone(estimator)
    return CAPoZPruner(clone(estimator))
