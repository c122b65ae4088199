"""From the work folder to finished files: ENVI or GeoTIFF, checked."""

from __future__ import annotations

import os
import sys
import tempfile
import unicodedata
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._warn import warn
from ..formats._envi_header import GEOREFERENCE, import_envi, read_header, write_header
from ._output import LAYER_TAG, PROGRAM, layer_label, layer_path
from ._pixels import NO_DATA, MapLayer
from ._raster import import_rasterio, quiet
from ._source import Georeference
from ._work import WorkFolder

__all__ = ["Legend", "plain", "write_layers"]

#: Rows written to a GeoTIFF at a time; one strip of the file.
STRIP_ROWS = 16

#: Megabytes of a GeoTIFF that GDAL may keep while it is written and read back.
CACHE_MB = 64


@dataclass(frozen=True)
class Legend:
    """Name and colour of every code of a class map.

    Parameters
    ----------
    names : tuple of str
    colors : tuple of (red, green, blue), 0 to 255
    """

    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]


def write_layers(
    work: WorkFolder, output: Path, legend: Legend, georeference: Georeference
) -> list[Path]:
    """Write every layer's files into the work folder; the last one makes the map a map."""
    write = _write_envi if output.suffix.lower() == ".hdr" else _write_geotiff
    files: list[Path] = []
    # The class map comes last: only with it is the result whole.
    for layer in reversed(work.layers):
        path = work.path / layer_path(output, layer.name).name
        path.unlink(missing_ok=True)  # an interruption's; GDAL stumbles over half a file
        files += write(work, layer, path, layer_label(output, layer.name), legend, georeference)
    return files


def _write_geotiff(
    work: WorkFolder,
    layer: MapLayer,
    path: Path,
    label: str,
    legend: Legend,
    georeference: Georeference,
) -> list[Path]:
    rasterio = import_rasterio()
    is_map = layer.name == "classes"
    settings = {
        "driver": "GTiff",
        "height": work.shape[0],
        "width": work.shape[1],
        "count": len(layer.bands),
        "dtype": layer.dtype,
        "nodata": NO_DATA if is_map else np.nan,
        "crs": georeference.crs,
        "blockysize": STRIP_ROWS,
        "interleave": "pixel",
        "compress": "deflate" if is_map else "none",
        "bigtiff": "if_safer",
    }
    if georeference.transform is not None:
        settings["transform"] = rasterio.Affine(*georeference.transform)
    elif georeference.control_points:
        settings["gcps"] = [
            rasterio.control.GroundControlPoint(*point) for point in georeference.control_points
        ]
    if georeference.rpcs is not None:
        settings["rpcs"] = rasterio.rpc.RPC(**georeference.rpcs)
    try:
        # GDAL would keep what is written, up to a twentieth of the machine's memory.
        with quiet(), rasterio.Env(GDAL_CACHEMAX=CACHE_MB):
            with rasterio.open(path, "w", **settings) as dataset:
                dataset.descriptions = layer.bands
                dataset.update_tags(TIFFTAG_SOFTWARE=PROGRAM, **{LAYER_TAG: label})
                if is_map:
                    dataset.write_colormap(1, dict(enumerate(legend.colors)))
                for start, strip in work.strips(layer, STRIP_ROWS):
                    window = ((start, start + len(strip)), (0, work.shape[1]))
                    dataset.write(strip.transpose(2, 0, 1), window=window)
            _compare(work, layer, path)
    except (OSError, rasterio.errors.RasterioError) as error:
        raise OSError(
            f"{path} could not be written whole: is the disk full? The results are kept in "
            f"{work.path}; make room and resume."
        ) from error
    if not is_map:
        return [path]
    sidecar = path.with_name(f"{path.name}.aux.xml")
    _write_categories(sidecar, legend)
    return [sidecar, path]


def _compare(work: WorkFolder, layer: MapLayer, path: Path) -> None:
    """Read a GeoTIFF back: libtiff reports a full disk on the console, not to its caller."""
    with import_rasterio().open(path) as dataset:
        for start, strip in work.strips(layer, STRIP_ROWS):
            window = ((start, start + len(strip)), (0, work.shape[1]))
            found = dataset.read(window=window).transpose(1, 2, 0)
            if found.tobytes() != strip.tobytes():
                raise OSError(f"{path} does not hold what was written to it.")


