"""Criteria that look at activations and the loss's derivatives by them."""

from __future__ import annotations

import numpy as np

from ._base import Layer, StreamedCriterion


class _Mean(StreamedCriterion):
    """Shared by criteria that are a mean over samples."""

    prune_high = False

    def _values(self, layer: Layer) -> np.ndarray:
        """Return what the mean is taken of, of shape (n_samples, n_positions, n_units)."""
        raise NotImplementedError

    def summary(self, layer):
        weight = layer.sample_weight.sum()
        return weight, weight * layer.mean(self._values(layer))

    def score_summary(self, summary, layer):
        weight, total = summary
        return total / weight


class MeanActivation(_Mean):
    """Mean absolute activation of each unit; low is redundant."""

    name = "mean |activation|"

    def _values(self, layer):
        return np.abs(layer.activations)


class Gradient(_Mean):
    """Mean absolute derivative of the loss by each unit's activation; low is redundant.

    Of a connection it is the derivative by the weight.
    """

    name = "mean |gradient|"
    needs = frozenset({"gradients"})
    connection_needs = frozenset({"gradients"})

    def _values(self, layer):
        return np.abs(layer.gradients)

    def score_connections(self, layer):
        return layer.gradients


class Taylor(_Mean):
    """First-order estimate of what the loss changes if a unit is zeroed; low is redundant.

    The mean over samples of the absolute product of the activation and the
    derivative of the loss by it. Of a channel the products at all positions are
    summed before the absolute value: it is zeroed at all of them at once.
    Of a connection it is the weight times the derivative by it.

    References
    ----------
    Molchanov et al., Pruning convolutional neural networks for resource
    efficient inference, 2017, arXiv:1611.06440; of weights, Molchanov et al.,
    Importance estimation for neural network pruning, 2019, arXiv:1906.10771.
    """

    name = "Taylor"
    needs = frozenset({"activations", "gradients"})
    connection_needs = frozenset({"gradients"})

    def _values(self, layer):
        # Without the products themselves, which would be as many as the activations.
        activations, gradients = (
            np.moveaxis(values, 1, 2) for values in (layer.activations, layer.gradients)
        )
        return np.abs(np.vecdot(activations, gradients))[:, None]

    def score_connections(self, layer):
        return np.abs(layer.weights) * layer.gradients
