"""A made scene of any size: smooth mineral patches, mixing, shade and noise, block by block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.utils import Bunch, check_random_state

from ._files import describe
from ._synthetic import ILLUMINATION, check_noise, endmembers
from ._usgs_minerals import CUPRITE_MINERALS

__all__ = ["make_mineral_scene"]

#: How strongly the largest of the smooth fields wins a pixel: at 4, the dominant mineral has about
#: two thirds of the median pixel.
CONTRAST = 3.0

#: Standard deviation of the fields' part that changes from pixel to pixel.
ROUGHNESS = 0.25


def make_mineral_scene(
    shape: tuple[int, int],
    *,
    wavelengths=None,
    minerals: Sequence[str] = CUPRITE_MINERALS,
    patch_size: float = 24.0,
    noise: float = 0.01,
    out: np.ndarray | None = None,
    block_rows: int = 64,
    random_state=None,
) -> Bunch:
    """Make an image of minerals whose truth is known, as large as the disk allows.

    Each USGS record of the minerals has a smooth random field; a pixel's abundances are the softmax
    of the fields there, roughened from pixel to pixel, so patches have pure hearts and mixed
    borders, and a mineral with more records covers more ground. A further smooth field is the light
    on slopes, from 0.5 to 1. Independent Gaussian noise comes last.

    Parameters
    ----------
    shape : tuple of int, (n_rows, n_columns)
    wavelengths : array-like of shape (n_bands,), nm, default=None
        As in `make_mineral_spectra`; None is `CUPRITE_WAVELENGTHS`.
    minerals : sequence of str, default=CUPRITE_MINERALS
        The minerals in the scene.
    patch_size : float, default=24
        Distance in pixels over which the fields change.
    noise : float, default=0.01
        Standard deviation in reflectance.
    out : ndarray or memmap of float, shape (n_rows, n_columns, n_bands), default=None
        Where the reflectance is written. With a memmap the scene may be larger than the memory:
        only labels and purity, 5 bytes a pixel, stay there. None makes a float32 array.
    block_rows : int, default=64
        Rows made at a time. The scene does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of the fields and of every row's noise.

    Returns
    -------
    scene : Bunch
        With the attributes

        - cube : ndarray of shape (n_rows, n_columns, n_bands), reflectance; `out` where given
        - labels : ndarray of shape (n_rows, n_columns), int8: the mineral with the largest
          abundance, as index into `target_names`
        - purity : ndarray of shape (n_rows, n_columns), float32: its abundance
        - target_names : ndarray of str, `minerals`
        - wavelengths : ndarray of shape (n_bands,), nm
        - DESCR : str, how it was made

    Raises
    ------
    ValueError
        If a size, a mineral or a wavelength is not possible, or `out` does not fit.

    See Also
    --------
    make_mineral_spectra : Single spectra with their labels.

    Notes
    -----
    Neighbouring pixels resemble each other, so a random split of one scene's pixels flatters a
    model: test on another seed, or on other rows.

    Examples
    --------
    >>> from sklearn_capoz.datasets import make_mineral_scene
    >>> scene = make_mineral_scene((40, 30), random_state=0)
    >>> scene.cube.shape, scene.cube.dtype.name, scene.labels.shape
    ((40, 30, 50), 'float32', (40, 30))
    """
    n_rows, n_columns = _check_sizes(shape, patch_size, block_rows)
    check_noise(noise)
    spectra, names, wavelengths = endmembers(minerals, wavelengths)
    target_names = np.array([minerals] if isinstance(minerals, str) else list(minerals))
    is_of = (names[:, None] == target_names).astype(float)  # (n_records, n_minerals)
    cube = _check_out(out, (n_rows, n_columns, len(wavelengths)))

    rng = check_random_state(random_state)
    seed = int(rng.randint(np.iinfo(np.int32).max))
    knots = tuple(int(np.ceil(n / patch_size)) + 3 for n in (n_rows, n_columns))
    fields = rng.standard_normal((*knots, len(spectra) + 1))
    labels = np.empty((n_rows, n_columns), dtype=np.int8)
    purity = np.empty((n_rows, n_columns), dtype=np.float32)
    for start in range(0, n_rows, block_rows):
        rows = np.arange(start, min(start + block_rows, n_rows))
        smooth = _spline(fields, rows / patch_size, np.arange(n_columns) / patch_size)
        for row, field in zip(rows.tolist(), smooth, strict=True):
            own = np.random.default_rng([seed, row])  # a row is the same in any block
            abundances = _abundances(field[:, :-1], own)
            part = abundances @ is_of
            labels[row], purity[row] = part.argmax(axis=1), part.max(axis=1)
            reflectance = _light(field[:, -1:]) * (abundances @ spectra)
            cube[row] = reflectance + noise * own.standard_normal(reflectance.shape)
    return Bunch(
        cube=cube,
        labels=labels,
        purity=purity,
        target_names=target_names,
        wavelengths=wavelengths,
        DESCR=describe("mineral_scene"),
    )


def _abundances(field: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn one row of fields (n_columns, n_records) into parts that sum to 1."""
    rough = CONTRAST * (field + ROUGHNESS * rng.standard_normal(field.shape))
    parts = np.exp(rough - rough.max(axis=1, keepdims=True))
    return parts / parts.sum(axis=1, keepdims=True)


def _light(field: np.ndarray) -> np.ndarray:
    """Squash a field into the range of illumination."""
    low, high = ILLUMINATION
    return low + (high - low) / (1 + np.exp(-2 * field))


def _spline(fields: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Evaluate uniform cubic B-splines with the given coefficients, scaled to unit variance.

    Parameters
    ----------
    fields : ndarray of shape (n_row_knots, n_column_knots, n_fields)
    rows, columns : ndarray
        Positions in units of the knots' distance.
    """
    at, weights = _taps(rows)
    smooth = np.einsum("rt,rtcf->rcf", weights, fields[at])
    at, weights = _taps(columns)
    return np.einsum("ct,rctf->rcf", weights, smooth[:, at])


def _taps(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the four coefficients that act at each position, and their weights."""
    first = np.floor(positions).astype(int)
    t = (positions - first)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 3 * t * (1 + t - t**2) + 1, t**3])
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    return first[:, None] + np.arange(4), weights


def _check_sizes(shape, patch_size, block_rows) -> tuple[int, int]:
    sizes = [*shape, block_rows]
    if len(sizes) != 3 or not all(isinstance(n, (int, np.integer)) and n >= 1 for n in sizes):
        raise ValueError(
            f"shape must be (n_rows, n_columns) and block_rows a number of rows, all >= 1, got "
            f"shape={shape!r}, block_rows={block_rows!r}."
        )
    if not patch_size > 0:
        raise ValueError(f"patch_size must be a number of pixels > 0, got {patch_size!r}.")
    return int(shape[0]), int(shape[1])


def _check_out(out, shape: tuple[int, int, int]) -> np.ndarray:
    if out is None:
        return np.empty(shape, dtype=np.float32)
    if out.shape != shape or not np.issubdtype(out.dtype, np.floating):
        raise ValueError(
            f"out must be an array of floats of shape {shape}, got {out.dtype} and {out.shape}."
        )
    return out
