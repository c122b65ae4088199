"""Where the units of a group are in each module that has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

__all__ = ["Place", "cut_places", "kept_entries"]


@dataclass(frozen=True, eq=False)
class Place:
    """Where the units of a group are in one module.

    Parameters
    ----------
    module : str
    axis : {"out", "in"}
    positions : ndarray of shape (n_units, n_taps), int
        Along the module's outputs or inputs, those of each unit. Behind a Flatten a channel has
        one for each of its positions, behind a permuted one they lie apart.
    """

    module: str
    axis: Literal["out", "in"]
    positions: np.ndarray


def kept_entries(place: Place, keep: np.ndarray, n_entries: int) -> np.ndarray:
    """Return which entries stay of a module's axis, in their order.

    Parameters
    ----------
    place : Place
    keep : ndarray of shape (n_units,), bool
    n_entries : int
        Length of the axis; entries of other groups stay.
    """
    return np.setdiff1d(np.arange(n_entries), place.positions[~keep])


def cut_places(
    places: Mapping[str, tuple[Place, ...]], group: str, keep: np.ndarray
) -> dict[str, tuple[Place, ...]]:
    """Count positions anew, those of all groups, after a cut of one.

    Parameters
    ----------
    places : mapping of str to tuple of Place
        Of each group.
    group : str
    keep : ndarray of shape (n_units,), bool
    """
    gone = {
        (place.module, place.axis): np.sort(place.positions[~keep], axis=None)
        for place in places[group]
    }
    found = {}
    for name, own in places.items():
        found[name] = tuple(
            replace(
                place,
                positions=kept - np.searchsorted(gone.get((place.module, place.axis), ()), kept),
            )
            for place in own
            for kept in [place.positions[keep] if name == group else place.positions]
        )
    return found
