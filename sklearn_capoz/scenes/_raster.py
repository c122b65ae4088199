"""Scenes in GeoTIFF, and in the virtual rasters that are made of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sklearn_capoz.exceptions import DataFormatError

from ._raster_tags import raster_georeference, said_about_bands
from ._source import RowRange, Source, nodata_of_bands, radiometry
from ._vrt import check_parts, check_tiff

__all__ = ["RasterSource", "import_rasterio", "is_raster", "open_raster", "opened", "quiet"]

#: GDAL's driver for each suffix. By content it would take anything under any name: a VRT called
#: scene.tif reads other files of this machine, and fetches some.
DRIVERS = {".tif": "GTiff", ".tiff": "GTiff", ".vrt": "VRT"}

#: Nothing is fetched, and no Python code in a VRT is run, whatever a file says. A file of one strip
#: is said to be one: GDAL would call it rows, and unpack all that is above a row to read that.
SETTINGS = {
    "CPL_VSIL_CURL_ALLOWED_FILENAME": "none",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "GDAL_ENABLE_TIFF_SPLIT": "NO",
}

#: Bytes of the largest piece that a file may be stored in: GDAL unpacks it whole for any of its
#: rows. What scanners deliver has strips of some MB; 1.8 MB of zeros can unpack to 1.8 GB.
PIECE_BYTES = 500_000_000

#: Bytes of rows that are read at once where a file stores more rows together than a block has.
SPAN_BYTES = 128_000_000


@dataclass(frozen=True, eq=False, kw_only=True)
class RasterSource(Source):
    """A GeoTIFF or VRT.

    Parameters
    ----------
    path : Path
    numbers : ndarray of shape (n_bands,), int
        GDAL's numbers of the spectral bands, from 1; an alpha band is none.
    mask : "", "scene" or "bands"
        Whether a mask says where there is data: none, one for all bands, one for each.
    alpha : int
        GDAL's number of an alpha band, or 0. GDAL itself takes one of whole numbers for a mask.
    """

    path: Path
    numbers: np.ndarray
    mask: Literal["", "scene", "bands"] = ""
    alpha: int = 0

    def reading(self):
        # Around all threads: the filters belong to the process.
        return quiet()

    def read(self, start, stop, bands, scratch):
        # A dataset must not be shared between threads; opening one costs about a millisecond.
        with self._dataset() as dataset:
            return self._read(dataset, start, stop, bands, scratch)

    @contextmanager
    def _dataset(self) -> Iterator[Any]:
        try:
            with opened(self.path) as dataset:
                yield dataset
        except import_rasterio().errors.RasterioError as error:
            raise DataFormatError(
                f"{self.path} cannot be opened any more: {error}. It was there before."
            ) from error

    def _read(self, dataset, start, stop, bands, scratch) -> np.ndarray:
        shape = (len(bands), stop - start, self.shape[1])
        window = ((start, stop), (0, self.shape[1]))
        numbers = self.numbers[bands].tolist()
        try:
            block = dataset.read(
                numbers, window=window, out=scratch.empty("block", shape, self.dtype)
            )
            missing = self._missing(dataset, numbers, window)
        except import_rasterio().errors.RasterioError as error:
            raise DataFormatError(
                f"rows {start} to {stop} of {self.path} cannot be read: {error}. "
                "The file is cut or damaged."
            ) from error
        if missing is not None and missing.any():
            block = np.ma.masked_array(block, np.broadcast_to(missing, shape))
        return self.without_fill(block.transpose(1, 2, 0), bands)

    def blocks(self, task, bands, scratch):
        """Read what the file stores together at once, or it would be unpacked for each block.

        As long as it is open, GDAL holds the piece that it has unpacked last; so a piece that is
        more than may be held twice is read in parts, through one opening.
        """
        row_bytes = self.shape[1] * len(bands) * self.dtype.itemsize
        n_rows = min(self.rows_together, SPAN_BYTES // row_bytes)
        with self._dataset() as dataset:
            for part in _joined(task, n_rows):
                first = part[0][0]
                rows = self._read(dataset, first, part[-1][1], bands, scratch)
                for start, stop in part:
                    yield rows[start - first : stop - first]

    def _missing(self, dataset, numbers, window) -> np.ndarray | None:
        """Where a mask says that there is no data, (1 or n_bands, n_rows, n_columns)."""
        if self.mask:
            asked = numbers[:1] if self.mask == "scene" else numbers
            return dataset.read_masks(asked, window=window) == 0
        if self.alpha:
            return dataset.read([self.alpha], window=window) == 0
        return None


def _joined(task: list[RowRange], n_rows: int) -> Iterator[list[RowRange]]:
    """Join ranges that follow each other to parts of no more than so many rows, if they can."""
    part: list[RowRange] = []
    for start, stop in task:
        if part and (start != part[-1][1] or stop - part[0][0] > n_rows):
            yield part
            part = []
        part.append((start, stop))
    yield part


def is_raster(path: Path) -> bool:
    """Whether a name says that rasterio reads the file."""
    return path.suffix.lower() in DRIVERS


def import_rasterio():
    """Import rasterio, which reads and writes GeoTIFF."""
    try:
        import rasterio
    except ImportError as error:
        raise ImportError("GeoTIFF needs rasterio: pip install 'sklearn-capoz[scene]'") from error
    return rasterio


@contextmanager
def quiet() -> Iterator[None]:
    """Let pass that a file has no coordinates: then the map has none, which is no mistake."""
    rasterio = import_rasterio()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        yield


@contextmanager
def opened(path: Path, driver: str | None = None) -> Iterator[Any]:
    """Open a file as rasterio's dataset, by the driver that its name says, or this one."""
    rasterio = import_rasterio()
    driver = driver or DRIVERS[path.suffix.lower()]
    with rasterio.Env(**SETTINGS), rasterio.open(path, driver=driver) as dataset:
        yield dataset


