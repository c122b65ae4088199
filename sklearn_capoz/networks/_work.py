"""What a prediction takes: multiply-adds, as a function of how many units each group has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from ._layers import axis_length
from ._places import Place

__all__ = ["Work", "multiply_adds"]


@dataclass(frozen=True)
class Work:
    """One run of a layer that has weights.

    Parameters
    ----------
    module : str
    positions : int
        How often the run uses each weight for one sample; of it, those that no group's units make.
    per_unit : tuple of (str, int)
        Positions more for each unit of a group: of a Linear along another axis than the units'.
    """

    module: str
    positions: int
    per_unit: tuple[tuple[str, int], ...] = ()


def multiply_adds(
    module: nn.Module,
    work: Sequence[Work],
    places: Mapping[str, Sequence[Place]],
    widths: Mapping[str, int],
) -> int:
    """Count the multiply-adds of one sample's prediction, were the groups of other widths.

    Parameters
    ----------
    module : Module
    work : sequence of Work
    places : mapping of str to sequence of Place
        Of each group, as the module is now.
    widths : mapping of str to int
        Of each group.
    """
    # By how much an axis of a layer changes.
    change: dict[tuple[str, str], int] = {}
    for name, own in places.items():
        for place in own:
            n_units, taps = place.positions.shape
            key = place.module, place.axis
            change[key] = change.get(key, 0) + taps * (widths[name] - n_units)
    total = 0
    for run in work:
        layer = module.get_submodule(run.module)
        size = layer.get_parameter("weight").numel()
        for axis in ("out", "in"):
            if (run.module, axis) in change:
                length = axis_length(layer, axis)
                size = size // length * (length + change[run.module, axis])
        positions = run.positions + sum(count * widths[name] for name, count in run.per_unit)
        total += positions * size
    return total