def _write_categories(path: Path, legend: Legend) -> None:
    """Write class names and colours as GDAL's auxiliary file, which QGIS shows as a legend."""
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", band="1")
    categories = ET.SubElement(band, "CategoryNames")
    names = [_printable(name) for name in legend.names]
    for name in names:
        ET.SubElement(categories, "Category").text = name
    table = ET.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    # Name, type (0 integer, 2 text), usage (GDALRATFieldUsage): what GDAL calls the columns.
    columns = [("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8)]
    for index, (name, kind, usage) in enumerate(columns):
        column = ET.SubElement(table, "FieldDefn", index=str(index))
        for tag, value in (("Name", name), ("Type", kind), ("Usage", usage)):
            ET.SubElement(column, tag).text = str(value)
    for code, (name, color) in enumerate(zip(names, legend.colors, strict=True)):
        row = ET.SubElement(table, "Row", index=str(code))
        for value in (code, name, *color):
            ET.SubElement(row, "F").text = str(value)
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8")


def _write_envi(
    work: WorkFolder,
    layer: MapLayer,
    path: Path,
    label: str,
    legend: Legend,
    georeference: Georeference,
) -> list[Path]:
    envi = import_envi()
    header = {
        "description": f"{label} by {PROGRAM}",
        "samples": work.shape[1],
        "lines": work.shape[0],
        "bands": len(layer.bands),
        "header offset": 0,
        "data type": envi.dtype_to_envi[np.dtype(layer.dtype).char],
        "interleave": "bip",
        "byte order": int(sys.byteorder == "big"),
        "band names": [plain(name) for name in layer.bands],
        "data ignore value": NO_DATA if layer.name == "classes" else "NaN",
        "file type": "ENVI Standard",
        **_envi_georeference(georeference),
    }
    if layer.name == "classes":
        header["file type"] = "ENVI Classification"
        header["classes"] = len(legend.names)
        header["class names"] = [plain(name) for name in legend.names]
        header["class lookup"] = [value for color in legend.colors for value in color]
    data = path.with_suffix(".img")
    # A link, not a rename: an interruption after this leaves the raw results to go on from.
    data.unlink(missing_ok=True)
    _link_or_copy(work, layer, data)
    write_header(path, header)
    return [data, path]


def _link_or_copy(work: WorkFolder, layer: MapLayer, data: Path) -> None:
    try:
        os.link(work.raw_path(layer), data)
    except OSError:  # a file system without hard links
        with open(data, "wb") as file:
            for _, strip in work.strips(layer, STRIP_ROWS):
                file.write(strip.tobytes())


def plain(name: str) -> str:
    """Names without what ends a list in a header; GDAL takes a line with "=" for an entry."""
    return _printable(name).translate(str.maketrans("{},=", "();:")).strip()


def _printable(name: str) -> str:
    """Names without control characters, which XML cannot hold and a header ends at."""
    return "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in name)


def _envi_georeference(georeference: Georeference) -> dict:
    """'map info' and 'coordinate system string', worded by GDAL in the header of one pixel."""
    if georeference.transform is None:
        if georeference.control_points or georeference.rpcs:
            warn(
                "the scene lies where its control points or polynomials say, which an ENVI header "
                "does not hold: the map has no coordinates. As GeoTIFF (.tif) it keeps them."
            )
        return {}
    rasterio = import_rasterio()
    with tempfile.TemporaryDirectory() as folder:
        pixel = Path(folder) / "pixel.img"
        with rasterio.open(
            pixel, "w", driver="ENVI", width=1, height=1, count=1, dtype="uint8",
            crs=georeference.crs, transform=rasterio.Affine(*georeference.transform),
        ) as dataset:  # fmt: skip
            dataset.write(np.zeros((1, 1, 1), dtype=np.uint8))
        header = read_header(pixel.with_suffix(".hdr"))
    return {name: header[name] for name in GEOREFERENCE if name in header}
