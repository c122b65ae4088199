"""Compiled loops over spectra: the continuum, and the absorption features under it.

The hull is found by splitting: the band farthest above the chord between two vertices is itself
a vertex. The scan for it takes several bands per instruction, since height and band number are
packed into one integer: the bits of positive floats are ordered like the floats, and the number
goes into the last binary digits. With n bands, heights are told apart to n 2^-52 of themselves,
which is the largest error this can give the continuum. Arithmetic is float64 for float32 too.

Kernels call each other at most two deep inside a loop over spectra: every further call on arrays
costs numba atomic reference counts, which are dear beside 50 bands. What a window calls for every
spectrum is inlined. All of it is one file because numba's cache on disk does not notice when a
kernel of another file changes.
"""

from typing import NamedTuple

import numpy as np

from .._compile import kernel

CONVEX, SEGMENTED, LINEAR = 0, 1, 2
DIVIDE, SUBTRACT, LOG = 0, 1, 2
PARAMETERS = ("position", "depth", "width", "area", "asymmetry", "sai", "slope")
POSITION, DEPTH, WIDTH, AREA, ASYMMETRY, SAI, SLOPE = range(len(PARAMETERS))


class Windows(NamedTuple):
    """Bands of every window, counted on the ascending axis."""

    start: np.ndarray  # (n_windows,), first band of the continuum
    width: np.ndarray  # (n_windows,), its number of bands
    low: np.ndarray  # (n_windows,), nm: the minimum lies between here ...
    high: np.ndarray  # (n_windows,), nm: ... and here
    straight: np.ndarray  # (n_windows,), bool: a line from end to end instead of the hull
    absent: np.ndarray  # (n_windows, 7), what is returned where there is no feature


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


@kernel(inline=True)
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
        continuum[j] = 1.0 if r[j] == 0.0 == level else quotient
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


@kernel
def search_bounds(wavelengths, low, high):
    """First and last band next to which a minimum between two wavelengths may lie.

    The minimum lies between bands: its lowest band may be the one before or behind the range.
    """
    n = len(wavelengths)
    first, last = 0, n - 1
    while first < n - 1 and wavelengths[first + 1] < low:
        first += 1
    while last > 0 and wavelengths[last - 1] > high:
        last -= 1
    return first, last


@kernel(inline=True)
def lowest_band(q, first, last):
    """Lowest band of a range, or -1 if it is no minimum: a flank goes on falling outside."""
    lowest = first
    level = q[first]
    for j in range(first + 1, last + 1):
        if q[j] < level:
            level = q[j]
            lowest = j
    is_inside = 0 < lowest < len(q) - 1
    return lowest if is_inside and q[lowest - 1] > level <= q[lowest + 1] else -1


@kernel(inline=True)
def on_hull(q, m, step):
    """Nearest band to one side of m that touches the hull."""
    j = m + step
    while q[j] < 1.0:
        j += step
    return j


@kernel(inline=True)
def vertex(wavelengths, q, m):
    """Wavelength of the vertex of the parabola through a band and its neighbours.

    Wavelengths relative to the band: on absolute ones the squares would cancel their last digits.
    """
    left, right = wavelengths[m - 1] - wavelengths[m], wavelengths[m + 1] - wavelengths[m]
    fall, rise = (q[m - 1] - q[m]) / left, (q[m + 1] - q[m]) / right
    curvature = (rise - fall) / (right - left)
    return wavelengths[m] - (fall - curvature * left) / (2.0 * curvature)


@kernel(inline=True)
def crossing(wavelengths, q, m, step):
    """Wavelength where the side of a feature comes back to half its depth."""
    level = 0.5 * (1.0 + q[m])
    j = m + step
    while q[j] < level:
        j += step
    share = (level - q[j]) / (q[j - step] - q[j])
    return wavelengths[j] + share * (wavelengths[j - step] - wavelengths[j])


@kernel(inline=True)
def measure_depth(wavelengths, r, q, m, s1, s2, found):
    """Fill in what the lowest band and the shoulders alone say."""
    found[DEPTH] = 1.0 - q[m]
    found[SAI] = 1.0 / q[m]
    found[SLOPE] = (r[s2] - r[s1]) / (wavelengths[s2] - wavelengths[s1])


