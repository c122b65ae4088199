"""From spectra to absorption features, the first step of the journey.

A reflectance spectrum is brightness, slope and absorptions at once; only the absorptions name the
mineral. What a network should see of it:

- `BandSelector` keeps the bands that the atmosphere lets through,
- `ContinuumRemoval` divides every spectrum by its hull,
- `SpectralAbsorptionIndex` gives one index per band: shoulders over centre,
- `AbsorptionFeatures` measures position, depth and shape of single absorptions,
- `SpectrumStandardizer` takes brightness and contrast of each pixel out,
- `SensorResampler` gives what a sensor would have measured, band by band; `SENSORS` are those it
  knows by name, a `Sensor` any other,
- `SpectralMatcher` names spectra by the most similar record of a library.

All but the matcher are scikit-learn transformers for X of shape (n_samples, n_bands). Wavelengths
are given once in nm or um, results are columns with names, and float32 stays float32.
"""

from .._lazy import lazy_names
from ._continuum import ContinuumRemoval
from ._features import AbsorptionFeature, AbsorptionFeatures
from ._index import SpectralAbsorptionIndex
from ._matching import SpectralMatcher
from ._resampler import SensorResampler
from ._sensors import SENSORS, Sensor
from ._standardize import SpectrumStandardizer

__all__ = [
    "SENSORS",
    "AbsorptionFeature",
    "AbsorptionFeatures",
    "BandSelector",
    "ContinuumRemoval",
    "Sensor",
    "SensorResampler",
    "SpectralAbsorptionIndex",
    "SpectralMatcher",
    "SpectrumStandardizer",
]

# It is a selector of features, and those bring all linear models along.
__getattr__ = lazy_names(__name__, {"BandSelector": "._bands"})
