"""to_c: a strict compiler takes the header, and the program gives the model's labels."""

import subprocess
from itertools import pairwise

import numpy as np
import pytest
from c_programs import STRICT

from sklearn_capoz.deploy import CompiledClassifier, compile_pipeline, to_c
from sklearn_capoz.export._c_source import identifier
from sklearn_capoz.networks import ACTIVATIONS, DenseNetwork

FLAGS = [*STRICT, "-O2"]

#: Reads samples as raw numbers, writes the index, the label and the scores of each.
PROGRAM = """
#include <stdio.h>
#include "{name}.h"
int main(void) {{
    {number} x[{upper}_N_FEATURES], scores[{upper}_N_CLASSES];
    while (fread(x, sizeof x, 1, stdin) == 1) {{
        int i, code = {name}_predict(x);
        printf("%d\\t%s", code, code < 0 ? "" : {name}_classes[code]);
        {name}_scores(x, scores);
        for (i = 0; i < {upper}_N_CLASSES; i++)
            printf("\\t%.17g", (double)scores[i]);
        printf("\\n");
    }}
    return 0;
}}
"""


def compile_and_run(compiler, folder, name, dtype, X):
    number = "float" if dtype == np.float32 else "double"
    (folder / "main.c").write_text(PROGRAM.format(name=name, upper=name.upper(), number=number))
    command = [compiler, *FLAGS, "main.c", "-o", "main", "-lm"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    data = np.ascontiguousarray(X, dtype=dtype).tobytes()
    output = subprocess.run([folder / "main"], input=data, capture_output=True, check=True).stdout
    rows = [line.split("\t") for line in output.decode().splitlines()]
    codes = np.array([int(row[0]) for row in rows])
    return codes, [row[1] for row in rows], np.array([row[2:] for row in rows], dtype=float)


@pytest.mark.parametrize(
    "name",
    ["mlp", "mlp of float64", "two classes", "numbers as classes", "pruned", "pruner", "scaler"],
)
def test_every_label_is_the_same(models, compiler, tmp_path, name):
    model, X = models[name]
    to_c(model, tmp_path / "mineral.h")
    codes, labels, scores = compile_and_run(compiler, tmp_path, "mineral", X.dtype, X)
    np.testing.assert_array_equal(model.classes_[codes], model.predict(X))
    assert labels == [str(label) for label in model.predict(X)]
    exponential = np.exp(scores - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(
        exponential / exponential.sum(axis=1, keepdims=True),
        model.predict_proba(X),
        atol=2e-5 if X.dtype == np.float32 else 1e-9,
    )


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("widths", [(3, 2), (4, 5, 1), (6, 4, 1, 3, 3)])
def test_every_activation_depth_and_dtype(compiler, tmp_path, activation, dtype, widths):
    rng = np.random.RandomState(0)
    network = DenseNetwork(
        tuple(rng.randn(a, b).astype(dtype) for a, b in pairwise(widths)),
        tuple(rng.randn(b).astype(dtype) for b in widths[1:]),
        (activation,) * (len(widths) - 2),
        "logistic" if widths[-1] == 1 else "softmax",
    )
    classes = ["a", 'quote"\\back??/slash', "né 한"][: max(2, widths[-1])]
    to_c(CompiledClassifier(network, classes), tmp_path / "net.h")
    X = rng.randn(40, widths[0]).astype(dtype)
    codes, labels, scores = compile_and_run(compiler, tmp_path, "net", dtype, X)
    logits = network.forward(X)[-1]
    np.testing.assert_array_equal(codes, network.labels(logits))
    assert labels == [classes[code] for code in codes]
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(scores[:, -logits.shape[1] :], logits, atol=tolerance, rtol=1e-5)


def test_parameters_are_written_to_the_last_bit(tmp_path, compiler):
    """One unit per weight and an input of one: the scores are the weights."""
    for dtype in (np.float32, np.float64):
        bits = np.random.RandomState(0).bytes(4000)
        weights = np.frombuffer(bits, dtype=dtype)
        weights = np.r_[weights[np.isfinite(weights)], np.finfo(dtype).tiny / 8, 1.0, 0.1]
        weights = np.unique(weights.astype(dtype))
        network = DenseNetwork((weights[None, :],), (np.zeros(len(weights), dtype),), ())
        to_c(CompiledClassifier(network, np.arange(len(weights))), tmp_path / "bits.h")
        X = np.ones((1, 1))
        scores = compile_and_run(compiler, tmp_path, "bits", dtype, X)[2]
        np.testing.assert_array_equal(scores[0].astype(dtype), weights)


def test_two_models_fit_into_one_program(models, compiler, tmp_path):
    to_c(models["mlp"][0], tmp_path / "first.h")
    to_c(models["two classes"][0], tmp_path / "second.h")
    (tmp_path / "main.c").write_text(
        '#include "first.h"\n#include "second.h"\n#include "first.h"\n'
        "int main(void) { float x[24] = {0}; return first_predict(x) + second_predict(x) > 9; }"
    )
    subprocess.run([compiler, *FLAGS, "main.c", "-o", "main"], cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "main"], check=True)


def test_a_relu_network_needs_no_other_function(models, tmp_path):
    to_c(models["mlp"][0], tmp_path / "mineral.h")
    text = (tmp_path / "mineral.h").read_text()
    assert "#include" not in text
    assert "malloc" not in text


def test_scalers_are_folded(models, tmp_path):
    to_c(models["scaler"][0], tmp_path / "mineral.h")
    first = compile_pipeline(models["scaler"][0]).network.weights[0][0, 0]
    assert np.format_float_scientific(first) in (tmp_path / "mineral.h").read_text()


def test_a_part_of_a_pipeline_takes_features(models, compiler, tmp_path):
    model, X = models["absorption"]
    to_c(model[1:], tmp_path / "mineral.h")
    codes, *_ = compile_and_run(compiler, tmp_path, "mineral", X.dtype, model[:1].transform(X))
    np.testing.assert_array_equal(model.classes_[codes], model.predict(X))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_no_numbers_are_refused(tmp_path, value):
    for weight, bias in ((value, 0.0), (1.0, value)):
        network = DenseNetwork((np.array([[weight, 1.0]]),), (np.array([bias, 0.0]),), ())
        with pytest.raises(ValueError, match="hold NaN or infinity"):
            to_c(CompiledClassifier(network, ["a", "b"]), tmp_path / "net.h")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_nan_gives_no_label_and_no_score(compiler, tmp_path, activation, n_outputs):
    rng = np.random.RandomState(0)
    network = DenseNetwork(
        (rng.randn(4, 5), rng.randn(5, n_outputs)),
        (rng.randn(5), rng.randn(n_outputs)),
        (activation,),
        "logistic" if n_outputs == 1 else "softmax",
    )
    to_c(CompiledClassifier(network, ["a", "b", "c"][: max(2, n_outputs)]), tmp_path / "net.h")
    X = np.vstack([np.ones(4), np.where(np.eye(4), np.nan, 1.0)])
    codes, _, scores = compile_and_run(compiler, tmp_path, "net", np.float64, X)
    assert np.isnan(scores[:, -1]).tolist() == [False, True, True, True, True]
    assert (codes[1:] == -1).all()


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("mineral", "mineral"),
        ("7 minerals-v2", "model_7_minerals_v2"),
        ("Glimmer-für", "glimmer_f_r"),
        ("--", "model"),
    ],
)
def test_file_names_become_names_that_c_accepts(stem, expected):
    assert identifier(stem) == expected


def test_an_odd_file_name_compiles(models, compiler, tmp_path):
    model, X = models["mlp"]
    to_c(model, tmp_path / "7 Double.h")
    (tmp_path / "7 Double.h").rename(tmp_path / "model_7_double.h")
    codes, *_ = compile_and_run(compiler, tmp_path, "model_7_double", X.dtype, X)
    np.testing.assert_array_equal(model.classes_[codes], model.predict(X))
