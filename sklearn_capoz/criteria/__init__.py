"""Pruning criteria: one group of units -> one score per unit.

A criterion sees a `Layer`, a read-only view that one forward pass over the
scoring samples fills, and returns a score per unit in its published units.
`prune_high` says which side is redundant, `needs` what is to be computed of the
samples. Some also have a value per weight, for pruning single connections: `score_connections`
sees `Connections`. To add one, write a subclass of `Criterion` in a file of this folder and
enter its name in `CRITERIA`.
"""

from collections.abc import Callable

from .._sklearn import InvalidParameterError
from .._validation import check_part
from ._base import NEEDS, Criterion, Inputs, Layer, StreamedCriterion
from ._connections import CONNECTION_NEEDS, Connections
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
    "Connections",
    "Contrast",
    "Correlation",
    "Criterion",
    "GeometricMedian",
    "Gradient",
    "Inputs",
    "Layer",
    "MeanActivation",
    "Random",
    "Reconstruction",
    "Reversed",
    "StreamedCriterion",
    "Taylor",
    "WeightNorm",
    "check_connection_criterion",
    "check_criterion",
]

#: Name -> function that makes the criterion with its defaults.
CRITERIA: dict[str, Callable[[], Criterion]] = {
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

    Parameters
    ----------
    criterion : str or Criterion

    Raises
    ------
    ValueError
        For a name that is not in `CRITERIA`, parameters outside their range, or needs that
        nothing could fill.
    TypeError
        For an object that is no `Criterion`.
    """
    criterion = check_part(criterion, "criterion", CRITERIA, Criterion)
    if not NEEDS.issuperset(criterion.needs):
        raise ValueError(
            f"{type(criterion).__name__}.needs must be a frozenset of {sorted(NEEDS)}, or empty "
            f"where the weights are enough; got {criterion.needs!r}."
        )
    return criterion


def check_connection_criterion(criterion: Criterion) -> None:
    """Raise unless a criterion has a value per weight.

    Parameters
    ----------
    criterion : Criterion

    Raises
    ------
    InvalidParameterError
        Naming those that have one.
    ValueError
        For needs that nothing could fill.
    """
    needs = criterion.connection_needs
    if needs is None:
        known = [name for name, make in CRITERIA.items() if make().connection_needs is not None]
        raise InvalidParameterError(
            f"granularity='connection' needs a criterion that has a value per weight, and "
            f"{type(criterion).__name__} scores units; choose one of {known}, or an object with "
            "`connection_needs` and `score_connections`."
        )
    if not CONNECTION_NEEDS.issuperset(needs):
        raise ValueError(
            f"{type(criterion).__name__}.connection_needs must be None or a frozenset of "
            f"{sorted(CONNECTION_NEEDS)}; got {needs!r}."
        )
