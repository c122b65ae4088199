"""Which bands of a scene spectra are compared in, and how wide they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .._warn import warn
from ..exceptions import DataFormatError
from ..formats._envi_fields import EnviFields
from ..spectral._sensors import fwhm_of_spacing
from ..spectral._wavelengths import SAME_BAND
from ._envi import EnviSource
from ._raster_tags import sidecar_header
from ._source import Source

__all__ = ["good_bands", "widths"]

#: Bands below which a spectrum has no shape.
FEWEST = 3


def good_bands(source: Source, usable: np.ndarray, name: str) -> np.ndarray:
    """Order the usable bands by wavelength, each place once.

    Parameters
    ----------
    source : Source
        One that knows its wavelengths.
    usable : ndarray of shape (n_bands,), bool
    name : str
        What messages call it.

    Returns
    -------
    bands : ndarray of int

    Raises
    ------
    DataFormatError
        If fewer than three are left.
    """
    nm = source.wavelengths
    assert nm is not None  # the caller has looked
    kept = np.flatnonzero(usable & np.isfinite(nm))
    kept = kept[np.argsort(nm[kept], kind="stable")]
    # Where two spectrometers overlap, one of two bands at the same place says it all.
    kept = kept[np.diff(nm[kept], prepend=-np.inf) > SAME_BAND]
    if len(kept) < FEWEST:
        raise DataFormatError(
            f"{name} has too few good bands: {len(kept)}, and at least {FEWEST} are needed."
        )
    return kept


def widths(source: Source, path: Path, bands: np.ndarray, name: str) -> np.ndarray:
    """FWHM of these bands in nm, from an ENVI header, or else the distance between them.

    Warns
    -----
    UserWarning
        If the header does not say it.
    """
    n_bands = source.shape[2]
    header = (
        EnviFields(source.header_path)
        if isinstance(source, EnviSource)
        else sidecar_header(path, n_bands)
    )
    found = None if header is None else header.fwhm(n_bands)
    if found is not None and (found[bands] > 0).all():
        return found[bands]
    warn(
        f"{name} gives no fwhm for its bands: the distance between them is taken for their width. "
        "Write 'fwhm' into its header where it is known."
    )
    assert source.wavelengths is not None  # the caller has looked
    if len(bands) < 2:
        return np.ones(len(bands))
    # Gaps where bands are bad make neighbours no wider.
    known = np.isfinite(source.wavelengths)
    spaced = np.full(n_bands, np.nan)
    spaced[known] = fwhm_of_spacing(source.wavelengths[known])
    return spaced[bands]
