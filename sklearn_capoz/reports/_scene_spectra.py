"""The scene of a report as reflectance, block by block, and what is kept of it for each class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from tqdm.auto import tqdm

from ..scenes._bands import BandMatch, calibrated
from ..scenes._scratch import Scratch
from ..scenes._source import Source

__all__ = ["ClassSpectra", "SceneSpectra", "class_spectra"]

#: Bytes of reflectance held at a time.
BLOCK_BYTES = 8_000_000

#: Spectra of each class that its spread is told from, and numbers in all of them together.
PER_CLASS, N_NUMBERS = 2_000, 16_000_000


@dataclass(frozen=True, eq=False)
class SceneSpectra:
    """A scene in the bands that a report shows.

    Parameters
    ----------
    scene : Source
    bands : ndarray of shape (n_bands,), int
        By wavelength where that is known.
    """

    scene: Source
    bands: np.ndarray

    @property
    def wavelengths(self) -> np.ndarray | None:
        """Of the bands, in nm."""
        return None if self.scene.wavelengths is None else self.scene.wavelengths[self.bands]

    def blocks(self, what: str, *, verbose: bool) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Go through the scene: first row, spectra of the valid pixels, and which these are.

        Yields
        ------
        start : int
        X : ndarray of shape (n_valid, n_bands), float32, good until the next block
        valid : ndarray of shape (n_rows, n_columns), bool
            False where any of the bands is missing, or all are 0.
        """
        scene, scratch = self.scene, Scratch()
        read, places = np.unique(self.bands, return_inverse=True)
        match = BandMatch(read, places, places, np.zeros(len(places)))
        n_rows, n_columns, _ = scene.shape
        rows = max(1, BLOCK_BYTES // (n_columns * len(read) * 4))
        # Whole pieces of the file where they fit, or some would be unpacked twice.
        rows -= rows % scene.rows_together if scene.rows_together <= rows else 0
        dtype = np.dtype(np.float32)
        bar = tqdm(
            total=n_rows * n_columns, desc=what, unit="px", unit_scale=True, disable=not verbose
        )
        with bar, scene.reading():
            for task in _tasks(n_rows, rows, scene.rows_together):
                for (start, stop), block in zip(
                    task, scene.blocks(task, read, scratch), strict=True
                ):
                    nodata, scale = scene.nodata, scene.scale or 1.0
                    if scene.gain is not None and scene.offset is not None:
                        block = calibrated(block, nodata, scene.gain[read], scene.offset[read])
                        nodata = None
                    yield start, *match.spectra(block, scale, nodata, dtype, scratch)
                    bar.update((stop - start) * n_columns)


def _tasks(n_rows: int, rows: int, together: int) -> Iterator[list[tuple[int, int]]]:
    """Blocks of so many rows; those in one piece of the file are one task, unpacked once."""
    for first in range(0, n_rows, max(rows, together)):
        last = min(first + max(rows, together), n_rows)
        yield [(start, min(start + rows, last)) for start in range(first, last, rows)]


@dataclass(frozen=True, eq=False)
class ClassSpectra:
    """What the spectra of each class are like.

    Parameters
    ----------
    counts : ndarray of shape (n_codes,), int
        Pixels that have a spectrum.
    means : ndarray of shape (n_codes, n_bands)
        Of all of them; NaN without any.
    samples : tuple of ndarray of shape (n_kept, n_bands), float32
        Some of them, from all over the scene.
    """

    counts: np.ndarray
    means: np.ndarray
    samples: tuple[np.ndarray, ...]

    def percentiles(self, code: int, asked) -> np.ndarray | None:
        """Percentiles of a class in every band, (n_asked, n_bands); None for a few pixels."""
        sample = self.samples[code]
        return np.percentile(sample, asked, axis=0) if len(sample) >= 5 else None


def class_spectra(spectra: SceneSpectra, codes: np.ndarray, n_codes: int, verbose) -> ClassSpectra:
    """Go through a scene once. Pixels of code 0 have no class."""
    n_bands = len(spectra.bands)
    counts, sums = np.zeros(n_codes, dtype=np.int64), np.zeros((n_codes, n_bands))
    wanted = max(20, min(PER_CLASS, N_NUMBERS // (n_codes * n_bands)))
    strides = np.maximum(1, -(-np.bincount(codes.ravel(), minlength=n_codes) // wanted))
    kept: list[list[np.ndarray]] = [[] for _ in range(n_codes)]
    for start, X, valid in spectra.blocks("class spectra", verbose=verbose):
        found = codes[start : start + len(valid)][valid]
        ones, columns = np.ones(len(found)), np.arange(len(found))
        sums += csr_array((ones, (found, columns)), shape=(n_codes, len(found))) @ X
        for code in np.unique(found[found > 0]).tolist():
            pixels = np.flatnonzero(found == code)
            chosen = (counts[code] + np.arange(len(pixels))) % strides[code] == 0
            kept[code].append(X[pixels[chosen]])
        counts += np.bincount(found, minlength=n_codes)
    counts[0] = 0
    means = np.full((n_codes, n_bands), np.nan)
    means[counts > 0] = sums[counts > 0] / counts[counts > 0, None]
    nothing = [np.empty((0, n_bands), dtype=np.float32)]
    return ClassSpectra(counts, means, tuple(np.concatenate(k or nothing) for k in kept))
