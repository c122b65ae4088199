"""Rasters of classes and tables of points: what is said of which place, and by which name."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..exceptions import DataFormatError
from ..formats._csv_text import READING, read_header
from ..formats._envi_fields import EnviFields
from ..scenes._open import open_source
from ..scenes._scratch import Scratch
from ..scenes._source import Georeference

__all__ = ["ClassRaster", "check_grid", "read_class_raster", "read_points"]

#: Code that says that nothing is known of a pixel, in maps of `map` and in ENVI classifications.
UNLABELLED = 0

#: Part of a pixel that two grids may be apart: rounding of the programs that wrote them.
SAME_PLACE = 0.01


@dataclass(frozen=True, eq=False)
class ClassRaster:
    """Codes of classes, what they mean, and where they lie.

    Parameters
    ----------
    path : Path
    codes : ndarray of shape (n_rows, n_columns), int
        0 where nothing is known.
    names : tuple of str, or None
        By code; None where the file does not say.
    georeference : Georeference
    """

    path: Path
    codes: np.ndarray
    names: tuple[str, ...] | None
    georeference: Georeference


def read_class_raster(path: Path) -> ClassRaster:
    """Read a GeoTIFF or ENVI file of class codes in one band.

    Raises
    ------
    DataFormatError
        If it has several bands or other than whole numbers from 0, or codes without a name.
    """
    source = open_source(path)
    if source.shape[2] != 1:
        raise DataFormatError(
            f"{path} has {source.shape[2]} bands; class codes stand in one. Is it a scene, or a "
            "layer of probabilities?"
        )
    source.check_size()
    with source.reading():
        block = source.read(0, source.shape[0], np.array([0]), Scratch())[..., 0]
    missing = np.ma.getmaskarray(block).copy()
    stored = np.ma.getdata(block)
    if source.nodata is not None:
        missing |= np.isnan(stored) if np.isnan(source.nodata) else stored == source.nodata
    values = np.where(missing, UNLABELLED, stored)
    if not (values == np.floor(values)).all() or values.min() < 0 or values.max() > 65535:
        raise DataFormatError(f"{path} must hold class codes, whole numbers from 0 to 65535.")
    codes = values.astype(np.uint16)
    names = _names(path, getattr(source, "header_path", None))
    if names is not None and codes.max() >= len(names):
        raise DataFormatError(
            f"{path} holds the code {codes.max()}, and names {len(names)} classes, from code 0 on."
        )
    return ClassRaster(path, codes, names, source.georeference)


def _names(path: Path, header: Path | None) -> tuple[str, ...] | None:
    """Class names, of an ENVI header or of the file that GDAL puts beside a GeoTIFF."""
    if header is not None:
        return tuple(EnviFields(header).texts("class names")) or None
    beside = path.with_name(f"{path.name}.aux.xml")
    if not beside.is_file():
        return None
    try:
        found = [c.text or "" for c in ET.parse(beside).iter("Category")]
    except ET.ParseError as error:
        raise DataFormatError(f"{beside}, which names the classes, is damaged: {error}") from error
    return tuple(found) or None


def check_grid(one: ClassRaster, other: ClassRaster) -> None:
    """See that two rasters have the same pixels at the same places.

    Raises
    ------
    DataFormatError
        If shape, coordinate system or transform differ. What a file does not say is not compared.
    """
    if one.codes.shape != other.codes.shape:
        raise DataFormatError(
            f"{other.path} has {_shape(other)} and {one.path} {_shape(one)}: bring it to the grid "
            "of the map, with the nearest neighbour (gdalwarp -r near)."
        )
    a, b = one.georeference, other.georeference
    if a.crs is not None and b.crs is not None and a.crs != b.crs:
        from rasterio.crs import CRS  # whoever told the systems has it

        if CRS.from_wkt(a.crs) != CRS.from_wkt(b.crs):
            names = [str(CRS.from_wkt(crs)) for crs in (b.crs, a.crs)]
            raise DataFormatError(
                f"{other.path} is in the coordinate system {names[0]:.60}, and {one.path} in "
                f"{names[1]:.60}: bring it to the grid of the map (gdalwarp -t_srs, -r near)."
            )
    if a.transform is not None and b.transform is not None:
        pixel = np.hypot(a.transform[0], a.transform[3])
        # A corner moves with every entry; the far one by the size of the map more.
        corners = np.array([(x, y, 1) for x in (0, one.codes.shape[1]) for y in
                            (0, one.codes.shape[0])])  # fmt: skip
        moved = [corners @ np.reshape(t, (2, 3)).T for t in (a.transform, b.transform)]
        if np.abs(moved[0] - moved[1]).max() > SAME_PLACE * pixel:
            raise DataFormatError(
                f"{other.path} begins at {b.transform[2]:g}, {b.transform[5]:g} with pixels of "
                f"{b.transform[0]:g}, and {one.path} at {a.transform[2]:g}, {a.transform[5]:g} "
                f"with pixels of {a.transform[0]:g}: bring it to the grid of the map (gdalwarp)."
            )


def _shape(raster: ClassRaster) -> str:
    return f"{raster.codes.shape[0]} x {raster.codes.shape[1]} pixels"


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
