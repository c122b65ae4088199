"""Arrays and pictures as text inside of a page: deflated, in base64."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

__all__ = ["packed", "palette_png", "text_of"]


def packed(array: np.ndarray) -> bytes:
    """Deflate an array of bytes, or of small whole numbers of two bytes.

    Of these the sign goes into the last bit, so that small numbers have small bytes, and all low
    bytes come before all high ones, which are hardly ever other than 0. Codes by frequency and
    runs are then all there is to be found: it comes within some hundredths of the entropy.
    """
    array = np.ascontiguousarray(array)
    if array.dtype == np.uint8:
        return zlib.compress(array.tobytes(), 6)
    deflate = zlib.compressobj(6, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    parts = []
    for byte in (0, 1):
        for plane in array.astype("<i2", copy=False):  # one after the other: they may be large
            signed_last = np.atleast_1d((plane << 1) ^ (plane >> 15))
            parts.append(deflate.compress(signed_last.view(np.uint8).ravel()[byte::2].tobytes()))
    return b"".join([*parts, deflate.flush()])


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
