"""Layers in C without their zeros: the same scores, fewer bytes."""

import shutil
import subprocess

import numpy as np
import pytest
from c_programs import SANITIZERS, STRICT

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.deploy import (
    CompiledClassifier,
    device_report,
    load_model,
    quantize,
    save_model,
    to_c,
)
from sklearn_capoz.export._c_sparse import sparse_rows
from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.schedules import Gradual, Surgery

FLAGS = [*STRICT, "-O2", *SANITIZERS]

PROGRAM = """
#include <stdio.h>
#include <stdint.h>
#include "model.h"
int main(void) {
    NUMBER x[MODEL_N_FEATURES];
    SCORE scores[MODEL_N_CLASSES];
    while (fread(x, sizeof x, 1, stdin) == 1) {
        model_scores(x, scores);
        fwrite(scores, sizeof scores, 1, stdout);
    }
    return 0;
}
"""


def scores(compiler, folder, model, X, number, score):
    to_c(model, folder / "model.h")
    text = PROGRAM.replace("NUMBER", number).replace("SCORE", score)
    (folder / "main.c").write_text(text)
    command = [compiler, *FLAGS, "main.c", "-o", "main", "-lm"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([folder / "main"], input=X.tobytes(), capture_output=True, check=True)
    kinds = {"float": np.float32, "double": np.float64, "int32_t": np.int32}
    return np.frombuffer(ran.stdout, kinds[score]).reshape(len(X), -1)


def sparse_model(dtype=np.float32, n_in=700, share=0.9, output=3):
    random = np.random.RandomState(0)
    shapes = [(n_in, 24), (24, output)]
    weights = [np.where(random.rand(*s) < share, 0, random.randn(*s)) for s in shapes]
    weights[0][:, 5] = 0  # a unit without any input
    weights[0][:, 6] = np.eye(n_in)[-1]  # and one whose only input is far away
    biases = [random.randn(n) for _, n in shapes]
    network = DenseNetwork(
        tuple(w.astype(dtype) for w in weights), tuple(b.astype(dtype) for b in biases), ("relu",),
        "softmax" if output > 1 else "logistic",
    )  # fmt: skip
    return CompiledClassifier(network, [f"class {i}" for i in range(max(output, 2))])


X = np.random.RandomState(1).randn(60, 700)


def test_gaps_by_hand():
    rows = np.zeros((3, 400), np.float32)
    rows[0, [2, 3]] = 1, 2
    rows[2, 399] = 3
    found = sparse_rows(rows, 32)
    assert found.values.tolist() == [1, 2, 3]
    assert found.gaps.tolist() == [2, 0, 255, 399 - 255]
    assert found.counts.tolist() == [2, 0, 2]
    assert sparse_rows(np.ones((30, 30)), 64) is None
    assert sparse_rows(np.zeros((30, 30)), 64) is None
    assert sparse_rows(np.eye(3), 64) is None  # the loops take more than that


@pytest.mark.parametrize("output", [3, 1])
@pytest.mark.parametrize(("dtype", "number"), [(np.float32, "float"), (np.float64, "double")])
def test_scores_are_those_of_python(compiler, tmp_path, dtype, number, output):
    model, x = sparse_model(dtype, output=output), X.astype(dtype)
    found = scores(compiler, tmp_path, model, x, number, number)
    logits = model.network.forward(x)[-1]
    expected = logits if output > 1 else np.hstack([np.zeros_like(logits), logits])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert "model_gaps_0" in (tmp_path / "model.h").read_text()


@pytest.mark.parametrize("bits", [8, 4])
def test_integers_are_those_of_python_to_the_last_bit(compiler, tmp_path, bits):
    model = quantize(sparse_model(), X.astype(np.float32), bits=bits, input_scale=1000)
    codes = model.network.quantize_input(X)
    found = scores(compiler, tmp_path, model, codes, "int16_t", "int32_t")
    np.testing.assert_array_equal(found, model.network.logits(codes))
    assert "model_gaps_0" in (tmp_path / "model.h").read_text()


@pytest.mark.parametrize("bits", [None, 8, 4])
def test_the_report_counts_fewer_bytes(bits):
    def report(share):
        model = sparse_model(share=share)
        if bits is not None:
            model = quantize(model, X.astype(np.float32), bits=bits, input_scale=1000)
        return device_report(model).parts.sum(numeric_only=True)

    sparse, dense = report(0.95), report(0.0)
    assert sparse["constants"] < 0.45 * dense["constants"]
    assert sparse["multiply_adds"] < 0.2 * dense["multiply_adds"]


def test_a_dense_network_is_written_as_it_was(tmp_path):
    to_c(sparse_model(share=0.0), tmp_path / "model.h")
    assert "gaps_1" not in (tmp_path / "model.h").read_text()


@pytest.mark.parametrize("bits", [None, 8, 4])
def test_what_surgery_leaves_goes_everywhere(tmp_path, bits):
    rows = X[:, :40].astype(np.float32)
    y = np.where(rows[:, 0] > 0, "alunite", "calcite")
    healed = PrunedMLPClassifier(
        (20,), granularity="connection", criterion="l1", n_iterations=1, keep="last",
        schedule=Surgery(Gradual(0.9), epochs=3), max_iter=5, random_state=0,
    ).fit(rows, y)  # fmt: skip
    model, n_left = healed, sum(np.count_nonzero(weight) for weight in healed.network_.weights)
    assert n_left == healed.history_["n_connections"].iloc[-1]
    if bits is not None:
        model = quantize(healed, rows, y, bits=bits, epochs=2, random_state=0)
        found = sum(np.count_nonzero(layer.weights) for layer in model.network_.layers)
        assert 0 < found <= n_left
    save_model(model, tmp_path / "model.capoz")
    loaded = load_model(tmp_path / "model.capoz")
    np.testing.assert_array_equal(loaded.predict_proba(rows), model.predict_proba(rows))
    if shutil.which("gcc") is not None:
        assert device_report(loaded, rows).agreement == 1
