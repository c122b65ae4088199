"""Packed arrays: what goes in comes out, and what a stranger packed takes no memory."""

import lzma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save
from sklearn.neural_network import MLPClassifier

from sklearn_capoz.deploy import load_model, quantize, save_model
from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.export._packing import _FILTERS, pack_arrays, unpack_arrays

RNG = np.random.RandomState(0)


def raw(content):
    return np.frombuffer(lzma.compress(content, lzma.FORMAT_RAW, filters=_FILTERS), np.uint8)


@given(numbers=st.lists(st.integers(0, 15), min_size=200, max_size=2000))
def test_round_trip(numbers):
    content = np.random.RandomState(len(numbers)).permutation(numbers).astype(np.uint8).tobytes()
    packed = pack_arrays(content)
    assert packed is None or (packed.size < len(content) and unpack_arrays(packed) == content)


def test_what_saves_little_or_too_much_stays():
    assert pack_arrays(RNG.bytes(5000)) is None
    assert pack_arrays(bytes(50_000)) is None


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (raw(bytes(10**7)), "holds more than"),
        (raw(RNG.bytes(500))[:-9], "does not end where it should|cannot be unpacked"),
        (np.append(raw(RNG.bytes(500)), np.zeros(5, np.uint8)), "does not end where it should"),
        (np.full(300, 7, np.uint8), "cannot be unpacked"),
        (np.zeros(0, np.uint8), "does not end where it should"),
        (np.zeros((2, 3), np.uint8), "must be a row of bytes"),
        (np.zeros(3, np.float32), "must be a row of bytes"),
    ],
    ids=["bomb", "cut", "longer", "noise", "empty", "table", "floats"],
)
def test_damaged_and_hostile(packed, message, path, model_file):
    with pytest.raises(DataFormatError, match=message):
        unpack_arrays(packed)
    model_file(path).write({"format_version": 2}, {"packed": packed})
    with pytest.raises(DataFormatError, match=message):
        load_model(path)


@pytest.fixture(scope="module")
def quantized():
    X = RNG.randn(300, 60).astype(np.float32)
    mlp = MLPClassifier((40,), tol=1, random_state=0).fit(X, X[:, :4].argmax(axis=1))
    return quantize(mlp, X, bits=4, input_scale=100), X


def test_a_network_in_integers_is_packed(quantized, path, model_file):
    model, X = quantized
    save_model(model, path)
    assert set(load_file(path)) == {"packed"}
    packed_size = path.stat().st_size
    np.testing.assert_array_equal(load_model(path).decision_function(X), model.decision_function(X))
    model_file(path).write(*model_file(path).read())
    assert set(load_file(path)) > {"network.0.bias"}
    assert packed_size < path.stat().st_size
    np.testing.assert_array_equal(load_model(path).decision_function(X), model.decision_function(X))


def test_files_of_which_the_arrays_alone_are_packed_open(quantized, path, model_file):
    """So wrote earlier versions."""
    model, X = quantized
    save_model(model, path)
    model_file(path).write(*model_file(path).read())
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    path.write_bytes(save({"packed": pack_arrays(save(load_file(path)))}, metadata=metadata))
    np.testing.assert_array_equal(load_model(path).decision_function(X), model.decision_function(X))


def test_every_changed_byte_is_noticed(quantized, path):
    save_model(quantized[0], path)
    whole = path.read_bytes()
    for place in range(len(whole) - 1, 0, -41):
        changed = bytearray(whole)
        changed[place] ^= 16
        path.write_bytes(bytes(changed))
        with pytest.raises(DataFormatError):
            load_model(path)


def test_packed_within_packed_is_no_model(path, model_file):
    model_file(path).write({"format_version": 2}, {"packed": raw(b"\x02\0\0\0\0\0\0\0{}")})
    with pytest.raises(DataFormatError):
        load_model(path)
