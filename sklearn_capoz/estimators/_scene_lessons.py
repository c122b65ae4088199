"""What a scene's own pixels teach: their shapes, under the names that matching gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array

from ..spectral import SpectralMatcher
from ._field_library import FieldLibrary

__all__ = ["add_lessons", "check_pixels", "draw_lessons"]

#: Pixels for each made spectrum.
PIXEL_SHARE = 0.3

#: A class that matching finds less likely than this is no candidate.
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
    """Put named pixels beside spectra that were made."""
    assert library.pixels is not None  # the caller has looked
    drawn, names = draw_lessons(library, library.pixels, round(PIXEL_SHARE * len(y)), rng)
    return library.table(np.vstack([np.asarray(X), drawn])), np.concatenate([y, names])


def draw_lessons(
    library: FieldLibrary, pixels: np.ndarray, n_samples: int, rng
) -> tuple[np.ndarray, np.ndarray]:
    """Draw pixels with names, as often as both are likely.

    A soft label would weigh each candidate of a pixel; drawn by that weight, pixels teach any
    classifier, whether it takes weights or not.

    Parameters
    ----------
    library : FieldLibrary
        Whose records give the names.
    pixels : ndarray of shape (n_pixels, n_bands), reflectance
    n_samples : int
    rng : RandomState

    Returns
    -------
    X : ndarray of shape (n_samples, n_bands)
    y : ndarray of shape (n_samples,)
    """
    matcher = SpectralMatcher(wavelengths=library.nm).fit(library.reflectance, library.y)
    likely = matcher.predict_proba(pixels)
    # Of many classes none may be as likely; the best one is a candidate always.
    likely[likely < np.minimum(LEAST_LIKELY, likely.max(axis=1, keepdims=True))] = 0
    likely /= likely.sum(axis=1, keepdims=True)
    of_class = likely.sum(axis=0)
    weight = likely / np.where(of_class > 0, of_class, 1) ** BALANCE
    drawn = rng.choice(weight.size, n_samples, p=weight.ravel() / weight.sum())
    pixel, label = np.unravel_index(drawn, weight.shape)
    return pixels[pixel], matcher.classes_[label]
