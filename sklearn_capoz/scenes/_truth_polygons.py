"""Polygons (or points) of a vector file: which pixels they hold, and what is wrong with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from .._warn import warn
from ..exceptions import DataFormatError
from ._grid import Grid
from ._places import Places
from ._truth_points import at_coordinates, no_overlap, texts_of

__all__ = ["is_vector", "places_of_polygons", "read_polygons"]

#: How a file of each kind begins. GDAL would take anything under any name, such as a description
#: that sends it to other files or into the network.
BEGINS = {
    ".geojson": (b"{", "GeoJSON"),
    ".json": (b"{", "GeoJSON"),
    ".shp": (b"\x00\x00\x27\x0a", "Shapefile"),
    ".gpkg": (b"SQLite format 3\x00", "GeoPackage"),
}

#: Bytes of a column's name that a Shapefile keeps.
COLUMN_BYTES = 10

#: Polygons that a message names.
N_LISTED = 3


def is_vector(path: Path) -> bool:
    """Whether a name says that the file holds polygons."""
    return path.suffix.lower() in BEGINS


def import_geopandas():
    """Import geopandas, which reads polygons."""
    try:
        import geopandas
        import pyogrio  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Polygons need geopandas and pyogrio: pip install 'sklearn-capoz[regions]'"
        ) from error
    return geopandas


def read_polygons(path: Path, label: str):
    """Read a vector file as a GeoDataFrame.

    Raises
    ------
    DataFormatError
        If it is not what its name says, or has several layers with the column.
    """
    geopandas = import_geopandas()
    begins, kind = BEGINS[path.suffix.lower()]
    with open(path, "rb") as file:
        if not file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").startswith(begins):
            raise DataFormatError(f"{path} is no {kind}, as its name says.")
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        frame = geopandas.read_file(path, engine="pyogrio", layer=_layer(path, label))
    except DataFormatError:  # which says it all
        raise
    except (DataSourceError, DataLayerError, ValueError) as error:
        raise DataFormatError(f"{path} cannot be read as {kind}: {error}") from error
    if kind == "Shapefile" and label not in frame.columns:
        # Cut in bytes of UTF-8, or of an encoding with one for each letter.
        cut = (label.encode()[:COLUMN_BYTES].decode(errors="ignore"), label[:COLUMN_BYTES])
        frame = frame.rename(columns={name: label for name in frame.columns if name in cut})
    return frame


def _layer(path: Path, label: str) -> str:
    """Choose the only layer with a geometry, or the only one of these with the column."""
    import pyogrio

    layers = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
    if len(layers) > 1:
        fields = {layer: pyogrio.read_info(path, layer=layer)["fields"] for layer in layers}
        layers = [layer for layer in layers if label in fields[layer]] or layers
    if len(layers) != 1:
        raise DataFormatError(
            f"{path} has {len(layers)} layers with a geometry"
            + (f" and a column {label!r}: {', '.join(layers)[:200]}" if layers else "")
            + ". Save the one that is meant to a file of its own."
        )
    return layers[0]


def places_of_polygons(frame, grid: Grid, label: str, crs, name: str) -> Places:
    """Find the pixels whose centres lie in polygons, or in which points lie.

    Parameters
    ----------
    frame : GeoDataFrame
    grid : Grid
    label : str
        Column with the class.
    crs : str or None
        Coordinate system, above what the frame says.
    name : str
        What messages call it.

    Raises
    ------
    DataFormatError
        If a polygon crosses itself, one side has no coordinate system, or nothing overlaps.

    Warns
    -----
    UserWarning
        If polygons of different classes overlap, or are too small to hold the centre of a pixel.
    """
    grid.needs_coordinates(name)
    _check_column(frame, label, name)
    frame = frame[[label, frame.geometry.name]].set_axis(range(1, len(frame) + 1))
    empty = frame.geometry.isna() | frame.geometry.is_empty
    notes = (
        [f"left out: {empty.sum()} features of {name} without a geometry"] if empty.any() else []
    )
    frame = frame[~empty]
    if not len(frame):
        raise DataFormatError(f"{name} has no polygon and no point.")
    labels = _texts(frame[label], label, name)
    _check_valid(frame.geometry, labels, name)
    geometry, note = _in_system_of(grid, frame.geometry, crs, name)
    notes += [note] if note else []
    # Parts of one feature may lie far apart: each is a region of its own.
    parts = geometry.explode()
    classes, codes = np.unique(labels, return_inverse=True)
    codes = codes[np.searchsorted(frame.index, parts.index)]
    kinds = set(parts.geom_type)
    if kinds <= {"Point"}:
        x, y = parts.x.to_numpy(), parts.y.to_numpy()
        found = at_coordinates(x, y, codes, classes, grid, None, name)
    elif kinds <= {"Polygon"}:
        found = _burn(list(parts), np.asarray(parts.index), codes, classes, grid, name)
    else:
        raise DataFormatError(
            f"{name} holds {', '.join(sorted(kinds))}; all its features must be polygons, or all "
            "points."
        )
    return replace(found, notes=(*notes, *found.notes))


def _check_column(frame, label: str, name: str) -> None:
    if not len(frame):
        raise DataFormatError(f"{name} has no polygon and no point.")
    if label not in frame.columns:
        others = [str(c) for c in frame.columns if c != frame.geometry.name]
        raise DataFormatError(
            f"{name} has no column {label!r}; it has {', '.join(others)[:200] or 'none'}. Name the "
            "column with the classes as label."
        )


def _texts(column, label: str, name: str) -> np.ndarray:
    """Names of the classes, all of which must be there."""
    texts = texts_of(column)
    if (texts == "").any():
        listed = ", ".join(map(str, column.index[texts == ""][:N_LISTED]))
        raise DataFormatError(
            f"{name}: {(texts == '').sum()} of {len(texts)} features have no {label} (numbers "
            f"{listed}, counted from 1)."
        )
    return texts


def _check_valid(geometry, labels: np.ndarray, name: str) -> None:
    """Refuse polygons that cross themselves: what is inside of one is anybody's guess."""
    bad = ~geometry.is_valid.to_numpy()
    if not bad.any():
        return
    reasons = geometry[bad].is_valid_reason()
    listed = "; ".join(
        f"number {number} ({labels[bad][i]}): {reason}"
        for i, (number, reason) in enumerate(reasons.iloc[:N_LISTED].items())
    )
    raise DataFormatError(
        f"{name}: {bad.sum()} of {len(bad)} polygons cross themselves or are none: {listed}. Mend "
        "them with frame.geometry.make_valid() of geopandas, or 'Fix geometries' of QGIS, and look "
        "at what comes out."
    )


