"""The table of a search, in GridSearchCV's form, and which of its rows is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from .._warn import warn

__all__ = ["choose_candidate", "tabulate"]


def tabulate(params: list[dict], table: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Return `cv_results_`.

    Parameters
    ----------
    params : list of dict
        A candidate each.
    table : ndarray of shape (n_folds, n_candidates, 2 + n_scores)
        Units, parameters and scores.
    names : sequence of str
        Of the scores; "score" where there is one without a name.
    """
    results: dict[str, Any] = {"params": params}
    for name in params[0]:
        column = np.empty(len(params), dtype=object)
        column[:] = [p[name] for p in params]
        results[f"param_{name}"] = np.ma.MaskedArray(column, mask=False)
    for name, scores in zip(names, np.moveaxis(table[..., 2:], -1, 0), strict=True):
        mean = scores.mean(axis=0)
        results |= {f"split{i}_test_{name}": row for i, row in enumerate(scores)}
        results[f"mean_test_{name}"] = mean
        with np.errstate(invalid="ignore"):
            results[f"std_test_{name}"] = scores.std(axis=0)
        results[f"rank_test_{name}"] = _ranks(mean, name)
    results["mean_n_units"], results["mean_n_parameters"] = table[..., :2].mean(axis=0).T
    return results


def _ranks(mean: np.ndarray, name: str) -> np.ndarray:
    """Return ranks from 1; what is not finite shares the last one."""
    finite = np.isfinite(mean)
    if not finite.all():
        warn(
            f"The mean test {name} of {np.count_nonzero(~finite)} of {mean.size} candidates is not "
            "finite; they rank last."
        )
    return rankdata(np.where(finite, -mean, np.inf), method="min").astype(np.int32)


def choose_candidate(scores: np.ndarray, sizes: np.ndarray, keep: str, tolerance: float) -> int:
    """Return the index of the smallest candidate among those that score well enough.

    Parameters
    ----------
    scores : ndarray of shape (n_folds, n_candidates)
    sizes : ndarray of shape (n_candidates,)
        Mean parameters.
    keep : {"best", "smallest", "one-standard-error"}
    tolerance : float
        Score that "smallest" may give up.

    Raises
    ------
    ValueError
        If no candidate has a finite mean score.
    """
    mean = scores.mean(axis=0)
    finite = np.isfinite(mean)
    if not finite.any():
        raise ValueError(
            "No candidate has a finite mean score, so that none can be chosen; "
            'error_score="raise" shows an error where it happens, refit=False keeps the table.'
        )
    mean = np.where(finite, mean, -np.inf)
    allowed = {"best": 0.0, "smallest": tolerance}.get(keep)
    if allowed is None:
        spread = scores[:, mean.argmax()].std(ddof=1) if len(scores) > 1 else 0.0
        allowed = spread / np.sqrt(len(scores))
    good = np.flatnonzero(mean >= mean.max() - allowed - 1e-12)
    return int(good[np.lexsort((-mean[good], sizes[good]))[0]])
