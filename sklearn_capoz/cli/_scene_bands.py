"""From the table's bands to the scene's: what the sensor would have measured of the spectra."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from .._warn import warn
from ..formats._csv_table import SpectraTable
from ..formats._envi_fields import EnviFields
from ..scenes._open import open_source
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
    source = open_source(path)
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
    kept, fwhm = kept[order], fwhm[order]
    # Where two spectrometers overlap, one of two bands at the same place says it all.
    single = np.diff(nm[kept], prepend=-np.inf) > SAME_BAND
    kept, fwhm = kept[single], fwhm[single]
    if len(kept) < 3:
        raise ValueError(f"--scene {path} has {len(kept)} good bands; at least 3 are needed.")
    resampler = SensorResampler(
        nm[kept],
        fwhm=fwhm,
        wavelengths=table.wavelengths.tolist(),
        # A table's bands are as a rule no narrower than they are apart.
        source_fwhm=fwhm_of_spacing(table.wavelengths),
        on_missing="nan",
    )
    X = resampler.fit_transform(table.X)
    covered = np.isfinite(X).all(axis=0)
    found = nm[kept][covered]
    if len(found) < 3:
        raise ValueError(
            f"the table covers {len(found)} of the {len(kept)} good bands of --scene {path}; at "
            "least 3 are needed."
        )
    print(
        f"in the bands of {path.name}: {len(found)} from {found[0]:g} to {found[-1]:g} nm"
        + ("" if covered.all() else f"; the table does not cover {(~covered).sum()} more")
    )
    columns = [f"{centre:g}" for centre in found]
    return replace(table, X=X[:, covered], wavelengths=found, columns=columns), fwhm[covered]


def _widths(source: Source, path: Path, bands: np.ndarray) -> np.ndarray:
    """FWHM of these bands in nm, from the ENVI header, or else the distance between them."""
    header = getattr(source, "header_path", None)
    if header is None:  # a GeoTIFF may have one beside it
        beside = (path.with_name(f"{path.name}.hdr"), path.with_suffix(".hdr"))
        header = next((p for p in beside if p.is_file()), None)
    n_bands = source.shape[2]
    if header is not None:
        fields = EnviFields(header)
        if fields.count("bands", 0) == n_bands:
            widths = fields.fwhm(n_bands)
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
