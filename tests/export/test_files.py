"""Model files: the same model comes back, and nothing else is ever made of a file."""

import builtins
import json
import os
import pickle
import stat
import struct
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz import spectral
from sklearn_capoz.deploy import CompiledClassifier, compile_pipeline, load_model, save_model
from sklearn_capoz.exceptions import DataFormatError, UnsupportedNetworkError
from sklearn_capoz.export import _files
from sklearn_capoz.export._steps import _parameters

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


def read_parts(path):
    """Return the description and the tensors of a model file."""
    with safe_open(path, framework="numpy") as file:
        description = json.loads(file.metadata()["sklearn_capoz"])
    return description, load_file(path)


def write_parts(path, description, tensors):
    """Write a model file with a right checksum, as an attacker would."""
    path.write_bytes(file_of(json.dumps(description), tensors))


def file_of(text, tensors=()):
    tensors = dict(tensors)
    metadata = {"sklearn_capoz": text, "sha256": _files._digest(text, tensors)}
    return save(tensors, metadata=metadata)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.capoz"


@pytest.fixture
def small(path, models):
    """Path, description and tensors of a small model with a scaler."""
    save_model(models["scaler"][0], path)
    return path, *read_parts(path)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_comes_back_as_it_was(name, models, path):
    model, X = models[name]
    save_model(model, path)
    loaded = load_model(path)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    # Steps are restored to the bit; the network's sums may be in another order.
    np.testing.assert_allclose(loaded.predict_proba(X), model.predict_proba(X), rtol=0, atol=2e-6)
    np.testing.assert_array_equal(loaded.classes_, model.classes_)
    assert loaded.classes_.dtype == model.classes_.dtype
    assert loaded.n_features_in_ == model.n_features_in_
    assert loaded.score(X, model.predict(X)) == 1
    save_model(loaded, path)  # and can be saved again
    np.testing.assert_array_equal(load_model(path).predict_proba(X), loaded.predict_proba(X))


def test_the_history_of_pruning_comes_back(models, path):
    for name in ("pruned", "pruner", "absorption"):
        model, _ = models[name]
        history = getattr(model, "history_", None)
        history = model[-1].history_ if history is None else history
        save_model(model, path)
        pd.testing.assert_frame_equal(load_model(path).history_, history)
    save_model(models["mlp"][0], path)
    assert not hasattr(load_model(path), "history_")


def test_a_skorch_net_comes_back_without_its_log_of_training(models, path):
    """Its `history_` is no table of pruning."""
    X = models["mlp"][1]
    torch.manual_seed(0)
    net = NeuralNetClassifier(
        nn.Sequential(nn.Linear(24, 6), nn.ReLU(), nn.Linear(6, 3)),
        criterion=nn.CrossEntropyLoss,
        max_epochs=3,
        train_split=None,
        verbose=0,
    ).fit(X, np.arange(len(X)) % 3)
    scaler = StandardScaler().fit(np.zeros((2, 24)))
    for model in (net, FrozenEstimator(net), make_pipeline(scaler, net), compile_pipeline(net)):
        save_model(model, path)
        loaded = load_model(path)
        assert not hasattr(loaded, "history_")
        np.testing.assert_array_equal(loaded.predict(X), net.predict(X))
        np.testing.assert_allclose(loaded.predict_proba(X), model.predict_proba(X), atol=1e-5)


def test_loaded_steps_can_be_fitted_anew(path):
    """The network stays as it is, also where steps of one name came from nested pipelines."""
    X, y = np.random.RandomState(0).rand(60, 4), np.arange(60) % 2
    first = make_pipeline(StandardScaler(), MinMaxScaler(), PCA(3))
    last = make_pipeline(
        StandardScaler(with_mean=False), MLPClassifier((4,), tol=1, random_state=0)
    )
    save_model(make_pipeline(first, last).fit(X, y), path)
    model = load_model(path)
    expected = model.predict_proba(X)
    names = ["standardscaler-1", "minmaxscaler", "pca", "standardscaler-2", "mlpclassifier"]
    assert list(model.named_steps) == names
    assert len(cross_val_score(model, X, y, cv=3)) == 3
    np.testing.assert_allclose(model.fit(X, y).predict_proba(X), expected)


