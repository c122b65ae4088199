"""to_c of quantized classifiers: every label and every accumulator is Python's, to the last bit."""

import re
import subprocess
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from c_programs import SANITIZED, SUMS_OF_INTEGERS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_capoz.deploy import QuantizedClassifier, quantize, to_c
from sklearn_capoz.export._sparse import pack_nibbles, unpack_nibbles
from sklearn_capoz.integers import IntegerLayer, IntegerNetwork, integer_network
from sklearn_capoz.networks import DenseNetwork


class Program:
    """The compiled header of a network; each sum is written where it is complete."""

    def __init__(self, compiler, folder, network, name="net"):
        self.network = network
        classes = np.arange(network.n_classes)
        to_c(QuantizedClassifier(network, classes), folder / f"{name}.h")
        self.text = (folder / f"{name}.h").read_text()
        traced, n = re.subn(
            r"\n( +)((?:h\d+|scores)\[\w\] = [\w(])", r"\n\1trace(z);\n\1\2", self.text
        )
        assert n == len(network.layers) + (network.output == "logistic")
        # The score that is always 0 has no sum.
        traced = re.sub(r"\n +trace\(z\);(\n +scores\[0\] = 0;)", r"\1", traced)
        (folder / f"{name}.h").write_text(traced)
        (folder / "main.c").write_text(
            SUMS_OF_INTEGERS.replace("net", name).replace("NET", name.upper())
        )
        command = [compiler, *SANITIZED, "main.c", "-o", name]
        built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr
        self.path = folder / name

    def check(self, X):
        """Compare all that the program computes with Python."""
        network, X = self.network, X.astype(np.int16)
        clipped = np.clip(X, -network.input_limit, network.input_limit)
        sums = network.accumulators(clipped)
        logits = network.logits(clipped)
        labels = network.labels(logits)
        if network.output == "logistic":
            logits = np.hstack([0 * logits, logits])
        # `predict` computes all sums a second time.
        expected = np.hstack([*sums, logits, *sums, labels[:, None]]).astype(np.int32)
        found = subprocess.run([self.path], input=X.tobytes(), capture_output=True, check=False)
        assert found.returncode == 0, found.stderr.decode()
        found = np.frombuffer(found.stdout, np.int32).reshape(expected.shape)
        np.testing.assert_array_equal(found, expected)


def network_of(widths, activation, bits, seed=0):
    rng = np.random.RandomState(seed)
    dense = DenseNetwork(
        tuple(rng.randn(a, b) for a, b in pairwise(widths)),
        tuple(rng.randn(b) for b in widths[1:]),
        (activation,) * (len(widths) - 2),
        "logistic" if widths[-1] == 1 else "softmax",
    )
    return integer_network(dense, rng.randn(300, widths[0]), bits=bits, input_scale=1000)


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize(
    ("activation", "widths"),
    [
        ("relu", (7, 5, 3)),
        ("relu", (3, 2)),
        ("tanh", (6, 5, 4, 3)),
        ("logistic", (5, 3, 1)),
        ("identity", (5, 4, 2)),
    ],
)
def test_every_accumulator_is_the_same(compiler, tmp_path, activation, widths, bits):
    network = network_of(widths, activation, bits)
    program = Program(compiler, tmp_path, network)
    rng = np.random.RandomState(1)
    every = st.integers(-(2**15), 2**15 - 1) | st.sampled_from([-(2**15), 2**15 - 1, 0])

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(arrays(np.int16, (8, widths[0]), elements=every))
    def check(X):
        program.check(X)

    check()
    program.check(rng.randint(-(2**15), 2**15, (2000, widths[0])))
    program.check(rng.normal(0, 1000, (2000, widths[0])).clip(-32768, 32767))


@pytest.mark.parametrize("bits", [8, 4])
def test_sums_at_the_very_end_of_int32(compiler, tmp_path, bits):
    """Weights, biases, multipliers and shifts as large as they may be."""
    largest, n = 2 ** (bits - 1) - 1, 40
    signs = np.where(np.arange(n)[:, None] % 2, 1, -1) * np.array([[1, -1, 1]])
    weights = (largest * np.hstack([signs, np.ones((n, 2)), -np.ones((n, 1))])).astype(np.int8)
    room = 2**31 - 1 - n * largest * 32767
    biases = np.array([room, -room, 0, room, -room, -room], np.int32)
    one = np.ones(1, np.float32)
    hidden = IntegerLayer(
        weights, biases, np.full(6, 2**15 - 1, np.int16), np.uint8([1, 15, 30, 40, 62, 38])
    )
    last = IntegerLayer(
        np.full((6, 3), largest, np.int8),
        np.int32([2**31 - 1 - 6 * 255 * largest, -(2**31 - 1 - 6 * 255 * largest), 0]),
        np.full(3, 2**15 - 1, np.int16),
        np.uint8([15, 15, 62]),
    )
    network = IntegerNetwork(
        (hidden, last), bits, "softmax", one, 0 * one, 32767, 1.0, np.dtype("f4")
    )
    program = Program(compiler, tmp_path, network)
    assert (network.accumulators(np.full((1, n), 32767))[0]).max() == 2**31 - 1
    extremes = np.array([-32768, 32767, 0, 1, -1])
    rng = np.random.RandomState(0)
    program.check(np.vstack([np.full((1, n), e) for e in extremes]))
    program.check(
        np.where(signs[:, 0] > 0, 32767, -32768)[None, :] * np.array([[1], [-1]]).clip(-1)
    )
    program.check(rng.choice(extremes, (1000, n)))


