"""quantize: a classifier in integers, its files and graphs, and what it refuses."""

import pickle
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_capoz.deploy import (
    CompiledClassifier,
    QuantizedClassifier,
    compile_pipeline,
    load_model,
    predict_scene,
    quantize,
    save_model,
    to_onnx,
)
from sklearn_capoz.exceptions import DataFormatError, UnsupportedNetworkError
from sklearn_capoz.integers import IntegerNetwork
from sklearn_capoz.networks import DenseNetwork

NAMES = [
    *("mlp", "mlp of float64", "two classes", "numbers as classes", "pruned", "pruner"),
    *("scaler", "linear steps", "absorption", "attenuated"),
]


@pytest.fixture(scope="module")
def quantized(models):
    """Name -> quantized model and its samples."""
    return {name: (quantize(model, X), X) for name, (model, X) in models.items()}


@pytest.mark.parametrize("name", NAMES)
def test_labels_and_probabilities_are_near(models, quantized, name):
    model, X = models[name]
    found, _ = quantized[name]
    assert (found.predict(X) == model.predict(X)).mean() >= 0.97
    probabilities = found.predict_proba(X)
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=0.03)
    assert probabilities.dtype == model.predict_proba(X).dtype
    np.testing.assert_array_equal(found.classes_, model.classes_)
    assert found.n_features_in_ == X.shape[1]
    assert found.score(X, model.predict(X)) >= 0.97


def test_linear_steps_are_folded_and_the_others_stay(quantized):
    assert isinstance(quantized["scaler"][0], QuantizedClassifier)
    assert isinstance(quantized["linear steps"][0], QuantizedClassifier)
    pipeline, _ = quantized["absorption"]
    assert isinstance(pipeline, Pipeline)
    assert [type(step).__name__ for _, step in pipeline.steps] == [
        "SpectralAbsorptionIndex",
        "QuantizedClassifier",
    ]


def test_a_scaler_of_float32_is_folded_whatever_its_shift():
    """compile_pipeline leaves it: shifted so far, float32 would lose digits."""
    rng = np.random.RandomState(0)
    X = (5000 + rng.randn(200, 4)).astype(np.float32)
    y = X[:, 0] > 5000
    model = make_pipeline(StandardScaler(), MLPClassifier((5,), max_iter=30, random_state=0))
    with pytest.warns(UserWarning, match="converge"):
        model.fit(X, y)
    assert isinstance(compile_pipeline(model), Pipeline)
    found = quantize(model, X)
    assert isinstance(found, QuantizedClassifier)
    assert (found.predict(X) == model.predict(X)).mean() > 0.98


@pytest.mark.parametrize("name", NAMES)
def test_decisions_are_the_integer_logits(quantized, name):
    found, X = quantized[name]
    scores = found.decision_function(X)
    assert scores.dtype == np.int32
    if scores.ndim == 1:
        np.testing.assert_array_equal(found.classes_[(scores > 0).astype(int)], found.predict(X))
    else:
        np.testing.assert_array_equal(found.classes_[scores.argmax(axis=1)], found.predict(X))


def test_it_is_fixed_as_a_compiled_classifier_is(quantized):
    found, X = quantized["mlp"]
    before = found.predict(X)
    assert found.fit(X, before) is found
    assert clone(found) is found
    np.testing.assert_array_equal(found.predict(X), before)
    assert (
        repr(found) == "QuantizedClassifier(IntegerNetwork(24-9-5-3, 8 bits, softmax), 3 classes)"
    )
    with pytest.raises(ValueError, match="an IntegerNetwork, got str; quantize makes"):
        found.set_params(network="net")
    with pytest.raises(ValueError, match=r"classes must have the shape \(3,\)"):
        found.set_params(classes=["a", "b"])
    np.testing.assert_array_equal(found.predict(X), before)
    assert compile_pipeline(found) is found


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_and_a_pickle_give_every_bit_back(models, path, tmp_path, name, bits):
    model, X = models[name]
    found = quantize(model, X, bits=bits)
    save_model(found, path)
    joblib.dump(found, tmp_path / "model.joblib")
    for back in (load_model(path), joblib.load(tmp_path / "model.joblib")):
        np.testing.assert_array_equal(back.predict(X), found.predict(X))
        np.testing.assert_array_equal(back.predict_proba(X), found.predict_proba(X))
        np.testing.assert_array_equal(back.decision_function(X), found.decision_function(X))


