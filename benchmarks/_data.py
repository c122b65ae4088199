"""Data of the experiments: four disjoint sets, drawn anew for every seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_capoz.datasets import CUPRITE_WAVELENGTHS, fetch_indian_pines, make_mineral_spectra
from sklearn_capoz.spectral import ContinuumRemoval

#: The C-APoZ paper's test samples per mineral.
N_TEST = (400, 240, 240, 400, 400, 400, 240)
#: Pixels of Indian Pines to train on, and as many to score units and choose on.
N_PIXELS = 1024


@dataclass(frozen=True, eq=False)
class Task:
    """Features and class codes of one seed.

    Parameters
    ----------
    X, y : ndarray
        To train on.
    X_val, y_val : ndarray
        The estimators halve them: one half to score units on, one to choose on.
    X_test, y_test : ndarray
        Seen by nothing but the metrics.
    """

    X: np.ndarray
    y: np.ndarray
    X_val: np.ndarray
    y_val: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray

    @property
    def n_classes(self) -> int:
        return int(self.y.max()) + 1


def make_task(features, train, validation, test) -> Task:
    """Fit features on the training part, bring all parts to float32 and class codes."""
    classes = np.unique(train[1])
    arrays = [
        features.fit_transform(train[0]),
        *(features.transform(p[0]) for p in (validation, test)),
    ]
    parts = []
    for X, (_, y) in zip(arrays, (train, validation, test), strict=True):
        parts += [X.astype(np.float32), np.searchsorted(classes, y)]
    return Task(*parts)


def usgs_mixtures(seed: int, quick: bool = False) -> Task:
    """Mixed USGS spectra of seven minerals, standardised hull quotients, the paper's counts."""
    random = np.random.RandomState(seed)
    counts = (140, 140, [20] * 7) if quick else (700, 700, N_TEST)
    features = make_pipeline(ContinuumRemoval(CUPRITE_WAVELENGTHS), StandardScaler())
    return make_task(features, *(make_mineral_spectra(n, random_state=random) for n in counts))


def usgs_reflectance(seed: int, quick: bool = False) -> Task:
    """Draw the same mixtures as standardised reflectance, of which no input needs another band."""
    random = np.random.RandomState(seed)
    counts = (140, 140, [20] * 7) if quick else (700, 700, N_TEST)
    parts = (make_mineral_spectra(n, random_state=random) for n in counts)
    return make_task(StandardScaler(), *parts)


def indian_pines(seed: int, data_home: Path, quick: bool = False) -> Task:
    """Pixels of Indian Pines, standardised bands, a random stratified split."""
    X, y = fetch_indian_pines(data_home=data_home, download_if_missing=False, return_X_y=True)
    n, n_test = (300, 300) if quick else (N_PIXELS, None)
    parts, rest = [], np.arange(len(y))
    for size in (n, n):
        part, rest = train_test_split(rest, train_size=size, stratify=y[rest], random_state=seed)
        parts.append(part)
    if n_test is not None:
        rest, _ = train_test_split(rest, train_size=n_test, stratify=y[rest], random_state=seed)
    parts.append(rest)
    return make_task(StandardScaler(), *((X[part].astype(np.float32), y[part]) for part in parts))
