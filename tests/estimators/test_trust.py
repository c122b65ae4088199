"""Trust: what its numbers are, by hand; what is refused, and what keeps its name."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline

from sklearn_capoz import FieldTrainedClassifier
from sklearn_capoz.datasets import (
    CUPRITE_MINERALS,
    load_usgs_backgrounds,
    load_usgs_minerals,
    make_field_spectra,
)
from sklearn_capoz.estimators import TRUST_LAYERS, FieldTrust
from sklearn_capoz.estimators._field_library import FieldLibrary
from sklearn_capoz.estimators._likeness import learn_likeness
from sklearn_capoz.estimators._trust import best_temperature, calibrate
from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.spectral import ContinuumRemoval, SpectralMatcher, SpectrumStandardizer

TABLE = load_usgs_minerals()
MINERALS = TABLE.target_names[TABLE.target]
SEVEN = np.isin(MINERALS, CUPRITE_MINERALS)
BANDS = (TABLE.wavelengths >= 2000) & (TABLE.wavelengths < 2500)
NM, X, Y = TABLE.wavelengths[BANDS], TABLE.data[SEVEN][:, BANDS], MINERALS[SEVEN]
INNER = make_pipeline(
    ContinuumRemoval(NM),
    SpectrumStandardizer(),
    LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1),
)


def by_hand(bias=0.0, **settings):
    """Two records of one class and one of another; a network that answers its bias."""
    network = DenseNetwork(
        (np.zeros((50, 2), "f4"), np.zeros((2, 1), "f4")),
        (np.zeros(2, "f4"), np.full(1, bias, "f4")),
        ("relu",),
        "logistic",
    )
    given = {"network": network, "temperature": 1.0, "least_likeness": 0.5, **settings}
    return FieldTrust(X[:3], [2, 1], NM, **given)


@pytest.fixture(scope="module")
def fitted():
    model = FieldTrainedClassifier(
        INNER, wavelengths=NM, fwhm=10.0, n_samples=2000, cv=2, random_state=0
    )
    return model.fit(X, Y)


def test_the_numbers_are_what_they_are_called():
    trust = by_hand(bias=np.log(3), temperature=2.0)
    found = trust.measure(X[:3], [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    assert found.dtype == np.float32
    # Roots of 0.9 and 0.1 are as 3 to 1, those of 0.2 and 0.8 as 1 to 2.
    np.testing.assert_allclose(found[:, 0], [3 / 4, 2 / 3, 1 / 2], rtol=1e-6)
    np.testing.assert_allclose(found[:, 1], [1 / 2, 1 / 3, 0], atol=1e-6)
    matched = SpectralMatcher(wavelengths=NM).fit(X[:3], [0, 0, 1]).predict_proba(X[:3])
    np.testing.assert_allclose(found[:, 2], matched[[0, 1, 2], [0, 1, 0]], rtol=1e-5)
    np.testing.assert_allclose(found[:, 3], 3 / 4, rtol=1e-6)


def test_temperature_undoes_what_a_model_exaggerates():
    rng = np.random.RandomState(0)
    true = rng.dirichlet(np.ones(4), 20_000)
    codes = np.array([rng.choice(4, p=p) for p in true])
    sure = true**3 / (true**3).sum(axis=1, keepdims=True)
    assert best_temperature(sure, codes) == pytest.approx(3, rel=0.05)
    np.testing.assert_allclose(calibrate(sure, 3.0), true, atol=1e-12)
    # One answer that is sure and wrong does not decide it all.
    sure[0], codes[0] = [0, 0, 0, 1], 0
    assert best_temperature(sure, codes) == pytest.approx(3, rel=0.1)


def test_a_spectrum_without_absorption_is_like_nothing():
    trust = by_hand(bias=5.0)
    lines = np.array([np.full(50, 0.3), np.linspace(0.2, 0.4, 50), np.linspace(0.9, 0.1, 50)])
    for dtype in ("f4", "f8"):
        assert trust.likeness(lines.astype(dtype)).tolist() == [0, 0, 0]
    assert not trust.accepts(lines).any()
    assert trust.accepts(X).all()
    assert not by_hand(bias=-0.1).accepts(X).any()
    assert by_hand(bias=0.0).accepts(X).all()  # at least as much is enough


def test_spectra_below_zero_have_numbers_all_the_same():
    dark = np.where(np.arange(50) % 7, 0.001, -0.001)[None] * np.ones((3, 1))
    found = by_hand().measure(dark, np.full((3, 2), 0.5))
    assert np.isfinite(found).all()


def test_others_are_refused_and_the_library_is_not(fitted):
    trust = fitted.trust_
    known, _, _ = make_field_spectra(X, Y, wavelengths=NM, n_samples=700, random_state=9)
    assert trust.accepts(known).mean() > 0.9
    rng = np.random.RandomState(0)
    flat = 0.3 * (1 + 0.02 * rng.standard_normal((300, 50)))
    sloped = np.linspace(0.2, 0.4, 50) * (1 + 0.02 * rng.standard_normal((300, 50)))
    dark = 0.004 * rng.standard_normal((300, 50))
    for others in (flat, sloped, dark):
        assert trust.accepts(others).mean() < 0.1
    grounds = load_usgs_backgrounds()
    there = np.array([np.interp(NM, grounds.wavelengths, r) for r in grounds.data])
    there = there[np.isfinite(there).all(axis=1)]
    assert not trust.accepts(there).any()


def test_the_scene_shows_how_its_ground_looks():
    rng = np.random.RandomState(0)
    residual = np.exp(0.05 * np.sin(NM / 12))  # that of the calibration, which nobody simulates
    ground, _, _ = make_field_spectra(X, Y, wavelengths=NM, n_samples=700, random_state=5)
    flat = 0.3 * (1 + 0.02 * rng.standard_normal((300, 50)))
    library = FieldLibrary(X, Y, np.arange(len(Y)), NM)
    alone = learn_likeness(library, 2000, np.random.RandomState(0))
    taught = replace(library, pixels=np.vstack([ground[::2] * residual, flat[::2] * residual]))
    taught = learn_likeness(taught, 2000, np.random.RandomState(0))
    there, others = ground[1::2] * residual, flat[1::2] * residual
    assert (taught(there) > 0.5).mean() > (alone(there) > 0.5).mean() + 0.02
    assert (taught(others) > 0.5).mean() < 0.2
    # Of a scene without any of the library nothing is learnt.
    nowhere = replace(library, pixels=np.linspace(0.2, 0.4, 50)[None])
    nowhere = learn_likeness(nowhere, 2000, np.random.RandomState(0))
    np.testing.assert_array_equal(nowhere(ground), alone(ground))


def test_samples_that_were_held_out_temper_the_probabilities(fitted):
    assert 1 < fitted.trust_.temperature < 10  # on what it was trained on the model is surer
    assert fitted.trust_.least_likeness == 0.5


def test_the_table_has_the_rows_and_names_that_are_asked_for(fitted):
    frame = pd.DataFrame(
        X, columns=[f"{nm:g}" for nm in NM], index=[f"r{i}" for i in range(len(X))]
    )
    with pytest.warns(UserWarning, match="feature names"):
        table = fitted.trust(frame)
    assert list(table.columns) == list(TRUST_LAYERS)
    assert list(table.index) == list(frame.index)
    assert ((table >= 0) & (table <= 1)).all(axis=None)


def test_a_copy_says_the_same(fitted):
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.trust(X), fitted.trust(X))
    assert repr(copy.trust_).startswith("FieldTrust(13 records of 7 classes, temperature=")


def test_bands_in_another_order_change_nothing(fitted):
    turned = FieldTrust(
        fitted.trust_.records[:, ::-1],
        fitted.trust_.counts,
        NM[::-1],
        network=fitted.trust_.network,
        temperature=1.0,
        least_likeness=0.5,
    )
    assert turned.measure(X[:, ::-1], np.full((len(X), 7), 1 / 7)).shape == (len(X), 4)


def test_without_held_out_samples_or_probabilities_there_is_no_trust():
    class Silent(LinearDiscriminantAnalysis):
        predict_proba = property(doc="not there")

    inner = make_pipeline(ContinuumRemoval(NM), SpectrumStandardizer(), Silent())
    model = FieldTrainedClassifier(inner, wavelengths=NM, n_samples=140, cv=2, random_state=0)
    for one in (model, FieldTrainedClassifier(INNER, wavelengths=NM, n_samples=140, cv=None)):
        assert one.fit(X, Y).trust_ is None
        with pytest.raises(AttributeError, match="has learnt no trust"):
            one.trust(X)
