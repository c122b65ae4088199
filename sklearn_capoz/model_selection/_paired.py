"""Paired tests over repeats, corrected for how many there are.

Two methods that saw the same repeats are compared repeat by repeat: what a lucky split gives to
both falls out of their difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata, wilcoxon

from .._warn import warn

__all__ = ["holm", "paired_p", "paired_tests"]

#: What helps where methods do not meet at a size.
_REMEDY = (
    "Prune all to the same sizes, by schedule=Widths(...) or a rule that counts, as "
    "Fraction(0.25): others stop in some repeats before they are there."
)


def holm(p_values: Iterable[float]) -> np.ndarray:
    """Correct p-values for their number, by Holm's step-down rule.

    The chance that any of the tests finds a difference where there is none stays below the level
    that the corrected values are held against.

    Parameters
    ----------
    p_values : iterable of float

    Returns
    -------
    adjusted : ndarray
        In the order given, at most 1.

    Raises
    ------
    ValueError
        If one is not between 0 and 1, NaN for example.

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of
    Statistics 1979, 6(2) 65-70.

    Examples
    --------
    >>> from sklearn_capoz.model_selection import holm
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(list(p_values), dtype=float)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p_values must be a list of numbers from 0 to 1, got {p.tolist()}.")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return np.minimum(adjusted, 1.0)


def paired_p(ours, others) -> float:
    """Wilcoxon's signed-rank test of pairs, two-sided.

    Parameters
    ----------
    ours, others : array-like of shape (n_repeats,)
        Scores of two methods on the same repeats.

    Returns
    -------
    p : float
        1 where nothing differs, or one pair is all there is.

    Raises
    ------
    ValueError
        If the two are not of one length, or a score is NaN or infinite.

    Examples
    --------
    >>> from sklearn_capoz.model_selection import paired_p
    >>> paired_p([0.92, 0.94, 0.93, 0.95, 0.94, 0.96], [0.91] * 6)
    0.03125
    """
    difference = _differences(ours, others)
    if len(difference) < 2 or not difference.any():
        return 1.0
    return float(wilcoxon(difference).pvalue)


def paired_tests(
    table: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    *,
    size: str | None = "n_units",
    sizes: Sequence | None = None,
) -> pd.DataFrame:
    r"""Test pairs of methods against each other, repeat by repeat, at matched size.

    Wilcoxon's signed-rank test, two-sided, with Holm's correction over all rows of the table that
    comes back. The effect size is the matched-pairs rank-biserial correlation
    :math:`r = (W_+ - W_-) / (W_+ + W_-)` of the sums of ranks of positive and of negative
    differences: 1 where the method is better in every repeat, 0 where it is as often better as
    worse.

    Parameters
    ----------
    table : DataFrame
        A row per network: columns `repeat`, `method`, `score` and the one that `size` names.
        Several rows of one repeat, method and size, such as draws, are averaged.
    pairs : sequence of (method, against)
    size : str or None, default="n_units"
        Column that has to be equal on both sides. None compares the only network of each.
    sizes : sequence, default=None
        Sizes to compare at. None takes those that every method of `pairs` has in every repeat, and
        warns of sizes that one of them has in some repeats only, as where its pruning stalled.

    Returns
    -------
    tests : DataFrame
        Columns `size` (the name given), `method`, `against`, `n_repeats`, `difference` (mean of
        the method's score less the other's), `std` of it, `effect`, `p` and `p_holm`.

    Raises
    ------
    ValueError
        If a method or size is not in the table, a score is NaN or infinite, or the two were not run
        on the same repeats.

    Notes
    -----
    Repeats that draw from one set of samples overlap, so that p-values are too small by an unknown
    factor: read a difference just below 5 % as none. With six repeats the smallest p is 0.03, and
    with five 0.06.

    References
    ----------
    Wilcoxon, Individual comparisons by ranking methods, Biometrics Bulletin 1945,
    DOI 10.2307/3001968.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_capoz.model_selection import paired_tests
    >>> scores = {"l1": [0.90, 0.91, 0.93, 0.92, 0.90, 0.94],
    ...           "random": [0.88, 0.90, 0.90, 0.88, 0.85, 0.88]}
    >>> table = pd.DataFrame(scores).rename_axis("repeat").melt(
    ...     var_name="method", value_name="score", ignore_index=False).reset_index()
    >>> found = paired_tests(table, [("l1", "random")], size=None)
    >>> found[["difference", "effect", "p_holm"]].round(3).values.tolist()
    [[0.035, 1.0, 0.031]]
    """
    by = ["method"] if size is None else ["method", size]
    missing = [name for name in ("repeat", "score", *by) if name not in table]
    if missing:
        raise ValueError(f"table lacks the columns {missing}; it has {list(table)}.")
    if not pairs or any(isinstance(pair, str) or len(pair) != 2 for pair in pairs):
        raise ValueError(f'pairs must be such as [("l1", "random")], got {pairs!r}.')
    named = list(dict.fromkeys(name for pair in pairs for name in pair))
    unknown = [name for name in named if name not in set(table["method"])]
    if unknown:
        raise ValueError(f"table has no method {unknown[0]!r}; it has {_listed(table['method'])}.")
    table = table[table["method"].isin(named)]
    _check_scores(table)
    scores = table.groupby([*by, "repeat"], sort=False, observed=True)["score"].mean()
    if size is not None and sizes is None:
        sizes = _common_sizes(scores, named, size)
    rows = []
    for at in [None] if sizes is None else sizes:
        for method, against in pairs:
            a, b = (_scores_of(scores, name, size, at) for name in (method, against))
            if set(a.index) != set(b.index):
                lacks = method if set(b.index) - set(a.index) else against
                raise ValueError(
                    f"{method!r} and {against!r} were run on other repeats"
                    f"{'' if size is None else f' at {size}={at}'}, and are not to be paired: "
                    f"{lacks!r} lacks {_listed(sorted(set(a.index) ^ set(b.index)))}. Give `sizes` "
                    f"that both have in every repeat. {_REMEDY}"
                )
            rows.append(([] if size is None else [at]) + [method, against, *_test(a, b[a.index])])
    columns = ["method", "against", "n_repeats", "difference", "std", "effect", "p"]
    found = pd.DataFrame(rows, columns=columns if size is None else [size, *columns])
    return found.assign(p_holm=holm(found["p"]))


