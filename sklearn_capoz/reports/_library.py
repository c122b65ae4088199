"""Library records to lay beside the spectra of a class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..datasets import load_usgs_minerals

__all__ = ["Library", "library_of"]

#: Records beside one class; more of them would hide each other.
N_RECORDS = 4

#: Bands that a record must reach to be of use.
LEAST_BANDS = 3


@dataclass(frozen=True)
class Library:
    """Records by the name of their class.

    Parameters
    ----------
    origin : str
        Where they come from, as the page says it.
    records : dict of class -> list of (name, ndarray of shape (n_bands,))
        In the bands of the scene, NaN beyond the record's own.
    """

    origin: str
    records: dict[str, list[tuple[str, np.ndarray]]]


def library_of(model, names: Iterable[str], wavelengths: np.ndarray | None) -> Library:
    """Take the records that a model keeps; else those of the embedded table with the same names."""
    if wavelengths is None:
        return Library("none, since the scene does not say its wavelengths", {})
    kept: Any = getattr(model, "trust_", None)
    if all(hasattr(kept, name) for name in ("records", "counts", "wavelengths")):
        nm, ends = np.asarray(kept.wavelengths), np.cumsum(kept.counts)
        found = {
            str(name): _some([
                (f"library record {i + 1} of {count}", nm, kept.records[end - count + i])
                for i in range(count)
            ], wavelengths)
            for name, count, end in zip(model.classes_, kept.counts, ends, strict=True)
        }  # fmt: skip
        return Library("of the library that the model was trained on", found)
    table = load_usgs_minerals()
    minerals = [str(mineral).casefold() for mineral in table.target_names]
    found = {}
    for name in names:
        if (key := name.strip().casefold()) in minerals:
            rows = np.flatnonzero(table.target == minerals.index(key)).tolist()
            records = [(str(table.spectrum_names[i]), table.wavelengths, table.data[i])
                       for i in rows]  # fmt: skip
            found[name] = _some(records, wavelengths)
    origin = (
        "of the USGS spectral library (splib07, the table that comes with this program) by the "
        "same name; the model need not have learnt from them"
    )
    return Library(origin, found)


def _some(records: list, wavelengths: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Take some of the records, from first to last, interpolated to these bands."""
    chosen = np.unique(np.linspace(0, len(records) - 1, min(N_RECORDS, len(records))).astype(int))
    found = []
    for name, nm, values in (records[i] for i in chosen.tolist()):
        order = np.argsort(nm)
        order = order[np.isfinite(values[order])]
        if len(order) < LEAST_BANDS:
            continue
        shown = np.interp(wavelengths, nm[order], values[order], left=np.nan, right=np.nan)
        if np.isfinite(shown).sum() >= LEAST_BANDS:
            found.append((name, shown))
    return found
