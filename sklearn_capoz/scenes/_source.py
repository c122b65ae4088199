"""A scene that can be read a few rows at a time, with what its file says about it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ._scratch import Scratch

__all__ = ["Georeference", "Source", "file_identity", "take_bands"]


@dataclass(frozen=True)
class Georeference:
    """Where the pixels lie on Earth.

    Parameters
    ----------
    crs : str or None
        WKT of the coordinate system.
    transform : tuple of 6 float or None
        Affine: x = t0 * column + t1 * row + t2, y = t3 * column + t4 * row + t5.
    """

    crs: str | None = None
    transform: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Source:
    """A scene with what its file says about it; subclasses know how to read it.

    Parameters
    ----------
    shape : tuple of int, (n_rows, n_columns, n_bands)
    dtype : dtype of the stored numbers
    identity : str
        Changes when the content does: an interrupted run goes on only with the same scene.
    wavelengths : ndarray of shape (n_bands,), nm, or None
    good : ndarray of shape (n_bands,), bool, or None
        False for the bands that the file's bad-band list names.
    scale : float or None
        Stored numbers are reflectance times this; None where the file does not say.
    nodata : float or None
    georeference : Georeference
    files : tuple of Path
        What is read, all of it: no result may take its place.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    identity: str
    wavelengths: np.ndarray | None = None
    good: np.ndarray | None = None
    scale: float | None = None
    nodata: float | None = None
    georeference: Georeference = field(default_factory=Georeference)
    files: tuple[Path, ...] = ()

    def reading(self) -> AbstractContextManager:
        """Set up what holds while blocks are read."""
        return nullcontext()

    def read(self, start: int, stop: int, bands: np.ndarray, scratch: Scratch) -> np.ndarray:
        """Read the numbers of rows start to stop, (n_rows, n_columns, len(bands)).

        Called from several threads, and on other machines. What it returns may be in the
        scratch, and good until the next call.
        """
        raise NotImplementedError


def take_bands(cube, bands: np.ndarray):
    """Select bands on the last axis, without a copy where they follow each other."""
    if bands[-1] - bands[0] + 1 == len(bands):
        return cube[..., bands[0] : bands[-1] + 1]
    return cube[..., bands]


def file_identity(path: Path) -> str:
    """Name, size and time of last change."""
    status = path.stat()
    return f"{path.name} {status.st_size} {status.st_mtime_ns}"
