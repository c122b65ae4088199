"""Files that are no model: each gives a DataFormatError, at once, and nothing is made of it."""

import json
import pickle
import struct
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_capoz.deploy import CompiledClassifier, load_model, save_model
from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.spectral import AbsorptionFeatures, BandSelector


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
        (["{"], "no valid JSON"),
        (["[" * 100_000], "no valid JSON"),
        (["9" * 10_000], "no valid JSON"),
        (["[" * 900 + "]" * 900], "no valid JSON|tables in one another"),
        (['{"a":' * 900 + "1" + "}" * 900], "no valid JSON|tables in one another"),
        (["[]"], "description must be a table, found \\[\\]"),
        (
            ['{"format_version": 99}'],
            "written in format 99, this version of sklearn_capoz reads up to 5: update it",
        ),
    ],
    # The bytes are long, and not the same in every process that collects the tests.
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_foreign_and_damaged_files(path, model_file, content, message):
    """A list holds the text of a description."""
    path.write_bytes(content if isinstance(content, bytes) else model_file.content(*content))
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
        (["classes", "values"], [], r"0 labels, the network tells 3 apart"),
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
def test_the_first_place_that_differs_is_named(model_file, small, where, value, message):
    path, description, tensors = small
    put(description, where, value)
    model_file(path).write(description, tensors)
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
def test_arrays_are_compared_with_the_description(model_file, small, key, value, message):
    path, description, tensors = small
    tensors.pop(key, None)
    if value is not None:
        tensors[key] = value
    model_file(path).write(description, tensors)
    with pytest.raises(DataFormatError, match=message):
        load_model(path)


def test_a_hostile_spectral_step_takes_no_memory(model_file, models, path):
    save_model(models["absorption"][0], path)
    description, tensors = model_file(path).read()
    for changes, what in (
        ({"n_features_in": 10**7}, "10,000,000 bands"),
        ({"parameters": {"half_widths": [1.0] * 10**6}}, "values"),
        ({"parameters": {"half_widths": [1.0] * 10**5}}, "100,000 entries"),
        ({"n_features_in": 10**15, "parameters": {"half_widths": []}}, "bands"),
    ):
        changed = json.loads(json.dumps(description))
        changed["steps"][0] |= changes
        model_file(path).write(changed, tensors)
        with pytest.raises(DataFormatError, match=f"{what}; a model file holds up to"):
            load_model(path)


@pytest.mark.parametrize("value", [10**9, 10**15, 10**30])
def test_a_step_without_arrays_takes_no_memory(model_file, models, path, value):
    model, X = models["mlp"]
    scaler = StandardScaler(with_mean=False, with_std=False).fit(X)
    save_model(make_pipeline(scaler, scaler, model), path)
    np.testing.assert_array_equal(load_model(path).predict(X), model.predict(X))
    description, tensors = model_file(path).read()
    for step in description["steps"]:
        step["n_features_in"] = value
        model_file(path).write(description, tensors)
        with pytest.raises(DataFormatError, match=rf"gives {value} features, '.*' takes 24"):
            load_model(path)


# Fuzzing: any change of a valid file gives a model or a DataFormatError, and nothing else.

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**19), 10**19)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([0, -1, 1e308, 1e-320, 10**400, 2**63, "a" * 2000, [[2000.0, 2400.0]] * 99])
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
    classifier = model[-1] if hasattr(model, "steps") else model
    for weight, bias in zip(classifier.network.weights, classifier.network.biases, strict=True):
        assert np.isfinite(weight).all()
        assert bias.shape == weight.shape[1:]
        assert np.isfinite(bias).all()
    X = np.ones((2, model.n_features_in_))
    names = getattr(model, "feature_names_in_", None)
    X = X if names is None else pd.DataFrame(X, columns=names)
    if any(
        getattr(step, "on_missing", None) == "nan"
        for step in getattr(model, "named_steps", {}).values()
    ):
        with pytest.raises(ValueError, match="NaN"):  # a flat spectrum has no absorption
            model.predict(X)
    else:
        assert len(model.predict(X)) == 2


def spectral_model(name):
    nm = np.arange(2000.0, 2400, 20)
    steps = {
        "features": AbsorptionFeatures(nm, features={"deep": (2100, 2300)}, on_missing="nan"),
        "ranges": BandSelector([(2050, 2350)], wavelengths=nm),
    }
    n_outputs = steps[name].fit_transform(np.ones((1, len(nm)))).shape[1]
    network = DenseNetwork((np.ones((n_outputs, 2)),), (np.zeros(2),), ())
    return make_pipeline(steps[name], CompiledClassifier(network, ["a", "b"]))


@pytest.fixture(scope="module")
def fuzz_files(model_file, models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    found = []
    for name in ("scaler", "linear steps", "absorption", "attenuated", "features", "ranges"):
        path = folder / f"{len(found)}.capoz"
        save_model(models[name][0] if name in models else spectral_model(name), path)
        found.append((path.read_bytes(), *model_file(path).read()))
    return folder / "fuzzed.capoz", found


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=200, deadline=5000)
@given(data=st.data())
def test_fuzzed_descriptions(model_file, fuzz_files, data):
    path, files = fuzz_files
    _, description, tensors = files[data.draw(st.integers(0, len(files) - 1))]
    description = json.loads(json.dumps(description))
    for _ in range(data.draw(st.integers(1, 3))):
        places = [where for where in all_places(description) if where]
        if places:
            where = data.draw(st.sampled_from(places))
            # A copy: the next place may lie within it, and the strategy hands it out again.
            put(description, where, deepcopy(data.draw(JSON | st.just(KeyError))))
    model_file(path).write(description, tensors)
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