@kernel(inline=True)
def measure_shape(wavelengths, q, m, s1, s2, found):
    """Fill in what all bands between the shoulders say; the position must be known."""
    left = found[POSITION] - crossing(wavelengths, q, m, -1)
    right = crossing(wavelengths, q, m, 1) - found[POSITION]
    found[WIDTH] = left + right
    found[ASYMMETRY] = (right - left) / (right + left)
    area = 0.0
    for j in range(s1, s2):
        area += (2.0 - q[j] - q[j + 1]) * (wavelengths[j + 1] - wavelengths[j])
    found[AREA] = 0.5 * area


@kernel(inline=True)
def quotient_to_line(wavelengths, r, q):
    """Quotient to the straight line from end to end."""
    last = len(r) - 1
    start, level = wavelengths[0], r[0]
    slope = (r[last] - level) / (wavelengths[last] - start)
    for j in range(last):
        q[j] = r[j] / (level + slope * (wavelengths[j] - start))


@kernel(inline=True)
def quotient_to_hull(wavelengths, r, stack, q):
    """Quotient to the upper convex hull."""
    last = len(r) - 1
    fill_hull(wavelengths, r, 0, last, stack, q)
    for j in range(last):
        q[j] = r[j] / q[j]


@kernel
def measure_complete(X, start, wavelengths, windows, k, selected, shape, least, out):
    """Measure window k, whose bands begin at `start`; count the rows with gaps, which wait."""
    width, straight, absent = len(wavelengths), windows.straight[k], windows.absent[k]
    low, high = windows.low[k], windows.high[k]
    first, last = search_bounds(wavelengths, low, high)
    r, q, stack = np.empty(width), np.empty(width), np.empty(width, np.intp)
    found, column = np.empty(len(PARAMETERS)), k * len(selected)
    waiting = 0
    for i in range(X.shape[0]):
        if load(X[i, start : start + width], r) < width:
            waiting += 1
            continue
        exists = width > 2 and r[0] > 0.0 and r[width - 1] > 0.0
        if exists:  # both ends are above zero, and so is the continuum
            if straight:
                quotient_to_line(wavelengths, r, q)
            else:
                quotient_to_hull(wavelengths, r, stack, q)
            q[width - 1] = 1.0
            m = lowest_band(q, first, last)
            exists = m >= 0 and 0.0 < q[m] < 1.0 - least
            if exists:
                found[POSITION] = vertex(wavelengths, q, m)
                exists = low <= found[POSITION] <= high
            if exists:
                s1, s2 = 0, width - 1
                if not straight:
                    s1, s2 = on_hull(q, m, -1), on_hull(q, m, 1)
                measure_depth(wavelengths, r, q, m, s1, s2, found)
                if shape:
                    measure_shape(wavelengths, q, m, s1, s2, found)
        if not exists:
            found[:] = absent
        for p in range(len(selected)):
            out[i, column + p] = found[selected[p]]
    return waiting


@kernel
def measure_with_gaps(X, start, wavelengths, windows, k, selected, shape, least, out):
    """Do the same for the rows that wait, on their finite bands."""
    width = len(wavelengths)
    r, at, place = np.empty(width), np.empty(width), np.empty(width, np.intp)
    for i in range(X.shape[0]):
        n = load(X[i, start : start + width], r)
        if n == width:
            continue
        if windows.straight[k] and not np.isfinite(r[0] + r[width - 1]):
            n = 0  # no line without its ends
        compress(r, wavelengths, at, place)
        row, known = r[:n].copy().reshape(1, n), np.empty((1, out.shape[1]))
        measure_complete(row, 0, at[:n], windows, k, selected, shape, least, known)
        for p in range(k * len(selected), (k + 1) * len(selected)):
            out[i, p] = known[0, p]


@kernel
def absorption_features(X, wavelengths, windows, selected, shape, least, out):
    """Measure every window of every spectrum (row of X), the windows side by side.

    A depth of at most `least` is noise. Width, area and asymmetry need `shape`.
    """
    for k in range(len(windows.start)):
        start = windows.start[k]
        bands = wavelengths[start : start + windows.width[k]]
        if measure_complete(X, start, bands, windows, k, selected, shape, least, out):
            measure_with_gaps(X, start, bands, windows, k, selected, shape, least, out)
