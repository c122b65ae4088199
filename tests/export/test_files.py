"""Model files: the same model comes back, and nothing else is ever made of a file."""

import builtins
import os
import stat
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
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
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.spectral._feature_table import SWIR_FEATURES

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


@pytest.mark.parametrize("features", ["swir", {"deep": (2100, 2300)}])
def test_absorption_features_of_version_0_1_0_measure_what_they_did(path, model_file, features):
    """Its files say nothing of a smallest depth; of its table those windows that are covered."""
    nm = np.arange(2000.0, 2450, 10)
    windows = {"deep": (2100, 2300)}
    if features == "swir":
        table = SWIR_FEATURES
        windows = {name: ends[2:] for name, ends in table.items() if ends[2] >= 2000}
    old = spectral.AbsorptionFeatures(nm, features=windows, min_depth=0.0)
    X = np.random.RandomState(0).uniform(0.2, 0.8, (30, len(nm)))
    network = compile_pipeline(
        MLPClassifier((4,), tol=1, random_state=0).fit(old.fit_transform(X), np.arange(30) % 3)
    )
    save_model(make_pipeline(old, network), path)
    description, tensors = model_file(path).read()
    del description["steps"][0]["parameters"]["min_depth"]
    description["steps"][0]["parameters"]["features"] = features
    model_file(path).write(description, tensors)
    loaded = load_model(path)[0]
    np.testing.assert_array_equal(loaded.transform(X), old.transform(X))
    np.testing.assert_array_equal(loaded.get_feature_names_out(), old.get_feature_names_out())


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
    "SensorResampler": {"sensor": "aviris", "on_missing": "nan", "source_fwhm": 5.0, "n_jobs": 2},
    "SensorResampler to centres": {"sensor": [2.1, 2.2], "fwhm": 0.02},
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


@pytest.mark.parametrize("unknown", [np.nan, np.inf, 0.0])
@pytest.mark.parametrize("name", ["BandSelector", "ContinuumRemoval", "AbsorptionFeatures"])
def test_bad_bands_without_a_wavelength_come_back(path, name, unknown):
    """As libraries have them: read_envi_library gives NaN for bands that the file leaves open."""
    rng = np.random.RandomState(0)
    X, y = rng.rand(30, 40) + 0.5, np.arange(30) % 2
    nm, bad = np.arange(2000.0, 2400, 10), np.arange(40) % 13 == 3
    nm[bad] = unknown
    parameters = SPECTRAL_CASES[name] | {"wavelengths": nm, "bad_bands": bad}
    step = getattr(spectral, name)(**parameters)
    mlp = MLPClassifier((4,), tol=1, random_state=0)
    model = make_pipeline(step, mlp).fit(X, y)
    save_model(model, path)
    loaded = load_model(path)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    np.testing.assert_array_equal(loaded[0].transform(X), step.transform(X))
    wavelengths = loaded[0].wavelengths
    np.testing.assert_array_equal(wavelengths, np.where(np.isfinite(nm), nm, np.nan))
    save_model(loaded, path)  # and can be saved again
    np.testing.assert_array_equal(load_model(path)[0].wavelengths, wavelengths)


def test_a_wavelength_that_is_missing_needs_a_bad_band(path):
    """A file in which somebody took the bad bands out is refused, and guesses no band's place."""
    X, y = np.random.RandomState(0).rand(30, 40) + 0.5, np.arange(30) % 2
    nm = np.arange(2000.0, 2400, 10)
    nm[3] = np.nan
    step = spectral.BandSelector([(2100, 2300)], wavelengths=nm, bad_bands=[3])
    model = make_pipeline(step, MLPClassifier((4,), tol=1, random_state=0)).fit(X, y)
    step.bad_bands = None
    with pytest.raises(ValueError, match="wavelengths must be positive and finite"):
        save_model(model, path)
    assert not path.exists()


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
    weights = (np.full_like(network.weights[0], np.nan), *network.weights[1:])
    with pytest.raises(ValueError, match=r"network\.0\.weight holds NaN"):
        save_model(CompiledClassifier(replace(network, weights=weights), ["a", "b", "c"]), path)
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
