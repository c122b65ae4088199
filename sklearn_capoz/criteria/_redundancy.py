"""Criteria that ask what the other units can take over."""

from __future__ import annotations

from numbers import Real

import numpy as np
from scipy.linalg import lapack

from .._sklearn import Interval
from ._base import Inputs, Layer, StreamedCriterion


class Correlation(StreamedCriterion):
    """Absolute correlation of each unit with a unit that stays; high is redundant.

    C-APoZ cannot see units that duplicate each other. Of the most correlated
    pair the unit with the smaller outgoing weights goes, and the search goes on
    among the rest. `compensation="least-squares"` folds what it contributed
    into its twin. A constant unit carries nothing that a bias could not: 1.

    Notes
    -----
    Of a channel some positions of each sample stand for all, picked by a seed.
    """

    name = "|correlation|"

    #: Positions of a sample that are looked at. Neighbours are alike, and all of them would take
    #: several times as long as the network itself.
    _n_positions = 8

    def summary(self, layer):
        """Sum up weight, mean, products of deviations from it, largest and smallest value."""
        layer = layer.at_positions(self._n_positions)
        mean = layer.mean(layer.activations)
        centred = layer.centred(mean)
        n_samples, n_positions, n_units = layer.activations.shape
        values = layer.activations.reshape(n_samples * n_positions, n_units)
        weight = layer.sample_weight.sum()
        return (
            weight,
            mean,
            centred.T @ centred,
            values.max(0),
            values.min(0),
        )

    def merge(self, first, second):
        """Join deviations from two means, after Chan, Golub and LeVeque."""
        (weight_a, mean_a, moment_a, high_a, low_a), (weight_b, mean_b, moment_b, high_b, low_b) = (
            first,
            second,
        )
        weight = weight_a + weight_b
        if weight == 0:
            return first
        step = mean_b - mean_a
        moment = moment_a + moment_b + weight_a * weight_b / weight * np.outer(step, step)
        mean = mean_a + weight_b / weight * step
        return weight, mean, moment, np.maximum(high_a, high_b), np.minimum(low_a, low_b)

    def score_summary(self, summary, layer):
        _, _, moment, high, low = summary
        # Asked of the values: the variance of a constant is whatever rounding makes of its mean.
        eps = np.finfo(high.dtype).eps
        varies = high - low > 4 * eps * np.maximum(np.abs(high), np.abs(low))
        length = np.sqrt(np.diag(moment))
        scale = np.where(varies, 1 / np.where(varies & (length > 0), length, 1), 0)
        correlation = np.abs(moment * scale * scale[:, None])
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


class Reconstruction(StreamedCriterion):
    r"""What the next layer's inputs lose when units go one by one and the rest make up for it.

    Greedy removal in closed form. With the second moment :math:`H = A^T A + \lambda I` of the
    centred inputs of the next layer and its weights W, the cheapest unit to remove is the one with
    the smallest :math:`\operatorname{tr} W_i^T ([H^{-1}]_{ii})^{-1} W_i`; the others take over by
    :math:`-H^{-1}_{:,i} ([H^{-1}]_{ii})^{-1} W_i`, :math:`H^{-1}` is downdated, and the search goes
    on. Of a dense unit :math:`[H^{-1}]_{ii}` is a number. Of a channel it is a block: it comes to
    the next layer as several inputs, one for each weight of a kernel or each position behind a
    Flatten. Where several layers use the units, their shares are averaged.

    Its score is the logarithm (base 10) of the share of the next layers' input
    variance that is lost once the unit is gone, after all that went before it;
    low is redundant. It belongs with `compensation="least-squares"`, which does
    the same refit.

    Of connections nothing makes up for one that goes. Without its weight w, by which inputs x are
    multiplied, the layer's sums lose :math:`w^2 E[x^2]` of their mean square, and the score is the
    logarithm of that, as a share of the sum over the layer's connections: the diagonal of Optimal
    Brain Surgeon, in whose order weights go as by Wanda's :math:`|w| \|x\|_2`.

    Parameters
    ----------
    ridge : float, default=1e-3
        :math:`\lambda` as a share of the mean diagonal of :math:`A^T A`.

    Notes
    -----
    Of channels some positions stand for all, and of very many taps some, picked by a seed. Where
    a layer is known by its activations alone, each position counts as a sample and each tap as
    further outputs, as in ThiNet.

    References
    ----------
    Hassibi and Stork, Second order derivatives for network pruning: Optimal
    Brain Surgeon, 1993; Luo et al., ThiNet, 2017, DOI 10.1109/ICCV.2017.541;
    Sun et al., A simple and effective pruning approach for large language models
    (Wanda), 2023, arXiv:2306.11695.
    """

    name = "log10 of lost variance share"
    prune_high = False
    needs = frozenset({"activations", "inputs"})
    connection_needs = frozenset({"inputs"})
    _parameter_constraints = {"ridge": [Interval(Real, 0, None, closed="neither")]}

    #: Scores below this share of the variance are all the same: nothing is lost.
    _floor = 1e-12

    def __init__(self, ridge=1e-3):
        self.ridge = ridge

    def summary(self, layer):
        return [(part.values, part.weight) for part in layer.inputs or (_own_inputs(layer),)]

    def merge(self, first, second):
        return [
            tuple(np.concatenate([one, other]) for one, other in zip(old, new, strict=True))
            for old, new in zip(first, second, strict=True)
        ]

    def score_summary(self, summary, layer):
        uses = layer.inputs or (_own_inputs(layer),)
        removals = [
            _Removal(values, weight, use.outgoing, self.ridge)
            for (values, weight), use in zip(summary, uses, strict=True)
        ]
        alive = np.ones(layer.n_units, dtype=bool)
        scores, lost = np.zeros(layer.n_units), 0.0
        for _ in range(layer.n_units):
            shares = sum(removal.shares() for removal in removals) / len(removals)
            cost = np.where(alive, shares, np.inf)
            unit = int(cost.argmin())
            lost += cost[unit]
            scores[unit] = np.log10(max(lost, self._floor))
            alive[unit] = False
            for removal in removals:
                removal.take(unit)
        return scores

    def score_connections(self, layer):
        lost = layer.weights.astype(np.float64) ** 2 * layer.input_squares
        share = lost / max(lost.sum(), np.finfo(float).tiny)
        return np.log10(np.maximum(share, self._floor))


