"""From the table's bands to the scene's: what the sensor would have measured of the spectra."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from .._warn import warn
from ..formats._csv_table import SpectraTable
from ..formats._envi_fields import EnviFields
from ..scenes._envi import EnviSource
from ..scenes._open import open_source
from ..scenes._raster_tags import sidecar_header
from ..scenes._source import Source
from ..spectral import SensorResampler
from ..spectral._sensors import fwhm_of_spacing
from ..spectral._wavelengths import SAME_BAND

__all__ = ["in_scene_bands"]


def in_scene_bands(
    table: SpectraTable, path: Path, bad_bands=()
) -> tuple[SpectraTable, np.ndarray]:
    """Resample a table to the good bands of a scene that it covers.

    Parameters
    ----------
    table : SpectraTable
    path : Path
        ENVI header or data file, or GeoTIFF.
    bad_bands : sequence of (low, high), nm
        Ranges of the scene to leave out as well.

    Returns
    -------
    table : SpectraTable
        Its bands are the scene's, ascending.
    fwhm : ndarray of shape (n_bands,), nm

    Raises
    ------
    ValueError
        If the scene does not say its wavelengths, or fewer than three bands are left.
    """
    nm, fwhm = _good_bands(open_source(path), path, bad_bands)
    resampler = SensorResampler(
        nm,
        fwhm=fwhm,
        wavelengths=table.wavelengths.tolist(),
        # A table's bands are as a rule no narrower than they are apart.
        source_fwhm=fwhm_of_spacing(table.wavelengths),
        on_missing="nan",
    )
    X = resampler.fit_transform(table.X)
    covered = np.isfinite(X).all(axis=0)
    found = nm[covered]
    if len(found) < 3:
        raise ValueError(
            f"the table covers {len(found)} of the {len(nm)} good bands of --scene {path}; at "
            "least 3 are needed."
        )
    print(
        f"in the bands of {path.name}: {len(found)} from {found[0]:g} to {found[-1]:g} nm"
        + ("" if covered.all() else f"; the table does not cover {(~covered).sum()} more")
    )
    columns = [f"{centre:g}" for centre in found]
    return replace(table, X=X[:, covered], wavelengths=found, columns=columns), fwhm[covered]


def _good_bands(source: Source, path: Path, bad_bands) -> tuple[np.ndarray, np.ndarray]:
    """Centres and widths in nm of the bands that are good, ascending, each once."""
    nm = source.wavelengths
    if nm is None:
        raise ValueError(
            f"--scene {path} does not say the wavelengths of its bands, to which the spectra are "
            "to be brought: write them into its header, or train without --scene and give them to "
            "`map` as --wavelengths."
        )
    usable = source.usable() & np.isfinite(nm)
    for low, high in bad_bands:  # the table has some there, the scene need not
        usable &= ~((nm >= low - SAME_BAND) & (nm <= high + SAME_BAND))
    kept = np.flatnonzero(usable)
    fwhm = _widths(source, path, kept)
    order = np.argsort(nm[kept], kind="stable")
    nm, fwhm = nm[kept][order], fwhm[order]
    # Where two spectrometers overlap, one of two bands at the same place says it all.
    single = np.diff(nm, prepend=-np.inf) > SAME_BAND
    if single.sum() < 3:
        raise ValueError(
            f"--scene {path} has too few good bands: {single.sum()}, and at least 3 are needed."
        )
    return nm[single], fwhm[single]


def _widths(source: Source, path: Path, bands: np.ndarray) -> np.ndarray:
    """FWHM of these bands in nm, from the ENVI header, or else the distance between them."""
    n_bands = source.shape[2]
    header = (
        EnviFields(source.header_path)
        if isinstance(source, EnviSource)
        else sidecar_header(path, n_bands)
    )
    widths = None if header is None else header.fwhm(n_bands)
    if widths is not None and (widths[bands] > 0).all():
        return widths[bands]
    warn(
        f"--scene {path} gives no fwhm for its bands: the distance between them is taken for their "
        "width. Write 'fwhm' into its header where it is known."
    )
    assert source.wavelengths is not None  # the caller has looked
    if len(bands) < 2:
        return np.ones(len(bands))
    # Gaps where bands are bad make neighbours no wider.
    known = np.isfinite(source.wavelengths)
    widths = np.full(n_bands, np.nan)
    widths[known] = fwhm_of_spacing(source.wavelengths[known])
    return widths[bands]
