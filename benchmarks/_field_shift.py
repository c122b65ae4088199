"""Laboratory spectra as the field may show them: dilution, band depth, bands, light, air, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_capoz.datasets import CUPRITE_MINERALS, fetch_usgs_splib
from sklearn_capoz.spectral import ContinuumRemoval

#: Nearly featureless minerals of the ground that dilute the others.
DILUTING = ("Quartz", "Hematite", "Goethite")


@dataclass(frozen=True, eq=False)
class Library:
    """USGS spectra of 23 pure minerals in the 50 bands of Cuprite."""

    reflectance: np.ndarray  # (n_spectra, 50)
    minerals: np.ndarray  # (n_spectra,)
    samples: np.ndarray  # (n_spectra,)
    wavelengths: np.ndarray  # (50,), nm

    def __getitem__(self, rows: np.ndarray) -> Library:
        kept = (self.reflectance[rows], self.minerals[rows], self.samples[rows])
        return Library(*kept, self.wavelengths)

    @property
    def seven(self) -> np.ndarray:
        """Which spectra are of the minerals to tell apart."""
        return np.isin(self.minerals, CUPRITE_MINERALS)


def load_library(data_home) -> Library:
    """Load what a model of the laboratory may know."""
    splib = fetch_usgs_splib(data_home=data_home)
    bands = splib.cuprite_bands
    reflectance = splib.data[:, bands].astype(float)
    minerals = splib.target_names[splib.target]
    return Library(reflectance, minerals, splib.samples, splib.wavelengths[bands])


@dataclass(frozen=True)
class Shift:
    """How far the field may be from the laboratory.

    Parameters
    ----------
    dilution : float
        Largest part of a featureless mineral.
    depth : float
        Band depth: the hull quotient is raised to a power between 1 - depth and 1 + depth.
    band_error : float
        Largest error of the wavelengths, nm.
    co2, water : float
        Standard deviation of the absorption left at 2005 and 2060 nm, and from 2400 nm on, as
        optical depth.
    gain : float
        Standard deviation of the relative calibration error of a band.
    noise : float
        Standard deviation relative to reflectance; a spectrum has 0.3 to 1.7 times as much.
    one_scene : bool
        The spectra share wavelengths, air and calibration, as the pixels of a scene do.
    """

    dilution: float
    depth: float
    band_error: float
    co2: float
    water: float
    gain: float
    noise: float
    one_scene: bool = False


#: Largest relative change of slope and curvature, from the centre to the ends.
TILT, BEND = 0.3, 0.1


def to_field(reflectance: np.ndarray, library: Library, shift: Shift, rng) -> np.ndarray:
    """Return the spectra as the field may show them."""
    return observe(dilute(reflectance, library, shift, rng), library.wavelengths, shift, rng)


def dilute(reflectance: np.ndarray, library: Library, shift: Shift, rng) -> np.ndarray:
    """Change the depth of all bands, and mix in a featureless mineral."""
    n = len(reflectance)
    quotient = ContinuumRemoval(library.wavelengths).fit_transform(reflectance)
    X = reflectance * quotient ** (rng.uniform(1 - shift.depth, 1 + shift.depth, (n, 1)) - 1)
    diluting = library.reflectance[np.isin(library.minerals, DILUTING)]
    part = rng.uniform(0, shift.dilution, (n, 1))
    return (1 - part) * X + part * diluting[rng.choice(len(diluting), n)]


def observe(X: np.ndarray, nm: np.ndarray, shift: Shift, rng) -> np.ndarray:
    """Return the spectra as a sensor sees them, and what calibration leaves, in bands at nm."""
    n, scenes = len(X), 1 if shift.one_scene else len(X)
    X = _move_bands(X, nm, rng.uniform(-shift.band_error, shift.band_error, (scenes, 1)))
    along = np.linspace(-1, 1, len(nm))
    tilt, bend = rng.uniform(-TILT, TILT, (n, 1)), rng.uniform(-BEND, BEND, (n, 1))
    X *= 1 + tilt * along + bend * along**2
    X *= np.exp(-_residual_absorption(scenes, nm, shift, rng))
    noise = shift.noise * rng.uniform(0.3, 1.7, (n, 1))
    return X * (1 + noise * rng.standard_normal(X.shape))


def draw_by_sample(library: Library, n_per_mineral: int, rng) -> np.ndarray:
    """Draw rows: the same number for each of the seven minerals, and its samples evenly."""
    drawn = []
    for mineral in np.unique(library.minerals[library.seven]):
        rows = np.flatnonzero(library.minerals == mineral)
        samples = np.unique(library.samples[rows])
        for sample in rng.choice(samples, n_per_mineral):
            drawn.append(rng.choice(rows[library.samples[rows] == sample]))
    return np.array(drawn)


def draw_any(library: Library, n: int, rng) -> np.ndarray:
    """Draw n spectra of the library, its minerals evenly."""
    _, mineral, count = np.unique(library.minerals, return_inverse=True, return_counts=True)
    weight = 1 / count[mineral] / len(count)
    return library.reflectance[rng.choice(len(weight), n, p=weight)]


def mix(first: np.ndarray, second: np.ndarray, most: float, rng) -> np.ndarray:
    """Mix the second spectra into the first, in any part up to `most`."""
    part = rng.uniform(0, most, (len(first), 1))
    return (1 - part) * first + part * second


def _move_bands(X: np.ndarray, nm: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Sample each spectrum where its bands really lie, linearly between neighbours."""
    place = np.interp(nm + error, nm, np.arange(len(nm)))
    left = np.minimum(place.astype(int), len(nm) - 2)
    rows, right_part = np.arange(len(X))[:, None], place - left
    return (1 - right_part) * X[rows, left] + right_part * X[rows, left + 1]


def _residual_absorption(n: int, nm: np.ndarray, shift: Shift, rng) -> np.ndarray:
    """Draw what atmospheric correction and calibration leave, as optical depth."""
    bands = np.exp(-0.5 * ((nm - [[2005], [2060]]) / [[14], [12]]) ** 2)
    wing = np.clip((nm - 2400) / 80, 0, 1)
    co2 = shift.co2 * rng.standard_normal((n, 2)) @ bands
    water = rng.standard_normal((n, 1)) + rng.standard_normal((n, len(nm))) / 2
    return co2 + shift.water * wing * water + shift.gain * rng.standard_normal((n, len(nm)))
