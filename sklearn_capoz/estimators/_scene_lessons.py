"""What a scene's own pixels teach: their shapes, under the names that three teachers give them.

Matching alone would make the student as wrong as itself. The others have learnt from the made
spectra, one with straight boundaries and one with any: where all are in doubt they err differently,
and together less. The discriminant then learns from the pixels as well, under the names that the
three agree on, and names them again: so it comes to know the light and air of this scene.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array

from ..spectral import ContinuumRemoval, SpectralMatcher, SpectrumStandardizer
from ._classifier import PrunedMLPClassifier
from ._field_library import FieldLibrary

__all__ = ["add_lessons", "check_pixels", "draw_lessons"]

#: Pixels for each made spectrum.
PIXEL_SHARE = 1.0

#: A class that the teachers find less likely than this is no candidate.
LEAST_LIKELY = 0.05

#: 0 lets every pixel weigh the same, 1 every class: in between, rare minerals are not lost, and
#: common ones keep most of their pixels.
BALANCE = 0.5

#: How often the discriminant learns from the pixels.
N_ROUNDS = 2


def check_pixels(pixels, nm: np.ndarray) -> np.ndarray | None:
    """Return the pixels of a scene in the library's bands, or None, without those of no light.

    Where noise leaves nothing above 0 at the ends of a dark pixel, it has no continuum.
    """
    if pixels is None:
        return None
    pixels = check_array(pixels, dtype=[np.float64, np.float32], input_name="scene_pixels")
    if pixels.shape[1] != len(nm):
        raise ValueError(f"scene_pixels has {pixels.shape[1]} bands, and X has {len(nm)}.")
    lit = np.isfinite(ContinuumRemoval(nm).fit_transform(pixels)).all(axis=1)
    if not lit.any():
        raise ValueError(
            f"none of the {len(pixels)} pixels of scene_pixels is above 0: they hold no light."
        )
    return pixels[lit]


def add_lessons(library: FieldLibrary, X, y: np.ndarray, rng) -> tuple[Any, np.ndarray]:
    """Put named pixels of the library's scene beside spectra that were made of it."""
    assert library.pixels is not None  # the caller has looked
    classes, codes = np.unique(y, return_inverse=True)
    likely = _likely_names(library, np.asarray(X), codes, rng)
    pixel, code = draw_lessons(likely, round(PIXEL_SHARE * len(y)), rng)
    named = np.vstack([np.asarray(X), library.pixels[pixel]])
    return library.table(named), np.r_[y, classes[code]]


def _likely_names(library: FieldLibrary, X: np.ndarray, codes: np.ndarray, rng) -> np.ndarray:
    """Return what the teachers find likely, (n_pixels, n_classes): the mean of their logarithms."""
    matcher = SpectralMatcher(wavelengths=library.nm).fit(library.reflectance, library.y)
    shape = make_pipeline(ContinuumRemoval(library.nm), SpectrumStandardizer())
    made, pixels = shape.fit_transform(X), shape.transform(library.pixels)
    others = matcher.predict_proba(library.pixels) * _network(rng).fit(made, codes).predict_proba(
        pixels
    )
    discriminant = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1).fit(made, codes)
    likely = np.cbrt(others * discriminant.predict_proba(pixels))
    for _ in range(N_ROUNDS):
        pixel, code = draw_lessons(likely, round(PIXEL_SHARE * len(made)), rng)
        discriminant.fit(np.vstack([made, pixels[pixel]]), np.r_[codes, code])
        likely = np.cbrt(others * discriminant.predict_proba(pixels))
    return likely


def _network(rng):
    """Teacher of a short training: it is one of three voices."""
    return make_pipeline(
        StandardScaler(),
        PrunedMLPClassifier(
            (60,),
            n_iterations=0,
            alpha=1e-3,
            batch_size=128,
            learning_rate_init=4e-3,
            max_iter=10,
            random_state=rng.randint(np.iinfo(np.int32).max),
        ),
    )


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
