import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.deploy import SceneMap, compile_pipeline, predict_scene
from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.spectral import ContinuumRemoval

da = pytest.importorskip("dask.array")
rasterio = pytest.importorskip("rasterio")

pytestmark = pytest.mark.filterwarnings("ignore:bands were matched by position")


class NearestShape(ClassifierMixin, BaseEstimator):
    """Tells spectra apart by their shape alone, and takes numbers of any size."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return self.classes_[np.asarray(X).argmin(axis=1) % len(self.classes_)]


def write_geotiff(path, cube, wavelengths, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", height=cube.shape[0], width=cube.shape[1],
            count=cube.shape[2], dtype=cube.dtype, **settings,
        ) as dataset:  # fmt: skip
            dataset.write(cube.transpose(2, 0, 1))
            for band, wavelength in enumerate(wavelengths, start=1):
                tags = {"wavelength": f"{wavelength / 1000:.7f}", "wavelength_units": "Micrometers"}
                dataset.update_tags(band, **tags)
    return path


@pytest.mark.parametrize("interleave", ["bip", "bil", "bsq"])
@pytest.mark.parametrize("byteorder", [0, 1])
@pytest.mark.parametrize("dtype", ["int16", "float32", "float64"])
def test_envi_files_of_every_layout(
    write_envi, scene, scene_model, expected, interleave, byteorder, dtype
):
    header = {"reflectance scale factor": 10000} if dtype == "int16" else {}
    cube = (scene.cube * 10000).round() if dtype == "int16" else scene.cube
    path = write_envi(cube.astype(dtype), interleave=interleave, byteorder=byteorder, **header)
    found = predict_scene(scene_model, path, block_rows=5)
    if dtype == "int16":
        rounded = scene_model.predict(cube.reshape(-1, 50).astype("int16") / np.float32(10000))
        expected = (np.searchsorted(scene_model.classes_, rounded) + 1).reshape(34, 26)
    np.testing.assert_array_equal(found.codes, expected)


def test_arrays_of_every_kind(tmp_path, scene, scene_model, expected):
    np.save(tmp_path / "cube.npy", scene.cube)
    turned = xr.DataArray(
        scene.cube.transpose(2, 0, 1),
        dims=("wavelength", "y", "x"),
        coords={"wavelength": ("wavelength", scene.wavelengths / 1000, {"units": "um"})},
    )
    sources = {
        "array": scene.cube,
        "fortran order": np.asfortranarray(scene.cube),
        "memmap": np.load(tmp_path / "cube.npy", mmap_mode="r"),
        "xarray": turned,
        "dask": da.from_array(scene.cube, chunks=(7, 26, 20)),
        "xarray of dask": turned.chunk({"y": 10}),
        "tif": write_geotiff(tmp_path / "cube.tif", scene.cube, scene.wavelengths),
        "tiled tif": write_geotiff(
            tmp_path / "tiled.tif", scene.cube, scene.wavelengths, tiled=True, blockxsize=16,
            blockysize=16, interleave="band", compress="deflate",
        ),
    }  # fmt: skip
    for name, source in sources.items():
        found = predict_scene(scene_model, source, block_rows=5, n_jobs=2)
        np.testing.assert_array_equal(found.codes, expected, err_msg=name)


@pytest.mark.parametrize("dims", [("x", "y", "wavelength"), ("longitude", "wavelength", "lat")])
def test_an_array_with_x_before_y_is_not_mapped_on_its_side(scene, scene_model, expected, dims):
    x, y = (name for name in dims if name != "wavelength")
    place = {
        x: 500_000 + 3.0 * np.arange(26),
        y: 4_000_000 - 3.0 * np.arange(34),
        "wavelength": scene.wavelengths,
    }
    upright = xr.DataArray(scene.cube, dims=(y, x, "wavelength"), coords=place)
    found = predict_scene(scene_model, upright.transpose(*dims))
    np.testing.assert_array_equal(found.codes, expected)
    assert found.transform == (3.0, 0.0, 499_998.5, 0.0, -3.0, 4_000_001.5)


def test_names_colours_counts_and_probabilities(scene, scene_model):
    found = predict_scene(scene_model, scene.cube, proba=True, reject_below=0.9)
    n_classes = len(scene_model.classes_)
    probability = scene_model.predict_proba(scene.cube.reshape(-1, 50)).reshape(34, 26, -1)
    np.testing.assert_array_equal(found.probability, probability.astype(np.float32))
    rejected = probability.max(axis=2) < 0.9
    assert 0 < rejected.sum() < rejected.size
    expected = np.where(rejected, n_classes + 1, probability.argmax(axis=2) + 1)
    np.testing.assert_array_equal(found.codes, expected)
    assert found.class_names == ("no data", *scene_model.classes_, "rejected")
    assert len(set(found.class_colors)) == n_classes + 2
    assert found.class_colors[0] == (255, 255, 255)
    assert found.class_colors[-1] == (68, 68, 68)
    assert predict_scene(scene_model, scene.cube).class_colors == found.class_colors[:-1]
    np.testing.assert_array_equal(found.counts, np.bincount(expected.ravel()))
    assert found.codes.dtype == np.uint8


def test_missing_pixels_are_a_class_of_their_own(write_envi, scene, scene_model, expected):
    cube = scene.cube.copy()
    cube[2, 3, 7] = np.nan
    cube[4, 5] = -9999
    cube[6, 7, 0] = np.inf
    path = write_envi(cube, **{"data ignore value": -9999})
    found = predict_scene(scene_model, path, proba=True)
    missing = np.zeros((34, 26), dtype=bool)
    missing[[2, 4, 6], [3, 5, 7]] = True
    np.testing.assert_array_equal(found.codes == 0, missing)
    np.testing.assert_array_equal(np.isnan(found.probability).all(axis=2), missing)
    np.testing.assert_array_equal(found.codes[~missing], expected[~missing])
    own = predict_scene(scene_model, path, nodata=float(scene.cube[0, 0, 0]))
    assert own.codes[0, 0] == 0
    assert own.codes[4, 5] != 0


def test_pixels_that_are_0_in_every_band_are_missing(scene, scene_model, expected):
    cube = scene.cube.copy()
    cube[:4] = 0
    cube[5, 6, :49] = 0  # one band has a number: a spectrum, if a poor one
    found = predict_scene(scene_model, cube, wavelengths=scene.wavelengths, block_rows=3)
    assert (found.codes[:4] == 0).all()
    assert found.counts[0] == 4 * 26
    expected[:4] = 0
    expected[5, 6] = found.codes[5, 6]
    np.testing.assert_array_equal(found.codes, expected)
    stored = (cube * 10000).round().astype("int16")
    assert predict_scene(scene_model, stored, scale=10000).counts[0] == 4 * 26


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "int32"])
def test_masked_numbers_are_missing(scene, scene_model, dtype):
    cube, scale = (scene.cube * 10000).round().astype(dtype), 10000
    expected = predict_scene(scene_model, cube, scale=scale).codes
    expected[[2, 4], [3, 5]] = 0
    mask = np.zeros(cube.shape, dtype=bool)
    mask[2, 3] = mask[4, 5, 7] = True
    masked = np.ma.array(cube, mask=mask)
    turned = masked.transpose(2, 0, 1).copy().transpose(1, 2, 0)  # as rasterio reads them
    for source in (masked, da.from_array(masked, chunks=(9, 26, 50)), turned):
        found = predict_scene(scene_model, source, scale=scale, block_rows=5)
        np.testing.assert_array_equal(found.codes, expected)
    whole = np.ma.array(cube)
    assert predict_scene(scene_model, whole, scale=scale).counts[0] == 0
    whole.mask = True
    with pytest.raises(DataFormatError, match="no pixel of the scene has data"):
        predict_scene(scene_model, whole, scale=scale)


def test_half_precision_is_taken_as_single(scene, scene_model):
    cube = scene.cube.astype("float16")
    cube[3, 4] = -9999  # which half precision holds as -10000
    found = predict_scene(scene_model, cube, nodata=-9999)
    expected = predict_scene(scene_model, cube.astype("float32"), nodata=-10000)
    np.testing.assert_array_equal(found.codes, expected.codes)
    assert found.codes[3, 4] == 0


def test_numbers_in_memory_must_be_reflectance_too(scene, scene_model):
    for cube in (scene.cube * 10000, xr.DataArray(scene.cube * 100, dims=("y", "x", "band"))):
        with pytest.raises(DataFormatError, match=r"median is .*, and reflectance is 0 to 1"):
            predict_scene(scene_model, cube)
    assert predict_scene(scene_model, scene.cube * 10000, scale=10000).counts[0] == 0


@pytest.mark.filterwarnings("error:bands were matched by position")
def test_matching_by_position_is_said(write_envi, scene, scene_model):
    warns = r"by position, the 50 of the scene .*: the {} does not say its wavelengths"
    with pytest.warns(UserWarning, match=warns.format("scene")) as caught:
        predict_scene(scene_model, scene.cube)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    blind = GaussianNB().fit(scene.cube.reshape(-1, 50), scene.labels.ravel())
    with pytest.warns(UserWarning, match=warns.format("model")):
        predict_scene(blind, write_envi())
    predict_scene(blind, scene.cube)
    predict_scene(scene_model, scene.cube, wavelengths=scene.wavelengths)


def test_a_model_of_a_table_maps_a_cube(scene):
    table = pd.DataFrame(
        scene.cube.reshape(-1, 50), columns=[f"{w:.2f}" for w in scene.wavelengths]
    )
    model = make_pipeline(StandardScaler(), GaussianNB()).fit(table, scene.labels.ravel())
    found = predict_scene(model, scene.cube, n_jobs=2)  # warnings are errors here
    codes = np.searchsorted(model.classes_, model.predict(table)) + 1
    np.testing.assert_array_equal(found.codes.ravel(), codes)


def test_the_no_data_value_of_a_dataarray(scene, scene_model):
    cube = scene.cube.copy()
    cube[2, 3], cube[4, 5] = -1, -2
    array = xr.DataArray(cube, dims=("y", "x", "band"), attrs={"nodata": -1})
    assert predict_scene(scene_model, array).codes[[2, 4], [3, 5]].astype(bool).tolist() == [
        False, True,
    ]  # fmt: skip
    array.attrs["_FillValue"] = -2
    assert predict_scene(scene_model, array).codes[[2, 4], [3, 5]].astype(bool).tolist() == [
        True, False,
    ]  # fmt: skip


def test_pixels_that_the_features_give_up_have_no_data(scene):
    X, y = scene.cube.reshape(-1, 50), scene.labels.ravel()
    removal = ContinuumRemoval(scene.wavelengths)
    model = make_pipeline(removal, StandardScaler(), GaussianNB()).fit(X, y)
    cube = scene.cube.copy()
    cube[5, 6] *= -1  # no continuum above zero
    found = predict_scene(model, cube, features="model", proba=True)
    assert found.codes[5, 6] == 0
    assert np.isnan(found.features[5, 6]).all()
    assert np.isnan(found.probability[5, 6]).all()
    codes = np.searchsorted(model.classes_, model.predict(X)) + 1
    codes[5 * 26 + 6] = 0
    np.testing.assert_array_equal(found.codes.ravel(), codes)


def test_numbers_that_overflow_in_a_sum_are_there(scene):
    X, y = scene.cube.reshape(-1, 50), scene.labels.ravel()
    model = make_pipeline(FunctionTransformer(lambda X: X * np.float32(1e38)), NearestShape())
    found = predict_scene(model.fit(X, y), scene.cube)
    assert found.counts[0] == 0
    codes = np.searchsorted(model.classes_, model.predict(X)) + 1
    np.testing.assert_array_equal(found.codes.ravel(), codes)


@pytest.mark.parametrize("begins", ["removal", "function", "passthrough"])
def test_scaling_leaves_the_spectra_alone(scene, begins):
    X, y = scene.cube.reshape(-1, 50), scene.labels.ravel()
    steps = {"removal": ContinuumRemoval(scene.wavelengths), "function": FunctionTransformer()}
    first = steps.get(begins, begins)
    model = make_pipeline(first, "passthrough", StandardScaler(), StandardScaler(), GaussianNB())
    model.fit(X, y)
    untouched = FunctionTransformer(feature_names_out="one-to-one").fit(X)
    cube = scene.cube.copy()
    found = predict_scene(model, cube, features=untouched)
    np.testing.assert_array_equal(found.features, scene.cube)
    np.testing.assert_array_equal(cube, scene.cube)
    codes = np.searchsorted(model.classes_, model.predict(X)) + 1
    np.testing.assert_array_equal(found.codes.ravel(), codes)


def test_pruned_networks_give_codes_without_their_names(scene):
    X, y = scene.cube.reshape(-1, 50), scene.target_names[scene.labels.ravel()]
    network = PrunedMLPClassifier((8,), n_iterations=1, max_iter=20, random_state=0)
    model = make_pipeline(StandardScaler(), network).fit(X, y)
    for pipeline in (model, compile_pipeline(model)):
        found = predict_scene(pipeline, scene.cube, block_rows=7)
        names = np.array(found.class_names)[found.codes].ravel()
        np.testing.assert_array_equal(names, pipeline.predict(X))


def test_a_band_that_the_model_does_not_use_may_be_missing(scene, scene_model, expected):
    cube = np.concatenate([scene.cube, np.full((34, 26, 1), np.nan, np.float32)], axis=2)
    found = predict_scene(scene_model, cube, wavelengths=[*scene.wavelengths, 2600.0])
    np.testing.assert_array_equal(found.codes, expected)


def test_features_are_a_layer(scene, scene_model, expected):
    scaler = StandardScaler().fit(scene.cube.reshape(-1, 50))
    found = predict_scene(scene_model, scene.cube, features=scaler, block_rows=3)
    scaled = scaler.transform(scene.cube.reshape(-1, 50)).reshape(34, 26, 50)
    np.testing.assert_allclose(found.features, scaled, rtol=1e-6)
    np.testing.assert_array_equal(found.codes, expected)
    pipeline = make_pipeline(StandardScaler(), GaussianNB())
    pipeline.fit(scene.cube.reshape(-1, 50), scene.labels.ravel())
    own = predict_scene(pipeline, scene.cube, features="model")
    np.testing.assert_allclose(own.features, scaled, rtol=1e-6)


def test_blocks_and_threads_do_not_change_the_result(scene, scene_model):
    once = predict_scene(scene_model, scene.cube, proba=True, block_rows=34)
    for settings in ({"block_rows": 1}, {"block_rows": 7, "n_jobs": 3}, {"n_jobs": -1}):
        again = predict_scene(scene_model, scene.cube, proba=True, **settings)
        np.testing.assert_array_equal(again.codes, once.codes)
        np.testing.assert_array_equal(again.probability, once.probability)


def test_blas_is_limited_inside_and_restored_after(scene, scene_model):
    def n_threads():
        return {i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"}

    class Spy(GaussianNB):
        def predict(self, X):
            seen.append(n_threads())
            return super().predict(X)

    seen: list = []
    spy = Spy().fit(scene.cube.reshape(-1, 50), scene.labels.ravel())
    with threadpool_limits(2, "blas"):
        before = n_threads()
        predict_scene(spy, scene.cube, n_jobs=2)
        assert seen == [{1}]
        assert n_threads() == before


def test_float64_stays_float64(scene, scene_model):
    class Spy(GaussianNB):
        def predict(self, X):
            seen.append(X.dtype)
            return super().predict(X)

    X, y = scene.cube.reshape(-1, 50), scene.labels.ravel()
    for dtype, scale in (("float32", None), ("float64", None), ("uint16", 10000)):
        seen: list = []
        cube = scene.cube.astype(dtype) if scale is None else (scene.cube * scale).astype(dtype)
        predict_scene(Spy().fit(X, y), cube, scale=scale)
        assert seen == [np.dtype("float64" if dtype == "float64" else "float32")]


def test_progress_is_shown_when_asked(scene, scene_model, capsys):
    predict_scene(scene_model, scene.cube, block_rows=10)
    assert capsys.readouterr().err == ""
    predict_scene(scene_model, scene.cube, block_rows=10, verbose=True)
    assert "884/884" in capsys.readouterr().err


def test_a_printed_map_is_short(tmp_path, scene, scene_model):
    cube = np.tile(scene.cube, (40, 2, 1))
    found = repr(predict_scene(scene_model, cube, proba=True))
    n_pixels = 34 * 40 * 52
    assert found.startswith(f"SceneMap(1360 x 52, {n_pixels:,} pixels; ")
    assert found.endswith("; with probability)")
    assert len(found) < 300
    assert "\n" not in found
    found = predict_scene(scene_model, scene.cube, output=tmp_path / "map.hdr")
    text = repr(found)
    assert text.startswith("SceneMap(884 pixels; ")
    assert text.endswith("; in map.hdr, map.img)")
    code = int(found.counts.argmax())
    assert f"{found.class_names[code]}: {found.counts[code]}" in text
    names = ("no data", *(f"{'long' * 50} {i}" for i in range(300)))
    many = SceneMap(names, ((0, 0, 0),) * 301, np.r_[0, np.arange(300)])
    assert "and 291 more" in repr(many)  # those without a pixel are not counted
    assert len(repr(many)) < 400
