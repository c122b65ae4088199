"""Convolutional networks in model files and ONNX graphs give the same answers."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PowerTransformer

from sklearn_capoz import PrunedCNNClassifier
from sklearn_capoz.datasets import ScenePixels
from sklearn_capoz.deploy import load_model, predict_scene, save_model, to_onnx
from sklearn_capoz.exceptions import DataFormatError, UnsupportedNetworkError
from sklearn_capoz.export._container import pack, read_whole_file, unpack
from sklearn_capoz.export._model import build_model

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn_capoz.exceptions.PruningStalledWarning"),
    pytest.mark.filterwarnings("ignore:bands were matched by position"),
]

SIZES = {
    "1d": {"channels": 5, "kernel_size": 4, "hidden": 8},
    "2d": {"channels": (6, 5), "hidden": 8},
    "3d": {"channels": (4,), "band_kernel_size": 3, "hidden": 8},
}
CUBE = np.random.RandomState(0).uniform(0.1, 0.9, size=(15, 14, 8)).astype(np.float32)
PIXELS = ScenePixels(CUBE, np.argwhere(np.ones((15, 14))))
LABELS = np.where(CUBE.mean(axis=2).ravel() > 0.5, "bright", "dark")


@pytest.fixture(scope="module")
def trained():
    """Return a function that trains and prunes a network of some kind, once each."""
    models = {}

    def train(kind, **changes):
        key = (kind, *changes.values())
        if key not in models:
            models[key] = PrunedCNNClassifier(
                kind, patch_size=5, network_params=SIZES[kind], n_iterations=1, keep="last",
                max_iter=2, retrain_max_iter=1, random_state=0, **changes,
            ).fit(PIXELS, LABELS)  # fmt: skip
        return models[key]

    return train


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["1d", "2d", "3d"])
def test_a_file_gives_the_same_answers(kind, dtype, trained, tmp_path):
    model = trained(kind, dtype=dtype)
    save_model(model, tmp_path / "model.capoz")
    loaded = load_model(tmp_path / "model.capoz")
    # Its components lie in another order in memory, and so are sums of PCA.
    probabilities = model.predict_proba(PIXELS)
    np.testing.assert_allclose(loaded.predict_proba(PIXELS), probabilities, atol=1e-6)
    np.testing.assert_array_equal(loaded.predict(PIXELS), model.predict(PIXELS))
    assert loaded.n_features_in_ == 8
    assert loaded.dtype_ == dtype
    assert loaded.history_.shape == model.history_.shape
    np.testing.assert_array_equal(
        predict_scene(loaded, CUBE).codes, predict_scene(model, CUBE).codes
    )
    save_model(loaded, tmp_path / "again.capoz")
    assert (tmp_path / "again.capoz").stat().st_size == (tmp_path / "model.capoz").stat().st_size


@pytest.mark.parametrize("kind", ["1d", "2d", "3d"])
def test_a_graph_gives_the_same_answers(kind, trained, tmp_path):
    ort = pytest.importorskip("onnxruntime")
    model = trained(kind)
    to_onnx(model, tmp_path / "model.onnx")
    session = ort.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    X = np.asarray(PIXELS) if kind == "1d" else PIXELS.patches(5)
    labels, probabilities = session.run(["label", "probabilities"], {"X": X})
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)
    assert np.mean(labels == model.predict(X)) > 0.99


def test_a_pipeline_of_spectra_becomes_one_classifier(tmp_path):
    X = np.asarray(PIXELS)
    network = PrunedCNNClassifier(network_params=SIZES["1d"], n_iterations=0, max_iter=2)
    pipeline = make_pipeline(MinMaxScaler(), network).fit(X, LABELS)
    save_model(pipeline, tmp_path / "model.capoz")
    to_onnx(pipeline, tmp_path / "model.onnx", X_check=X)
    loaded = load_model(tmp_path / "model.capoz")
    np.testing.assert_allclose(loaded.predict_proba(X), pipeline.predict_proba(X), atol=1e-6)


def test_what_a_file_cannot_hold_is_refused(trained, tmp_path):
    with pytest.raises(NotFittedError):
        save_model(PrunedCNNClassifier(), tmp_path / "model.capoz")
    odd = PrunedCNNClassifier(
        bands=PowerTransformer(), network_params=SIZES["1d"], n_iterations=0, max_iter=1
    ).fit(np.asarray(PIXELS), LABELS)
    for write in (save_model, to_onnx):
        with pytest.raises(UnsupportedNetworkError, match="'bands' is a PowerTransformer"):
            write(odd, tmp_path / "model.capoz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "4d"}, r"network\.kind must be one of 1d\|2d\|3d"),
        ({"kind": "1d"}, "patch_size is 5, which does not suit '1d'"),
        ({"patch_size": 4}, "patch_size is 4"),
        ({"patch_size": 7}, "the array 'network.head.0.weight' must be"),
        ({"n_channels": 7}, "the array 'network.features.0.weight' must be"),
        ({"n_channels": 10**12}, "the array 'network.features.0.weight' must be|make no network"),
        ({"sizes": {"channels": [10**12, 10**12]}}, "must be|make no network"),
        ({"sizes": {"channels": [4] * 101}}, "channels has 101 entries"),
        ({"sizes": {"channels": [2, 2], "hidden": -1}}, "make no network"),
        ({"sizes": {"units": 3}}, "make no network"),
        ({"sizes": {"channels": ["a"]}}, "make no network"),
        ({"sizes": {"channels": []}}, "make no network"),
        ({"dtype": "float64"}, "must be float64"),
    ],
)
def test_a_damaged_description_is_refused(change, message, trained, tmp_path):
    save_model(trained("2d"), tmp_path / "model.capoz")
    description, tensors = unpack(read_whole_file(tmp_path / "model.capoz"))
    description["network"] |= change
    with pytest.raises(DataFormatError, match=message):
        build_model(*unpack(pack(description, tensors)))


def test_missing_steps_and_arrays_that_nobody_asked_for_are_refused(trained, tmp_path):
    save_model(trained("2d"), tmp_path / "model.capoz")
    description, tensors = unpack(read_whole_file(tmp_path / "model.capoz"))
    with pytest.raises(DataFormatError, match="does not speak of the array 'more'"):
        build_model(description, tensors | {"more": np.zeros(3, np.float32)})
    without = {name: value for name, value in tensors.items() if "steps" not in name}
    with pytest.raises(DataFormatError, match="steps is empty"):
        build_model(description | {"steps": []}, without)
    nobody = {"classes": description["classes"] | {"values": []}}
    with pytest.raises(DataFormatError, match="one label or more"):
        build_model(description | nobody, tensors)
    broken = dict(tensors)
    broken.pop("network.head.2.bias")
    with pytest.raises(DataFormatError, match=r"'network\.head\.2\.bias' is missing"):
        build_model(description, broken)
