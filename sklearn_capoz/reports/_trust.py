"""The trust layers beside a map: how far each pixel's name is to be believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..exceptions import DataFormatError
from ..formats._envi_fields import EnviFields
from ..scenes._class_map import ClassMap
from ..scenes._envi import EnviSource
from ..scenes._grid import Grid
from ..scenes._open import open_source
from ..scenes._output import layer_path
from ..scenes._raster import RasterSource, opened, quiet
from ..scenes._scratch import Scratch
from ..scenes._source import Source
from ._packing import packed, text_of
from ._thinning import Thinning

__all__ = ["describe_trust", "open_trust"]

#: What the layers are where no file says it.
NAMES = ("probability", "margin", "agreement", "likeness")

#: Bars of a histogram, and the code of a pixel without a value.
N_BARS, MISSING = 25, 255

#: Bytes of the layers in a page, and how finely values are told: as finely as there is room for.
ROOM, LEVELS = 900_000, (251, 126, 51, 26, 11)

#: Values read at a time.
BLOCK_VALUES = 4_000_000


def open_trust(given, mapped: ClassMap) -> Source | None:
    """Open the trust layers of a map: those of a SceneMap, or in a file beside the map, if any.

    Raises
    ------
    DataFormatError
        If they are of another grid than the map.
    """
    in_memory = getattr(given, "trust", None)
    if in_memory is not None:
        return open_source(in_memory)
    if mapped.path is None:
        return None
    path = layer_path(Path(mapped.path), "trust")
    if not path.is_file():
        return None
    source = open_source(path)
    grid = Grid(mapped.shape, mapped.crs, mapped.transform, str(mapped))
    grid.check_same(Grid.of(source.shape, source.georeference, str(path)))
    if source.dtype.kind != "f":
        raise DataFormatError(f"{path} must hold trust values, numbers with a point.")
    return source


def describe_trust(
    source: Source, mapped: ClassMap, n_codes: int, thinning: Thinning
) -> dict[str, Any]:
    """Histograms of every class, and the values of the pixels that a page stores."""
    rows, columns = thinning.places()
    values = _values(source, rows, columns)
    codes = mapped.codes[np.ix_(rows, columns)]
    values[:, codes == 0] = np.nan
    layers = []
    for name, layer in zip(_names(source), values, strict=True):
        known = np.isfinite(layer)
        low, high = _range(layer[known])
        bars = np.zeros((n_codes, N_BARS), dtype=int)
        place = ((layer[known] - low) / (high - low) * N_BARS).astype(int).clip(0, N_BARS - 1)
        np.add.at(bars, (codes[known], place), 1)
        layers.append({"name": name, "low": low, "high": high, "bars": bars.tolist()})
    n_levels, data = _rounded(values, layers)
    named = tuple(layer["name"] for layer in layers) == NAMES
    return {"layers": layers, "named": named, "levels": n_levels, "values": text_of(data)}


def _values(source: Source, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Read the stored pixels' values, (n_layers, n_rows, n_columns)."""
    n_rows, n_columns, n_layers = source.shape
    values = np.empty((n_layers, len(rows), len(columns)), dtype=np.float32)
    bands, scratch = np.arange(n_layers), Scratch()
    height = max(1, BLOCK_VALUES // (n_columns * n_layers))
    with source.reading():
        for start in range(0, n_rows, height):
            stop = min(start + height, n_rows)
            inside = np.flatnonzero((rows >= start) & (rows < stop))
            block = np.ma.filled(source.read(start, stop, bands, scratch), np.nan)
            values[:, inside] = block[np.ix_(rows[inside] - start, columns)].transpose(2, 0, 1)
    return values


def _names(source: Source) -> list[str]:
    """Names of the layers, as the file says them."""
    names: list[str] = []
    if isinstance(source, EnviSource):
        names = EnviFields(source.header_path).texts("band names")
    elif isinstance(source, RasterSource):
        with quiet(), opened(source.path) as dataset:
            names = [dataset.descriptions[n - 1] or "" for n in source.numbers.tolist()]
    if len(names) == source.shape[2] and all(names):
        return names
    n_layers = source.shape[2]
    return [*NAMES] if n_layers == len(NAMES) else [f"layer {i + 1}" for i in range(n_layers)]


def _range(values: np.ndarray) -> tuple[float, float]:
    """0 to 1 for what lies there, as probabilities do; else from the smallest to the largest."""
    if not values.size or (values.min() >= 0 and values.max() <= 1):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return low, high if high > low else low + 1


def _rounded(values: np.ndarray, layers: list[dict[str, Any]]) -> tuple[int, bytes]:
    """Values as one byte each, in as many levels as there is room for."""
    numbers = np.empty(values.shape, dtype=np.uint8)
    for n_levels in LEVELS:
        for found, of_layer, layer in zip(numbers, values, layers, strict=True):
            share = (of_layer - layer["low"]) / (layer["high"] - layer["low"])
            found[:] = np.where(np.isfinite(share), np.rint(share * (n_levels - 1)), MISSING)
        data = packed(numbers)
        if len(data) <= ROOM:
            break
    return n_levels, data