def test_a_file_keeps_names_wavelengths_and_the_history(models, path):
    model, X = models["pruned"]
    table = pd.DataFrame(X, columns=[f"b{i}" for i in range(X.shape[1])])
    compiled = CompiledClassifier(
        model.network_,
        model.classes_,
        feature_names=list(table),
        wavelengths=np.arange(24.0) + 400,
        history=model.history_,
    )
    save_model(quantize(compiled, table), path)
    back = load_model(path)
    assert list(back.feature_names_in_) == list(table)
    np.testing.assert_array_equal(back.wavelengths_, np.arange(24.0) + 400)
    assert len(back.history_) == len(model.history_)


@pytest.mark.parametrize("name", NAMES)
def test_onnx_gives_every_label(quantized, tmp_path, name):
    onnxruntime = pytest.importorskip("onnxruntime")
    found, X = quantized[name]
    to_onnx(found, tmp_path / "model.onnx", X_check=X)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    rng = np.random.RandomState(0)
    wild = X
    if isinstance(found, QuantizedClassifier):  # no rounding stands before the integers
        wild = np.vstack([X, rng.uniform(-9, 9, (3000, X.shape[1]))]).astype(X.dtype)
    labels, probabilities = session.run(["label", "probabilities"], {"X": wild})
    np.testing.assert_array_equal(labels, found.predict(wild))
    assert probabilities.dtype == X.dtype
    if isinstance(found, QuantizedClassifier):
        np.testing.assert_allclose(probabilities, found.predict_proba(wild), atol=1e-6)


def test_onnx_files_hold_weights_in_bytes(models, tmp_path):
    pytest.importorskip("onnxruntime")
    rng = np.random.RandomState(0)
    X = rng.randn(100, 300).astype(np.float32)
    model = MLPClassifier((100,), max_iter=2, random_state=0)
    with pytest.warns(UserWarning, match="converge"):
        model.fit(X, X[:, 0] > 0)
    to_onnx(model, tmp_path / "float.onnx", X_check=X)
    to_onnx(quantize(model, X), tmp_path / "int8.onnx", X_check=X)
    sizes = [(tmp_path / f"{name}.onnx").stat().st_size for name in ("int8", "float")]
    assert sizes[0] < 0.35 * sizes[1]


@pytest.mark.parametrize("name", ["scaler", "absorption"])
def test_a_scene_is_mapped_as_by_any_classifier(quantized, name):
    found, X = quantized[name]
    cube = X.reshape(10, 15, 24)
    bands = np.linspace(2000, 2400, 24)
    scene = predict_scene(found, cube, wavelengths=bands if name == "absorption" else None)
    labels = np.asarray(scene.class_names)[scene.codes]
    np.testing.assert_array_equal(labels.ravel(), found.predict(X))


def test_nan_is_refused_as_ever(quantized):
    found, X = quantized["mlp"]
    X = X.copy()
    X[3, 2] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        found.predict(X)
    with pytest.raises(ValueError, match="expecting 24 features"):
        found.predict(X[:, 1:])


def test_huge_numbers_are_clipped(quantized):
    found, X = quantized["mlp"]
    X = np.full((2, X.shape[1]), np.finfo(np.float32).max, np.float32)
    X[1] *= -1
    assert np.isfinite(found.predict_proba(X)).all()


@pytest.mark.parametrize("bits", [1, 16, "8", 8.5, None])
def test_bits_that_do_not_exist(models, bits):
    model, X = models["mlp"]
    with pytest.raises(ValueError, match="bits must be 8 or 4, got"):
        quantize(model, X, bits=bits)


def test_calibration_samples_that_say_nothing(models):
    model, X = models["mlp"]
    with pytest.raises(ValueError, match="has 19 samples; at least 20 are needed"):
        quantize(model, X[:19])
    with pytest.raises(ValueError, match="All samples of X_calibration are the same"):
        quantize(model, np.repeat(X[:1], 30, axis=0))
    with pytest.raises(ValueError, match="expecting 24 features"):
        quantize(model, X[:, :5])
    gap = X.copy()
    gap[7, 7] = np.nan
    with pytest.raises(ValueError, match="Input X_calibration contains NaN"):
        quantize(model, gap)
    for size in (1e-300, 1e300):
        with pytest.raises(
            ValueError, match=r"differ by up to .*e[+-]\d+, and integers need scales"
        ):
            quantize(model, X.astype(np.float64) * size)
    with pytest.raises(ValueError, match=r"input_scale=0\.1 rounds all samples to the same"):
        quantize(model, X, input_scale=0.1)
    with pytest.raises(ValueError, match="input_scale"):
        quantize(model, X, input_scale=-1)


