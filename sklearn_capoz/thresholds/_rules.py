"""Rules that look at the scores of one group."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.base import clone

from .._sklearn import Interval
from ._base import ThresholdRule, most_redundant

__all__ = ["Count", "FixedValue", "Fraction", "MeanStd", "Percentile"]


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
