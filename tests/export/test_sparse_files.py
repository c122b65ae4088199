"""Model files whose weights are mostly zero: what they hold, and that lies in them are found."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from sklearn_capoz import PrunedCNNClassifier, PrunedMLPClassifier
from sklearn_capoz.deploy import load_model, quantize, save_model
from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.export._container import unpack
from sklearn_capoz.schedules import Gradual

RNG = np.random.RandomState(0)
X = RNG.randn(120, 24).astype(np.float32)
Y = np.array(["alunite", "calcite", "kaolinite"])[X[:, :3].argmax(axis=1)]


def fitted(sparsity=0.9, n_units=20, **given):
    return PrunedMLPClassifier(
        (n_units,), granularity="connection", criterion="l1", schedule=Gradual(sparsity),
        keep="last", n_iterations=2, max_iter=20, retrain_max_iter=3, random_state=0, **given,
    ).fit(X, Y)  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return fitted()


def arrays_of(path):
    return unpack(path.read_bytes())[1]


def network_bytes(path):
    return sum(a.nbytes for key, a in arrays_of(path).items() if key.startswith("network."))


def test_a_file_holds_the_bytes_that_the_history_tells(model, path):
    for each in (model, fitted(0.5), fitted(0.99)):
        save_model(each, path)
        assert network_bytes(path) == each.history_["n_bytes"].iloc[-1]
        for a, b in zip(load_model(path).network_.weights, each.network_.weights, strict=True):
            np.testing.assert_array_equal(a, b)
            assert (a.dtype, a.flags.c_contiguous) == (b.dtype, True)
    assert {key for key in arrays_of(path) if ".0." in key} == {
        "network.0.weight.gaps", "network.0.weight.values", "network.0.bias"
    }  # fmt: skip


def test_the_form_suits_the_share_of_zeros(path):
    for sparsity, form in [(0.5, "mask"), (0.95, "gaps")]:
        save_model(fitted(sparsity), path)
        assert f"network.0.weight.{form}" in arrays_of(path)


def test_dense_files_stay_as_they_were(path, model_file):
    save_model(PrunedMLPClassifier((20,), n_iterations=0, max_iter=5).fit(X, Y), path)
    description, tensors = model_file(path).read()
    assert description["format_version"] == 1
    assert sorted(tensors) == [f"network.{i}.{what}" for i in (0, 1) for what in ("bias", "weight")]


@pytest.mark.parametrize("bits", [8, 4])
def test_integers_are_stored_sparsely(path, model_file, bits):
    quantized = quantize(fitted(n_units=40), X, bits=bits)
    save_model(quantized, path)
    description, tensors = model_file(path).read()
    assert description["format_version"] == 5
    assert "network.0.weight.values" in tensors
    dense = quantize(fitted(0.0, n_units=40), X, bits=bits)
    small = network_bytes(path)
    save_model(dense, path)
    assert small < 0.75 * network_bytes(path)
    save_model(quantized, path)
    loaded = load_model(path)
    for a, b in zip(loaded.network_.layers, quantized.network_.layers, strict=True):
        np.testing.assert_array_equal(a.weights, b.weights)
    np.testing.assert_array_equal(loaded.decision_function(X), quantized.decision_function(X))


def test_convolutions_are_stored_sparsely(path):
    model = PrunedCNNClassifier(
        network_params={"channels": 4, "hidden": 8}, granularity="connection", criterion="l1",
        compensation=None, schedule=Gradual(0.9), n_iterations=1, max_iter=2, retrain_max_iter=1,
        keep="last", random_state=0,
    ).fit(np.repeat(X, 2, axis=1), Y)  # fmt: skip
    save_model(model, path)
    assert network_bytes(path) == model.history_["n_bytes"].iloc[-1]
    loaded = load_model(path)
    for key, value in model.module_.state_dict().items():
        assert torch.equal(loaded.module_.state_dict()[key], value)


def change(tensors, key, value):
    tensors = dict(tensors)
    if value is None:
        del tensors[key]
    else:
        tensors[key] = value(tensors[key]) if callable(value) else value
    return tensors


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("gaps", lambda a: a[:-1], "'network.0.weight.gaps' is gaps that lead through|must be"),
        ("gaps", lambda a: np.append(a, np.uint8(200)), "gaps that lead through .* of 480 weights"),
        ("gaps", lambda a: np.append(a, [np.uint8(255)] * 9), "gaps that lead through"),
        ("gaps", lambda a: np.zeros_like(a[:3]), "gaps that lead through 3 of 480 weights"),
        ("gaps", lambda a: a.astype(np.int32), "must be uint8, found int32"),
        ("gaps", lambda a: a[:0], "gaps that lead through 0 of 480 weights"),
        ("gaps", None, "'network.0.weight' is missing"),
        ("values", None, "'network.0.weight.values' is missing"),
        ("values", lambda a: a[:-1], r"'network.0.weight.values' must be \(.*\), found"),
        ("values", lambda a: a.astype(np.float64), "must be float32, found float64"),
        ("values", lambda a: a * np.nan, "holds NaN or infinity"),
        ("mask", np.zeros(7, np.uint8), "a mask of 7 bytes for 480 weights"),
        ("mask", np.zeros(60, np.uint8), "values' must be .0,., found"),
    ],
)
def test_indices_that_lie_are_refused(model, path, model_file, key, value, message):
    save_model(model, path)
    description, tensors = model_file(path).read()
    broken = change(tensors, f"network.0.weight.{key}", value)
    model_file(path).write(description, broken)
    with pytest.raises(DataFormatError, match=message):
        load_model(path)


def test_two_forms_at_once_and_made_up_sizes_are_refused(model, path, model_file):
    save_model(model, path)
    description, tensors = model_file(path).read()
    both = dict(tensors) | {"network.0.weight": np.zeros((24, 20), np.float32)}
    model_file(path).write(description, both)
    with pytest.raises(DataFormatError, match=r"does not speak of the array 'network.0.weight'"):
        load_model(path)
    huge = deepcopy(description)
    huge["network"]["widths"][1] = 10**12
    model_file(path).write(huge, tensors)
    with pytest.raises(DataFormatError, match=r"lead through .* of 24000000000000 weights"):
        load_model(path)