def test_calibration_samples_without_features(models):
    model, X = models["absorption"]
    dark = X.copy()
    dark[[4, 9]] = np.nan
    with pytest.raises(ValueError, match=r"2 of 150 calibration samples .* the first is row 4"):
        quantize(model, dark)


@pytest.mark.parametrize("name", ["scaler", "two classes", "absorption", "numbers as classes"])
def test_labels_retrain_the_integers(models, name):
    model, X = models[name]
    y = model.predict(X)
    rounded = quantize(model, X, bits=4)
    found = quantize(model, X, y, bits=4, epochs=20, random_state=0)
    again = quantize(model, X, y, bits=4, epochs=20, random_state=0)
    losses = [log_loss(y, one.predict_proba(X), labels=model.classes_) for one in (found, rounded)]
    assert losses[0] < losses[1]
    assert (found.predict_proba(X) != rounded.predict_proba(X)).any()
    np.testing.assert_array_equal(found.predict_proba(X), again.predict_proba(X))


def test_retraining_keeps_what_could_overflow_apart():
    """The inputs' limit follows the weights."""
    rng = np.random.RandomState(0)
    X = rng.uniform(0, 1, (60, 900))
    y = X[:, 0] > 0.5
    network = DenseNetwork((rng.randn(900, 2),), (np.zeros(2),), ())
    model = CompiledClassifier(network, [False, True])
    for labels in (None, y):
        found = quantize(model, X, labels, input_scale=10000, epochs=3).network_
        weights, bias = found.layers[0].weights, found.layers[0].biases
        largest = np.abs(weights.astype(int)).sum(axis=0) * found.input_limit + np.abs(bias)
        assert largest.max() <= 2**31 - 1


def test_labels_of_other_classes(models):
    model, X = models["mlp"]
    y = model.predict(X)
    with pytest.raises(ValueError, match="y has 149 labels for 150 calibration samples"):
        quantize(model, X, y[1:])
    with pytest.raises(ValueError, match="y holds the label 'opal', which the classifier does not"):
        quantize(model, X, np.where(y == y[0], "opal", y))
    with pytest.raises(ValueError, match="'epochs'"):
        quantize(model, X, y, epochs=0)


def test_classifiers_that_cannot_be_quantized(models, quantized):
    found, X = quantized["mlp"]
    with pytest.raises(UnsupportedNetworkError, match="quantized already"):
        quantize(found, X)
    with pytest.raises(UnsupportedNetworkError, match="holds no network that is known"):
        quantize(StandardScaler().fit(X), X)


def test_what_stands_around_a_classifier_is_no_matter(models):
    model, X = models["mlp"]
    for wrapped in (FrozenEstimator(model), make_pipeline(None, model), compile_pipeline(model)):
        found = quantize(wrapped, X)
        np.testing.assert_array_equal(found.predict(X), quantize(model, X).predict(X))


def test_same_samples_same_bytes(models):
    model, X = models["pruned"]
    one, two = (pickle.dumps(quantize(model, X, bits=4).network_) for _ in range(2))
    assert one == two


def lie(description, tensors, key, change):
    """Change an array, or an entry of the network's description."""
    if key in tensors:
        tensors[key] = change(tensors[key].copy())
    else:
        description["network"][key] = change


