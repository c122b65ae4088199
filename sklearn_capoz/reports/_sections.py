"""The parts of a report, as plain numbers and text: classes, library, pruning, assessment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .._colors import mineral_colors, told_colors
from ..exceptions import UnsupportedNetworkError
from ..export._parts import parts_of
from ..scenes._assessment import Assessment
from ..scenes._class_map import ClassMap
from ..scenes._grid import Grid
from ._library import Library
from ._scene_spectra import ClassSpectra

__all__ = ["assessment_of", "classes_of", "colors_of", "numbers", "place_of", "pruning_of"]

#: What the band of a class's spectra shows.
PERCENTILES = (5, 95)

#: What the page tells of each iteration, where the history has it.
HISTORY = ("iteration", "n_units", "n_parameters", "n_bytes", "accuracy_before", "accuracy_after")


def colors_of(mapped: ClassMap, colors) -> list[str]:
    """Colour of every code as "#rrggbb": the caller's, else the map's own, else the name's.

    Raises
    ------
    ValueError
        If a colour of the caller's is none.
    """
    names = mapped.named()
    # The map's own colour of "no data" is a background that the page does not have.
    own = told_colors(names[1:], (mapped.class_colors or ())[1:])
    rgb = mineral_colors(["no data", *names[1:]], {**own, **(colors or {})})
    return ["#{:02x}{:02x}{:02x}".format(*color) for color in rgb.tolist()]


def classes_of(
    mapped: ClassMap, found: ClassSpectra, library: Library, colors: list[str]
) -> list[dict[str, Any]]:
    """Say of every code its name, colour, area, and how its spectra lie beside the library's."""
    names = mapped.named()
    pixels = np.bincount(mapped.codes.ravel(), minlength=len(names)).tolist()
    hectares = Grid(mapped.shape, mapped.crs, mapped.transform).hectares()
    n_classified = sum(pixels[1:])
    classes = []
    for code, name in enumerate(names):
        spread = found.percentiles(code, PERCENTILES)
        classes.append({
            "name": name or f"code {code}",
            "color": colors[code],
            "rejected": code in mapped.rejected,
            "pixels": pixels[code],
            "share": pixels[code] / n_classified if code else None,
            "area": None if hectares is None else pixels[code] * hectares,
            "n_spectra": int(found.counts[code]),
            "mean": numbers(found.means[code]),
            "low": None if spread is None else numbers(spread[0]),
            "high": None if spread is None else numbers(spread[1]),
            "library": [
                {"name": record, "values": numbers(values)}
                for record, values in library.records.get(name, [])
            ],
        })  # fmt: skip
    return classes


def place_of(mapped: ClassMap) -> dict[str, Any] | None:
    """Where pixels lie, for the line below the map and its scale bar."""
    if mapped.transform is None:
        return None
    hectares = Grid(mapped.shape, mapped.crs, mapped.transform).hectares()
    name = ""
    if mapped.crs is not None:
        from rasterio.crs import CRS  # whoever told the system has it

        crs = CRS.from_wkt(mapped.crs)
        code = crs.to_epsg()
        name = f"EPSG:{code}" if code else "the coordinate system of the map"
    metres = None if hectares is None else float(np.sqrt(hectares * 10_000))
    return {"transform": list(mapped.transform), "crs": name, "metres": metres}


def pruning_of(model) -> dict[str, Any] | None:
    """Size and accuracy of every iteration, if the model holds the record of its pruning."""
    try:
        parts = parts_of(model)
    except UnsupportedNetworkError:
        return None
    history = parts.history
    if history is None or not {"iteration", "n_units", "accuracy_after"} <= set(history):
        return None
    units = sum(parts.network.widths)
    kept = np.flatnonzero(history["n_units"].to_numpy() == units)
    columns = [name for name in HISTORY if name in history]
    return {
        "columns": columns,
        "rows": [[_number(row[name], name) for name in columns] for _, row in history.iterrows()],
        "kept": int(kept[-1]) if len(kept) else None,
        "units": units,
    }


def _number(value, column: str) -> float | int | None:
    if pd.isna(value):
        return None
    return float(value) if column.startswith("accuracy") else int(value)


def assessment_of(found: Assessment) -> dict[str, Any]:
    """Tables of an assessment, as rows of text."""
    classes = [str(name) for name in found.classes.index]
    # What is rejected is mapped, and no truth.
    in_truth = (found.counts.to_numpy().sum(axis=0) > 0).tolist()

    known = dict(zip(found.classes.index, in_truth, strict=True))

    def interval(name: str, column: str, scale: float, digits: int) -> tuple[str, str]:
        value, margin = (
            scale * float(found.classes[c][name]) for c in (column, f"{column}_margin")
        )
        if np.isnan(value) or not known[name]:
            return "-", ""
        return f"{value:,.{digits}f}", "" if np.isnan(margin) else f"{margin:,.{digits}f}"

    largest = float(found.classes["area"].max())
    digits = 0 if largest >= 1000 else 1 if largest >= 10 else 3
    rows = [
        {
            "name": str(name),
            "user": interval(name, "user", 100, 1),
            "producer": interval(name, "producer", 100, 1),
            "mapped": f"{found.classes['mapped_area'][name]:,.{digits}f}",
            "area": interval(name, "area", 1, digits),
        }
        for name in found.classes.index
    ]
    # A class with a single labelled place has no spread, and so the whole has none.
    known_margin = not np.isnan(found.overall_margin)
    margin = f" ± {100 * found.overall_margin:.1f}" if known_margin else ""
    return {
        "overall": f"{100 * found.overall:.1f}{margin}",
        "kappa": f"{found.kappa:.3f}",
        "confidence": f"{100 * found.confidence:g}",
        "unit": found.area_unit,
        "n_places": int(found.counts.to_numpy().sum()),
        "truths": [name for name, there in zip(classes, in_truth, strict=True) if there],
        "rows": rows,
        "counts": [
            {
                "name": name,
                "row": [
                    (int(n), name == truth)
                    for truth, n, there in zip(classes, row, in_truth, strict=True)
                    if there
                ],
            }
            for name, row in zip(classes, found.counts.to_numpy(), strict=True)
        ],
        "notes": list(found.notes),
    }


def numbers(values: np.ndarray) -> list[float | None]:
    """Reflectance for JSON: four digits behind the point, and null for what is none."""
    return [None if not np.isfinite(v) else round(float(v), 4) for v in values]
