"""QuantizedClassifier: a network in integers that only predicts."""

from __future__ import annotations

import numpy as np
from sklearn.utils import assert_all_finite

from ..estimators._prediction import NetworkPredictionMixin
from ..integers import IntegerNetwork
from ._fixed import FixedClassifier

__all__ = ["QuantizedClassifier"]

#: Rows that are rounded to integers at a time.
_BLOCK = 4096


class QuantizedClassifier(NetworkPredictionMixin, FixedClassifier):
    """A network in integers that only predicts: what `quantize` returns.

    X is what the network in floats took. It is rounded to int16, and from there on all is integer
    arithmetic, the same in Python, in the C that `to_c` writes and in the graph of `to_onnx`:
    they agree in every label and every accumulator. Like a `CompiledClassifier` it stays as it is.

    Parameters
    ----------
    network : IntegerNetwork
        Weights, biases, multipliers and shifts.
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
        If the layers do not fit together, an accumulator could overflow, or the labels, names or
        wavelengths do not fit the layers.

    See Also
    --------
    quantize : Make one of a fitted classifier.
    """

    def decision_function(self, X):
        """Return the integer logits.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        logits : ndarray of shape (n_samples, n_classes) or (n_samples,), int32
            In units of `network_.logit_scale`. Of two classes there is one column, above 0 for
            the second.
        """
        logits = self._predictor.logits(self._check_X(X))
        if self.network.n_classes > 2:
            return logits
        return logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]

    @property
    def _predictor(self) -> _IntegerPredictor:  # type: ignore[override]
        return _IntegerPredictor(self.network)

    def _check_network(self) -> IntegerNetwork:
        network = self.network
        if not isinstance(network, IntegerNetwork):
            raise ValueError(
                f"network must be an IntegerNetwork, got {type(network).__name__}; quantize makes "
                "a QuantizedClassifier of a fitted classifier."
            )
        network.check()
        return network


class _IntegerPredictor:
    """Labels and probabilities of samples, as the mixin asks for them."""

    def __init__(self, network: IntegerNetwork):
        self.network = network

    def logits(self, X: np.ndarray) -> np.ndarray:
        assert_all_finite(X, input_name="X")
        codes = np.empty(X.shape, dtype=np.int16)
        for start in range(0, len(X), _BLOCK):  # in float64 they are four times as large
            rows = slice(start, start + _BLOCK)
            codes[rows] = self.network.quantize_input(X[rows])
        return self.network.logits(codes)

    def labels(self, X: np.ndarray, classes: np.ndarray) -> np.ndarray:
        # A logistic network that has seen one class may still name a second.
        return classes.take(self.network.labels(self.logits(X)), mode="clip")

    def probabilities(self, X: np.ndarray) -> np.ndarray:
        return self.network.probabilities(self.logits(X))
