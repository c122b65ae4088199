"""
Prune a mineral classifier by C-APoZ
====================================

A network with 30 hidden units learns seven minerals of Cuprite, Nevada, from made mixtures of
USGS spectra, and loses the units that hardly fire on the spectra it labels right.
"""

# %%
# The training and test sets have the sizes of the C-APoZ paper (doi:10.3788/IRLA20210252).
# Part of the training set is used inside `fit` to score units and to choose the iteration;
# the test set is used once, at the end.
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.datasets import CUPRITE_WAVELENGTHS, make_mineral_spectra
from sklearn_capoz.spectral import SpectralAbsorptionIndex

X_train, y_train = make_mineral_spectra(700, random_state=0)
X_test, y_test = make_mineral_spectra([400, 240, 240, 400, 400, 400, 240], random_state=1)

model = make_pipeline(
    SpectralAbsorptionIndex(CUPRITE_WAVELENGTHS, half_widths=60),
    StandardScaler(),
    PrunedMLPClassifier(
        threshold="fraction", n_iterations=7, keep="smallest", tolerance=0.02, random_state=0
    ),
).fit(X_train, y_train)
pruned = model[-1]

# %%
# Every iteration, from the unpruned network on.
pruned.history_[
    ["iteration", "n_units", "n_parameters", "accuracy_before", "accuracy_after", "n_epochs"]
].round(3)

# %%
# The scores of the first iteration. A unit with C-APoZ 1 is silent on every spectrum that the
# network labels right.
from sklearn_capoz.displays import ImportanceDisplay, PruningPathDisplay

display = ImportanceDisplay.from_estimator(pruned)

# %%
# Size and accuracy along the way. The accuracies here are those of the few samples set aside
# to choose the iteration, and as uncertain as their number says.
display = PruningPathDisplay.from_estimator(pruned, size="n_parameters")

# %%
# What counts is the test set.
print(f"{pruned.network_.widths[0]} hidden units, {pruned.network_.n_parameters} parameters,")
print(f"{pruned.compression_rate_:.2f} times fewer than before")
print(f"test accuracy {model.score(X_test, y_test):.3f}")
