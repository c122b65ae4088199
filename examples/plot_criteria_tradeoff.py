"""
Compare criteria at equal size
==============================

Which criterion keeps the most accuracy at a given size, and does it beat cutting at random? A
small version of the benchmark, with few seeds: see the spread before you believe a difference.
"""

# %%
# The schedule `Widths` walks every criterion through the same sizes, so that only the choice of
# units differs. Accuracy is measured on samples that no part of `fit` has seen.
import pandas as pd
from sklearn.preprocessing import StandardScaler

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.criteria import CAPoZ, Reversed
from sklearn_capoz.datasets import CUPRITE_WAVELENGTHS, make_mineral_spectra
from sklearn_capoz.displays import TradeOffDisplay
from sklearn_capoz.schedules import Widths
from sklearn_capoz.spectral import SpectralAbsorptionIndex

WIDTHS = (20, 13, 9, 6, 4)

features = SpectralAbsorptionIndex(CUPRITE_WAVELENGTHS, half_widths=60)
scaler = StandardScaler()
X, y = make_mineral_spectra(700, random_state=0)
X = scaler.fit_transform(features.fit_transform(X))
X_test, y_test = make_mineral_spectra(2320, random_state=1)
X_test = scaler.transform(features.transform(X_test))

# %%
# Retraining is short, so that the choice of units has something to say.
criteria = {
    "C-APoZ": "c-apoz",
    "APoZ": "apoz",
    "L1 norm": "l1",
    "reconstruction": "reconstruction",
    "random": "random",
    "reversed C-APoZ": Reversed(CAPoZ()),
}
rows = []
for name, criterion in criteria.items():
    for seed in range(3):
        for n_cuts in range(len(WIDTHS) + 1):
            model = PrunedMLPClassifier(
                criterion=criterion,
                schedule=Widths(WIDTHS),
                n_iterations=n_cuts,
                retrain_max_iter=5,
                random_state=seed,
            ).fit(X, y)
            rows.append(
                {
                    "criterion": name,
                    "n_units": sum(model.network_.widths),
                    "accuracy": model.score(X_test, y_test),
                }
            )

# %%
display = TradeOffDisplay(
    pd.DataFrame(rows), size="n_units", controls=["random", "reversed C-APoZ"]
).plot()

# %%
display.summary.pivot_table(index="n_units", columns="criterion", values="mean").round(3)
