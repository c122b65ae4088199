"""Where the pixels of a raster lie, and which pixel lies at a place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..exceptions import DataFormatError
from ._source import Georeference

__all__ = ["Grid"]

#: Part of a pixel that two grids may be apart: rounding of the programs that wrote them.
SAME_PLACE = 0.01


@dataclass(frozen=True)
class Grid:
    """Rows and columns, and where they lie on Earth.

    Parameters
    ----------
    shape : tuple of int, (n_rows, n_columns)
    crs : str or None
        Coordinate system as WKT.
    transform : tuple of 6 float or None
        Affine: x = t0 * column + t1 * row + t2, y = t3 * column + t4 * row + t5.
    name : str
        What messages call it.
    """

    shape: tuple[int, int]
    crs: str | None = None
    transform: tuple[float, ...] | None = None
    name: str = "the map"

    @classmethod
    def of(cls, shape, georeference: Georeference, name: str) -> Grid:
        """Take a scene's. Control points are no grid that a place can be looked up in."""
        transform = georeference.transform
        return cls(tuple(shape[:2]), georeference.crs if transform else None, transform, name)

    def needs_coordinates(self, what: str) -> tuple[float, ...]:
        """Return the transform.

        Raises
        ------
        DataFormatError
            If there is none, so that nothing can be looked up by coordinates.
        """
        if self.transform is None:
            raise DataFormatError(
                f"{what} lies at coordinates, and {self.name} has none: give a raster of labels of "
                "the same rows and columns, or a table of points with row and column."
            )
        a, b, _, d, e, _ = self.transform
        if not np.isfinite(self.transform).all() or a * e == b * d:
            raise DataFormatError(f"{self.name} has coordinates that are none: {self.transform}.")
        return self.transform

    def cells(self, x, y) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Find the pixels at coordinates.

        Returns
        -------
        rows, columns : ndarray of int
        inside : ndarray of bool
            Whether there is such a pixel.
        """
        rows, columns = (np.floor(v) for v in self.positions(x, y))
        inside = (rows >= 0) & (rows < self.shape[0]) & (columns >= 0) & (columns < self.shape[1])
        rows, columns = (np.where(inside, v, 0).astype(np.intp) for v in (rows, columns))
        return rows, columns, inside

    def positions(self, x, y) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of coordinates, with their fractions."""
        a, b, c, d, e, f = self.needs_coordinates("it")
        x, y = np.asarray(x, dtype=np.float64) - c, np.asarray(y, dtype=np.float64) - f
        determinant = a * e - b * d
        return (a * y - d * x) / determinant, (e * x - b * y) / determinant

    def extent(self) -> tuple[float, float, float, float]:
        """Smallest x and y, largest x and y."""
        a, b, c, d, e, f = self.needs_coordinates("it")
        rows = np.array([0, 0, self.shape[0], self.shape[0]])
        columns = np.array([0, self.shape[1], 0, self.shape[1]])
        x, y = a * columns + b * rows + c, d * columns + e * rows + f
        return x.min(), y.min(), x.max(), y.max()

    def hectares(self) -> float | None:
        """Area of a pixel, or None where coordinates are no lengths."""
        if self.crs is None or self.transform is None:
            return None
        from rasterio.crs import CRS  # whoever told the system has it

        crs = CRS.from_wkt(self.crs)
        if not crs.is_projected:
            return None
        a, b, _, d, e, _ = self.transform
        return abs(a * e - b * d) * crs.linear_units_factor[1] ** 2 / 10_000

    def check_same(self, other: Grid) -> None:
        """See that another raster has the same pixels at the same places.

        Raises
        ------
        DataFormatError
            If shape, coordinate system or transform differ. What a file does not say is not
            compared.
        """
        if self.shape != other.shape:
            sizes = [f"{g.shape[0]} x {g.shape[1]} pixels" for g in (other, self)]
            raise DataFormatError(
                f"{other.name} has {sizes[0]} and {self.name} {sizes[1]}: bring it to the grid "
                "of the map, with the nearest neighbour (gdalwarp -r near)."
            )
        self._check_same_crs(other)
        if self.transform is None or other.transform is None:
            return
        a, b = self.transform, other.transform
        # A corner moves with every entry; the far one by the size of the map more.
        corners = np.array(
            [(x, y, 1) for x in (0, self.shape[1]) for y in (0, self.shape[0])], dtype=np.float64
        )
        moved = [corners @ np.reshape(t, (2, 3)).T for t in (a, b)]
        if np.abs(moved[0] - moved[1]).max() > SAME_PLACE * np.hypot(a[0], a[3]):
            raise DataFormatError(
                f"{other.name} begins at {b[2]:g}, {b[5]:g} with pixels of {b[0]:g}, and "
                f"{self.name} at {a[2]:g}, {a[5]:g} with pixels of {a[0]:g}: bring it to the grid "
                "of the map (gdalwarp)."
            )

    def _check_same_crs(self, other: Grid) -> None:
        if self.crs is None or other.crs is None or self.crs == other.crs:
            return
        from rasterio.crs import CRS  # whoever told the systems has it

        one, two = CRS.from_wkt(self.crs), CRS.from_wkt(other.crs)
        if one != two:
            raise DataFormatError(
                f"{other.name} is in the coordinate system {two!s:.60}, and {self.name} in "
                f"{one!s:.60}: bring it to the grid of the map (gdalwarp -t_srs, -r near)."
            )
