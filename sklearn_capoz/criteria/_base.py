"""What a criterion is, and the view of a layer that it scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator

from .._sklearn import validate_parameter_constraints


@dataclass(frozen=True, eq=False)
class Layer:
    """One hidden layer, as a criterion sees it.

    Parameters
    ----------
    activations : ndarray of shape (n_samples, n_units)
        Outputs of the activation function on the scoring samples.
    activation : str
        Its name, "relu" for example.
    correct : ndarray of shape (n_samples,), bool
        Where the network's label is right.
    y : ndarray of shape (n_samples,), int
        Class codes.
    sample_weight : ndarray of shape (n_samples,)
    incoming : ndarray of shape (n_in, n_units)
        Weights into the units.
    outgoing : ndarray of shape (n_units, n_out)
        Weights from the units into the next layer.
    random_state : RandomState
        For criteria that draw.
    gradients : ndarray of shape (n_samples, n_units) or None
        Derivative of each sample's cross-entropy by the activations; only for
        criteria with `needs_gradients`.
    """

    activations: np.ndarray
    activation: str
    correct: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray
    incoming: np.ndarray
    outgoing: np.ndarray
    random_state: np.random.RandomState
    gradients: np.ndarray | None = None

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Weighted mean over the samples of `values`, one row per sample."""
        return self.sample_weight @ values / self.sample_weight.sum()

    def centred(self) -> np.ndarray:
        """Activations minus their weighted mean, rows scaled by the root of their weight."""
        return (self.activations - self.mean(self.activations)) * self.sample_weight[:, None] ** 0.5


class Criterion(BaseEstimator, ABC):
    """Base of all criteria."""

    #: What the scores are, for tables and the axes of pictures.
    name = "importance"
    #: High scores mark redundant units.
    prune_high = True
    #: The layer view must hold gradients.
    needs_gradients = False

    _parameter_constraints: dict = {}

    def check(self) -> None:
        """Raise InvalidParameterError for parameters outside their range."""
        validate_parameter_constraints(
            self._parameter_constraints, self.get_params(deep=False), type(self).__name__
        )

    @abstractmethod
    def score(self, layer: Layer) -> np.ndarray:
        """Score every unit of a layer.

        Parameters
        ----------
        layer : Layer

        Returns
        -------
        scores : ndarray of shape (n_units,)
        """