def test_a_limit_is_kept_in_c(compiler, tmp_path):
    network = replace(network_of((5, 4, 3), "relu", 8), input_limit=1500)
    program = Program(compiler, tmp_path, network)
    program.check(np.random.RandomState(0).randint(-(2**15), 2**15, (500, 5)))


@pytest.mark.parametrize("name", ["mlp", "two classes", "pruner", "numbers as classes", "scaler"])
@pytest.mark.parametrize("bits", [8, 4])
def test_no_float_no_allocation_no_library(models, tmp_path, name, bits):
    model, X = models[name]
    to_c(quantize(model, X, bits=bits, input_scale=10000), tmp_path / "mineral.h")
    text = (tmp_path / "mineral.h").read_text()
    code = re.sub(r"/\*.*?\*/|\"[^\"]*\"", "", text, flags=re.S)
    assert not re.search(r"float|double|alloc|\d\.|\d[eE][-+]?\d", code)
    assert re.findall("#include (.*)", code) == ["<stdint.h>"]


def test_labels_of_reflectance_times_ten_thousand(models, compiler, tmp_path):
    """From samples as users have them to the labels of the device."""
    model, X = models["scaler"]
    quantized = quantize(model, X, input_scale=10000)
    program = Program(compiler, tmp_path, quantized.network_)
    stored = np.rint(X.astype(np.float64) * 10000).astype(np.int16)
    np.testing.assert_array_equal(quantized.network_.quantize_input(X), stored)
    program.check(stored)


def test_features_of_their_own_scale_are_brought_to_integers(models, compiler, tmp_path):
    """With the macro defined; without it there are no floats."""
    model, X = models["mlp"]
    quantized = quantize(model, X)
    to_c(quantized, tmp_path / "net.h")
    assert "x is what net_quantize makes of the features" in (tmp_path / "net.h").read_text()
    (tmp_path / "main.c").write_text("""
        #include <stdio.h>
        #define NET_FLOAT
        #include "net.h"
        int main(void) {
            float x[NET_N_FEATURES];
            int16_t q[NET_N_FEATURES];
            while (fread(x, sizeof x, 1, stdin) == 1)
                if (net_quantize(x, q) == 0)
                    fwrite(q, sizeof q, 1, stdout);
            return 0;
        }""")
    subprocess.run([compiler, *SANITIZED, "main.c", "-o", "main"], cwd=tmp_path, check=True)
    wild = np.vstack([X, 100 * X, -1e30 * X, X.round(1)]).astype(np.float32)
    wild[7, 3], wild[8, 4] = np.nan, -np.inf
    output = subprocess.run(
        [tmp_path / "main"], input=wild.tobytes(), capture_output=True, check=True
    ).stdout
    known = np.isfinite(wild).all(axis=1)
    expected = quantized.network_.quantize_input(wild[known])
    np.testing.assert_array_equal(np.frombuffer(output, np.int16).reshape(-1, 24), expected)
    (tmp_path / "main.c").write_text('#include "net.h"\nint main(void) { return 0; }')
    command = [compiler, "-E", "-P", "main.c"]
    text = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
    assert b"float" not in text
    assert b"double" not in text


def test_the_type_is_the_classifiers(models, tmp_path):
    model, X = models["mlp"]
    quantized = quantize(model, X, bits=4)
    to_c(quantized, tmp_path / "a.h", dtype="int4")
    to_c(quantized, tmp_path / "b.h")
    assert (tmp_path / "a.h").read_text().replace("a_", "b_").replace("A_", "B_").replace(
        "/* a:", "/* b:"
    ) == (tmp_path / "b.h").read_text()
    with pytest.raises(ValueError, match="dtype='int8', but the classifier is quantized to int4"):
        to_c(quantized, tmp_path / "c.h", dtype="int8")
    with pytest.raises(ValueError, match=r"Pass quantize\(estimator, X_calibration, bits=8\)"):
        to_c(model, tmp_path / "c.h", dtype="int8")
    with pytest.raises(ValueError, match=r"dtype must be 'float32', .* got 'int16'"):
        to_c(model, tmp_path / "c.h", dtype="int16")
    assert not (tmp_path / "c.h").exists()


@given(arrays(np.int8, st.integers(1, 30), elements=st.integers(-7, 7)))
def test_nibbles_come_back(weights):
    packed = pack_nibbles(weights)
    assert len(packed) == (len(weights) + 1) // 2
    np.testing.assert_array_equal(unpack_nibbles(packed)[: len(weights)], weights)
