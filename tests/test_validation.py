"""What scikit-learn's checks are spared is what they would have left alone; labels that sort."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from sklearn_capoz._validation import check_labels, encode_labels, is_as_validated

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
        X.astype(complex), X.astype(object), X.astype(np.float16), X.view(np.matrix), None,
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


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", None, "b"], r"y holds 1 missing labels \(None or NaN\): give these samples a class"),
        ([0, 1, None], "y holds 1 missing"),
        ([np.nan, pd.NA, "b"], "y holds 2 missing"),
        ([None, None], "y holds 2 missing"),
        (["a", 7, "b"], "y holds strings and labels of type int, which cannot be sorted"),
    ],
)
def test_labels_that_cannot_be_sorted_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        check_labels(np.array(labels, dtype=object))
    with pytest.raises(ValueError, match=message.replace("y holds", "y_val holds")):
        encode_labels(np.array(labels, dtype=object), np.array(["a", "b"], dtype=object), "y_val")


@pytest.mark.parametrize("labels", [["a", np.str_("b")], [1, True, 2.5], []])
def test_labels_that_can_be_sorted_pass(labels):
    check_labels(np.array(labels, dtype=object))
