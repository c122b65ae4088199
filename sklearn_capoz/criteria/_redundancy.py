"""Criteria that ask what the other units can take over."""

from __future__ import annotations

from numbers import Real

import numpy as np

from .._sklearn import Interval
from ._base import Criterion


class Correlation(Criterion):
    """Absolute correlation of each unit with a unit that stays; high is redundant.

    C-APoZ cannot see units that duplicate each other. Of the most correlated
    pair the unit with the smaller outgoing weights goes, and the search goes on
    among the rest. `compensation="least-squares"` folds what it contributed
    into its twin. A constant unit carries nothing that a bias could not: 1.
    """

    name = "|correlation|"

    def score(self, layer):
        activations = layer.activations
        # Asked of the values: the variance of a constant is whatever rounding makes of its mean.
        eps = np.finfo(activations.dtype).eps
        largest = np.abs(activations).max(axis=(0, 1))
        varies = np.ptp(activations, axis=(0, 1)) > 4 * eps * largest
        centred = layer.centred()
        length = np.linalg.norm(centred, axis=0)
        normal = np.where(varies, centred / np.where(varies, length, 1), 0)
        correlation = np.abs(normal.T @ normal)
        np.fill_diagonal(correlation, -1)
        correlation[~varies] = correlation[:, ~varies] = -1
        strength = np.linalg.norm(layer.outgoing.reshape(layer.n_units, -1), axis=1)
        scores = np.where(varies, 0.0, 1.0)
        for _ in range(varies.sum() - 1):
            pair = np.unravel_index(correlation.argmax(), correlation.shape)
            weaker = min(pair, key=lambda unit: (strength[unit], unit))
            scores[weaker] = min(correlation[pair], 1.0)
            correlation[weaker] = correlation[:, weaker] = -1
        return scores


class Reconstruction(Criterion):
    r"""What the next layer's inputs lose when units go one by one and the rest make up for it.

    Greedy removal in closed form. With the centred activations' second moment
    :math:`H = A^T A + \lambda I` and outgoing weights W, the cheapest unit to
    remove is the one with the smallest :math:`\|w_i\|^2 / [H^{-1}]_{ii}`; the
    others take over by :math:`-H^{-1}_{:,i} w_i / [H^{-1}]_{ii}`, :math:`H^{-1}`
    is downdated by rank one, and the search goes on.

    Its score is the logarithm (base 10) of the share of the next layer's input
    variance that is lost once the unit is gone, after all that went before it;
    low is redundant. It belongs with `compensation="least-squares"`, which does
    the same refit.

    Parameters
    ----------
    ridge : float, default=1e-3
        :math:`\lambda` as a share of the mean diagonal of :math:`A^T A`.

    Notes
    -----
    Of channels, as in ThiNet, each position counts as a sample and each tap as further
    outputs: what one tap sees at one position is taken to be like all the others.

    References
    ----------
    Hassibi and Stork, Second order derivatives for network pruning: Optimal
    Brain Surgeon, 1993; Luo et al., ThiNet, 2017, DOI 10.1109/ICCV.2017.541.
    """

    name = "log10 of lost variance share"
    prune_high = False
    _parameter_constraints = {"ridge": [Interval(Real, 0, None, closed="neither")]}

    #: Scores below this share of the variance are all the same: nothing is lost.
    _floor = 1e-12

    def __init__(self, ridge=1e-3):
        self.ridge = ridge

    def score(self, layer):
        centred = layer.centred().astype(np.float64)
        outgoing = layer.outgoing.reshape(layer.n_units, -1).astype(np.float64)
        moment = centred.T @ centred
        total = max(np.einsum("ij,ik,kj->", outgoing, moment, outgoing), np.finfo(float).tiny)
        ridge = ridge_strength(moment, self.ridge)
        inverse = np.linalg.inv(moment + ridge * np.eye(len(moment)))
        alive = np.ones(len(outgoing), dtype=bool)
        scores, lost = np.zeros(len(outgoing)), 0.0
        for _ in range(len(outgoing)):
            # 1 / [H^-1]_ii counts the ridge on the leaving unit's own change, which is no loss.
            size = (outgoing**2).sum(axis=1) * np.maximum(1 / np.diag(inverse) - ridge, 0)
            cost = np.where(alive, size, np.inf)
            unit = int(cost.argmin())
            lost += cost[unit]
            scores[unit] = np.log10(max(lost / total, self._floor))
            take_over = inverse[:, unit] / inverse[unit, unit]
            outgoing -= np.outer(take_over, outgoing[unit])
            inverse -= np.outer(take_over, inverse[unit])
            alive[unit] = False
            # Gone for good: keep rounding from bringing it back as a division by zero.
            inverse[unit, unit] = 1.0
            outgoing[unit] = 0.0
        return scores


def ridge_strength(moment: np.ndarray, ridge: float) -> float:
    """Return `ridge` times the mean diagonal of `moment`; 1 where that is zero."""
    return ridge * float(np.trace(moment)) / len(moment) or 1.0
