"""Pixels of a raster whose class is known: some single ones, or most of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import KDTree

__all__ = ["KnownRaster", "Places", "Truth"]

#: Pixels of a raster that are looked at together: rows and columns of each take 16 bytes and more.
PIECE_PIXELS = 1_000_000


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

    def called(self, names: np.ndarray) -> Places:
        """Give each class another name; those that are called "" are left out."""
        classes, index = np.unique(names, return_inverse=True)
        places = replace(self, codes=index.astype(np.uint16)[self.codes], classes=classes)
        return places.where(classes[places.codes] != "") if "" in classes else places

    def pieces(self) -> Iterator[Places]:
        """Go through them, so many at a time as memory is to hold."""
        yield self

    def whole(self) -> Places:
        """All of them together."""
        return self

    def distance_to(self, others: KDTree) -> np.ndarray:
        """Pixels from each to the nearest of others; 0 is the same pixel, 1 beside it."""
        # Steps of a king on a chess board: 1 touches, at a corner too.
        return others.query(np.column_stack([self.rows, self.columns]), p=np.inf)[0]

    def tree(self) -> KDTree:
        """Index them by where they lie."""
        return KDTree(np.column_stack([self.rows, self.columns]))


@dataclass(frozen=True, eq=False)
class KnownRaster:
    """A raster that says of most pixels what they are.

    Its places are made of a few rows at a time: all of them take many times the raster's memory.

    Parameters
    ----------
    raster : ndarray of shape (n_rows, n_columns), uint8 or uint16
    index : ndarray of shape (n_codes,), int
        Of each code of the raster the index into `classes`; -1 for what is not known.
    classes, name, notes
        As those of `Places`.
    """

    raster: np.ndarray
    index: np.ndarray
    classes: np.ndarray
    name: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Count the pixels that are known."""
        return sum(map(len, self.pieces()))

    @property
    def occurring(self) -> list[str]:
        """Classes that have a pixel."""
        found = np.unique(self.index[np.unique(self.raster)])
        return self.classes[found[found >= 0]].tolist()

    def called(self, names: np.ndarray) -> KnownRaster:
        """Give each class another name; those that are called "" are left out."""
        classes, moved = np.unique(names, return_inverse=True)
        moved = np.where(classes[moved] == "", -1, moved)
        index = np.where(self.index < 0, -1, moved[self.index])
        return replace(self, index=index, classes=classes)

    def pieces(self) -> Iterator[Places]:
        """Go through the pixels that are known, a few rows at a time."""
        n_rows, n_columns = self.raster.shape
        step = max(1, PIECE_PIXELS // n_columns)
        for start in range(0, n_rows, step):
            codes = self.index.astype(np.int32)[self.raster[start : start + step]]
            # Half the size of numpy's own numbers holds them.
            rows, columns = (places.astype(np.int32) for places in np.nonzero(codes >= 0))
            codes = codes[rows, columns].astype(np.uint16)
            yield Places(rows + np.int32(start), columns, codes, self.classes, None, self.name)

    def whole(self) -> Places:
        """All of them together, for who needs each by itself."""
        pieces = list(self.pieces())
        rows, columns, codes = (
            np.concatenate([getattr(piece, part) for piece in pieces])
            for part in ("rows", "columns", "codes")
        )
        return Places(rows, columns, codes, self.classes, None, self.name, self.notes)


#: What is known of a raster.
Truth = Places | KnownRaster
