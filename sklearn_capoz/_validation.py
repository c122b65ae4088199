"""Checks of parameters that several parts share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real

import numpy as np
import pandas as pd

from ._sklearn import Interval, InvalidParameterError, StrOptions
from .exceptions import UnsupportedNetworkError

__all__ = [
    "PRUNING_CONSTRAINTS",
    "both_or_none",
    "check_hidden_layers",
    "check_labels",
    "check_part",
    "encode_labels",
    "is_as_validated",
]

#: Constraints of the pruning parameters, the same for both estimators.
PRUNING_CONSTRAINTS: dict = {
    # Parts may be objects: `check_part` says more about them than a constraint could.
    "criterion": "no_validation",
    "threshold": "no_validation",
    "schedule": "no_validation",
    "granularity": [StrOptions({"unit", "connection"})],
    "n_iterations": [Interval(Integral, 0, None, closed="left")],
    "keep": [StrOptions({"last", "best", "smallest"})],
    "tolerance": [Interval(Real, 0, 1, closed="both")],
    "min_units": [Interval(Integral, 1, None, closed="left")],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "retrain_max_iter": [Interval(Integral, 0, None, closed="left")],
    "retrain_learning_rate": [StrOptions({"constant", "cosine"})],
    "compensation": [StrOptions({"bias", "least-squares"}), None],
    "distillation": [Interval(Real, 0, 1, closed="right"), None],
    "teacher": "no_validation",
    "temperature": [Interval(Real, 0, None, closed="neither")],
    "verbose": ["verbose"],
    "random_state": ["random_state"],
}


def check_part(part, parameter: str, registry: Mapping[str, Callable], base: type):
    """Return the part of that name from `registry`, or the part itself, its parameters checked."""
    if isinstance(part, str) and part in registry:
        return registry[part]()
    if isinstance(part, base):
        part.check()  # type: ignore[attr-defined]
        return part
    public = base.__module__.partition("._")[0]  # where users import it from
    message = (
        f"{parameter}={part!r} is not known; choose one of {sorted(registry)}, or pass an object "
        f"of a subclass of {public}.{base.__name__}, made with its parameters."
    )
    raise (InvalidParameterError if isinstance(part, str) else TypeError)(message)


def is_as_validated(estimator, X) -> bool:
    """Return whether `validate_data` of a fitted estimator would return X itself, without a word.

    Its questions to X take as long as all that the library does with one row. They are spared
    where X is what comes out of another step of a Pipeline; whether it is finite is not asked.
    """
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.dtype in (np.float32, np.float64)
        and len(X) > 0
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
    )


def both_or_none(**arguments) -> bool:
    """Return whether both arguments are given; raise if only one is."""
    given = [name for name, value in arguments.items() if value is not None]
    if len(given) == 1:
        raise ValueError(f"{' and '.join(arguments)} belong together; only {given[0]} was given.")
    return bool(given)


def check_labels(y: np.ndarray, name: str = "y") -> None:
    """Raise where labels cannot be sorted, for which numpy has words that name no remedy.

    What else may be wrong with them, `check_classification_targets` says.
    """
    if y.dtype != object:
        return
    if missing := int(pd.isna(y).sum()):
        raise ValueError(
            f"{name} holds {missing} missing labels (None or NaN): give these samples a class, or "
            "leave them out."
        )
    strings = [isinstance(label, str) for label in y]
    if any(strings) and not all(strings):
        other = type(y[strings.index(False)]).__name__
        raise ValueError(
            f"{name} holds strings and labels of type {other}, which cannot be sorted: make all of "
            "them strings."
        )


def encode_labels(y, classes: np.ndarray, name: str) -> np.ndarray:
    """Codes of labels among the known `classes`, which are sorted."""
    check_labels(y, name)
    unknown = np.setdiff1d(y, classes)
    if unknown.size:
        raise ValueError(
            f"{name} holds labels that the classifier is not trained on: {unknown[:10].tolist()}."
        )
    return np.searchsorted(classes, y)


def check_hidden_layers(widths: tuple[int, ...]) -> None:
    """Raise where a network has nothing to prune."""
    if not widths:
        raise UnsupportedNetworkError(
            "The network has no hidden layer, and pruning takes units of hidden layers only; give "
            "it one, hidden_layer_sizes=(30,) for example."
        )
