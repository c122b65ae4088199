"""The steps from a laboratory spectrum to a pixel, in the order in which light takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..spectral import ContinuumRemoval
from ._field_air import GASES, gas_shape, noise_curve

__all__ = ["SHIFTS", "FieldShift", "dilute", "draw_records", "mix", "observe", "regrain"]


@dataclass(frozen=True, kw_only=True)
class FieldShift:
    """How far the field may be from the laboratory.

    Every setting is a largest or typical change, 0 for none; each made spectrum draws its own.

    Parameters
    ----------
    mixing : float, default=0
        Largest part of another record of the library, at most 0.5: what names the spectrum stays
        its largest part.
    intimate : float, default=0
        Part of those mixtures that are grains side by side instead of patches: their albedo is
        mixed and not their reflectance.
    dilution : float, default=0
        Largest part of the background, linearly.
    depth : float, default=0
        Band depth: the hull quotient is raised to a power between 1 - depth and 1 + depth.
    grain : float, default=0
        Standard deviation of the logarithm of grain size relative to the record's.
    tilt, bend : float, default=0
        Largest relative change of slope and curvature, from the middle of the spectrum to its ends.
    shade : float, default=0
        Largest part of the light that slope and shadow take.
    band_error : float, nm, default=0
        Largest error of the wavelengths.
    oxygen, water, carbon_dioxide : float, default=0
        Standard deviation of what correction leaves of each gas, as optical depth in its strongest
        band (for water: from 2480 nm on; its bands at 1380 and 1870 nm have three times as much).
    gain : float, default=0
        Standard deviation of the relative calibration error of a band.
    noise : float, default=0
        Standard deviation relative to reflectance at 2200 nm, one over the signal-to-noise ratio
        there; elsewhere by the photons of the sun. A spectrum has 0.3 to 1.7 times as much.
    one_scene : bool, default=False
        The spectra share wavelengths, air and calibration, as the pixels of a scene do.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from sklearn_capoz.datasets import SHIFTS
    >>> dark = replace(SHIFTS["middle"], shade=0.9, noise=0.03)
    """

    mixing: float = 0
    intimate: float = 0
    dilution: float = 0
    depth: float = 0
    grain: float = 0
    tilt: float = 0
    bend: float = 0
    shade: float = 0
    band_error: float = 0
    oxygen: float = 0
    water: float = 0
    carbon_dioxide: float = 0
    gain: float = 0
    noise: float = 0
    one_scene: bool = False

    def __post_init__(self):
        largest = {"mixing": 0.5, "tilt": 0.5, "bend": 0.5, "shade": 0.99, "depth": 1}
        largest |= {"intimate": 1, "dilution": 1}
        for name in self.__dataclass_fields__:
            value, most = getattr(self, name), largest.get(name, np.inf)
            if not 0 <= value <= most or not np.isfinite(value):
                raise ValueError(
                    f"{name} of a FieldShift must be from 0 to {most:g}, got {value!r}."
                )


#: Nobody knows how far the field is: three guesses, from a clear day over bare ground to a bad one.
SHIFTS = {
    "mild": FieldShift(
        tilt=0.3,
        bend=0.1,
        mixing=0.2,
        intimate=0.5,
        dilution=0.4,
        depth=0.2,
        grain=0.2,
        shade=0.3,
        band_error=0.5,
        oxygen=0.02,
        water=0.01,
        carbon_dioxide=0.01,
        gain=0.001,
        noise=0.004,
    ),
    "middle": FieldShift(
        tilt=0.3,
        bend=0.1,
        mixing=0.35,
        intimate=0.5,
        dilution=0.6,
        depth=0.3,
        grain=0.4,
        shade=0.5,
        band_error=2,
        oxygen=0.05,
        water=0.02,
        carbon_dioxide=0.03,
        gain=0.003,
        noise=0.008,
    ),
    "strong": FieldShift(
        tilt=0.3,
        bend=0.1,
        mixing=0.5,
        intimate=0.5,
        dilution=0.8,
        depth=0.5,
        grain=0.6,
        shade=0.8,
        band_error=2,
        oxygen=0.1,
        water=0.04,
        carbon_dioxide=0.08,
        gain=0.006,
        noise=0.012,
    ),
}


def draw_records(y: np.ndarray, groups: np.ndarray, n_samples: int, rng) -> np.ndarray:
    """Draw rows, in random order: classes as evenly as can be, and the groups of each evenly."""
    classes = np.unique(y)
    counts = np.full(len(classes), n_samples // len(classes))
    counts[rng.permutation(len(classes))[: n_samples % len(classes)]] += 1
    drawn = []
    for label, count in zip(classes, counts, strict=True):
        rows = np.flatnonzero(y == label)
        for group in rng.choice(np.unique(groups[rows]), count):
            drawn.append(rng.choice(rows[groups[rows] == group]))
    return rng.permutation(np.array(drawn))


def mix(first, second, most: float, rng, intimate: float = 0) -> np.ndarray:
    """Mix the second spectra into the first, in any part up to `most`."""
    part = rng.uniform(0, most, (len(first), 1))
    patches = (1 - part) * first + part * second
    if not intimate:
        return patches
    grains = _reflectance((1 - part) * _albedo(first) + part * _albedo(second))
    return np.where(rng.uniform(size=part.shape) < intimate, grains, patches)


def regrain(X: np.ndarray, grain: float, rng) -> np.ndarray:
    """Change the grain size: light that crosses a grain n times as long is absorbed n times."""
    size = np.exp(grain * rng.standard_normal((len(X), 1)))
    return _reflectance(_albedo(X) ** size)


def _albedo(reflectance):
    """Single-scattering albedo of a deep layer with that diffusive reflectance (Hapke 1981)."""
    r = np.clip(reflectance, 1e-6, 1 - 1e-6)
    return 1 - ((1 - r) / (1 + r)) ** 2


def _reflectance(albedo):
    """Diffusive reflectance of a deep layer of grains (Hapke 1981, doi:10.1029/JB086iB04p03039)."""
    gamma = np.sqrt(1 - albedo)
    return (1 - gamma) / (1 + gamma)


def dilute(X: np.ndarray, nm: np.ndarray, background: np.ndarray, shift: FieldShift, rng):
    """Change the depth of all bands, and mix in spectra of the background."""
    n = len(X)
    if shift.depth:
        quotient = ContinuumRemoval(nm).fit_transform(X)
        X = X * quotient ** (rng.uniform(1 - shift.depth, 1 + shift.depth, (n, 1)) - 1)
    return mix(X, background[rng.choice(len(background), n)], shift.dilution, rng)


def observe(X: np.ndarray, nm, shift: FieldShift, rng, fwhm=None, noise=0.0) -> np.ndarray:
    """Return the spectra as a sensor with bands at nm sees them, and what calibration leaves.

    `noise` is that of a scene, relative to reflectance; where the shift has more, it counts.
    """
    n, scenes = len(X), 1 if shift.one_scene else len(X)
    fwhm = np.abs(np.gradient(nm)) if fwhm is None else fwhm
    X = _move_bands(X, nm, rng.uniform(-shift.band_error, shift.band_error, (scenes, 1)))
    along = 2 * (nm - nm[0]) / (nm[-1] - nm[0]) - 1
    tilt = rng.uniform(-shift.tilt, shift.tilt, (n, 1))
    bend = rng.uniform(-shift.bend, shift.bend, (n, 1))
    X = X * (1 + tilt * along + bend * along**2)
    X *= 1 - rng.uniform(0, shift.shade, (n, 1))
    X *= np.exp(-_residual_absorption(scenes, nm, fwhm, shift, rng))
    noise = np.maximum(shift.noise * noise_curve(nm, fwhm), noise)
    noise = rng.uniform(0.3, 1.7, (n, 1)) * noise
    return X * (1 + noise * rng.standard_normal(X.shape))


def _move_bands(X: np.ndarray, nm: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Sample each spectrum where its bands really lie, linearly between neighbours."""
    place = np.interp(nm + error, nm, np.arange(len(nm)))
    left = np.minimum(place.astype(int), len(nm) - 2)
    rows, right_part = np.arange(len(X))[:, None], place - left
    return (1 - right_part) * X[rows, left] + right_part * X[rows, left + 1]


def _residual_absorption(n: int, nm: np.ndarray, fwhm, shift: FieldShift, rng) -> np.ndarray:
    """Draw what atmospheric correction and calibration leave, as optical depth."""
    left = shift.gain * rng.standard_normal((n, len(nm)))
    for gas in GASES:
        shape = gas_shape(gas, nm, fwhm)
        if gas == "carbon_dioxide":  # one absorption is corrected too far, the next too little
            depth = rng.standard_normal((n, len(shape))) @ shape
        else:
            depth = rng.standard_normal((n, 1)) * shape.sum(axis=0)
        if gas == "water":  # its lines vary faster than bands
            depth += rng.standard_normal((n, len(nm))) / 2 * shape.sum(axis=0)
        left += getattr(shift, gas) * depth
    return left
