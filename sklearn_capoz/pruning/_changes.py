"""Changes: what pruning may do to a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..networks._groups import UnitGroup

__all__ = ["Change", "Remove", "find_group"]


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


#: A union, as soon as pruning can do more than remove.
Change = Remove


def find_group(groups: Sequence[UnitGroup], change: Change) -> int:
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
