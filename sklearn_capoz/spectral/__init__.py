"""From spectra to absorption features."""

from ._continuum import ContinuumRemoval
from ._index import SpectralAbsorptionIndex
from ._standardize import SpectrumStandardizer

__all__ = ["ContinuumRemoval", "SpectralAbsorptionIndex", "SpectrumStandardizer"]
