"""From spectra, patches or pixels of a scene to what a convolutional network takes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import (
    check_consistent_length,
    column_or_1d,
    has_fit_parameter,
    validate_data,
)

from .._warn import warn
from ..datasets import ScenePixels
from ..datasets._scene_pixels import check_patch_size

__all__ = [
    "batches",
    "channels",
    "channels_of_scene",
    "check_X",
    "check_validation",
    "fitted_bands",
    "middle",
    "usable",
]

#: Principal components that networks of patches see by default.
N_COMPONENTS = 40
#: Pixels that are transformed, or patches that are run, at a time.
N_PIXELS, N_PATCHES = 100_000, 512


def check_X(estimator, X, patch_size: int, dtype: str, *, reset: bool):
    """Check X, and see that it is what the kind of network takes; NaN may be in patches.

    Parameters
    ----------
    estimator : PrunedCNNClassifier
        Learns the number of bands with `reset`, and must know it without.
    X : array-like of shape (n_samples, n_bands) or (n_samples, n_bands, p, p), or ScenePixels
    patch_size : int
        1 where the network takes spectra.
    dtype : str
        Of the network.

    Returns
    -------
    X : ndarray of `dtype`, or ScenePixels
    """
    if isinstance(X, ScenePixels):
        if patch_size > 1:
            check_patch_size(patch_size, X.cube.shape[:2])
            if not len(X):
                raise ValueError(f"X holds no pixel, and at least one is needed, got {X!r}.")
            # Its spectra stand for its bands; the patches are looked at where they are cut.
            validate_data(estimator, X.cube[0, :1], reset=reset, ensure_all_finite=False)
            return X
        X = np.asarray(X)
    takes_spectra = patch_size == 1
    X = validate_data(
        estimator, X, dtype=dtype, allow_nd=not takes_spectra, reset=reset,
        ensure_all_finite=takes_spectra,
    )  # fmt: skip
    if not takes_spectra and X.shape[2:] != (patch_size, patch_size):
        raise ValueError(
            f"a network of patches takes X of shape (n_samples, n_bands, {patch_size}, "
            f"{patch_size}), as patch_size says, or ScenePixels, got {X.shape}."
        )
    return X


def check_validation(estimator, X, X_val, y_val, patch_size: int) -> tuple:
    """Check validation data beside the training data, and leave out what cannot be used.

    Parameters
    ----------
    estimator : PrunedCNNClassifier
        It knows the bands of X.
    X : ndarray or ScenePixels
        Checked.
    X_val, y_val : array-like
    patch_size : int

    Returns
    -------
    X_val, y_val : ndarray or ScenePixels, ndarray
    """
    X_val = check_X(estimator, X_val, patch_size, estimator.dtype, reset=False)
    y_val = column_or_1d(y_val, warn=True)
    check_consistent_length(X_val, y_val)
    scenes = [part.cube if isinstance(part, ScenePixels) else None for part in (X, X_val)]
    if scenes[0] is not scenes[1]:
        raise ValueError(
            "X and X_val must be pixels of one scene, or both be arrays: the network looks at them "
            f"in the scene of X. Give X.patches({patch_size}) and X_val.patches({patch_size}) else."
        )
    used = usable(X_val, patch_size, None, "X_val")
    return X_val[used], y_val[used]


def usable(X, patch_size: int, sample_weight: np.ndarray | None, name: str = "X") -> np.ndarray:
    """Mark samples that have a weight and no NaN in their patch; say how many have one."""
    # NaN in spectra has been refused.
    used = np.ones(len(X), dtype=bool) if patch_size == 1 else whole_patches(X, patch_size)
    if not used.any():
        raise ValueError(f"All {len(X)} patches of {name} hold NaN or infinity; nothing is left.")
    if not used.all():
        warn(
            f"{int((~used).sum())} of {len(X)} samples of {name} are left out, as their patches "
            "hold NaN or infinity."
        )
    if sample_weight is None or not (sample_weight[used] > 0).any():  # the pruner refuses these
        return used
    return used & (sample_weight > 0)


def fitted_bands(estimator, spectra: np.ndarray, y, sample_weight: np.ndarray | None):
    """Fit what is done to each spectrum: the user's own, or what suits the kind of network."""
    if estimator.bands is not None:
        bands = clone(estimator.bands)
    elif estimator.kind == "1d":
        bands = StandardScaler()
    else:
        # Of the solvers the one without random numbers that is fast for many pixels.
        pca = PCA(min(N_COMPONENTS, *spectra.shape), whiten=True, svd_solver="covariance_eigh")
        bands = make_pipeline(StandardScaler(), pca)
    weighs = sample_weight is not None and has_fit_parameter(bands, "sample_weight")
    bands.fit(spectra, y, **({"sample_weight": sample_weight} if weighs else {}))
    found = np.asarray(bands.transform(spectra))
    if found.ndim != 2 or found.shape[1] == 0 or not np.isfinite(found).all():
        what = "NaN or infinity" if found.ndim == 2 and found.size else f"shape {found.shape}"
        raise ValueError(
            f"bands={bands} makes {what} of the {len(spectra)} training spectra, and the network "
            "takes a number for each channel; take another transformer, or other spectra."
        )
    return bands


