"""Arrays as one packed array, where that saves bytes: gaps and integers are far from random.

A small array must not become a large one unasked: what a packed array holds is at most
`_LARGEST_RATIO` times its bytes, and unpacking ends there.
"""

from __future__ import annotations

import lzma

import numpy as np

from ..exceptions import DataFormatError

__all__ = ["PACKED", "pack_arrays", "unpack_arrays"]

#: Name of the array that holds all others.
PACKED = "packed"

#: Without a container, and without a context of neighbouring bytes, which say nothing here.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 2**20, "lc": 0, "lp": 0, "pb": 0}]
#: Bytes that may be packed, and how many a packed one may stand for.
_MOST_BYTES, _LARGEST_RATIO = 2**26, 8
#: A file that would lose less is left as it is, to be read by any tool.
_LEAST_SAVING = 0.1


def pack_arrays(content: bytes) -> np.ndarray | None:
    """Return the bytes of a file of arrays as a packed array; None where that saves little."""
    if len(content) > _MOST_BYTES:
        return None
    packed = lzma.compress(content, lzma.FORMAT_RAW, filters=_FILTERS)
    saves = len(packed) <= (1 - _LEAST_SAVING) * len(content)
    if not saves or len(content) > _LARGEST_RATIO * len(packed):
        return None
    return np.frombuffer(packed, np.uint8)


def unpack_arrays(packed: np.ndarray) -> bytes:
    """Undo `pack_arrays`.

    Raises
    ------
    DataFormatError
        If it is not packed, or holds more than it may.
    """
    if packed.dtype != np.uint8 or packed.ndim != 1:
        raise DataFormatError(f"the array {PACKED!r} must be a row of bytes.")
    most = min(_LARGEST_RATIO * packed.size, _MOST_BYTES)
    reader = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS)
    try:
        content = reader.decompress(packed.tobytes(), max_length=most + 1)
    except (lzma.LZMAError, EOFError) as error:
        raise DataFormatError(f"the array {PACKED!r} cannot be unpacked ({error}).") from error
    if len(content) > most:
        raise DataFormatError(f"the array {PACKED!r} holds more than {most:,} bytes.")
    if not reader.eof or reader.unused_data:
        raise DataFormatError(f"the array {PACKED!r} does not end where it should.")
    return content
