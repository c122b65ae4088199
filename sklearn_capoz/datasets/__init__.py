"""Spectra to learn from: embedded tables, made spectra and scenes, and public data sets.

`CUPRITE_MINERALS` and `CUPRITE_WAVELENGTHS` (nm) are what made spectra have where nothing else is
asked for. `SHIFTS` names how far `make_field_spectra` takes a library from the laboratory.
"""

from ..formats._ecostress import read_ecostress
from ..formats._envi_library import read_envi_library
from ._airborne import fetch_indian_pines, fetch_jasper_ridge, fetch_pavia_university
from ._cuprite import fetch_cuprite_labels, fetch_cuprite_pixels, fetch_usgs_splib
from ._field import SHIFTS, FieldShift, make_field_spectra
from ._mnist import fetch_mnist
from ._sampling import sample_pixels
from ._scene import make_mineral_scene
from ._scene_pixels import ScenePixels
from ._synthetic import make_mineral_spectra
from ._usgs_backgrounds import load_usgs_backgrounds
from ._usgs_minerals import CUPRITE_MINERALS, CUPRITE_WAVELENGTHS, load_usgs_minerals

__all__ = [
    "CUPRITE_MINERALS",
    "CUPRITE_WAVELENGTHS",
    "SHIFTS",
    "FieldShift",
    "ScenePixels",
    "fetch_cuprite_labels",
    "fetch_cuprite_pixels",
    "fetch_indian_pines",
    "fetch_jasper_ridge",
    "fetch_mnist",
    "fetch_pavia_university",
    "fetch_usgs_splib",
    "load_usgs_backgrounds",
    "load_usgs_minerals",
    "make_field_spectra",
    "make_mineral_scene",
    "make_mineral_spectra",
    "read_ecostress",
    "read_envi_library",
    "sample_pixels",
]
