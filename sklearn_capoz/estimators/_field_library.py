"""A library of laboratory records with what belongs to them, and the field spectra made of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ..datasets import make_field_spectra
from ..datasets._field_others import make_other_spectra, other_records

__all__ = ["FieldLibrary", "hold_out"]


@dataclass(frozen=True, eq=False)
class FieldLibrary:
    """Records of a library; indexed by a mask.

    Parameters
    ----------
    reflectance : ndarray of shape (n_records, n_bands)
        Its columns are those of the user's X, in whatever order.
    y, groups : ndarray of shape (n_records,)
    nm : ndarray of shape (n_bands,)
    fwhm : float, ndarray of shape (n_bands,), nm, or None
    background : ndarray of shape (n_background, n_bands) or None
    noise : ndarray of shape (n_bands,) or None
    pixels : ndarray of shape (n_pixels, n_bands) or None
        Of the scene that is to be mapped.
    columns : Index or None
        Names of the bands.
    """

    reflectance: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    nm: np.ndarray
    fwhm: Any = None
    background: np.ndarray | None = None
    noise: np.ndarray | None = None
    pixels: np.ndarray | None = None
    columns: Any = None

    def __getitem__(self, rows) -> FieldLibrary:
        kept = {name: getattr(self, name)[rows] for name in ("reflectance", "y", "groups")}
        return replace(self, **kept)

    def make(self, shift, n_samples: int, rng) -> tuple[Any, np.ndarray]:
        """Make spectra in the columns of X, and their classes."""
        order, fwhm = self._ascending()
        made, y, _ = make_field_spectra(
            self.reflectance[:, order],
            self.y,
            groups=self.groups,
            wavelengths=self.nm[order],
            fwhm=fwhm,
            background=None if self.background is None else self.background[:, order],
            shift=shift,
            noise=None if self.noise is None else self.noise[order],
            n_samples=n_samples,
            random_state=rng,
        )
        return self.table(self._to_columns(made, order)), y

    def make_others(self, shifts, n_samples: int, rng) -> np.ndarray:
        """Make spectra of what the library does not hold, an equal part in each shift."""
        order, fwhm = self._ascending()
        nm = self.nm[order]
        fwhm = np.gradient(nm) if fwhm is None else np.broadcast_to(fwhm, nm.shape)
        others = other_records(self.reflectance[:, order].astype(float), nm, fwhm, rng)
        noise = None if self.noise is None else self.noise[order]
        n = n_samples // len(shifts)
        made = [make_other_spectra(others, nm, fwhm, shift, n, rng, noise) for shift in shifts]
        return self._to_columns(np.vstack(made), order)

    def table(self, X: np.ndarray) -> Any:
        """Return an array as the user's X was: with its names, if it had some."""
        return X if self.columns is None else pd.DataFrame(X, columns=self.columns)

    def _ascending(self) -> tuple[np.ndarray, Any]:
        order = np.argsort(self.nm)
        return order, self.fwhm[order] if np.ndim(self.fwhm) else self.fwhm

    def _to_columns(self, made: np.ndarray, order: np.ndarray) -> np.ndarray:
        X = np.empty_like(made)
        X[:, order] = made
        return X


def hold_out(library: FieldLibrary, n_folds: int, rng) -> tuple[Iterator[np.ndarray], np.ndarray]:
    """Deal the samples of every class to the folds; a class of one sample is in the first.

    A sample with records of several classes goes where the first of them puts it.
    """
    fold_of: dict = {}
    alone, start = [], 0
    for label in np.unique(library.y):
        samples = np.unique(library.groups[library.y == label])
        if len(samples) == 1:
            alone.append(label)
        for sample in rng.permutation(samples):
            # Going on where the last class ended, so that small classes fill all folds.
            start += sample not in fold_of
            fold_of.setdefault(sample, start % n_folds)
    fold = np.array([fold_of[group] for group in library.groups])
    masks = (fold == k for k in range(n_folds))
    return (mask for mask in masks if mask.any()), np.array(alone, dtype=library.y.dtype)
