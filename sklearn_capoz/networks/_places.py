"""Where the units of a group are in each module that has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["Place", "kept_entries"]


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
