"""Scenes, splits and convolutional networks of `networks`: what is trained, and on which pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz.datasets import (
    ScenePixels,
    fetch_indian_pines,
    fetch_pavia_university,
    sample_pixels,
)
from sklearn_capoz.networks._cnn import KINDS

PATCH_SIZE, N_COMPONENTS, BATCH_SIZE = 9, 40, 64
#: The network over three axes takes five times as long as that over two: it has a fifth of the
#: pixels.
SHARES = {"1d": 1.0, "2d": 1.0, "3d": 0.2}
#: Units and channels of the dense networks.
SIZES = {
    "1d": {"channels": 20, "hidden": 100},
    "2d": {"channels": (50, 100), "hidden": 100},
    "3d": {"channels": (16, 32), "hidden": 128},
}


@dataclass(frozen=True)
class Setting:
    """What is trained on what: all that a dense network depends on."""

    data_home: Path | None
    scene: str
    split: str
    kind: str
    seed: int
    epochs: int = 10
    #: Of SHARES; the quick run takes less.
    share: float = 1.0


@dataclass(frozen=True, eq=False)
class Task:
    """Samples as a network takes them; the test pixels are looked at once."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray

    @property
    def n_classes(self) -> int:
        return len(np.unique(self.y))


@lru_cache
def read_scene(name: str, data_home: Path | None):
    """Read a scene once in every process."""
    fetch = {"indian_pines": fetch_indian_pines, "pavia_university": fetch_pavia_university}[name]
    return fetch(data_home=data_home, download_if_missing=False)


def draw_pixels(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Return the labelled pixels to train and to test with, by number.

    Both splits have the same number of pixels of each class: whole fields, or as many from
    anywhere. Indian Pines comes with a disjoint map; of Pavia University 300 pixels of each class
    are drawn.
    """
    scene = read_scene(setting.scene, setting.data_home)
    random, y = np.random.RandomState(setting.seed), scene.target
    if setting.scene == "indian_pines":
        train, test = (np.flatnonzero(mask) for mask in (scene.disjoint_train, scene.disjoint_test))
        if setting.split == "random":
            usable = np.union1d(train, test)
            counts = np.bincount(y[train])
            train = _draw(usable, y, counts, random)
            test = np.setdiff1d(usable, train)
    else:
        numbers = np.full(scene.ground_truth.shape, -1)
        numbers[tuple(scene.positions.T)] = np.arange(len(y))
        train, test = (
            numbers[tuple(part.positions.T)]
            for part in sample_pixels(
                scene.cube, scene.ground_truth, split=setting.split, train_size=300,
                patch_size=PATCH_SIZE, random_state=setting.seed,
            )[:2]
        )  # fmt: skip
    share = SHARES[setting.kind] * setting.share
    if share < 1:
        counts = np.ceil(share * np.bincount(y[train])).astype(int)
        train = _draw(train, y, counts, random)
    return train, test


def _draw(pool, y, counts, random) -> np.ndarray:
    """Draw so many of each class."""
    return np.concatenate(
        [
            random.choice(pool[y[pool] == code], count, replace=False)
            for code, count in enumerate(counts)
        ]
    )


@lru_cache(maxsize=2)
def make_task(setting: Setting) -> Task:
    """Make spectra or patches; what is done to the bands is fitted on the training pixels."""
    scene = read_scene(setting.scene, setting.data_home)
    train, test = draw_pixels(setting)
    spectra = scene.data[train].astype(np.float32)
    if setting.kind == "1d":
        bands = StandardScaler().fit(spectra)
        X, X_test = (bands.transform(scene.data[rows].astype(np.float32)) for rows in (train, test))
    else:
        bands = PCA(N_COMPONENTS, whiten=True, random_state=0).fit(spectra)
        table = scene.cube.reshape(-1, scene.cube.shape[2]).astype(np.float32)
        image = bands.transform(table).astype(np.float32).reshape(*scene.cube.shape[:2], -1)
        X, X_test = (
            np.ascontiguousarray(ScenePixels(image, scene.positions[rows]).patches(PATCH_SIZE))
            for rows in (train, test)
        )
    return Task(X, scene.target[train], X_test, scene.target[test])


def make_net(setting: Setting, task: Task, epochs: int, ratio: float = 0.0) -> NeuralNetClassifier:
    """Make a dense network, or one whose layers are narrower by a ratio from the start."""

    def narrower(width):
        if isinstance(width, tuple):
            return tuple(map(narrower, width))
        return width - int(ratio * width + 1e-9)

    sizes = {name: narrower(width) for name, width in SIZES[setting.kind].items()}
    if setting.kind != "1d":
        sizes["patch_size"] = PATCH_SIZE
    torch.manual_seed(setting.seed)
    return NeuralNetClassifier(
        KINDS[setting.kind](task.X.shape[1], task.n_classes, **sizes),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=BATCH_SIZE,
        max_epochs=epochs,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )
