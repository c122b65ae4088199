"""A library beside blocks of spectra: how similar every record is, and within what memory."""

from __future__ import annotations

import threading
import warnings

import numpy as np

from ._base import _BLOCK_BYTES, _working_dtype, run_blocks
from ._feature_fit import find_features, fit_features
from ._shapes import Shapes, to_unit

__all__ = ["Library", "whole_records"]

#: Fewer bands have no shape to compare.
_LEAST_BANDS = {"correlation": 3, "sam": 2, "features": 4}

#: Spectra that BLAS works on at a time, at least.
_COLUMNS = 16


class Library:
    """Records in the form in which a metric compares them.

    Parameters
    ----------
    metric : {"correlation", "sam", "features"}
    shapes : Shapes
        Fitted; which bands are compared.
    reflectance : ndarray of shape (n_records, n_columns)
        As it came, in the order in which `compare` gives fits.
    dtype : dtype
        Of the records; spectra in float64 are compared in float64.
    """

    def __init__(self, metric: str, shapes: Shapes, reflectance: np.ndarray, dtype):
        self.metric, self._bands, self._library = metric, shapes, reflectance
        self._records = shapes.block(reflectance, dtype)
        if metric == "features":
            self._features = self._find_features()
        else:
            no_continuum = to_unit(self._records, metric == "correlation")
            self._records[no_continuum] = 0

    def _find_features(self):
        records, shapes = self._records.astype(float), self._bands
        quotient = np.empty_like(records)
        shapes.remove(records, quotient)
        return find_features(records, quotient, shapes.wavelengths_, shapes.bounds_)

    def dtype(self, X) -> np.dtype:
        return np.result_type(_working_dtype(X.dtype), self._records.dtype)

    def compare(self, X, finish, n_jobs) -> None:
        """Call `finish(rows, fits, depths)` for blocks of rows, fits of shape (n_records, rows)."""
        dtype, own = self.dtype(X), threading.local()
        records = self._records.astype(dtype, copy=False)

        def work(rows):
            spectra = self._bands.block(X[rows], dtype)
            shape = len(records), len(spectra)
            # A buffer for every thread: new memory for each block would be cleared by the system.
            if getattr(own, "fits", np.empty(0)).shape != shape:
                own.fits, own.depths = np.empty(shape, dtype), None
            if self.metric == "features":
                own.depths = np.empty(shape, dtype) if own.depths is None else own.depths
                self._fit_features(spectra, own.fits, own.depths)
            else:
                self._fit_shapes(X[rows], spectra, records, own.fits)
            finish(rows, own.fits, own.depths)

        run_blocks(work, len(X), _bytes_per_row(len(records) * dtype.itemsize), n_jobs)

    def _fit_shapes(self, X, spectra, records, fits) -> None:
        """Multiply unit rows with unit records; where bands are missing, with what is left."""
        gaps = to_unit(spectra, self.metric == "correlation")
        missing = np.isnan(spectra[gaps])
        spectra[gaps] = 0
        _multiply(records, spectra, fits)
        if not gaps.any():
            return
        patterns, which = np.unique(missing, axis=0, return_inverse=True)
        for k, pattern in enumerate(patterns):
            rows = np.flatnonzero(gaps)[which.ravel() == k]
            fits[:, rows] = self._fit_with_gaps(X[rows], pattern, records.dtype)

    def _fit_with_gaps(self, X, pattern, dtype):
        """Similarity of spectra that lack the same bands, records treated alike."""
        least = min(_LEAST_BANDS[self.metric], len(pattern))
        if (~pattern).sum() < least:
            measured = np.isfinite(self._bands._axis.gather(X, dtype)).any(axis=1)
            return np.where(measured, 0, np.nan)
        axis = self._bands._axis
        lacking = np.repeat(pattern, np.diff(np.append(axis.groups, len(axis.columns))))
        library = self._library.astype(dtype)
        library[:, axis.columns[lacking]] = np.nan
        both = [self._bands.block(one, dtype)[:, ~pattern] for one in (library, X)]
        for one in both:
            one[to_unit(one, self.metric == "correlation")] = 0
        return both[0] @ both[1].T

    def _fit_features(self, spectra, fits, depths) -> None:
        nm, finite = self._bands.wavelengths_, np.isfinite(spectra)
        measured = finite.sum(axis=1)
        for i in np.flatnonzero((measured > 0) & (measured < len(nm))):
            spectra[i] = np.interp(nm, nm[finite[i]], spectra[i, finite[i]])
        fit_features(np.ascontiguousarray(spectra.T), nm, self._features, fits, depths)
        few = measured < min(_LEAST_BANDS["features"], len(nm))
        fits[:, few], depths[:, few] = 0, 0
        fits[:, measured == 0], depths[:, measured == 0] = np.nan, np.nan


def whole_records(reflectance, nm, classes, codes) -> np.ndarray:
    """Return the records that have every band, and say which are left out."""
    if len(nm) < 2:
        raise ValueError(
            f"A single band has no shape to match, and X has n_features = {len(nm)} that are used."
        )
    lacking = ~np.isfinite(reflectance)
    whole = np.flatnonzero(~lacking.any(axis=1))
    if len(whole) == len(reflectance):
        return whole
    bands = nm[lacking.any(axis=0)]
    problem = (
        f"{len(reflectance) - len(whole)} of {len(reflectance)} library records have no value in "
        f"some bands between {bands[0]:g} and {bands[-1]:g} nm"
    )
    lost = np.delete(classes, np.unique(codes[whole]))
    if len(lost):
        raise ValueError(
            f"{problem}, and without them {', '.join(map(str, lost[:5]))} has no record left. "
            "Compare other bands, by ranges= or bad_bands=, or leave the class out."
        )
    warnings.warn(
        f"{problem} and are left out. Compare other bands, by ranges= or bad_bands=, to keep them.",
        stacklevel=4,
    )
    return whole


def _bytes_per_row(n_bytes: int) -> int:
    """Round up so that a block is a power of two, of whole `_COLUMNS`: its fits need no padding."""
    rows = max(_COLUMNS, 2 ** int(np.log2(max(1, _BLOCK_BYTES // n_bytes))))
    return _BLOCK_BYTES // rows


def _multiply(records, spectra, fits) -> None:
    """Write ``records @ spectra.T``; a spectrum gets the same digits in whatever company.

    For a few columns BLAS adds in another order, which would break ties between records otherwise.
    """
    n = len(spectra)
    if n % _COLUMNS == 0:
        np.matmul(records, spectra.T, out=fits)
        return
    padded = np.zeros((n + -n % _COLUMNS, spectra.shape[1]), dtype=spectra.dtype)
    padded[:n] = spectra
    fits[:] = (records @ padded.T)[:, :n]
