"""Any ENVI spectral library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ..exceptions import DataFormatError
from ..spectral._wavelengths import wavelengths_nm

__all__ = ["read_envi_library"]

#: The USGS writes -1.23e34 where a channel was deleted; anything below this is no measurement.
LEAST_VALUE = -1e30


def read_envi_library(path) -> Bunch:
    """Read an ENVI spectral library, such as those that the USGS publishes for each sensor.

    The header is parsed by the package spectral; this adds what a user then does by hand: deleted
    channels become NaN, wavelengths nm, and integers reflectance.

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
        - wavelengths : ndarray of shape (n_bands,), nm, in the file's order
        - fwhm : ndarray of shape (n_bands,), nm, or None where the header has none
        - names : ndarray of shape (n_spectra,), str
        - metadata : dict, the rest of the header
        - DESCR : str, the header's own description

    Raises
    ------
    FileNotFoundError
        If the header or its data file is not there.
    DataFormatError
        If it is not an ENVI spectral library, is cut short, or does not say its wavelengths.
    ImportError
        If the package spectral is not installed.

    Examples
    --------
    >>> from sklearn_capoz.datasets import read_envi_library
    >>> library = read_envi_library("s06av95a_envi.hdr")  # doctest: +SKIP
    >>> library.data.shape, library.names[0]  # doctest: +SKIP
    ((1365, 224), 'Acmite NMNH133746 Pyroxene s06av95a=a')
    """
    envi = _spectral_envi()
    header = _header_of(Path(path))
    try:
        fields = envi.read_envi_header(str(header))
        if fields.get("file type", "").lower() != "envi spectral library":
            raise DataFormatError(
                f"{header} describes an {fields.get('file type', 'unnamed file')}, not an ENVI "
                "Spectral Library."
            )
        library = envi.open(str(header), _data_file(header))
    except (envi.EnviException, ValueError, KeyError) as error:
        if isinstance(error, DataFormatError):
            raise
        raise DataFormatError(
            f"{header} is not a readable ENVI spectral library: {error}"
        ) from error
    centres = library.bands.centers
    if not centres:
        raise DataFormatError(f"{header} has no wavelengths: add 'wavelength' and its units to it.")
    unit = _unit(fields.get("wavelength units"))
    nm = wavelengths_nm(None, len(centres), centres, unit)
    widths = library.bands.bandwidths
    data = library.spectra.astype(np.result_type(library.spectra.dtype, np.float32))
    deleted = data <= LEAST_VALUE
    if "data ignore value" in fields:
        deleted |= data == float(fields["data ignore value"])
    data /= float(fields.get("reflectance scale factor", 1))
    data[deleted] = np.nan
    return Bunch(
        data=data,
        wavelengths=nm,
        fwhm=np.array(widths) * (nm[0] / centres[0]) if widths else None,
        names=np.array([name.strip() for name in library.names]),
        metadata=fields,
        DESCR=fields.get("description", ""),
    )


def _header_of(path: Path) -> Path:
    """Return the header of a library that may have been named by its data file."""
    candidates = (
        [path]
        if path.suffix.lower() == ".hdr"
        else [
            path.with_suffix(".hdr"),
            path.with_suffix(".HDR"),
            path.with_name(path.name + ".hdr"),
        ]
    )
    for header in candidates:
        if header.is_file():
            return header
    raise FileNotFoundError(f"No ENVI header at {' or '.join(map(str, candidates))}.")


def _data_file(header: Path) -> str:
    """Return the data file beside a header."""
    for name in (header.stem, *(header.stem + s for s in (".sli", ".SLI", ".dat", ".img"))):
        if header.with_name(name).is_file():
            return str(header.with_name(name))
    raise FileNotFoundError(
        f"No data file beside {header}: put {header.stem}.sli, as it came with the header, there."
    )


def _unit(name: str | None) -> str | None:
    """Return nm or um for the header's words; None leaves it to the values."""
    known = {"nanometers": "nm", "nm": "nm", "micrometers": "um", "um": "um", "microns": "um"}
    return known.get((name or "").strip().lower())


def _spectral_envi():
    try:
        import spectral.io.envi as envi
    except ImportError as error:
        raise ImportError(
            "read_envi_library needs the package spectral: pip install 'sklearn-capoz[data]'."
        ) from error
    return envi
