"""Absorption features of library records, and how well they fit into other spectra."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .._compile import kernel

__all__ = ["RecordFeatures", "find_features", "fit_features"]

#: Shallower absorptions are as likely noise of the laboratory.
_LEAST_DEPTH = 0.01

#: Features below this part of a record's largest one, by area, do not name it.
_LEAST_AREA = 0.1

#: A shoulder is the band that touches the hull and its neighbours: one band alone is noisy.
_BESIDE = 1

#: From how far below the hull a band no longer touches it: rounding of float32.
_TOUCHES = 1e-6


class RecordFeatures(NamedTuple):
    """Every feature of every record, side by side."""

    record: np.ndarray  # (n_features,), which record has it
    first: np.ndarray  # (n_features,), first band
    last: np.ndarray  # (n_features,), last band
    left: np.ndarray  # (n_features, 2), first band of the left shoulder and one behind its last
    right: np.ndarray  # (n_features, 2)
    weight: np.ndarray  # (n_features,), part of the record's area
    depth: np.ndarray  # (n_features,), of the lowest band under the line between the shoulders
    shape: np.ndarray  # (n_features, n_bands), quotient to that line, its mean taken out
    square: np.ndarray  # (n_features,), sum of squares of `shape`


def find_features(reflectance: np.ndarray, quotient: np.ndarray, nm, bounds) -> RecordFeatures:
    """Find the absorptions of each record between the bands where it touches its hull."""
    found: list[tuple] = []
    shapes: list[np.ndarray] = []
    for record, (r, q) in enumerate(zip(reflectance, quotient, strict=True)):
        mine = []
        for start, stop in pairwise(bounds):
            touching = start + np.flatnonzero(q[start:stop] >= 1 - _TOUCHES)
            for first, last in pairwise(touching):
                if last - first >= 3:
                    mine.append(_measure(record, r, nm, first, last, start, stop))
        largest = max((area for *_, area in mine), default=0.0)
        kept = [one for one in mine if one[5] >= _LEAST_DEPTH and one[-1] >= _LEAST_AREA * largest]
        total = sum(area for *_, area in kept)
        for *place, depth, shape, area in kept:
            found.append((*place, area / total, depth))
            shapes.append(shape)
    columns = list(zip(*found, strict=True)) or [()] * 7
    whole = [np.array(column, np.intp) for column in columns[:5]]
    shape = np.array(shapes).reshape(len(found), len(nm))
    return RecordFeatures(
        record=whole[0],
        first=whole[1],
        last=whole[2],
        left=whole[3].reshape(len(found), 2),
        right=whole[4].reshape(len(found), 2),
        weight=np.array(columns[5], float),
        depth=np.array(columns[6], float),
        shape=shape,
        square=(shape**2).sum(axis=1),
    )


def _measure(record, r, nm, first, last, start, stop):
    """Describe one feature: place, depth, shape under its line, and area."""
    left = max(first - _BESIDE, start), first + _BESIDE + 1
    right = last - _BESIDE, min(last + _BESIDE + 1, stop)
    bands = slice(first, last + 1)
    places, levels = zip(*((nm[a:b].mean(), r[a:b].mean()) for a, b in (left, right)), strict=True)
    part = (nm[bands] - places[0]) / (places[1] - places[0])
    quotient = r[bands] / (levels[0] + (levels[1] - levels[0]) * part)
    shape = np.zeros(len(nm))
    shape[bands] = quotient - quotient.mean()
    area = np.trapezoid(np.clip(1 - quotient, 0, None), nm[bands])
    return record, first, last, left, right, 1 - quotient.min(), shape, area


@kernel(fastmath={"contract"})
def fit_features(spectra, nm, features, fits, depths):
    """Fit every record's features into spectra of shape (n_bands, n_spectra).

    `fits` and `depths` of shape (n_records, n_spectra) get the means over the record's features,
    weighted by area. Spectra lie side by side, so that many are worked on in one instruction.
    """
    fits[:], depths[:] = 0.0, 0.0
    n = spectra.shape[1]
    low, high, total = np.empty(n), np.empty(n), np.empty(n)
    squares, products = np.empty(n), np.empty(n)
    for f in range(len(features.record)):
        (a, b), (c, d) = features.left[f], features.right[f]
        low[:], high[:], total[:], squares[:], products[:] = 0.0, 0.0, 0.0, 0.0, 0.0
        from_nm, to_nm = nm[a:b].mean(), nm[c:d].mean()
        for band in range(a, b):
            for j in range(n):
                low[j] += spectra[band, j] / (b - a)
        for band in range(c, d):
            for j in range(n):
                high[j] += spectra[band, j] / (d - c)
        first, last = features.first[f], features.last[f]
        for band in range(first, last + 1):
            part = (nm[band] - from_nm) / (to_nm - from_nm)
            shape, row = features.shape[f, band], spectra[band]
            for j in range(n):
                below = 1.0 - row[j] / (low[j] + (high[j] - low[j]) * part)
                total[j] += below
                squares[j] += below * below
                products[j] -= below * shape
        record, weight, square = features.record[f], features.weight[f], features.square[f]
        width = last - first + 1
        for j in range(n):
            spread = squares[j] - total[j] * total[j] / width
            # Without light at both shoulders there is no line, and without a dip no fit.
            if low[j] > 0.0 and high[j] > 0.0 and spread > 1e-15 * squares[j]:
                fits[record, j] += weight * products[j] / np.sqrt(spread * square)
                depths[record, j] += weight * features.depth[f] * products[j] / square
