"""Continuum of a spectrum: upper convex hull, segmented hull or straight line, on real wavelengths.

The hull is found by splitting: the band farthest above the chord between two vertices is itself
a vertex. The scan for it takes several bands per instruction, since height and band number are
packed into one integer: the bits of positive floats are ordered like the floats, and the number
goes into the last binary digits. With n bands, heights are told apart to n 2^-52 of themselves,
which is the largest error this can give the continuum. Arithmetic is float64 for float32 too.

Kernels call each other at most two deep inside a loop over spectra: every further call on arrays
costs numba atomic reference counts, which are dear beside 50 bands.
"""

import numpy as np

from .._compile import kernel

CONVEX, SEGMENTED, LINEAR = 0, 1, 2
DIVIDE, SUBTRACT, LOG = 0, 1, 2


@kernel(fastmath={"contract"})
def fill_hull(wavelengths, r, first, last, stack, continuum):
    """Upper convex hull of the bands `first` to `last`, filled up to before `last`."""
    digits = np.int64(1)
    while digits < last:
        digits = 2 * digits + 1
    stack[0] = last
    top = 0
    while top >= 0:
        last = stack[top]
        slope = (r[last] - r[first]) / (wavelengths[last] - wavelengths[first])
        chord = r[first] - slope * wavelengths[first]
        highest = np.int64(0)
        for j in range(np.uint64(first + 1), np.uint64(last)):
            height = (r[j] - slope * wavelengths[j]) - chord
            key = (np.float64(height).view(np.int64) & ~digits) | np.int64(j)
            highest = key if key > highest else highest
        if highest > digits:  # a band above the chord
            top += 1
            stack[top] = highest & digits
        else:
            for j in range(np.uint64(first), np.uint64(last)):
                # Rounding must not put the continuum under the spectrum.
                continuum[j] = max(r[j], r[first] + slope * (wavelengths[j] - wavelengths[first]))
            first = last
            top -= 1


@kernel
def next_maximum(r, first, n):
    """First local maximum behind a band, or the last band."""
    for j in range(first + 1, n - 1):
        if r[j] > r[j - 1] and r[j] >= r[j + 1]:
            return j
    return n - 1


@kernel
def fill_continuum(wavelengths, r, kind, stack, continuum):
    """Continuum of a spectrum whose bands are all finite."""
    n = len(r)
    if kind == LINEAR:
        slope = (r[n - 1] - r[0]) / (wavelengths[n - 1] - wavelengths[0])
        for j in range(n - 1):
            continuum[j] = r[0] + slope * (wavelengths[j] - wavelengths[0])
    else:
        first = 0
        while first < n - 1:
            last = n - 1 if kind == CONVEX else next_maximum(r, first, n)
            fill_hull(wavelengths, r, first, last, stack, continuum)
            first = last
    continuum[n - 1] = r[n - 1]


@kernel
def load(row, r):
    """Copy bands as float64; how many of them are finite."""
    finite = 0
    for j in range(len(row)):
        value = float(row[j])
        r[j] = value
        finite += abs(value) < np.inf
    return finite


@kernel
def compress(r, wavelengths, at, place):
    """Move the finite bands to the front, with their wavelengths and places."""
    n = 0
    for j in range(len(wavelengths)):
        if np.isfinite(r[j]):
            r[n] = r[j]
            at[n] = wavelengths[j]
            place[n] = j
            n += 1


@kernel
def relate(r, mode, continuum):
    """Replace the continuum by its relation to the bands; NaN where that has no meaning."""
    if mode == SUBTRACT:
        for j in range(len(r)):
            continuum[j] = r[j] - continuum[j]
        return
    for j in range(len(r)):
        level = continuum[j]
        quotient = r[j] / level if level > 0.0 else np.nan
        continuum[j] = 1.0 if r[j] == level else quotient  # 0/0 is 1
    if mode == LOG:
        for j in range(len(r)):
            continuum[j] = np.log(continuum[j]) if continuum[j] > 0.0 else np.nan


@kernel
def remove_from_complete(X, start, wavelengths, kind, mode, out):
    """Relate the bands from `start` on to their continuum; count the rows with gaps, which wait."""
    width = len(wavelengths)
    r, continuum, stack = np.empty(width), np.empty(width), np.empty(width, np.intp)
    waiting = 0
    for i in range(X.shape[0]):
        if load(X[i, start : start + width], r) < width:
            waiting += 1
            continue
        fill_continuum(wavelengths, r, kind, stack, continuum)
        relate(r, mode, continuum)
        row = out[i, start : start + width]
        for j in range(width):
            row[j] = continuum[j]
    return waiting


@kernel
def remove_with_gaps(X, start, wavelengths, kind, mode, out):
    """Do the same for the rows that wait, on their finite bands; the others are NaN."""
    width = len(wavelengths)
    r, at, place = np.empty(width), np.empty(width), np.empty(width, np.intp)
    for i in range(X.shape[0]):
        n = load(X[i, start : start + width], r)
        if n == width:
            continue
        out[i, start : start + width] = np.nan
        if n > 0:
            compress(r, wavelengths, at, place)
            known = np.empty((1, n))
            remove_from_complete(r[:n].copy().reshape(1, n), 0, at[:n], kind, mode, known)
            for j in range(n):
                out[i, start + place[j]] = known[0, j]


@kernel
def remove_continuum(X, wavelengths, bounds, kind, mode, out):
    """Relate every spectrum (row of X) to its continuum, range by range.

    Range k is the bands bounds[k] to bounds[k + 1] - 1. Bands that are not finite are left out
    before the continuum is laid, and are NaN in `out`.
    """
    for k in range(len(bounds) - 1):
        bands = wavelengths[bounds[k] : bounds[k + 1]]
        if remove_from_complete(X, bounds[k], bands, kind, mode, out):
            remove_with_gaps(X, bounds[k], bands, kind, mode, out)
