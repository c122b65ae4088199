"""A scene that can be read a few rows at a time, with what its file says about it.

Every kind of scene is a `Source` and answers for itself: how its rows are read, whether a look at
a few of them is cheap, in which other order its bytes could be meant, how it gets to the workers of
a cluster, whether it is still the same. Nobody else asks which kind it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import check_scalar

from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.spectral._wavelengths import bad_band_mask

from ._bands import as_stored, scene_wavelengths
from ._scratch import Scratch

__all__ = ["Georeference", "RowRange", "Source", "nodata_of_bands", "radiometry", "take_bands"]

#: First row, and the one after the last.
RowRange = tuple[int, int]

#: Bytes of one row in all bands. The widest scanners have some 10 MB; what claims more than this is
#: damaged or meant to do harm, and a block of a single row of it would fill the memory.
ROW_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Georeference:
    """Where the pixels lie on Earth.

    Parameters
    ----------
    crs : str or None
        WKT of the coordinate system, of the transform or of the control points.
    transform : tuple of 6 float or None
        Affine: x = t0 * column + t1 * row + t2, y = t3 * column + t4 * row + t5.
    control_points : tuple of (row, column, x, y, z)
        Places of single pixels, where no transform is known.
    rpcs : Mapping or None
        Rational polynomial coefficients, by their names in GDAL.
    """

    crs: str | None = None
    transform: tuple[float, ...] | None = None
    control_points: tuple[tuple[float, ...], ...] = ()
    rpcs: Mapping[str, Any] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Source:
    """A scene with what its file says about it; subclasses know how to read it.

    Parameters
    ----------
    shape : tuple of int, (n_rows, n_columns, n_bands)
    dtype : dtype of the stored numbers
    wavelengths : ndarray of shape (n_bands,), nm, or None
        NaN for bands that have none.
    good : ndarray of shape (n_bands,), bool, or None
        False for the bands that the file's bad-band list names.
    scale : float or None
        Stored numbers are reflectance times this; None where the file does not say.
    gain, offset : ndarray of shape (n_bands,), or None
        Where bands differ: reflectance is stored number * gain + offset.
    nodata : float or None
        The stored number that says "not measured".
    band_nodata : ndarray of shape (n_bands,), or None
        Where the bands differ in it; NaN for a band that has none.
    georeference : Georeference
    files : tuple of Path
        What is read, all of it: no result may take its place.
    rows_together : int
        Rows that the file stores as one piece, which is unpacked whole for any of them.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    wavelengths: np.ndarray | None = None
    good: np.ndarray | None = None
    scale: float | None = None
    gain: np.ndarray | None = None
    offset: np.ndarray | None = None
    nodata: float | None = None
    band_nodata: np.ndarray | None = None
    georeference: Georeference = field(default_factory=Georeference)
    files: tuple[Path, ...] = ()
    rows_together: int = 1

    #: Whether a few rows from all over the scene cost little.
    samples_cheaply: ClassVar[bool] = True
    #: Blocks that a cluster gets as one task: a message costs it milliseconds, as a block does.
    blocks_per_task: ClassVar[int] = 8

    def reading(self) -> AbstractContextManager:
        """Set up what holds while blocks are read."""
        return nullcontext()

    def read(self, start: int, stop: int, bands: np.ndarray, scratch: Scratch) -> np.ndarray:
        """Read the numbers of rows start to stop, (n_rows, n_columns, len(bands)).

        Called from several threads, and on other machines. What it returns may be in the
        scratch, and good until the next call.
        """
        raise NotImplementedError

    def blocks(
        self, task: list[RowRange], bands: np.ndarray, scratch: Scratch
    ) -> Iterator[np.ndarray]:
        """Read block after block; each is good until the next one."""
        for start, stop in task:
            yield self.read(start, stop, bands, scratch)

    def to_worker(self, client, task: list[RowRange], bands: np.ndarray):
        """Give what a cluster's worker makes the blocks of: here, the way to read them itself."""
        return partial(self.blocks, task, bands)

    def active_client(self):
        """Find the cluster that the scene is meant for, if it is for any."""

    def other_readings(self) -> dict[str, Source]:
        """Give the bytes in the other orders that could be meant, by what would say so."""
        return {}

    def identity(self) -> str:
        """Say what must be the same for an interrupted run to go on: files by name, size, time."""
        return " ".join(f"{p.name} {s.st_size} {s.st_mtime_ns}" for p, s in self._status())

    def state(self) -> tuple[str, ...]:
        """Say what must be the same from the first block to the last: identity, and where it is."""
        return (self.identity(), *(f"{s.st_dev} {s.st_ino}" for _, s in self._status()))

    def _status(self):
        return [(path, path.stat()) for path in self.files]

    def as_told(self, *, nodata, scale, wavelengths, bad_bands) -> Source:
        """Put what the caller says about bands and numbers above what the file says."""
        said: dict[str, Any] = {}
        n_bands = self.shape[2]
        if wavelengths is not None:
            said["wavelengths"] = scene_wavelengths(wavelengths, n_bands)
        if bad_bands is not None:
            said["good"] = ~bad_band_mask(bad_bands, n_bands)
        if nodata is not None:
            check_scalar(nodata, "nodata", Real)
            said |= {"nodata": float(nodata), "band_nodata": None}
        if scale is not None:
            check_scalar(scale, "scale", Real)
            said |= {"scale": float(scale), "gain": None, "offset": None}
            if not (np.isfinite(said["scale"]) and said["scale"] > 0):
                raise ValueError(f"scale must be a number above 0, got {said['scale']!r}.")
            if said["scale"] < 1 and self.dtype.kind in "iu":  # a factor, as other programs say it
                raise ValueError(
                    "scale must be the stored integer that stands for reflectance 1, such as "
                    f"10000, got {scale!r}: a factor is its reciprocal, {1 / said['scale']:g}."
                )
        elif self.scale is None and self.gain is None and self.dtype.kind in "iu":
            raise ValueError(
                f"the scene holds integers ({self.dtype}) and does not say which stands for "
                "reflectance 1: give it as scale, such as 10000 (1 if the model was trained on "
                "such integers)."
            )
        return replace(self, **said)

    def without_fill(self, block: np.ndarray, bands: np.ndarray) -> np.ndarray:
        """Mask what each band's own no-data value says of a block (n_rows, n_columns, n_bands)."""
        if self.band_nodata is None:
            return block
        stored = [as_stored(value, self.dtype) for value in self.band_nodata[bands]]
        missing = np.ma.getmaskarray(block) | (np.ma.getdata(block) == np.array(stored))
        return np.ma.masked_array(np.ma.getdata(block), missing) if missing.any() else block

    def usable(self) -> np.ndarray:
        """Mask of the bands that no list calls bad, (n_bands,)."""
        return np.ones(self.shape[2], dtype=bool) if self.good is None else self.good

    def check_size(self) -> None:
        """Refuse rows that no memory holds, before any is taken."""
        _, n_columns, n_bands = self.shape
        if (size := n_columns * n_bands * self.dtype.itemsize) > ROW_BYTES:
            raise DataFormatError(
                f"one row of the scene, {n_columns:,} columns of {n_bands:,} bands, takes "
                f"{size:,} bytes, and at most {ROW_BYTES:,} are read: if the file is what it "
                "says, cut it into narrower ones."
            )


