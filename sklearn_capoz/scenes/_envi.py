"""ENVI files: the header is checked against the file before a byte of data is read."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np

from sklearn_capoz.exceptions import DataFormatError

from ..formats._envi_header import GEOREFERENCE, import_envi, read_header, write_header
from ._bands import scene_wavelengths
from ._raster import quiet, raster_georeference
from ._source import Georeference, Source, file_identity, take_bands

__all__ = ["EnviSource", "open_envi"]

INTERLEAVES = ("bip", "bil", "bsq")


@dataclass(frozen=True, eq=False, kw_only=True)
class EnviSource(Source):
    """An ENVI file of any interleave, read without mapping it.

    A mapped file counts as the process's memory and kills it when the file shrinks; plain
    reads stay within the block and say what is wrong.
    """

    path: Path
    header_path: Path
    interleave: str
    offset: int

    def read(self, start, stop, bands, scratch):
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

    def _fill(self, block: np.ndarray, file: BufferedReader, first: int) -> None:
        """Fill a block with the file's numbers, beginning with the `first` one."""
        file.seek(self.offset + first * self.dtype.itemsize)
        if file.readinto(block.data) < block.nbytes:
            raise DataFormatError(f"{self.path} became shorter while it was read.")


def open_envi(path: Path) -> EnviSource:
    """Find header and data file, and check one against the other."""
    import_envi()  # or say what to install
    header_path, data_path = _find_pair(path)
    fields = _Fields(read_header(header_path), header_path)
    if "library" in fields.text("file type", "").lower():
        raise DataFormatError(f"{header_path} describes a spectral library, not a scene.")
    if fields.text("file compression", "0") not in ("0", ""):
        raise DataFormatError(f"{header_path}: compressed ENVI files are not read; unpack it.")
    if any(v not in ("0", "") for v in fields.texts("major frame offsets", "minor frame offsets")):
        raise DataFormatError(f"{header_path}: frame offsets are not read.")
    shape = (fields.count("lines"), fields.count("samples"), fields.count("bands"))
    dtype, interleave = fields.dtype(), fields.text("interleave").lower()
    if interleave not in INTERLEAVES:
        raise DataFormatError(
            f"{header_path}: interleave must be bip, bil or bsq, got {interleave!r}."
        )
    data_path = data_path or _find_data(header_path, interleave)
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
        identity=f"{file_identity(data_path)} {file_identity(header_path)}",
        wavelengths=fields.wavelengths(shape[2]),
        good=fields.good_bands(shape[2]),
        scale=fields.number("reflectance scale factor"),
        nodata=fields.number("data ignore value"),
        georeference=_georeference(header_path, fields.header),
        files=(data_path, header_path),
        path=data_path.resolve(),
        header_path=header_path.resolve(),
        interleave=interleave,
        offset=offset,
    )


