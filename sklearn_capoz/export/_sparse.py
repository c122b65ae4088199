"""Weights of which many are zero, in a model file: the others, and a mask or gaps beside them.

A file's reader must not believe what it says: a mask is as long as the weights are many, and gaps
lead through all of them, so that a small file cannot ask for much memory.
"""

from __future__ import annotations

import numpy as np

from ..exceptions import DataFormatError
from ..networks._sparse import positions_of_gaps, positions_of_mask, sparse_places

__all__ = ["pack_nibbles", "put_weights", "sparse_form", "take_sparse", "unpack_nibbles"]

#: Form -> how to read it. What follows the name of the weights says which form they have.
_READ = {"mask": positions_of_mask, "gaps": positions_of_gaps}


def pack_nibbles(weights: np.ndarray) -> np.ndarray:
    """Put two 4-bit numbers into each byte, the first in the low half."""
    flat = weights.ravel().astype(np.uint8) & 15
    flat = np.pad(flat, (0, len(flat) % 2))
    return flat[::2] | (flat[1::2] << 4)


def unpack_nibbles(packed: np.ndarray) -> np.ndarray:
    """Undo `pack_nibbles`."""
    nibbles = np.stack([packed & 15, packed >> 4], axis=1).ravel().astype(np.int8)
    return np.where(nibbles < 8, nibbles, nibbles - 16).astype(np.int8)


def put_weights(
    tensors: dict[str, np.ndarray], key: str, weights: np.ndarray, bits: int | None = None
) -> None:
    """Add weights to the arrays of a file, in the form that takes the fewest bytes.

    Parameters
    ----------
    tensors : dict of str to ndarray
    key : str
    weights : ndarray
    bits : {4, 8} or None
        Of each weight; None are those of its dtype.
    """
    form, places = sparse_places(weights, bits or 8 * weights.itemsize)
    pack = pack_nibbles if bits == 4 else np.ascontiguousarray
    if form == "dense":
        tensors[key] = pack(weights)
        return
    tensors[f"{key}.{form}"] = places
    tensors[f"{key}.values"] = pack(weights[weights != 0])


def sparse_form(tensors: dict[str, np.ndarray], key: str) -> str | None:
    """Return the form in which weights are stored; None where they are a plain array or missing."""
    return next((form for form in _READ if f"{key}.{form}" in tensors), None)


def take_sparse(
    tensors: dict[str, np.ndarray], key: str, shape: tuple[int, ...], take, bits: int | None = None
) -> np.ndarray:
    """Take weights out of the arrays of a file, checked.

    Parameters
    ----------
    tensors : dict of str to ndarray
    key : str
    shape : tuple of int
    take : callable
        Takes an array of a name, of a shape and dtype or of any: `take(key, shape, dtype)`.
    bits : {4, 8} or None
    """
    form = sparse_form(tensors, key)
    assert form is not None
    size = 1
    for length in shape:  # no int64, which may overflow
        size *= int(length)
    places = take(f"{key}.{form}", None, "uint8")
    try:
        positions = _READ[form](places.ravel(), size)
    except ValueError as error:
        raise DataFormatError(f"the array '{key}.{form}' is {error}.") from error
    n_packed = (len(positions) + 1) // 2 if bits == 4 else len(positions)
    values = take(f"{key}.values", (n_packed,), "uint8" if bits == 4 else None)
    if bits == 4:
        values = unpack_nibbles(values)[: len(positions)]
    weights = np.zeros(size, values.dtype)
    weights[positions] = values
    return weights.reshape(shape)
