"""One fold of a cross-validation: its dense network, and the scores along its paths."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.pipeline import Pipeline

from .._sklearn import InvalidParameterError, safe_indexing
from ..exceptions import PruningStalledWarning, SmallDataWarning, UnsupportedNetworkError
from ..networks import DenseNetwork
from ..networks._inputs import take
from ..networks._predictor import Predictor
from ..pruning import prune_together
from ..pruning._dense_model import DenseModel
from ..pruning._records import count_units
from ._fitting import Dense, Plan, job_of
from ._prediction import NetworkPredictionMixin
from ._search_scoring import Scoring
from ._split import Split

__all__ = ["Fold", "complete", "make_fold", "score_paths", "train_fold"]

#: What is no matter of a fold, but of the search: it ends it, whatever `error_score` says.
_OF_THE_SEARCH = (InvalidParameterError, UnsupportedNetworkError)


@dataclass(frozen=True, eq=False)
class Fold:
    """The samples of one split, as they come out of the steps before the pruner."""

    X: Any
    y: np.ndarray
    weight: np.ndarray | None
    groups: np.ndarray | None
    train: np.ndarray
    test: np.ndarray
    steps: Pipeline | None = None  # fitted
    X_test: Any = None  # as it goes into them

    @property
    def training(self) -> tuple:
        """What the estimators' `fit` takes."""
        weight, groups = (
            None if values is None else values[self.train] for values in (self.weight, self.groups)
        )
        return take(self.X, self.train), self.y[self.train], None, None, weight, groups

    def whole(self, estimator) -> tuple:
        """Give a user's scorer all of a Pipeline, and samples as that takes them."""
        if self.steps is None:
            return estimator, take(self.X, self.test)
        return complete(self.steps, estimator), self.X_test


class _ScoredNetwork(NetworkPredictionMixin, ClassifierMixin, BaseEstimator):
    """A network in the form that scikit-learn's scorers take.

    A fitted pruner, with its tables and copies, takes longer to make than a
    small network to score.
    """

    def __init__(self, network: DenseNetwork, classes: np.ndarray, support: np.ndarray | None):
        self.network = network
        self.classes = classes
        self.support = support
        self.classes_ = classes
        self._predictor = Predictor(network, support)

    def _check_X(self, X):
        return X  # the search has checked all samples

    def score(self, X, y):
        """Share of labels that are right, without the checks of `accuracy_score`."""
        return float(np.mean(self.predict(X) == y))


def make_fold(steps: Pipeline | None, X, y, weight, groups, train, test) -> Fold:
    """Take the samples of one split; the steps before the pruner are fitted on its training part.

    The steps of a Pipeline see no sample that the fold is scored on.
    """
    if steps is None:
        return Fold(X, y, weight, groups, train, test)
    steps = clone(steps)
    fitted = np.asarray(steps.fit_transform(safe_indexing(X, train), y[train]))
    rows, X_test = np.r_[train, test], safe_indexing(X, test)
    return Fold(
        np.concatenate([fitted, np.asarray(steps.transform(X_test))]),
        y[rows],
        None if weight is None else weight[rows],
        None if groups is None else groups[rows],
        np.arange(len(train)),
        np.arange(len(train), len(rows)),
        steps,
        X_test,
    )


def complete(steps: Pipeline, last) -> Pipeline:
    """Put the last step in its place behind the fitted ones."""
    return copy(steps).set_params(**{steps.steps[-1][0]: last})


def train_fold(pruner, training: tuple, scoring: Scoring) -> Dense | str:
    """Train a dense network; what went wrong comes back as text."""
    pruner = clone(pruner)
    try:
        plan = pruner._plan()
        samples = pruner._split(plan, *training)
        return pruner._train(plan, samples, network_only=scoring.predictions_only)
    except _OF_THE_SEARCH:
        raise
    except Exception:
        return scoring.failure()


def score_paths(
    pruner, fold: Fold, dense: Dense | str | None, criteria_and_rules: Sequence, scoring: Scoring
) -> tuple[np.ndarray, list[str]]:
    """Prune the dense network of a fold by every criterion and rule.

    `dense` is what `train_fold` gives; None trains it here. Returns an array
    (plan, iteration, column), with the columns units, parameters and then the scores;
    and what went wrong. An interrupt goes on to the caller: a path that was cut off
    would pass for one that has stalled.
    """
    if dense is None:
        dense = train_fold(pruner, fold.training, scoring)
    n_columns = 2 + len(scoring.scorers)
    table = np.full((len(criteria_and_rules), pruner.n_iterations + 1, n_columns), np.nan)
    if isinstance(dense, str):
        table[..., 2:] = scoring.error_score
        return table, [dense]
    pruner = clone(pruner)
    plan = pruner._plan()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallDataWarning)  # the training has given it
        samples = pruner._split(plan, *fold.training)
    walk = _Walk(pruner, plan, samples, dense, scoring)
    paths, failures = walk.all_paths(criteria_and_rules)
    y = fold.y[fold.test]
    for records, rows in zip(paths, table, strict=True):
        if records is None:
            rows[:, 2:] = scoring.error_score
            continue
        for iteration, record in enumerate(records):
            estimator, X = walk.estimator(records, iteration), take(fold.X, fold.test)
            if not scoring.predictions_only:
                estimator, X = fold.whole(estimator)
            scores, failure = scoring.rate(estimator, X, y)
            failures += [] if failure is None else [failure]
            # A path that has stalled stays what it is.
            size = plan.pruning.granularity.size(record.model)
            rows[iteration:] = (count_units(record.model), size.n_parameters, *scores)
    return table, failures


@dataclass(frozen=True, eq=False)
class _Walk:
    """The paths that lead away from one dense network."""

    pruner: BaseEstimator
    plan: Plan
    samples: Split
    dense: Dense
    scoring: Scoring

    def all_paths(self, criteria_and_rules: Sequence) -> tuple[list, list[str]]:
        """Walk all paths side by side; after an error one by one, to find which one it is of."""
        try:
            return self._together(criteria_and_rules), []
        except _OF_THE_SEARCH:
            raise
        except Exception:
            failure = self.scoring.failure()
        if len(criteria_and_rules) == 1:
            return [None], [failure]
        parts = [self.all_paths([part]) for part in criteria_and_rules]
        return [paths[0] for paths, _ in parts], [text for _, texts in parts for text in texts]

    def _together(self, criteria_and_rules: Sequence) -> list:
        job = job_of(self.plan, self.samples, self.dense)
        jobs = [
            replace(job, plan=replace(job.plan, criterion=criterion, threshold=threshold))
            for criterion, threshold in criteria_and_rules
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PruningStalledWarning)  # the table shows it
            return prune_together(jobs, keep_interrupted=False)

    def estimator(self, records: Sequence, iteration: int):
        """Make what a scorer looks at."""
        model = records[iteration].model
        if self.scoring.predictions_only and isinstance(model, DenseModel):
            return _ScoredNetwork(model.network, self.samples.classes, model.inputs)
        return copy(self.pruner)._keep(self.plan, self.samples, self.dense, records, iteration)
