"""From the table's bands to the scene's: what the sensor would have measured of the spectra."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..formats._csv_table import SpectraTable
from ..scenes._good_bands import good_bands, widths
from ..scenes._open import open_source
from ..scenes._source import Source
from ..spectral import SENSORS, SensorResampler
from ..spectral._sensors import fwhm_of_spacing
from ..spectral._wavelengths import SAME_BAND, bands_named, wavelengths_nm

__all__ = ["Bands", "bands_of", "in_bands", "mask_of_bad_bands"]


@dataclass(frozen=True, eq=False)
class Bands:
    """Bands to train in.

    Parameters
    ----------
    nm, fwhm : ndarray of shape (n_bands,), nm
        Centres, ascending, and widths.
    name : str
        Whose they are.
    """

    nm: np.ndarray
    fwhm: np.ndarray
    name: str

    def fwhm_at(self, nm: np.ndarray) -> np.ndarray:
        """Widths of some of the bands."""
        return self.fwhm[np.searchsorted(self.nm, nm)]

    def resampled(self, spectra: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Bring spectra, each with wavelengths of its own, to the bands; NaN where one has none.

        Parameters
        ----------
        spectra : list of (wavelengths in nm, reflectance), ndarray of shape (n,)

        Returns
        -------
        X : ndarray of shape (n_spectra, n_bands)
        """
        X = np.full((len(spectra), len(self.nm)), np.nan)
        alike: dict[bytes, list[int]] = {}
        for number, (nm, _) in enumerate(spectra):
            alike.setdefault(nm.tobytes(), []).append(number)
        for numbers in alike.values():
            nm = spectra[numbers[0]][0]
            if not ((self.nm >= nm.min()) & (self.nm <= nm.max())).any():
                continue  # of another range altogether
            resampler = SensorResampler(
                self.nm,
                fwhm=self.fwhm,
                wavelengths=nm.tolist(),
                # Bands of a library are as a rule no narrower than they are apart.
                source_fwhm=fwhm_of_spacing(nm),
                on_missing="nan",
            )
            X[numbers] = resampler.fit_transform(np.array([spectra[n][1] for n in numbers]))
        return X


def bands_of(arguments: argparse.Namespace) -> Bands | None:
    """Bands of the scene or the sensor that is asked for, without the bad ones.

    Raises
    ------
    ValueError
        If a scene does not say its wavelengths, or fewer than three bands are left.
    """
    if arguments.scene is not None:
        path = arguments.scene
        nm, fwhm = _good_bands(open_source(path), path, arguments.bad_bands)
        return Bands(nm, fwhm, path.name)
    if arguments.sensor is None:
        return None
    sensor = SENSORS[arguments.sensor]
    order = np.argsort(sensor.wavelengths, kind="stable")
    nm = sensor.wavelengths[order]
    good = ~bands_named(nm, arguments.bad_bands, sensor.name)
    # Where two spectrometers overlap, one of two bands at the same place says it all.
    good &= np.diff(nm, prepend=-np.inf) > SAME_BAND
    return Bands(nm[good], sensor.fwhm[order][good], sensor.name)


def in_bands(table: SpectraTable, bands: Bands) -> tuple[SpectraTable, np.ndarray]:
    """Resample a table to the bands that it covers.

    Parameters
    ----------
    table : SpectraTable
    bands : Bands

    Returns
    -------
    table : SpectraTable
        In these bands, ascending.
    fwhm : ndarray of shape (n_bands,), nm

    Raises
    ------
    ValueError
        If fewer than three bands are left.
    """
    X = bands.resampled([(table.wavelengths, spectrum) for spectrum in table.X])
    covered = np.isfinite(X).all(axis=0)
    found = bands.nm[covered]
    if len(found) < 3:
        reach = f"{table.wavelengths.min():g} to {table.wavelengths.max():g} nm"
        raise ValueError(
            f"the table reaches from {reach} and covers {len(found)} of the {len(bands.nm)} good "
            f"bands of {bands.name}; at least 3 are needed. Check the units of both."
        )
    print(
        f"in the bands of {bands.name}: {len(found)} from {found[0]:g} to {found[-1]:g} nm"
        + ("" if covered.all() else f"; the table does not cover {(~covered).sum()} more")
    )
    columns = [f"{centre:g}" for centre in found]
    return replace(table, X=X[:, covered], wavelengths=found, columns=columns), bands.fwhm[covered]


def _good_bands(source: Source, path: Path, bad_bands) -> tuple[np.ndarray, np.ndarray]:
    """Centres and widths in nm of the bands that are good, ascending, each once."""
    nm = source.wavelengths
    if nm is None:
        raise ValueError(
            f"--scene {path} does not say the wavelengths of its bands, to which the spectra are "
            "to be brought: write them into its header, or train without --scene and give them to "
            "`map` as --wavelengths."
        )
    usable = source.usable()
    for low, high in bad_bands:  # the table has some there, the scene need not
        usable = usable & ~((nm >= low - SAME_BAND) & (nm <= high + SAME_BAND))
    bands = good_bands(source, usable, f"--scene {path}")
    return nm[bands], widths(source, path, bands, f"--scene {path}")


def mask_of_bad_bands(scene: Path, ranges, wavelengths=None) -> np.ndarray | None:
    """Mask of the bands to leave out: those in the ranges, and those that the file calls bad.

    Parameters
    ----------
    scene : Path
    ranges : sequence of (low, high), nm, or None
        Without any there is nothing to say beside what the file says: None.
    wavelengths : list of float or None
        Band centres of the scene; None takes the file's.

    Raises
    ------
    ValueError
        If nobody says the wavelengths, or a range names no band.
    """
    if not ranges:
        return None
    source = open_source(scene)
    nm = source.wavelengths
    if wavelengths is not None:
        nm = wavelengths_nm(None, source.shape[2], wavelengths)
    if nm is None:
        raise ValueError(
            f"--bad-bands are wavelengths, and {scene} does not say those of its bands: give them "
            "with --wavelengths."
        )
    # A band without a wavelength is of no use.
    bad = bands_named(nm, ranges, "the scene") | ~np.isfinite(nm)
    return bad if source.good is None else bad | ~source.good
