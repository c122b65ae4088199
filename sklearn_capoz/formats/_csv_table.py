"""A table of spectra as a CSV file: which columns are bands, and what cannot be trained on."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from ..exceptions import DataFormatError
from ..spectral._wavelengths import (
    LARGEST_UM,
    NUMBER,
    PLAUSIBLE_NM,
    SMALLEST_NM,
    bands_named,
    parse_name,
)
from ._csv_text import READING, check_quotes, has_spectra_in_columns, read_header

__all__ = ["SpectraTable", "check_reflectance", "read_spectra"]

#: How tables write a number that is not there.
_MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "None", "#N/A", "<NA>"]

#: Samples that a class needs to be split into training, scoring, choosing and testing.
MIN_PER_CLASS = 10

#: Letters of a label: numpy gives every label as much room as the longest needs.
LONGEST_NAME = 200

#: Reflectance of a bright or tilted surface passes 1, and never this.
LARGEST_REFLECTANCE = 5.0

#: Half of the spectra of any library are brighter than this, or they are no reflectance.
SMALLEST_REFLECTANCE = 1e-3


@dataclass(frozen=True)
class SpectraTable:
    """Spectra, what they are labelled, and the columns that they came from."""

    X: np.ndarray  # (n_spectra, n_bands), reflectance
    y: np.ndarray  # (n_spectra,), text
    groups: np.ndarray | None  # (n_spectra,), text: the physical sample
    wavelengths: np.ndarray  # (n_bands,), nm
    columns: list[str]  # names of the bands

    def __str__(self) -> str:
        nm, names = self.wavelengths, self.columns
        lines = [
            f"{len(self.X)} spectra of {len(set(self.y))} classes, {len(nm)} bands from "
            f"{nm.min():g} to {nm.max():g} nm",
            f"bands are the columns {_listed(names)}",
        ]
        upwards = np.median(np.diff(nm)) > 0
        turns = [i for i, (a, b) in enumerate(pairwise(nm)) if (a < b) != upwards]
        if turns:
            pairs = _listed([f"{names[i]} before {names[i + 1]}" for i in turns])
            lines.append(f"they are not in the order of wavelength: {pairs}")
        return "\n".join(lines)


def read_spectra(
    path: Path,
    label: str,
    group: str | None = None,
    bad_bands=(),
    *,
    scale: float = 1.0,
    least: int = MIN_PER_CLASS,
) -> SpectraTable:
    """Read a CSV file with a spectrum in each row.

    Parameters
    ----------
    path : Path
    label, group : str
        Columns with the labels and, if asked, the physical samples.
    bad_bands : sequence of (low, high), nm
        Ranges that are left out as if the table did not have them.
    scale : float
        The number that stands for a reflectance of 1.
    least : int
        Spectra that every class needs.

    Raises
    ------
    DataFormatError
        If the file is no table, lacks what is asked, if a value, label or sample is missing, or if
        a spectrum is no reflectance from 0 to 1 as a whole.
    """
    others = [label] if group is None else [label, group]
    try:
        separator, header = read_header(path, label)
        bands = _band_columns(header, others)
        if len(bands) < 3 and has_spectra_in_columns(path, separator):
            raise DataFormatError(
                f"{path} has wavelengths down its first column, so its spectra stand in columns; "
                "each must be a row: transpose the table, and name the label's column."
            )
        for name in others:
            _check_column(path, header, name)
        wavelengths = _wavelengths(path, header, bands)
        if len(bands) < 3:
            raise DataFormatError(
                f"{path} has too few columns named by a wavelength, such as 2205.3 or R2205: "
                f"{len(bands)}, and at least 3 are needed."
            )
        keep = ~bands_named(wavelengths, bad_bands, "the table")
        if keep.sum() < 3:
            raise DataFormatError(
                f"--bad-bands leaves {keep.sum()} of the {len(bands)} bands of {path}, and at "
                "least 3 are needed: name fewer."
            )
        wavelengths = wavelengths[keep]
        places = [place for place, good in zip(bands, keep, strict=True) if good]
        check_quotes(path, separator, len(header))
        table = _read_rows(path, separator, header, [header.index(name) for name in others], places)
    except UnicodeDecodeError as error:
        raise DataFormatError(f"{path} is no CSV file in UTF-8: {error}") from error
    except pd.errors.EmptyDataError as error:
        raise DataFormatError(f"{path} has a header and no rows.") from error
    except (csv.Error, pd.errors.ParserError) as error:
        raise DataFormatError(f"{path} is no table in CSV: {error}") from error
    X = _reflectance(path, table[places], wavelengths, scale)
    texts = [_texts(path, name, table[header.index(name)]) for name in others]
    _check_classes(path, texts[0], least)
    columns = [header[place] for place in places]
    return SpectraTable(X, texts[0], None if group is None else texts[1], wavelengths, columns)


def check_reflectance(path: Path, table: SpectraTable, index: np.ndarray) -> None:
    """Refuse spectra without an index, before any work with the others.

    Parameters
    ----------
    path : Path
        Where the table is from.
    table : SpectraTable
    index : ndarray of shape (n_spectra, n_features)
        Their absorption index; NaN where reflectance is not above zero.
    """
    X = table.X
    odd = (X <= 0) | (X > LARGEST_REFLECTANCE)
    unusable = ~np.isfinite(index).all(axis=1) | (X <= 0).all(axis=1)
    unusable |= (X > LARGEST_REFLECTANCE).any(axis=1)
    unusable |= (X <= 0).all(axis=0).any()  # a band that measured nothing
    if not unusable.any():
        return
    odd = odd & unusable[:, None]
    values, counts = np.unique(X[odd], return_counts=True)
    most = counts.argmax()
    repeated = f"; {values[most]:g} stands there {counts[most]} times" if counts[most] > 1 else ""
    where = _runs(table.wavelengths, odd.any(axis=0))
    raise DataFormatError(
        f"{path}: {unusable.sum()} of {len(X)} spectra (the first is number "
        f"{unusable.argmax() + 1}) have values that are no reflectance, not above 0 or far above "
        f"1, at {where} nm{repeated}. Remove these spectra, or leave these bands out with "
        "--bad-bands."
    )


def _check_column(path: Path, header: list[str], name: str) -> None:
    if header.count(name) > 1:
        raise DataFormatError(f"{path} has {header.count(name)} columns {name!r}; rename one.")
    if name not in header:
        bands = _band_columns(header, [])
        listed = ", ".join([c for i, c in enumerate(header) if c and i not in bands][:10])
        raise DataFormatError(f"{path} has no column {name!r}; it has {listed or 'only bands'}.")


def _band_columns(header: list[str], others: list[str]) -> dict[int, tuple[float, str | None]]:
    """Places of the columns named by a wavelength and its unit: most of the columns named alike."""
    alike: dict[tuple, dict] = {}
    for place, name in enumerate(header):
        if name in others:
            continue
        name = name.replace(",", ".")  # a decimal comma, beside semicolons or tabs
        try:
            value, unit = parse_name(name)
        except ValueError:
            continue
        alike.setdefault((NUMBER.sub("#", name), unit), {})[place] = value, unit
    sets = [bands for (_, unit), bands in alike.items() if unit or not _are_counted(bands)]
    return max(sets, key=len, default={})


def _are_counted(bands: dict[int, tuple[float, str | None]]) -> bool:
    """Whether names such as "band 7" count bands and do not say where they lie."""
    values = sorted(value for value, _ in bands.values())
    whole = all(value.is_integer() for value in values)
    in_turn = values[0] <= 1 and np.array_equal(values, values[0] + np.arange(len(values)))
    return whole and (in_turn or values[-1] < SMALLEST_NM)


def _wavelengths(path: Path, header: list[str], bands: dict) -> np.ndarray:
    """Wavelengths in nm, in the order of the columns."""
    places = list(bands)
    values = np.array([value for value, _ in bands.values()])
    unit = next((unit for _, unit in bands.values()), None)
    if unit is None:
        in_um, in_nm = (values > 0) & (values <= LARGEST_UM), values >= SMALLEST_NM
        unit = "um" if in_um.sum() > in_nm.sum() else "nm"
        fits = in_um if unit == "um" else in_nm
    else:
        fits = np.ones(len(values), dtype=bool)
    nm = values * 1000.0 if unit == "um" else values
    fits &= (nm >= PLAUSIBLE_NM[0]) & (nm <= PLAUSIBLE_NM[1])
    if not fits.all():
        names = _listed([header[place] for place, fit in zip(places, fits, strict=True) if not fit])
        others = f", as the other {fits.sum()} are" if fits.any() else ""
        raise DataFormatError(
            f"{path}: columns with names that are no wavelengths in {unit}{others}: {names}. "
            "Rename those that hold no band."
        )
    for value in nm[[np.sum(nm == value) > 1 for value in nm]]:
        names = _listed([header[place] for place in np.array(places)[nm == value]])
        raise DataFormatError(
            f"{path} has several columns at {value:g} nm: {names}. Keep one of them."
        )
    return nm


def _read_rows(path: Path, separator: str, header: list[str], texts, bands) -> pd.DataFrame:
    """Read all rows, with a decimal comma where the bands are no numbers without."""
    tables = []
    for decimal in "." if separator == "," else ".,":
        table = pd.read_csv(
            path,
            sep=separator,
            decimal=decimal,
            header=0,
            names=range(len(header)),
            dtype=dict.fromkeys(texts, str),
            # "NA" and "None" are missing numbers, and labels as good as others.
            na_values=dict.fromkeys(bands, _MISSING),
            low_memory=False,
            **READING,
        )
        if not isinstance(table.index, pd.RangeIndex):
            raise DataFormatError(
                f"{path}: the rows have more fields than the {len(header)} names in the header."
            )
        if table.empty:
            raise DataFormatError(f"{path} has a header and no rows.")
        no_numbers = [place for place in bands if table[place].dtype.kind not in "iuf"]
        if not no_numbers:
            break
        tables.append((len(no_numbers), no_numbers[0], table))
    else:
        _, place, table = min(tables, key=lambda found: found[0])
        column = table[place].dropna().astype(str)
        wrong = column[pd.to_numeric(column, errors="coerce").isna()]
        example = f", found {wrong.iloc[0]!r}" if len(wrong) else ""
        raise DataFormatError(f"{path}: column {header[place]} must hold numbers{example}.")
    return table


def _texts(path: Path, name: str, column: pd.Series) -> np.ndarray:
    """Labels or names of samples, as an array of text."""
    column = column.fillna("").str.strip()
    lengths = column.str.len()
    if n_empty := (lengths == 0).sum():
        raise DataFormatError(f"{path}: {n_empty} spectra have no {name}; remove them.")
    if lengths.max() > LONGEST_NAME:
        raise DataFormatError(
            f"{path}: the {name} of spectrum {lengths.argmax() + 1} has {lengths.max():,} letters, "
            f"and at most {LONGEST_NAME} are names: {column.iloc[lengths.argmax()][:40]!r}..."
        )
    return column.to_numpy(str)


def _reflectance(path: Path, spectra: pd.DataFrame, nm: np.ndarray, scale: float) -> np.ndarray:
    X: np.ndarray = spectra.to_numpy(dtype=np.float64) / scale
    missing = ~np.isfinite(X)
    if missing.any():
        raise DataFormatError(
            f"{path}: {missing.any(axis=1).sum()} spectra have missing or infinite values, at "
            f"{_runs(nm, missing.any(axis=0))} nm. Remove these spectra, or leave these bands out "
            "with --bad-bands."
        )
    level = np.median(X, axis=1)
    large = level > LARGEST_REFLECTANCE
    if large.any():
        raise DataFormatError(
            f"{path}: {large.sum()} of {len(X)} spectra (the first is number {large.argmax() + 1}) "
            f"have a median of up to {level.max():g}, and reflectance is 0 to 1; give what "
            "stands for 1 as --scale, such as 100 for percent."
        )
    if np.median(level) < SMALLEST_REFLECTANCE:
        raise DataFormatError(
            f"{path}: half of the {len(X)} spectra have a median below {SMALLEST_REFLECTANCE:g}, "
            f"and reflectance is 0 to 1; --scale {scale:g} is too large, or the values are none."
        )
    return X


def _check_classes(path: Path, y: np.ndarray, least: int) -> None:
    classes, counts = np.unique(y, return_counts=True)
    if len(classes) < 2 or counts.min() < least:
        raise DataFormatError(
            f"{path} must hold at least two classes, of {least} spectra each or more: the label "
            f"'{classes[counts.argmin()]}' has {counts.min()}, and there are {len(classes)} labels."
        )


def _listed(names: list[str], ends: int = 3) -> str:
    """All names, or the first and last of many."""
    if len(names) > 2 * ends + 1:
        names = [*names[:ends], "...", *names[-ends:]]
    return ", ".join(names)


def _runs(nm: np.ndarray, mask: np.ndarray) -> str:
    """Wavelengths where the mask is True, as --bad-bands takes them: "1990-2040,2100"."""
    order = np.argsort(nm)
    ordered, edges = nm[order], np.diff(np.pad(mask[order].astype(int), 1))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    runs = [
        f"{ordered[i]:g}" if i == j else f"{ordered[i]:g}-{ordered[j]:g}"
        for i, j in zip(starts, stops, strict=True)
    ]
    return _listed(runs).replace(" ", "")
