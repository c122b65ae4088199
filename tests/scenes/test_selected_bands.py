"""A model that keeps some bands of a sensor maps scenes by wavelength, as every other does."""

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_capoz.deploy import load_model, predict_scene, save_model
from sklearn_capoz.spectral import BandSelector, SpectralAbsorptionIndex

NM = np.arange(1990.0, 2481, 10)
KEPT = NM[(NM >= 2100) & (NM <= 2400)]
INDEX = SpectralAbsorptionIndex(KEPT, half_widths=60)


def spectra(nm, n_samples=60):
    """Two classes that differ by the place of an absorption."""
    random = np.random.RandomState(0)
    centre = np.where(np.arange(n_samples) % 2, 2160, 2320)[:, None]
    depth = random.uniform(0.2, 0.5, (n_samples, 1))
    return 0.5 * (1 - depth * np.exp(-(((nm - centre) / 30) ** 2))), centre[:, 0]


@pytest.fixture(scope="module", params=["alone", "before the index"])
def model(request):
    X, y = spectra(NM)
    selector = BandSelector([(2100, 2400)], wavelengths=NM / 1000)
    steps = [selector] if request.param == "alone" else [selector, INDEX]
    mlp = MLPClassifier((8,), solver="lbfgs", random_state=0)
    return make_pipeline(*steps, StandardScaler(), mlp).fit(X, y)


@pytest.mark.parametrize("stored", [False, True])
def test_any_scene_that_has_the_kept_bands(model, stored, tmp_path):
    if stored:
        save_model(model, tmp_path / "m.capoz")
        model = load_model(tmp_path / "m.capoz")
    expected = model.predict(spectra(NM)[0])
    np.testing.assert_array_equal(expected, spectra(NM)[1])
    wide = np.arange(1200.0, 2600, 10)
    for nm in (NM, NM[::-1], wide, KEPT):
        found = predict_scene(model, spectra(nm)[0].reshape(6, 10, -1), wavelengths=nm)
        labels = np.array(found.class_names)[found.codes].ravel()
        np.testing.assert_array_equal(labels, expected.astype(str))


def test_a_scene_without_the_kept_bands_is_refused(model):
    cube = spectra(NM)[0].reshape(6, 10, -1)
    with pytest.raises(ValueError, match="have no good band of the scene"):
        predict_scene(model, cube, wavelengths=NM - 1000)


def test_double_and_numbered_bands():
    X, y = spectra(NM)
    twice = np.append(NM, NM[20])
    pipeline = make_pipeline(BandSelector([(2100, 2400)], wavelengths=twice), GaussianNB())
    pipeline.fit(np.column_stack([X, X[:, 20]]), y)
    found = predict_scene(pipeline, X[:, ::-1].reshape(6, 10, -1), wavelengths=NM[::-1])
    np.testing.assert_array_equal(np.array(found.class_names)[found.codes].ravel(), y.astype(str))
    by_number = make_pipeline(BandSelector(wavelengths="index"), GaussianNB()).fit(X, y)
    with pytest.raises(ValueError, match="the model knows no wavelengths_"):
        predict_scene(by_number, X[:, :9].reshape(6, 10, -1), wavelengths=NM[:9])
