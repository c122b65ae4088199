"""
Spectra and their absorption features
=====================================

What a network sees of a mineral: laboratory spectra, the continuum over them, and the
absorptions that give the mineral its name.
"""

# %%
# The package ships spectra of the United States Geological Survey. Some minerals have
# several records, whose spread is drawn as a band.
import numpy as np

from sklearn_capoz.datasets import load_usgs_minerals
from sklearn_capoz.displays import SpectrumDisplay

library = load_usgs_minerals()
names = library.target_names[library.target]
shown = np.isin(names, ["Alunite", "Calcite", "Kaolinite", "Muscovite"])

display = SpectrumDisplay.from_spectra(
    library.wavelengths,
    library.data[shown],
    names[shown],
    features={"OH": (1350, 1500), "Al-OH": (2120, 2270), "CO3": (2280, 2400)},
    offset=0.4,
)

# %%
# Where is each absorption deepest? NaN where the lowest band is only the flank of a neighbour.
for name, positions in zip(display.names, display.positions, strict=True):
    print(f"{name:10s}", dict(zip(display.features, positions.tolist(), strict=True)))

# %%
# The same minerals as a sensor sees them: mixed with others, in shade, with noise. Dividing
# by the continuum takes the light out and leaves the absorptions.
from sklearn_capoz.datasets import CUPRITE_WAVELENGTHS, make_mineral_spectra
from sklearn_capoz.spectral import ContinuumRemoval

X, y = make_mineral_spectra(
    400, minerals=["Alunite", "Calcite", "Kaolinite", "Muscovite"], random_state=0
)
quotients = ContinuumRemoval(CUPRITE_WAVELENGTHS).fit_transform(X)
display = SpectrumDisplay.from_spectra(
    CUPRITE_WAVELENGTHS, quotients, y, continuum=False, offset=0.2
)
display.ax_.set_ylabel("reflectance / continuum, curves 0.2 apart")
