"""Criteria that look at the incoming weights alone."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from .._sklearn import Options
from ._base import Criterion


class WeightNorm(Criterion):
    """Norm of each unit's incoming weights; low is redundant.

    Of a connection it is the absolute weight.

    Parameters
    ----------
    order : {1, 2}, default=1
        1 is the sum of absolute weights, 2 the Euclidean norm.

    References
    ----------
    Li et al., Pruning filters for efficient ConvNets, 2017, arXiv:1608.08710; of connections, Han
    et al., Learning both weights and connections, 2015, arXiv:1506.02626.
    """

    prune_high = False
    needs = frozenset()
    connection_needs = frozenset()
    _parameter_constraints = {"order": [Options(Integral, {1, 2})]}

    def __init__(self, order=1):
        self.order = order

    @property
    def name(self):  # type: ignore[override]
        return f"L{self.order} norm"

    def score(self, layer):
        return np.linalg.norm(layer.incoming, ord=self.order, axis=1)

    def score_connections(self, layer):
        return np.abs(layer.weights)


class GeometricMedian(Criterion):
    """Summed distance of each unit's incoming weights to those of the others; low is redundant.

    References
    ----------
    He et al., Filter pruning via geometric median, 2019, arXiv:1811.00250.
    """

    name = "distance to other units"
    prune_high = False
    needs = frozenset()

    def score(self, layer):
        units = layer.incoming
        return np.linalg.norm(units[:, None] - units[None], axis=2).sum(axis=1)
