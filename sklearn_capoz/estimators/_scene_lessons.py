"""What a scene's own pixels teach: their shapes, under the names that two teachers give them.

Matching alone would make the student as wrong as itself. The other teacher is a linear discriminant
of the made spectra: where both are in doubt they err differently, and together less.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_array

from ..spectral import ContinuumRemoval, SpectralMatcher, SpectrumStandardizer
from ._field_library import FieldLibrary

__all__ = ["add_lessons", "check_pixels", "draw_lessons"]

#: Pixels for each made spectrum.
PIXEL_SHARE = 0.3

#: A class that the teachers find less likely than this is no candidate.
LEAST_LIKELY = 0.05

#: 0 lets every pixel weigh the same, 1 every class: in between, rare minerals are not lost, and
#: common ones keep most of their pixels.
BALANCE = 0.5


def check_pixels(pixels, n_bands: int) -> np.ndarray | None:
    """Return the pixels of a scene as an array in the library's bands, or None."""
    if pixels is None:
        return None
    pixels = check_array(pixels, dtype=[np.float64, np.float32], input_name="scene_pixels")
    if pixels.shape[1] != n_bands:
        raise ValueError(f"scene_pixels has {pixels.shape[1]} bands, and X has {n_bands}.")
    return pixels


def add_lessons(library: FieldLibrary, X, y: np.ndarray, rng) -> tuple[Any, np.ndarray]:
    """Put named pixels of the library's scene beside spectra that were made of it."""
    assert library.pixels is not None  # the caller has looked
    likely = _likely_names(library, np.asarray(X), y)
    pixel, code = draw_lessons(likely, round(PIXEL_SHARE * len(y)), rng)
    names = np.unique(library.y)[code]
    return library.table(np.vstack([np.asarray(X), library.pixels[pixel]])), np.r_[y, names]


def _likely_names(library: FieldLibrary, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return what both teachers find likely, (n_pixels, n_classes): the root of their product."""
    pixels = library.pixels
    matcher = SpectralMatcher(wavelengths=library.nm).fit(library.reflectance, library.y)
    discriminant = make_pipeline(
        ContinuumRemoval(library.nm),
        SpectrumStandardizer(),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1),
    ).fit(X, y)
    return np.sqrt(matcher.predict_proba(pixels) * discriminant.predict_proba(pixels))


def draw_lessons(likely: np.ndarray, n_samples: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Draw pixels with names, as often as both are likely.

    A soft label would weigh each candidate of a pixel; drawn by that weight, pixels teach any
    classifier, whether it takes weights or not.

    Parameters
    ----------
    likely : ndarray of shape (n_pixels, n_classes)
    n_samples : int
    rng : RandomState

    Returns
    -------
    pixel, code : ndarray of shape (n_samples,), int
        Rows and columns of `likely`.
    """
    likely = likely / likely.sum(axis=1, keepdims=True)
    # Of many classes none may be as likely; the best one is a candidate always.
    likely[likely < np.minimum(LEAST_LIKELY, likely.max(axis=1, keepdims=True))] = 0
    likely /= likely.sum(axis=1, keepdims=True)
    of_class = likely.sum(axis=0)
    weight = likely / np.where(of_class > 0, of_class, 1) ** BALANCE
    drawn = rng.choice(weight.size, n_samples, p=weight.ravel() / weight.sum())
    pixel, code = np.unravel_index(drawn, weight.shape)
    return pixel, code
