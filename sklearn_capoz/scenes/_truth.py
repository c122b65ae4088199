"""What is known of single places: a raster of the map's grid, or a table of points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ..exceptions import DataFormatError
from ..formats._csv_text import READING, read_header
from ._class_map import ClassMap

__all__ = ["check_grid", "read_points"]

#: Part of a pixel that two grids may be apart: rounding of the programs that wrote them.
SAME_PLACE = 0.01


def check_grid(one: ClassMap, other: ClassMap) -> None:
    """See that two rasters have the same pixels at the same places.

    Raises
    ------
    DataFormatError
        If shape, coordinate system or transform differ. What a file does not say is not compared.
    """
    if one.shape != other.shape:
        raise DataFormatError(
            f"{other} has {_shape(other)} and {one} {_shape(one)}: bring it to the grid "
            "of the map, with the nearest neighbour (gdalwarp -r near)."
        )
    a, b = one, other
    if a.crs is not None and b.crs is not None and a.crs != b.crs:
        from rasterio.crs import CRS  # whoever told the systems has it

        if CRS.from_wkt(a.crs) != CRS.from_wkt(b.crs):
            names = [str(CRS.from_wkt(crs)) for crs in (b.crs, a.crs)]
            raise DataFormatError(
                f"{other} is in the coordinate system {names[0]:.60}, and {one} in "
                f"{names[1]:.60}: bring it to the grid of the map (gdalwarp -t_srs, -r near)."
            )
    if a.transform is not None and b.transform is not None:
        pixel = np.hypot(a.transform[0], a.transform[3])
        # A corner moves with every entry; the far one by the size of the map more.
        corners = np.array([(x, y, 1) for x in (0, one.shape[1]) for y in
                            (0, one.shape[0])])  # fmt: skip
        moved = [corners @ np.reshape(t, (2, 3)).T for t in (a.transform, b.transform)]
        if np.abs(moved[0] - moved[1]).max() > SAME_PLACE * pixel:
            raise DataFormatError(
                f"{other} begins at {b.transform[2]:g}, {b.transform[5]:g} with pixels of "
                f"{b.transform[0]:g}, and {one} at {a.transform[2]:g}, {a.transform[5]:g} "
                f"with pixels of {a.transform[0]:g}: bring it to the grid of the map (gdalwarp)."
            )


def _shape(class_map: ClassMap) -> str:
    return f"{class_map.shape[0]} x {class_map.shape[1]} pixels"


def read_points(path: Path, label: str, shape: tuple[int, int]):
    """Read a CSV table of places: columns row, column (from 0) and the label.

    Returns
    -------
    rows, columns : ndarray of shape (n_points,), int
    labels : ndarray of shape (n_points,), str

    Raises
    ------
    DataFormatError
        If a column is not there, or a place lies outside of a map of that shape.
    """
    try:
        separator, header = read_header(path, label)
        missing = [name for name in ("row", "column", label) if name not in header]
        if missing:
            raise DataFormatError(
                f"{path} has no column {missing[0]!r}; it has {', '.join(header)[:200]}. Points "
                "need row and column, counted from 0, and a label (--label names its column)."
            )
        table = pd.read_csv(path, sep=separator, dtype=str, skipinitialspace=True, **READING)
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        raise DataFormatError(f"{path} is no CSV table in UTF-8: {error}") from error
    table.columns = [str(name).strip() for name in table.columns]
    places = []
    for name, size in zip(("row", "column"), shape, strict=True):
        values = pd.to_numeric(table[name], errors="coerce").to_numpy(float)
        wrong = ~((values >= 0) & (values < size) & (values == np.floor(values)))
        if wrong.any():
            raise DataFormatError(
                f"{path}: {wrong.sum()} of {len(table)} points have a {name} that is no whole "
                f"number from 0 to {size - 1}, as the map has: the first is "
                f"{table[name][wrong.argmax()]!r}, of point {wrong.argmax() + 1}."
            )
        places.append(values.astype(int))
    labels = table[label].str.strip()
    if not len(labels) or (labels == "").any():
        raise DataFormatError(
            f"{path}: {(labels == '').sum()} of {len(labels)} points have no {label}."
        )
    return *places, labels.to_numpy(str)