def open_raster(path: Path) -> RasterSource:
    """Read a raster file's description and check it."""
    rasterio = import_rasterio()
    try:
        if path.suffix.lower() == ".vrt":
            for part in sorted(check_parts(path)):
                with quiet(), opened(part, "GTiff") as dataset:
                    _check_pieces(part, dataset)
        else:
            check_tiff(path)
        with quiet(), opened(path) as dataset:
            return _described(path, dataset)
    except rasterio.errors.RasterioError as error:
        raise DataFormatError(f"{path} is no raster file that can be read: {error}.") from error


def _described(path: Path, dataset) -> RasterSource:
    alpha = import_rasterio().enums.ColorInterp.alpha
    numbers = [n for n, color in enumerate(dataset.colorinterp, start=1) if color != alpha]
    if not numbers:
        raise DataFormatError(f"{path} has no band but a mask.")
    places = np.array(numbers) - 1
    dtypes = sorted({dataset.dtypes[p] for p in places})
    if len(dtypes) > 1 or np.dtype(dtypes[0]).kind not in "iuf":
        raise DataFormatError(
            f"all bands of {path} must hold real numbers of one type, got {dtypes}."
        )
    dtype = np.dtype(dtypes[0])
    _check_pieces(path, dataset)
    gain, offset = np.array(dataset.scales)[places], np.array(dataset.offsets)[places]
    wavelengths, good = said_about_bands(path, dataset, numbers)
    return RasterSource(
        shape=(dataset.height, dataset.width, len(numbers)),
        dtype=dtype,
        wavelengths=wavelengths,
        good=good,
        georeference=raster_georeference(dataset, path),
        files=tuple(dict.fromkeys([path.resolve(), *map(Path, dataset.files)])),
        rows_together=_rows_together(dataset, dtype, len(numbers)),
        path=path.resolve(),
        numbers=np.array(numbers),
        mask=_mask(dataset, places),
        alpha=next((n for n in range(1, dataset.count + 1) if n not in set(numbers)), 0),
        **nodata_of_bands([dataset.nodatavals[p] for p in places]),
        **radiometry(path, gain=gain, offset=offset),
    )


def _mask(dataset, places: np.ndarray) -> Literal["", "scene", "bands"]:
    """Whether the file holds masks: inside it, in a .msk beside it, or as an alpha band."""
    flags = import_rasterio().enums.MaskFlags
    found = [set(dataset.mask_flag_enums[p]) for p in places]
    if all(flags.per_dataset in flag for flag in found):
        return "scene"
    plain = ({flags.all_valid}, {flags.nodata})  # nothing that the numbers do not say
    return "" if all(flag in plain for flag in found) else "bands"


def _check_pieces(path: Path, dataset) -> None:
    """Refuse pieces that take too much memory, before GDAL unpacks one."""
    together = dataset.count if dataset.interleaving == _pixel() else 1
    height, width = max(dataset.block_shapes, key=np.prod)
    itemsize = max(np.dtype(name).itemsize for name in dataset.dtypes)
    if (size := height * width * together * itemsize) > PIECE_BYTES:
        raise DataFormatError(
            f"{path} is stored in pieces of {height:,} x {width:,} pixels, {size:,} bytes, each "
            f"of which has to be unpacked whole; at most {PIECE_BYTES:,} are taken. Store it in "
            "smaller ones: gdal_translate -co TILED=YES or -co BLOCKYSIZE=16."
        )


def _pixel():
    return import_rasterio().enums.Interleaving.pixel


def _rows_together(dataset, dtype: np.dtype, n_bands: int) -> int:
    """Rows of a piece of the file; where each band has its own, as many as may be held of all."""
    height = min(max(height for height, _ in dataset.block_shapes), dataset.height)
    if dataset.interleaving == _pixel():
        return height
    row_bytes = dataset.width * n_bands * dtype.itemsize
    return max(1, min(height, SPAN_BYTES // row_bytes))
