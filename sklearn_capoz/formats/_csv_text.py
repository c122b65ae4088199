"""A CSV file as text: its separator, its header, and rows that quotes would swallow."""

from __future__ import annotations

import csv
import math
from itertools import dropwhile, pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from ..exceptions import DataFormatError
from ..spectral._wavelengths import parse_name
from ._atomic import check_regular_file

__all__ = ["READING", "check_quotes", "has_spectra_in_columns", "read_header"]

#: How pandas is to open a file: as text, whatever its name ends in.
READING: dict[str, Any] = {"encoding": "utf-8-sig", "compression": None, "keep_default_na": False}

#: Rows whose first fields are enough to see that they are wavelengths.
_FIRST_ROWS = 50


def read_header(path: Path, label: str) -> tuple[str, list[str]]:
    """Separator and column names: of comma, semicolon and tab, the one that sets `label` apart.

    Raises
    ------
    DataFormatError
        If the file is none, or empty, or no text.
    """
    check_regular_file(path)
    with open(path, "rb") as file:
        if b"\0" in file.read(65536):
            raise DataFormatError(f"{path} is no text: a CSV file in UTF-8 is needed.")
    found = {}
    for separator in ",;\t":
        try:
            first = pd.read_csv(path, sep=separator, header=None, nrows=1, dtype=str, **READING)
        except pd.errors.EmptyDataError:
            raise DataFormatError(f"{path} is empty: a CSV file in UTF-8 is needed.") from None
        found[separator] = [str(name).strip() for name in first.iloc[0]]
    return max(found.items(), key=lambda item: (label in item[1], len(item[1])))


def check_quotes(path: Path, separator: str, n_columns: int) -> None:
    """Refuse a quote that swallows rows, such as a lone one that says "the same as above".

    Up to the next quote all is one field then, and where the fields of the rest add up to a row,
    every reader goes on without a word. A remark may have several lines, but not a row's
    separators in each.

    Raises
    ------
    DataFormatError
        With the line in which the quote stands.
    """
    with open(path, "rb") as file:
        if not any(b'"' in part for part in iter(lambda: file.read(1 << 20), b"")):
            return
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader, line = csv.reader(file, delimiter=separator), 0
        for row in reader:
            for field in row if reader.line_num > line + 1 else ():
                n_breaks = len(field.splitlines()) - 1
                if n_breaks and field.count(separator) >= n_breaks * (n_columns - 1):
                    raise DataFormatError(
                        f'{path}: a quote (") in line {line + 1} opens a text that goes on to line '
                        f"{reader.line_num} and takes in whole rows. Remove it, or double it "
                        'inside a quoted text ("").'
                    )
            line = reader.line_num


def has_spectra_in_columns(path: Path, separator: str) -> bool:
    """Whether wavelengths go down the first column, each row a band, below rows of names."""
    table = pd.read_csv(
        path, sep=separator, header=None, skiprows=1, usecols=[0], nrows=_FIRST_ROWS, dtype=str,
        **READING,
    )  # fmt: skip
    nm = [_wavelength(name) for name in table[0].fillna("").str.strip()]
    nm = list(dropwhile(math.isnan, nm))  # spectra may have a label and a sample each
    if any(map(math.isnan, nm)):
        return False
    steps = [b - a for a, b in pairwise(nm)]
    # Numbers of rows go up as well, from 0 or 1 and one by one.
    is_count = nm[:1] <= [1] and all(step == 1 for step in steps)
    ordered = all(step > 0 for step in steps) or all(step < 0 for step in steps)
    return len(nm) >= 3 and ordered and not is_count


def _wavelength(name: str) -> float:
    try:
        return parse_name(name)[0]
    except ValueError:
        return math.nan
