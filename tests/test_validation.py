"""What scikit-learn's checks are spared is what they would have left alone."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from sklearn_capoz._validation import is_as_validated

X = np.ones((2, 3))
READ_ONLY = X.view()
READ_ONLY.flags.writeable = False


class Fitted(BaseEstimator):
    n_features_in_ = 3


def validated(given, estimator):
    """Return what scikit-learn makes of it, or None where it has something to say."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            kinds = (np.float64, np.float32)
            return validate_data(
                estimator, given, dtype=kinds, ensure_all_finite=False, reset=False
            )
        except (ValueError, TypeError, UserWarning):
            return None


@pytest.mark.parametrize(
    "given",
    [X, X.astype(np.float32), X[:1], X.T.copy().T, READ_ONLY, np.full((2, 3), np.nan)],
    ids=["float64", "float32", "one row", "Fortran", "read-only", "NaN"],
)
def test_plain_arrays_are_spared(given):
    assert is_as_validated(Fitted(), given)
    assert validated(given, Fitted()) is given


@pytest.mark.parametrize(
    "given",
    [
        X.tolist(), pd.DataFrame(X), X[0], X[None], X[:0], X[:, :2], X.astype(int), X.astype(">f8"),
        X.astype(complex), X.astype(object), X.astype(np.float16), np.matrix(X), None,
    ],
    ids=[
        "list", "frame", "1-D", "3-D", "no rows", "columns", "int", ">f8", "complex", "object",
        "float16", "matrix", "None",
    ],
)  # fmt: skip
def test_all_else_is_asked(given):
    assert not is_as_validated(Fitted(), given)
    assert validated(given, Fitted()) is not given or given is None


def test_names_seen_in_fit_are_asked_for():
    named = Fitted()
    named.feature_names_in_ = np.array(["a", "b", "c"], object)
    assert not is_as_validated(named, X)
    assert validated(X, named) is None  # it warns of the missing names