def test_infinite_thresholds_in_the_history_come_back(models, path):
    network = compile_pipeline(models["mlp"][0]).network
    history = pd.DataFrame({"iteration": [0, 1, 2], "threshold": [np.nan, np.inf, -np.inf]})
    save_model(CompiledClassifier(network, ["a", "b", "c"], history=history), path)
    pd.testing.assert_frame_equal(load_model(path).history_, history)


def test_feature_names_and_wavelengths_come_back(path):
    X = pd.DataFrame(np.random.RandomState(0).rand(40, 3), columns=["2100", "2200", "2300"])
    y = np.arange(40) % 2 == 1
    mlp = MLPClassifier((4,), tol=1, random_state=0).fit(X, y)
    mlp.wavelengths_ = np.array([2100.0, 2200.0, 2300.5])
    scaled = make_pipeline(StandardScaler(), MLPClassifier((4,), tol=1, random_state=0)).fit(X, y)
    scaled.wavelengths_ = mlp.wavelengths_
    for model in (mlp, scaled):
        save_model(model, path)
        loaded = load_model(path)
        assert list(loaded.feature_names_in_) == list(X.columns)
        np.testing.assert_array_equal(loaded.wavelengths_, mlp.wavelengths_)
        assert loaded.classes_.dtype == bool
        np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
        with pytest.raises(ValueError, match="feature names should match"):
            loaded.predict(X.rename(columns={"2100": "2000"}))


def test_wavelengths_from_column_names_come_back(path):
    X = pd.DataFrame(np.random.RandomState(0).rand(40, 9) + 0.1)
    X.columns = [f"{nm}" for nm in range(2000, 2360, 40)]
    y = np.arange(40) % 3
    index = spectral.SpectralAbsorptionIndex(half_widths=80, shoulder_bands=1)
    for pandas_between in (False, True):
        mlp = MLPClassifier((4,), tol=1, random_state=0)
        pipeline = make_pipeline(index, StandardScaler(), mlp)
        if pandas_between:
            pipeline.set_output(transform="pandas")
        pipeline.fit(X, y)
        save_model(pipeline, path)
        loaded = load_model(path)
        np.testing.assert_array_equal(loaded.predict_proba(X), pipeline.predict_proba(X))
        np.testing.assert_array_equal(
            loaded[0].get_feature_names_out(), pipeline[0].get_feature_names_out()
        )


def test_absorption_features_of_version_0_1_0_measure_what_they_did():
    old = _parameters(spectral.AbsorptionFeatures, {"features": "swir"})
    assert old["min_depth"] == 0
    assert old["features"]["co3_2340"] == (2220, 2400)
    new = _parameters(spectral.AbsorptionFeatures, {"features": "swir", "min_depth": 0.01})
    assert new == {"features": "swir", "min_depth": 0.01}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("BandSelector", {"ranges": [(2100, 2300)]}),
        ("ContinuumRemoval", {"ranges": [(2050, 2350)], "duplicates": "average"}),
        ("SpectralAbsorptionIndex", {"half_widths": 80, "bad_bands": [0]}),
        ("AbsorptionFeatures", {"features": {"deep": (2100, 2300)}, "unit": "um"}),
    ],
)
def test_wavelengths_from_numbers_as_column_names_come_back(path, name, parameters):
    X = pd.DataFrame(np.random.RandomState(0).rand(40, 10) + 0.1)
    X.columns = np.append(np.arange(2000.4, 2360, 40), 2360.4)[::-1] / 1000  # no text, so no names
    step = getattr(spectral, name)(**parameters)
    pipeline = make_pipeline(step, MLPClassifier((4,), tol=1, random_state=0))
    pipeline.fit(X, np.arange(40) % 3)
    save_model(pipeline, path)
    loaded = load_model(path)
    np.testing.assert_array_equal(loaded.predict_proba(X), pipeline.predict_proba(X))
    np.testing.assert_array_equal(loaded[0]._axis.given, pipeline[0]._axis.given)
    np.testing.assert_array_equal(
        loaded[0].get_feature_names_out(), pipeline[0].get_feature_names_out()
    )
    assert step.wavelengths is None  # what is stored is no change of the model


