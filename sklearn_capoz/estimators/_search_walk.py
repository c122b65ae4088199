"""All folds of a search, spread over processes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from joblib import effective_n_jobs
from sklearn.exceptions import FitFailedWarning
from sklearn.utils.parallel import Parallel, delayed

from .._warn import warn
from ._fitting import Dense
from ._search_folds import Fold, score_paths, train_fold
from ._search_scoring import Scoring

__all__ = ["walk_all"]

#: So many that the last ones to end leave the other processes without work for a short time only.
_TASKS_PER_PROCESS = 6
#: Of the estimator for the refit: nobody scores it, and an error in its training is one.
_OF_THE_REFIT = Scoring({}, predictions_only=False, error_score="raise")


def walk_all(
    pruner,
    folds: Sequence[Fold],
    whole: tuple | None,
    plans: Sequence[tuple],
    scoring: Scoring,
    *,
    travels: bool,
    n_jobs: int | None,
    verbose: int,
) -> tuple[np.ndarray, Dense | None]:
    """Train the dense network of every fold, then walk all paths.

    Parameters
    ----------
    pruner : PrunedMLPClassifier or CAPoZPruner
    folds : sequence of Fold
    whole : tuple or None
        All samples, as `fit` takes them: their dense network is trained beside the paths.
    plans : sequence of (Criterion, ThresholdRule)
    scoring : Scoring
    travels : bool
        Whether networks survive the way between processes. Those that may not are trained where
        they are needed.
    n_jobs, verbose
        joblib's.

    Returns
    -------
    table : ndarray of shape (n_folds, n_plans, n_iterations + 1, n_columns)
        As `score_paths` gives it.
    dense : Dense or None
        Of all samples; None where it is still to be trained.
    """
    n_slices, n_processes = 1, effective_n_jobs(n_jobs)
    if travels and n_processes > 1:
        # The paths of a fold are retrained side by side; but no process is to be without work.
        n_slices = min(len(plans), math.ceil(_TASKS_PER_PROCESS * n_processes / len(folds)))
    # Not in a row, so that criteria meet: where they agree, a network is retrained once.
    slices = [plans[i::n_slices] for i in range(n_slices)]
    # Each task is long enough to be sent on its own.
    with Parallel(n_jobs=n_jobs, verbose=verbose, batch_size=1) as parallel:
        dense: list = [None] * len(folds)
        if travels:
            train = delayed(train_fold)
            dense = parallel(train(pruner, fold.training, scoring) for fold in folds)
        tasks = [
            delayed(score_paths)(pruner, fold, network, part, scoring)
            for fold, network in zip(folds, dense, strict=True)
            for part in slices
        ]
        beside = whole is not None and travels
        if beside:
            tasks.insert(0, delayed(train_fold)(pruner, whole, _OF_THE_REFIT))
        found = parallel(tasks)
    dense_whole = found.pop(0) if beside else None
    _report([set().union(*(texts for _, texts in part)) for part in _by_fold(found, n_slices)])
    tables = [[table for table, _ in part] for part in _by_fold(found, n_slices)]
    return np.stack([_interleave(parts) for parts in tables]), dense_whole


def _by_fold(found: list, n_slices: int) -> list[list]:
    return [found[start : start + n_slices] for start in range(0, len(found), n_slices)]


def _interleave(slices: Sequence[np.ndarray]) -> np.ndarray:
    """Join what was dealt out as `plans[i::n]`."""
    table = np.empty((sum(map(len, slices)), *slices[0].shape[1:]))
    for i, part in enumerate(slices):
        table[i :: len(slices)] = part
    return table


def _report(failures: Sequence[set[str]]) -> None:
    """Warn of what failed, fold by fold; each error is told once."""
    failed = {fold: texts for fold, texts in enumerate(failures) if texts}
    if failed:
        told = "\n".join(
            f"Fold {fold} (split{fold}_test_score):\n{text}"
            for fold, texts in failed.items()
            for text in sorted(texts)
        )
        warn(
            f"Candidates failed in {len(failed)} of {len(failures)} folds and have error_score "
            f'there; error_score="raise" ends the search instead.\n{told}',
            FitFailedWarning,
        )
