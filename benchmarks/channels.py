"""Channels: three quarters of a convolutional network gone, on disjoint fields of Indian Pines.

Run with `python -m benchmarks channels --data-home FOLDER --seeds 5 --network 1d`. Accuracies are
those of the test fields, before any retraining and after a short one.
"""

from __future__ import annotations

import argparse
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz import CAPoZPruner
from sklearn_capoz.datasets import fetch_indian_pines
from sklearn_capoz.networks import SpatialCNN2D, SpectralCNN1D
from sklearn_capoz.thresholds import Fraction

from ._report import markdown_table

EPOCHS, RETRAINING = 10, 6
METHODS = {
    "random": ("random", None),
    "L1": ("l1", None),
    "mean activation": ("mean-activation", None),
    "C-APoZ": ("c-apoz", None),
    "C-APoZ + least squares": ("c-apoz", "least-squares"),
    "reconstruction": ("reconstruction", "least-squares"),
}


@lru_cache
def load(data_home: Path, network: str):
    """Read samples as the network takes them, and labels, to train with and to test on."""
    pixels = fetch_indian_pines(data_home=data_home, download_if_missing=False)
    train = np.asarray(pixels.disjoint_train)
    test = np.asarray(pixels.disjoint_test)
    X = np.asarray(pixels.data, dtype=np.float32)
    if network == "1d":
        X = StandardScaler().fit(X[train]).transform(X)
        return X[train], pixels.target[train], X[test], pixels.target[test]
    n_rows, n_columns, n_bands = pixels.cube.shape
    bands = PCA(40, whiten=True, random_state=0).fit(X[train])
    scene = bands.transform(pixels.cube.reshape(-1, n_bands).astype(np.float32))
    scene = scene.reshape(n_rows, n_columns, -1).astype(np.float32)
    scene = np.pad(scene, ((4, 4), (4, 4), (0, 0)), mode="reflect")
    found = np.lib.stride_tricks.sliding_window_view(scene, (9, 9), axis=(0, 1))
    patches = [found[tuple(pixels.positions[part].T)] for part in (train, test)]
    return patches[0], pixels.target[train], patches[1], pixels.target[test]


def make_net(network: str, n_classes: int, epochs: int, share: float = 1.0) -> NeuralNetClassifier:
    """Make a network of NETWORKS' widths, or of a share of them."""

    def some(n: int) -> int:
        return n - int((1 - share) * n + 1e-9)

    if network == "1d":
        module = SpectralCNN1D(200, n_classes, channels=some(20), hidden=some(100))
    else:
        module = SpatialCNN2D(40, n_classes, 9, (some(50), some(100)), hidden=some(100))
    return NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=64,
        max_epochs=epochs,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )


def score(estimator, X, y) -> dict:
    """Overall and average accuracy."""
    labels = estimator.predict(X)
    return {"overall": accuracy_score(y, labels), "average": balanced_accuracy_score(y, labels)}


def run_seed(data_home: Path, network: str, seed: int) -> list[dict]:
    """Dense, pruned and small networks."""
    X, y, X_test, y_test = load(data_home, network)
    n_classes = len(np.unique(y))
    rows = []

    def note(method: str, when: str, estimator) -> None:
        found = score(estimator, X_test, y_test)
        rows.append({"seed": seed, "method": method, "when": when} | found)

    torch.manual_seed(seed)
    dense = make_net(network, n_classes, EPOCHS).fit(X, y)
    note("dense", "after", dense)
    for method, (criterion, compensation) in METHODS.items():
        for when, epochs in (("before", 0), ("after", RETRAINING)):
            pruner = CAPoZPruner(
                FrozenEstimator(dense),
                criterion=criterion,
                compensation=compensation,
                threshold=Fraction(0.75),
                n_iterations=1,
                keep="last",
                retrain_max_iter=epochs,
                random_state=seed,
            )
            # Units are ranked on training pixels; the test fields are looked at once, at the end.
            note(method, when, pruner.fit(X, y, X_val=X, y_val=y))
    torch.manual_seed(seed)
    small = make_net(network, n_classes, EPOCHS + RETRAINING, 0.25).fit(X, y)
    note("small from scratch", "after", small)
    return rows


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks channels", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data-home", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--network", choices=["1d", "2d"], default="1d")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: list[dict] = []
    for seed in range(options.seeds):
        found += run_seed(options.data_home, options.network, seed)
    table = pd.DataFrame(found)
    middle = table.groupby(["method", "when"], sort=False)[["overall", "average"]].median()
    cells = middle.unstack("when").round(3)
    cells.columns = [f"{name}, {when}" for name, when in cells.columns]
    print(f"{options.network}, medians of {options.seeds} seeds, three quarters of each layer gone")
    print(markdown_table(cells.reset_index()))


if __name__ == "__main__":
    main()
