"""The whole path at once: the model of every iteration."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import pandas as pd
from sklearn.base import clone

from ..pruning import choose_iteration
from ._classifier import PrunedMLPClassifier
from ._fitting import prune
from ._pruner import CAPoZPruner

__all__ = ["PruningPath", "as_pruner", "pruning_path"]


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


def pruning_path(
    estimator, X, y, X_val=None, y_val=None, *, sample_weight=None, groups=None
) -> PruningPath:
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
    X_val, y_val, sample_weight, groups : array-like, default=None
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
    pruner = as_pruner(estimator)
    plan = pruner._plan()
    samples = pruner._split(plan, X, y, X_val, y_val, sample_weight, groups)
    dense = pruner._train(plan, samples)
    records = prune(pruner, plan, samples, dense)
    estimators = [
        copy(pruner)._keep(plan, samples, dense, records, iteration)
        for iteration in range(len(records))
    ]
    best = choose_iteration(records, pruner.keep, pruner.tolerance)
    return PruningPath(estimators[0].history_, estimators, best)


def as_pruner(estimator):
    """Clone a pruner, or put a CAPoZPruner around what it takes."""
    if isinstance(estimator, CAPoZPruner | PrunedMLPClassifier):
        return clone(estimator)
    return CAPoZPruner(clone(estimator))
