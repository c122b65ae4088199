"""What a scene teaches: its own shapes, under likely names, as often as these are likely."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline

from sklearn_capoz import FieldTrainedClassifier
from sklearn_capoz.datasets import load_usgs_minerals, make_field_spectra
from sklearn_capoz.estimators import _scene_lessons
from sklearn_capoz.estimators._field_library import FieldLibrary
from sklearn_capoz.estimators._scene_lessons import add_lessons, draw_lessons
from sklearn_capoz.spectral import ContinuumRemoval, SpectrumStandardizer

TABLE = load_usgs_minerals()
BANDS = (TABLE.wavelengths >= 2000) & (TABLE.wavelengths < 2500)
MINERALS = TABLE.target_names[TABLE.target]
ROWS = np.isin(MINERALS, ["Alunite", "Calcite", "Muscovite"])
NM, X, Y = TABLE.wavelengths[BANDS], TABLE.data[ROWS][:, BANDS], MINERALS[ROWS]
LIBRARY = FieldLibrary(X, Y, np.arange(len(Y)), NM)


def test_pixels_are_drawn_as_often_as_they_are_likely():
    likely = np.array([[0.9, 0.06, 0.04], [0.2, 0.2, 0.6]])
    pixel, code = draw_lessons(likely, 40_000, np.random.RandomState(0))
    counts = np.zeros((2, 3))
    np.add.at(counts, (pixel, code), 1)
    # 0.04 is no candidate; then every column by the root of its sum.
    kept = np.array([[0.9375, 0.0625, 0], [0.2, 0.2, 0.6]])
    expected = kept / np.sqrt(kept.sum(axis=0))
    np.testing.assert_allclose(counts / 40_000, expected / expected.sum(), atol=0.01)


@pytest.mark.parametrize(("balance", "ratio"), [(0.0, 16), (0.5, 4), (1.0, 1)])
def test_balance_says_how_rare_minerals_count(monkeypatch, balance, ratio):
    monkeypatch.setattr(_scene_lessons, "BALANCE", balance)
    likely = np.array([[1, 0]] * 160 + [[0, 1]] * 10)
    _, code = draw_lessons(likely, 20_000, np.random.RandomState(0))
    assert (code == 0).sum() / (code == 1).sum() == pytest.approx(ratio, rel=0.1)


def test_of_many_classes_the_best_is_a_candidate():
    likely = np.full((3, 40), 1 / 40)
    likely[:, 7] = 0.03
    _, code = draw_lessons(likely, 10, np.random.RandomState(0))
    assert (code == 7).all()


def test_names_are_those_of_three_teachers_and_pixels_are_the_scenes():
    made, y, _ = make_field_spectra(X, Y, wavelengths=NM, n_samples=300, random_state=0)
    pixels, right, _ = make_field_spectra(X, Y, wavelengths=NM, n_samples=200, random_state=1)
    library = replace(LIBRARY, pixels=pixels)
    both, names = add_lessons(library, made, y, np.random.RandomState(0))
    assert both.shape == (600, 50)
    np.testing.assert_array_equal(both[:300], made)
    row = {pixel.tobytes(): i for i, pixel in enumerate(pixels)}
    drawn = [row[pixel.tobytes()] for pixel in both[300:]]
    assert (names[300:] == right[drawn]).mean() > 0.85


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


def test_pixels_without_light_teach_nothing():
    pixels, _, _ = make_field_spectra(X, Y, wavelengths=NM, n_samples=300, random_state=3)
    taught = shifted(scene_pixels=pixels).fit(X, Y)
    dark = np.vstack([pixels, -0.01 * np.ones((2, 50)), np.linspace(-0.1, 0.3, 50)])
    with_dark = shifted(scene_pixels=dark).fit(X, Y)
    np.testing.assert_array_equal(with_dark.predict_proba(X), taught.predict_proba(X))
    with pytest.raises(ValueError, match="none of the 3 pixels of scene_pixels is above 0"):
        shifted(scene_pixels=dark[-3:]).fit(X, Y)


def test_the_discriminant_comes_to_know_the_scene():
    settings = {"wavelengths": NM, "n_samples": 600, "shift": "strong"}
    made, y, _ = make_field_spectra(X, Y, random_state=0, **settings)
    pixels, right, _ = make_field_spectra(X, Y, random_state=1, **settings)
    pixels *= np.exp(0.03 * np.random.RandomState(0).standard_normal(50))  # calibration, for all
    named = []
    for n_rounds in (0, 2):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_scene_lessons, "N_ROUNDS", n_rounds)
            likely = _scene_lessons._likely_names(
                replace(LIBRARY, pixels=pixels), made, *np.unique(y, return_inverse=True)[1:],
                np.random.RandomState(0),
            )  # fmt: skip
        named.append((np.unique(y)[likely.argmax(axis=1)] == right).mean())
    assert named[1] > named[0] > 0.6


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
