"""Criteria that look at activations and the loss's derivatives by them."""

from __future__ import annotations

import numpy as np

from ._base import Criterion


class MeanActivation(Criterion):
    """Mean absolute activation of each unit; low is redundant."""

    name = "mean |activation|"
    prune_high = False

    def score(self, layer):
        return layer.mean(np.abs(layer.activations))


class Gradient(Criterion):
    """Mean absolute derivative of the loss by each unit's activation; low is redundant."""

    name = "mean |gradient|"
    prune_high = False
    needs = frozenset({"gradients"})

    def score(self, layer):
        return layer.mean(np.abs(layer.gradients))


class Taylor(Criterion):
    """First-order estimate of what the loss changes if a unit is zeroed; low is redundant.

    The mean over samples of the absolute product of the activation and the
    derivative of the loss by it. Of a channel the products at all positions are
    summed before the absolute value: it is zeroed at all of them at once.

    References
    ----------
    Molchanov et al., Pruning convolutional neural networks for resource
    efficient inference, 2017, arXiv:1611.06440.
    """

    name = "Taylor"
    prune_high = False
    needs = frozenset({"activations", "gradients"})

    def score(self, layer):
        return layer.mean(np.abs(layer.per_sample(layer.activations * layer.gradients)))
