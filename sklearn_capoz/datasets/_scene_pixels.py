"""Some pixels of a scene as samples: each a spectrum that knows its neighbours."""

from __future__ import annotations

import numpy as np

__all__ = ["ScenePixels", "check_patch_size"]


class ScenePixels:
    """Pixels of a scene, for estimators that look at the patch around each.

    It stands where an array of spectra stands: it has a length, takes indices, and can be split by
    train_test_split and GridSearchCV. An estimator that asks for an array gets the spectra of the
    pixels; one that knows patches, such as :class:`~sklearn_capoz.PrunedCNNClassifier`, gathers
    them batch by batch from the one scene, which is never copied.

    Parameters
    ----------
    cube : array-like of shape (n_rows, n_columns, n_bands)
        The scene; it is held as it is, a memmap too. What a masked array hides becomes NaN.
    positions : array-like of shape (n_pixels, 2), int
        Row and column of each pixel, counted from 0.

    Attributes
    ----------
    shape : (n_pixels, n_bands)
    ndim : 2
    dtype : of the cube

    Raises
    ------
    ValueError
        If the cube has no three axes, or a position is none of its pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_capoz.datasets import ScenePixels
    >>> cube = np.arange(24.0).reshape(3, 4, 2)
    >>> pixels = ScenePixels(cube, [[0, 0], [1, 2], [2, 3]])
    >>> np.asarray(pixels[1:])
    array([[12., 13.],
           [22., 23.]])
    >>> pixels.patches(3)[1].shape
    (2, 3, 3)
    """

    ndim = 2

    def __init__(self, cube, positions):
        if np.ndim(cube) != 3:
            raise ValueError(
                f"cube must have rows, columns and bands, got an array of shape {np.shape(cube)}."
            )
        if isinstance(cube, np.ma.MaskedArray):  # whose hidden numbers an index would bring back
            cube = np.ma.filled(cube.astype(np.result_type(cube.dtype, np.float32)), np.nan)
        self.cube = cube if hasattr(cube, "dtype") else np.asarray(cube)
        self.positions = _checked(positions, np.shape(cube)[:2])

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.positions), self.cube.shape[2]

    @property
    def dtype(self) -> np.dtype:
        return self.cube.dtype

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index) -> ScenePixels:
        if isinstance(index, tuple):  # scikit-learn says [rows, ...]
            if len(index) != 2 or index[1] is not Ellipsis:
                raise IndexError(
                    "pixels of a scene are taken by one index; for bands, cut its cube."
                )
            index = index[0]
        chosen = self.positions[index]
        return ScenePixels(self.cube, chosen if chosen.ndim == 2 else chosen[None])

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        """Spectra of the pixels, (n_pixels, n_bands)."""
        rows, columns = self.positions.T
        return np.asarray(self.cube[rows, columns], dtype=dtype)

    def __repr__(self) -> str:
        return f"ScenePixels({len(self):,} pixels of a scene of {self.cube.shape})"

    def patches(self, patch_size: int) -> np.ndarray:
        """Cut the patch around each pixel; beyond the scene's edge it is mirrored there.

        Parameters
        ----------
        patch_size : int
            Rows and columns, an odd number.

        Returns
        -------
        patches : ndarray of shape (n_pixels, n_bands, patch_size, patch_size)
        """
        check_patch_size(patch_size, self.cube.shape[:2])
        reach = np.arange(patch_size) - patch_size // 2
        rows, columns = (
            mirrored(at[:, None] + reach, size)
            for at, size in zip(self.positions.T, self.cube.shape, strict=False)
        )
        return np.moveaxis(self.cube[rows[:, :, None], columns[:, None, :]], 3, 1)


def mirrored(index: np.ndarray, size: int) -> np.ndarray:
    """Rows or columns for indices beyond an edge, at which the scene is mirrored."""
    index = np.abs(index)
    return np.where(index < size, index, 2 * (size - 1) - index)


def check_patch_size(patch_size: int, shape: tuple[int, int]) -> None:
    """Raise where no patch of this size has a pixel in its middle, or none fits the scene."""
    if patch_size % 2 == 0:
        raise ValueError(
            f"patch_size={patch_size} is even, and a patch has its pixel in the middle: take "
            f"{patch_size - 1} or {patch_size + 1}."
        )
    if patch_size > min(shape):
        raise ValueError(
            f"patch_size={patch_size} is larger than the scene of {shape[0]} x {shape[1]} pixels."
        )


def _checked(positions, shape: tuple[int, int]) -> np.ndarray:
    positions = np.asarray(positions)
    if positions.ndim != 2 or positions.shape[1] != 2 or positions.dtype.kind not in "iu":
        raise ValueError(
            "positions must hold whole numbers, row and column of each pixel, in an array of shape "
            f"(n_pixels, 2), got {positions.dtype} of shape {positions.shape}."
        )
    outside = ((positions < 0) | (positions >= shape)).any(axis=1)
    if outside.any():
        raise ValueError(
            f"{int(outside.sum())} of {len(positions)} positions lie outside the scene of "
            f"{shape[0]} x {shape[1]} pixels, {positions[outside][0].tolist()} for one; rows and "
            "columns are counted from 0."
        )
    return positions.astype(np.intp, copy=False)