def middle(X) -> np.ndarray:
    """Spectra of the samples; of patches those of their middle pixel."""
    X = np.asarray(X)
    return X if X.ndim == 2 else X[:, :, X.shape[2] // 2, X.shape[3] // 2]


def whole_patches(X, patch_size: int) -> np.ndarray:
    """Mark the samples whose patches have no missing number, (n_samples,)."""
    if not isinstance(X, ScenePixels):
        return np.isfinite(X).reshape(len(X), -1).all(axis=1)
    valid = np.empty(X.cube.shape[:2], dtype=bool)
    for rows in _strips(valid.shape):
        np.all(np.isfinite(X.cube[rows]), axis=2, out=valid[rows])
    return ndimage.minimum_filter(valid, patch_size, mode="mirror")[tuple(X.positions.T)]


def channels(bands, X: np.ndarray) -> np.ndarray:
    """Transform the spectra in an array whose bands lie along axis 1; others stay as they are."""
    spectra = np.moveaxis(X, 1, -1)
    found = bands.transform(spectra.reshape(-1, X.shape[1]))
    found = np.asarray(found, dtype=X.dtype).reshape(*spectra.shape[:-1], -1)
    # pandas' arrays are read-only, of which torch warns.
    return np.require(np.moveaxis(found, -1, 1), requirements=["C", "W"])


def channels_of_scene(bands, cube, dtype: str) -> np.ndarray:
    """Transform a scene, (n_rows, n_columns, n_channels); 0 where a number is missing."""
    strips = []
    for rows in _strips(cube.shape[:2]):
        spectra = np.asarray(cube[rows], dtype=dtype).reshape(-1, cube.shape[2])
        known = np.asarray(np.isfinite(spectra).all(axis=1))[:, None]
        found = np.asarray(bands.transform(np.where(known, spectra, 0)), dtype)
        strips.append((found * known).reshape(-1, cube.shape[1], found.shape[1]))
    return np.concatenate(strips)


def batches(bands, X, patch_size: int, dtype: str) -> Iterator[np.ndarray]:
    """Go through what the network takes, some samples at a time.

    Raises
    ------
    ValueError
        If a number of a patch is missing.
    """
    for start in range(0, len(X), N_PATCHES):
        part = X[start : start + N_PATCHES]
        if isinstance(part, ScenePixels):
            part = part.patches(patch_size).astype(dtype)
        if not np.isfinite(part).all():
            raise ValueError(
                "Input X contains NaN or infinity: the numbers of the first samples that do are "
                f"{(start + np.flatnonzero(~whole_patches(part, 1)))[:5].tolist()}."
            )
        yield channels(bands, part)


def _strips(shape: tuple[int, int]) -> Iterator[slice]:
    n_rows = max(1, N_PIXELS // shape[1])
    for start in range(0, shape[0], n_rows):
        yield slice(start, start + n_rows)
