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
from ._source import Source, nodata_of_bands, radiometry
from ._vrt import check_parts, check_tiff

__all__ = ["RasterSource", "import_rasterio", "is_raster", "open_raster", "quiet"]

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
        shape = (len(bands), stop - start, self.shape[1])
        window = ((start, stop), (0, self.shape[1]))
        numbers = self.numbers[bands].tolist()
        rasterio = import_rasterio()
        try:
            # A dataset must not be shared between threads; opening one costs about a millisecond.
            with _opened(self.path) as dataset:
                block = dataset.read(
                    numbers, window=window, out=scratch.empty("block", shape, self.dtype)
                )
                missing = self._missing(dataset, numbers, window)
        except rasterio.errors.RasterioError as error:
            raise DataFormatError(
                f"rows {start} to {stop} of {self.path} cannot be read: {error}. "
                "The file is cut or damaged."
            ) from error
        if missing is not None and missing.any():
            block = np.ma.masked_array(block, np.broadcast_to(missing, shape))
        return self.without_fill(block.transpose(1, 2, 0), bands)

    def blocks(self, task, bands, scratch):
        """Read what the file stores together at once, or it would be unpacked for each block."""
        (start, stop), end = task[0], task[-1][1]
        if self.rows_together <= stop - start or len(task) == 1:
            yield from super().blocks(task, bands, scratch)
            return
        rows = self.read(start, end, bands, scratch)
        for first, last in task:
            yield rows[first - start : last - start]

    def _missing(self, dataset, numbers, window) -> np.ndarray | None:
        """Where a mask says that there is no data, (1 or n_bands, n_rows, n_columns)."""
        if self.mask:
            asked = numbers[:1] if self.mask == "scene" else numbers
            return dataset.read_masks(asked, window=window) == 0
        if self.alpha:
            return dataset.read([self.alpha], window=window) == 0
        return None


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
def _opened(path: Path) -> Iterator[Any]:
    rasterio = import_rasterio()
    with (
        rasterio.Env(**SETTINGS),
        rasterio.open(path, driver=DRIVERS[path.suffix.lower()]) as dataset,
    ):
        yield dataset


def open_raster(path: Path) -> RasterSource:
    """Read a raster file's description and check it."""
    rasterio = import_rasterio()
    check_parts(path) if path.suffix.lower() == ".vrt" else check_tiff(path)
    try:
        with quiet(), _opened(path) as dataset:
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
    _check_pieces(path, dataset, dtype)
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


def _check_pieces(path: Path, dataset, dtype: np.dtype) -> None:
    """Refuse pieces that take too much memory, before GDAL unpacks one."""
    together = dataset.count if dataset.interleaving == _pixel() else 1
    height, width = max(dataset.block_shapes, key=np.prod)
    if (size := height * width * together * dtype.itemsize) > PIECE_BYTES:
        raise DataFormatError(
            f"{path} is stored in pieces of {height:,} x {width:,} pixels, {size:,} bytes, each "
            f"of which has to be unpacked whole; at most {PIECE_BYTES:,} are taken. Store it in "
            "smaller ones: gdal_translate -co TILED=YES or -co BLOCKYSIZE=16."
        )


def _pixel():
    return import_rasterio().enums.Interleaving.pixel


def _rows_together(dataset, dtype: np.dtype, n_bands: int) -> int:
    """Rows of a piece of the file, or as many of them as may be held."""
    height = min(max(height for height, _ in dataset.block_shapes), dataset.height)
    row_bytes = dataset.width * n_bands * dtype.itemsize
    return max(1, min(height, SPAN_BYTES // row_bytes))
