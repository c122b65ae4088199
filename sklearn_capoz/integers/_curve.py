"""tanh and the logistic function in integers: half a curve, straight between a few points.

Both turn about their middle, so that one half gives the other. What stands on the axis is finer
than a code, and what is between two points lies on the line through them: at most 0.0015 off.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..networks import ACTIVATIONS

__all__ = [
    "CURVE_MIDDLE",
    "LARGEST_POINT",
    "N_BETWEEN",
    "N_POINTS",
    "PLACE_LIMIT",
    "curve_codes",
    "curve_of",
    "is_curve",
]

#: Points of half a curve, and places from one to the next.
N_POINTS, N_BETWEEN = 33, 32
#: Last place of either side.
PLACE_LIMIT = N_BETWEEN * (N_POINTS - 1) - 1
#: Code of the middle, and how far codes go from it; points are stored with twice the height.
CURVE_MIDDLE, _HEIGHT = 128, 127
LARGEST_POINT = 2 * _HEIGHT
#: Where curves end: beyond, the activation stays within 0.001 of its own end.
_ENDS = {"tanh": 4.0, "logistic": 7.0}


def is_curve(activation: str | None) -> bool:
    """Whether an activation is computed by a curve."""
    return activation in _ENDS


def curve_codes(places: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return what a curve makes of places, 1 to 255.

    Parameters
    ----------
    places : ndarray of float64
        Whole numbers of either sign; beyond the last place they count as that.
    points : ndarray of shape (33,), uint8

    Returns
    -------
    codes : ndarray of float64
    """
    size = np.minimum(np.abs(places), PLACE_LIMIT)
    below = (size // N_BETWEEN).astype(np.intp)
    part = size - N_BETWEEN * below
    heights = points.astype(np.float64)
    total = heights[below] * (N_BETWEEN - part) + heights[below + 1] * part
    height = (total + N_BETWEEN) // (2 * N_BETWEEN)
    return CURVE_MIDDLE + np.sign(places) * height


class Curve(NamedTuple):
    """A curve and what its integers stand for: a sum is place * n, an activation low + step * n."""

    points: np.ndarray  # (33,), uint8
    place: float
    low: float
    step: float


def curve_of(target: np.ndarray, activation: str) -> Curve:
    """Fit a curve to the sums of a layer, whose units share it.

    Parameters
    ----------
    target : ndarray of shape (n_samples, n_out)
        Sums in floats.
    activation : {"tanh", "logistic"}
    """
    end = min(np.abs(target).max(), _ENDS[activation]) or _ENDS[activation]
    values = end * np.linspace(0, 1, N_POINTS)
    ACTIVATIONS[activation].apply(values)
    middle = values[0]
    points = np.rint((values - middle) / (values[-1] - middle) * LARGEST_POINT).astype(np.uint8)
    step = (values[-1] - middle) / _HEIGHT
    return Curve(points, end / (PLACE_LIMIT + 1), middle - CURVE_MIDDLE * step, step)
