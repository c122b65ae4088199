"""Some pixels of a scene, and its noise: what a model can learn from it before it is mapped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.utils import check_random_state, check_scalar

from ..exceptions import DataFormatError
from ._bands import BandMatch, calibrated, match_bands
from ._open import open_source
from ._scratch import Scratch
from ._source import RowRange, Source

__all__ = ["SceneSample", "sample_scene"]

#: Rows that are read, where that is cheap and where it is not.
N_ROWS, FEW_ROWS = 256, 16

#: Standard deviation of normal noise over the median of its size.
MEDIAN_TO_DEVIATION = 1.4826


@dataclass(frozen=True, eq=False)
class SceneSample:
    """What `sample_scene` drew.

    Parameters
    ----------
    pixels : ndarray of shape (n_pixels, n_bands), float32, reflectance
    noise : ndarray of shape (n_bands,)
        Standard deviation of the noise relative to reflectance, in each band.
    wavelengths : ndarray of shape (n_bands,), nm
    """

    pixels: np.ndarray
    noise: np.ndarray
    wavelengths: np.ndarray

    def __repr__(self) -> str:
        nm = self.wavelengths
        return (
            f"SceneSample({len(self.pixels):,} pixels in {len(nm)} bands from {nm[0]:g} to "
            f"{nm[-1]:g} nm, noise {np.median(self.noise):.2%})"
        )


def sample_scene(
    source,
    wavelengths=None,
    *,
    n_pixels: int = 20_000,
    max_band_gap: float = 20.0,
    nodata: float | None = None,
    scale: float | None = None,
    random_state=None,
) -> SceneSample:
    """Draw pixels from all over a scene, and estimate its noise from neighbouring ones.

    Of a scene of any size a few hundred rows are read. Labels play no part: this is what
    `FieldTrainedClassifier` takes as `scene_pixels` and `scene_noise`.

    Parameters
    ----------
    source : path, ndarray, DataArray or dask array
        As in `predict_scene`; it has to know its wavelengths.
    wavelengths : array-like of shape (n_bands,), nm, default=None
        Bands to give, those of the library; in between reflectance is interpolated. None gives the
        good bands of the scene.
    n_pixels : int, default=20000
        Pixels to draw; a scene that has fewer gives all of them that are in the rows read.
    max_band_gap, nodata, scale
        As in `predict_scene`.
    random_state : int, RandomState instance or None, default=None
        Seed of the rows and pixels.

    Returns
    -------
    SceneSample

    Raises
    ------
    ValueError
        If the scene does not say its wavelengths, or lacks some of those asked for.
    DataFormatError
        If none of the pixels has data in all bands, or noise is larger than reflectance.

    See Also
    --------
    predict_scene : Maps all of it.

    Notes
    -----
    Noise: of each pixel and its right neighbour the difference over the mean, band by band, less
    the mean of that in the two bands beside. What the pixels really differ by goes with it, since
    that is smooth. What is left is the noise of two pixels and three bands, ``sqrt(2 * 1.5)`` times
    that of one; its size is the median over the pairs, so that edges count little [1]_.

    References
    ----------
    .. [1] Roger, R. E. & Arnold, J. F. (1996). Reliably estimating the noise in AVIRIS
       hyperspectral images. *International Journal of Remote Sensing* 17(10), 1951-1962.
       :doi:`10.1080/01431169608948750` (which predicts a band from its neighbours in the same way)

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> from sklearn_capoz.datasets import make_mineral_scene
    >>> from sklearn_capoz.scenes import sample_scene
    >>> scene = make_mineral_scene((30, 40), random_state=0)
    >>> cube = xr.DataArray(
    ...     scene.cube, dims=("y", "x", "band"), coords={"band": scene.wavelengths}
    ... )
    >>> sample_scene(cube, n_pixels=500, random_state=0).pixels.shape
    (500, 50)
    """
    check_scalar(n_pixels, "n_pixels", (int, np.integer), min_val=1)
    rng = check_random_state(random_state)
    scene = open_source(source).as_told(
        nodata=nodata, scale=scale, wavelengths=None, bad_bands=None
    )
    scene.check_size()
    if scene.wavelengths is None:
        raise ValueError("the scene does not say the wavelengths of its bands.")
    nm = scene.wavelengths[scene.usable()] if wavelengths is None else wavelengths
    nm = np.asarray(nm, dtype=float)
    match = match_bands(scene.wavelengths, scene.usable(), len(nm), nm, max_band_gap)
    rows = _draw_rows(scene, rng)
    per_row = -(-n_pixels // sum(stop - start for start, stop in rows))
    pixels, residuals = [], []
    with scene.reading():
        for start, stop in rows:
            for row in range(start, stop):
                spectra = _row(scene, match, row)
                found = np.flatnonzero(np.isfinite(spectra[:, 0]))
                drawn = rng.permutation(found)[:per_row]
                pixels.append(spectra[drawn])
                residuals.append(
                    _residuals(spectra[:-1], spectra[1:])[drawn[drawn < len(spectra) - 1]]
                )
    drawn_pixels = np.concatenate(pixels)
    if not len(drawn_pixels):
        raise DataFormatError(
            f"of {len(rows)} places of the scene no pixel has data in all {len(nm)} bands."
        )
    noise = _noise(np.concatenate(residuals))
    if np.median(noise) >= 1:
        raise DataFormatError(
            f"the noise of the scene is {np.median(noise):.0%} of its reflectance, so its pixels "
            "show nothing to learn from, as over water: train on a brighter scene of the "
            "same sensor."
        )
    kept = rng.permutation(len(drawn_pixels))[:n_pixels]
    return SceneSample(drawn_pixels[kept], noise, nm)


def _draw_rows(scene: Source, rng) -> list[RowRange]:
    """Draw rows from all over the scene; those that the file holds as one piece, together."""
    n_rows, piece = scene.shape[0], scene.rows_together
    if not scene.samples_cheaply:
        return [(0, min(n_rows, FEW_ROWS))]
    starts = np.arange(0, n_rows, piece)
    drawn = np.sort(rng.permutation(starts)[: max(1, N_ROWS // piece)])
    together = min(piece, N_ROWS)
    return [(int(start), int(min(start + together, n_rows))) for start in drawn]


def _row(scene: Source, match: BandMatch, row: int) -> np.ndarray:
    """Reflectance of a row, (n_columns, n_bands), NaN where there is no data."""
    scratch, nodata = Scratch(), scene.nodata
    block = scene.read(row, row + 1, match.bands, scratch)
    if scene.gain is not None and scene.offset is not None:
        gain, offset = scene.gain[match.bands], scene.offset[match.bands]
        block, nodata = calibrated(block, nodata, gain, offset), None
    X, valid = match.spectra(block, scene.scale or 1.0, nodata, np.dtype(np.float32), scratch)
    spectra = np.full((valid.size, X.shape[1]), np.nan, np.float32)
    spectra[valid.ravel()] = X
    return spectra


def _residuals(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return what neighbours differ by and the bands beside do not, relative to reflectance."""
    with np.errstate(all="ignore"):
        difference = 2 * (right - left) / (right + left)
        return difference[:, 1:-1] - (difference[:, :-2] + difference[:, 2:]) / 2


def _noise(residuals: np.ndarray) -> np.ndarray:
    """Return the deviation in each band; the outermost have that of those beside."""
    residuals = residuals[np.isfinite(residuals).all(axis=1)]
    if not residuals.size:
        return np.zeros(residuals.shape[1] + 2)
    size = MEDIAN_TO_DEVIATION * np.median(np.abs(residuals), axis=0) / np.sqrt(2 * 1.5)
    return np.pad(size, 1, mode="edge").astype(float)
