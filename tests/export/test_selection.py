"""A network of some inputs in files, graphs, C and integers: they select what it takes."""

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier
from sklearn_capoz.deploy import (
    compile_pipeline,
    device_report,
    load_model,
    quantize,
    save_model,
    to_onnx,
)  # fmt: skip
from sklearn_capoz.export._parts import take_apart
from sklearn_capoz.export._selection import needed_columns
from sklearn_capoz.schedules import Widths
from sklearn_capoz.spectral import (
    BandSelector,
    ContinuumRemoval,
    SpectralAbsorptionIndex,
    SpectrumStandardizer,
)  # fmt: skip

NM = np.linspace(2000, 2400, 24)


def samples():
    """Reflectances of spectra with one absorption each, and their class."""
    random = np.random.RandomState(0)
    y = np.arange(150) % 3
    dips = random.uniform(0.1, 0.5, (150, 1)) * np.exp(
        -(((NM - 2100 - 100 * y[:, None]) / 30) ** 2)
    )
    X = random.uniform(0.3, 0.6, (150, 1)) * (1 - dips) + random.normal(0, 0.002, dips.shape)
    return X.astype(np.float32), np.array(["alunite", "calcite", "kaolinite"])[y]


STEPS = {
    "alone": [],
    "scaled": [StandardScaler()],
    "scaled twice": [MinMaxScaler(), StandardScaler()],
    "selected": [BandSelector([(2050, 2350)], wavelengths=NM), StandardScaler()],
    "index": [SpectralAbsorptionIndex(NM, half_widths=60), StandardScaler()],
    "standardized": [SpectrumStandardizer()],
    "hull": [ContinuumRemoval(NM), StandardScaler()],
}


def network(**parameters):
    return PrunedMLPClassifier(
        (8,), prune_inputs=True, criterion="reconstruction", schedule=Widths([(7, 6)]),
        keep="last", max_iter=30, retrain_max_iter=5, random_state=0, **parameters,
    )  # fmt: skip


@pytest.fixture(scope="module", params=STEPS)
def model(request):
    X, y = samples()
    return make_pipeline(*STEPS[request.param], network()).fit(X, y), X


def test_the_choice_stands_where_it_is_exact(model):
    fitted, X = model
    steps, _, classifier = take_apart(fitted)
    kinds = [type(step).__name__ for _, step in steps]
    assert classifier.n_features_in_ == 7
    whole = [kind for kind in kinds if kind not in ("StandardScaler", "MinMaxScaler")]
    assert whole[-1] == "BandSelector"
    assert whole == kinds[: len(whole)]  # scalers are behind it, for seven columns
    assert all(step.n_features_in_ == 7 for _, step in steps[len(whole) :])
    features = X
    for _, step in steps:
        features = step.transform(features)
    assert_allclose(classifier.predict_proba(features), fitted.predict_proba(X), atol=1e-6)


def test_files_and_compiled(model, tmp_path):
    fitted, X = model
    expected = fitted.predict_proba(X)
    save_model(fitted, tmp_path / "m.capoz")
    loaded = load_model(tmp_path / "m.capoz")
    assert_allclose(loaded.predict_proba(X), expected, atol=1e-6)
    assert_array_equal(loaded.predict(X), fitted.predict(X))
    assert loaded.history_["n_inputs"].tolist() == [
        fitted[-1].history_["n_inputs"].iloc[0], 7,
    ]  # fmt: skip
    save_model(loaded, tmp_path / "again.capoz")
    assert_array_equal(
        load_model(tmp_path / "again.capoz").predict_proba(X), loaded.predict_proba(X)
    )
    joblib.dump(fitted, tmp_path / "m.joblib")
    assert_array_equal(joblib.load(tmp_path / "m.joblib").predict_proba(X), expected)
    compiled = compile_pipeline(fitted)
    assert_allclose(compiled.predict_proba(X), expected, atol=1e-4)


