"""What a fitted estimator holds: one network, from which all else is made when it is asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from .._sklearn import CachedSignatureMixin
from ..networks import DenseNetwork
from ..teachers import without_teacher
from ._prediction import NetworkPredictionMixin

__all__ = ["KeptNetworkMixin", "missing", "read_only"]


class KeptNetworkMixin(CachedSignatureMixin, NetworkPredictionMixin):
    """One set of weights, `_kept`; its compiled form, `_predictor`, is made with it."""

    #: Attributes that import torch: asked for by name they are there, listings leave them out.
    _UNLISTED: frozenset[str] = frozenset()

    def get_support(self, indices=False):
        """Say which columns of X the network takes: all, unless inputs are pruned.

        Parameters
        ----------
        indices : bool, default=False
            Whether to give their numbers in place of a mask.

        Returns
        -------
        support : ndarray of shape (n_features_in_,), bool, or of int
        """
        check_is_fitted(self)
        support = vars(self).get("input_support_")
        if support is None:
            support = np.ones(self.n_features_in_, dtype=bool)
        return np.flatnonzero(support) if indices else support.copy()

    def __getattr__(self, name: str):
        # Only what is not there comes here.
        raise missing(self, name, learnt="_kept")

    def __dir__(self):
        # scikit-learn's own evaluates every property, and so does its HTML view with each name.
        names = object.__dir__(self)
        return [name for name in names if name not in self._UNLISTED and hasattr(self, name)]

    def __getstate__(self):
        # The compiled form would double a file; `__setstate__` makes it again.
        state: dict = super().__getstate__()  # type: ignore[assignment]
        kept = {name: value for name, value in state.items() if name != "_predictor"}
        return without_teacher(kept) if "_kept" in kept else kept


def missing(estimator, name: str, learnt: str) -> AttributeError:
    """Return the error for an attribute that is not there: one that `fit` sets, or none at all.

    Parameters
    ----------
    estimator : estimator
    name : str
        The attribute that was asked for.
    learnt : str
        One that every fit sets.
    """
    is_learnt = name == learnt or (name.endswith("_") and not name.startswith("_"))
    if is_learnt and learnt not in vars(estimator):
        return NotFittedError(
            f"This {type(estimator).__name__} instance is not fitted yet, so that it has no "
            f"{name.strip('_')}. Call 'fit' with appropriate arguments first."
        )
    return AttributeError(f"{type(estimator).__name__!r} object has no attribute {name!r}")


def read_only(network: DenseNetwork) -> DenseNetwork:
    """View a network whose arrays cannot be written to.

    What a user wrote there would move what numpy predicts from it, and not its compiled form.
    """

    def view(array: np.ndarray) -> np.ndarray:
        array = array.view()
        array.flags.writeable = False
        return array

    weights, biases = (tuple(map(view, arrays)) for arrays in (network.weights, network.biases))
    return replace(network, weights=weights, biases=biases)
