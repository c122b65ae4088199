"""Spectral absorption index of bands against shoulders to their left and right.

Shoulders and centre are means over a few neighbouring bands. A mean reflectance belongs to the mean
wavelength of its bands, so a straight spectrum has the index 1 at any spacing.
"""

from typing import NamedTuple

import numpy as np

from .._compile import kernel
from ._wavelengths import nearest_band


class Shoulders(NamedTuple):
    """Where the left shoulder, the centre and the right shoulder of every index lie."""

    wavelengths: np.ndarray  # (n_bands,), nm, ascending
    left: np.ndarray  # (n_indices,), middle band of the left shoulder
    centre: np.ndarray  # (n_indices,), the band that the index belongs to
    right: np.ndarray  # (n_indices,), middle band of the right shoulder
    weight: np.ndarray  # (n_indices,), share of the left shoulder; NaN where it cannot enclose
    shoulder_half: int  # bands on either side of the middle one
    centre_half: int


def place_shoulders(wavelengths, centre, left_nm, right_nm, shoulder_bands, centre_bands):
    """Place shoulders at the bands nearest to two wavelengths, cut off at the spectrum's ends."""
    left, right = (nearest_band(wavelengths, nm) for nm in (left_nm, right_nm))
    # More bands than there are on either side are no more.
    halves = [min(n // 2, len(wavelengths)) for n in (shoulder_bands, centre_bands)]
    shoulder_at, centre_at = (_mean_wavelengths(wavelengths, half) for half in halves)
    s1, m, s2 = shoulder_at[left], centre_at[centre], shoulder_at[right]
    encloses = (s1 < m) & (m < s2)
    weight = np.full(len(centre), np.nan)
    np.divide(m - s2, s1 - s2, out=weight, where=encloses)
    return Shoulders(wavelengths, left, np.asarray(centre), right, weight, *halves)


def _mean_wavelengths(wavelengths, half):
    n = len(wavelengths)
    spans = (wavelengths[max(0, j - half) : j + half + 1] for j in range(n))
    return np.array([span.mean() for span in spans])


@kernel
def index_of(continuum, centre):
    """SAI = Rc / R_m; NaN unless both are above zero, but 1 for 0/0."""
    index = continuum / centre if continuum > 0.0 and centre > 0.0 else np.nan
    # A sum, since vector code compares it in one go: 0.0 where both are zero.
    return 1.0 if abs(continuum) + abs(centre) == 0.0 else index


@kernel
def moving_mean(padded, half, means):
    """Mean over `half` bands to both sides, as many as there are; `padded` has zeros outside."""
    n = len(means)
    pad = (len(padded) - n) // 2
    means[:] = 0.0
    for offset in range(pad - half, pad + half + 1):
        shifted = padded[offset : offset + n]
        for j in range(n):
            means[j] += shifted[j]
    for j in range(n):
        means[j] /= min(j, half) + min(n - 1 - j, half) + 1


@kernel
def mean_over(r, wavelengths, middle, half):
    """Mean reflectance and mean wavelength of the finite bands of a span; NaN if none is."""
    n, total, at = 0, 0.0, 0.0
    for j in range(max(0, middle - half), min(len(r), middle + half + 1)):
        if np.isfinite(r[j]):
            n += 1
            total += r[j]
            at += wavelengths[j]
    return total / n, at / n


@kernel
def index_with_gaps(r, shoulders, out):
    """SAI of one spectrum with bands that are not finite: they are left out of every mean."""
    wavelengths, half = shoulders.wavelengths, shoulders.shoulder_half
    for k in range(len(out)):
        r1, s1 = mean_over(r, wavelengths, shoulders.left[k], half)
        rm, m = mean_over(r, wavelengths, shoulders.centre[k], shoulders.centre_half)
        r2, s2 = mean_over(r, wavelengths, shoulders.right[k], half)
        if np.isnan(s1 + s2) or not np.isfinite(r[shoulders.centre[k]]):
            out[k] = np.nan
        elif s1 < m < s2:
            weight = (m - s2) / (s1 - s2)
            out[k] = index_of(weight * r1 + (1.0 - weight) * r2, rm)
        else:
            out[k] = 1.0


@kernel
def shoulder_index(X, shoulders, out):
    """SAI of every spectrum (row of X) for all shoulders."""
    n_bands = X.shape[1]
    left, centre, right, weight = (
        shoulders.left,
        shoulders.centre,
        shoulders.right,
        shoulders.weight,
    )
    pad = max(shoulders.shoulder_half, shoulders.centre_half)
    padded = np.zeros(n_bands + 2 * pad)
    r = padded[pad : pad + n_bands]
    shoulder, middle = np.empty(n_bands), np.empty(n_bands)
    for i in range(X.shape[0]):
        finite = 0
        for j in range(n_bands):
            r[j] = X[i, j]
            finite += abs(r[j]) < np.inf
        if finite < n_bands:
            index_with_gaps(r, shoulders, out[i])
            continue
        moving_mean(padded, shoulders.shoulder_half, shoulder)
        moving_mean(padded, shoulders.centre_half, middle)
        for k in range(len(weight)):
            share = weight[k]
            continuum = share * shoulder[left[k]] + (1.0 - share) * shoulder[right[k]]
            index = index_of(continuum, middle[centre[k]])
            out[i, k] = 1.0 if np.isnan(share) else index
