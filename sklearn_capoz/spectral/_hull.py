"""Continuum of a spectrum: upper convex hull, segmented hull or straight line, on real wavelengths.

The hull is found by splitting: the band farthest above the chord between two vertices is itself
a vertex. Each scan is a plain loop over neighbouring bands, without the unforeseeable pops of a
monotone chain, and noise does not slow it down. Arithmetic is float64 for float32 spectra too.
"""

import numpy as np
from numba import njit

CONVEX, SEGMENTED, LINEAR = 0, 1, 2
DIVIDE, SUBTRACT, LOG = 0, 1, 2


@njit(nogil=True, cache=True)
def highest_above_chord(wavelengths, r, first, last):
    """Band between two others that lies farthest above their chord, or -1."""
    slope = (r[last] - r[first]) / (wavelengths[last] - wavelengths[first])
    highest = 0.0
    band = -1
    for j in range(first + 1, last):
        height = (r[j] - r[first]) - slope * (wavelengths[j] - wavelengths[first])
        if height > highest:
            highest = height
            band = j
    return band


@njit(nogil=True, cache=True)
def fill_line(wavelengths, r, first, last, continuum):
    """Straight line from band `first` up to, but not including, band `last`."""
    slope = (r[last] - r[first]) / (wavelengths[last] - wavelengths[first])
    for j in range(first, last):
        continuum[j] = r[first] + slope * (wavelengths[j] - wavelengths[first])


@njit(nogil=True, cache=True)
def fill_hull(wavelengths, r, first, last, stack, continuum):
    """Upper convex hull of the bands `first` to `last`, both included."""
    stack[0] = last
    top = 0
    while top >= 0:
        last = stack[top]
        vertex = highest_above_chord(wavelengths, r, first, last)
        if vertex >= 0:
            top += 1
            stack[top] = vertex
        else:
            slope = (r[last] - r[first]) / (wavelengths[last] - wavelengths[first])
            for j in range(first, last):
                # Rounding must not put the continuum under the spectrum.
                continuum[j] = max(r[j], r[first] + slope * (wavelengths[j] - wavelengths[first]))
            first = last
            top -= 1
    continuum[last] = r[last]


@njit(nogil=True, cache=True)
def fill_continuum(wavelengths, r, n, kind, stack, continuum):
    """Continuum of the first n bands, all of them finite."""
    if n == 1:
        continuum[0] = r[0]
    elif kind == CONVEX:
        fill_hull(wavelengths, r, 0, n - 1, stack, continuum)
    elif kind == LINEAR:
        fill_line(wavelengths, r, 0, n - 1, continuum)
        continuum[n - 1] = r[n - 1]
    else:
        first = 0
        for j in range(1, n):
            if j == n - 1 or (r[j] > r[j - 1] and r[j] >= r[j + 1]):
                fill_hull(wavelengths, r, first, j, stack, continuum)
                first = j


@njit(nogil=True, cache=True)
def compress(row, wavelengths, start, stop, place, r, at):
    """Copy the finite bands of a range side by side; their number."""
    n = 0
    for j in range(start, stop):
        value = float(row[j])
        r[n] = value
        at[n] = wavelengths[j]
        place[n] = j
        n += np.isfinite(value)
    return n


@njit(nogil=True, cache=True)
def relate(r, continuum, mode):
    """One band against its continuum; NaN where the relation has no meaning."""
    if mode == SUBTRACT:
        return r - continuum
    if r == continuum:  # 0/0 included
        quotient = 1.0
    elif continuum > 0.0:
        quotient = r / continuum
    else:
        quotient = np.nan
    if mode == DIVIDE:
        return quotient
    return np.log(quotient) if quotient > 0.0 else np.nan


@njit(nogil=True, cache=True, error_model="numpy")
def remove_continuum(X, wavelengths, bounds, kind, mode, out):
    """Relate every spectrum (row of X) to its continuum, range by range.

    Range k is the bands bounds[k] to bounds[k + 1] - 1. Bands that are not finite are left out
    before the continuum is laid, and are NaN in `out`.
    """
    n_samples, n_bands = X.shape
    r = np.empty(n_bands + 1)
    at = np.empty(n_bands + 1)
    continuum = np.empty(n_bands)
    place = np.empty(n_bands + 1, np.intp)
    stack = np.empty(n_bands, np.intp)
    for i in range(n_samples):
        for k in range(len(bounds) - 1):
            n = compress(X[i], wavelengths, bounds[k], bounds[k + 1], place, r, at)
            if n < bounds[k + 1] - bounds[k]:
                out[i, bounds[k] : bounds[k + 1]] = np.nan
            if n == 0:
                continue
            fill_continuum(at, r, n, kind, stack, continuum)
            for j in range(n):
                out[i, place[j]] = relate(r[j], continuum[j], mode)
