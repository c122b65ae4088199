"""What a raster file says beside its numbers: wavelengths, good bands, where it lies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from sklearn_capoz.exceptions import DataFormatError

from ..formats._envi_fields import EnviFields
from ._band_text import good_bands, listed, wavelengths_in_names
from ._bands import scene_wavelengths
from ._source import Georeference

__all__ = ["raster_georeference", "said_about_bands", "sidecar_header"]


def raster_georeference(dataset, path: Path | None = None) -> Georeference:
    """Transform, or the control points and polynomials where there is none."""
    points, points_crs = dataset.gcps
    crs = dataset.crs or points_crs
    rpcs = dataset.rpcs
    return Georeference(
        crs.to_wkt() if crs else None,
        None if dataset.transform.is_identity else tuple(dataset.transform)[:6],
        tuple((p.row, p.col, p.x, p.y, p.z or 0.0) for p in points),
        None if rpcs is None else rpcs.to_dict(),
    )


def said_about_bands(
    path: Path, dataset, numbers: list[int]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Wavelengths in nm and mask of good bands, each from the first place that says them."""
    envi = {k.lower().replace("_", " "): v for k, v in dataset.tags(ns="ENVI").items()}
    header = sidecar_header(path, dataset.count)

    def in_domain(name: str) -> np.ndarray | None:
        if name not in envi:
            return None
        values = np.asarray(listed(envi[name]))
        # Of an alpha band nothing is said.
        return values[np.array(numbers) - 1] if len(values) == dataset.count else values

    places: list[Callable[[], np.ndarray | None]] = [
        lambda: _in_tags(dataset, numbers),
        lambda: _in_nm(in_domain("wavelength"), len(numbers), envi.get("wavelength units")),
        lambda: wavelengths_in_names([dataset.descriptions[n - 1] for n in numbers]),
        lambda: _of(header, lambda fields: fields.wavelengths(dataset.count), numbers),
    ]
    try:
        wavelengths = next((w for place in places if (w := place()) is not None), None)
        bbl = in_domain("bbl")
        good = None if bbl is None else good_bands(bbl, len(numbers), "bbl")
    except DataFormatError as error:
        raise DataFormatError(f"{path}: {error}") from error
    except ValueError as error:
        raise DataFormatError(f"the wavelengths of {path} are not usable: {error}") from error
    if good is None:
        good = _of(header, lambda fields: fields.good_bands(dataset.count), numbers)
    return wavelengths, good


def _in_tags(dataset, numbers: list[int]) -> np.ndarray | None:
    """Band centres from the tags that GDAL writes: per band, or in its IMAGERY domain."""
    values, unit = [], None
    for band in numbers:
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
    return scene_wavelengths([float(v) for v in values], len(numbers), unit)


def _in_nm(values, n_bands: int, unit: str | None) -> np.ndarray | None:
    return None if values is None else scene_wavelengths(values, n_bands, unit)


def _of(header: EnviFields | None, ask, numbers: list[int]) -> np.ndarray | None:
    found = None if header is None else ask(header)
    return None if found is None else found[np.array(numbers) - 1]


def sidecar_header(path: Path, n_bands: int) -> EnviFields | None:
    """Find an ENVI header of the same bands beside the file, as flight lines are delivered."""
    for header in (path.with_name(f"{path.name}.hdr"), path.with_suffix(".hdr")):
        try:
            if header.is_file() and (fields := EnviFields(header)).count("bands") == n_bands:
                return fields
        except DataFormatError:  # another program's header, and none of ENVI
            continue
    return None
