"""Spectra of the ECOSTRESS (and ASTER) spectral library, one text file each."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ..exceptions import DataFormatError
from ._atomic import check_regular_file

__all__ = ["is_ecostress", "read_ecostress"]

#: Bytes of the largest file: the library's have some 60 kB.
LARGEST = 10_000_000

#: An entry of the header; the first line of numbers ends it.
ENTRY = re.compile(r"([A-Za-z][A-Za-z .]*?)\s*:\s*(.*)")

#: What comes behind a mineral's name: a formula, a number, a group in brackets, a modification.
BEHIND = re.compile(r".*[\d_^()+].*|.*[a-z][A-Z].*|[A-Z][a-z]?|alpha|beta|gamma", flags=re.DOTALL)


def is_ecostress(path: Path) -> bool:
    """Whether a text file begins as those of the library do."""
    check_regular_file(path)
    try:
        with open(path, "rb") as file:
            return file.read(400).lstrip(b"\xef\xbb\xbf").lower().startswith(b"name:")
    except OSError:
        return False


def read_ecostress(path) -> Bunch:
    """Read a spectrum of the ECOSTRESS spectral library (speclib.jpl.nasa.gov).

    Parameters
    ----------
    path : path-like
        A ``.spectrum.txt`` file.

    Returns
    -------
    spectrum : Bunch
        With the attributes

        - data : ndarray of shape (n_bands,), reflectance from 0 to 1
        - wavelengths : ndarray of shape (n_bands,), nm, ascending; where instruments overlap,
          values at the same wavelength are averaged
        - name : str, the field "Name" without formula and number: "Alunite" for
          "Alunite KAl_3(SO_4)_2(OH)_6"
        - sample : str, the field "Sample No.", or the file's name where there is none: several
          files hold the same sample in other grain sizes, or by another instrument
        - metadata : dict, the whole header, names in small letters

    Raises
    ------
    FileNotFoundError
        If the file is not there.
    DataFormatError
        If it is no such spectrum, is cut short, or holds other units than reflectance over
        wavelength.

    References
    ----------
    Meerdink, S. K. et al. (2019). The ECOSTRESS spectral library version 1.0. *Remote Sensing of
    Environment* 230. :doi:`10.1016/j.rse.2019.05.015`

    Examples
    --------
    >>> from sklearn_capoz.datasets import read_ecostress
    >>> spectrum = read_ecostress("mineral.sulfate.spectrum.txt")  # doctest: +SKIP
    >>> spectrum.name, spectrum.sample, spectrum.data.shape  # doctest: +SKIP
    ('Alunite', 'SO-4A', (826,))
    """
    path = Path(path)
    check_regular_file(path)
    if (size := path.stat().st_size) > LARGEST:
        raise DataFormatError(f"{path} has {size:,} bytes; a spectrum has less than {LARGEST:,}.")
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    header, rows = _parts(path, text.splitlines())
    nm, values = _values(path, header, rows)
    given, place = np.unique(nm, return_inverse=True)
    counts = np.bincount(place)
    sample = header.get("sample no.", "")
    return Bunch(
        data=np.bincount(place, weights=values) / counts,
        wavelengths=given,
        name=_short(header["name"]),
        sample=path.name if sample.casefold() in ("", "n/a", "none") else sample,
        metadata=header,
    )


def _parts(path: Path, lines: list[str]) -> tuple[dict[str, str], list[list[str]]]:
    """Header, and the lines of numbers behind it."""
    header: dict[str, str] = {}
    rows: list[list[str]] = []
    for line in lines:
        fields = line.split()
        if not rows and (entry := ENTRY.fullmatch(line.strip())):
            header.setdefault(entry[1].casefold(), entry[2].strip())
        elif len(fields) == 2 and fields[0][0] in "+-.0123456789":
            rows.append(fields)
        elif fields and rows:
            raise DataFormatError(f"{path}: {line.strip()[:40]!r} stands among the numbers.")
    missing = [name for name in ("name", "x units", "y units") if not header.get(name)]
    if missing or not rows:
        what = f"no entry {missing[0]!r}" if missing else "no numbers"
        raise DataFormatError(f"{path} is no spectrum of the ECOSTRESS library: it has {what}.")
    return header, rows


def _values(path: Path, header: dict[str, str], rows) -> tuple[np.ndarray, np.ndarray]:
    """Wavelengths in nm and reflectance from 0 to 1."""
    try:
        x, y = np.array(rows, dtype=np.float64).T
    except ValueError as error:
        raise DataFormatError(f"{path} holds what is no number: {error}") from error
    stated = header.get("number of x values", "")
    if stated.isdecimal() and int(stated) != len(x):
        raise DataFormatError(
            f"{path} states {stated} values and has {len(x)}: it is cut, or lines are lost."
        )
    unit, of = header["x units"].casefold(), header["y units"].casefold()
    factors = {"micromet": 1000.0, "(um)": 1000.0, "nanomet": 1.0, "(nm)": 1.0}
    factor = next((f for word, f in factors.items() if word in unit), None)
    if factor is None or "wavelength" not in unit:
        raise DataFormatError(f"{path}: X is {header['x units']!r}, not wavelength in um or nm.")
    if "reflectance" not in of:
        raise DataFormatError(f"{path}: Y is {header['y units']!r}, and reflectance is needed.")
    if not (np.isfinite(x).all() and (x > 0).all() and np.isfinite(y).all()):
        raise DataFormatError(f"{path} holds wavelengths or values that are none.")
    return x * factor, y / 100 if "percent" in of else y


def _short(name: str) -> str:
    """Words of a name before its formula."""
    words = name.split()
    ends = (i for i, word in enumerate(words) if i and BEHIND.fullmatch(word))
    return " ".join(words[: next(ends, len(words))]).rstrip(".,")