def filled(index, value):
    def change(array):
        array.flat[index] = value
        return array

    return change


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("bits", 5, "Weights have 8 or 4 bits, got bits=5"),
        ("bits", 4, r"'network\.0\.weight' must be uint8, found int8"),
        ("bits", "8", r"network\.bits must be a number above 0"),
        ("input_limit", 10**9, "input_limit must lie between 1 and 32767"),
        ("input_limit", 0, r"input_limit must be a number above 0"),
        ("logit_scale", 0.0, "logit_scale must be above 0"),
        ("logit_scale", float("nan"), "logit_scale must be a number"),
        ("logit_scale", 10**400, "logit_scale must be a number"),
        ("logit_scale", 10**300, "logit_scale must be finite numbers"),
        ("activations", ["clip"], "4 widths need 2 activations"),
        ("activations", ["relu", "clip"], r"activations\[0\] must be one of clip\|curve"),
        ("activations", ["curve", "clip"], r"the array 'network\.0\.curve' is missing"),
        ("dtype", "int8", "dtype must be one of float32"),
        ("network.0.weight", filled(0, -128), "layer 0: weights must lie between -127 and 127"),
        ("network.0.bias", filled(0, 2**31 - 1), "Layer 0 could sum up to"),
        ("network.0.bias", lambda a: a.astype(np.float32), "must be int32, found float32"),
        ("network.0.bias", lambda a: a[1:], r"'network\.0\.bias' must be \(9,\), found \(8,\)"),
        ("network.1.multiplier", filled(0, -1), "layer 1: multipliers must not be negative"),
        ("network.1.shift", filled(0, 63), "layer 1: shifts must lie between 1 and 62"),
        ("network.1.shift", filled(0, 0), "layer 1: shifts must lie between 1 and 62"),
        ("network.2.shift", filled(0, 1), "logits must be rescaled by at most 1"),
        ("network.scale", filled(0, 0), "input_scale, .* must be finite"),
        ("network.scale", filled(0, np.inf), "holds NaN or infinity"),
        ("network.scale", lambda a: a[1:], "one entry or one per feature"),
        ("network.offset", lambda a: a.astype(np.float64), "must be float32, found float64"),
    ],
)
def test_lies_in_a_file(quantized, path, model_file, key, change, message):
    save_model(quantized["mlp"][0], path)
    file = model_file(path)
    description, tensors = file.read()
    lie(description, tensors, key, change)
    file.write(description, tensors)
    with pytest.raises(DataFormatError, match=message):
        load_model(path)


def test_the_version_says_which_network_may_be_there(models, quantized, path, model_file):
    """Earlier versions of the package say that they must be updated; files of floats stay 1."""
    file = model_file(path)
    for model, version in ((quantized["mlp"][0], 2), (models["mlp"][0], 1)):
        save_model(model, path)
        description, tensors = file.read()
        assert description["format_version"] == version
        description["format_version"] = 3 - version
        file.write(description, tensors)
        with pytest.raises(DataFormatError, match=r"network\.\w+ is (missing|unknown)"):
            load_model(path)


def test_a_curve_more_or_less(models, path, model_file):
    model, X = models["numbers as classes"]
    save_model(quantize(model, X), path)
    file = model_file(path)
    description, tensors = file.read()
    description["network"]["activations"] = ["clip"]
    file.write(description, tensors)
    with pytest.raises(DataFormatError, match=r"does not speak of the array 'network\.0\.curve'"):
        load_model(path)


def test_a_network_whose_sums_overflow_makes_no_classifier(quantized):
    found, _ = quantized["mlp"]
    network: IntegerNetwork = found.network_
    first = network.layers[0]
    wide = replace(first, biases=np.full_like(first.biases, 2**31 - 1))
    with pytest.raises(ValueError, match="Layer 0 could sum up to"):
        found.set_params(network=replace(network, layers=(wide, *network.layers[1:])))


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("retrained", [False, True])
def test_zeros_stay_zero(bits, retrained):
    random = np.random.RandomState(0)
    X = random.randn(200, 20).astype(np.float32)
    y = X[:, :3].argmax(axis=1)
    widths = [(20, 9), (9, 3)]
    weights = [(random.randn(*s) * (random.rand(*s) < 0.4)).astype(np.float32) for s in widths]
    biases = [np.zeros(n, np.float32) for _, n in widths]
    model = CompiledClassifier(DenseNetwork(tuple(weights), tuple(biases), ("relu",)), range(3))
    found = quantize(model, X, y if retrained else None, bits=bits, epochs=2, random_state=0)
    first, second = (layer.weights != 0 for layer in found.network_.layers)
    units = np.hstack([first.T, second])  # in another order, and without those that are idle
    there = np.hstack([weights[0].T, weights[1]])[weights[1].any(axis=1)] != 0
    assert len(units) == len(there)
    is_of = ~(units[:, None] & ~there[None]).any(axis=2)
    assert is_of.any(axis=0).all()
    assert is_of.any(axis=1).all()
    assert units.sum() > 0.7 * there.sum()
