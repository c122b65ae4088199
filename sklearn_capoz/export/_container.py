"""The bytes of a model file: safetensors with a JSON description and a checksum as metadata.

The arrays stand in it by name; or they and the description are packed, as a safetensors file within
another. Format 1 is never packed, so that earlier versions of the package read it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..exceptions import DataFormatError
from ..formats._atomic import check_regular_file
from ._limits import MAX_FILE_BYTES, MAX_HEADER_BYTES, check_text
from ._packing import PACKED, pack_arrays, unpack_arrays

__all__ = ["checksum", "pack", "read_whole_file", "unpack"]

#: Key of the description in the safetensors metadata.
_KEY = "sklearn_capoz"
#: Key of the checksum.
_DIGEST = "sha256"

_INSTALL = "Model files need safetensors: pip install 'sklearn-capoz[export]'"


def pack(description: dict, tensors: dict[str, np.ndarray]) -> bytes:
    """Return the file's content."""
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise ImportError(_INSTALL) from error
    text = json.dumps(description, allow_nan=False)
    digest = {_DIGEST: checksum(text, tensors)}  # random digits, which nothing makes smaller
    packed = None
    if description["format_version"] > 1:
        packed = pack_arrays(save(tensors, metadata={_KEY: text}))
    if packed is None:
        content = save(tensors, metadata={_KEY: text} | digest)
    else:
        content = save({PACKED: packed}, metadata=digest)
    if len(content) > MAX_FILE_BYTES:
        raise DataFormatError(
            f"the file would have {len(content):,} bytes, and holds up to {MAX_FILE_BYTES:,}."
        )
    return content


def unpack(content: bytes) -> tuple[Any, dict[str, np.ndarray]]:
    """Return the description as it stands in the file, and all arrays."""
    header, tensors = _load(content)
    metadata = _metadata(header)
    if set(tensors) == {PACKED}:
        header, tensors = _load(unpack_arrays(tensors[PACKED]))
        metadata = _metadata(header) | metadata  # once the arrays alone were packed
    text = metadata.get(_KEY)
    if text is None:
        raise DataFormatError(
            "a safetensors file, but not one of save_model: its metadata has no "
            f"{_KEY!r}. Save the model again with sklearn_capoz.deploy.save_model."
        )
    if metadata.get(_DIGEST) != checksum(text, tensors):
        raise DataFormatError("damaged: its contents do not match their checksum. Copy it again.")
    return _parse(text, "description"), tensors


def _metadata(header: str) -> dict[str, str]:
    return _parse(header, "header").get("__metadata__") or {}


def _load(content: bytes) -> tuple[str, dict[str, np.ndarray]]:
    """Return the header and all arrays of a safetensors file."""
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load
    except ImportError as error:
        raise ImportError(_INSTALL) from error
    header = _header(content)
    try:
        return header, load(content)
    except (SafetensorError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise DataFormatError(f"no model file, or a damaged one ({error}).") from error


def checksum(text: str, tensors: dict[str, np.ndarray]) -> str:
    """Digest of the description and of all numbers: tells damage, not intent."""
    digest = hashlib.sha256(text.encode())
    for key in sorted(tensors):
        digest.update(key.encode())
        digest.update(tensors[key].tobytes())
    return digest.hexdigest()


def read_whole_file(path: Path) -> bytes:
    """Return the content of a file that is small enough to be one of ours."""
    check_regular_file(path)
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise DataFormatError(
            f"{path}: no model file: it has {size:,} bytes, one of save_model up to "
            f"{MAX_FILE_BYTES:,}."
        )
    return path.read_bytes()


def _header(content: bytes) -> str:
    """Return the safetensors header, or refuse a length that the file cannot hold."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 9 or content[8:9] != b"{":
        raise DataFormatError(
            f"no model file ({len(content)} bytes that do not begin like one). Only files of "
            "save_model can be opened; a joblib or pickle file needs joblib.load."
        )
    if length > min(len(content) - 8, MAX_HEADER_BYTES):
        raise DataFormatError(
            f"damaged or cut off: the header should have {length} bytes, the file has "
            f"{len(content)}."
        )
    try:
        header = content[8 : 8 + length].decode()
    except UnicodeDecodeError as error:
        raise DataFormatError(f"no model file, or a damaged one ({error}).") from error
    check_text(header)
    return header


def _parse(text: str, what: str) -> Any:
    check_text(text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataFormatError(f"the {what} is no valid JSON ({error}).") from error
