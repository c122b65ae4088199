"""How large a model file may be: one table for both ends, saving and loading.

`save_model` asks it before the file appears and `load_model` before memory or time is taken, so
that every file that was saved can be loaded, and a made-up number costs nothing.
"""

from __future__ import annotations

import math
from typing import Any

from ..exceptions import DataFormatError

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_HEADER_BYTES",
    "check_labels",
    "check_measurements",
    "check_text",
    "check_trust",
    "check_values",
]

#: Bytes of a file. It is read at once, since a mapped file that somebody cuts ends the process.
MAX_FILE_BYTES = 2**31
#: Bytes of its header: names, shapes and the description, not the weights.
MAX_HEADER_BYTES = 20_000_000
#: Numbers, texts, lists and tables of the header; each takes up to 200 bytes when it is parsed.
MAX_VALUES = 500_000
#: Lists and tables in one another. Python ends at a thousand, in the middle of something else.
MAX_DEPTH = 20
#: Letters of a label, a name or any other text.
MAX_LETTERS = 1_000
#: Letters of all labels together: numpy gives each label the room of the longest.
MAX_LABEL_LETTERS = 10_000_000
#: Spectral bands: more than an infrared spectrometer has, which has more than an imaging one.
MAX_BANDS = 20_000
#: Entries of one parameter of a step.
MAX_ENTRIES = 20_000
#: Bands times half widths, or times windows: what a step computes for one spectrum.
MAX_MEASUREMENTS = 1_000_000
#: Records of the library that a model's trust compares with: a spectrum costs as many products.
MAX_RECORDS = 100_000


def check_text(text: str) -> None:
    """Refuse JSON of too many values, before it is parsed."""
    n_values = sum(text.count(mark) for mark in ",[{")
    _at_most(n_values, MAX_VALUES, "the header", "values")


def check_values(value: Any, where: str = "description", depth: int = 0) -> None:
    """Refuse what is too long or too deep, and numbers that are infinite or NaN."""
    _at_most(depth, MAX_DEPTH, where, "tables in one another")
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        # Where it stands is put into words for what is refused alone: there may be many values.
        if isinstance(key, str):
            _at_most(len(key), MAX_LETTERS, f"a name in {where}", "letters")
        if isinstance(inner, dict | list):
            check_values(inner, _place(where, key), depth + 1)
        elif isinstance(inner, str) and len(inner) > MAX_LETTERS:
            _at_most(len(inner), MAX_LETTERS, _place(where, key), "letters")
        elif isinstance(inner, float) and not math.isfinite(inner):
            raise DataFormatError(f"{_place(where, key)} must be a number, found {inner}.")


def check_labels(values: list) -> None:
    """Refuse labels that would fill the memory as an array."""
    longest = max((len(value) for value in values if isinstance(value, str)), default=0)
    _at_most(longest * len(values), MAX_LABEL_LETTERS, "description.classes", "letters")


def check_measurements(parameters: dict, n_bands: int, where: str) -> None:
    """Refuse a spectral step that would take long, before it is fitted to its bands."""
    _at_most(n_bands, MAX_BANDS, f"{where}.n_features_in", "bands")
    for name, value in parameters.items():
        if isinstance(value, dict | list):
            _at_most(len(value), MAX_ENTRIES, f"{where}.parameters.{name}", "entries")
    sensor = parameters.get("sensor")
    sensor_bands = sensor.get("wavelengths") if isinstance(sensor, dict) else None
    for name, value in (
        *((name, parameters.get(name)) for name in ("half_widths", "features")),
        ("sensor", sensor_bands),
    ):
        if isinstance(value, dict | list):
            n, what = n_bands * len(value), f"bands times {name}"
            _at_most(n, MAX_MEASUREMENTS, f"{where}.parameters.{name}", what)


def check_trust(counts: list[int], wavelengths: list[float], where: str) -> None:
    """Refuse a library that would take long to compare with, before its arrays are looked at."""
    _at_most(len(wavelengths), MAX_BANDS, f"{where}.wavelengths", "bands")
    _at_most(sum(counts), MAX_RECORDS, f"{where}.counts", "records")


def _place(where: str, key: str | int) -> str:
    return f"{where}.{key}" if isinstance(key, str) else f"{where}[{key}]"


def _at_most(n: int, most: int, where: str, what: str) -> None:
    if n > most:
        raise DataFormatError(f"{where} has {n:,} {what}; a model file holds up to {most:,}.")
