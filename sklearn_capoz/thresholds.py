"""Threshold rules: scores of one group's units -> which units stay.

Every rule prunes strictly beyond its threshold, on the side that the criterion
names, and keeps at least `min_units`. Where a count decides and scores are
equal, the unit with the lower index goes first.

A rule never sees the side: `decide` turns scores into redundancies, of which high
ones always go, and a subclass says in `prune` which.
`THRESHOLDS` is the table of those that have a name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, clone

from ._sklearn import Interval, validate_parameter_constraints
from ._validation import check_part

__all__ = [
    "THRESHOLDS",
    "Count",
    "Decision",
    "FixedValue",
    "Fraction",
    "MeanStd",
    "Percentile",
    "ThresholdRule",
    "check_threshold",
]


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
        most = max(scores.size - min_units, 0)
        if prune.sum() > most:
            prune = prune & most_redundant(redundancy, most)
        return Decision(~prune, sign * float(threshold))


def most_redundant(redundancy: np.ndarray, count: int) -> np.ndarray:
    """Mark the `count` highest values; of equal ones the lower index."""
    mark = np.zeros(redundancy.size, dtype=bool)
    mark[np.argsort(-redundancy, kind="stable")[:count]] = True
    return mark


class MeanStd(ThresholdRule):
    """Prune beyond the mean plus k standard deviations of the group's scores.

    The rule of the C-APoZ and APoZ papers, with k = 1. By Cantelli's inequality
    it takes at most half of a group at k >= 1; equal scores prune nothing.

    Parameters
    ----------
    k : float, default=1.0
        Smaller prunes more.

    Notes
    -----
    The standard deviation divides by n (ddof = 0). For a criterion whose low
    scores are redundant the threshold is mean - k * std.

    References
    ----------
    Hu et al., Network Trimming, 2016, arXiv:1607.03250.

    Examples
    --------
    >>> from sklearn_capoz.thresholds import MeanStd
    >>> MeanStd().decide([0.1, 0.2, 0.3, 1.0]).keep
    array([ True,  True,  True, False])
    """

    _parameter_constraints = {"k": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, k=1.0):
        self.k = k

    def prune(self, redundancy):
        # Measured from the lowest score, the highest being 1: nearly equal scores then keep
        # their differences exactly, no square underflows, and rounding cannot prune a group.
        lowest, spread = redundancy.min(), np.ptp(redundancy) or 1.0
        height = (redundancy - lowest) / spread
        threshold = height.mean() + self.k * height.std()
        return height > threshold, lowest + spread * threshold


class Percentile(ThresholdRule):
    """Prune beyond the value that leaves P percent of the group's units on the pruned side.

    Parameters
    ----------
    p : float, default=25
        Share of the units to prune, in percent. Units that tie with the
        percentile stay, so that fewer may go; `Fraction` counts instead.

    Examples
    --------
    >>> from sklearn_capoz.thresholds import Percentile
    >>> Percentile(50).decide([0.1, 0.2, 0.3, 1.0]).keep
    array([ True,  True, False, False])
    """

    _parameter_constraints = {"p": [Interval(Real, 0, 100, closed="both")]}

    def __init__(self, p=25):
        self.p = p

    def prune(self, redundancy):
        threshold = np.percentile(redundancy, 100 - self.p)
        return redundancy > threshold, threshold


class FixedValue(ThresholdRule):
    """Prune beyond a fixed score.

    Parameters
    ----------
    value : float, default=0.9
        In the criterion's units.

    Examples
    --------
    >>> from sklearn_capoz.thresholds import FixedValue
    >>> FixedValue(0.25).decide([0.1, 0.2, 0.3, 1.0]).keep
    array([ True,  True, False, False])
    """

    _parameter_constraints = {"value": [Interval(Real, None, None, closed="neither")]}

    def __init__(self, value=0.9):
        self.value = value

    def prune(self, redundancy):
        return redundancy > self.value, self.value

    def mirrored(self):
        return clone(self).set_params(value=-self.value)


class Fraction(ThresholdRule):
    """Prune a fraction of the group's present units, the most redundant first.

    Parameters
    ----------
    fraction : float, default=0.25
        Rounded down to whole units, but at least one unit goes if it is above 0.

    Examples
    --------
    >>> from sklearn_capoz.thresholds import Fraction
    >>> Fraction(0.5).decide([0.3, 0.3, 0.3, 0.3]).keep
    array([False, False,  True,  True])
    """

    _parameter_constraints = {"fraction": [Interval(Real, 0, 1, closed="both")]}

    def __init__(self, fraction=0.25):
        self.fraction = fraction

    def prune(self, redundancy):
        # The small addition: 0.29 * 100 is 28.999999999999996.
        count = int(self.fraction * redundancy.size + 1e-9)
        if self.fraction > 0:
            count = max(count, 1)
        return most_redundant(redundancy, count), np.nan


class Count(ThresholdRule):
    """Prune an exact number of units per group and iteration.

    Parameters
    ----------
    count : int, default=1
        To name the widths to reach instead, use `sklearn_capoz.schedules.Widths`.

    Examples
    --------
    >>> from sklearn_capoz.thresholds import Count
    >>> Count(1).decide([0.3, 0.9, 0.9]).keep
    array([ True, False,  True])
    """

    _parameter_constraints = {"count": [Interval(Integral, 0, None, closed="left")]}

    def __init__(self, count=1):
        self.count = count

    def prune(self, redundancy):
        return most_redundant(redundancy, self.count), np.nan


#: Name -> rule, each made with its defaults.
THRESHOLDS = {
    "mean+std": MeanStd,
    "percentile": Percentile,
    "value": FixedValue,
    "fraction": Fraction,
    "count": Count,
}


def check_threshold(threshold) -> ThresholdRule:
    """Return the rule of that name, or the rule itself, its parameters checked.

    Parameters
    ----------
    threshold : str or ThresholdRule

    Raises
    ------
    ValueError
        For a name that is not in `THRESHOLDS`, or parameters outside their range.
    TypeError
        For an object that is no `ThresholdRule`.
    """
    return check_part(threshold, "threshold", THRESHOLDS, ThresholdRule)
