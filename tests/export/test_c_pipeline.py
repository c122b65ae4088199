"""to_c of whole pipelines: reflectance goes in, and Python's label comes out."""

import re
import subprocess

import numpy as np
import pytest
from c_programs import SANITIZERS, STRICT
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PowerTransformer, StandardScaler

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.datasets import CUPRITE_WAVELENGTHS as NM
from sklearn_capoz.datasets import make_mineral_spectra
from sklearn_capoz.deploy import quantize, to_c
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.spectral import (
    AbsorptionFeatures,
    BandSelector,
    ContinuumRemoval,
    SensorResampler,
    SpectralAbsorptionIndex,
    SpectrumStandardizer,
)

FLAGS = [*STRICT, "-O2"]
SANITIZED = [*FLAGS, *SANITIZERS]

PROGRAM = """
#include <stdio.h>
#include "mineral.h"
int main(void) {
    float x[MINERAL_N_FEATURES];
    while (fread(x, sizeof x, 1, stdin) == 1)
        printf("%d\\n", mineral_predict(x));
    return 0;
}
"""


def network():
    return PrunedMLPClassifier((9,), n_iterations=0, max_iter=40, random_state=0)


PIPELINES = {
    "continuum": lambda: make_pipeline(ContinuumRemoval(NM), StandardScaler(), network()),
    "index": lambda: make_pipeline(
        SpectralAbsorptionIndex(NM, half_widths=(40, 60)), StandardScaler(), network()
    ),
    "features": lambda: make_pipeline(AbsorptionFeatures(NM), StandardScaler(), network()),
    "all kinds of steps": lambda: make_pipeline(
        BandSelector([(2000, 2450)], wavelengths=NM),
        SensorResampler(
            np.linspace(2020, 2430, 30),
            fwhm=15.0,
            wavelengths=NM[(NM >= 2000) & (NM <= 2450)],
        ),
        SpectrumStandardizer(),
        MinMaxScaler((0.2, 1), clip=True),
        ContinuumRemoval(np.linspace(2020, 2430, 30), mode="subtract"),
        network(),
    ),
}


@pytest.fixture(scope="module")
def fitted():
    """Name -> pipeline on minerals."""
    X, y = make_mineral_spectra(350, random_state=0)
    X = X.astype(np.float32)
    return {name: make().fit(X, y) for name, make in PIPELINES.items()}


def wild_spectra(n=10_000):
    """Mixtures, bands that are missing, dark pixels and fill values."""
    rng = np.random.RandomState(1)
    X, _ = make_mineral_spectra(n, random_state=1)
    X = X.astype(np.float32)
    gaps = rng.uniform(size=X.shape) < rng.choice([0, 0.02, 0.5, 0.97], (n, 1))
    X[gaps & (np.arange(n)[:, None] % 4 == 0)] = np.nan
    dark = np.arange(n) % 5 == 1
    X[dark] = rng.normal(0, 0.002, (dark.sum(), X.shape[1]))
    X[2::40], X[3::40], X[6::40] = 0, -9999, np.nan
    X[7::40, 10] = np.inf
    return X


