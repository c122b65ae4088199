"""What a scene teaches: names by matching, as often as they weigh, and only shapes of the scene."""

import numpy as np
import pandas as pd
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline

from sklearn_capoz import FieldTrainedClassifier
from sklearn_capoz.datasets import load_usgs_minerals, make_field_spectra
from sklearn_capoz.estimators import _scene_lessons
from sklearn_capoz.estimators._field_library import FieldLibrary
from sklearn_capoz.estimators._scene_lessons import draw_lessons
from sklearn_capoz.spectral import ContinuumRemoval, SpectralMatcher, SpectrumStandardizer

TABLE = load_usgs_minerals()
BANDS = (TABLE.wavelengths >= 2000) & (TABLE.wavelengths < 2500)
MINERALS = TABLE.target_names[TABLE.target]
ROWS = np.isin(MINERALS, ["Alunite", "Calcite", "Muscovite"])
NM, X, Y = TABLE.wavelengths[BANDS], TABLE.data[ROWS][:, BANDS], MINERALS[ROWS]
LIBRARY = FieldLibrary(X, Y, np.arange(len(Y)), NM)
CALCITE, MUSCOVITE = (X[name == Y][0] for name in ("Calcite", "Muscovite"))


def test_names_are_those_of_matching_and_pixels_are_the_scenes():
    made, _, _ = make_field_spectra(X, Y, wavelengths=NM, n_samples=300, random_state=0)
    drawn, names = draw_lessons(LIBRARY, made, 2000, np.random.RandomState(0))
    assert drawn.shape == (2000, 50)
    assert {row.tobytes() for row in drawn} <= {row.tobytes() for row in made}
    matched = SpectralMatcher(wavelengths=NM).fit(X, Y)
    likely = matched.predict_proba(drawn)[np.arange(2000), np.searchsorted(matched.classes_, names)]
    assert likely.min() >= _scene_lessons.LEAST_LIKELY
    assert (matched.predict(drawn) == names).mean() > 0.9


@pytest.mark.parametrize(("balance", "ratio"), [(0.0, 16), (0.5, 4), (1.0, 1)])
def test_balance_says_how_rare_minerals_count(monkeypatch, balance, ratio):
    monkeypatch.setattr(_scene_lessons, "BALANCE", balance)
    pixels = np.array([CALCITE] * 160 + [MUSCOVITE] * 10)
    _, names = draw_lessons(LIBRARY, pixels, 20_000, np.random.RandomState(0))
    found = (names == "Calcite").sum() / (names == "Muscovite").sum()
    assert found == pytest.approx(ratio, rel=0.1)


def test_of_many_classes_the_best_is_a_candidate():
    """With 40 classes alike none has the least likelihood."""
    rng = np.random.RandomState(0)
    many = np.tile(CALCITE, (40, 1)) + 1e-4 * rng.standard_normal((40, 50))
    library = FieldLibrary(many, np.arange(40), np.arange(40), NM)
    pixels = 0.5 * CALCITE[None]
    drawn, names = draw_lessons(library, pixels, 10, rng)
    assert drawn.shape == (10, 50)
    assert set(names) <= set(range(40))


def shifted(**settings):
    inner = make_pipeline(
        ContinuumRemoval(NM),
        SpectrumStandardizer(),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1),
    )
    return FieldTrainedClassifier(
        inner, wavelengths=NM, n_samples=300, cv=None, random_state=0, **settings
    )


def test_a_scene_changes_the_model_and_its_pixels_have_to_fit():
    pixels, y, _ = make_field_spectra(X, Y, wavelengths=NM, n_samples=300, random_state=3)
    plain, taught = shifted().fit(X, Y), shifted(scene_pixels=pixels).fit(X, Y)
    assert not np.array_equal(plain.predict_proba(X), taught.predict_proba(X))
    assert taught.score(pixels, y) > 0.8
    frame = pd.DataFrame(X, columns=[f"{nm:g}" for nm in NM])
    named = shifted(scene_pixels=pixels).fit(frame, Y)
    np.testing.assert_array_equal(named.predict(frame), taught.predict(X))
    with pytest.raises(ValueError, match="scene_pixels has 3 bands, and X has 50"):
        shifted(scene_pixels=pixels[:, :3]).fit(X, Y)
    with pytest.raises(ValueError, match="scene_pixels contains NaN"):
        shifted(scene_pixels=np.full((2, 50), np.nan)).fit(X, Y)
    with pytest.raises(ValueError, match="scene_noise must be a number of at least 0"):
        shifted(scene_noise=[0.1]).fit(X, Y)


def test_noise_of_a_scene_is_in_the_made_spectra():
    noise = np.where(NM < 2250, 0, 0.2)
    quiet = {"wavelengths": NM, "shift": "mild", "n_samples": 600, "random_state": 0}
    plain, _, _ = make_field_spectra(X, Y, **quiet)
    noisy, _, _ = make_field_spectra(X, Y, noise=noise, **quiet)
    relative = (noisy / plain - 1).std(axis=0)
    assert relative[NM < 2250].max() < 1e-9  # the shift has more there
    assert relative[NM >= 2250].min() > 0.15
    turned = FieldLibrary(X[:, ::-1], Y, np.arange(len(Y)), NM[::-1], noise=noise[::-1])
    back, _ = turned.make("mild", 600, np.random.RandomState(0))
    np.testing.assert_allclose(back[:, ::-1], noisy)
