"""Writes the stored models that test_pickle.py opens: run once per release, never overwrite.

python tests/export/data/store_models.py
"""

import json
import platform
from pathlib import Path

import joblib
import numpy as np
import pandas
import sklearn
import skorch
import torch
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_capoz
from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier
from sklearn_capoz.deploy import save_model
from sklearn_capoz.thresholds import Count


def main():
    """Fit two small models and store them with the labels and probabilities that they give."""
    folder = Path(__file__).parent / sklearn_capoz.__version__
    folder.mkdir()
    X, codes = load_iris(return_X_y=True)
    y = load_iris().target_names[codes]
    settings = {
        "threshold": Count(2),
        "n_iterations": 2,
        "retrain_max_iter": 20,
        "random_state": 0,
    }
    mlp = MLPClassifier((8,), tol=1e-3, random_state=0)
    models = {
        "pruned": make_pipeline(
            StandardScaler(), PrunedMLPClassifier((8,), max_iter=60, **settings)
        ).fit(X, y),
        "pruner": CAPoZPruner(mlp, **settings).fit(X, y),
    }
    results = {}
    for name, model in models.items():
        joblib.dump(model, folder / f"{name}.joblib", compress=3)
        save_model(model, folder / f"{name}.capoz")
        results[f"{name}_labels"] = model.predict(X)
        results[f"{name}_probabilities"] = model.predict_proba(X)
    np.savez_compressed(folder / "results.npz", **results)
    libraries = (joblib, np, pandas, sklearn, skorch, torch)
    versions = {library.__name__: library.__version__.split("+")[0] for library in libraries}
    versions["python"] = platform.python_version()
    (folder / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")


if __name__ == "__main__":
    main()
