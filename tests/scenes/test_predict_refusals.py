"""What `predict_scene` refuses before any work."""

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sklearn_capoz.deploy import predict_scene
from sklearn_capoz.exceptions import DataFormatError

pytestmark = pytest.mark.filterwarnings("ignore:bands were matched by position")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"reject_below": 1.5}, ValueError, "above 0 and at most 1, got 1.5"),
        ({"reject_below": 0}, ValueError, "above 0 and at most 1, got 0"),
        ({"reject_below": np.nan}, ValueError, "above 0 and at most 1, got nan"),
        ({"block_rows": 0}, ValueError, "block_rows == 0, must be >= 1"),
        ({"scale": 0}, ValueError, "scale must be a number above 0"),
        ({"resume": True}, ValueError, "resume=True needs an output"),
        ({"output": "map.png"}, ValueError, "must end in .tif or .tiff"),
        ({"output": "nowhere/map.tif"}, FileNotFoundError, "there is no folder nowhere"),
        ({"max_band_gap": -1}, ValueError, "max_band_gap must be at least 0 nm, got -1"),
        ({"max_band_gap": np.nan}, ValueError, "max_band_gap must be at least 0 nm, got nan"),
        ({"features": "model"}, TypeError, "'model' for the first step of a Pipeline"),
        ({"bad_bands": [50]}, ValueError, "bad_bands names band 50"),
        ({"bad_bands": [True] * 50}, ValueError, "no good band: bad_bands names them all"),
        ({"nodata": "a"}, TypeError, "nodata must be an instance of float, not str"),
        ({"scale": "a"}, TypeError, "scale must be an instance of float, not str"),
        ({"n_jobs": "a"}, TypeError, "n_jobs must be an instance of int, not str"),
        ({"wavelengths": "index"}, ValueError, "wavelengths must be one number for each of the 50"),
        ({"wavelengths": [2000.0] * 49}, ValueError, "one value for each of the 50 bands"),
        ({"client": "tcp://here"}, TypeError, "must be a dask.distributed.Client, got str"),
    ],
)
def test_bad_parameters(scene, scene_model, settings, error, message):
    with pytest.raises(error, match=message):
        predict_scene(scene_model, scene.cube, **settings)


@pytest.mark.parametrize(
    ("cube", "error", "message"),
    [
        (np.zeros((3, 4)), DataFormatError, r"must be a cube .* got shape \(3, 4\)"),
        (np.zeros((3, 0, 50)), DataFormatError, "none of them 0"),
        (np.zeros((3, 4, 50), dtype=complex), DataFormatError, "real numbers, got complex128"),
        (np.zeros((3, 4, 50), dtype=int), ValueError, "give it as scale"),
        (np.zeros((3, 4, 49)), ValueError, "takes 50 bands, the scene has 49"),
        (np.full((3, 4, 50), np.nan), DataFormatError, "no pixel of the scene has data"),
        ([[1, 2], [3, 4]], TypeError, "got builtins.list"),
        ("absent.hdr", FileNotFoundError, "no file absent.hdr"),
    ],
)
def test_bad_sources(scene_model, cube, error, message):
    with pytest.raises(error, match=message):
        predict_scene(scene_model, cube)


def test_a_factor_is_no_scale(scene, scene_model):
    stored = np.round(scene.cube * 10_000).astype(np.int16)
    with pytest.raises(ValueError, match=r"got 0\.0001: a factor is its reciprocal, 10000\."):
        predict_scene(scene_model, stored, scale=1e-4)
    predict_scene(scene_model, stored, scale=10_000)


def test_what_is_no_fitted_classifier(scene):
    X, y = scene.cube.reshape(-1, 50), scene.labels.ravel()
    with pytest.raises(ValueError, match="not fitted yet"):
        predict_scene(GaussianNB(), scene.cube)
    with pytest.raises(TypeError, match="LinearSVC has no predict_proba"):
        predict_scene(LinearSVC(max_iter=5, tol=10).fit(X, y), scene.cube, reject_below=0.5)
    with pytest.raises(TypeError, match="no classes_: it is no classifier"):
        predict_scene(LinearRegression().fit(X, y), scene.cube)
    with pytest.raises(TypeError, match="StandardScaler has no predict"):
        predict_scene(StandardScaler().fit(X), scene.cube)


def test_dimensions_of_a_dataarray_must_be_known(scene, scene_model):
    with pytest.raises(DataFormatError, match="exactly one of them named"):
        predict_scene(scene_model, xr.DataArray(scene.cube, dims=("y", "x", "z")))
