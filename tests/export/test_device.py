"""device_report: bytes by hand, and what gcc says."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.datasets import CUPRITE_WAVELENGTHS as NM
from sklearn_capoz.datasets import make_mineral_spectra
from sklearn_capoz.deploy import CompiledClassifier, device_report, quantize
from sklearn_capoz.export._c import program_of
from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.schedules import Widths
from sklearn_capoz.spectral import BandSelector, ContinuumRemoval

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")


@pytest.fixture(scope="module")
def pipeline():
    X, y = make_mineral_spectra(350, random_state=0)
    network = PrunedMLPClassifier((9,), n_iterations=0, max_iter=20, random_state=0)
    return make_pipeline(ContinuumRemoval(NM), StandardScaler(), network).fit(
        X.astype(np.float32), y
    )


def test_bytes_of_a_network_by_hand():
    network = DenseNetwork((np.ones((5, 4)), np.ones((4, 3))), (np.ones(4), np.zeros(3)), ("relu",))
    report = device_report(CompiledClassifier(network, [0, 1, 2]))
    # 5 * 4 + 4 + 4 * 3 + 3 doubles; a hidden layer and the scores.
    assert (report.constants, report.ram, report.input) == (39 * 8, 7 * 8, 40)
    assert report.multiply_adds == 32
    assert device_report(CompiledClassifier(network, [0, 1, 2]), dtype="float32").constants == 156


def test_bytes_of_a_pipeline_by_hand(pipeline):
    report = device_report(pipeline)
    parts = report.parts
    assert parts.loc["continuumremoval"].tolist() == [8 * 50, 2 * 50, 0]
    assert parts.loc["buffers"].tolist() == [0, 4 * 50, 0]
    assert parts.loc["prunedmlpclassifier"].tolist() == [4 * (59 * 9 - 81 + 16 + 63), 64, 513]
    assert report.ram == 200 + 100
    assert report.input == 200


def test_nine_units_of_integers_fit_into_seven_hundred_bytes(pipeline):
    X, _ = make_mineral_spectra(100, random_state=1)
    features = pipeline[:1].transform(X.astype(np.float32))
    for bits, n_bytes in ((8, 625), (4, 369)):
        report = device_report(quantize(pipeline[1:], features, bits=bits, input_scale=10000))
        assert report.constants == n_bytes <= 700
        assert report.ram == 9 + 4 * 7
        assert report.input == 100


@needs_gcc
def test_gcc_says_what_it_makes_of_it(pipeline):
    X, _ = make_mineral_spectra(300, random_state=1)
    X = X.astype(np.float32)
    X[::3, 5] = np.nan
    report = device_report(pipeline, X)
    assert report.agreement == 1
    assert 200 < report.code < 5000
    assert report.stack >= report.ram
    assert "agreement      1.0 of the samples" in str(report)
    assert "continuumremoval" in str(report)


@needs_gcc
def test_labels_of_integers_are_compared_as_well(pipeline):
    X, _ = make_mineral_spectra(300, random_state=1)
    X = X.astype(np.float32)
    assert device_report(quantize(pipeline, X), X).agreement == 1
    features = pipeline[:1].transform(X)
    features[3, 4] = np.nan
    quantized = quantize(pipeline[1:], features[4:])
    assert device_report(quantized, features).agreement == 1


@needs_gcc
def test_bands_are_selected_among_stored_integers():
    """From what a cube stores to the label, without a float."""
    X, y = make_mineral_spectra(350, random_state=0)
    X[::7, 0] = np.nan  # of a band that is left out
    network = PrunedMLPClassifier((9,), n_iterations=0, max_iter=20, random_state=0)
    selector = BandSelector([(2100, 2250), (2300, 2400)], wavelengths=NM)
    model = quantize(
        make_pipeline(selector, StandardScaler(), network).fit(X, y), X, input_scale=1e4
    )
    report = device_report(model, X)
    assert report.input == 2 * 50
    assert report.parts.loc["buffers", "ram"] == 2 * selector.fit(X).wavelengths_.size
    assert report.agreement == 1
    text, _ = program_of(model, None, "model")
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    assert not re.search("float|double", code)
    own_scales = quantize(model_in_floats(selector, X, y), X)
    assert device_report(own_scales, X).input == 8 * 50


def model_in_floats(selector, X, y):
    network = PrunedMLPClassifier((3,), n_iterations=0, max_iter=5, random_state=0)
    return make_pipeline(selector, StandardScaler(), network).fit(X, y)


@needs_gcc
def test_what_does_not_agree_is_said(pipeline, monkeypatch):
    """A header of another network: half of the labels are swapped."""
    X, _ = make_mineral_spectra(200, random_state=1)
    X = X.astype(np.float32)
    labels = pipeline.predict(X)
    wrong = np.where(np.arange(200) % 2, labels, pipeline.classes_[0])
    monkeypatch.setattr(type(pipeline), "predict", lambda self, X: wrong)
    expected = (wrong == labels).mean()
    assert device_report(pipeline, X).agreement == pytest.approx(expected)
    assert expected < 0.8


@needs_gcc
def test_names_infinities_and_scalers_between():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.uniform(0.1, 1, (200, 50)), columns=[f"{nm:.2f} nm" for nm in NM])
    y = X.iloc[:, 3] > 0.5
    network = MLPClassifier((4,), max_iter=300, tol=1)
    model = make_pipeline(MinMaxScaler((0.2, 1)), ContinuumRemoval(NM), network).fit(X, y)
    X.iloc[5, 7] = np.inf
    X.iloc[6, 7] = np.nan
    assert device_report(model, X).agreement == 1


def test_without_gcc_the_bytes_are_known(pipeline, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    report = device_report(pipeline, np.ones((3, 50)))
    assert report.code is report.stack is report.agreement is None
    assert report.constants > 0
    assert "agreement      not known" in str(report)


@needs_gcc
def test_samples_of_another_shape(pipeline):
    with pytest.raises(ValueError, match=r"shape \(n_samples, 50\) .* got \(3, 49\)"):
        device_report(pipeline, np.ones((3, 49)))
    with pytest.raises(ValueError, match=r"a sample or more, got \(0, 50\)"):
        device_report(pipeline, np.ones((0, 50)))


@needs_gcc
def test_bands_that_are_not_needed_may_hold_anything():
    X, y = make_mineral_spectra(350, random_state=0)
    network = PrunedMLPClassifier(
        (9,), prune_inputs=True, criterion="taylor", schedule=Widths([(20, 6)]), keep="last",
        max_iter=10, random_state=0,
    )  # fmt: skip
    model = make_pipeline(StandardScaler(), network).fit(X, y)
    X[:, ~model[-1].get_support()] = np.inf
    assert device_report(model, X).agreement == 1
    small = quantize(model, np.nan_to_num(X, posinf=0), input_scale=10000)
    assert device_report(small, X).agreement == 1
    assert device_report(small, np.full_like(X, np.nan)).agreement is None
