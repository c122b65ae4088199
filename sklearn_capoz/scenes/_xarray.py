"""Scenes in an xarray.DataArray: dimensions, coordinates and attributes say what is what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_capoz._warn import warn
from sklearn_capoz.exceptions import DataFormatError

from ._band_text import good_bands, listed, wavelengths_in_names
from ._bands import scene_wavelengths
from ._source import Georeference, Source, radiometry

__all__ = ["is_data_array", "open_data_array"]

_WAVELENGTH_NAMES = (
    "wavelength", "wavelengths", "wl", "wvl", "lambda", "center_wavelength", "central_wavelength",
)  # fmt: skip
_BAND_NAMES = ("band", "bands", "spectral")
_SPECTRAL_DIMENSIONS = (*_WAVELENGTH_NAMES, *_BAND_NAMES)
_ROW_NAMES = ("y", "lat", "latitude", "northing", "row", "rows", "line", "lines")
_COLUMN_NAMES = ("x", "lon", "longitude", "easting", "column", "columns", "sample", "samples")


def is_data_array(array) -> bool:
    """Whether it is a DataArray; xarray need not be installed to tell."""
    return type(array).__name__ == "DataArray" and type(array).__module__.startswith("xarray.")


def open_data_array(array, open_data: Callable[[Any], Source]) -> Source:
    """Wrap a DataArray of three dimensions, one of them spectral, in any order.

    Of the other two the first are rows, unless their names say otherwise.

    What it holds, an array of numpy or dask, is opened as such; the rest is what the DataArray
    says about it.
    """
    named = [d for d in array.dims if str(d).lower() in _SPECTRAL_DIMENSIONS]
    if array.ndim != 3 or len(named) != 1:
        raise DataFormatError(
            "a DataArray must have three dimensions, exactly one of them named as one of "
            f"{', '.join(_SPECTRAL_DIMENSIONS)}; got {array.dims}."
        )
    spectral = named[0]
    rows, columns = (d for d in array.dims if d != spectral)
    if str(rows).lower() in _COLUMN_NAMES or str(columns).lower() in _ROW_NAMES:
        rows, columns = columns, rows
    ordered = array.transpose(rows, columns, spectral)
    said = {**array.encoding, **array.attrs}
    nodata = next((said[k] for k in ("_FillValue", "missing_value", "nodata") if k in said), None)
    base = open_data(ordered.data)
    opened_from = array.encoding.get("source")
    return replace(
        base,
        wavelengths=_wavelengths(ordered, spectral),
        good=_good(ordered, spectral),
        nodata=nodata,
        files=(*base.files, Path(opened_from)) if _is_file(opened_from) else base.files,
        georeference=_georeference(ordered, rows, columns),
        **_radiometry(array.attrs),
    )


def _is_file(name) -> bool:
    return isinstance(name, str) and Path(name).is_file()


def _wavelengths(array, spectral) -> np.ndarray | None:
    """Band centres from a coordinate, an attribute, or the names of the bands."""
    n_bands = array.sizes[spectral]
    for name in dict.fromkeys((spectral, *_SPECTRAL_DIMENSIONS)):
        coordinate = array.coords.get(name)
        if coordinate is None or coordinate.dims != (spectral,):
            continue
        unit = coordinate.attrs.get("units", coordinate.attrs.get("unit"))
        if str(name).lower() in _WAVELENGTH_NAMES or _are_wavelengths(coordinate.values, unit):
            return scene_wavelengths(coordinate.values, n_bands, unit)
    for name in _WAVELENGTH_NAMES:
        if name in array.attrs:
            unit = array.attrs.get(f"{name}_units", array.attrs.get("wavelength_units"))
            return scene_wavelengths(listed(array.attrs[name]), n_bands, unit)
    names = array.attrs.get("long_name")  # where rioxarray puts a file's band descriptions
    if isinstance(names, (tuple, list)) and len(names) == n_bands:
        return wavelengths_in_names(names)
    return None


def _are_wavelengths(values: np.ndarray, unit: str | None) -> bool:
    """Whether a coordinate called "band" holds wavelengths; as a rule it holds band numbers."""
    if np.asarray(values).dtype.kind not in "iuf":
        return False
    if unit:
        return True
    numbered = (np.abs(np.diff(values)) == 1).all() and (np.mod(values, 1) == 0).all()
    return bool((values > 0).all() and not numbered)


def _good(array, spectral) -> np.ndarray | None:
    """Bad-band lists: EMIT has `good_wavelengths`, what came from ENVI has `bbl`."""
    for name in ("good_wavelengths", "good_bands", "bbl"):
        coordinate = array.coords.get(name)
        if coordinate is not None and coordinate.dims == (spectral,):
            return good_bands(coordinate.values, array.sizes[spectral], name)
        if name in array.attrs:
            return good_bands(listed(array.attrs[name]), array.sizes[spectral], name)
    return None


def _radiometry(attributes) -> dict[str, Any]:
    """Read what CF calls `scale_factor` and `add_offset`; decoded arrays have neither."""
    gain, offset = attributes.get("scale_factor"), attributes.get("add_offset")
    return radiometry(
        "the DataArray",
        gain=None if gain is None else np.atleast_1d(gain),
        offset=None if offset is None else np.atleast_1d(offset),
    )


def _georeference(array, rows, columns) -> Georeference:
    """CF grid mapping, as rioxarray writes it, unless the coordinates say otherwise.

    A part of an array keeps the mapping of the whole; its coordinates are its own.
    """
    mapping = array.coords.get(array.attrs.get("grid_mapping", "spatial_ref"))
    attributes = {} if mapping is None else mapping.attrs
    crs, told = attributes.get("crs_wkt", attributes.get("spatial_ref")), None
    if "GeoTransform" in attributes:
        left, dx, rx, top, ry, dy = map(float, str(attributes["GeoTransform"]).split())
        told = (dx, rx, left, ry, dy, top)
        if rx or ry:  # the coordinates of a turned grid are those of no map
            return Georeference(crs, told)
    if rows not in array.coords or columns not in array.coords:
        return Georeference(crs, told)
    x, y = (np.asarray(array.coords[d].values, dtype=np.float64) for d in (columns, rows))
    if told and _is_grid(x, left + dx / 2, dx) and _is_grid(y, top + dy / 2, dy):
        return Georeference(crs, told)
    right, down = _spacing(x, told and told[0]), _spacing(y, told and told[4])
    if right is None or down is None:
        return Georeference(crs)
    if not (_is_grid(x, x[0], right) and _is_grid(y, y[0], down)):
        warn(
            f"the coordinates {columns} and {rows} of the DataArray are not evenly spaced, so that "
            "no grid fits them: the map has no coordinates."
        )
        return Georeference(crs)
    return Georeference(crs, (right, 0.0, x[0] - right / 2, 0.0, down, y[0] - down / 2))


def _spacing(centres: np.ndarray, told: float | None) -> float | None:
    """Return the mean distance of neighbours; a single one has that which the array tells."""
    return (centres[-1] - centres[0]) / (len(centres) - 1) if len(centres) > 1 else told


def _is_grid(centres: np.ndarray, first: float, step: float) -> bool:
    """Whether each pixel's centre is less than half a pixel from where a grid has it."""
    off = np.abs(centres - (first + step * np.arange(len(centres))))
    return bool((off < abs(step) / 2).all())