def _check_scores(table: pd.DataFrame) -> None:
    odd = table[~np.isfinite(table["score"].to_numpy(dtype=float))]
    if len(odd):
        first = odd.iloc[0]
        raise ValueError(
            f"{first['method']!r} has the score {first['score']} in repeat {first['repeat']}, "
            "which cannot be compared; leave that repeat out for every method, or score otherwise."
        )


def _common_sizes(scores: pd.Series, named: list[str], size: str) -> list:
    """Return the sizes that every method has in every repeat, and warn of what is left out."""
    there = scores.unstack("repeat").notna()  # a row per method and size
    shared = set.intersection(*(set(there.loc[name].index) for name in named))
    lacking = {
        at: [name for name in named if not there.loc[(name, at)].all()]
        for at in sorted(shared, reverse=True)
    }
    sizes = [at for at, names in lacking.items() if not names]
    missed = "; ".join(f"{at} (not of {_listed(names)})" for at, names in lacking.items() if names)
    if not sizes:
        raise ValueError(
            f"No {size} is common to {', '.join(map(str, named))} in every repeat"
            f"{missed and f': {missed}'}. {_REMEDY} size=None compares the only network of each."
        )
    if missed:
        warn(f"These {size} are left out, not being in every repeat: {missed}. {_REMEDY}")
    return sizes


def _scores_of(scores: pd.Series, method: str, size: str | None, at) -> pd.Series:
    own = scores[method]
    if size is None:
        return own
    if at not in own.index.unique(0):
        raise ValueError(
            f"{method!r} has no network of {size}={at}; it has {_listed(own.index.unique(0))}."
        )
    return own[at]


def _test(a: pd.Series, b: pd.Series) -> tuple:
    difference = _differences(a, b)
    spread = np.std(difference, ddof=1) if len(difference) > 1 else np.nan
    moved, effect = difference[difference != 0], 0.0
    if moved.size:
        ranks = rankdata(np.abs(moved))
        effect = float((np.sign(moved) * ranks).sum() / ranks.sum())
    return len(difference), difference.mean(), spread, effect, paired_p(a, b)


def _differences(ours, others) -> np.ndarray:
    ours, others = np.asarray(ours, dtype=float), np.asarray(others, dtype=float)
    if ours.ndim != 1 or ours.shape != others.shape:
        raise ValueError(
            "ours and others must be the scores of two methods on the same repeats, got arrays of "
            f"shape {ours.shape} and {others.shape}."
        )
    if not (np.isfinite(ours).all() and np.isfinite(others).all()):
        raise ValueError(
            "Scores that are NaN or infinite cannot be compared; leave such pairs out."
        )
    # Rounded, so that equal counts of right samples tie although their shares differ in the 17th
    # digit.
    return np.round(ours - others, 12)


def _listed(values) -> str:
    return ", ".join(repr(value) for value in dict.fromkeys(values))