def _in_system_of(grid: Grid, geometry, crs, name: str):
    """Bring geometries to the coordinate system of a grid, and say so."""
    if crs is not None:
        from pyproj.exceptions import CRSError  # geopandas needs it

        try:
            geometry = geometry.set_crs(crs, allow_override=True)
        except CRSError as error:
            raise DataFormatError(f"{name}: {crs!r} is no coordinate system: {error}") from error
    if (geometry.crs is None) != (grid.crs is None):
        who = name if geometry.crs is None else grid.name
        raise DataFormatError(
            f"{who} does not say its coordinate system, and "
            f"{grid.name if who == name else name} does: nobody knows how they lie to each other. "
            + (
                "Name it as crs (a Shapefile has it in its .prj file)."
                if who == name
                else "Write it into that file (gdal_edit.py -a_srs)."
            )
        )
    if geometry.crs is None or geometry.crs.equals(grid.crs, ignore_axis_order=True):
        return geometry, ""
    moved = geometry.to_crs(grid.crs)
    return moved, f"{name} was brought from {geometry.crs.name} to the coordinate system of the map"


def _burn(
    polygons: list, numbers: np.ndarray, codes: np.ndarray, classes: np.ndarray, grid: Grid, name
) -> Places:
    """Find the pixels whose centres lie in polygons, polygon by polygon."""
    found = [_cells(polygon, grid) for polygon in polygons]
    sizes = np.array([len(cells) for cells in found])
    if not sizes.any():
        bounds = np.array([polygon.bounds for polygon in polygons])
        ends = (*bounds[:, :2].min(axis=0), *bounds[:, 2:].max(axis=0))
        raise DataFormatError(
            no_overlap(name, grid, ends)
            if not _overlaps(ends, grid.extent())
            else f"no polygon of {name} holds the centre of a pixel of {grid.name}."
        )
    if (sizes == 0).any():
        listed = ", ".join(map(str, numbers[sizes == 0][:N_LISTED]))
        warn(
            f"{(sizes == 0).sum()} of {len(sizes)} polygons of {name} (numbers {listed}, counted "
            f"from 1) hold the centre of no pixel of {grid.name}: they lie outside, or are smaller "
            "than a pixel, and are left out."
        )
    cells, polygon = np.concatenate(found), np.repeat(np.arange(len(sizes)), sizes)
    cells, polygon = _without_contradictions(cells, polygon, classes[codes], numbers, name)
    rows, columns = np.divmod(cells, grid.shape[1])
    return Places(rows, columns, codes[polygon], classes, polygon, name)


