"""From what the user gives to a reader: by suffix for paths, by type for arrays."""

from __future__ import annotations

import os
from pathlib import Path

from ._arrays import open_array
from ._envi import open_envi
from ._raster import open_raster
from ._source import Source

__all__ = ["open_source"]

_RASTER_SUFFIXES = (".tif", ".tiff", ".vrt")


def open_source(source) -> Source:
    """Return the reader of a path, an array, a DataArray or a dask array."""
    if not isinstance(source, (str, os.PathLike)):
        return open_array(source)
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}.")
    return open_raster(path) if path.suffix.lower() in _RASTER_SUFFIXES else open_envi(path)
