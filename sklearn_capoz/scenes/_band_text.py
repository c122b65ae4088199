"""What is said about bands in the words of many programs: lists, names, lists of good bands."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from sklearn_capoz.exceptions import DataFormatError

from ._bands import scene_wavelengths

__all__ = ["good_bands", "listed", "wavelengths_in_names"]

#: "2205.3 nm", "Band 12 (2.2053 Micrometers)": a number counts with its unit; "Band 12" has none.
_WITH_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*(nm|nanomet\w*|um|µm|μm|micromet\w*|microns?)\b", re.I)

#: A bare number above this, in nm, is no number of a band: those begin with 0 or 1.
_LEAST_BARE = 300.0


def listed(value) -> list[float] | np.ndarray:
    """Numbers of a list, as an array or as text in ENVI's braces, JSON's brackets or none."""
    if not isinstance(value, str):
        return np.atleast_1d(np.asarray(value, dtype=np.float64))
    try:
        return [float(part) for part in value.strip(" {}[]()\n").replace(",", " ").split()]
    except ValueError:
        raise DataFormatError(
            f"a list of numbers per band is expected, got {value!r:.80}."
        ) from None


def good_bands(values, n_bands: int, name: str) -> np.ndarray:
    """Mask of good bands from a list of 1 (good) and 0 (bad)."""
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (n_bands,) or not np.isin(values, (0, 1)).all():
        raise DataFormatError(
            f"'{name}' must hold 0 (bad) or 1 (good) for each of the {n_bands} bands."
        )
    return values.astype(bool)


def wavelengths_in_names(names: Sequence[str | None]) -> np.ndarray | None:
    """Band centres in nm from the names of bands, or None if they do not hold one each."""
    found = [_WITH_UNIT.findall(name or "") for name in names]
    if all(len(numbers) == 1 for numbers in found):
        units = {unit[0].lower() == "n" for ((_, unit),) in found}
        if len(units) > 1:
            return None
        values = [float(number) for ((number, _),) in found]
        return scene_wavelengths(values, len(names), "nm" if units.pop() else "um")
    try:
        bare = [float(name or "") for name in names]
    except ValueError:
        return None
    return scene_wavelengths(bare, len(names), "nm") if min(bare) >= _LEAST_BARE else None
