"""to_onnx: onnxruntime computes what the model computes, or nothing is written."""

import os
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler

from sklearn_capoz.deploy import to_onnx
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.export._onnx_graph import Graph
from sklearn_capoz.export._step_sklearn import StandardScalerKind
from sklearn_capoz.spectral import (
    BandSelector,
    ContinuumRemoval,
    SpectralAbsorptionIndex,
    SpectrumStandardizer,
)

NAMES = (
    "mlp",
    "mlp of float64",
    "two classes",
    "numbers as classes",
    "pruned",
    "pruner",
    "scaler",
    "linear steps",
    "absorption",
    "attenuated",
)


def run(path, X):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["label", "probabilities"], {"X": X})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


@pytest.mark.parametrize("name", NAMES)
def test_onnxruntime_and_the_model_agree(models, path, name):
    model, X = models[name]
    to_onnx(model, path, X_check=X)
    labels, probabilities = run(path, X)
    tolerance = 1e-4 if X.dtype == np.float32 else 1e-9
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=tolerance)
    np.testing.assert_array_equal(np.asarray(labels, dtype=model.classes_.dtype), model.predict(X))
    assert len(run(path, X[:1])[0]) == 1  # any number of samples
    onnx.checker.check_model(str(path), full_check=True)


def fit_and_export(path, step, X):
    """Export a step with an almost linear network behind it that shows each feature."""
    features = np.nan_to_num(step.fit_transform(X))
    mlp = MLPClassifier((4,), activation="identity", tol=1, random_state=0)
    mlp.fit(features, np.arange(len(X)) % 2)
    model = make_pipeline(step, mlp)
    to_onnx(model, path, X_check=X)
    np.testing.assert_allclose(run(path, X)[1], model.predict_proba(X), rtol=0, atol=1e-9)


WAVELENGTHS = np.arange(2000.0, 2400, 20)


@pytest.mark.parametrize(
    "step",
    [
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        MinMaxScaler((-2, 3), clip=True),
        SpectralAbsorptionIndex(WAVELENGTHS),
        SpectralAbsorptionIndex(WAVELENGTHS[::-1], half_widths=30, scale=0.5),
        SpectralAbsorptionIndex(
            np.r_[WAVELENGTHS[:-1], 2000.0], duplicates="average", bad_bands=[4, 5]
        ),
        SpectralAbsorptionIndex(WAVELENGTHS, bands=[2160, 2200], shoulders=[(2100, 2300)] * 2),
        SpectralAbsorptionIndex(WAVELENGTHS, attenuation=30.0, log=True),
        SpectrumStandardizer(),
        BandSelector(ranges=[(2100, 2300)], wavelengths=WAVELENGTHS[::-1], bad_bands=[7]),
    ],
    ids=repr,
)
def test_every_option_of_every_step(path, step):
    X = np.random.RandomState(0).uniform(0.2, 0.8, (40, len(WAVELENGTHS)))
    fit_and_export(path, clone(step), X)


def test_odd_spectra_have_the_stated_results(path):
    """Flat and all-zero spectra have the index 1, and are all 0 when standardised."""
    X = np.random.RandomState(0).uniform(0.2, 0.8, (40, len(WAVELENGTHS)))
    X[3], X[4] = 0.0, 0.5
    fit_and_export(path, SpectralAbsorptionIndex(WAVELENGTHS), X)
    fit_and_export(path, SpectrumStandardizer(), X)


@pytest.mark.parametrize("factor", [1e25, 1e37, 1e-25])
def test_spectra_whose_squares_no_float_holds(path, factor):
    X = np.random.RandomState(0).uniform(0.2, 0.8, (40, len(WAVELENGTHS))).astype(np.float32)
    model = make_pipeline(SpectrumStandardizer(), MLPClassifier((4,), tol=1, random_state=0))
    model.fit(X, np.arange(40) % 2)
    to_onnx(model, path, X_check=X)
    large = X * np.float32(factor)
    np.testing.assert_allclose(run(path, large)[1], model.predict_proba(X), rtol=0, atol=1e-5)


def test_column_names_do_not_matter_to_the_graph(path):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(np.random.RandomState(0).rand(30, 2), columns=["a", "b"])
    mlp = MLPClassifier((3,), tol=1, random_state=0).fit(X, np.arange(30) % 2 == 0)
    to_onnx(mlp, path, X_check=X)
    np.testing.assert_array_equal(run(path, X.to_numpy())[0], mlp.predict(X))


def test_what_onnx_cannot_express_is_named_and_nothing_is_written(models, path):
    X = models["mlp"][1]
    y = np.arange(len(X)) % 3
    wavelengths = np.linspace(2000, 2400, X.shape[1])
    for step, message in (
        (ContinuumRemoval(wavelengths), "ContinuumRemoval, which ONNX cannot express"),
        (Normalizer(), "Normalizer, which ONNX cannot express"),
        (SpectralAbsorptionIndex(wavelengths, shoulders="hull"), "lays a convex hull"),
    ):
        pipeline = make_pipeline(step, MLPClassifier((2,), tol=1)).fit(X, y)
        with pytest.raises(UnsupportedNetworkError, match=message):
            to_onnx(pipeline, path)
    assert os.listdir(path.parent) == []


def test_an_unfitted_step_is_noticed(models, path):
    for step in (StandardScaler(), SpectralAbsorptionIndex()):
        with pytest.raises(NotFittedError):
            to_onnx(make_pipeline(step, models["mlp"][0]), path)


def test_a_graph_that_differs_is_not_written(models, path, monkeypatch):
    model, _ = models["scaler"]

    def forget_the_mean(self, graph, scaler, value):
        return graph.add("Div", value, graph.constant(scaler.scale_))

    path.write_bytes(b"old")
    monkeypatch.setattr(StandardScalerKind, "add_to_graph", forget_the_mean)
    with pytest.raises(RuntimeError, match="differs from predict_proba by up to 0"):
        to_onnx(model, path)
    assert path.read_bytes() == b"old"


def test_labels_alone_that_differ_are_noticed(models, path, monkeypatch):
    model, X = models["mlp"]
    add_network = Graph.add_network
    monkeypatch.setattr(
        Graph,
        "add_network",
        lambda graph, network, classes, value: add_network(graph, network, classes[::-1], value),
    )
    with pytest.raises(RuntimeError, match="its labels differ"):
        to_onnx(model, path, X_check=X)


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_onnx_the_error_says_what_to_install(models, path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install 'sklearn-capoz\[export\]'"):
        to_onnx(models["mlp"][0], path)
