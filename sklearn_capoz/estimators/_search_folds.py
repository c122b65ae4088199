"""One fold of a cross-validation: its dense network, and the scores along its paths."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from ..exceptions import PruningStalledWarning, SmallDataWarning
from ..networks import DenseNetwork
from ..networks._predictor import Predictor
from ..pruning import PruningJob, prune_together
from ..pruning._dense_model import DenseModel
from ._prediction import NetworkPredictionMixin

__all__ = ["Fold", "Scoring", "score_paths", "train_fold"]


@dataclass(frozen=True, eq=False)
class Scoring:
    """What rates a candidate: called with an estimator, X and y.

    `predictions_only` says that it asks the estimator for nothing but predictions, so that a
    bare network will do.
    """

    scorer: Callable
    predictions_only: bool


@dataclass(frozen=True, eq=False)
class Fold:
    """The samples of one split."""

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None
    train: np.ndarray
    test: np.ndarray

    @property
    def whole(self) -> Fold:
        """All samples to train on, none to score."""
        return replace(self, train=np.arange(len(self.y)), test=np.empty(0, dtype=int))

    @property
    def training(self) -> tuple:
        """What the estimators' `fit` takes."""
        weight = None if self.weight is None else self.weight[self.train]
        return self.X[self.train], self.y[self.train], None, None, weight


class _ScoredNetwork(NetworkPredictionMixin, ClassifierMixin, BaseEstimator):
    """A network in the form that scikit-learn's scorers take.

    A fitted pruner, with its tables and copies, takes longer to make than a
    small network to score.
    """

    def __init__(self, network: DenseNetwork, classes: np.ndarray):
        self.network = network
        self.classes = classes
        self.classes_ = classes
        self._predictor = Predictor(network)

    def _check_X(self, X):
        return X  # the search has checked all samples

    def score(self, X, y):
        """Share of labels that are right, without the checks of `accuracy_score`."""
        return float(np.mean(self.predict(X) == y))


def train_fold(pruner, fold: Fold, network_only: bool) -> tuple[PruningJob, object]:
    """Train the dense network of a fold; the samples do not come back with it."""
    job, fitted = clone(pruner)._prepare(*fold.training, network_only=network_only)
    return replace(job, data=None), fitted


def score_paths(
    pruner,
    fold: Fold,
    dense: tuple[PruningJob, object] | None,
    plans: Sequence[tuple],
    scoring: Scoring,
) -> np.ndarray:
    """Prune the dense network of a fold by every criterion and rule of `plans`.

    `dense` is what `train_fold` gives; None trains it here. Returns scores,
    units and parameters as an array (plan, iteration, 3). An interrupt goes on to
    the caller: a path that was cut off would pass for one that has stalled.
    """
    pruner = clone(pruner)
    job, fitted = dense or train_fold(pruner, fold, scoring.predictions_only)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallDataWarning)  # the training has given it
        job = pruner._take_up(job, *fold.training)
    jobs = [
        replace(job, plan=replace(job.plan, criterion=criterion, threshold=threshold))
        for criterion, threshold in plans
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PruningStalledWarning)  # the table shows it
        paths = prune_together(jobs, keep_interrupted=False)
    X, y = fold.X[fold.test], fold.y[fold.test]
    table = np.empty((len(plans), job.plan.n_iterations + 1, 3))
    for records, rows in zip(paths, table, strict=True):
        for iteration, record in enumerate(records):
            model = record.model
            if scoring.predictions_only and isinstance(model, DenseModel):
                estimator = _ScoredNetwork(model.network, pruner.classes_)
            else:
                estimator = copy(pruner)._store(records, iteration, fitted)
            # A path that has stalled stays what it is.
            rows[iteration:] = (
                scoring.scorer(estimator, X, y),
                sum(model.widths),
                model.size.n_parameters,
            )
    return table
