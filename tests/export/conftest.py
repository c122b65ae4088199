"""Fitted models that the tests of files, ONNX and C share; nobody changes them."""

import json
import shutil
import warnings

import numpy as np
import pytest
from safetensors.numpy import save
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier
from sklearn_capoz.deploy import save_model
from sklearn_capoz.export._container import checksum, unpack
from sklearn_capoz.spectral import SpectralAbsorptionIndex, SpectrumStandardizer
from sklearn_capoz.thresholds import Count

WAVELENGTHS = np.linspace(2000, 2400, 24)


def make_samples(dtype=np.float32, n_classes=3):
    """Reflectances of spectra with one absorption each, and their class's name."""
    rng = np.random.RandomState(0)
    codes = np.arange(150) % n_classes
    centres = 2100 + 200 * codes / n_classes
    depth = rng.uniform(0.1, 0.5, 150)[:, None]
    dips = depth * np.exp(-(((WAVELENGTHS - centres[:, None]) / 30) ** 2))
    X = rng.uniform(0.3, 0.6, 150)[:, None] * (1 - dips) + rng.normal(0, 0.002, dips.shape)
    names = np.array(["alunite", "calcite", "kaolinite", "muscovite"])
    return X.astype(dtype), names[codes]


def fitted_models():
    """Name -> fitted model and its samples."""
    X, y = make_samples()
    X64, _ = make_samples(np.float64)
    two = make_samples(n_classes=2)[1]
    mlp = MLPClassifier((9, 5), max_iter=40, random_state=0)
    pruned = PrunedMLPClassifier(
        (12,),
        threshold=Count(2),
        n_iterations=2,
        max_iter=30,
        retrain_max_iter=5,
        random_state=0,
    )
    sai = SpectralAbsorptionIndex(WAVELENGTHS, half_widths=(40, 80))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return {
            "mlp": (mlp.fit(X, y), X),
            "mlp of float64": (MLPClassifier((6,), max_iter=30, random_state=0).fit(X64, y), X64),
            "two classes": (MLPClassifier((6,), max_iter=30, random_state=0).fit(X, two), X),
            "numbers as classes": (
                MLPClassifier((6,), activation="tanh", max_iter=30, random_state=0).fit(
                    X, np.unique(y, return_inverse=True)[1] * 10 - 7
                ),
                X,
            ),
            "pruned": (pruned.fit(X, y), X),
            "pruner": (
                CAPoZPruner(
                    MLPClassifier((8,), activation="logistic", max_iter=30, random_state=0),
                    criterion="l2",
                    threshold=Count(2),
                    n_iterations=1,
                    retrain_max_iter=2,
                    random_state=0,
                ).fit(X, y),
                X,
            ),
            "scaler": (make_pipeline(StandardScaler(), clone(mlp)).fit(X, y), X),
            "linear steps": (
                make_pipeline(MinMaxScaler(), PCA(6, whiten=True), clone(mlp)).fit(X64, y),
                X64,
            ),
            "absorption": (make_pipeline(sai, StandardScaler(), clone(pruned)).fit(X, y), X),
            "attenuated": (
                make_pipeline(
                    SpectrumStandardizer(),
                    MinMaxScaler((1, 2)),
                    SpectralAbsorptionIndex(WAVELENGTHS, attenuation=50.0, log=True),
                    clone(mlp),
                ).fit(X64, y),
                X64,
            ),
        }


@pytest.fixture(scope="session")
def models():
    return fitted_models()


class ModelFile:
    """A model file to be read and written past `save_model`, as an attacker would."""

    def __init__(self, path):
        self.path = path

    def read(self):
        """Return the description and the tensors."""
        return unpack(self.path.read_bytes())

    def write(self, description, tensors):
        """Write a file with a right checksum."""
        self.path.write_bytes(self.content(json.dumps(description), tensors))

    @staticmethod
    def content(text, tensors=()):
        tensors = dict(tensors)
        metadata = {"sklearn_capoz": text, "sha256": checksum(text, tensors)}
        return save(tensors, metadata=metadata)


@pytest.fixture(scope="session")
def model_file():
    return ModelFile


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.capoz"


@pytest.fixture
def small(path, models):
    """Path, description and tensors of a small model with a scaler."""
    save_model(models["scaler"][0], path)
    return path, *ModelFile(path).read()


@pytest.fixture(scope="session")
def compiler():
    found = shutil.which("gcc") or shutil.which("cc")
    if found is None:
        pytest.skip("no C compiler")
    return found
