"""
A mineral map before and after pruning
======================================

Train on spectra, prune, and map a scene with the network before and after: how many pixels
change their name, and which units were silent all over the scene.
"""

# %%
# A made scene, 120 by 160 pixels, of the seven minerals of the C-APoZ paper, with smooth
# patches, mixed borders, shaded slopes and noise.
import numpy as np
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.datasets import CUPRITE_WAVELENGTHS, make_mineral_scene, make_mineral_spectra
from sklearn_capoz.displays import MineralMapDisplay, UnitMapDisplay
from sklearn_capoz.spectral import SpectralAbsorptionIndex

scene = make_mineral_scene((120, 160), random_state=3)
X, y = make_mineral_spectra(1400, random_state=0)

pruned = make_pipeline(
    SpectralAbsorptionIndex(CUPRITE_WAVELENGTHS, half_widths=60),
    StandardScaler(),
    PrunedMLPClassifier(threshold="fraction", n_iterations=4, random_state=0),
)
dense = clone(pruned).set_params(prunedmlpclassifier__n_iterations=0)
pruned.fit(X, y)
dense.fit(X, y)
print("hidden units:", dense[-1].network_.widths, "->", pruned[-1].network_.widths)

# %%
# With the same seed the unpruned network is the one that the other began as. The third map
# shows where the two differ.
display = MineralMapDisplay.from_estimator(pruned, scene.cube, before=dense)

# %%
# The scene is made, so its truth is known.
truth = scene.target_names[scene.labels]
names = np.array(display.class_names)
print(f"before: {(names[display.before] == truth).mean():.1%} of the pixels right")
print(f"after:  {(names[display.labels] == truth).mean():.1%} of the pixels right")

# %%
# What the first twelve units of the unpruned network say about the scene. The network sees
# scaled features, so the cube goes through the first two steps.
n_rows, n_columns, n_bands = scene.cube.shape
seen = dense[:-1].transform(scene.cube.reshape(-1, n_bands))
units = UnitMapDisplay.from_estimator(
    dense[-1], seen.reshape(n_rows, n_columns, -1), units=range(12), n_columns=4
)
