"""What a threshold rule is, and what it decides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from .._sklearn import validate_parameter_constraints

__all__ = ["Costs", "Decision", "ThresholdRule", "most_redundant", "spare"]


class Decision(NamedTuple):
    """What a rule decides.

    Parameters
    ----------
    keep : ndarray of shape (n_units,), bool
        True stays.
    threshold : float
        In the scores' units; NaN where the rule counts.
    """

    keep: np.ndarray
    threshold: float


class Costs(NamedTuple):
    """What the units of a network cost, and how far pruning has come.

    Parameters
    ----------
    widths : tuple of int
        Units of each group.
    multiply_adds : callable
        Gives the multiply-adds of a prediction for the widths that it is called with.
    dense : int
        Those of the unpruned network.
    progress : float
        Share of the iterations that are done with this one, in (0, 1].
    """

    widths: tuple[int, ...]
    multiply_adds: Callable[[Sequence[int]], int]
    dense: int
    progress: float


class ThresholdRule(BaseEstimator, ABC):
    """Base of all rules: a subclass says in `prune` which units are beyond the threshold.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_capoz.thresholds import ThresholdRule
    >>> class LargestGap(ThresholdRule):
    ...     def prune(self, redundancy):
    ...         ordered = np.sort(redundancy)
    ...         threshold = ordered[np.diff(ordered).argmax()]
    ...         return redundancy > threshold, threshold
    >>> LargestGap().decide([0.1, 0.9, 0.2, 1.0]).keep
    array([ True, False,  True, False])
    """

    _parameter_constraints: dict = {}

    def check(self) -> None:
        """Raise InvalidParameterError for parameters outside their range."""
        validate_parameter_constraints(
            self._parameter_constraints, self.get_params(deep=False), type(self).__name__
        )

    @abstractmethod
    def prune(self, redundancy: np.ndarray) -> tuple[np.ndarray, float]:
        """Say which units are to go.

        Parameters
        ----------
        redundancy : ndarray of shape (n_units,)
            Finite; the higher, the more redundant: the scores, or where low scores are
            redundant, the scores times -1.

        Returns
        -------
        prune : ndarray of shape (n_units,), bool
            True goes. `decide` sees to it that `min_units` stay.
        threshold : float
            Beyond which they go, in units of the redundancy; NaN where units are counted.
        """

    def mirrored(self) -> ThresholdRule:
        """Return the rule for scores of which low ones are redundant, times -1.

        It is the rule itself unless a parameter is in the scores' units, whose sign changes.
        """
        return self

    def decide(self, scores, *, prune_high=True, min_units=1) -> Decision:
        """Decide which units of a group stay.

        Parameters
        ----------
        scores : array-like of shape (n_units,)
            One finite score per unit, of one unit at least.
        prune_high : bool, default=True
            Whether high scores mark redundant units.
        min_units : int, default=1
            So many units stay, whatever their scores.

        Returns
        -------
        decision : Decision
            `keep`, a boolean array of shape (n_units,), True stays; and
            `threshold`, in the scores' units, NaN where the rule counts.
        """
        self.check()
        name, scores = type(self).__name__, np.asarray(scores, dtype=np.float64)
        if scores.ndim != 1 or not scores.size:
            raise ValueError(
                f"{name} needs one score per unit, an array of shape (n_units,), got shape "
                f"{scores.shape}."
            )
        if not np.isfinite(scores).all():
            raise ValueError(f"{name} needs finite scores, got {scores}.")
        rule, sign = (self, 1.0) if prune_high else (self.mirrored(), -1.0)
        redundancy = sign * scores
        prune, threshold = rule.prune(redundancy)
        prune = np.asarray(prune)
        if prune.shape != scores.shape or prune.dtype != bool:
            # Indices, or numbers, would be taken for a mask and cut other units than was meant.
            raise ValueError(
                f"{name}.prune must give a boolean array of shape {scores.shape}, True for units "
                f"that go, and a threshold; got {prune!r}."
            )
        return Decision(~spare(prune, redundancy, min_units), sign * float(threshold))

    def decide_groups(
        self,
        scores: Mapping[int, np.ndarray],
        *,
        prune_high: bool = True,
        min_units: int = 1,
        costs: Costs | None = None,
    ) -> dict[int, Decision]:
        """Decide which units of several groups stay; by default each group is decided on by itself.

        Parameters
        ----------
        scores : mapping of int to ndarray of shape (n_units,)
            Number of a group -> its scores.
        prune_high : bool, default=True
        min_units : int, default=1
            So many units of each group stay.
        costs : Costs or None, default=None
            What the units cost; for rules that weigh it.

        Returns
        -------
        decisions : dict of int to Decision
        """
        return {
            group: self.decide(own, prune_high=prune_high, min_units=min_units)
            for group, own in scores.items()
        }

    def check_plan(self, iterations: Sequence, costs: Costs | None, min_units: int) -> None:
        """Raise where the rule cannot do what it is asked for; before any training.

        Parameters
        ----------
        iterations : sequence of sequence of Step
            Of the schedule.
        costs : Costs or None
            Of the unpruned network; None where they are not known.
        min_units : int
        """


def most_redundant(redundancy: np.ndarray, count: int) -> np.ndarray:
    """Mark the `count` highest values; of equal ones the lower index."""
    mark = np.zeros(redundancy.size, dtype=bool)
    mark[np.argsort(-redundancy, kind="stable")[:count]] = True
    return mark


def spare(prune: np.ndarray, redundancy: np.ndarray, min_units: int) -> np.ndarray:
    """Let so many units of a group stay, the least redundant ones, whatever a rule says."""
    most = max(prune.size - min_units, 0)
    return prune & most_redundant(redundancy, most) if prune.sum() > most else prune
