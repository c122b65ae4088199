"""
From a library to a map to trust
================================

The geologist's road, in Python: laboratory spectra teach a classifier as the field shows them, the
scene teaches it too, a map is drawn with how far to trust each pixel, and places that are known say
how right it is. ``train``, ``map``, ``assess`` and ``report`` do the same on files.
"""

# %%
# A library, and a scene to map: 60 by 50 pixels, made, with shade, mixed borders and noise. The
# library is brought to the scene's bands.
import numpy as np
import pandas as pd
import xarray as xr

from sklearn_capoz import FieldTrainedClassifier
from sklearn_capoz.datasets import CUPRITE_MINERALS, load_usgs_minerals, make_mineral_scene
from sklearn_capoz.deploy import assess, predict_scene
from sklearn_capoz.displays import AssessmentDisplay, MineralMapDisplay
from sklearn_capoz.scenes import sample_scene
from sklearn_capoz.spectral import SensorResampler

library = load_usgs_minerals()
minerals = library.target_names[library.target]
scene = make_mineral_scene((60, 50), random_state=4)
cube = xr.DataArray(scene.cube, dims=("y", "x", "band"), coords={"band": scene.wavelengths})
resampler = SensorResampler(
    scene.wavelengths, fwhm=10.0, wavelengths=library.wavelengths, source_fwhm=7.5
)
X = resampler.fit_transform(library.data)
seven = pd.Series(minerals).isin(CUPRITE_MINERALS).to_numpy()
X, y = X[seven], minerals[seven]
print(f"{len(y)} records of {len(set(y))} minerals in {X.shape[1]} bands")

# %%
# The scene shows its own light, air and noise: pixels of it are learnt from without a label.
drawn = sample_scene(cube, scene.wavelengths, n_pixels=1000, random_state=0)
model = FieldTrainedClassifier(
    wavelengths=scene.wavelengths,
    n_samples=4200,
    cv=2,
    scene_pixels=drawn.pixels,
    scene_noise=drawn.noise,
    random_state=0,
).fit(X, y)

# %%
# What to expect is measured on samples that were held out, beside matching with the library; and
# said to be too good for minerals with one sample, which none can be held out of.
print(model.expected_accuracy_.round(2).to_string())
print("not held out:", *model.not_held_out_)

# %%
# The map: pixels that are unlike everything in the library are "rejected".
found = predict_scene(model, cube, trust=True)
MineralMapDisplay.from_map(found)

# %%
# How far to trust each pixel: how often a name as sure as this one was right on field spectra of
# samples that were held out.
probability = xr.DataArray(found.trust[..., 0], dims=("y", "x"), name="probability of the name")
probability.plot(figsize=(5, 4.5), cmap="cividis", yincrease=False)

# %%
# Places that are known, here one in nine pixels of the made scene, give accuracies and areas with
# their intervals.
truth = scene.target_names[scene.labels]
places = pd.DataFrame(
    [(row, column) for row in range(0, 60, 3) for column in range(0, 50, 3)],
    columns=["row", "column"],
)
places["label"] = truth[places["row"], places["column"]]
assessment = assess(found, places)
AssessmentDisplay.from_assessment(assessment)

# %%
# Names of a low probability are wrong more often: that is what it is for.
mapped = np.array(found.class_names)[found.codes]
right = pd.Series((mapped == truth).ravel())
surer = pd.cut(probability.to_numpy().ravel(), [0, 0.5, 0.7, 0.9, 1])
print(right.groupby(surer, observed=True).agg(["size", "mean"]).round(2).to_string())
