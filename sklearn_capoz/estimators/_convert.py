"""Any fitted network that this package knows, as a `DenseNetwork`."""

from __future__ import annotations

from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.utils.validation import check_is_fitted

from ..exceptions import UnsupportedNetworkError
from ..networks._dense import DenseNetwork

__all__ = ["as_dense_network", "is_skorch_net"]


def is_skorch_net(estimator) -> bool:
    """Whether an estimator is a skorch NeuralNetClassifier, told without importing skorch."""
    return any(
        kind.__name__ == "NeuralNetClassifier" and kind.__module__.startswith("skorch.")
        for kind in type(estimator).__mro__
    )


def as_dense_network(estimator) -> DenseNetwork:
    """Return the dense network inside a fitted classifier, with the same outputs.

    Parameters
    ----------
    estimator : fitted classifier
        A PrunedMLPClassifier, CAPoZPruner, MLPClassifier, or a skorch NeuralNetClassifier whose
        module is a chain of Linear, activation, Dropout and BatchNorm1d; or a FrozenEstimator
        around one. Batch norm is folded into the Linear layers beside it.

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
    from ._classifier import PrunedMLPClassifier
    from ._pruner import CAPoZPruner

    if isinstance(estimator, FrozenEstimator):
        return as_dense_network(estimator.estimator)
    known = (PrunedMLPClassifier, CAPoZPruner, MLPClassifier)
    if not (isinstance(estimator, known) or is_skorch_net(estimator)):
        raise UnsupportedNetworkError(
            f"{type(estimator).__name__} holds no network that is known here; give a fitted "
            f"{', '.join(kind.__name__ for kind in known)} or NeuralNetClassifier."
        )
    check_is_fitted(estimator)
    if isinstance(estimator, PrunedMLPClassifier):
        return estimator.network_
    if isinstance(estimator, CAPoZPruner):
        return as_dense_network(estimator.estimator_)
    if isinstance(estimator, MLPClassifier):
        return _from_mlp(estimator)
    from ._convert_net import network_of_net  # torch is needed for nets alone

    return network_of_net(estimator)


def _from_mlp(mlp: MLPClassifier) -> DenseNetwork:
    if mlp.out_activation_ == "logistic" and mlp.n_outputs_ > 1:
        raise UnsupportedNetworkError(
            f"This MLPClassifier gives {mlp.n_outputs_} labels at once; only one label per sample "
            "can be handled."
        )
    activations = (mlp.activation,) * (len(mlp.coefs_) - 1)
    return DenseNetwork(tuple(mlp.coefs_), tuple(mlp.intercepts_), activations, mlp.out_activation_)
