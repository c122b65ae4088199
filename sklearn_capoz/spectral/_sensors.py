"""Where the bands of well-known imaging spectrometers lie, and how wide they are."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

__all__ = ["SENSORS", "Sensor"]


@dataclass(frozen=True, eq=False)
class Sensor:
    """The bands of an imaging spectrometer, each a Gaussian of the wavelength.

    Parameters
    ----------
    name : str
        What it is called in messages.
    wavelengths : ndarray of shape (n_bands,), nm
        Band centres, in the order of its files: where two spectrometers overlap, not ascending.
    fwhm : ndarray of shape (n_bands,), nm
        Full width at half maximum of each band's response.

    Raises
    ------
    ValueError
        If centres and widths are not as many, or one of them is not positive and finite.

    Examples
    --------
    >>> from sklearn_capoz.spectral import SENSORS, Sensor
    >>> emit = SENSORS["emit"]
    >>> len(emit.wavelengths), emit.wavelengths[-1].round(), emit.fwhm[0]
    (285, np.float64(2493.0), np.float64(8.5))
    >>> Sensor("of a scene's header", wavelengths=[2190, 2200, 2210], fwhm=[10, 10, 10]).name
    "of a scene's header"
    """

    name: str
    wavelengths: np.ndarray
    fwhm: np.ndarray

    def __post_init__(self):
        for part in ("wavelengths", "fwhm"):
            values = np.array(getattr(self, part), dtype=float)
            values.flags.writeable = False
            object.__setattr__(self, part, values)
        if self.wavelengths.ndim != 1 or self.wavelengths.shape != self.fwhm.shape:
            raise ValueError(
                f"{self.name}: wavelengths and fwhm need one value per band, got shapes "
                f"{self.wavelengths.shape} and {self.fwhm.shape}."
            )
        values = np.concatenate([self.wavelengths, self.fwhm])
        if not len(values) or not (np.isfinite(values).all() and (values > 0).all()):
            raise ValueError(f"{self.name}: wavelengths and fwhm must be positive and finite, nm.")


def _evenly(name: str, *spectrometers: tuple[float, float, int, float]) -> Sensor:
    """Make a sensor of spectrometers (first centre, last centre, bands, FWHM), spaced evenly."""
    centres = [np.linspace(first, last, n) for first, last, n, _ in spectrometers]
    widths = [np.full(n, fwhm) for _, _, n, fwhm in spectrometers]
    return Sensor(name, np.concatenate(centres), np.concatenate(widths))


#: Nominal sensors by name. Each is a few spectrometers with evenly spaced bands of one width, from
#: the published facts named beside it; a true band may lie a few nm beside its nominal place. The
#: header of a scene knows its own bands better, so where there is one, take it.
SENSORS = MappingProxyType(
    {
        # Calibration of 1995, as the USGS publishes it with its convolved library (DS 231, 2007):
        # the formula is within 1.3 nm of each of its 224 centres, and 0.4 nm of its widths.
        "aviris": _evenly(
            "AVIRIS",
            (383.15, 687.00, 32, 9.8),
            (664.30, 1268.99, 64, 8.9),
            (1252.36, 1879.55, 64, 10.4),
            (1879.90, 2508.20, 64, 9.6),
        ),
        # 425 bands at 5 nm, 376 to 2500 nm (Chapman et al. 2019, doi:10.3390/rs11182129).
        "aviris-ng": _evenly("AVIRIS-NG", (376.86, 2500.70, 425, 5.8)),
        # Four spectrometers with mean samplings of 15, 15, 13 and 17 nm (Cocks et al. 1998, 1st
        # EARSeL Workshop on Imaging Spectroscopy, table 1).
        "hymap": _evenly(
            "HyMap",
            (450.0, 885.0, 30, 15.5),
            (890.0, 1350.0, 32, 15.5),
            (1400.0, 1800.0, 32, 15.5),
            (1950.0, 2480.0, 32, 19.0),
        ),
        # All 242 channels, of which 8 to 57 and 77 to 224 are calibrated (USGS, EO-1 user guide
        # v2.3, 2003; Pearlman et al. 2003, doi:10.1109/TGRS.2003.815018).
        "hyperion": _evenly("Hyperion", (355.59, 1057.68, 70, 11.0), (851.92, 2577.08, 172, 11.0)),
        # 285 bands at 7.4 nm (Green et al. 2020, doi:10.1109/AERO47225.2020.9172731; the Level 2A
        # product guide gives the first and last centre).
        "emit": _evenly("EMIT", (381.0, 2493.0, 285, 8.5)),
        # 6.5 and 10 nm sampling on average (Guanter et al. 2015, doi:10.3390/rs70708830; the
        # products of the mission hold 91 and 133 bands).
        "enmap": _evenly("EnMAP", (418.0, 993.0, 91, 8.1), (902.0, 2445.0, 133, 12.5)),
        # Ranges, number and the greatest width of the bands (Cogliati et al. 2021,
        # doi:10.1016/j.rse.2021.112499).
        "prisma": _evenly("PRISMA", (400.0, 1010.0, 66, 12.0), (920.0, 2505.0, 173, 12.0)),
        # 235 bands at 2.55 nm, unbinned (Krutz et al. 2019, doi:10.3390/s19071622).
        "desis": _evenly("DESIS", (402.0, 1000.0, 235, 3.5)),
    }
)


def fwhm_of_spacing(wavelengths: np.ndarray) -> np.ndarray:
    """Guess the width of every band: the mean distance to its neighbours.

    Counted within each stretch of ascending or descending bands, since overlapping spectrometers
    put bands close that are not neighbours.
    """
    step = np.diff(wavelengths)
    turns = np.flatnonzero(np.sign(step) != np.sign(np.median(step))) + 1
    parts = np.split(wavelengths, turns)
    if any(len(part) < 2 for part in parts):  # no order: neighbours by wavelength
        order = np.argsort(wavelengths)
        fwhm = np.empty(len(wavelengths))
        fwhm[order] = np.gradient(wavelengths[order])
        return fwhm
    return np.concatenate([np.abs(np.gradient(part)) for part in parts])
