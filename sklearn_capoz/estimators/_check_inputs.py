"""Checks of X: a table, and where a network takes them, arrays of more axes or several arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length, validate_data

from ..networks._inputs import leaves, map_inputs

__all__ = ["check_inputs", "has_several"]

_DTYPES = (np.float64, np.float32)


def has_several(X: Any) -> bool:
    """Whether X is several arrays: a list is rows, a dict or tuple of arrays is not."""
    if isinstance(X, Mapping):
        return not issparse(X)  # one kind of which is a dict
    return isinstance(X, tuple) and len(X) > 0 and all(np.ndim(part) > 1 for part in X)


def check_inputs(
    estimator, X: Any, *, allow_nd: bool, reset: bool, ensure_all_finite: bool = True
) -> Any:
    """Check X as scikit-learn does, and bring it to floating point.

    Parameters
    ----------
    estimator : estimator
        Learns the number and names of the columns where `reset`, else has them compared.
    X : array-like, or dict or tuple of array-like
    allow_nd : bool
        Whether the network takes more than tables.
    reset : bool
    ensure_all_finite : bool, default=True

    Returns
    -------
    X : ndarray, or dict or tuple of ndarray
    """
    if not (allow_nd and has_several(X)):
        return validate_data(
            estimator,
            X,
            dtype=_DTYPES,
            allow_nd=allow_nd,
            reset=reset,
            ensure_all_finite=ensure_all_finite,
        )
    checked = map_inputs(
        lambda part: check_array(
            part, dtype=_DTYPES, allow_nd=True, ensure_all_finite=ensure_all_finite
        ),
        dict(X) if isinstance(X, Mapping) else X,
    )
    check_consistent_length(*leaves(checked))
    return checked
