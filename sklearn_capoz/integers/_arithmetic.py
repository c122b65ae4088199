"""The arithmetic of integer networks: what Python, ONNX and C all do, to the last bit.

There is one rounding, half away from zero, since that is the one which C99 can write without a
library and without shifting a negative number.
"""

from __future__ import annotations

import numpy as np

__all__ = ["MAX_SHIFT", "as_multipliers", "requantize", "round_half_away", "short_ratios"]

#: Largest shift: half of 2^62 and an accumulator times its multiplier stay below 2^63.
MAX_SHIFT = 62
#: Bits of a multiplier: an accumulator's rescaling is right to 2^-15 of itself.
_MULTIPLIER_BITS = 15
#: Those that differ, where the step behind a multiplier is free: files pack the others away.
_SHORT_BITS = 5


def round_half_away(values: np.ndarray) -> np.ndarray:
    """Round to whole numbers, a half away from zero; the dtype stays."""
    return np.copysign(np.floor(np.abs(values) + 0.5), values)


def as_multipliers(ratios: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int16 multipliers and uint8 shifts with ratio = multiplier / 2^shift.

    Parameters
    ----------
    ratios : ndarray of shape (n_units,)
        Not negative and at most 2^13. Those below 2^-47 lose digits, and vanish in the end.

    Returns
    -------
    multipliers : ndarray of shape (n_units,), int16
    shifts : ndarray of shape (n_units,), uint8
        From 1 to `MAX_SHIFT`.
    """
    _, exponents = np.frexp(ratios)
    shifts = np.clip(_MULTIPLIER_BITS - exponents, 1, MAX_SHIFT)
    multipliers = np.rint(np.ldexp(ratios, shifts))
    overflow = multipliers == 2**_MULTIPLIER_BITS  # rounded up to the next power of two
    multipliers[overflow] /= 2
    return multipliers.astype(np.int16), (shifts - overflow).astype(np.uint8)


def short_ratios(ratios: np.ndarray) -> np.ndarray:
    """Return the next smaller ratios whose multipliers begin with 5 bits and end in zeros."""
    parts, exponents = np.frexp(ratios)
    return np.ldexp(np.floor(np.ldexp(parts, _SHORT_BITS)), exponents - _SHORT_BITS)


def requantize(sums: np.ndarray, multipliers: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Return sum * multiplier / 2^shift, rounded half away from zero, as float64.

    Floats are exact here, and faster than int64. A product of 31 and 15 bits fits into the 53 that
    float64 has, and the division only moves its point. Adding a half could round where the
    quotient has digits below 2^-53: its shift is above 53 then, the quotient below 2^-7, and
    whatever is added to it, nothing near 1 comes out.
    """
    return round_half_away(sums * np.ldexp(multipliers.astype(np.float64), -shifts.astype(int)))
