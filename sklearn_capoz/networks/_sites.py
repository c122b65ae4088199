"""Where in a forward pass the values of a group's units are seen, as those see them that use them.

From each user of the units the way goes back, over what only moves or scales numbers, to the
last activation, or to where branches meet, or to who makes the units. A group whose branches are
used in several places has several sites: its units' positions are those of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ._functions import JOINS

__all__ = ["Site", "find_site_calls", "site_of"]


@dataclass(frozen=True, eq=False)
class Site:
    """A value of the forward pass that holds a group's units.

    Parameters
    ----------
    call : int
        Which of the forward's calls of torch functions gives it.
    axis : int or None
        Its axis along which units lie; None where they lie along several: all but the first
        are then one.
    group : ndarray of shape (n_entries,), int
        Whose each entry of the axis is: the number of a group, or -1.
    unit : ndarray of shape (n_entries,), int
        Which unit of the group.
    is_overwritten : bool
        Whether a later call changes the value in place.
    """

    call: int
    axis: int | None
    group: np.ndarray
    unit: np.ndarray
    is_overwritten: bool

    def cut(self, group: int, keep: np.ndarray) -> Site:
        """Count anew after a cut of a group."""
        own = self.group == group
        stays, unit = ~own, self.unit.copy()
        stays[own] = keep[unit[own]]
        unit[own] = (np.cumsum(keep) - 1)[unit[own]]
        return replace(self, group=self.group[stays], unit=unit[stays])

    def read(self, value: torch.Tensor, group: int, n_samples: int) -> torch.Tensor:
        """View what the units of a group are on each sample.

        Parameters
        ----------
        value : Tensor
            What the call gave.
        group : int
        n_samples : int

        Returns
        -------
        values : Tensor of shape (n_samples, n_positions, n_units)
        """
        axis = self.axis
        value = value.reshape(n_samples, -1) if axis is None else value.movedim(axis, -1)
        order, n_units = self._order(group)
        if order is not None:
            value = value[..., torch.as_tensor(order, device=value.device)]
        taps = value.shape[-1] // n_units
        value = value.reshape(n_samples, -1, n_units, taps)
        return value[..., 0] if taps == 1 else value.movedim(2, 3).flatten(1, 2)

    def _order(self, group: int) -> tuple[np.ndarray | None, int]:
        """Return a group's entries in the order of its units, None if all are; and its units."""
        known = vars(self).setdefault("_orders", {})  # every batch asks
        if group not in known:
            entries = np.flatnonzero(self.group == group)
            order = entries[np.argsort(self.unit[entries], kind="stable")]
            n_units = int(self.unit[order[-1]]) + 1
            is_all = np.array_equal(order, np.arange(len(self.group)))
            known[group] = (None if is_all else order, n_units)
        return known[group]


def site_of(
    call: int, labels: torch.Tensor, of_label: np.ndarray, is_overwritten: bool
) -> Site | None:
    """Make a site of the labels of a value; None where a group has not the same of each unit.

    Parameters
    ----------
    call : int
    labels : Tensor
        Of one sample, with an axis of length one or more in the place of the samples.
    of_label : ndarray of shape (n_labels, 2), int
        Group and unit of each label, -1 of none.
    is_overwritten : bool
    """
    found = labels.cpu().numpy()
    axis: int | None = None
    for i in range(1, found.ndim):
        row = np.moveaxis(found, i, -1).reshape(-1, found.shape[i])
        if (row == row[0]).all():
            axis, along = i, row[0]
            break
    else:
        along = found.reshape(-1)
    group, unit = of_label[along].T
    for number in np.unique(group[group >= 0]):
        counts = np.bincount(unit[group == number])
        if np.ptp(counts):
            return None
    return Site(call, axis, group, unit, is_overwritten)


def find_site_calls(
    start: Sequence[int], operations, carries: Sequence[bool], is_activation: Sequence[bool]
) -> list[int]:
    """Walk back from the users of a group's units to the operations that give their values.

    Parameters
    ----------
    start : sequence of int
        Positions of the operations that use them.
    operations : sequence of Operation
    carries : sequence of bool
        Of each operation, whether units of the group are in what it gives.
    is_activation : sequence of bool

    Returns
    -------
    found : list of int
        Positions of operations, in their order.
    """
    found, seen = set(), set()
    # With a norm that was passed on the way: without an activation, the units are what it gives.
    todo = [(i, None) for position in start for i in operations[position].inputs]
    while todo:
        position, norm = todo.pop()
        if position < 0 or not carries[position] or position in seen:
            continue
        seen.add(position)
        operation = operations[position]
        sources = [i for i in operation.inputs if i >= 0 and carries[i]]
        meets = len(sources) > 1 and operation.function not in JOINS
        if is_activation[position]:
            found.add(position)
        elif meets or operation.kind in {"linear", "conv"}:
            found.add(position if norm is None else norm)
        else:
            if norm is None and operation.kind == "norm":
                norm = position
            todo += [(i, norm) for i in sources]
    return sorted(found)
