"""From what the user gives to a source: the one place where kinds of scenes are told apart."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ._arrays import is_array, is_dask, is_mapped, open_array, open_dask, open_mapped
from ._envi import open_envi
from ._raster import is_raster, open_raster
from ._source import Source
from ._xarray import is_data_array, open_data_array

__all__ = ["open_source"]

#: Kinds of files, told by their names alone: a file's content may claim to be anything.
FILES: list[tuple[Callable[[Path], bool], Callable[[Path], Source]]] = [
    (is_raster, open_raster),
    (lambda path: True, open_envi),
]

#: Kinds of arrays; the first that knows an object opens it.
ARRAYS: list[tuple[Callable[[Any], bool], Callable[[Any], Source]]] = [
    (is_dask, open_dask),
    (is_mapped, open_mapped),
    (is_array, open_array),
]


def open_source(source) -> Source:
    """Return the reader of a path, an array, a DataArray or a dask array.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If a path names no file.
    DataFormatError
        If it holds no scene.
    TypeError
        If it is of no known kind.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.is_dir():
            raise IsADirectoryError(
                f"{path} is a folder: give a file in it, an ENVI header or data file, or a GeoTIFF."
            )
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}.")
        return _first(FILES, path)
    if is_data_array(source):
        return open_data_array(source, lambda data: _first(ARRAYS, data))
    return _first(ARRAYS, source)


def _first(kinds, source) -> Source:
    for knows, opens in kinds:
        if knows(source):
            return opens(source)
    raise TypeError(
        "source must be a path (ENVI header or data file, GeoTIFF), a numpy or memmap cube "
        "(n_rows, n_columns, n_bands), an xarray.DataArray or a dask array; got "
        f"{type(source).__module__}.{type(source).__name__}."
    )
