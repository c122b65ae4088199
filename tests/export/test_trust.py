"""Trust in a model file: the same numbers afterwards, and nothing is believed that does not fit."""

from copy import deepcopy

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_capoz import FieldTrainedClassifier, PrunedMLPClassifier
from sklearn_capoz.deploy import compile_pipeline, load_model, quantize, save_model
from sklearn_capoz.estimators import FieldTrust
from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.export import _limits
from sklearn_capoz.export._model import build_model, describe_model
from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.spectral import ContinuumRemoval

NM = np.arange(2000.0, 2300, 25)
RNG = np.random.RandomState(0)
X = RNG.uniform(0.2, 0.8, (6, 12))
Y = np.array(["a", "a", "b", "b", "b", "c"])


@pytest.fixture(scope="module")
def model():
    """Return one whose trust is made by hand, since learning it takes long."""
    inner = make_pipeline(
        ContinuumRemoval(NM), PrunedMLPClassifier((4,), n_iterations=0, max_iter=3)
    )
    model = FieldTrainedClassifier(inner, wavelengths=NM, n_samples=60, cv=None, random_state=0)
    model.fit(X, Y)
    network = DenseNetwork(
        (RNG.randn(12, 5).astype("f4"), RNG.randn(5, 1).astype("f4")),
        (RNG.randn(5).astype("f4"), RNG.randn(1).astype("f4")),
        ("relu",),
        "logistic",
    )
    model.trust_ = FieldTrust(
        X, [2, 3, 1], NM, network=network, temperature=1.5, least_likeness=0.25
    )
    return model


@pytest.fixture
def parts(model):
    description, tensors = describe_model(model)
    return deepcopy(description), dict(tensors)


def test_it_says_the_same_after_it_was_stored(model, tmp_path):
    save_model(model, tmp_path / "m.capoz")
    loaded = load_model(tmp_path / "m.capoz")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    spectra = RNG.uniform(0.1, 0.9, (50, 12))
    probabilities = loaded.predict_proba(spectra)
    np.testing.assert_array_equal(
        loaded.trust_.measure(spectra, probabilities), model.trust_.measure(spectra, probabilities)
    )
    np.testing.assert_array_equal(loaded.trust_.accepts(spectra), model.trust_.accepts(spectra))
    # And once more, from what was loaded.
    save_model(loaded, tmp_path / "again.capoz")
    assert repr(load_model(tmp_path / "again.capoz").trust_) == repr(model.trust_)


def test_without_trust_the_file_is_as_it_was(model):
    description, tensors = describe_model(model.estimator_)
    assert "trust" not in description
    assert not [key for key in tensors if key.startswith("trust")]
    assert not hasattr(build_model(description, tensors), "trust_")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counts": [2, 4]}, "trust.counts must have 3 entries, found 2"),
        ({"counts": [2, 3, 2]}, r"'trust.records' must be \(7, 12\), found \(6, 12\)"),
        ({"counts": [6, 0, 0]}, "trust.counts.1. must be a number above 0"),
        ({"counts": [2, 3, 10**9]}, "a model file holds up to 100,000"),
        ({"wavelengths": [2000.0]}, "trust.wavelengths must have 12 entries"),
        ({"wavelengths": [2000.0] * 12}, "description.trust is none"),
        ({"units": 6}, r"'trust.0.weight' must be \(12, 6\), found \(12, 5\)"),
        ({"temperature": 0.0}, "trust.temperature must be above 0"),
        ({"temperature": "hot"}, "trust.temperature must be a number"),
        ({"more": 1}, "trust.more is unknown"),
    ],
)
def test_descriptions_that_do_not_fit(parts, change, message):
    description, tensors = parts
    description["trust"] |= change
    with pytest.raises(DataFormatError, match=message):
        build_model(description, tensors)


@pytest.mark.parametrize("key", ["records", "0.weight", "0.bias", "1.weight", "1.bias"])
def test_arrays_that_do_not_fit(parts, key):
    description, tensors = parts
    good = tensors[f"trust.{key}"]
    for bad in (None, good[:1], good[..., None], good * np.float32(np.nan), good.astype(int)):
        tensors = dict(parts[1])
        del tensors[f"trust.{key}"]
        if bad is not None:
            tensors[f"trust.{key}"] = bad
        if bad is None or bad.shape != good.shape or bad.dtype.kind == "i" or np.isnan(bad).any():
            with pytest.raises(DataFormatError, match=f"trust.{key}"):
                build_model(description, tensors)


def test_arrays_that_nobody_speaks_of(parts):
    description, tensors = parts
    del description["trust"]
    with pytest.raises(DataFormatError, match="does not speak of the array 'trust"):
        build_model(description, tensors)


def test_numbers_that_end_in_infinity(parts):
    description, tensors = parts
    tensors["trust.0.weight"] = np.full((12, 5), 3e38, "f4")
    tensors["trust.1.weight"] = np.tile(np.array([[3e38], [-3e38]], "f4"), (3, 1))[:5]
    with pytest.raises(DataFormatError, match=r"description\.trust"):
        build_model(description, tensors)


def test_too_many_records_are_not_saved(model, tmp_path, monkeypatch):
    monkeypatch.setattr(_limits, "MAX_RECORDS", 5)
    with pytest.raises(ValueError, match=r"cannot be saved: description\.trust\.counts has 6"):
        save_model(model, tmp_path / "m.capoz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "make", [compile_pipeline, lambda model: quantize(model, np.tile(X, (5, 1)))]
)
def test_it_goes_along_into_another_form_of_the_model(model, make):
    assert make(model).trust_ is model.trust_