def nodata_of_bands(values: list[float | None]) -> dict[str, Any]:
    """Settle `nodata` or, where the bands differ in it, `band_nodata` of a `Source`."""
    numbers = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    if np.isnan(numbers).all():
        return {}
    if (numbers == numbers[0]).all():
        return {"nodata": float(numbers[0])}
    return {"band_nodata": numbers}


def take_bands(cube, bands: np.ndarray):
    """Select bands on the last axis, without a copy where they follow each other."""
    if bands[-1] - bands[0] + 1 == len(bands):
        return cube[..., bands[0] : bands[-1] + 1]
    return cube[..., bands]


def radiometry(name, scale=None, gain=None, offset=None) -> dict[str, Any]:
    """Settle what turns stored numbers into reflectance, as few numbers as say it.

    Parameters
    ----------
    name : what says so, for messages
    scale : array-like of 1 or n_bands numbers, or None
        Stored numbers are reflectance times this.
    gain, offset : array-like of n_bands numbers, or None
        Reflectance is stored number * gain + offset.

    Returns
    -------
    settings : dict
        `scale`, or `gain` and `offset`, of a `Source`; empty where nothing is said.

    Raises
    ------
    DataFormatError
        If a factor is 0 or no number, or a scale and gains say different things.
    """
    parts = {"scale": scale, "gain": gain, "offset": offset}
    said = {k: np.asarray(v, dtype=np.float64) for k, v in parts.items() if v is not None}
    for kind, values in said.items():
        if not np.isfinite(values).all() or (kind != "offset" and (values == 0).any()):
            raise DataFormatError(f"{name}: a {kind} must be a finite number other than 0.")
    factor = 1 / said["scale"] if "scale" in said else None
    by, plus = said.get("gain", np.ones(1)), said.get("offset", np.zeros(1))
    if (by == 1).all() and (plus == 0).all():
        if factor is None:
            return {}
        by = factor
    elif factor is not None and not (np.allclose(by, factor) and (plus == 0).all()):
        raise DataFormatError(
            f"{name} states a scale factor, and gains or offsets that say something else: give "
            "as scale the stored number that stands for reflectance 1."
        )
    if (plus == 0).all() and (by == by.flat[0]).all():
        return {"scale": float(said["scale"].flat[0] if factor is not None else 1 / by.flat[0])}
    by, plus = np.broadcast_arrays(by, plus)
    return {"gain": by, "offset": plus}
