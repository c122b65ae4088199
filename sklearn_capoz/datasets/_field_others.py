"""Spectra of what a library does not hold, so that a model can learn what it does not know.

Three kinds: records of the embedded tables and made ones with absorptions anywhere, both as far as
they resemble none of the library's, and ground without any absorption, down to nothing but noise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from ..spectral import SensorResampler, SpectralMatcher
from ._field import make_field_spectra
from ._field_air import noise_curve
from ._usgs_backgrounds import load_usgs_backgrounds
from ._usgs_minerals import load_usgs_minerals

__all__ = ["OtherRecords", "make_other_spectra", "other_records"]

#: Record of the library and record of a table that correlate as well as this may be one mineral,
#: or two that nobody tells apart from the air. At 0.9 nearly featureless minerals are lost with
#: whatever is a little like them.
SAME_MINERAL = 0.8

#: Bands of the embedded tables, and the narrowest that they were averaged to, nm.
TABLE_FWHM = 10.0

#: Parts of minerals, of plants, snow and water, of absorptions anywhere, and of ground without any.
#: Of plants, snow and water there are few records, and most of the land is covered by them.
PARTS = (0.2, 0.15, 0.15, 0.5)

#: Made records to draw from, and absorptions that one has at most.
N_MADE, MOST_ABSORPTIONS = 500, 5


class OtherRecords(NamedTuple):
    """Records that resemble none of a library, each of shape (n_records, n_bands)."""

    minerals: np.ndarray
    cover: np.ndarray
    made: np.ndarray


def other_records(X: np.ndarray, nm: np.ndarray, fwhm: np.ndarray, rng) -> OtherRecords:
    """Return embedded and made records that resemble no record of a library, in its bands.

    Parameters
    ----------
    X : ndarray of shape (n_records, n_bands), reflectance
        The library, in ascending bands.
    nm, fwhm : ndarray of shape (n_bands,), nm
    rng : RandomState

    Returns
    -------
    OtherRecords
        Where an embedded table does not reach, it goes on as some record of the library does, so
        that the bands that it has are what tells the two apart. What has less than half of the
        bands is left out.
    """
    matcher = SpectralMatcher(wavelengths=nm).fit(X, np.arange(len(X)))
    tables = (load_usgs_minerals(), load_usgs_backgrounds())
    kinds = *(_measured(table, X, nm, fwhm) for table in tables), _absorptions(nm, rng)
    return OtherRecords(*(one[_unlike(matcher, one)] for one in kinds))


def _measured(table, X: np.ndarray, nm: np.ndarray, fwhm: np.ndarray) -> np.ndarray:
    """Return records of a table in the bands; what it has not, goes on as the library does."""
    records = _in_bands(table, nm, fwhm)
    records = records[np.isfinite(records).mean(axis=1) >= 0.5]
    for number, record in enumerate(records):
        _go_on(record, X[number % len(X)])
    return records[(records > 0).all(axis=1)]


def _unlike(matcher: SpectralMatcher, records: np.ndarray) -> np.ndarray:
    if not len(records):
        return np.zeros(0, bool)
    return matcher.similarity(records).max(axis=1) < SAME_MINERAL


def _in_bands(table, nm, fwhm) -> np.ndarray:
    ends = table.wavelengths[[0, -1]]
    if not ((nm > ends[0]) & (nm < ends[1])).any():
        return np.empty((0, len(nm)))
    resampler = SensorResampler(
        nm,
        fwhm=fwhm,
        wavelengths=table.wavelengths,
        source_fwhm=TABLE_FWHM,
        on_missing="nan",
    )
    return resampler.fit_transform(table.data)


def _go_on(record: np.ndarray, other: np.ndarray) -> None:
    """Fill the bands that a record lacks from another, brought to its level where they meet."""
    measured = np.flatnonzero(np.isfinite(record))
    for band in np.flatnonzero(~np.isfinite(record)):
        nearest = measured[np.abs(measured - band).argmin()]
        record[band] = other[band] * record[nearest] / max(other[nearest], 1e-6)


def make_other_spectra(
    others: OtherRecords,
    nm: np.ndarray,
    fwhm: np.ndarray,
    shift,
    n_samples: int,
    random_state=None,
    noise=None,
) -> np.ndarray:
    """Make spectra of other materials as the field shows them.

    Parameters
    ----------
    others : OtherRecords
        As `other_records` finds them; there may be none.
    nm, fwhm : ndarray of shape (n_bands,), nm, ascending
    shift, random_state, noise
        As in `make_field_spectra`.
    n_samples : int

    Returns
    -------
    ndarray of shape (n_samples, n_bands)
    """
    rng = check_random_state(random_state)
    spectra = []
    for records, part in zip(others, PARTS, strict=False):
        n = int(part * n_samples) if len(records) else 0
        if n:
            settings = {"wavelengths": nm, "fwhm": fwhm, "shift": shift, "noise": noise}
            of = np.zeros(len(records), int)
            settings |= {"groups": np.arange(len(records)), "n_samples": n, "random_state": rng}
            spectra.append(make_field_spectra(records, of, **settings)[0])
    n_left = n_samples - sum(map(len, spectra))
    return np.vstack([*spectra, _without_absorptions(n_left, nm, fwhm, rng)])


def _absorptions(nm: np.ndarray, rng) -> np.ndarray:
    """Draw records with absorptions of any place, width and depth on a smooth ground."""
    n, along = N_MADE, (nm - nm[0]) / (nm[-1] - nm[0])
    X = _lines(n, along, rng)
    for _ in range(3):
        waves, phase = rng.randint(1, 4, (n, 1)), rng.uniform(0, 2 * np.pi, (n, 1))
        X *= np.exp(0.15 * rng.standard_normal((n, 1)) * np.cos(np.pi * waves * along + phase))
    narrow, wide = np.median(np.diff(nm)), (nm[-1] - nm[0]) / 4
    n_absorptions = rng.randint(0, MOST_ABSORPTIONS + 1, (n, 1))
    for number in range(MOST_ABSORPTIONS):
        centre = rng.uniform(nm[0], nm[-1], (n, 1))
        width = np.exp(rng.uniform(*np.log(sorted((narrow, wide))), (n, 1)))
        depth = rng.exponential(0.25, (n, 1)) * (number < n_absorptions)
        X *= np.exp(-depth * np.exp(-0.5 * ((nm - centre) / width) ** 2))
    return np.clip(X, 1e-4, 1)


def _without_absorptions(n: int, nm, fwhm, rng) -> np.ndarray:
    """Draw flat and sloped ground, and with it any noise, up to more than there is light."""
    X = _lines(n, (nm - nm[0]) / (nm[-1] - nm[0]), rng)
    noise = 10 ** rng.uniform(-4, 0.3, (n, 1)) * noise_curve(nm, fwhm)
    return X * (1 + noise * rng.standard_normal(X.shape))


def _lines(n: int, along: np.ndarray, rng) -> np.ndarray:
    """Draw straight lines, every second of them flat."""
    low, high = rng.uniform(0.02, 0.8, (2, n, 1))
    flat = rng.uniform(size=(n, 1)) < 0.5
    return low + np.where(flat, 0, high - low) * along
