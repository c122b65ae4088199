"""Groups of units: what is scored, decided on and cut as one.

A unit is a hidden neuron of a dense layer or a channel of a convolution. It lives in several
modules at once: one makes it, a norm may scale it, one or more use it. A group lists them, so
that cutting a unit is the same slice for each member and no kind of network is a special case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["INPUTS", "Member", "UnitGroup", "input_group"]

#: Name of the group that the network's inputs make, where these are pruned too.
INPUTS = "inputs"


@dataclass(frozen=True)
class Member:
    """A module that holds a group's units along one of its axes.

    Parameters
    ----------
    module : str
        Its name in the network.
    axis : {"out", "in"}
        Whether the units are what comes out of it (who makes them, and norms) or what goes in.
    taps : int, default=1
        Inputs that each unit has in it: the positions of a channel behind a Flatten.
    """

    module: str
    axis: Literal["out", "in"]
    taps: int = 1


@dataclass(frozen=True)
class UnitGroup:
    """Units that can be cut, each of them from all members at once.

    Parameters
    ----------
    name : str
        What a change calls it; no other group of the network has it.
    n_units : int
    activation : str
        Behind the units, "relu" for example; "identity" where there is none, and `INPUTS` of
        inputs, whose values are the samples'.
    members : tuple of Member
        In the order in which data passes them; several of one kind where branches meet.
    """

    name: str
    n_units: int
    activation: str
    members: tuple[Member, ...]


def input_group(groups: Sequence[UnitGroup]) -> int | None:
    """Return the position of the group that the network's inputs make; None where it is none."""
    return next((i for i, group in enumerate(groups) if group.name == INPUTS), None)
