"""From a scene's bands to the model's: which to read, how to interpolate, where data is missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_capoz._compile import kernel
from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.spectral._wavelengths import unit_named, wavelengths_nm

from ._scratch import Scratch

__all__ = ["BandMatch", "as_stored", "calibrated", "match_bands", "scene_wavelengths"]

#: Two band centres nearer than this, in nm, are the same band: headers round to 0.01 nm or so.
SAME_BAND = 0.05


def scene_wavelengths(values, n_bands: int, unit: str | None = None) -> np.ndarray:
    """Return band centres in nm, from nm or um; a missing or unknown unit is inferred.

    Programs write 0 for bands that they left out: such a band is NaN. Whether it is needed is
    not known before the bad-band list is.

    Raises
    ------
    ValueError
        If the unit is neither nm nor um, or the values do not tell it, or their number is wrong.
    """
    try:
        given = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"wavelengths must be one number for each of the {n_bands} bands, in nm or um, got "
            f"{values!r:.80}."
        ) from error
    missing = ~(np.isfinite(given) & (given > 0)) if given.shape == (n_bands,) else None
    return wavelengths_nm(None, n_bands, given, unit_named(unit), missing)


@dataclass(frozen=True, eq=False)
class BandMatch:
    """Model band j is `(1 - weight[j]) * lower[j] + weight[j] * upper[j]`.

    Parameters
    ----------
    bands : ndarray of int
        The scene's bands that are read, ascending.
    lower, upper : ndarray of shape (n_model_bands,), int
        Index into `bands`.
    weight : ndarray of shape (n_model_bands,), float
    """

    bands: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    weight: np.ndarray

    def restricted(self, needed: np.ndarray) -> BandMatch:
        """Read nothing for model bands that nobody looks at: another one stands in their place.

        Parameters
        ----------
        needed : ndarray of shape (n_model_bands,), bool
        """
        stand_in = np.where(needed, np.arange(len(needed)), needed.argmax())
        lower, upper = self.lower[stand_in], self.upper[stand_in]
        used, index = np.unique(np.concatenate([lower, upper]), return_inverse=True)
        n = len(lower)
        return BandMatch(self.bands[used], index[:n], index[n:], self.weight[stand_in])

    def spectra(
        self,
        block: np.ndarray,
        scale: float,
        nodata: float | None,
        dtype: np.dtype,
        scratch: Scratch,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Turn a block of `bands` into what the model takes.

        Parameters
        ----------
        block : ndarray of shape (n_rows, n_columns, n_bands)
            Stored numbers, in any memory order.
        scale : float
            Stored numbers are reflectance times this.
        nodata : float or None
            The stored number that says "not measured"; NaN and inf always say so.
        dtype : dtype of X
        scratch : Scratch
            Where X is, until the next call.

        Returns
        -------
        X : ndarray of shape (n_valid, n_model_bands), reflectance
        valid : ndarray of shape (n_rows, n_columns), bool
            False where any number that the pixel needs is missing, and where all are 0.
        """
        n_rows, n_columns, _ = block.shape
        nodata = as_stored(nodata, block.dtype)
        block = _plain(block)
        X = scratch.empty("X", (n_rows * n_columns, len(self.lower)), dtype)
        valid = np.empty((n_rows, n_columns), dtype=bool)
        _gather(block, self.lower, self.upper, self.weight, scale, nodata, X, valid)
        return (X if valid.all() else X[valid.ravel()]), valid


def calibrated(
    block: np.ndarray, nodata: float | None, gain: np.ndarray, offset: np.ndarray
) -> np.ndarray:
    """Turn stored numbers into reflectance where each band has a gain and an offset of its own.

    What says "not measured" is looked for before: afterwards it is a number like any other. NaN
    stands for it, and for pixels that are 0 in every band.
    """
    numbers = _plain(block)
    missing = (numbers == as_stored(nodata, block.dtype)) | (numbers == 0).all(2, keepdims=True)
    # As float32 where that holds every stored number.
    found = numbers.astype(np.result_type(numbers.dtype, np.float32)) * gain + offset
    return np.where(missing, np.nan, found).astype(np.result_type(numbers.dtype, np.float32))


def as_stored(nodata: float | None, dtype: np.dtype) -> float:
    """Round the no-data value to what a file of this dtype can hold; NaN equals nothing."""
    if nodata is None:
        return np.nan
    with np.errstate(over="ignore"):  # to infinity, which says the same
        return float(dtype.type(nodata)) if dtype.kind == "f" else float(nodata)


def _plain(block: np.ndarray) -> np.ndarray:
    """Turn what numba does not take into what it does: masks, half precision, foreign order."""
    if isinstance(block, np.ma.MaskedArray):
        # With room for NaN, and for every number that was there.
        block = np.ma.filled(block.astype(np.result_type(block.dtype, np.float32)), np.nan)
    if block.dtype.kind == "f" and block.dtype.itemsize not in (4, 8):
        return block.astype(np.float32)
    return block if block.dtype.isnative else block.astype(block.dtype.newbyteorder("="))


