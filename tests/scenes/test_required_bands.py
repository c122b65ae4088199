"""What a sensor has to measure for a model, and what is read of a scene for it."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.deploy import load_model, predict_scene, required_bands, save_model
from sklearn_capoz.schedules import Widths
from sklearn_capoz.spectral import BandSelector, ContinuumRemoval, SpectralAbsorptionIndex

NM = np.arange(2000.0, 2480, 20)


def samples():
    random = np.random.RandomState(0)
    y = np.arange(120) % 3
    dips = random.uniform(0.2, 0.5, (120, 1)) * np.exp(
        -(((NM - 2100 - 100 * y[:, None]) / 30) ** 2)
    )
    return random.uniform(0.3, 0.6, (120, 1)) * (1 - dips), y


def fit(*steps):
    network = PrunedMLPClassifier(
        (8,), prune_inputs=True, criterion="reconstruction", schedule=Widths([(5, 6)]),
        keep="last", max_iter=30, retrain_max_iter=5, random_state=0,
    )  # fmt: skip
    return make_pipeline(*steps, network).fit(*samples())


@pytest.fixture(scope="module", params=["bands", "index"])
def model(request):
    first = {
        "bands": BandSelector(wavelengths=NM),
        "index": SpectralAbsorptionIndex(NM, half_widths=40, shoulder_bands=1, centre_bands=1),
    }[request.param]
    return fit(first, StandardScaler())


@pytest.mark.parametrize("stored", [False, True])
def test_a_scene_of_those_bands_alone(model, stored, tmp_path):
    needed = required_bands(model, indices=True)
    assert 5 <= len(needed) <= 15
    if stored:
        save_model(model, tmp_path / "m.capoz")
        model = load_model(tmp_path / "m.capoz")
    np.testing.assert_array_equal(required_bands(model), NM[needed])
    cube = samples()[0].reshape(10, 12, -1)
    expected = predict_scene(model, cube, wavelengths=NM).codes
    names = model.classes_[expected - 1].ravel()
    np.testing.assert_array_equal(names, model.predict(samples()[0]))
    found = predict_scene(model, cube[..., needed], wavelengths=NM[needed]).codes
    np.testing.assert_array_equal(found, expected)
    # What is not read may be missing.
    broken = cube.copy()
    broken[..., np.setdiff1d(np.arange(len(NM)), needed)] = np.nan
    np.testing.assert_array_equal(predict_scene(model, broken, wavelengths=NM).codes, expected)
    broken[3, 4, needed[0]] = np.nan
    assert predict_scene(model, broken, wavelengths=NM).codes[3, 4] == 0
    with pytest.raises(ValueError, match="have no good band of the scene"):
        predict_scene(model, cube[..., needed[1:]], wavelengths=NM[needed[1:]], max_band_gap=5)


def test_features_of_the_whole_spectrum_take_all_bands(model):
    cube = samples()[0].reshape(10, 12, -1)
    removal = ContinuumRemoval(NM).fit(samples()[0])
    found = predict_scene(model, cube, wavelengths=NM, features=removal)
    np.testing.assert_allclose(
        found.features.reshape(120, -1), removal.transform(samples()[0]), rtol=1e-5
    )
    plain = predict_scene(model, cube, wavelengths=NM)
    np.testing.assert_array_equal(found.codes, plain.codes)


@pytest.mark.filterwarnings("ignore:bands were matched by position")
def test_by_position():
    model = fit(StandardScaler())
    needed = required_bands(model, indices=True)
    assert len(needed) == 5
    with pytest.raises(ValueError, match="does not know the wavelengths"):
        required_bands(model)
    cube = samples()[0].reshape(10, 12, -1)
    cube[..., np.setdiff1d(np.arange(len(NM)), needed)] = np.nan
    found = predict_scene(model, cube, wavelengths=NM)
    np.testing.assert_array_equal(found.codes.ravel() - 1, model.predict(samples()[0]))


def test_a_hull_takes_all():
    model = fit(ContinuumRemoval(NM), StandardScaler())
    assert model[-1].get_support().sum() == 5
    np.testing.assert_array_equal(required_bands(model), NM)
