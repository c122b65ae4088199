"""Networks of patches in ONNX with 8 bits: near the floats, in a quarter of the bytes."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_capoz import PrunedCNNClassifier, PrunedMLPClassifier
from sklearn_capoz.datasets import ScenePixels
from sklearn_capoz.deploy import quantize, to_onnx
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.export._onnx_patches import EightBitLayers, Range

ort = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

# Two materials whose shares vary from corner to corner.
SHARE = np.add.outer(np.arange(20), np.arange(16)) / 34
SPECTRA = np.array([[0.2, 0.3, 0.5, 0.4, 0.6, 0.7], [0.8, 0.6, 0.5, 0.6, 0.3, 0.2]])
CUBE = SHARE[..., None] * SPECTRA[0] + (1 - SHARE[..., None]) * SPECTRA[1]
CUBE = (CUBE + np.random.RandomState(0).normal(0, 0.02, CUBE.shape)).astype(np.float32)
PIXELS = ScenePixels(CUBE, np.argwhere(np.ones(SHARE.shape)))
LABELS = np.array(["clay", "mica", "salt"])[(SHARE.ravel() * 2.999).astype(int)]
SIZES = {
    "2d": {"channels": (24, 24), "hidden": 64},
    "3d": {"channels": (8, 8), "band_kernel_size": 3, "hidden": 64},
}


@pytest.fixture(scope="module", params=["2d", "3d"])
def model(request):
    return PrunedCNNClassifier(
        request.param, patch_size=5, network_params=SIZES[request.param], n_iterations=0,
        max_iter=6, random_state=0,
    ).fit(PIXELS, LABELS)  # fmt: skip


def constants_of(path):
    return [onnx.numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer]


def test_near_the_floats_in_a_quarter_of_the_bytes(model, tmp_path):
    floats, integers = tmp_path / "floats.onnx", tmp_path / "integers.onnx"
    to_onnx(model, floats)
    to_onnx(model, integers, X_calibration=PIXELS)
    session = ort.InferenceSession(integers, providers=["CPUExecutionProvider"])
    X = PIXELS.patches(5)
    labels, probabilities = session.run(["label", "probabilities"], {"X": X})
    assert np.mean(labels == model.predict(X)) >= 0.99
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=0.1)
    constants = [each for each in constants_of(integers) if each.dtype == np.int8]
    weights = [each for each in constants if each.ndim > 1]
    assert not any(each.any() for each in constants if each.ndim == 1)  # zeros of the units
    assert sum(each.size for each in weights) == sum(
        each.numel() for name, each in model.module_.named_parameters() if each.dim() > 1
    )
    # No sum of two products leaves 16 bits, so that all processors compute the same.
    assert max(np.abs(each.astype(int)).max() for each in weights) == 64
    n_bytes = [sum(each.nbytes for each in constants_of(path)) for path in (floats, integers)]
    assert n_bytes[1] < 0.4 * n_bytes[0]  # of layers as small as these scales are a part


def test_patches_and_pipelines(model, tmp_path):
    X = PIXELS.patches(5)
    to_onnx(model, tmp_path / "a.onnx", X_calibration=X, X_check=X[:50])
    to_onnx(model, tmp_path / "b.onnx", X_calibration=PIXELS)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_what_cannot_be_is_refused_before_any_work(model, tmp_path):
    X = PIXELS.patches(5)
    path = tmp_path / "a.onnx"
    with pytest.raises(ValueError, match="19 samples; at least 20"):
        to_onnx(model, path, X_calibration=X[:19])
    with pytest.raises(ValueError, match="are the same"):
        to_onnx(model, path, X_calibration=np.repeat(X[:1], 30, axis=0))
    broken = X.copy()
    broken[3, 2, 1, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        to_onnx(model, path, X_calibration=broken)
    with pytest.raises(ValueError, match=r"\(n_samples, n_bands, 5, 5\)"):
        to_onnx(model, path, X_calibration=PIXELS.patches(7))
    with pytest.raises(UnsupportedNetworkError, match=r"to_onnx\(model, path, X_calibration=X\)"):
        quantize(model, X)
    assert not path.exists()


def test_models_that_are_no_patches(tmp_path):
    spectra = np.asarray(PIXELS)
    dense = make_pipeline(StandardScaler(), PrunedMLPClassifier((4,), n_iterations=0, max_iter=2))
    along = PrunedCNNClassifier("1d", n_iterations=0, max_iter=1)
    double = PrunedCNNClassifier(
        "2d", patch_size=5, network_params=SIZES["2d"], n_iterations=0, max_iter=1, dtype="float64"
    ).fit(PIXELS, LABELS)
    for other in (dense.fit(spectra, LABELS), along.fit(spectra, LABELS)):
        with pytest.raises(UnsupportedNetworkError, match=r"by quantize\(model, X\)"):
            to_onnx(other, tmp_path / "a.onnx", X_calibration=spectra)
    with pytest.raises(UnsupportedNetworkError, match="dtype='float32'"):
        to_onnx(double, tmp_path / "a.onnx", X_calibration=PIXELS)


def test_bad_calibration_is_found_out(model, tmp_path):
    X = PIXELS.patches(5)
    dark = X[-60:] * 1e-3
    with pytest.raises(RuntimeError, match=r"With 8 bits .* nothing was written"):
        to_onnx(model, tmp_path / "a.onnx", X_calibration=dark, X_check=X)
    assert not list(tmp_path.iterdir())


class Recorded:
    """A graph that keeps its constants."""

    def __init__(self):
        self.constants = []

    def constant(self, array):
        self.constants.append(np.asarray(array))

    def add(self, *names, **attributes):
        pass


def test_weights_by_hand():
    graph = Recorded()
    layers = EightBitLayers(graph, [Range(0.5, 3)])
    layers.begin("X")
    weight = np.array([[1.0, 0.0, 0.5], [-2.0, 0.0, 0.0]], np.float32)
    layers.parameters(weight, np.array([1.0, 0.0, 3.0], np.float32), axis=1)
    scale, zero, codes, scales, zeros, biases, units = graph.constants
    assert (scale, zero) == (0.5, 3)
    np.testing.assert_array_equal(codes, [[32, 0, 64], [-64, 0, 0]])
    np.testing.assert_allclose(scales, [2 / 64, 1, 0.5 / 64])
    np.testing.assert_array_equal(zeros, np.zeros(3, np.int8))
    np.testing.assert_allclose(units, scales / 2)
    np.testing.assert_array_equal(biases, [64, 0, 768])
