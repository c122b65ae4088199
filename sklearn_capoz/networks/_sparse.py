"""How weights are stored of which many are zero: those that are not, and where they are.

A bit for each weight says whether it is there; or, where few are, a byte for each that is there
says how many zeros stand before it. The smallest form is taken, which may be the plain array.
"""

from __future__ import annotations

import numpy as np

__all__ = ["FORMS", "positions_of_gaps", "positions_of_mask", "sparse_places", "stored_bytes"]

#: As plain arrays, by a mask of bits, or by gaps of zeros.
FORMS = ("dense", "mask", "gaps")

#: A byte of gaps that stands for so many zeros, with no value behind them.
_FAR = 255

#: What a model file or a program in C needs for a second array, its name above all.
_SECOND_ARRAY = 80


def stored_bytes(weights: np.ndarray) -> int:
    """Count the bytes that weights take in the smallest form.

    Parameters
    ----------
    weights : ndarray
    """
    form, places = sparse_places(weights, 8 * weights.itemsize)
    if form == "dense":
        return weights.nbytes
    return places.nbytes + int(np.count_nonzero(weights)) * weights.itemsize


def sparse_places(weights: np.ndarray, value_bits: int) -> tuple[str, np.ndarray]:
    """Choose the smallest form of weights, and say where those are that are not zero.

    Parameters
    ----------
    weights : ndarray
    value_bits : int
        What a value takes.

    Returns
    -------
    form : {"dense", "mask", "gaps"}
        "dense" unless another saves more than it takes to name a second array.
    places : ndarray of uint8
        The bits, the first weight in the lowest, or the gaps; empty of "dense".
    """
    there = weights.ravel() != 0
    n_values = int(np.count_nonzero(there))
    values = -(-n_values * value_bits // 8)
    gaps = _gaps(there)
    sizes = {
        "dense": -(-there.size * value_bits // 8),
        "mask": -(-there.size // 8) + values + _SECOND_ARRAY,
        "gaps": gaps.size + values + _SECOND_ARRAY,
    }
    form = min(FORMS, key=lambda name: sizes[name])
    if form == "mask":
        return form, np.packbits(there, bitorder="little")
    return form, gaps if form == "gaps" else np.empty(0, np.uint8)


def _gaps(there: np.ndarray) -> np.ndarray:
    """Say how many zeros are before each value, and behind the last."""
    positions = np.flatnonzero(there)
    gaps = np.diff(positions, prepend=-1) - 1
    ends = np.cumsum(gaps // _FAR + 1)
    rest = there.size - (positions[-1] + 1 if positions.size else 0)
    found = np.full((ends[-1] if ends.size else 0) + rest // _FAR, _FAR, np.uint8)
    found[ends - 1] = gaps % _FAR
    return found


def positions_of_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """Return which of `size` weights are there.

    Raises
    ------
    ValueError
        If the mask is of another size, or says that there are weights behind the last.
    """
    if mask.size != -(-size // 8):
        raise ValueError(f"a mask of {mask.size} bytes for {size} weights")
    positions = np.flatnonzero(np.unpackbits(mask, bitorder="little"))
    if positions.size and positions[-1] >= size:
        raise ValueError(f"a mask with a bit for weight {positions[-1]} of {size}")
    return positions


def positions_of_gaps(gaps: np.ndarray, size: int) -> np.ndarray:
    """Return which of `size` weights are there.

    Raises
    ------
    ValueError
        If the gaps do not lead to the last weight: through others, or to fewer.
    """
    is_value = gaps != _FAR
    ends = np.cumsum(gaps.astype(np.int64) + is_value)
    end = int(ends[-1]) if ends.size else 0
    if not 0 <= size - end < _FAR:
        raise ValueError(f"gaps that lead through {end} of {size} weights")
    return ends[is_value] - 1