class _Removal:
    """One layer that uses the units, as they go one by one and the rest make up for them."""

    def __init__(self, values: np.ndarray, weight: np.ndarray, outgoing: np.ndarray, ridge: float):
        n_rows, n_units, n_taps = values.shape
        rows = values.reshape(n_rows, -1)
        mean = weight @ rows / weight.sum()
        centred = (rows - mean.astype(rows.dtype)) * np.sqrt(weight).astype(rows.dtype)[:, None]
        # The ridge is far above the rounding of a product in single precision.
        moment = (centred.T @ centred).astype(np.float64)
        self.outgoing = outgoing.astype(np.float64).reshape(n_units * n_taps, -1)
        total = float(np.einsum("ij,ij->", self.outgoing, moment @ self.outgoing))
        self.total = max(total, np.finfo(float).tiny)
        self.ridge = ridge_strength(moment, ridge)
        moment[np.diag_indices_from(moment)] += self.ridge
        self.inverse = inverse_of(moment)
        self.blocks = np.arange(n_units * n_taps).reshape(n_units, n_taps)

    def shares(self) -> np.ndarray:
        """Say what each unit's going would add to the loss, as a share of the variance."""
        # The inverse of a block counts the ridge on the unit's own change, which is no loss.
        if self.blocks.shape[1] == 1:
            size = (self.outgoing**2).sum(axis=1)
            cost = size * np.maximum(1 / np.diag(self.inverse) - self.ridge, 0)
        else:
            own = self.outgoing[self.blocks]
            squares = self.inverse[self.blocks[:, :, None], self.blocks[:, None, :]]
            taken = np.linalg.solve(squares, own) - self.ridge * own
            cost = np.maximum((own * taken).sum(axis=(1, 2)), 0)
        return cost / self.total

    def take(self, unit: int) -> None:
        """Let the others take over what a unit gave."""
        block = self.blocks[unit]
        columns = self.inverse[:, block]
        one = len(block) == 1
        take_over = columns / columns[unit] if one else np.linalg.solve(columns[block], columns.T).T
        self.outgoing -= take_over @ self.outgoing[block]
        self.inverse -= take_over @ columns.T
        # Gone for good: keep rounding from bringing it back as a division by zero.
        self.inverse[block] = self.inverse[:, block] = 0.0
        self.inverse[block, block] = 1.0
        self.outgoing[block] = 0.0


def _own_inputs(layer: Layer) -> Inputs:
    """Take activations for what the next layer gets: each position a sample, each tap an output."""
    assert layer.activations is not None, "needs"
    n_samples, n_positions, n_units = layer.activations.shape
    rows = layer.activations.reshape(n_samples * n_positions, n_units, 1)
    weight = np.repeat(layer.sample_weight / n_positions, n_positions)
    return Inputs(rows, weight, layer.outgoing.reshape(n_units, 1, -1))


def inverse_of(moment: np.ndarray) -> np.ndarray:
    """Invert a positive definite matrix; its memory is used up."""
    factor, _ = lapack.dpotrf(moment, lower=1, overwrite_a=1)
    inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    return np.tril(inverse) + np.tril(inverse, -1).T


def ridge_strength(moment: np.ndarray, ridge: float) -> float:
    """Return `ridge` times the mean diagonal of `moment`; 1 where that is zero."""
    return ridge * float(np.trace(moment)) / len(moment) or 1.0
