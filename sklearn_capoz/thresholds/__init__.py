"""Threshold rules: scores of units -> which units stay.

Every rule prunes strictly beyond its threshold, on the side that the criterion
names, and keeps at least `min_units` of each group. Where a count decides and scores are
equal, the unit with the lower index goes first.

A rule never sees the side: `decide` turns scores into redundancies, of which high
ones always go, and a subclass says in `prune` which.
`THRESHOLDS` is the table of those that have a name.
"""

from .._validation import check_part
from ._base import Costs, Decision, ThresholdRule
from ._joint import Budget, OverAll
from ._rules import Count, FixedValue, Fraction, MeanStd, Percentile

__all__ = [
    "THRESHOLDS",
    "Budget",
    "Costs",
    "Count",
    "Decision",
    "FixedValue",
    "Fraction",
    "MeanStd",
    "OverAll",
    "Percentile",
    "ThresholdRule",
    "check_threshold",
]

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
