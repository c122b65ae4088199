"""What is known of single places: read from a raster, polygons or points, by the names of a map."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ..exceptions import DataFormatError
from ..formats._atomic import check_regular_file
from ._class_map import ClassMap, read_class_map
from ._grid import Grid
from ._pixels import NO_DATA
from ._places import KnownRaster, Truth
from ._predict import SceneMap
from ._truth_points import is_table, places_of_points, read_table
from ._truth_polygons import is_vector, places_of_polygons, read_polygons
from ._writers import plain

__all__ = ["read_names", "read_truth", "renamed"]


def read_truth(
    truth, grid: Grid, *, label: str, crs=None, code_names: tuple[str, ...] | None = None
) -> Truth:
    """Find the pixels whose class is known.

    Parameters
    ----------
    truth : path, GeoDataFrame, DataFrame, ClassMap or SceneMap
        Polygons or points of a vector file, a table of points, or a raster of classes in the same
        grid.
    grid : Grid
        Whose pixels are meant.
    label : str
        Column with the class.
    crs : str or None
        Coordinate system of the truth; None takes what it says.
    code_names : tuple of str or None
        Names of the codes of a raster that does not name them; None takes the codes themselves.

    Raises
    ------
    DataFormatError
        If it is none of these, or lies elsewhere.
    """
    if isinstance(truth, pd.DataFrame):
        if type(truth).__module__.startswith("geopandas"):
            return places_of_polygons(truth, grid, label, crs, "the truth")
        return places_of_points(truth, grid, label, crs, "the truth")
    if isinstance(truth, (ClassMap, SceneMap)):
        return _known_raster(read_class_map(truth), grid, code_names)
    if not isinstance(truth, (str, os.PathLike)):
        raise TypeError(
            "truth must be a path, a GeoDataFrame of polygons or points, a DataFrame of points, a "
            f"ClassMap or a SceneMap; got {type(truth).__module__}.{type(truth).__name__}."
        )
    path = Path(truth)
    if not path.exists():
        raise FileNotFoundError(f"no file {path}.")
    check_regular_file(path)
    if is_vector(path):
        return places_of_polygons(read_polygons(path, label), grid, label, crs, str(path))
    if is_table(path):
        return places_of_points(read_table(path, label), grid, label, crs, str(path))
    return _known_raster(read_class_map(path), grid, code_names)


def _known_raster(found: ClassMap, grid: Grid, code_names: tuple[str, ...] | None) -> KnownRaster:
    name = "the truth" if found.path is None else str(found.path)
    grid.check_same(Grid(found.shape, found.crs, found.transform, name))
    names, notes, highest = found.class_names, [], int(found.codes.max())
    if names is None and code_names is not None:
        if highest >= len(code_names):
            raise DataFormatError(
                f"{name} has no class names, and holds the code {highest}, which the map has not: "
                f"its codes are {dict(enumerate(code_names))}."
            )
        notes.append(f"{name} has no class names: its codes are taken for those of the map")
        names = code_names
    elif names is None:
        names = tuple(map(str, range(highest + 1)))
    # Two codes may have one name.
    classes, index = np.unique(np.array(names), return_inverse=True)
    # What a model refused to name is nothing that is known.
    index[[NO_DATA, *found.rejected]] = -1
    truth = KnownRaster(found.codes, index, classes, name, tuple(notes))
    if not truth.occurring:
        raise DataFormatError(f"{name} says of no pixel what it is: all codes are 0.")
    return truth


def read_names(names) -> dict[str, str]:
    """Read which name stands for which other.

    Parameters
    ----------
    names : mapping of str -> str, path or None
        A path is that of a CSV table with the columns old and new.

    Raises
    ------
    DataFormatError
        If the table has no such columns, or says two things of one name.
    """
    if names is None:
        return {}
    if isinstance(names, Mapping):
        return {str(old): "" if new is None else str(new) for old, new in names.items()}
    path = Path(names)
    check_regular_file(path)
    with open(path, encoding="utf-8-sig", newline="") as file:
        try:
            rows = [[field.strip() for field in row] for row in csv.reader(file) if any(row)]
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataFormatError(f"{path} is no CSV table in UTF-8: {error}") from error
    if not rows or [name.casefold() for name in rows[0][:2]] != ["old", "new"]:
        raise DataFormatError(
            f"{path} must begin with the line old,new, and go on with a pair of names in each; it "
            f"begins with {','.join(rows[0])[:60]!r}."
            if rows
            else f"{path} is empty: it needs the line old,new, and a pair of names in each below."
        )
    pairs: dict[str, str] = {}
    for number, row in enumerate(rows[1:], start=2):
        old, new = (*row, "")[:2]
        if not old or pairs.get(old, new) != new:
            raise DataFormatError(f"{path}: line {number} names nothing, or {old!r} once more.")
        pairs[old] = new
    return pairs


def renamed(truth: Truth, names, known: tuple[str, ...] | None) -> Truth:
    """Bring names to those of the map; an empty name leaves the places out.

    Parameters
    ----------
    truth : Places or KnownRaster
    names : mapping, path or None
        As `read_names` takes it.
    known : tuple of str or None
        Classes of the map; None for any.

    Raises
    ------
    ValueError
        If none of the names to be replaced is there, or one comes out that the map has not.
    """
    pairs, there = read_names(names), set(truth.occurring)
    absent = sorted(set(pairs) - there)
    # A table may serve several truths; if no name of it is there, it is not meant for this one.
    if absent and len(absent) == len(pairs):
        raise ValueError(
            f"{truth.name} has no class {absent[0]!r} that could be translated (names); it has "
            f"{', '.join(sorted(there))[:200]}."
        )
    if known is not None:
        pairs = _as_spelled(known, there, pairs)
        listed = ", ".join(known)[:200]
        odd = [f"{a}={b}" for a, b in pairs.items() if b and b != a and b not in known]
        if odd:
            raise ValueError(f"{odd[0]!r} gives no class of the map; it has {listed}.")
        if strange := sorted(there - set(known) - set(pairs)):
            one = strange[0]
            raise ValueError(
                f"{truth.name} has {', '.join(strange)[:200]}, which the map has not; its classes "
                f"are {listed}. Translate it: give names '{one}=NAME' with one of these, '{one}=' "
                f"to leave its places out, or '{one}={one}' where the map should have had it."
            )
    called = np.array([pairs.get(name, name) for name in truth.classes.tolist()], dtype=str)
    return truth.called(called)


def _as_spelled(known: tuple[str, ...], there: set[str], pairs: dict[str, str]) -> dict[str, str]:
    """Add pairs for names that are the map's but for letters that an ENVI header cannot hold."""
    spelled: dict[str, list[str]] = {}
    for name in known:
        spelled.setdefault(plain(name), []).append(name)

    def of_map(name: str) -> str:
        alike = [] if name in known else spelled.get(plain(name), [])
        return alike[0] if len(alike) == 1 else name

    pairs = {old: new if new == old else of_map(new) for old, new in pairs.items()}
    found = {name: of_map(name) for name in there}
    return {name: other for name, other in found.items() if other != name} | pairs
