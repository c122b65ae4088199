"""Scenes in GeoTIFF and other files that rasterio reads."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sklearn_capoz.exceptions import DataFormatError

from ._bands import scene_wavelengths
from ._source import Georeference, Source, file_identity

__all__ = ["RasterSource", "import_rasterio", "open_raster", "quiet", "raster_georeference"]


@dataclass(frozen=True, eq=False, kw_only=True)
class RasterSource(Source):
    """A GeoTIFF, or another file that rasterio reads."""

    path: Path

    def reading(self):
        # Around all threads: the filters belong to the process.
        return quiet()

    def read(self, start, stop, bands, scratch):
        shape = (len(bands), stop - start, self.shape[1])
        rasterio = import_rasterio()
        try:
            # A dataset must not be shared between threads; opening one costs about a millisecond.
            with rasterio.open(self.path) as dataset:
                block = dataset.read(
                    (bands + 1).tolist(),
                    window=((start, stop), (0, self.shape[1])),
                    out=scratch.empty("block", shape, self.dtype),
                )
        except rasterio.errors.RasterioError as error:
            raise DataFormatError(
                f"rows {start} to {stop} of {self.path} cannot be read: {error}. "
                "The file is cut or damaged."
            ) from error
        return block.transpose(1, 2, 0)


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


def open_raster(path: Path) -> RasterSource:
    """Read a raster file's description and check it."""
    rasterio = import_rasterio()
    try:
        with quiet(), rasterio.open(path) as dataset:
            return _describe_raster(path, dataset)
    except rasterio.errors.RasterioError as error:
        raise DataFormatError(f"{path} is no raster file that can be read: {error}.") from error


def _describe_raster(path: Path, dataset) -> RasterSource:
    dtypes = set(dataset.dtypes)
    if len(dtypes) > 1 or np.dtype(dataset.dtypes[0]).kind not in "iuf":
        raise DataFormatError(
            f"all bands of {path} must hold real numbers of one type, got {sorted(dtypes)}."
        )
    if len(set(dataset.nodatavals)) > 1 and not np.isnan(dataset.nodatavals).all():
        raise DataFormatError(
            f"the bands of {path} have different no-data values, {sorted(set(dataset.nodatavals))}:"
            " give them one."
        )
    if len(set(dataset.scales)) > 1 or any(dataset.offsets):
        raise DataFormatError(f"{path} has a scale or an offset of its own for each band.")
    scaled = dataset.scales[0] != 1
    return RasterSource(
        shape=(dataset.height, dataset.width, dataset.count),
        dtype=np.dtype(dataset.dtypes[0]),
        identity=file_identity(path),
        wavelengths=_raster_wavelengths(path, dataset),
        scale=1 / dataset.scales[0] if scaled else None,
        nodata=dataset.nodata,
        georeference=raster_georeference(dataset),
        files=tuple(map(Path, dataset.files)),
        path=path.resolve(),
    )


def raster_georeference(dataset) -> Georeference:
    crs = dataset.crs.to_wkt() if dataset.crs else None
    transform = None if dataset.transform.is_identity else tuple(dataset.transform)[:6]
    return Georeference(crs, transform)


def _raster_wavelengths(path: Path, dataset) -> np.ndarray | None:
    """Band centres from the tags that GDAL writes: per band, or in its IMAGERY domain."""
    values, unit = [], None
    for band in range(1, dataset.count + 1):
        tags = {k.lower(): v for k, v in dataset.tags(band).items()}
        imagery = dataset.tags(band, ns="IMAGERY")
        if "wavelength" in tags:
            values.append(tags["wavelength"])
            unit = tags.get("wavelength_units", unit)
        elif "CENTRAL_WAVELENGTH_UM" in imagery:
            values.append(imagery["CENTRAL_WAVELENGTH_UM"])
            unit = "um"
        else:
            return None
    try:
        return scene_wavelengths([float(v) for v in values], dataset.count, unit)
    except ValueError as error:
        raise DataFormatError(f"the wavelengths of {path} are not usable: {error}") from error
