"""Changes: what pruning may do to a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..networks._groups import UnitGroup
from ..training._task import SurgeryRule

__all__ = ["Change", "Mask", "Remove", "find_group", "find_weights"]


@dataclass(frozen=True, eq=False)
class Remove:
    """Cut units out of every member of their group.

    Parameters
    ----------
    group : str
    keep : ndarray of shape (n_units,), bool
        True stays.
    """

    group: str
    keep: np.ndarray


@dataclass(frozen=True, eq=False)
class Mask:
    """Set connections of one layer to zero; a weight that is zero is one that is gone.

    Parameters
    ----------
    layer : str
    keep : ndarray of the shape of the layer's weights, bool
        True stays.
    regrow : bool, default=False
        Whether a connection comes back that is gone and is to stay: at a weight next to nothing.
    surgery : SurgeryRule or None, default=None
        How others may take their place in the training that follows.
    """

    layer: str
    keep: np.ndarray
    regrow: bool = False
    surgery: SurgeryRule | None = None

    def masked(self, weights: np.ndarray) -> np.ndarray:
        """Return the weights after the change."""
        new = np.where(self.keep, weights, weights.dtype.type(0))
        if self.regrow:
            # Zero would be one that is gone; this is nothing beside the layer's other weights.
            new[self.keep & (weights == 0)] = np.finfo(weights.dtype).eps * np.abs(weights).max()
        return new


Change = Remove | Mask


def find_weights(weights: Mapping[str, np.ndarray], change: Mask) -> np.ndarray:
    """Return the weights that a change is about, and check that it can be done.

    Raises
    ------
    ValueError
        If no layer has the name, or `keep` does not fit its weights.
    """
    if change.layer not in weights:
        raise ValueError(
            f"The network has no layer {change.layer!r} with weights, those that it has are "
            f"{list(weights)}."
        )
    shape, keep = weights[change.layer].shape, change.keep
    if keep.shape != shape or keep.dtype != bool:
        raise ValueError(
            f"keep must be a boolean array of shape {shape}, a value for each weight of the layer "
            f"{change.layer!r}; got {keep!r}."
        )
    return weights[change.layer]


def find_group(groups: Sequence[UnitGroup], change: Remove) -> int:
    """Return the position of the group that a change is about, and check that it can be done.

    Raises
    ------
    ValueError
        If no group has the name, or `keep` does not fit it or leaves no unit.
    """
    names = [group.name for group in groups]
    if change.group not in names:
        raise ValueError(f"The network has no group {change.group!r}, its groups are {names}.")
    position, keep = names.index(change.group), change.keep
    n_units = groups[position].n_units
    if keep.shape != (n_units,) or keep.dtype != bool or not keep.any():
        # An array of indices would cut other units than was meant, and silently.
        raise ValueError(
            f"keep must be a boolean array of shape ({n_units},) with one True at least, a value "
            f"for each unit of the group {change.group!r}; got {keep!r}."
        )
    return position
