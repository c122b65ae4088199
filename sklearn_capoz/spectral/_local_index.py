"""Spectral absorption index of every band against shoulders at fixed distances.

Shoulders and centre are means over a few neighbouring bands. A mean reflectance belongs to the mean
wavelength of its bands, so a straight spectrum has the index 1 at any spacing.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit


@dataclass(frozen=True)
class Shoulders:
    """First and last band (both included) of left shoulder, centre and right shoulder."""

    spans: np.ndarray  # (n_indices, 6), intp
    band: np.ndarray  # (n_indices,), intp: the band that the index belongs to


def place_shoulders(wavelengths, bands, left, right, shoulder_bands, centre_bands):
    """Spans around `bands` with shoulders nearest to the wavelengths `left` and `right`."""
    last = len(wavelengths) - 1
    spans = np.empty((len(bands), 6), dtype=np.intp)
    places = (_nearest(wavelengths, left), bands, _nearest(wavelengths, right))
    widths = (shoulder_bands, centre_bands, shoulder_bands)
    for k, (place, width) in enumerate(zip(places, widths, strict=True)):
        spans[:, 2 * k] = np.maximum(place - width // 2, 0)
        spans[:, 2 * k + 1] = np.minimum(place + width // 2, last)
    return Shoulders(spans, np.asarray(bands, dtype=np.intp))


def _nearest(wavelengths, wanted):
    return np.abs(np.asarray(wanted)[:, None] - wavelengths).argmin(axis=1)


@njit(nogil=True, cache=True)
def mean_over(r, wavelengths, first, last):
    """Mean reflectance and mean wavelength of the finite bands of a span; NaN if none is."""
    n, total, at = 0, 0.0, 0.0
    for j in range(first, last + 1):
        if np.isfinite(r[j]):
            n += 1
            total += r[j]
            at += wavelengths[j]
    if n == 0:
        return np.nan, np.nan
    return total / n, at / n


@njit(nogil=True, cache=True)
def index_from(r1, at1, rm, atm, r2, at2):
    """SAI = Rc / R_m; 1 where the shoulders do not enclose the centre or both are zero."""
    if not (at1 < atm < at2):
        return np.nan if np.isnan(at1 + atm + at2) else 1.0
    d = (atm - at2) / (at1 - at2)
    continuum = d * r1 + (1.0 - d) * r2
    if continuum == rm:
        return 1.0
    if continuum > 0.0 and rm > 0.0:
        return continuum / rm
    return np.nan


@njit(nogil=True, cache=True)
def shoulder_index(X, wavelengths, spans, band, out):
    """SAI of every row of X for every row of `spans`."""
    for i in range(X.shape[0]):
        r = X[i]
        for k in range(spans.shape[0]):
            if not np.isfinite(r[band[k]]):
                out[i, k] = np.nan
                continue
            r1, at1 = mean_over(r, wavelengths, spans[k, 0], spans[k, 1])
            rm, atm = mean_over(r, wavelengths, spans[k, 2], spans[k, 3])
            r2, at2 = mean_over(r, wavelengths, spans[k, 4], spans[k, 5])
            out[i, k] = index_from(r1, at1, rm, atm, r2, at2)
