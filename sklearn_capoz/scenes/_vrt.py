"""What a virtual raster may open: files on this machine, of the kind that their names say.

GDAL opens the parts of a VRT by what they contain, over the network where a name says so, and a
part may again be a VRT under any name. Whoever maps a scene of another's has not asked for that.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from sklearn_capoz.exceptions import DataFormatError

from ..formats._envi_fields import find_header

__all__ = ["check_parts", "check_tiff"]

#: Above this a VRT is none; one of 400 bands in 1000 tiles has some 100 MB.
VRT_BYTES = 200_000_000

#: How many VRTs may lie within each other.
DEPTH = 8

#: Elements that only describe: what they hold is never opened, and may well be an address.
_DESCRIPTIONS = {"Metadata", "SRS", "GCPList", "Description", "CategoryNames", "UnitType"}

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def check_tiff(path: Path) -> None:
    """See that the masks and overviews beside a GeoTIFF, which GDAL opens unasked, are GeoTIFF."""
    for name in (f"{path.name}.msk", f"{path.name}.ovr"):
        if (beside := path.with_name(name)).is_file() and not _head(beside).startswith(_TIFF):
            raise DataFormatError(f"{beside} is no GeoTIFF, which a file of this name should be.")


def check_parts(path: Path, depth: int = 0) -> set[Path]:
    """See that a VRT and the VRTs in it open local files of known kinds only.

    Returns
    -------
    parts : set of Path
        The GeoTIFFs among them.

    Raises
    ------
    DataFormatError
        If one names a place across the network or a file that is something else than it is called.
    """
    if depth > DEPTH:
        raise DataFormatError(f"{path} lies in more than {DEPTH} virtual rasters.")
    if (size := path.stat().st_size) > VRT_BYTES:
        raise DataFormatError(f"{path} is no virtual raster: it has {size:,} bytes.")
    try:
        root = ET.parse(path).getroot()
    except ET.ParseError as error:
        raise DataFormatError(f"{path} is no virtual raster: {error}.") from error
    tiffs: set[Path] = set()
    for name in dict.fromkeys(_texts(root)):
        if "://" in name or "/vsi" in name.lower() or name.startswith(("<", "vrt:")):
            raise DataFormatError(
                f"{path} names {name!r:.100}: a virtual raster may name files of this machine "
                "only; nothing is fetched."
            )
        # Beside the VRT or in the working folder, by an attribute that is not worth following.
        for part in (path.parent / name, Path(name)):
            if os.path.isfile(part):  # False for what is too long to be a name
                tiffs |= _check_part(path, part, depth)
    return tiffs


def _texts(element) -> Iterator[str]:
    """Every text in a VRT that could be the name of a file."""
    if element.tag in _DESCRIPTIONS:
        return
    yield from element.attrib.values()
    # A file's name is short; pixel functions and look-up tables are not.
    yield (element.text or "").strip()[:4096]
    for child in element:
        yield from _texts(child)


def _check_part(path: Path, part: Path, depth: int) -> set[Path]:
    head = _head(part)
    if part.suffix.lower() == ".vrt":
        return check_parts(part, depth + 1)
    if head.startswith(_TIFF):
        check_tiff(part)
        return {part}
    if find_header(part) is None or head.lstrip()[:1] in (b"<", b"{") or b"<VRTDataset" in head:
        raise DataFormatError(
            f"{path} names {part}, which is neither a GeoTIFF nor an ENVI file with its header: "
            "other kinds are not read out of a virtual raster."
        )
    return set()


def _head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(4096)