def test_onnx(model, tmp_path):
    pytest.importorskip("onnxruntime")
    fitted, X = model
    if any(isinstance(step, ContinuumRemoval) for step in fitted.named_steps.values()):
        pytest.skip("a hull has no operator")
    to_onnx(fitted, tmp_path / "m.onnx", X_check=X)  # compares


def test_integers_and_c(model):
    fitted, X = model
    quantized = quantize(fitted, X)
    assert (quantized.predict(X) == fitted.predict(X)).mean() > 0.97
    for estimator in (fitted, quantized):
        report = device_report(estimator, X)
        assert report.agreement in (None, 1.0)


@pytest.mark.parametrize("whiten", [False, True])
def test_components_that_nobody_takes_are_not_computed(tmp_path, whiten):
    X, y = samples()
    X = X.astype(np.float64)
    steps = [PCA(10, whiten=whiten, random_state=0), StandardScaler()]
    fitted = make_pipeline(*steps, network()).fit(X, y)
    taken, _, classifier = take_apart(fitted)
    assert [type(step).__name__ for _, step in taken] == ["PCA", "StandardScaler"]
    assert taken[0][1].n_components_ == classifier.n_features_in_ == 7
    assert fitted[0].n_components_ == 10
    compiled = compile_pipeline(fitted)  # into the first layer, as without a choice
    assert compiled.network.n_features == X.shape[1]
    assert_allclose(compiled.predict_proba(X), fitted.predict_proba(X), atol=1e-9)
    save_model(fitted, tmp_path / "m.capoz")
    assert_allclose(
        load_model(tmp_path / "m.capoz").predict_proba(X), fitted.predict_proba(X), atol=1e-9
    )


def test_a_table_keeps_its_names(tmp_path):
    X, y = samples()
    table = pd.DataFrame(X, columns=[f"band {nm:.0f}" for nm in NM])
    fitted = make_pipeline(StandardScaler(), network()).fit(table, y)
    save_model(fitted, tmp_path / "m.capoz")
    loaded = load_model(tmp_path / "m.capoz")
    assert_array_equal(loaded.predict(table), fitted.predict(table))
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(table.rename(columns={"band 2000": "other"}))


def test_a_pruner_of_any_estimator(tmp_path):
    X, y = samples()
    inner = PrunedMLPClassifier((8,), max_iter=20, random_state=0)
    pruner = CAPoZPruner(
        inner, prune_inputs=True, criterion="taylor", schedule=Widths([(7, 6)]), keep="last",
        retrain_max_iter=3, random_state=0,
    ).fit(X, y)  # fmt: skip
    save_model(pruner, tmp_path / "m.capoz")
    assert_array_equal(load_model(tmp_path / "m.capoz").predict(X), pruner.predict(X))


def test_what_a_local_index_looks_at():
    index = SpectralAbsorptionIndex(NM, bands=[2200], half_widths=60, shoulder_bands=1,
                                    centre_bands=3).fit(np.ones((1, 24)))  # fmt: skip
    needed = needed_columns([index], 24)
    centre = np.abs(NM - 2200).argmin()
    expected = [np.abs(NM - NM[centre] - nm).argmin() for nm in (-60, 60)]
    assert np.flatnonzero(needed).tolist() == sorted([*expected, centre - 1, centre, centre + 1])
    every = SpectralAbsorptionIndex(NM, half_widths=(40, 60), attenuation=30)
    every.fit(np.ones((1, 24)))
    wanted = np.zeros(24, dtype=bool)
    wanted[11] = True
    X = samples()[0].astype(np.float64)
    needed = needed_columns([every], 24, wanted)
    changed = np.where(needed, X, 0.7)
    assert_array_equal(every.transform(changed)[:, 11], every.transform(X)[:, 11])
    assert 3 < needed.sum() < 24
    hull = SpectralAbsorptionIndex(NM, shoulders="hull").fit(np.ones((1, 24)))
    assert needed_columns([hull], 24, wanted).all()