@kernel
def _gather(block, lower, upper, weight, scale, nodata, X, valid):  # pragma: no cover
    n_rows, n_columns = valid.shape
    for row in range(n_rows):
        for column in range(n_columns):
            pixel = row * n_columns + column
            valid[row, column] = True
            for j in range(lower.size):
                value = np.float64(block[row, column, lower[j]])
                missing = value == nodata
                if weight[j] > 0.0:
                    above = np.float64(block[row, column, upper[j]])
                    missing = missing or above == nodata
                    value += weight[j] * (above - value)
                if missing or not np.isfinite(value):
                    valid[row, column] = False
                    break
                X[pixel, j] = value / scale
            # All 0 is beside the image or dark; rare enough to be looked at a second time.
            if valid[row, column] and X[pixel, 0] == 0.0:
                for band in range(block.shape[2]):
                    if block[row, column, band] != 0:
                        break
                else:
                    valid[row, column] = False


def match_bands(
    wavelengths: np.ndarray | None,
    good: np.ndarray,
    n_model_bands: int,
    wanted: np.ndarray | None,
    max_gap: float,
) -> BandMatch:
    """Find the scene's bands for each of the model's, or say why they do not fit.

    Parameters
    ----------
    wavelengths : ndarray of shape (n_bands,), nm, or None
        The scene's; any order.
    good : ndarray of shape (n_bands,), bool
        False for bad bands.
    n_model_bands : int
    wanted : ndarray of shape (n_model_bands,), nm, or None
        The model's.
    max_gap : float, nm
        Largest distance from a model band to the nearest good band of the scene.

    Raises
    ------
    ValueError
        If either knows no wavelengths and the counts differ, or a model band has no good
        band of the scene within `max_gap`.
    """
    if not good.any():
        raise ValueError("the scene has no good band: bad_bands names them all.")
    if wavelengths is None or wanted is None:
        return _match_by_count(good, n_model_bands, wavelengths is None)
    usable = np.flatnonzero(good)
    if (unknown := usable[np.isnan(wavelengths[usable])]).size:
        listed = ", ".join(map(str, unknown[:5])) + (", ..." if unknown.size > 5 else "")
        raise DataFormatError(
            f"wavelengths must be positive and finite, but for bad bands; {unknown.size} good "
            f"bands have none (numbers {listed}, counted from 0). Name them in the file's bad-band "
            "list or in bad_bands."
        )
    usable = usable[np.argsort(wavelengths[usable], kind="stable")]
    centres = wavelengths[usable]
    _check_gaps(centres, wanted, max_gap)
    right = np.searchsorted(centres, wanted).clip(0, len(centres) - 1)
    left = np.maximum(right - 1, 0)
    # Outside the scene's range, and within max_gap of it, the last band stands for its neighbour.
    span = np.maximum(centres[right] - centres[left], SAME_BAND)
    weight = np.clip((wanted - centres[left]) / span, 0.0, 1.0)
    nearest = np.where(weight > 0.5, right, left)
    same = (np.abs(centres[nearest] - wanted) <= SAME_BAND) | (weight == 0) | (weight == 1)
    left, right = np.where(same, nearest, left), np.where(same, nearest, right)
    weight = np.where(same, 0.0, weight)
    bands, index = np.unique(np.concatenate([usable[left], usable[right]]), return_inverse=True)
    return BandMatch(bands, index[: len(left)], index[len(left) :], weight)


def _match_by_count(good: np.ndarray, n_model_bands: int, scene_is_blind: bool) -> BandMatch:
    """Take the good bands as they come; all of them where the model knows as many."""
    for bands in (np.flatnonzero(good), np.arange(len(good))):
        if len(bands) == n_model_bands:
            index = np.arange(n_model_bands)
            return BandMatch(bands, index, index, np.zeros(n_model_bands))
    missing = (
        "the scene has no wavelengths" if scene_is_blind else "the model knows no wavelengths_"
    )
    raise ValueError(
        f"the model takes {n_model_bands} bands, the scene has {len(good)} ({int(good.sum())} of "
        f"them good), and {missing} to match them by: give wavelengths and bad_bands, or take a "
        "model fitted with wavelengths."
    )


def _check_gaps(centres: np.ndarray, wanted: np.ndarray, max_gap: float) -> None:
    distance = np.abs(wanted[:, None] - centres).min(axis=1)
    far = wanted[distance > max_gap]
    if far.size:
        listed = ", ".join(f"{w:.0f}" for w in far[:5]) + (", ..." if far.size > 5 else "")
        raise ValueError(
            f"{far.size} of the model's {wanted.size} bands ({listed} nm) have no good band of "
            f"the scene within {max_gap:g} nm (max_band_gap); the scene's good bands span "
            f"{centres[0]:.5g} to {centres[-1]:.5g} nm. Train a model on bands that the scene "
            "has, correct its bad-band list, or allow a wider gap."
        )
