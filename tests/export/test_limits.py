"""The limits of a model file hold at both ends: what is saved opens, what is refused is cheap."""

import json
import tracemalloc
from itertools import product

import numpy as np
import pandas as pd
import pytest
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from sklearn_capoz import spectral
from sklearn_capoz.deploy import CompiledClassifier, load_model, save_model
from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.export import _limits
from sklearn_capoz.networks import DenseNetwork


def network_of(n_features, n_classes):
    rng = np.random.RandomState(0)
    weights = (rng.randn(n_features, n_classes).astype("f") / n_features,)
    return DenseNetwork(weights, (np.zeros(n_classes, "f"),), ())


def behind(step, n_bands, n_classes=3):
    """Pipeline of a step fitted to `n_bands`, and a network that takes what it gives."""
    n_outputs = step.fit_transform(np.ones((1, n_bands))).shape[1]
    classes = [f"class {i}" for i in range(n_classes)]
    return make_pipeline(step, CompiledClassifier(network_of(n_outputs, n_classes), classes))


@pytest.mark.parametrize("kind", ["SpectralAbsorptionIndex", "ContinuumRemoval", "BandSelector"])
def test_many_bands_are_saved_and_loaded(path, kind):
    """12,000 bands were saved once, and then refused."""
    model = behind(getattr(spectral, kind)(wavelengths=np.linspace(400, 2500, 12_000)), 12_000)
    save_model(model, path)
    X = np.random.RandomState(0).uniform(0.2, 0.8, (3, 12_000))
    np.testing.assert_array_equal(load_model(path).predict_proba(X), model.predict_proba(X))


def many_bands():
    n = _limits.MAX_BANDS + 1
    return behind(spectral.ContinuumRemoval(np.linspace(400, 2500, n)), n), f"{n:,} bands"


def long_label():
    classes = ["a" * (_limits.MAX_LETTERS + 1), "b"]
    return CompiledClassifier(network_of(3, 2), classes), "1,001 letters"


def many_long_labels():
    classes = sorted(f"{i:_>1000}" for i in range(10_001))
    return CompiledClassifier(network_of(2, 10_001), classes), "10,001,000 letters"


def long_name():
    names = ["a", "n" * 2000]
    return CompiledClassifier(network_of(2, 2), ["a", "b"], feature_names=names), "2,000 letters"


def long_history():
    history = pd.DataFrame({"loss": np.arange(500_001)})
    return CompiledClassifier(network_of(2, 2), ["a", "b"], history=history), "values"


