"""Rules that look at all groups at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np

from .._sklearn import Interval
from ._base import Costs, Decision, ThresholdRule, spare

__all__ = ["Budget", "OverAll"]


class OverAll(ThresholdRule):
    """One threshold for the units of all groups that are cut together.

    A rule for one group sees the scores of all of them as if they were one's. For criteria
    whose scores mean the same in every layer, as shares of zeros do; weight norms do not.

    Parameters
    ----------
    rule : ThresholdRule
        The one that sees them, `Fraction(0.5)` for example.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_capoz.thresholds import Fraction, OverAll
    >>> scores = {0: np.array([0.9, 0.8, 0.7]), 1: np.array([0.1, 0.2, 0.6])}
    >>> decisions = OverAll(Fraction(0.5)).decide_groups(scores)
    >>> [int(decision.keep.sum()) for decision in decisions.values()]
    [1, 3]
    """

    def __init__(self, rule):
        self.rule = rule

    def check(self) -> None:
        if not isinstance(self.rule, ThresholdRule) or isinstance(self.rule, (Budget, OverAll)):
            raise TypeError(
                f"OverAll needs a rule for one group, Fraction(0.5) for example, got {self.rule!r}."
            )
        self.rule.check()

    def prune(self, redundancy):
        return self.rule.prune(redundancy)

    def mirrored(self):
        return OverAll(self.rule.mirrored())

    def decide_groups(self, scores, *, prune_high=True, min_units=1, costs=None):
        together = np.concatenate(list(scores.values()))
        keep, threshold = self.decide(together, prune_high=prune_high, min_units=0)
        ends = np.cumsum([own.size for own in scores.values()])[:-1]
        sign = 1.0 if prune_high else -1.0
        return {
            group: Decision(~spare(~own_keep, sign * own, min_units), threshold)
            for (group, own), own_keep in zip(scores.items(), np.split(keep, ends), strict=True)
        }


class Budget(ThresholdRule):
    r"""Prune until a prediction takes no more than a share of the multiply-adds.

    A unit is weighed by what it costs: of each group the most redundant unit is a candidate, and
    the one goes of which least importance is lost for each multiply-add that is saved. So a
    channel of an early convolution, which is computed at every position, goes sooner than a unit
    of a late layer that is as important to its group.

    The goal is approached over the iterations, :math:`m^{t/T}` in iteration t of T, as far as the
    schedule leaves the number of units to the rule.

    Parameters
    ----------
    macs : float, default=0.5
        Share of the unpruned network's multiply-adds that may be left, in (0, 1].

    Notes
    -----
    The importance of a unit is how far its score is from the most redundant one's, and an n-th of
    the range more, as a share of the sum of these over its group of n. Of equal scores all units
    have the same.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_capoz.thresholds import Budget, Costs
    >>> scores = {0: np.array([0.3, 0.2, 0.1, 0.0]), 1: np.array([0.0, 0.1, 0.2, 0.3])}
    >>> def multiply_adds(widths):
    ...     return 100 * widths[0] + widths[0] * widths[1] + widths[1]
    >>> costs = Costs((4, 4), multiply_adds, dense=420, progress=1.0)
    >>> decisions = Budget(0.6).decide_groups(scores, costs=costs)
    >>> decisions[0].keep.tolist(), decisions[1].keep.tolist()
    ([False, False, True, True], [True, True, True, True])
    """

    _parameter_constraints = {"macs": [Interval(Real, 0, 1, closed="right")]}

    def __init__(self, macs=0.5):
        self.macs = macs

    def _known(self, costs: Costs | None) -> Costs:
        if costs is None:
            raise ValueError(
                f"{self} needs to know what units cost: a model that is pruned by it has "
                "`multiply_adds(widths)`."
            )
        return costs

    def prune(self, redundancy):
        raise ValueError(
            "Budget weighs the units of all groups by what they cost, and cannot decide on the "
            "scores of one alone; give it to an estimator, or call `decide_groups` with costs."
        )

    def check_plan(self, iterations, costs, min_units):
        costs = self._known(costs)
        n_groups = len(costs.widths)
        if any(len(step.groups) < n_groups for steps in iterations for step in steps):
            raise ValueError(
                f"{self} weighs all groups of units at once, and the schedule cuts some of them at "
                "a time; take schedule='multi-pass' or 'one-shot'."
            )
        least = costs.multiply_adds([min(width, min_units) for width in costs.widths])
        if least > self.macs * costs.dense:
            raise ValueError(
                f"{self} cannot be reached: with min_units={min_units} of each of the "
                f"{n_groups} groups of units, {least / costs.dense:.3g} of the "
                f"{costs.dense} multiply-adds are left. Allow more, or give the network fewer "
                "inputs or narrower layers where units cannot be cut."
            )

    def decide_groups(
        self,
        scores: Mapping[int, np.ndarray],
        *,
        prune_high: bool = True,
        min_units: int = 1,
        costs: Costs | None = None,
    ) -> dict[int, Decision]:
        self.check()
        costs = self._known(costs)
        sign = 1.0 if prune_high else -1.0
        orders = {group: np.argsort(-sign * own, kind="stable") for group, own in scores.items()}
        prices = {group: _importance(sign * own)[orders[group]] for group, own in scores.items()}
        goal = costs.dense * self.macs**costs.progress
        gone = dict.fromkeys(scores, 0)
        widths, left = list(costs.widths), costs.multiply_adds(costs.widths)
        while left > goal:
            candidates = [group for group in scores if widths[group] > min_units]
            if not candidates:
                break  # `check_plan` has seen to it that the goal itself can be reached
            saved = {
                group: left - costs.multiply_adds(_less(widths, group)) for group in candidates
            }
            group = min(candidates, key=lambda g: prices[g][gone[g]] / max(saved[g], 1))
            widths, left = _less(widths, group), left - saved[group]
            gone[group] += 1
        decisions = {}
        for group, order in orders.items():
            keep = np.ones(order.size, dtype=bool)
            keep[order[: gone[group]]] = False
            decisions[group] = Decision(keep, np.nan)
        return decisions


def _importance(redundancy: np.ndarray) -> np.ndarray:
    # The most redundant unit of a group is not worth nothing.
    distance = redundancy.max() - redundancy + np.ptp(redundancy) / redundancy.size
    total = distance.sum()
    return distance / total if total > 0 else np.full(redundancy.size, 1 / redundancy.size)


def _less(widths: Sequence[int], group: int) -> list[int]:
    return [width - (i == group) for i, width in enumerate(widths)]
