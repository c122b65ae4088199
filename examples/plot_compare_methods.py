"""
Is one way better than another?
===============================

The researcher's road: the same repeats for every method, controls beside them, tests at matched
size with Holm's correction, and a table for the paper.
"""

# %%
# What is compared: two criteria, one of them with compensation and a teacher, and the controls
# without which a gain says little: random units retrained alike, and small networks from scratch
# for as many epochs in all.
import matplotlib.pyplot as plt
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_capoz import PrunedMLPClassifier, compare_pruning
from sklearn_capoz.datasets import CUPRITE_WAVELENGTHS, make_mineral_spectra
from sklearn_capoz.displays import TradeOffDisplay
from sklearn_capoz.schedules import Widths
from sklearn_capoz.spectral import SpectralAbsorptionIndex

X, y = make_mineral_spectra(1400, random_state=0)
features = make_pipeline(SpectralAbsorptionIndex(CUPRITE_WAVELENGTHS), StandardScaler())
X = features.fit_transform(X)

WIDTHS, EPOCHS, MORE = (13, 9, 5), 60, 20
steps = {"schedule": Widths(WIDTHS), "n_iterations": len(WIDTHS), "keep": "last"}


def network(width=30, epochs=EPOCHS, **changes):
    """Make a network that trains for all of its epochs."""
    given = {"max_iter": epochs, "retrain_max_iter": MORE, "n_iter_no_change": 10**9} | changes
    return PrunedMLPClassifier((width,), **given)


methods = {
    "C-APoZ": network(criterion="c-apoz", **steps),
    "reconstruction": network(
        criterion="reconstruction", compensation="least-squares", distillation=0.7, **steps
    ),
    "random": network(criterion="random", **steps),
    "from scratch": [
        network(width, EPOCHS + MORE * (i + 1), n_iterations=0, keep="last")
        for i, width in enumerate(WIDTHS)
    ],
}
found = compare_pruning(methods, X, y, random_state=0)

# %%
# Every network of every repeat is a row of `runs`; the tests hold each method against one of them.
tests = found.test("C-APoZ")
columns = ["n_units", "method", "difference", "effect", "p_holm"]
print(tests[columns].round(3).to_string(index=False))

# %%
# The curves, controls in grey.
display = TradeOffDisplay(found.curves(), controls=["random", "from scratch"])
display.plot()
plt.show()

# %%
# And the table for the paper.
print(found.to_latex())
