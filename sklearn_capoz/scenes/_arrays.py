"""Scenes in arrays: numpy and memmap, dask, xarray."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_capoz.exceptions import DataFormatError

from ._bands import scene_wavelengths
from ._source import Georeference, Source, take_bands

__all__ = ["ArraySource", "DaskSource", "open_array"]

_SPECTRAL_DIMENSIONS = ("wavelength", "wavelengths", "wl", "band", "bands", "spectral", "lambda")


@dataclass(frozen=True, eq=False, kw_only=True)
class ArraySource(Source):
    """A cube in memory or in a memmap, rows first and bands last; it may be masked."""

    cube: Any

    def read(self, start, stop, bands, scratch):
        block = take_bands(self.cube[start:stop], bands)
        return block if isinstance(block, np.ma.MaskedArray) else np.asarray(block)


@dataclass(frozen=True, eq=False, kw_only=True)
class DaskSource(Source):
    """A dask array, rows first and bands last; only the chunks of the asked rows are computed."""

    array: Any

    def lazy(self, start: int, stop: int, bands: np.ndarray):
        return take_bands(self.array[start:stop], bands)

    def read(self, start, stop, bands, scratch):
        # The block already runs in one of our threads: dask need not start its own.
        return self.lazy(start, stop, bands).compute(scheduler="synchronous")


def open_array(array) -> Source:
    """Wrap a cube (n_rows, n_columns, n_bands), or a DataArray whose dimensions say what is what.

    Raises
    ------
    DataFormatError
        If it is no cube of real numbers.
    TypeError
        If it is none of the known kinds.
    """
    kind = f"{type(array).__module__}.{type(array).__name__}"
    if kind.startswith("xarray.") and kind.endswith(".DataArray"):
        return _open_xarray(array)
    if kind.startswith("dask.array."):
        _check_cube(array)
        identity = f"dask {array.shape} {array.dtype} {array.name}"
        return DaskSource(shape=array.shape, dtype=array.dtype, identity=identity, array=array)
    if isinstance(array, np.ndarray):
        _check_cube(array)
        mapped = array.filename if isinstance(array, np.memmap) else None
        return ArraySource(
            shape=array.shape,
            dtype=array.dtype,
            identity=_fingerprint(array),
            files=() if mapped is None else (Path(mapped),),
            cube=array,
        )
    raise TypeError(
        "source must be a path (ENVI header or data file, GeoTIFF), a numpy or memmap cube "
        f"(n_rows, n_columns, n_bands), an xarray.DataArray or a dask array; got {kind}."
    )


def _check_cube(cube) -> None:
    if cube.ndim != 3 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in cube.shape):
        raise DataFormatError(
            f"a scene must be a cube (n_rows, n_columns, n_bands), none of them 0; got shape "
            f"{cube.shape}."
        )
    if cube.dtype.kind not in "iuf":
        raise DataFormatError(f"a scene must hold real numbers, got {cube.dtype}.")


def _fingerprint(cube: np.ndarray) -> str:
    """Checksum of up to 64 rows: enough to tell scenes apart, cheap on a memmap of any size."""
    checksum = 0
    for row in np.unique(np.linspace(0, len(cube) - 1, 64).astype(int)):
        checksum = zlib.crc32(np.ascontiguousarray(np.ma.getdata(cube[row])).data, checksum)
        if isinstance(cube, np.ma.MaskedArray):
            checksum = zlib.crc32(np.ma.getmaskarray(cube[row]).tobytes(), checksum)
    return f"array {cube.shape} {cube.dtype} {checksum:08x}"


def _open_xarray(array) -> Source:
    """Wrap a DataArray of three dimensions, one of them spectral, in any order."""
    named = [d for d in array.dims if str(d).lower() in _SPECTRAL_DIMENSIONS]
    if array.ndim != 3 or len(named) != 1:
        raise DataFormatError(
            "a DataArray must have three dimensions, exactly one of them named as one of "
            f"{', '.join(_SPECTRAL_DIMENSIONS)}; got {array.dims}."
        )
    spectral = named[0]
    rows, columns = (d for d in array.dims if d != spectral)
    ordered = array.transpose(rows, columns, spectral)
    base = open_array(ordered.data)
    wavelengths = None
    for name in (spectral, *_SPECTRAL_DIMENSIONS):
        coordinate = array.coords.get(name)
        if coordinate is not None and coordinate.dims == (spectral,) and "band" not in str(name):
            unit = coordinate.attrs.get("units", coordinate.attrs.get("unit"))
            wavelengths = scene_wavelengths(coordinate.values, coordinate.size, unit)
            break
    said = {**array.encoding, **array.attrs}
    nodata = said.get("_FillValue", said.get("nodata"))
    settings = {**vars(base), "wavelengths": wavelengths, "nodata": nodata}
    if isinstance(opened_from := array.encoding.get("source"), str):
        settings["files"] = (*base.files, Path(opened_from))
    settings["georeference"] = _xarray_georeference(ordered, rows, columns)
    return type(base)(**settings)


def _xarray_georeference(array, rows, columns) -> Georeference:
    """CF grid mapping, as rioxarray writes it; else the spacing of the coordinates."""
    mapping = array.coords.get(array.attrs.get("grid_mapping", "spatial_ref"))
    attributes = {} if mapping is None else mapping.attrs
    crs = attributes.get("crs_wkt", attributes.get("spatial_ref"))
    if "GeoTransform" in attributes:
        left, dx, rx, top, ry, dy = map(float, str(attributes["GeoTransform"]).split())
        return Georeference(crs, (dx, rx, left, ry, dy, top))
    if rows not in array.coords or columns not in array.coords or min(array.shape[:2]) < 2:
        return Georeference(crs)
    x, y = (np.asarray(array.coords[d].values, dtype=np.float64) for d in (columns, rows))
    dx, dy = (x[-1] - x[0]) / (len(x) - 1), (y[-1] - y[0]) / (len(y) - 1)
    return Georeference(crs, (dx, 0.0, x[0] - dx / 2, 0.0, dy, y[0] - dy / 2))
