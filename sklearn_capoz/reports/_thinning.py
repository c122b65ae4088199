"""Which pixels of a large map a page holds: all of them up to some millions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Thinning"]

#: Pixels of the picture, and pixels with a spectrum and trust values, at most.
PICTURE_PIXELS, STORED_PIXELS = 8_000_000, 1_200_000


@dataclass(frozen=True)
class Thinning:
    """Every second, third, ... row and column.

    Parameters
    ----------
    shape : tuple of int, (n_rows, n_columns)
    picture : int
        Distance of the rows and columns in the picture; the first are 0.
    stored : int
        Distance of those with a spectrum, which are in the picture too.
    """

    shape: tuple[int, int]
    picture: int
    stored: int

    @classmethod
    def of(cls, shape: tuple[int, int]) -> Thinning:
        """Thin a map out as far as needed."""
        picture = _step(shape, 1, PICTURE_PIXELS)
        return cls(shape, picture, _step(shape, picture, STORED_PIXELS))

    @property
    def first(self) -> int:
        """First stored row and column: near the middle of its cell."""
        return self.stored // 2 // self.picture * self.picture

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns that are stored."""
        rows, columns = (
            np.minimum(np.arange(0, n, self.stored) + self.first, (n - 1) // p * p)
            for n, p in zip(self.shape, (self.picture,) * 2, strict=True)
        )
        return rows, columns


def _step(shape: tuple[int, int], of: int, most: int) -> int:
    """Find the smallest multiple of a step that leaves so many pixels."""
    step = of
    while -(-shape[0] // step) * -(-shape[1] // step) > most:
        step += of
    return step
