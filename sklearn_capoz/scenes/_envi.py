"""ENVI files: the header is checked against the file before a byte of data is read."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path

import numpy as np

from sklearn_capoz._warn import warn
from sklearn_capoz.exceptions import DataFormatError

from ..formats._envi_fields import INTERLEAVES, EnviFields, find_data, find_header
from ..formats._envi_header import GEOREFERENCE, import_envi, write_header
from ._raster import quiet
from ._raster_tags import raster_georeference
from ._source import Georeference, Source, nodata_of_bands, radiometry, take_bands

__all__ = ["EnviSource", "open_envi"]

#: Entries that say where a scene lies in ways that are not read.
OTHER_GEOREFERENCE = ("geo points", "rpc info")


@dataclass(frozen=True, eq=False, kw_only=True)
class EnviSource(Source):
    """An ENVI file of any interleave, read without mapping it.

    A mapped file counts as the process's memory and kills it when the file shrinks; plain
    reads stay within the block and say what is wrong.
    """

    path: Path
    header_path: Path
    interleave: str
    header_offset: int

    def read(self, start, stop, bands, scratch):
        return self.without_fill(self._stored(start, stop, bands, scratch), bands)

    def _stored(self, start, stop, bands, scratch) -> np.ndarray:
        n_rows, n_columns, n_bands = self.shape
        with open(self.path, "rb") as file:
            if self.interleave == "bsq":
                plane = n_rows * n_columns
                block = scratch.empty("block", (len(bands), stop - start, n_columns), self.dtype)
                for part, band in zip(block, bands.tolist(), strict=True):
                    self._fill(part, file, band * plane + start * n_columns)
                return block.transpose(1, 2, 0)
            is_bil = self.interleave == "bil"
            shape = (n_bands, n_columns) if is_bil else (n_columns, n_bands)
            block = scratch.empty("block", (stop - start, *shape), self.dtype)
            self._fill(block, file, start * n_columns * n_bands)
            return take_bands(block.transpose(0, 2, 1) if is_bil else block, bands)

    def other_readings(self):
        others: dict[str, Source] = {
            f"interleave = {i}": replace(self, interleave=i)
            for i in INTERLEAVES
            if i != self.interleave
        }
        if self.dtype.itemsize > 1:
            swapped = self.dtype.newbyteorder("S")
            others[f"byte order = {_byte_order(swapped)}"] = replace(self, dtype=swapped)
        return others

    def __str__(self) -> str:
        return (
            f"interleave = {self.interleave}, byte order = {_byte_order(self.dtype)}, says "
            f"{self.header_path.name}"
        )

    def _fill(self, block: np.ndarray, file: BufferedReader, first: int) -> None:
        """Fill a block with the file's numbers, beginning with the `first` one."""
        file.seek(self.header_offset + first * self.dtype.itemsize)
        if file.readinto(block.data) < block.nbytes:
            raise DataFormatError(f"{self.path} became shorter while it was read.")


def open_envi(path: Path) -> EnviSource:
    """Find header and data file, and check one against the other."""
    import_envi()  # or say what to install
    header_path, data_path = _find_pair(path)
    fields = EnviFields(header_path)
    if fields.is_library():
        raise DataFormatError(f"{header_path} describes a spectral library, not a scene.")
    if fields.text("file compression", "0") not in ("0", ""):
        raise DataFormatError(f"{header_path}: compressed ENVI files are not read; unpack it.")
    if any(v not in ("0", "") for v in fields.texts("major frame offsets", "minor frame offsets")):
        raise DataFormatError(f"{header_path}: frame offsets are not read.")
    shape = (fields.count("lines"), fields.count("samples"), fields.count("bands"))
    dtype, interleave = fields.dtype(), fields.interleave()
    data_path = data_path or find_data(header_path, interleave)
    offset = fields.count("header offset", 0)
    needed = offset + shape[0] * shape[1] * shape[2] * dtype.itemsize
    if (size := data_path.stat().st_size) != needed:
        raise DataFormatError(
            f"{data_path} has {size:,} bytes; {header_path.name} describes {needed:,} "
            f"({shape[0]} lines x {shape[1]} samples x {shape[2]} bands of {dtype.name}, header "
            f"offset {offset}). The file is {'cut' if size < needed else 'longer'}, or lines, "
            "samples, bands or data type are wrong."
        )
    return EnviSource(
        shape=shape,
        dtype=dtype,
        wavelengths=fields.wavelengths(shape[2]),
        good=fields.good_bands(shape[2]),
        georeference=_georeference(header_path, fields.header),
        files=(data_path.resolve(), header_path.resolve()),
        path=data_path.resolve(),
        header_path=header_path.resolve(),
        interleave=interleave,
        header_offset=offset,
        **_nodata(fields, shape[2]),
        **_radiometry(fields, shape[2]),
    )


def _byte_order(dtype: np.dtype) -> int:
    """0 for little-endian, 1 for big-endian, as headers write it."""
    return int(dtype.newbyteorder(">") == dtype)


def _radiometry(fields: EnviFields, n_bands: int) -> dict:
    """Settle what turns stored numbers into reflectance: one factor, or one for each band."""
    many = len(fields.texts("reflectance scale factor")) > 1
    scale = (fields.per_band if many else lambda name, _: fields.number(name))(
        "reflectance scale factor", n_bands
    )
    gain, offset = (
        fields.per_band(name, n_bands) for name in ("data gain values", "data offset values")
    )
    return radiometry(fields.path, scale, gain, offset)


def _nodata(fields: EnviFields, n_bands: int) -> dict:
    """Settle what says "not measured": one number, or one for each band."""
    name = "data ignore value"
    values = fields.per_band(name, n_bands) if len(fields.texts(name)) > 1 else None
    return {"nodata": fields.number(name)} if values is None else nodata_of_bands(values.tolist())


def _find_pair(path: Path) -> tuple[Path, Path | None]:
    """Header and, if the data file was named, that file."""
    if path.suffix.lower() == ".hdr":
        return path, None
    if (header := find_header(path)) is None:
        raise DataFormatError(
            f"{path} has no ENVI header beside it ({path.with_suffix('.hdr').name}), and its "
            "suffix is not that of a GeoTIFF."
        )
    return header, path


def _georeference(path: Path, header: dict) -> Georeference:
    """Let GDAL read where the scene lies; without it there is no GeoTIFF.

    It gets a scene of one pixel there: GDAL takes fewer headers than are read here.
    """
    if "map info" not in header:
        if lost := [name for name in OTHER_GEOREFERENCE if name in header]:
            warn(
                f"{path} says where the scene lies by '{lost[0]}' alone, which is not read: the "
                "map has no coordinates."
            )
        return Georeference()
    try:
        import rasterio
    except ImportError:
        return Georeference()
    fields: dict[str, object] = {
        "samples": 1,
        "lines": 1,
        "bands": 1,
        "data type": 2,
        "interleave": "bsq",
    }
    fields |= {"byte order": 0, **{name: header[name] for name in GEOREFERENCE if name in header}}
    with tempfile.TemporaryDirectory() as folder:
        pixel = Path(folder) / "pixel.img"
        pixel.write_bytes(bytes(2))
        write_header(pixel.with_suffix(".hdr"), fields)
        try:
            with quiet(), rasterio.open(pixel, driver="ENVI") as dataset:
                return raster_georeference(dataset)
        except rasterio.errors.RasterioError as error:
            raise DataFormatError(f"'map info' of {path} cannot be read: {error}") from error
