"""Which adapter knows an estimator: a register that users can add to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import validate_data

from .._sklearn import get_feature_names
from ..exceptions import UnsupportedNetworkError
from ._adapter import Adapter, Description, is_skorch_net

__all__ = ["Inner", "check_columns", "find_adapter", "find_inner", "register_adapter"]


def _skorch_adapter() -> Adapter:
    from ._skorch_adapter import SkorchAdapter  # imports torch

    return SkorchAdapter()


#: Whether an estimator is of a kind, and what makes that kind's adapter; the first one counts.
_REGISTER: list[tuple[Callable[..., bool], Callable[[], Adapter]]] = [
    (is_skorch_net, _skorch_adapter)
]


def register_adapter(adapter: Adapter) -> None:
    """Let CAPoZPruner, CAPoZPrunerCV and the exports know a kind of estimator.

    Parameters
    ----------
    adapter : Adapter
        Asked before those that are registered already. An adapter of the same class takes the
        place of an earlier one, so that a notebook's cell may run twice.

    Raises
    ------
    TypeError
        If it is no object of a class made from `Adapter`.

    Examples
    --------
    >>> from sklearn_capoz.estimators import Adapter, register_adapter
    >>> register_adapter(Adapter)
    Traceback (most recent call last):
        ...
    TypeError: register_adapter takes an object of a class made from Adapter, got <class ...>; ...
    """
    if not isinstance(adapter, Adapter):
        raise TypeError(
            f"register_adapter takes an object of a class made from Adapter, got {adapter!r}; "
            "write register_adapter(MyAdapter())."
        )
    earlier = [entry for entry in _REGISTER if not _is_of_the_same_class(entry[0], adapter)]
    _REGISTER[:] = [(adapter.handles, lambda: adapter), *earlier]


def _is_of_the_same_class(handles: Callable, adapter: Adapter) -> bool:
    other = type(getattr(handles, "__self__", None))
    return (other.__module__, other.__qualname__) == (
        type(adapter).__module__,
        type(adapter).__qualname__,
    )


def find_adapter(estimator) -> Adapter:
    """Return the adapter of an estimator's kind.

    Parameters
    ----------
    estimator : estimator
        Trained or not, and out of its FrozenEstimator.

    Returns
    -------
    adapter : Adapter
        Of those that handle it, the one registered last.

    Raises
    ------
    UnsupportedNetworkError
        If no adapter handles it.
    """
    for handles, make in _REGISTER:
        if handles(estimator):
            return make()
    instead = getattr(estimator, "_instead_of_pruner", None)
    if instead is not None:
        raise UnsupportedNetworkError(f"{type(estimator).__name__} {instead}")
    raise UnsupportedNetworkError(
        f"CAPoZPruner cannot prune {type(estimator).__name__}; give it a MLPClassifier, a "
        "NeuralNetClassifier, a PrunedMLPClassifier, or one of these, trained, in a "
        "FrozenEstimator. Another kind needs an adapter: see register_adapter."
    )


@dataclass(frozen=True, eq=False)
class Inner:
    """The estimator to prune, and all that a fit has to know of it; asked for once."""

    adapter: Adapter
    estimator: object
    description: Description
    is_frozen: bool

    @property
    def max_epochs(self) -> int | None:
        """Of the training to come; None where there is none, or it cannot pause."""
        return None if self.is_frozen else self.description.max_epochs


def find_inner(estimator) -> Inner:
    """Look into an estimator: a trained one comes frozen, any other one is taken as new."""
    is_frozen = isinstance(estimator, FrozenEstimator)
    inner = estimator.estimator if is_frozen else estimator
    adapter = find_adapter(inner)
    if not is_frozen:
        inner = clone(inner)
    description = adapter.describe(inner)
    if is_frozen and description.classes is None:
        raise NotFittedError(
            f"This {type(inner).__name__} instance is not fitted yet. What comes in a "
            "FrozenEstimator is not trained; call its 'fit' first, or take it out."
        )
    return Inner(adapter, inner, description, is_frozen)


def check_columns(estimator, X, n_features: int | None, name: str = "X") -> None:
    """Raise scikit-learn's error where X has other columns than a trained estimator expects.

    Parameters
    ----------
    estimator : fitted estimator
        One that remembers names of features is asked for them too.
    X : array-like of shape (n_samples, n_columns)
        As the user gave it: a checked array has no names.
    n_features : int or None
        What the estimator expects; None where its adapter cannot tell, and any number passes.
    name : str, default="X"
        Of X.
    """
    if hasattr(estimator, "feature_names_in_") and get_feature_names(X) is not None:
        validate_data(estimator, X, reset=False, skip_check_array=True)
    n_columns = np.shape(X)[1]
    if n_features is not None and n_columns != n_features:
        raise ValueError(
            f"{name} has {n_columns} features, but {type(estimator).__name__} is expecting "
            f"{n_features} features as input."
        )