class _Fields:
    """A header's entries, each turned into what it should be or into an error that names it."""

    def __init__(self, header: dict, path: Path):
        self.header, self.path = header, path

    def text(self, name: str, default: str | None = None) -> str:
        value = self.header.get(name, default)
        if not isinstance(value, str):
            raise DataFormatError(f"{self.path} must state '{name}'; it holds {value!r}.")
        return value.strip()

    def texts(self, *names: str) -> list[str]:
        values: list[str] = []
        for name in names:
            value = self.header.get(name, [])
            values += [value] if isinstance(value, str) else value
        return values

    def count(self, name: str, default: int | None = None) -> int:
        if default is not None and name not in self.header:
            return default
        text = self.text(name)
        least = 1 if default is None else default
        # isdecimal admits no sign, no underscore; 18 digits are a petabyte a thousand times over.
        if not (text.isascii() and text.isdecimal() and len(text) <= 18 and int(text) >= least):
            raise DataFormatError(
                f"{self.path}: '{name}' must be a whole number from {least}, got {text[:40]!r}."
            )
        return int(text)

    def number(self, name: str) -> float | None:
        texts = self.texts(name)  # some programs put braces around a single number
        if not texts or (len(texts) == 1 and texts[0].lower() in ("", "none")):
            return None
        if len(texts) > 1:
            raise DataFormatError(f"{self.path}: '{name}' must be one number, got {texts!r:.80}.")
        return self._floats(name, texts)[0]

    def dtype(self) -> np.dtype:
        names = import_envi().envi_to_dtype
        code = self.text("data type")
        if code not in names or np.dtype(names[code]).kind not in "iuf":
            known = ", ".join(c for c in names if np.dtype(names[c]).kind in "iuf")
            raise DataFormatError(
                f"{self.path}: 'data type' must be one of {known} (real numbers), got {code!r}."
            )
        is_byte = np.dtype(names[code]).itemsize == 1
        order = self.text("byte order", "0" if is_byte else None)
        if order not in ("0", "1"):
            raise DataFormatError(f"{self.path}: 'byte order' must be 0 or 1, got {order!r}.")
        return np.dtype(names[code]).newbyteorder("<>"[int(order)])

    def wavelengths(self, n_bands: int) -> np.ndarray | None:
        values = self._per_band("wavelength", n_bands)
        if values is None:
            return None
        unit = self.text("wavelength units", "")
        if unit.lower() in ("index", "wavenumber", "ghz", "mhz"):
            raise DataFormatError(f"{self.path}: wavelengths must be in nm or um, not {unit}.")
        try:
            return scene_wavelengths(values, n_bands, unit)
        except ValueError as error:
            said = f"The header says 'wavelength units = {unit}'."
            raise DataFormatError(f"{self.path}: {error} {said}") from error

    def good_bands(self, n_bands: int) -> np.ndarray | None:
        values = self._per_band("bbl", n_bands)
        if values is not None and not all(v in (0, 1) for v in values):
            raise DataFormatError(f"{self.path}: 'bbl' must hold 0 (bad) or 1 (good) per band.")
        return None if values is None else np.array(values, dtype=bool)

    def _per_band(self, name: str, n_bands: int) -> list[float] | None:
        if name not in self.header:
            return None
        texts = [t for t in self.texts(name) if t]
        if len(texts) != n_bands:
            raise DataFormatError(
                f"{self.path}: '{name}' lists {len(texts)} values for {n_bands} bands."
            )
        return self._floats(name, texts)

    def _floats(self, name: str, texts: list[str]) -> list[float]:
        try:
            return [float(t) for t in texts]
        except ValueError:
            raise DataFormatError(f"{self.path}: '{name}' must be numeric: {texts!r:.80}") from None


def _find_pair(path: Path) -> tuple[Path, Path | None]:
    """Header and, if the data file was named, that file."""
    if path.suffix.lower() == ".hdr":
        return path, None
    for header in (path.with_suffix(".hdr"), Path(f"{path}.hdr"), path.with_suffix(".HDR")):
        if header.is_file():
            return header, path
    raise DataFormatError(
        f"{path} has no ENVI header beside it ({path.with_suffix('.hdr').name}), and its suffix "
        "is not that of a GeoTIFF."
    )


def _find_data(header_path: Path, interleave: str) -> Path:
    base = header_path.with_suffix("")
    suffixes = [interleave, *import_envi().KNOWN_EXTS]
    names = [base.name, *(f"{base.name}.{s}" for t in suffixes for s in (t, t.upper()))]
    for name in names:
        if (found := base.with_name(name)).is_file():
            return found
    raise FileNotFoundError(
        f"no data file beside {header_path}: looked for {base.name} and "
        f"{base.name}.{{{', '.join(suffixes)}}}."
    )


def _georeference(path: Path, header: dict) -> Georeference:
    """Let GDAL read where the scene lies; without it there is no GeoTIFF.

    It gets a scene of one pixel there: GDAL takes fewer headers than are read here.
    """
    if "map info" not in header:
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