@pytest.mark.parametrize(
    "make", [many_bands, long_label, many_long_labels, long_name, long_history]
)
def test_what_load_model_refuses_is_not_saved(path, models, make):
    save_model(models["mlp"][0], path)
    before = path.read_bytes()
    model, what = make()
    with pytest.raises(ValueError, match=f"cannot be saved: .*{what}; a model file holds up to"):
        save_model(model, path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_one_class_is_saved_and_loaded(path):
    X = np.random.RandomState(0).rand(20, 3)
    mlp = MLPClassifier((4,), tol=1, random_state=0).fit(X, ["only"] * 20)
    save_model(mlp, path)
    np.testing.assert_array_equal(load_model(path).predict(X), mlp.predict(X))


def test_shoulders_wider_than_the_spectrum_end_with_it(path):
    """Once they took an array as long as they were wide."""
    nm = np.arange(2000.0, 2400, 10)
    X = np.random.RandomState(0).uniform(0.2, 0.8, (5, len(nm)))
    indices = [
        spectral.SpectralAbsorptionIndex(nm, shoulder_bands=n, centre_bands=m).fit_transform(X)
        for n, m in product((2 * len(nm) + 1, 10**18 + 1), (1, 10**30 + 1))
    ]
    np.testing.assert_array_equal(indices[0], indices[2])
    np.testing.assert_array_equal(indices[1], indices[3])
    save_model(behind(spectral.SpectralAbsorptionIndex(nm, shoulder_bands=10**18 + 1), 40), path)
    load_model(path)


def set_classes(description, tensors):
    """One label of four million letters beside 199 short ones: 3.2 GB as an array."""
    labels = sorted([f"{i:03}" for i in range(199)] + ["z" * 4_000_000])
    description["classes"] = {"type": "str", "values": labels}


def set_parameter(name, value):
    def change(description, tensors):
        description["steps"][0]["parameters"][name] = value

    return change


def many_arrays(description, tensors):
    tensors |= {f"extra.{i}": np.zeros(0, "f") for i in range(100_000)}


def deep(description, tensors):
    value = []
    for _ in range(200):
        value = [value]
    description["versions"] = {"a": value}


HOSTILE = {
    "label": set_classes,
    "ranges": set_parameter("ranges", [[float(i), i + 0.5] for i in range(200_000)]),
    "half widths": set_parameter("half_widths", [40.0 + i / 1e6 for i in range(40_000)]),
    "shoulders": set_parameter("shoulder_bands", 10**18 + 1),
    "shoulders out of machine numbers": set_parameter("shoulder_bands", 10**30 + 1),
    "bands": set_parameter("bands", [2100.0] * 200_000),
    "names": lambda d, _: d.update(feature_names=["a"] * 450_000),
    "history": lambda d, _: d.update(history={"a": [1] * 450_000, "b": []}),
    "arrays": many_arrays,
    "deep": deep,
    "many bands": lambda d, _: d["steps"][0].update(n_features_in=10**9),
    "features": set_parameter("features", {f"{i}": [2000, 2400] for i in range(19_000)}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_small_hostile_file_takes_no_memory(models, path, model_file, name):
    """Megabytes and moments, where some took gigabytes and minutes."""
    kind = {"ranges": "BandSelector", "features": "AbsorptionFeatures"}.get(name)
    model = models["absorption"][0]
    if kind is not None:
        model = behind(getattr(spectral, kind)(wavelengths=np.linspace(2000, 2400, 200)), 200)
    save_model(model, path)
    description, tensors = model_file(path).read()
    HOSTILE[name](description, tensors)
    model_file(path).write(description, tensors)
    tracemalloc.start()
    try:
        if name.startswith("shoulders"):  # harmless by now
            load_model(path)
        else:
            with pytest.raises(DataFormatError):
                load_model(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * path.stat().st_size + 50_000_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, t: t["steps.0.scale_"].fill(0), "scale_ must be above 0"),
        (lambda d, t: t["network.0.weight"].fill(3e38), "the probabilities are no numbers"),
        (lambda d, t: t["steps.0.mean_"].fill(1e308), "give no numbers|are no numbers"),
        (lambda d, t: d.update(wavelengths=[float("inf")] * 24), r"wavelengths\[0\] must be a num"),
        (lambda d, t: d["versions"].update(a=float("nan")), r"versions\.a must be a number"),
    ],
)
def test_numbers_that_lead_to_none_are_refused(small, model_file, change, message):
    path, description, tensors = small
    tensors = {key: array.copy() for key, array in tensors.items()}
    change(description, tensors)
    model_file(path).write(description, tensors)
    with pytest.raises(DataFormatError, match=message):
        load_model(path)


def test_a_file_of_a_newer_version_says_so(small, model_file):
    path, description, tensors = small
    description["steps"][0]["class"] = "Smoother"
    model_file(path).write(description, tensors)
    with pytest.raises(DataFormatError) as caught:
        load_model(path)
    assert "update it" not in str(caught.value)
    description["versions"]["sklearn_capoz"] = "9.1.0"
    model_file(path).write(json.loads(json.dumps(description)), tensors)
    with pytest.raises(DataFormatError, match=r"written by sklearn_capoz 9\.1\.0, this is .*: upd"):
        load_model(path)
