"""A dense network as plain arrays: what criteria look at, surgery cuts and predictors run."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, softmax

from ._activations import ACTIVATIONS
from ._predictor_kernels import argmax

__all__ = ["DenseNetwork", "without_denormals"]


@dataclass(frozen=True, eq=False)
class DenseNetwork:
    """Dense layers one behind the other, as arrays.

    Parameters
    ----------
    weights : tuple of ndarray of shape (n_in, n_out)
        One per layer, input first; MLPClassifier's orientation.
    biases : tuple of ndarray of shape (n_out,)
    activations : tuple of str
        One per hidden layer: a key of `ACTIVATIONS`.
    output : {"softmax", "logistic"}
        "logistic" is a single output unit for two classes.
    """

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    activations: tuple[str, ...]
    output: str = "softmax"

    def __repr__(self) -> str:
        # Not the weights: they would fill the screen of whoever prints a model that holds it.
        widths = "-".join(map(str, (self.n_features, *(len(bias) for bias in self.biases))))
        kinds = ", ".join(dict.fromkeys((*self.activations, self.output)))
        return f"DenseNetwork({widths}, {kinds}, {self.dtype})"

    @property
    def n_features(self) -> int:
        return self.weights[0].shape[0]

    @property
    def n_classes(self) -> int:
        return 2 if self.output == "logistic" else self.weights[-1].shape[1]

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return tuple(w.shape[1] for w in self.weights[:-1])

    @property
    def dtype(self) -> np.dtype:
        return self.weights[0].dtype

    @property
    def n_parameters(self) -> int:
        return sum(w.size + b.size for w, b in zip(self.weights, self.biases, strict=True))

    @property
    def n_bytes(self) -> int:
        """Bytes of the stored parameters."""
        return sum(w.nbytes + b.nbytes for w, b in zip(self.weights, self.biases, strict=True))

    @property
    def n_multiply_adds(self) -> int:
        """Multiply-adds for one sample."""
        return sum(w.size for w in self.weights)

    def forward(self, X: np.ndarray) -> list[np.ndarray]:
        """Activations of every hidden layer, then the logits."""
        outputs = []
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            X = X @ weight
            X += bias
            if i < len(self.activations):
                ACTIVATIONS[self.activations[i]].apply(X)
            outputs.append(X)
        return outputs

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Class probabilities of shape (n_samples, n_classes) from the logits."""
        if self.output == "softmax":
            return softmax(logits, axis=1)
        positive = expit(logits)
        return np.hstack([1 - positive, positive])

    def labels(self, logits: np.ndarray) -> np.ndarray:
        """Index of the most likely class of each sample; the lower index on ties."""
        if self.output == "softmax":
            labels = np.empty(len(logits), dtype=np.intp)
            argmax(np.ascontiguousarray(logits.T), labels)
            return labels
        return (logits[:, 0] > 0).astype(np.intp)

    def backward(
        self,
        hidden: list[np.ndarray],
        logits: np.ndarray,
        y: np.ndarray,
        *,
        by_inputs: bool = False,
    ) -> list[np.ndarray]:
        """Return each sample's derivatives of the cross-entropy by every hidden activation.

        Parameters
        ----------
        hidden : list of ndarray of shape (n_samples, n_units)
            Of each hidden layer.
        logits : ndarray of shape (n_samples, n_outputs)
        y : ndarray of shape (n_samples,), int
        by_inputs : bool, default=False
            Whether those by the inputs come first.

        Returns
        -------
        gradients : list of ndarray of shape (n_samples, n_units)
        """
        by_activation, by_sum = self.derivatives(hidden, logits, y)
        return [by_sum[0] @ self.weights[0].T, *by_activation] if by_inputs else by_activation

    def derivatives(
        self, hidden: list[np.ndarray], logits: np.ndarray, y: np.ndarray
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return each sample's derivatives of the cross-entropy.

        Returns
        -------
        by_activation : list of ndarray of shape (n_samples, n_units)
            By the units of every hidden layer.
        by_sum : list of ndarray of shape (n_samples, n_units)
            By what goes into the activations of every layer, and by the logits.
        """
        if self.output == "softmax":
            delta = softmax(logits, axis=1)
            delta[np.arange(len(y)), y] -= 1
        else:
            delta = expit(logits) - y[:, None]
        by_activation: list[np.ndarray] = []
        by_sum = [delta]
        for i in range(len(hidden) - 1, -1, -1):
            by_activation.insert(0, by_sum[0] @ self.weights[i + 1].T)
            slope = ACTIVATIONS[self.activations[i]].derivative(hidden[i])
            by_sum.insert(0, by_activation[0] * slope)
        return by_activation, by_sum

    def cut(self, layer: int, keep: np.ndarray) -> DenseNetwork:
        """Remove the units of one hidden layer where `keep` is False.

        The unit's column of the incoming weights, its bias and its row of the
        outgoing weights go; the network itself stays as it was.
        """
        weights, biases = list(self.weights), list(self.biases)
        weights[layer] = np.ascontiguousarray(weights[layer][:, keep])
        biases[layer] = biases[layer][keep]
        weights[layer + 1] = np.ascontiguousarray(weights[layer + 1][keep])
        return DenseNetwork(tuple(weights), tuple(biases), self.activations, self.output)

    def cut_inputs(self, keep: np.ndarray) -> DenseNetwork:
        """Remove the inputs where `keep` is False: their rows of the first layer's weights go."""
        first = np.ascontiguousarray(self.weights[0][keep])
        return replace(self, weights=(first, *self.weights[1:]))


def without_denormals(X: np.ndarray) -> np.ndarray:
    """Set values below the smallest normal number to zero, which no layer could tell them from.

    A processor takes a hundred times as long for each product with one. The compiled loops flush
    what arises in them; this is for numpy, the threads of BLAS and other devices.
    """
    sizes, tiny = np.abs(X), np.finfo(X.dtype).tiny
    if X.size == 0 or not sizes.min() < tiny:
        return X
    denormal = (sizes < tiny) & (X != 0)
    return np.where(denormal, X.dtype.type(0), X) if denormal.any() else X
