"""The spectrum behind every pixel of a map, in as many bytes as a page has room for.

A million pixels of fifty bands are a hundred megabytes, and a page may have three. What all pixels
of a class share is said once, as their mean and main directions; a pixel adds how far it goes in
each. All are rounded by one step, as fine as there is room for: that is the best that can be done
for spectra that spread like a normal distribution (reverse water-filling), and what is rounded
away is measured and told. Small maps are kept as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import e, pi
from typing import Any

import numpy as np

from ._packing import packed, text_of
from ._scene_spectra import ClassSpectra, SceneSpectra
from ._thinning import Thinning

__all__ = ["StoredSpectra", "store_spectra"]

#: Rounding that no instrument would notice, 0.001 of reflectance 1, or of brighter numbers where
#: a scene is something else; root mean square. More room is left unused.
FINEST = 0.001 * np.sqrt(12)

#: Steps to the farthest of the samples; two bytes hold twice as many.
MOST_STEPS = 16_000

#: Pixels farther from the others than this many times what nine of ten of them are, are beyond.
FAR = 5

#: Deflate needs somewhat more than the entropy.
DEFLATED = 1.06

#: Directions in which pixels spread by less than this many steps say nothing.
LEAST_SPREAD = 0.35


@dataclass(frozen=True, eq=False)
class StoredSpectra:
    """Spectra as the page's script unpacks them.

    Parameters
    ----------
    content : dict
        What the script reads: plain numbers, and text of packed arrays.
    rms_error, largest_error : float
        In reflectance: the root mean square of what rounding took, and what 99 of 100 pixels stay
        within in every band.
    n_beyond : int
        Pixels so far from all others, such as saturated ones, that no spectrum of them is kept: the
        steps that reach there would be too coarse for the rest.
    """

    content: dict[str, Any]
    rms_error: float
    largest_error: float
    n_beyond: int


def store_spectra(
    spectra: SceneSpectra,
    classes: ClassSpectra,
    codes: np.ndarray,
    thinning: Thinning,
    room: int,
    verbose: bool,
) -> StoredSpectra:
    """Go through a scene and keep the spectra of its classified pixels, in so many bytes."""
    places = thinning.places()
    n_numbers = len(places[0]) * len(places[1]) * len(spectra.bands)
    coder: _Exact | _Coded
    coder = _Exact(classes) if 2 * n_numbers <= room else _Coded.in_room(classes, room, thinning)
    planes = np.zeros((coder.n_planes, len(places[0]), len(places[1])), dtype=np.int16)
    has = np.zeros(planes.shape[1:], dtype=np.uint8)
    squares, worst, n_beyond = 0.0, [np.zeros(0)], 0
    for start, X, valid in spectra.blocks("spectra of pixels", verbose=verbose):
        rows = np.flatnonzero((places[0] >= start) & (places[0] < start + len(valid)))
        inside = np.zeros(valid.shape, dtype=bool)
        inside[np.ix_(places[0][rows] - start, places[1])] = True
        inside &= codes[start : start + len(valid)] > 0
        some = X[inside[valid]]
        here = (inside & valid)[np.ix_(places[0][rows] - start, places[1])]
        labels = codes[start : start + len(valid)][inside & valid]
        if not len(some):
            continue
        numbers, seen, fits = coder.encode(some, labels)
        here[here] = fits
        has[rows] = here
        numbers, seen, some = numbers[fits], seen[fits], some[fits]
        n_beyond += int((~fits).sum())
        for plane, values in zip(planes, numbers.T, strict=True):
            part = plane[rows]
            part[here] = values
            plane[rows] = part
        errors = np.abs(seen - some)
        squares += float(np.square(errors, dtype=np.float64).sum())
        worst.append(errors.max(axis=1))
    largest = np.concatenate(worst)
    n_kept = max(1, largest.size * len(spectra.bands))
    return StoredSpectra(
        content={
            "has": text_of(packed(has)), "planes": text_of(packed(planes)), **coder.content(),
        },
        rms_error=float(np.sqrt(squares / n_kept)),
        largest_error=float(np.percentile(largest, 99)) if largest.size else 0.0,
        n_beyond=n_beyond,
    )  # fmt: skip


class _Exact:
    """Every number, rounded to one of 65,536."""

    def __init__(self, classes: ClassSpectra):
        known = np.concatenate([np.empty(0, np.float32), *(
            sample[_is_near(sample)].ravel() for sample in classes.samples if len(sample)
        )])  # fmt: skip
        low, high = known.min(initial=np.inf), known.max(initial=-np.inf)
        if not known.size:
            low, high = 0.0, 1.0
        # Where the samples are some of the pixels, others reach somewhat further.
        is_all = sum(map(len, classes.samples)) == classes.counts.sum()
        margin = 0.0 if is_all else 0.1 * (high - low)
        self.low = float(low - margin)
        self.step = max(float(high - low + 2 * margin) / 65535, 1e-12)
        self.n_planes = classes.means.shape[1]

    def encode(self, X, labels):
        numbers = np.rint((X - self.low) / self.step)
        fits = ((numbers >= 0) & (numbers <= 65535)).all(axis=1)
        numbers = numbers.clip(0, 65535)
        return (numbers - 32768).astype(np.int16), numbers * self.step + self.low, fits

    def content(self) -> dict[str, Any]:
        return {"kind": "exact", "low": self.low, "step": self.step}


class _Coded:
    """For each class its mean and directions, for each pixel its steps along them."""

    def __init__(self, means: np.ndarray, directions: list[np.ndarray], step: float):
        self.means, self.step = means.astype(np.float32), step
        # What the page multiplies with is what is rounded by here.
        self.whole = [np.rint(d * 32767).astype(np.int16) for d in directions]
        self.directions = [(w / 32767).astype(np.float32) for w in self.whole]
        self.n_planes = max((len(d) for d in directions), default=0)

    @classmethod
    def in_room(cls, classes: ClassSpectra, room: int, thinning: Thinning) -> _Coded:
        """Choose the finest step whose numbers take so many bytes, by their entropy."""
        n_codes, n_bands = classes.means.shape
        means = np.zeros((n_codes, n_bands))
        directions, spreads, reach, brightest = [], [], 0.0, 1.0
        for code, sample in enumerate(classes.samples):
            if not len(sample):
                directions.append(np.empty((0, n_bands)))
                spreads.append(np.empty(0))
                continue
            sample = sample[_is_near(sample)]
            means[code] = sample.mean(axis=0)
            centred = sample - means[code].astype(np.float32)
            covariance = centred.T @ centred / len(sample)
            variance, vectors = np.linalg.eigh(covariance.astype(np.float64))
            spreads.append(np.sqrt(np.maximum(variance[::-1], 0)))
            directions.append(vectors.T[::-1])
            reach = max(reach, float(np.linalg.norm(centred, axis=1).max()))
            brightest = max(brightest, float(np.percentile(sample, 99)))
        finest = max(FINEST * brightest, reach / MOST_STEPS)
        step = _finest_in(room, spreads, classes.counts / thinning.stored**2, finest)
        kept = [d[s >= LEAST_SPREAD * step] for d, s in zip(directions, spreads, strict=True)]
        return cls(means, kept, step)

    def encode(self, X, labels):
        numbers = np.zeros((len(X), self.n_planes), dtype=np.int16)
        seen, fits = np.empty_like(X), np.ones(len(X), dtype=bool)
        for code in np.unique(labels).tolist():
            of_class, along = labels == code, self.directions[code]
            steps = np.rint((X[of_class] - self.means[code]) @ along.T / self.step)
            fits[of_class] = (np.abs(steps) < 32768).all(axis=1)
            steps = steps.clip(-32767, 32767)
            numbers[of_class, : len(along)] = steps
            seen[of_class] = self.means[code] + steps * self.step @ along
        return numbers, seen, fits

    def content(self) -> dict[str, Any]:
        n_bands = self.means.shape[1]
        whole = np.concatenate([*self.whole, np.empty((0, n_bands), np.int16)])
        return {
            "kind": "coded",
            "step": self.step,
            "n_directions": [len(w) for w in self.whole],
            "directions": text_of(packed(whole)),
            "means": text_of(self.means.astype("<f4").tobytes()),
        }


def _is_near(sample: np.ndarray) -> np.ndarray:
    """Tell pixels of a class from those far beyond nearly all of them, such as saturated ones."""
    distance = np.linalg.norm(sample - np.median(sample, axis=0), axis=1)
    typical = np.percentile(distance, 90)
    # Where nearly all are the same, nothing says what is far.
    return distance <= (FAR * typical if typical > 0 else np.inf)


def _finest_in(room: int, spreads: list[np.ndarray], counts: np.ndarray, finest: float) -> float:
    """Find the finest step whose numbers take so many bytes, by bisection."""
    if _n_bytes(spreads, counts, finest) <= room:
        return finest
    # At three times the largest spread nothing is left to be told.
    low, high = np.log(finest), np.log(3 * max(s.max(initial=finest) for s in spreads))
    while high - low > 0.01:
        middle = (low + high) / 2
        too_much = _n_bytes(spreads, counts, np.exp(middle)) > room
        low, high = (middle, high) if too_much else (low, middle)
    return float(np.exp(high))


def _n_bytes(spreads: list[np.ndarray], counts: np.ndarray, step: float) -> float:
    """Bytes of the directions that tell something, and of the pixels' numbers along them.

    These are taken as normally distributed: 0.5 log2(1 + 2 pi e (spread / step)^2) bits each.
    """
    bits = 0.0
    for spread, count in zip(spreads, counts, strict=True):
        ratio = spread[spread >= LEAST_SPREAD * step] / step
        bits += count * float(0.5 * np.log2(1 + 2 * pi * e * ratio**2).sum())
        bits += 16 * len(ratio) * len(spread)
    return DEFLATED * bits / 8
