"""What the entries of an ENVI header mean: each read one way, for scenes and for libraries."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..exceptions import DataFormatError
from ..spectral._wavelengths import unit_named, wavelengths_nm
from ._envi_header import import_envi, read_header

__all__ = ["INTERLEAVES", "EnviFields", "find_data", "find_header"]

INTERLEAVES = ("bip", "bil", "bsq")


class EnviFields:
    """A header's entries, each turned into what it should be or into an error that names it.

    Parameters
    ----------
    path : Path
        The header.

    Attributes
    ----------
    header : dict
        Lower-case names -> text, or list of texts, as they stand in the file.
    """

    def __init__(self, path: Path):
        self.header, self.path = read_header(path), path

    def text(self, name: str, default: str | None = None) -> str:
        """Text of an entry; without a default it must be there."""
        value = self.header.get(name, default)
        if not isinstance(value, str):
            raise DataFormatError(f"{self.path} must state '{name}'; it holds {value!r:.80}.")
        return value.strip()

    def texts(self, *names: str) -> list[str]:
        """Texts of one or several entries, in braces or not."""
        values: list[str] = []
        for name in names:
            value = self.header.get(name, [])
            values += [value] if isinstance(value, str) else value
        return values

    def is_library(self) -> bool:
        """Whether the file is a spectral library; programs write the words in any case."""
        return self.text("file type", "").casefold().split() == ["envi", "spectral", "library"]

    def count(self, name: str, default: int | None = None) -> int:
        """Whole number, from 1 or from the default on."""
        if default is not None and name not in self.header:
            return default
        text = self.text(name)
        least = 1 if default is None else default
        # isdecimal admits no sign, no underscore; 18 digits are a petabyte a thousand times over.
        if not (text.isascii() and text.isdecimal() and len(text) <= 18 and int(text) >= least):
            raise DataFormatError(
                f"{self.path}: '{name}' must be a whole number from {least}, got {text[:40]!r}."
            )
        return int(text)

    def number(self, name: str) -> float | None:
        """Return one number, or None where there is none."""
        texts = self.texts(name)  # some programs put braces around a single number
        if not texts or (len(texts) == 1 and texts[0].lower() in ("", "none")):
            return None
        if len(texts) > 1:
            raise DataFormatError(f"{self.path}: '{name}' must be one number, got {texts!r:.80}.")
        return self._floats(name, texts)[0]

    def per_band(self, name: str, n_bands: int) -> np.ndarray | None:
        """Return a number per band, float, or None where there are none."""
        if name not in self.header:
            return None
        texts = [t for t in self.texts(name) if t]
        if len(texts) != n_bands:
            raise DataFormatError(
                f"{self.path}: '{name}' lists {len(texts)} values for {n_bands} bands."
            )
        return np.array(self._floats(name, texts))

    def dtype(self) -> np.dtype:
        """Type of the numbers, byte order included."""
        names = import_envi().envi_to_dtype
        code = self.text("data type")
        if code not in names or np.dtype(names[code]).kind not in "iuf":
            known = ", ".join(c for c in names if np.dtype(names[c]).kind in "iuf")
            raise DataFormatError(
                f"{self.path}: 'data type' must be one of {known} (real numbers), got {code!r}."
            )
        is_byte = np.dtype(names[code]).itemsize == 1
        order = self.text("byte order", "0" if is_byte else None)
        if order not in ("0", "1"):
            raise DataFormatError(f"{self.path}: 'byte order' must be 0 or 1, got {order!r}.")
        return np.dtype(names[code]).newbyteorder("<>"[int(order)])

    def interleave(self) -> str:
        """Order of the numbers: bip, bil or bsq."""
        interleave = self.text("interleave").casefold()
        if interleave not in INTERLEAVES:
            raise DataFormatError(
                f"{self.path}: interleave must be bip, bil or bsq, got {interleave!r}."
            )
        return interleave

    def wavelengths(self, n_bands: int) -> np.ndarray | None:
        """Return band centres in nm, NaN where a band has none, or None where no band has one.

        Programs write 0 for bands that they left out. Whether such a band is needed is known to
        the caller: `bbl` may say that it is bad, or whoever asks for the file.
        """
        values = self.per_band("wavelength", n_bands)
        if values is None:
            return None
        missing = ~(np.isfinite(values) & (values > 0))
        if missing.all():
            return None
        unit = self.text("wavelength units", "")
        try:
            return wavelengths_nm(None, n_bands, values, unit_named(unit), bad=missing)
        except ValueError as error:
            said = f"The header says 'wavelength units = {unit}'."
            raise DataFormatError(f"{self.path}: {error} {said}") from error

    def fwhm(self, n_bands: int) -> np.ndarray | None:
        """Return band widths in nm, or None; they are written in the unit of the centres."""
        widths, nm = self.per_band("fwhm", n_bands), self.wavelengths(n_bands)
        if widths is None or nm is None:
            return None
        centres, known = self.per_band("wavelength", n_bands), np.isfinite(nm).argmax()
        assert centres is not None  # else there were no wavelengths
        # One unit is 1000 times the other: that of the centres shows in what became of them.
        return widths * 1000.0 if nm[known] > 10 * centres[known] else widths

    def good_bands(self, n_bands: int) -> np.ndarray | None:
        """Bands that `bbl` calls good, a mask of shape (n_bands,), or None without a list."""
        values = self.per_band("bbl", n_bands)
        if values is not None and not np.isin(values, (0, 1)).all():
            raise DataFormatError(f"{self.path}: 'bbl' must hold 0 (bad) or 1 (good) per band.")
        return None if values is None else values.astype(bool)

    def _floats(self, name: str, texts: list[str]) -> list[float]:
        try:
            return [float(t) for t in texts]
        except ValueError:
            raise DataFormatError(f"{self.path}: '{name}' must be numeric: {texts!r:.80}") from None


def find_header(path: Path) -> Path | None:
    """Return the header of a data file: `flight.rfl.hdr` before `flight.hdr`, as it names it whole.

    Two scenes of one flight may share the shorter name, which then belongs to one of them only.
    """
    return _beside(path, f"{path.name}.hdr") or _beside(path, f"{path.stem}.hdr")


def _beside(path: Path, name: str) -> Path | None:
    """Find a file in the folder of another one; capitals do not count, as they do not in GDAL."""
    if (exact := path.with_name(name)).is_file():
        return exact
    same = (p for p in path.parent.iterdir() if p.name.casefold() == name.casefold())
    return next((p for p in sorted(same) if p.is_file()), None)


def find_data(header: Path, interleave: str) -> Path:
    """Return the data file of a header that was named without it.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    base = header.with_suffix("")
    suffixes = [interleave, *import_envi().KNOWN_EXTS]
    for name in (base.name, *(f"{base.name}.{suffix}" for suffix in suffixes)):
        # A file with a header that names it whole belongs to that one.
        if (found := _beside(base, name)) is not None and find_header(found) == header:
            return found
    # GDAL takes a data file of any suffix, as it is given that one.
    others = [p for p in base.parent.iterdir() if p.stem == base.name and p.is_file()]
    others = [p for p in others if p.suffix.lower() not in (".hdr", ".xml")]
    if len(others) == 1 and find_header(others[0]) == header:
        return others[0]
    raise FileNotFoundError(
        f"no data file beside {header}: put {base.name}.{interleave}, as it came with the header, "
        f"there (looked for {base.name} and {base.name}.{{{', '.join(suffixes)}}})."
    )
