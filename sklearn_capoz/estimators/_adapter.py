"""How CAPoZPruner reaches into the estimators that it prunes, and how a user adds a kind of them.

An adapter trains an estimator of one kind, shows its network as a prunable model, and puts the
pruned network back. Each kind has one, in a register; whoever comes last is asked first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import validate_data

from .._sklearn import get_feature_names
from ..exceptions import UnsupportedNetworkError
from ..networks import DenseNetwork
from ..networks._predictor import Predictor
from ..pruning import PrunableModel
from ..training._samples import PruningData

__all__ = [
    "Adapter",
    "Description",
    "Inner",
    "check_columns",
    "find_adapter",
    "find_inner",
    "register_adapter",
]


@dataclass(frozen=True, eq=False)
class Description:
    """What can be said of an estimator before anything is done with it.

    Parameters
    ----------
    widths : tuple of int or None, default=None
        Units of its hidden layers, where they are known.
    is_arrays : bool, default=False
        Whether its network under pruning is plain arrays, which any process can be sent.
    classes : ndarray of shape (n_classes,) or None, default=None
        Of a trained one: the labels, in the order of its codes. None says that it is not trained.
    n_features : int or None, default=None
        Of a trained one: the features that it expects.
    n_epochs : int, default=0
        Of a trained one: the epochs that training took.
    """

    widths: tuple[int, ...] | None = None
    is_arrays: bool = False
    classes: np.ndarray | None = None
    n_features: int | None = None
    n_epochs: int = 0


class Adapter(ABC):
    """What :class:`CAPoZPruner` asks of a kind of estimator.

    Six methods make an estimator prunable; the other four have defaults that fit most. Register an
    object of the class with :func:`register_adapter`.

    See Also
    --------
    register_adapter : Make it known.
    """

    @abstractmethod
    def handles(self, estimator) -> bool:
        """Return whether an estimator, trained or not, is of this kind."""

    @abstractmethod
    def describe(self, estimator) -> Description:
        """Say what is known of an estimator, trained or not."""

    @abstractmethod
    def fit(
        self, estimator, data: PruningData, classes: np.ndarray, random_state: np.random.RandomState
    ):
        """Train a clone on `data.train`, whose labels are `classes[data.train.y]`; return it."""

    @abstractmethod
    def model(self, fitted, random_state: np.random.RandomState | None) -> PrunableModel:
        """View a trained estimator's network, with the settings that it was trained with."""

    @abstractmethod
    def network(self, fitted) -> DenseNetwork:
        """Return a trained estimator's network as arrays, with the same outputs."""

    @abstractmethod
    def with_model(self, fitted, model: PrunableModel):
        """Return a copy of a trained estimator with another network."""

    def copy(self, fitted):
        """Return a trained estimator that shares no weight with this one."""
        return deepcopy(fitted)

    def predictor(self, fitted):
        """Return what predicts: `labels(X, classes)` and `probabilities(X)`."""
        return Predictor(self.network(fitted))

    def weigh(self, estimator, data: PruningData, classes: np.ndarray) -> PruningData:
        """Fold the estimator's own class weights into those of the training samples."""
        return data

    def name_features(self, fitted, names: np.ndarray) -> None:
        """Let a trained estimator know its features by name, as a fit on a table does."""
        fitted.feature_names_in_ = names

    def train_network(
        self, estimator, data: PruningData, classes: np.ndarray, random_state: np.random.RandomState
    ) -> tuple[PrunableModel, int] | None:
        """Train the network that `fit` would, without an estimator around it, if that is faster.

        Returns it with the number of epochs; or None, and `fit` is called.
        """
        return None


def _skorch_adapter() -> Adapter:
    from ._skorch_adapter import SkorchAdapter  # imports torch

    return SkorchAdapter()


def is_skorch_net(estimator) -> bool:
    """Whether an estimator is a skorch NeuralNetClassifier, told without importing skorch."""
    return any(
        kind.__name__ == "NeuralNetClassifier" and kind.__module__.startswith("skorch.")
        for kind in type(estimator).__mro__
    )


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

    Raises
    ------
    UnsupportedNetworkError
        If no adapter handles it.
    """
    for handles, make in _REGISTER:
        if handles(estimator):
            return make()
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


def check_columns(estimator, X, n_features: int, name: str = "X") -> None:
    """Raise scikit-learn's error where X has other columns than a trained estimator expects.

    Parameters
    ----------
    estimator : fitted estimator
        One that remembers names of features is asked for them too.
    X : array-like of shape (n_samples, n_columns)
        As the user gave it: a checked array has no names.
    n_features : int
        What the estimator expects.
    name : str, default="X"
        Of X.
    """
    if hasattr(estimator, "feature_names_in_") and get_feature_names(X) is not None:
        validate_data(estimator, X, reset=False, skip_check_array=True)
    n_columns = np.shape(X)[1]
    if n_columns != n_features:
        raise ValueError(
            f"{name} has {n_columns} features, but {type(estimator).__name__} is expecting "
            f"{n_features} features as input."
        )
