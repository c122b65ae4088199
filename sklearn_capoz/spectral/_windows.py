"""Absorption features inside wavelength windows: where, how deep, how wide, how lopsided."""

from typing import NamedTuple

import numpy as np

from .._compile import kernel

# numba's cache on disk does not notice when a kernel of another file changes: touch this file too.
from ._hull import compress, fill_hull, load

PARAMETERS = ("position", "depth", "width", "area", "asymmetry", "sai", "slope")
POSITION, DEPTH, WIDTH, AREA, ASYMMETRY, SAI, SLOPE = range(len(PARAMETERS))


class Windows(NamedTuple):
    """Bands of every window, counted on the ascending axis."""

    start: np.ndarray  # (n_windows,), first band of the continuum
    width: np.ndarray  # (n_windows,), its number of bands
    low: np.ndarray  # (n_windows,), nm: the lowest band is looked for from here ...
    high: np.ndarray  # (n_windows,), nm: ... to here
    straight: np.ndarray  # (n_windows,), bool: a line from end to end instead of the hull
    absent: np.ndarray  # (n_windows, 7), what is returned where there is no feature


@kernel
def search_bounds(wavelengths, low, high):
    """First and last band that lie between two wavelengths."""
    n = len(wavelengths)
    first, last = 0, n - 1
    while first < n and wavelengths[first] < low:
        first += 1
    while last >= 0 and wavelengths[last] > high:
        last -= 1
    return first, last


@kernel
def lowest_band(q, first, last):
    """Lowest band of a window, or -1 if it is the window's first or last one."""
    lowest = first
    level = q[first] if first <= last else np.nan
    for j in range(first + 1, last + 1):
        if q[j] < level:
            level = q[j]
            lowest = j
    return lowest if first < lowest < last else -1


@kernel
def on_hull(q, m, step):
    """Nearest band to one side of m that touches the hull."""
    j = m + step
    while q[j] < 1.0:
        j += step
    return j


@kernel
def vertex(wavelengths, q, m):
    """Wavelength of the vertex of the parabola through a band and its neighbours.

    Wavelengths relative to the band: on absolute ones the squares would cancel their last digits.
    """
    left, right = wavelengths[m - 1] - wavelengths[m], wavelengths[m + 1] - wavelengths[m]
    fall, rise = (q[m - 1] - q[m]) / left, (q[m + 1] - q[m]) / right
    curvature = (rise - fall) / (right - left)
    return wavelengths[m] - (fall - curvature * left) / (2.0 * curvature)


@kernel
def crossing(wavelengths, q, m, step):
    """Wavelength where the side of a feature comes back to half its depth."""
    level = 0.5 * (1.0 + q[m])
    j = m + step
    while q[j] < level:
        j += step
    share = (level - q[j]) / (q[j - step] - q[j])
    return wavelengths[j] + share * (wavelengths[j - step] - wavelengths[j])


@kernel
def measure_depth(wavelengths, r, q, m, s1, s2, found):
    """Fill in what the lowest band and the shoulders alone say."""
    found[POSITION] = vertex(wavelengths, q, m)
    found[DEPTH] = 1.0 - q[m]
    found[SAI] = 1.0 / q[m]
    found[SLOPE] = (r[s2] - r[s1]) / (wavelengths[s2] - wavelengths[s1])


@kernel
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


@kernel
def quotient_to_line(wavelengths, r, q):
    """Quotient to the straight line from end to end."""
    last = len(r) - 1
    start, level = wavelengths[0], r[0]
    slope = (r[last] - level) / (wavelengths[last] - start)
    for j in range(last):
        q[j] = r[j] / (level + slope * (wavelengths[j] - start))


@kernel
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
    first, last = search_bounds(wavelengths, windows.low[k], windows.high[k])
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

    A depth of at most `least` is rounding. Width, area and asymmetry need `shape`.
    """
    for k in range(len(windows.start)):
        start = windows.start[k]
        bands = wavelengths[start : start + windows.width[k]]
        if measure_complete(X, start, bands, windows, k, selected, shape, least, out):
            measure_with_gaps(X, start, bands, windows, k, selected, shape, least, out)