SPECTRAL_CASES = {
    "ContinuumRemoval": {"hull": "linear", "ranges": [(2050, 2150), (2200, 2390)]},
    "SpectralAbsorptionIndex": {
        "wavelengths": tuple(np.arange(2.0, 2.4, 0.01)),
        "unit": "um",
        "bands": np.array([2100, 2200]),
        "shoulders": [[2050, 2150], [2150, 2300]],
        "bad_bands": np.arange(40) == 3,
        "scale": np.float64(2),
        "n_jobs": 2,
    },
    "SpectrumStandardizer": {"wavelengths": None, "n_jobs": 2},
    "BandSelector": {"ranges": [(2100, 2300)], "bad_bands": [12, 13]},
    "AbsorptionFeatures": {
        "features": [
            spectral.AbsorptionFeature("deep", 2100, 2300),
            spectral.AbsorptionFeature("wide", 2100, 2300, left=2050, right=2350),
        ],
        "parameters": ("depth", "sai"),
    },
    "AbsorptionFeatures from a dict": {"features": {"deep": (2100, 2300), "wide": (2000, 2390)}},
}


def test_there_is_a_case_for_every_spectral_transformer():
    names = {name for name in spectral.__all__ if hasattr(getattr(spectral, name), "transform")}
    assert names == {name.split()[0] for name in SPECTRAL_CASES}


@pytest.mark.parametrize("name", SPECTRAL_CASES)
def test_every_spectral_transformer_can_be_stored(path, name):
    """With parameters that are not the default ones, of every type."""
    rng = np.random.RandomState(0)
    X, y = rng.rand(30, 40) + 0.5, np.arange(30) % 2
    parameters = {"wavelengths": np.arange(2000.0, 2400, 10)} | SPECTRAL_CASES[name]
    if parameters["wavelengths"] is None:
        del parameters["wavelengths"]
    step = getattr(spectral, name.split()[0])(**parameters)
    features = np.nan_to_num(step.fit_transform(X))
    mlp = MLPClassifier((4,), tol=1, random_state=0).fit(features, y)
    save_model(make_pipeline(step, mlp), path)
    loaded = load_model(path)[0]
    np.testing.assert_array_equal(loaded.transform(X), step.transform(X))
    np.testing.assert_array_equal(loaded.get_feature_names_out(), step.get_feature_names_out())
    assert loaded.get_params().get("n_jobs") is None  # the other machine's matter


def test_the_file_is_plain_safetensors(models, path):
    model, _ = models["mlp"]
    save_model(model, path)
    tensors = load_file(path)
    np.testing.assert_array_equal(tensors["network.0.weight"], model.coefs_[0])
    assert tensors["network.0.weight"].dtype == np.float32


def test_what_cannot_be_stored_is_named(models, path):
    model, X = models["mlp"]
    y = np.arange(len(X)) % 3
    with pytest.raises(UnsupportedNetworkError, match="'normalizer' is a Normalizer, which"):
        save_model(make_pipeline(Normalizer(), MLPClassifier((2,), tol=1)).fit(X, y), path)
    with pytest.raises(UnsupportedNetworkError, match="LogisticRegression holds no network"):
        save_model(LogisticRegression().fit(X, y), path)
    with pytest.raises(NotFittedError):
        save_model(MLPClassifier(), path)
    network = compile_pipeline(model).network
    with pytest.raises(UnsupportedNetworkError, match="The classes are datetime64"):
        save_model(CompiledClassifier(network, np.arange("2020", "2023", dtype="M8[Y]")), path)
    with pytest.raises(UnsupportedNetworkError, match="The classes are object"):
        save_model(CompiledClassifier(network, np.array([1, "b", None], dtype=object)), path)
    network.weights[0][0, 0], before = np.nan, network.weights[0][0, 0]
    try:
        with pytest.raises(ValueError, match=r"network\.0\.weight holds NaN"):
            save_model(CompiledClassifier(network, ["a", "b", "c"]), path)
    finally:
        network.weights[0][0, 0] = before
    assert os.listdir(path.parent) == []