def _overlaps(one, other) -> bool:
    return bool(one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3])


def _cells(polygon, grid: Grid) -> np.ndarray:
    """Numbers of the pixels, row by row, whose centres lie in a polygon."""
    from rasterio import Affine
    from rasterio.features import rasterize

    x0, y0, x1, y1 = polygon.bounds
    if not np.isfinite([x0, y0, x1, y1]).all():  # it cannot be brought to the grid's system
        return np.empty(0, dtype=np.int64)
    rows, columns = grid.positions([x0, x0, x1, x1], [y0, y1, y0, y1])
    top, bottom = (int(np.clip(f(rows), 0, grid.shape[0])) for f in (_first, _last))
    left, right = (int(np.clip(f(columns), 0, grid.shape[1])) for f in (_first, _last))
    if top >= bottom or left >= right:
        return np.empty(0, dtype=np.int64)
    a, b, c, d, e, f = grid.needs_coordinates("it")
    transform = Affine(a, b, a * left + b * top + c, d, e, d * left + e * top + f)
    mask = rasterize(
        [polygon], out_shape=(bottom - top, right - left), transform=transform, dtype=np.uint8
    )
    rows, columns = np.nonzero(mask)
    return (rows + top).astype(np.int64) * grid.shape[1] + columns + left


def _first(positions: np.ndarray) -> float:
    return np.floor(positions.min())


def _last(positions: np.ndarray) -> float:
    return np.ceil(positions.max())


def _without_contradictions(cells, polygon, labels, numbers, name: str):
    """Each pixel once; those that two polygons call by two names not at all."""
    order = np.argsort(cells, kind="stable")
    cells, polygon = cells[order], polygon[order]
    first = np.flatnonzero(np.diff(cells, prepend=-1))
    which = np.repeat(np.arange(len(first)), np.diff(first, append=len(cells)))
    others = np.flatnonzero(polygon != polygon[first][which])  # most pixels lie in one only
    odd = others[labels[polygon[others]] != labels[polygon[first[which[others]]]]]
    bad = np.zeros(len(first), dtype=bool)
    bad[which[odd]] = True
    if len(odd):
        pair = [polygon[first[which[odd[0]]]], polygon[odd[0]]]
        named = " and ".join(f"{numbers[p]} ({labels[p]})" for p in pair)
        warn(
            f"{bad.sum():,} pixels lie in polygons of {name} with different names, such as number "
            f"{named}: they are left out."
        )
    return cells[first[~bad]], polygon[first[~bad]]
