"""What a criterion is, and the view of a layer that it scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator

from .._sklearn import validate_parameter_constraints


@dataclass(frozen=True, eq=False)
class Layer:
    """One hidden layer, as a criterion sees it: the arrays are read-only views.

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

    def __post_init__(self):
        values = vars(self)  # the class is frozen
        for name, value in values.items():
            if isinstance(value, np.ndarray):  # the network's own, which no score may change
                values[name] = read_only(value)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Weighted mean over the samples of `values`, one row per sample."""
        return self.sample_weight @ values / self.sample_weight.sum()

    def centred(self) -> np.ndarray:
        """Activations minus their weighted mean, rows scaled by the root of their weight."""
        return (self.activations - self.mean(self.activations)) * self.sample_weight[:, None] ** 0.5


def read_only(array: np.ndarray) -> np.ndarray:
    """View an array so that it cannot be written to."""
    view = array.view()
    view.setflags(write=False)
    return view


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


def unit_scores(criterion: Criterion, layer: Layer) -> np.ndarray:
    """Score a layer, and raise ValueError where that is not one finite number per unit."""
    scores = np.asarray(criterion.score(layer))
    method, n_units = f"{type(criterion).__name__}.score", layer.activations.shape[1]
    if scores.shape != (n_units,):
        raise ValueError(f"{method} gave shape {scores.shape}, expected ({n_units},).")
    if not np.isfinite(scores).all():
        seen = (layer.activations, layer.incoming, layer.outgoing, layer.gradients)
        if all(np.isfinite(array).all() for array in seen if array is not None):
            why = "though the layer's activations and weights are finite."
        else:
            why = (
                "and the network's activations or weights have overflowed: train it with a "
                "smaller learning rate."
            )
        raise ValueError(f"{method} gave scores that are not finite, {scores}, {why}")
    return scores
