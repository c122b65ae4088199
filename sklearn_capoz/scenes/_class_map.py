"""One reader of class maps: codes, what they mean, which colours they have, where they lie."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._colors import REJECTED_NAMES
from ..exceptions import DataFormatError
from ..formats._envi_fields import EnviFields
from ._envi import EnviSource
from ._open import open_source
from ._pixels import NO_DATA
from ._predict import SceneMap
from ._raster import RasterSource, opened, quiet
from ._scratch import Scratch
from ._source import Source

__all__ = ["ClassMap", "read_class_map"]

#: Names that programs give to the code of pixels of which nothing is said.
NO_DATA_NAMES = ("", "no data", "nodata", "none", "unclassified", "unlabelled", "unlabeled",
                 "background", "masked pixels")  # fmt: skip

#: Values read at a time: a map may be far larger than what is kept of it.
BLOCK_PIXELS = 4_000_000

#: What GDAL calls the columns of an attribute table: name, value, red, green, blue.
NAME, VALUE, COLORS = "2", "5", ("6", "7", "8")

Color = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class ClassMap:
    """A class at each pixel, by code.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8 or uint16
        0 where the map says nothing.
    class_names : tuple of str, or None
        Name of every code, from 0 on; None where the file does not say.
    class_colors : tuple of (red, green, blue), or None
        From 0 to 255, of every code; None where the file does not say.
    rejected : tuple of int
        Codes of pixels that have data and no class: the model refused to name them.
    crs : str or None
        Coordinate system as WKT.
    transform : tuple of 6 float or None
        Affine: x = t0 * column + t1 * row + t2, y = t3 * column + t4 * row + t5; a pixel's upper
        left corner is at its own row and column.
    path : Path or None
        Where it was read.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_capoz.scenes import ClassMap
    >>> codes = np.array([[0, 1], [2, 1]], dtype="uint8")
    >>> ClassMap(codes, ("no data", "Alunite", "Calcite")).areas
    {'Alunite': 2, 'Calcite': 1}
    """

    codes: np.ndarray
    class_names: tuple[str, ...] | None = None
    class_colors: tuple[Color, ...] | None = None
    rejected: tuple[int, ...] = ()
    crs: str | None = None
    transform: tuple[float, ...] | None = None
    path: Path | None = None

    def __str__(self) -> str:
        """Name the map in messages."""
        return "the map" if self.path is None else str(self.path)

    def __repr__(self) -> str:
        """Say in one glance what it is: the codes themselves would fill the screen."""
        names = "no names" if self.class_names is None else f"{len(self.class_names) - 1} classes"
        return f"ClassMap({self.codes.shape[0]} x {self.codes.shape[1]} pixels, {names}, {self})"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.codes.shape

    @property
    def areas(self) -> dict[str, int]:
        """Pixels of each class that occurs, by name; "rejected" among them, not "no data".

        Codes of one name count together.
        """
        counts = np.zeros(len(self.named()), dtype=np.int64)
        step = max(1, BLOCK_PIXELS // self.shape[1])
        for start in range(0, self.shape[0], step):  # numpy counts in numbers of 8 bytes
            counts += np.bincount(self.codes[start : start + step].ravel(), minlength=len(counts))
        areas: dict[str, int] = {}
        for code, (name, n) in enumerate(zip(self.named(), counts.tolist(), strict=True)):
            if n and code != NO_DATA:
                areas[name] = areas.get(name, 0) + n
        return areas

    def named(self) -> tuple[str, ...]:
        """Name of every code.

        Raises
        ------
        DataFormatError
            If the map does not say.
        """
        if self.class_names is None:
            beside = "" if self.path is None else (
                f" Of a GeoTIFF, {self.path.name}.aux.xml beside it does, which `map` writes."
            )  # fmt: skip
            raise DataFormatError(f"{self} does not say what its codes mean.{beside}")
        return self.class_names


def read_class_map(source) -> ClassMap:
    """Read a class map of this package or of another program.

    Parameters
    ----------
    source : path, SceneMap or ClassMap
        A GeoTIFF, an ENVI header or data file with class codes in one band, or what
        `predict_scene` gives, whether its map is in memory or in a file. A ClassMap is returned.

    Returns
    -------
    class_map : ClassMap
        Pixels that the file masks, or that hold its no-data value, have code 0. Code 0 says
        nothing of a pixel, as in maps of this package and in ENVI classifications; where another
        value is declared to say so, and code 0 has a name of its own, all codes move up by one.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataFormatError
        If it has several bands or other than whole numbers from 0 to 65535, or codes without a
        name.

    Examples
    --------
    >>> from sklearn_capoz.scenes import read_class_map
    >>> found = read_class_map("map.tif")  # doctest: +SKIP
    >>> found.class_names[found.codes[17, 4]]  # doctest: +SKIP
    'Alunite'
    """
    if isinstance(source, ClassMap):
        return source
    if isinstance(source, SceneMap):
        return _of_scene_map(source)
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            "a class map must be a path, a SceneMap or a ClassMap, got "
            f"{type(source).__module__}.{type(source).__name__}."
        )
    return _of_file(Path(source))


def _of_scene_map(found: SceneMap) -> ClassMap:
    if found.codes is None:
        return _of_file(found.files[0])
    names = found.class_names
    place = (found.crs if found.transform is not None else None, found.transform)
    return ClassMap(found.codes, names, found.class_colors, _rejected(names), *place)


def _of_file(path: Path) -> ClassMap:
    source = open_source(path)
    if source.shape[2] != 1:
        raise DataFormatError(
            f"{path} has {source.shape[2]} bands; class codes stand in one. Is it a scene, or a "
            "layer of probabilities?"
        )
    source.check_size()
    names, colors = _legend(source, path)
    declared = source.nodata is not None and source.nodata != NO_DATA
    shift = int(declared and names is not None and names[0].casefold() not in NO_DATA_NAMES)
    codes = _codes(source, path, shift)
    if names is not None:
        names = ("no data",) * shift + names
        if codes.max() >= len(names):
            raise DataFormatError(
                f"{path} holds the code {codes.max() - shift}, and names {len(names) - shift} "
                "classes, from code 0 on."
            )
    if colors is not None:
        colors = ((0, 0, 0),) * shift + colors
        if names is not None:
            # A colour table of a byte has 256 entries, whatever the number of classes; one that
            # is shorter does not say all.
            colors = colors[: len(names)] if len(colors) >= len(names) else None
    place = source.georeference
    # Coordinates of control points are no grid that a place is looked up in.
    crs = place.crs if place.transform is not None else None
    return ClassMap(codes, names, colors, _rejected(names), crs, place.transform, path)


def _codes(source: Source, path: Path, shift: int) -> np.ndarray:
    """Read the codes in blocks; what is missing gets code 0."""
    n_rows, n_columns, _ = source.shape
    most = 255 if source.dtype.itemsize == 1 and not shift else 65535
    codes = np.empty((n_rows, n_columns), dtype=np.uint8 if most == 255 else np.uint16)
    step = max(1, BLOCK_PIXELS // n_columns)
    scratch, band = Scratch(), np.array([0])
    with source.reading():
        for start in range(0, n_rows, step):
            stop = min(start + step, n_rows)
            block = source.read(start, stop, band, scratch)[..., 0]
            missing = np.ma.getmaskarray(block).copy()
            stored = np.ma.getdata(block)
            if source.nodata is not None:
                missing |= np.isnan(stored) if np.isnan(source.nodata) else stored == source.nodata
            values = np.where(missing, NO_DATA, stored)
            # A number that is none fails every comparison.
            right = (values >= 0) & (values <= most - shift)
            right &= values == np.floor(values) if values.dtype.kind == "f" else True
            if not right.all():
                raise DataFormatError(
                    f"{path} must hold class codes, whole numbers from 0 to 65535."
                )
            codes[start:stop] = np.where(missing, NO_DATA, values.astype(codes.dtype) + shift)
    return codes


def _rejected(names: tuple[str, ...] | None) -> tuple[int, ...]:
    found = enumerate(names or ())
    return tuple(code for code, name in found if name.casefold() in REJECTED_NAMES)


def _legend(source: Source, path: Path) -> tuple[tuple[str, ...] | None, tuple[Color, ...] | None]:
    """Names and colours by code, each None where nothing says them."""
    if isinstance(source, EnviSource):
        fields = EnviFields(source.header_path)
        return tuple(fields.texts("class names")) or None, _lookup(fields)
    names, colors = _auxiliary(path.with_name(f"{path.name}.aux.xml"))
    if colors is None and isinstance(source, RasterSource):
        with quiet(), opened(source.path) as dataset:
            try:
                table = dataset.colormap(int(source.numbers[0]))
            except ValueError:  # it has none
                return names, None
        colors = tuple(table.get(code, (0, 0, 0))[:3] for code in range(max(table) + 1))
    return names, colors


def _lookup(fields: EnviFields) -> tuple[Color, ...] | None:
    """Read the colours of an ENVI classification: red, green, blue of one class after another."""
    texts = fields.texts("class lookup")
    if not texts:
        return None
    if len(texts) % 3 or not all(t.isascii() and t.isdecimal() and int(t) < 256 for t in texts):
        raise DataFormatError(
            f"{fields.path}: 'class lookup' must hold three whole numbers from 0 to 255 for each "
            "class."
        )
    values = [int(t) for t in texts]
    return tuple(zip(values[::3], values[1::3], values[2::3], strict=True))


def _auxiliary(path: Path) -> tuple[tuple[str, ...] | None, tuple[Color, ...] | None]:
    """Read what GDAL puts beside a file: category names, or a table with names and colours."""
    if not path.is_file():
        return None, None
    try:
        root = ET.parse(path).getroot()
        rows = _attribute_table(root)
    except (ET.ParseError, ValueError, IndexError, OverflowError) as error:
        raise DataFormatError(f"{path}, which names the classes, is damaged: {error}") from error
    names = tuple(c.text or "" for c in root.iter("Category"))
    last = max(rows, default=-1)
    if not names and any(name is not None for name, _ in rows.values()):
        names = tuple(rows.get(code, ("", None))[0] or "" for code in range(last + 1))
    colored = bool(rows) and all(color is not None for _, color in rows.values())
    black = (0, 0, 0)
    colors = tuple(rows.get(code, (None, black))[1] or black for code in range(last + 1))
    return names or None, colors if colored else None


def _attribute_table(root: ET.Element) -> dict[int, tuple[str | None, Color | None]]:
    """Name and colour of each code, of GDAL's attribute table of the first band."""
    table = root.find(".//GDALRasterAttributeTable")
    if table is None:
        return {}
    usages = [column.findtext("Usage", "").strip() for column in table.iter("FieldDefn")]
    if VALUE not in usages:
        return {}
    value = usages.index(VALUE)
    name = usages.index(NAME) if NAME in usages else None
    shades = [usages.index(color) for color in COLORS if color in usages]
    found = {}
    for row in table.iter("Row"):
        fields = [field.text or "" for field in row.iter("F")]
        code = int(float(fields[value]))
        if not 0 <= code <= 65535:
            continue  # no code of a map
        color = None
        if len(shades) == 3:
            red, green, blue = (int(float(fields[i])) for i in shades)
            color = (red, green, blue)
        found[code] = (None if name is None else fields[name], color)
    return found
