"""Memory that is used again from block to block."""

from __future__ import annotations

import threading

import numpy as np

__all__ = ["Scratch"]

#: Bytes of the largest array that is kept: a thread may live longer than the scene, and a caller
#: may ask for large blocks.
LARGEST_KEPT = 32_000_000


class Scratch(threading.local):
    """Arrays that hold good until the same thread asks for the same name again.

    The pages of a fresh array of some megabytes cost as much as reading a file into it, above all
    where freed memory goes straight back to the system, as in the workers of a dask cluster.

    Examples
    --------
    >>> scratch = Scratch()
    >>> first = scratch.empty("X", (2, 3), "float32")
    >>> np.shares_memory(first, scratch.empty("X", (3, 2), "int16"))
    True
    """

    def __init__(self):  # in every thread that uses the object
        self._kept: dict[str, np.ndarray] = {}

    def empty(self, name: str, shape: tuple[int, ...], dtype) -> np.ndarray:
        """Return an array with any content, as a rule in the memory of the last one so named."""
        dtype = np.dtype(dtype)
        size = int(np.prod(shape)) * dtype.itemsize
        if size > LARGEST_KEPT:
            return np.empty(shape, dtype)
        if name not in self._kept or len(self._kept[name]) < size:
            self._kept[name] = np.empty(size, dtype=np.uint8)
        return self._kept[name][:size].view(dtype).reshape(shape)
