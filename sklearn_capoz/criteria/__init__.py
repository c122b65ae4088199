"""Pruning criteria: one hidden layer -> one score per unit.

A criterion sees a `Layer`, a read-only view that one forward pass over the
scoring samples fills, and returns a score per unit in its published units.
`prune_high` says which side is redundant. To add one, write a subclass of
`Criterion` in a file of this folder and enter its name in `CRITERIA`.
"""

from ._base import Criterion, Layer
from ._controls import Random, Reversed
from ._redundancy import Correlation, Reconstruction
from ._responses import Gradient, MeanActivation, Taylor
from ._weights import GeometricMedian, WeightNorm
from ._zeros import APoZ, CAPoZ, ClassCAPoZ, Contrast

__all__ = [
    "CRITERIA",
    "APoZ",
    "CAPoZ",
    "ClassCAPoZ",
    "Contrast",
    "Correlation",
    "Criterion",
    "GeometricMedian",
    "Gradient",
    "Layer",
    "MeanActivation",
    "Random",
    "Reconstruction",
    "Reversed",
    "Taylor",
    "WeightNorm",
    "check_criterion",
]

#: Name -> function that makes the criterion with its defaults.
CRITERIA = {
    "c-apoz": CAPoZ,
    "apoz": APoZ,
    "contrast": Contrast,
    "class-c-apoz": ClassCAPoZ,
    "mean-activation": MeanActivation,
    "l1": lambda: WeightNorm(order=1),
    "l2": lambda: WeightNorm(order=2),
    "geometric-median": GeometricMedian,
    "gradient": Gradient,
    "taylor": Taylor,
    "correlation": Correlation,
    "reconstruction": Reconstruction,
    "random": Random,
}


def check_criterion(criterion) -> Criterion:
    """Return the criterion of that name, or the criterion itself, its parameters checked.

    Raises
    ------
    ValueError
        For a name that is not in `CRITERIA`, or parameters outside their range.
    TypeError
        For an object without a `score` method.
    """
    if isinstance(criterion, str):
        if criterion not in CRITERIA:
            raise ValueError(
                f"criterion={criterion!r} is not known; choose one of {sorted(CRITERIA)}, or pass "
                "a criterion such as CAPoZ(tolerance=1e-6)."
            )
        return CRITERIA[criterion]()
    if not (hasattr(criterion, "score") and hasattr(criterion, "prune_high")):
        raise TypeError(
            f"criterion={criterion!r} lacks a `score` method or a `prune_high` attribute; pass "
            f"one of {sorted(CRITERIA)} or a subclass of sklearn_capoz.criteria.Criterion."
        )
    criterion.check()
    return criterion
