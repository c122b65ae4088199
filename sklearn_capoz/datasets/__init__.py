"""Spectra to learn from: an embedded table, made spectra and scenes, and public data sets."""

from sklearn_capoz.datasets._scene import make_mineral_scene
from sklearn_capoz.datasets._synthetic import make_mineral_spectra
from sklearn_capoz.datasets._usgs_minerals import (
    CUPRITE_MINERALS,
    CUPRITE_WAVELENGTHS,
    load_usgs_minerals,
)

__all__ = [
    "CUPRITE_MINERALS",
    "CUPRITE_WAVELENGTHS",
    "load_usgs_minerals",
    "make_mineral_scene",
    "make_mineral_spectra",
]
