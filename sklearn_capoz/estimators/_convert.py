"""Any fitted network that this package knows, as a `DenseNetwork`."""

from __future__ import annotations

from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from ..exceptions import UnsupportedNetworkError
from ..networks._dense import DenseNetwork
from ._adapter import is_skorch_net
from ._kept import KeptNetworkMixin
from ._register import find_adapter

__all__ = ["as_dense_network", "is_skorch_net"]


def as_dense_network(estimator) -> DenseNetwork:
    """Return the dense network inside a fitted classifier, with the same outputs.

    Parameters
    ----------
    estimator : fitted classifier
        A PrunedMLPClassifier, CAPoZPruner, MLPClassifier, or a skorch NeuralNetClassifier whose
        module is a chain of Linear, activation, Dropout and BatchNorm1d; a FrozenEstimator
        around one; or of a kind that has an adapter. Batch norm is folded into the Linear layers
        beside it.

    Returns
    -------
    network : DenseNetwork

    Raises
    ------
    UnsupportedNetworkError
        If it is none of these, or its module computes something else as well.
    NotFittedError
        If it has not been fitted.
    """
    if isinstance(estimator, FrozenEstimator):
        return as_dense_network(estimator.estimator)
    if isinstance(estimator, KeptNetworkMixin):  # the pruners themselves
        check_is_fitted(estimator)
        return estimator._network
    try:
        adapter = find_adapter(estimator)
    except UnsupportedNetworkError:
        instead = getattr(estimator, "_instead_of_dense", None)
        if instead is not None:
            raise UnsupportedNetworkError(f"{type(estimator).__name__} {instead}") from None
        if hasattr(estimator, "best_estimator_"):
            raise UnsupportedNetworkError(
                f"{type(estimator).__name__} is a search; give its best_estimator_ in its place."
            ) from None
        raise UnsupportedNetworkError(
            f"{type(estimator).__name__} holds no network that is known here; give a fitted "
            "PrunedMLPClassifier, CAPoZPruner, MLPClassifier or NeuralNetClassifier, or register "
            "an adapter of its kind."
        ) from None
    check_is_fitted(estimator)
    return adapter.network(estimator)
