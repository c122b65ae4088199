"""Any ENVI spectral library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ..exceptions import DataFormatError
from ._envi_fields import EnviFields, find_data, find_header
from ._envi_header import import_envi

__all__ = ["read_envi_library"]

#: The USGS writes -1.23e34 where a channel was deleted; anything below this is no measurement.
LEAST_VALUE = -1e30


def read_envi_library(path) -> Bunch:
    """Read an ENVI spectral library, such as those that the USGS publishes for each sensor.

    What a user would do by hand is done: deleted channels become NaN, wavelengths nm, and integers
    reflectance.

    Parameters
    ----------
    path : path-like
        The header (`.hdr`), or the data file beside it (`.sli`).

    Returns
    -------
    library : Bunch
        With the attributes

        - data : ndarray of shape (n_spectra, n_bands), float, divided by the header's reflectance
          scale factor; NaN where a channel was deleted
        - wavelengths : ndarray of shape (n_bands,), nm, in the file's order; NaN where a bad band
          has none
        - fwhm : ndarray of shape (n_bands,), nm, or None where the header has none
        - names : ndarray of shape (n_spectra,), str; 1, 2, ... where the header has none
        - metadata : dict, the whole header, names in small letters
        - DESCR : str, the header's own description

    Raises
    ------
    FileNotFoundError
        If the header or its data file is not there.
    DataFormatError
        If it is not an ENVI spectral library, is cut short, or does not say its wavelengths in
        nm or um.
    ImportError
        If the package spectral is not installed.

    Examples
    --------
    >>> from sklearn_capoz.datasets import read_envi_library
    >>> library = read_envi_library("s06av95a_envi.hdr")  # doctest: +SKIP
    >>> library.data.shape, library.names[0]  # doctest: +SKIP
    ((1365, 224), 'Acmite NMNH133746 Pyroxene s06av95a=a')
    """
    import_envi()  # or say what to install
    header, data_path = _find_pair(Path(path))
    fields = EnviFields(header)
    if not fields.is_library():
        raise DataFormatError(
            f"{header} describes an {fields.text('file type', 'unnamed file')}, not an ENVI "
            "Spectral Library."
        )
    n_spectra, n_bands = fields.count("lines"), fields.count("samples")
    wavelengths, good = fields.wavelengths(n_bands), fields.good_bands(n_bands)
    if wavelengths is None:
        raise DataFormatError(f"{header} has no wavelengths: add 'wavelength' and its units to it.")
    if np.isnan(wavelengths if good is None else wavelengths[good]).any():
        raise DataFormatError(
            f"{header}: wavelengths must be positive and finite, but for bands that 'bbl' calls "
            "bad (0)."
        )
    return Bunch(
        data=_reflectance(fields, data_path or find_data(header, "sli"), (n_spectra, n_bands)),
        wavelengths=wavelengths,
        fwhm=fields.fwhm(n_bands),
        names=np.array(_names(fields, n_spectra)),
        metadata=fields.header,
        DESCR=fields.text("description", ""),
    )


def _find_pair(path: Path) -> tuple[Path, Path | None]:
    """Header, and the data file if that was named."""
    if path.suffix.lower() == ".hdr":
        if not path.is_file():
            raise FileNotFoundError(f"No ENVI header at {path}.")
        return path, None
    if (header := find_header(path)) is None:
        raise FileNotFoundError(
            f"No ENVI header at {path.with_suffix('.hdr')} or {path.name}.hdr beside it."
        )
    return header, path


def _reflectance(fields: EnviFields, path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Read the spectra, one a line, whatever the interleave says of their single band."""
    for name in ("data gain values", "data offset values"):
        if name in fields.header:
            raise DataFormatError(f"{fields.path}: '{name}' is not applied to spectral libraries.")
    dtype, offset = fields.dtype(), fields.count("header offset", 0)
    needed = offset + shape[0] * shape[1] * dtype.itemsize
    if (size := path.stat().st_size) < needed:
        raise DataFormatError(
            f"{path} has {size:,} bytes; {fields.path.name} describes {needed:,} ({shape[0]} "
            f"spectra of {shape[1]} bands of {dtype.name}): it is cut, or the header is wrong."
        )
    data = np.fromfile(path, dtype, shape[0] * shape[1], offset=offset).reshape(shape)
    data = data.astype(np.result_type(dtype.newbyteorder("="), np.float32))
    deleted = data <= LEAST_VALUE
    if (ignored := fields.number("data ignore value")) is not None:
        deleted |= data == ignored
    data /= fields.number("reflectance scale factor") or 1.0
    data[deleted] = np.nan
    return data


def _names(fields: EnviFields, n_spectra: int) -> list[str]:
    names = fields.texts("spectra names")
    if names and len(names) != n_spectra:
        raise DataFormatError(
            f"{fields.path}: 'spectra names' lists {len(names)} names for {n_spectra} spectra; "
            "a comma in a name counts as the end of it."
        )
    return names or [str(number + 1) for number in range(n_spectra)]
