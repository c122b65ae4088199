"""
Down to a few hundred bytes
===========================

The engineer's road: fewer units, fewer bands, fewer bits, until the model fits; then one C header,
from reflectance to the index of a mineral, and what it takes of the device.
"""

# %%
# The model to be made small.
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.datasets import CUPRITE_WAVELENGTHS, make_mineral_spectra
from sklearn_capoz.deploy import compress, device_report, quantize, to_c
from sklearn_capoz.displays import TradeOffDisplay
from sklearn_capoz.spectral import ContinuumRemoval

X, y = make_mineral_spectra(1400, random_state=0)
X_test, y_test = make_mineral_spectra(2320, random_state=1)
X, X_test = X.astype("float32"), X_test.astype("float32")
hull = ContinuumRemoval(CUPRITE_WAVELENGTHS).fit(X)
quotients = hull.transform(X)
network = PrunedMLPClassifier((30,), n_iterations=0, random_state=0)
model = make_pipeline(StandardScaler(), network).fit(quotients, y)
print(f"30 units: {model.score(hull.transform(X_test), y_test):.3f}")

# %%
# One walk cuts what costs the least accuracy for the bytes that it saves, until a file of
# `save_model` is within the budget.
small = compress(model, quotients, y, budget=2200)
print(small.trace[["move", "n_inputs", "n_units", "bits", "n_bytes", "error"]].to_string())
TradeOffDisplay.from_compressions({"compress": small})

# %%
# Units alone, by hand: nine of 30, then weights of 8 and 4 bits. The whole pipeline goes to C, so
# that what the device stores is compared, not what the network alone takes.
pruned = make_pipeline(
    ContinuumRemoval(CUPRITE_WAVELENGTHS),
    StandardScaler(),
    PrunedMLPClassifier(
        (30,), criterion="reconstruction", compensation="least-squares", random_state=0,
        threshold="fraction", n_iterations=5, keep="last",
    ),
).fit(X, y)  # fmt: skip
candidates = {
    "floats": pruned,
    "8 bits": quantize(pruned, X),
    "4 bits, retrained": quantize(pruned, X, y, bits=4, random_state=0),
}
rows = {}
for name, candidate in candidates.items():
    report = device_report(candidate)
    rows[name] = {
        "constants / bytes": report.constants,
        "RAM / bytes": report.ram,
        "multiply-adds": int(report.parts["multiply_adds"].sum()),
        "test accuracy": round(candidate.score(X_test, y_test), 3),
    }
print(pd.DataFrame(rows).T.to_string())

# %%
# The header needs nothing but itself.
with TemporaryDirectory() as folder:
    path = Path(folder) / "mineral.h"
    to_c(candidates["8 bits"], path)
    print("\n".join(path.read_text().splitlines()[:24]))
