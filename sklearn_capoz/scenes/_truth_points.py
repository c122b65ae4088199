"""Tables of points: by row and column, or by coordinates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ..exceptions import DataFormatError
from ..formats._csv_text import READING, read_header
from ._grid import Grid
from ._places import Places

__all__ = ["at_coordinates", "is_table", "no_overlap", "places_of_points", "read_table", "texts_of"]

#: Columns that say where a point lies: the first pair that a table has.
PLACES = (("row", "column"), ("lon", "lat"), ("longitude", "latitude"), ("x", "y"),
          ("easting", "northing"))  # fmt: skip

#: What lon and lat are in, unless the caller says otherwise.
DEGREES = "EPSG:4326"


def is_table(path: Path) -> bool:
    """Whether a name says that the file is a table."""
    return path.suffix.lower() in (".csv", ".txt", ".tsv")


def read_table(path: Path, label: str) -> pd.DataFrame:
    """Read a CSV table as text.

    Raises
    ------
    DataFormatError
        If it is none.
    """
    try:
        separator, _ = read_header(path, label)
        table = pd.read_csv(path, sep=separator, dtype=str, skipinitialspace=True, **READING)
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        raise DataFormatError(f"{path} is no CSV table in UTF-8: {error}") from error
    table.columns = [str(name).strip() for name in table.columns]
    return table


def places_of_points(table: pd.DataFrame, grid: Grid, label: str, crs, name: str) -> Places:
    """Find the pixels of a table of points.

    Raises
    ------
    DataFormatError
        If a column is not there, a place is no place of the grid, or a point has no label.
    """
    columns = {str(c).strip().casefold(): c for c in table.columns}
    pair = next((pair for pair in PLACES if all(part in columns for part in pair)), None)
    if pair is None or label not in table.columns:
        missing = repr(label) if pair is not None else "'row' and 'column'"
        raise DataFormatError(
            f"{name} has no column {missing}; it has {', '.join(map(str, table.columns))[:200]}. "
            "Points need row and column, counted from 0, or x and y in the coordinate system of "
            "the map, or lon and lat in degrees; and a column with the class: give its name as "
            "label."
        )
    labels = texts_of(table[label])
    if not len(labels):
        raise DataFormatError(f"{name} has no row below its header, so no point.")
    if (labels == "").any():
        raise DataFormatError(
            f"{name}: {(labels == '').sum()} of {len(labels)} points have no {label}."
        )
    classes, codes = np.unique(labels, return_inverse=True)
    one, two = (_numbers(table[columns[part]], part, name) for part in pair)
    if pair == ("row", "column"):
        for part, values, size in (("row", one, grid.shape[0]), ("column", two, grid.shape[1])):
            _check_whole(values, size, table[columns[part]], f"{name}: ", part)
        return Places(one.astype(np.intp), two.astype(np.intp), codes, classes, None, name)
    if crs is None and pair[0].startswith("lon"):
        crs = DEGREES
    return at_coordinates(one, two, codes, classes, grid, crs, name)


def texts_of(column: pd.Series) -> np.ndarray:
    """Names of classes, "" where there is none; numbers without a fraction as they are written."""

    def text(value) -> str:
        if pd.isna(value):
            return ""
        whole = isinstance(value, float) and value.is_integer()
        return str(int(value)) if whole else str(value).strip()

    return np.array([text(value) for value in column.tolist()], dtype=str)


def at_coordinates(x, y, codes, classes: np.ndarray, grid: Grid, crs, name: str) -> Places:
    """Find the pixels at coordinates of a system; None is that of the grid.

    Raises
    ------
    DataFormatError
        If none of them lies on the grid.
    """
    grid.needs_coordinates(name)
    notes = []
    if crs is not None:
        x, y = _projected(x, y, crs, grid, name)
    rows, columns, inside = grid.cells(x, y)
    if not inside.any():
        raise DataFormatError(no_overlap(name, grid, (x.min(), y.min(), x.max(), y.max())))
    if not inside.all():
        notes.append(f"left out: {(~inside).sum():,} points that lie outside of {grid.name}")
    places = Places(rows, columns, codes, classes, None, name, tuple(notes))
    return places.where(inside)


def no_overlap(name: str, grid: Grid, found) -> str:
    """Say that two things lie in different places, in coordinates of the grid."""
    spans = [
        "x {0:.8g} to {2:.8g}, y {1:.8g} to {3:.8g}".format(*e) for e in (found, grid.extent())
    ]
    return (
        f"{name} does not overlap {grid.name}: in the coordinates of the latter it spans "
        f"{spans[0]}, and the latter {spans[1]}. Is it of another area, or in another coordinate "
        "system than it says? A GeoJSON file that names none is in degrees."
    )


def _projected(x, y, crs, grid: Grid, name: str):
    """Bring coordinates to the system of the grid."""
    if grid.crs is None:
        raise DataFormatError(
            f"{name} is in the coordinate system {crs}, and {grid.name} does not say its own: "
            "write it into that file (gdal_edit.py -a_srs), or give points as row and column."
        )
    from rasterio.crs import CRS  # whoever told the grid's system has it
    from rasterio.errors import CRSError
    from rasterio.warp import transform

    try:
        found = transform(CRS.from_user_input(crs), CRS.from_wkt(grid.crs), x, y)
    except CRSError as error:
        raise DataFormatError(f"{name}: {crs!r} is no coordinate system: {error}") from error
    return tuple(np.array(values) for values in found[:2])


def _numbers(column: pd.Series, part: str, name: str) -> np.ndarray:
    values = pd.to_numeric(column, errors="coerce").to_numpy(float)
    if part not in ("row", "column") and not np.isfinite(values).all():
        wrong = ~np.isfinite(values)
        raise DataFormatError(
            f"{name}: {wrong.sum()} of {len(values)} points have a {part} that is no number: the "
            f"first is {column.iloc[wrong.argmax()]!r}, of point {wrong.argmax() + 1}."
        )
    return values


def _check_whole(values: np.ndarray, size: int, column: pd.Series, name: str, part: str) -> None:
    wrong = ~((values >= 0) & (values < size) & (values == np.floor(values)))
    if wrong.any():
        raise DataFormatError(
            f"{name}{wrong.sum()} of {len(values)} points have a {part} that is no whole number "
            f"from 0 to {size - 1}, as the map has: the first is "
            f"{column.iloc[wrong.argmax()]!r}, of point {wrong.argmax() + 1}."
        )
