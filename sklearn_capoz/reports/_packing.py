"""Arrays and pictures as text inside of a page: deflated, in base64."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

__all__ = ["packed", "palette_png", "text_of"]


def packed(array: np.ndarray) -> bytes:
    """Deflate an array of bytes or of two-byte numbers.

    Of two-byte numbers all low bytes come first, then all high ones: these hardly change, and
    deflate finds that only where they stand together.
    """
    array = np.ascontiguousarray(array)
    if array.dtype.itemsize == 2:
        array = array.astype(array.dtype.newbyteorder("<"))
        array = np.stack([array.view(np.uint8).ravel()[i::2] for i in (0, 1)])
    return zlib.compress(array.astype(np.uint8, copy=False).tobytes(), 6)


def palette_png(codes: np.ndarray, colors: np.ndarray) -> bytes:
    """Write a picture of one byte a pixel and a palette.

    It is written here since the page reads the codes out of it again: rows are not filtered, and
    all data stand in one chunk. Other writers choose that as they like.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
    colors : ndarray of shape (n_codes, 3), uint8
    """
    n_rows, n_columns = codes.shape
    rows = np.zeros((n_rows, n_columns + 1), dtype=np.uint8)  # the first byte: no filter
    rows[:, 1:] = codes
    header = struct.pack(">IIBBBBB", n_columns, n_rows, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", colors.astype(np.uint8).tobytes()),
              (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def text_of(data: bytes) -> str:
    """Base64, which any page and any mail program leaves as it is."""
    return base64.b64encode(data).decode("ascii")