# Writing whole or not at all


@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_save_leaves_the_old_file(models, path, monkeypatch, moment, error):
    save_model(models["mlp"][0], path)
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise error

    if moment == "write":

        def write_half(self, content):
            with builtins.open(self, "wb") as file:
                file.write(content[: len(content) // 2])
            raise error

        monkeypatch.setattr("pathlib.Path.write_bytes", write_half)
    else:
        monkeypatch.setattr(os, moment, fail)
    with pytest.raises((KeyboardInterrupt, OSError)):
        save_model(models["scaler"][0], path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_odd_places_to_write_to(models, path):
    model, X = models["mlp"]
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        save_model(model, path.parent / "nowhere" / "model.capoz")
    with pytest.raises(IsADirectoryError, match="give the name of a file"):
        save_model(model, path.parent)
    os.symlink(path, path.parent / "link")
    save_model(model, path.parent / "link")  # the link stays, its target is written
    assert (path.parent / "link").is_symlink()
    np.testing.assert_array_equal(load_model(path).predict(X), model.predict(X))
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_without_safetensors_the_error_says_what_to_install(models, path, monkeypatch):
    save_model(models["mlp"][0], path)
    for name in ("safetensors", "safetensors.numpy"):
        monkeypatch.setitem(sys.modules, name, None)
    for action in (lambda: save_model(models["mlp"][0], path), lambda: load_model(path)):
        with pytest.raises(ImportError, match=r"pip install 'sklearn-capoz\[export\]'"):
            action()


# Files that are none


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no model file \\(0 bytes"),
        (b"\x08", "no model file"),
        (pickle.dumps({"a": 1}), "a joblib or pickle file needs joblib.load"),
        (b"ENVI\nsamples = 3\n" * 9, "no model file"),
        (struct.pack("<Q", 2**63) + b"{}", "damaged or cut off: the header should have"),
        (struct.pack("<Q", 50) + b"{}", "damaged or cut off"),
        (struct.pack("<Q", 2) + b"{}", "not one of save_model"),
        (struct.pack("<Q", 4) + b"{{{{", "no model file, or a damaged one"),
        (save({"x": np.zeros(2)}), "not one of save_model"),
        (file_of("{", {"x": np.zeros(2)}), "no valid JSON"),
        (file_of("[" * 100_000), "no valid JSON"),
        (file_of("9" * 10_000), "no valid JSON"),
        (file_of("[]"), "description must be a table, found \\[\\]"),
        (
            file_of('{"format_version": 99}'),
            "written in format 99, this version of sklearn_capoz reads up to 1: update it",
        ),
    ],
    # The bytes are long, and not the same in every process that collects the tests.
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_foreign_and_damaged_files(path, content, message):
    path.write_bytes(content)
    with pytest.raises(DataFormatError, match=message) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_missing(path):
    with pytest.raises(FileNotFoundError):
        load_model(path)


def test_every_cut_is_noticed(small):
    path, *_ = small
    whole = path.read_bytes()
    for size in {*range(0, len(whole), 37), len(whole) - 1}:
        path.write_bytes(whole[:size])
        with pytest.raises(DataFormatError):
            load_model(path)


def test_a_changed_bit_is_noticed(small):
    path, *_ = small
    whole = path.read_bytes()
    for place in (len(whole) - 1, len(whole) // 2, whole.index(b"StandardScaler")):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(bytes(changed))
        with pytest.raises(DataFormatError, match="damaged: its contents do not match"):
            load_model(path)


def put(description, where, value):
    """Set a nested entry; KeyError deletes it."""
    *parents, last = where
    for key in parents:
        description = description[key]
    if value is KeyError:
        del description[last]
    else:
        description[last] = value


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (["network"], KeyError, r"description\.network is missing"),
        (["extra"], 1, r"description\.extra is unknown"),
        (["format_version"], "1", r"description\.format_version must be a number above 0"),
        (["network", "widths"], [24, 9, 5], r"3 widths need 1 activations, found 2"),
        (["network", "widths", 1], -9, r"network\.widths\[1\] must be a number above 0, found -9"),
        (["network", "widths", 1], True, r"network\.widths\[1\] must be a number above 0"),
        (["network", "widths", 1], 10, r"'network\.0\.weight' must be \(24, 10\), found \(24, 9\)"),
        (["network", "widths", 1], 10**15, r"'network\.0\.weight' must be"),
        (["network", "activations", 0], "exec", r"activations\[0\] must be one of relu"),
        (["network", "output"], "logistic", r"a logistic output is one unit, found 3"),
        (["network", "dtype"], "float64", r"'network\.0\.weight' must be float64, found float32"),
        (["network", "dtype"], "object", r"dtype must be one of float32\|float64"),
        (["classes", "values"], ["a", "b"], r"2 labels, the network tells 3 apart"),
        (["classes", "values"], ["c", "b", "a"], r"classes\.values must be ascending"),
        (["classes", "values"], ["a", "a", "b"], r"classes\.values must be ascending"),
        (["classes", "values"], ["a", 1, "b"], r"classes\.values must be str"),
        (["classes", "type"], "int8", r"classes\.values must be int8"),
        (["classes", "type"], "O", r"classes\.type must be one of"),
        (["classes"], {"type": "int8", "values": [1, 2, 300]}, r"values are not int8"),
        (["feature_names"], ["a"], r"feature_names has 1 entries, the network 24"),
        (["feature_names"], "abc", r"feature_names must be a list"),
        (["wavelengths"], [1.0], r"wavelengths has 1 entries, the model 24"),
        (["wavelengths"], [float("nan")] * 24, r"wavelengths\[0\] must be a number"),
        (["history"], {"a": [1], "b": [1, 2]}, r"history has columns of different lengths"),
        (["history"], {"a": ["x"]}, r"history\.a must be numbers"),
        (["history"], {"a": 3}, r"history\.a must be a list"),
        (["steps", 0, "class"], "os.system", r"steps\.0\.class is 'os\.system'; known are"),
        (["steps", 0, "class"], "PCA", r"is no PCA|has no"),
        (["steps", 0, "parameters", "evil"], 1, r"steps\.0 is no StandardScaler: .*'evil'"),
        (["steps", 0, "parameters", "with_mean"], "yes", r"steps\.0 is no StandardScaler"),
        (["steps", 0, "n_features_in"], 23, r"steps\.0\.mean_ must have the shape \(23,\)"),
        (["steps", 0, "arrays"], ["mean_"], r"steps\.0\.arrays lacks scale_"),
        (["steps", 0, "arrays"], ["mean_", "scale_"], r"does not speak of the array"),
        (["steps", 0, "arrays"], ["mean_", "mean_"], r"'steps\.0\.mean_' is missing"),
        (["steps", 0, "output"], "cubes", r"steps\[0\]\.output must be one of"),
        (["steps"], [], r"does not speak of the array 'steps\.0\.mean_'"),
    ],
)
def test_the_first_place_that_differs_is_named(small, where, value, message):
    path, description, tensors = small
    put(description, where, value)
    write_parts(path, description, tensors)
    with pytest.raises(DataFormatError, match=message):
        load_model(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("network.0.weight", None, "'network.0.weight' is missing"),
        ("network.9.weight", np.zeros(3), "does not speak of the array 'network.9.weight'"),
        ("network.0.bias", np.zeros(9, np.int32), "must be float32, found int32"),
        ("network.0.bias", np.full(9, np.nan, np.float32), "'network.0.bias' holds NaN"),
        ("network.0.bias", np.zeros((9, 1), np.float32), r"must be \(9,\), found \(9, 1\)"),
        ("steps.0.scale_", np.zeros(24, np.int64), "must be float32 or float64, found int64"),
    ],
)
def test_arrays_are_compared_with_the_description(small, key, value, message):
    path, description, tensors = small
    tensors.pop(key, None)
    if value is not None:
        tensors[key] = value
    write_parts(path, description, tensors)
    with pytest.raises(DataFormatError, match=message):
        load_model(path)


def test_a_hostile_spectral_step_takes_no_memory(models, path):
    save_model(models["absorption"][0], path)
    description, tensors = read_parts(path)
    for changes in (
        {"n_features_in": 10**7},
        {"parameters": {"half_widths": [1.0] * 10**6}},
        {"n_features_in": 10**15, "parameters": {"half_widths": []}},
    ):
        changed = json.loads(json.dumps(description))
        changed["steps"][0] |= changes
        write_parts(path, changed, tensors)
        with pytest.raises(DataFormatError, match="half widths of"):
            load_model(path)


@pytest.mark.parametrize("value", [10**9, 10**15, 10**30])
def test_a_step_without_arrays_takes_no_memory(models, path, value):
    model, X = models["mlp"]
    scaler = StandardScaler(with_mean=False, with_std=False).fit(X)
    save_model(make_pipeline(scaler, scaler, model), path)
    np.testing.assert_array_equal(load_model(path).predict(X), model.predict(X))
    description, tensors = read_parts(path)
    for step in description["steps"]:
        step["n_features_in"] = value
        write_parts(path, description, tensors)
        with pytest.raises(DataFormatError, match=rf"gives {value} features, '.*' takes 24"):
            load_model(path)


# Fuzzing: any change of a valid file gives a model or a DataFormatError, and nothing else.

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**19), 10**19)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["StandardScaler", "PCA", "ContinuumRemoval", "relu", "float64", "pandas"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def all_places(value, where=()):
    yield where
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from all_places(inner, (*where, key))


def load_or_refuse(path):
    try:
        model = load_model(path)
    except DataFormatError:
        return
    X = np.ones((2, model.n_features_in_))
    names = getattr(model, "feature_names_in_", None)
    assert len(model.predict(X if names is None else pd.DataFrame(X, columns=names))) == 2


@pytest.fixture(scope="module")
def fuzz_files(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    found = []
    for name in ("scaler", "linear steps", "absorption", "attenuated"):
        path = folder / f"{len(found)}.capoz"
        save_model(models[name][0], path)
        found.append((path.read_bytes(), *read_parts(path)))
    return folder / "fuzzed.capoz", found


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=200, deadline=5000)
@given(data=st.data())
def test_fuzzed_descriptions(fuzz_files, data):
    path, files = fuzz_files
    _, description, tensors = files[data.draw(st.integers(0, len(files) - 1))]
    description = json.loads(json.dumps(description))
    for _ in range(data.draw(st.integers(1, 3))):
        places = [where for where in all_places(description) if where]
        if places:
            where = data.draw(st.sampled_from(places))
            put(description, where, data.draw(JSON | st.just(KeyError)))
    write_parts(path, description, tensors)
    load_or_refuse(path)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=200, deadline=5000)
@given(data=st.data())
def test_fuzzed_bytes(fuzz_files, data):
    path, files = fuzz_files
    content = bytearray(files[data.draw(st.integers(0, len(files) - 1))][0])
    for _ in range(data.draw(st.integers(1, 4))):
        # The header is the part that is parsed.
        place = data.draw(st.integers(0, 3000)) % len(content)
        new = data.draw(st.binary(min_size=1, max_size=6))
        content[place : place + data.draw(st.integers(0, 6))] = new
    path.write_bytes(bytes(content))
    load_or_refuse(path)


@settings(max_examples=100, deadline=5000)
@given(content=st.binary(max_size=200), length=st.integers(0, 2**64 - 1) | st.integers(0, 200))
def test_random_bytes_behind_a_header_length(tmp_path_factory, content, length):
    path = tmp_path_factory.getbasetemp() / "random.capoz"
    path.write_bytes(struct.pack("<Q", length) + b"{" + content)
    with pytest.raises(DataFormatError):
        load_model(path)