def labels_in_c(compiler, folder, X, flags=FLAGS):
    (folder / "main.c").write_text(PROGRAM)
    command = [compiler, *flags, "main.c", "-o", "main", "-lm"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([folder / "main"], input=X.tobytes(), capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    return np.array(ran.stdout.split(), dtype=int)


def labels_in_python(model, X):
    """Codes of the labels; -1 where the classifier would refuse the features."""
    with np.errstate(all="ignore"):
        features = model[:-1].transform(X)
    known = np.isfinite(features).all(axis=1)
    codes = np.full(len(X), -1)
    codes[known] = np.searchsorted(model.classes_, model[-1].predict(features[known]))
    return codes


@pytest.mark.parametrize("name", PIPELINES)
def test_ten_thousand_labels_are_the_same(fitted, compiler, tmp_path, name):
    to_c(fitted[name], tmp_path / "mineral.h")
    X = wild_spectra()
    expected = labels_in_python(fitted[name], X)
    assert len(np.unique(expected)) >= 7
    np.testing.assert_array_equal(labels_in_c(compiler, tmp_path, X), expected)
    some = slice(None, 1000)
    np.testing.assert_array_equal(
        labels_in_c(compiler, tmp_path, X[some], SANITIZED), expected[some]
    )


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("name", ["continuum", "features"])
def test_floats_before_and_integers_in_the_network(fitted, compiler, tmp_path, name, bits):
    X, _ = make_mineral_spectra(300, random_state=2)
    quantized = quantize(fitted[name], X.astype(np.float32), bits=bits)
    to_c(quantized, tmp_path / "mineral.h")
    text = (tmp_path / "mineral.h").read_text()
    assert "int8_t" in text
    X = wild_spectra(4000)
    expected = labels_in_python(quantized, X)
    np.testing.assert_array_equal(labels_in_c(compiler, tmp_path, X, SANITIZED), expected)


def test_reflectance_to_label_is_small(fitted, tmp_path):
    """Ten kilobytes of constants, counted in the text itself."""
    sizes = {"float": 4, "double": 8, "uint8_t": 1, "uint16_t": 2, "int32_t": 4}
    for name, model in fitted.items():
        to_c(model, tmp_path / "mineral.h")
        text = (tmp_path / "mineral.h").read_text()
        arrays = re.findall(r"static const (\w+) \w+\[(\d+)\]", text)
        assert arrays
        total = sum(sizes[kind] * int(n) for kind, n in arrays if kind != "char")
        assert total < 10_000, name


def test_wavelengths_that_two_steps_know_stand_there_once(tmp_path):
    X, y = make_mineral_spectra(350, random_state=0)
    twice = make_pipeline(ContinuumRemoval(NM), SpectralAbsorptionIndex(NM), network()).fit(X, y)
    to_c(twice, tmp_path / "mineral.h")
    text = (tmp_path / "mineral.h").read_text()
    assert text.count("static const double mineral_nm[") == 1


def test_what_has_no_form_in_c_is_named(tmp_path):
    X, y = make_mineral_spectra(100, random_state=0)
    model = make_pipeline(PowerTransformer(), MLPClassifier((3,), max_iter=300, tol=1)).fit(X, y)
    inside = make_pipeline(model[:1], model[1])
    for pipeline in (model, inside, FrozenEstimator(model)):
        with pytest.raises(
            UnsupportedNetworkError,
            match=r"'powertransformer' is a PowerTransformer, which has no form in C; .*"
            "StandardScaler, .* have. Put one of them in its place",
        ):
            to_c(pipeline, tmp_path / "mineral.h")
    assert not list(tmp_path.iterdir())


def test_a_float32_header_of_a_float64_model(compiler, tmp_path):
    X, y = make_mineral_spectra(350, random_state=0)
    model = make_pipeline(ContinuumRemoval(NM), StandardScaler(), network()).fit(X, y)
    to_c(model, tmp_path / "mineral.h", dtype="float32")
    found = labels_in_c(compiler, tmp_path, X.astype(np.float32))
    assert (model.classes_[found] == model.predict(X)).mean() > 0.99


@pytest.mark.parametrize("is_integer", [False, True])
def test_limits_hide_no_infinity(compiler, tmp_path, is_integer):
    X, y = make_mineral_spectra(350, random_state=0)
    X = X.astype(np.float32)
    model = make_pipeline(MinMaxScaler(clip=True), network()).fit(X, y)
    model = quantize(model, X) if is_integer else model
    to_c(model, tmp_path / "mineral.h")
    beyond = np.vstack([X[:20] * 4, -X[:20], np.full_like(X[:1], 1e38)])
    expected = np.searchsorted(model.classes_, model.predict(beyond))
    odd = X[:4].copy()
    odd[[0, 1, 2], [0, 20, 49]] = np.inf, -np.inf, np.nan
    with pytest.raises(ValueError, match="infinity"):
        model.predict(odd[:1])
    found = labels_in_c(compiler, tmp_path, np.vstack([beyond, odd]), SANITIZED)
    np.testing.assert_array_equal(found[:-4], expected)
    assert found[-4:-1].tolist() == [-1, -1, -1]
    assert found[-1] >= 0
