"""Single places of a raster whose class is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import KDTree

__all__ = ["Places"]


@dataclass(frozen=True, eq=False)
class Places:
    """Pixels and what they are.

    Parameters
    ----------
    rows, columns : ndarray of shape (n_places,), int
    codes : ndarray of shape (n_places,), int
        Index into `classes`; a name for each of millions of pixels would take a hundred times that.
    classes : ndarray of shape (n_classes,), str
        Each once; not all need to occur.
    polygons : ndarray of shape (n_places,), int, or None
        Number of the polygon that each lies in; None where there are none.
    name : str
        What messages call them.
    notes : tuple of str
        What was done to bring them to the raster.
    """

    rows: np.ndarray
    columns: np.ndarray
    codes: np.ndarray
    classes: np.ndarray
    polygons: np.ndarray | None
    name: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Count them."""
        return len(self.rows)

    @property
    def labels(self) -> np.ndarray:
        """Name of each."""
        return self.classes[self.codes]

    @property
    def occurring(self) -> list[str]:
        """Classes that have a place."""
        counts = np.bincount(self.codes, minlength=len(self.classes))
        return self.classes[counts > 0].tolist()

    def where(self, kept: np.ndarray) -> Places:
        """Take some of them, by a mask or by numbers."""
        polygons = None if self.polygons is None else self.polygons[kept]
        return replace(
            self,
            rows=self.rows[kept],
            columns=self.columns[kept],
            codes=self.codes[kept],
            polygons=polygons,
        )

    def distance_to(self, others: Places) -> np.ndarray:
        """Pixels from each to the nearest of others; 0 is the same pixel, 1 beside it."""
        tree = KDTree(np.column_stack([others.rows, others.columns]))
        # Steps of a king on a chess board: 1 touches, at a corner too.
        return tree.query(np.column_stack([self.rows, self.columns]), p=np.inf)[0]
