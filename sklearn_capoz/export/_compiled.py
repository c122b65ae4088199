"""CompiledClassifier: a fitted network that only predicts."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from ..estimators._prediction import NetworkPredictionMixin
from ..networks import ACTIVATIONS, DenseNetwork
from ..networks._predictor import Predictor
from ._fixed import FixedClassifier

__all__ = ["CompiledClassifier"]


class CompiledClassifier(NetworkPredictionMixin, FixedClassifier):
    """A fitted network that only predicts, without what trained it.

    This is what `load_model` and `compile_pipeline` return. Like a
    :class:`sklearn.frozen.FrozenEstimator` it is fitted from the beginning and stays as it is:
    `fit` changes nothing, and :func:`sklearn.base.clone` returns the object itself. Its parameters
    are all it holds, so what `set_params` changes is what it predicts with.

    Parameters
    ----------
    network : DenseNetwork
        Weights, biases and activations, all float32 or all float64. Arrays that can be written to
        are copied to some that cannot: what compiled code has packed would not follow them.
    classes : array-like of shape (n_classes,)
        Labels in the order of the network's outputs.
    feature_names : array-like of str of shape (n_features,), default=None
        Column names of the DataFrame that it was trained on.
    wavelengths : array-like of float of shape (n_features,), nm, default=None
        Band centres, if the features are bands.
    history : DataFrame, default=None
        The table of the pruning run, a row per iteration.

    Attributes
    ----------
    classes_, n_features_in_, feature_names_in_, wavelengths_, history_
        As given; the last three only where they were.

    Raises
    ------
    ValueError
        If the layers do not fit together, or the labels, names or wavelengths do not fit them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_capoz.deploy import CompiledClassifier
    >>> from sklearn_capoz.networks import DenseNetwork
    >>> network = DenseNetwork((np.array([[1.0, -1.0]]),), (np.zeros(2),), ())
    >>> CompiledClassifier(network, ["rises", "falls"]).predict([[2.0], [-3.0]])
    array(['rises', 'falls'], dtype='<U5')
    """

    @property
    def _predictor(self) -> Predictor:  # type: ignore[override]
        """Made when it is first asked for, and again for another network."""
        made = vars(self).get("_made")
        if made is None or made.network is not self.network:
            self._check_parts()
            self._made = made = Predictor(self.network)
        return made

    def _check_network(self) -> DenseNetwork:
        network = self.network
        if not isinstance(network, DenseNetwork):
            raise ValueError(
                f"network must be a DenseNetwork, got {type(network).__name__}; compile_pipeline "
                "makes a CompiledClassifier of a fitted classifier."
            )
        _check_layers(network)
        return _unchangeable(network)


def _unchangeable(network: DenseNetwork) -> DenseNetwork:
    """Return the network itself if nobody can write to its arrays through it, or a copy."""
    parts = network.weights, network.biases
    if not any(array.flags.writeable for arrays in parts for array in arrays):
        return network

    def own(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array.flags.writeable = False
        return array

    weights, biases = (tuple(map(own, arrays)) for arrays in parts)
    return replace(network, weights=weights, biases=biases)


def _check_layers(network: DenseNetwork) -> None:
    shapes = [np.shape(weight) for weight in network.weights]
    fit = (
        0 < len(shapes) == len(network.biases) == len(network.activations) + 1
        and all(len(shape) == 2 for shape in shapes)
        and all(a[1] == b[0] for a, b in pairwise(shapes))
        and all(np.shape(b) == s[1:] for s, b in zip(shapes, network.biases, strict=True))
        and network.output in ("softmax", "logistic")
        and (network.output == "softmax" or shapes[-1][1] == 1)
        and ACTIVATIONS.keys() >= set(network.activations)
    )
    if not fit:
        raise ValueError(
            "The layers of the network do not fit together: weights "
            f"{shapes}, biases {[np.shape(bias) for bias in network.biases]}, activations "
            f"{network.activations}, output {network.output!r}."
        )
    dtypes = {array.dtype.name for array in (*network.weights, *network.biases)}
    if dtypes not in ({"float32"}, {"float64"}):
        raise ValueError(
            f"All weights and biases must be float32 or all float64, found {sorted(dtypes)}."
        )
