"""A classifier that takes some of its columns, as a choice of columns and a classifier of those.

So files, graphs, C and maps know pruned inputs without a word on them; and what is not taken is not
computed by the steps before either, where these give each column by itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..estimators._convert import as_dense_network
from ..estimators._kept import KeptNetworkMixin
from ..spectral._bands import BandSelector
from ._compiled import CompiledClassifier
from ._steps import kind_of

__all__ = ["needed_columns", "select_before", "selected_first"]

#: What the choice is called among the steps.
_NAME = "inputs"


def selected_first(
    steps: list[tuple[str, Any]], classifier, wavelengths: np.ndarray | None
) -> tuple[list[tuple[str, Any]], Any]:
    """Put what a classifier selects of its columns into a step, as early as that is exact.

    Parameters
    ----------
    steps : list of (str, transformer)
        Fitted, in the order of the data.
    classifier : fitted classifier
    wavelengths : ndarray of shape (n_features,), nm, or None
        Of the first step's columns, where the model knows them.

    Returns
    -------
    steps : list of (str, transformer)
        With a BandSelector, and steps before which it stands in terms of what it leaves.
    classifier : fitted classifier
        Of what is left: the same, where it takes all its columns.
    """
    support = getattr(classifier, "__dict__", {}).get("input_support_")
    if not isinstance(classifier, KeptNetworkMixin) or support is None or support.all():
        return steps, classifier
    left = CompiledClassifier(
        as_dense_network(classifier), classifier.classes_, history=classifier.history_
    )
    names = getattr(classifier, "feature_names_in_", None)
    return select_before(steps, support, names, wavelengths), left


def select_before(
    steps: list[tuple[str, Any]],
    support: np.ndarray,
    names: np.ndarray | None,
    wavelengths: np.ndarray | None = None,
) -> list[tuple[str, Any]]:
    """Add a choice among the columns that steps give, as early as that is exact.

    Parameters
    ----------
    steps : list of (str, transformer)
        Fitted.
    support : ndarray of shape (n_columns,), bool
        Which columns of the last step's output go on.
    names : ndarray of str or None
        Of these columns.
    wavelengths : ndarray of shape (n_features,), nm, or None
        Of the first step's columns, where the model knows them.

    Returns
    -------
    steps : list of (str, transformer)
    """
    before, behind = list(steps), list[tuple[str, Any]]()
    while before:
        name, step = before[-1]
        kind = kind_of(step)
        narrowed = None if kind is None else kind.narrowed(step, support)
        if narrowed is None:
            break
        behind.insert(0, (name, narrowed))
        names = getattr(step, "feature_names_in_", None)
        before.pop()
    if before and (fewer := _giving(before[-1][1], support)) is not None:
        return [*before[:-1], (before[-1][0], fewer), *behind]
    if before and type(before[-1][1]) is BandSelector:  # two choices in a row are one
        name, step = before.pop()
        kept = np.zeros(step.n_features_in_, dtype=bool)
        kept[np.flatnonzero(step._keep)[support]] = True
        nm = None if isinstance(step.wavelengths, str) else step._axis.given
        names = getattr(step, "feature_names_in_", None)
        return [*before, (name, _selector(kept, nm, names)), *behind]
    knows = not before and wavelengths is not None and len(wavelengths) == len(support)
    selector = _selector(support, wavelengths if knows else None, names)
    return [*before, (_NAME, selector), *behind]


def _giving(step, support: np.ndarray) -> Any | None:
    kind = kind_of(step)
    return None if kind is None else kind.giving(step, support)


def needed_columns(steps, n_columns: int, wanted: np.ndarray | None = None) -> np.ndarray:
    """Say which columns of the first step's X decide on what comes out of the last one.

    Parameters
    ----------
    steps : sequence of fitted transformers
    n_columns : int
        Of the first step's X.
    wanted : ndarray of bool or None, default=None
        Which columns of the last step's output count; None is all.

    Returns
    -------
    needed : ndarray of shape (n_columns,), bool
    """
    for step in reversed(steps):
        kind = kind_of(step)
        wanted = None if kind is None else kind.needs(step, wanted)
    return np.ones(n_columns, dtype=bool) if wanted is None else wanted


def _selector(keep: np.ndarray, wavelengths: np.ndarray | None, names) -> BandSelector:
    """Make a fitted choice of columns."""
    selector = BandSelector(
        wavelengths="index" if wavelengths is None else np.asarray(wavelengths).tolist(),
        unit=None if wavelengths is None else "nm",
        exclude=None,
        bad_bands=np.flatnonzero(~keep).tolist(),
    )
    ones = np.ones((1, len(keep)))
    return selector.fit(ones if names is None else pd.DataFrame(ones, columns=names))
