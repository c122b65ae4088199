"""Spectra of regions: the same numbers as the map gets, of every kind of scene, a few rows read."""

import numpy as np
import pandas as pd
import pytest

from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.model_selection import SpatialKFold
from sklearn_capoz.scenes import ClassMap, predict_scene, sample_regions
from sklearn_capoz.scenes._envi import EnviSource
from sklearn_capoz.scenes._regions import BLOCK_BYTES

geopandas = pytest.importorskip("geopandas")
shapely = pytest.importorskip("shapely")


@pytest.fixture
def truth(scene):
    """Label 60 pixels, some of them in one row."""
    random = np.random.default_rng(0)
    rows, columns = random.integers(0, 34, 60), random.integers(0, 26, 60)
    rows[:10] = 33
    labels = scene.target_names[scene.labels[rows, columns]]
    return pd.DataFrame({"row": rows, "column": columns, "label": labels})


@pytest.mark.parametrize("interleave", ["bip", "bil", "bsq"])
def test_spectra_of_points(scene, write_envi, truth, interleave):
    samples = sample_regions(write_envi(interleave=interleave), truth)
    np.testing.assert_allclose(samples.X, scene.cube[truth["row"], truth["column"]], rtol=1e-6)
    assert samples.y.tolist() == truth["label"].tolist()
    np.testing.assert_array_equal(samples.coordinates[:, :2], truth[["row", "column"]])
    np.testing.assert_allclose(samples.wavelengths, scene.wavelengths, atol=1e-3)
    assert f"60 pixels of {truth['label'].nunique()} classes" in repr(samples)


def test_only_rows_with_places_are_read(scene, write_envi, truth, monkeypatch):
    path = write_envi()
    monkeypatch.setattr("sklearn_capoz.scenes._regions.BLOCK_BYTES", 2 * 26 * 50 * 8)  # two rows
    read, few = [], truth[truth["row"].isin([3, 33])]
    original = EnviSource.read

    def spy(self, start, stop, bands, scratch):
        read.append((start, stop))
        return original(self, start, stop, bands, scratch)

    monkeypatch.setattr("sklearn_capoz.scenes._regions.take_first_look", no_look)
    monkeypatch.setattr(EnviSource, "read", spy)
    samples = sample_regions(path, few)
    assert set(read) == {(row, row + 1) for row in set(few["row"])}
    np.testing.assert_allclose(samples.X, scene.cube[few["row"], few["column"]], rtol=1e-6)
    assert BLOCK_BYTES < 100e6


def no_look(source, *, scale_told):
    class Look:
        def dead_bands(self):
            return np.array([], dtype=int)

    return Look()


def test_integers_gains_bad_bands_and_order_are_as_for_a_map(scene, write_envi, truth):
    stored = (scene.cube * 10000).astype("int16")
    good = np.ones(50, int)
    good[:5] = 0
    backwards = {"wavelength": scene.wavelengths[::-1], "bbl": list(good[::-1])}
    paths = [
        write_envi(stored[..., ::-1], name="a", **backwards,
                   **{"reflectance scale factor": 10000}),
        write_envi(stored[..., ::-1], name="b", **backwards,
                   **{"data gain values": [1e-4] * 49 + [2e-4], "data offset values": [0.0] * 50}),
    ]  # fmt: skip
    for path in paths:  # of the second, the band with another gain is a bad one
        samples = sample_regions(path, truth)
        assert samples.X.shape == (60, 45)
        assert (np.diff(samples.wavelengths) > 0).all()
        wanted = stored[truth["row"], truth["column"], 5:] / 1e4
        np.testing.assert_allclose(samples.X, wanted, rtol=1e-5)
    # What the caller says stands above.
    scaled = sample_regions(paths[0], truth, scale=5000, bad_bands=list(range(40)))
    assert scaled.X.shape == (60, 10)
    np.testing.assert_allclose(
        scaled.X, stored[truth["row"], truth["column"], :10] / 5000, rtol=1e-5
    )


def test_pixels_without_data_are_left_out(scene, write_envi, truth):
    cube = scene.cube.copy()
    cube[33] = -9999
    samples = sample_regions(write_envi(cube, **{"data ignore value": -9999}), truth)
    assert len(samples.y) == (truth["row"] != 33).sum()
    assert samples.notes == (f"left out: {(truth['row'] == 33).sum()} pixels where the scene has "
                             "no data",)  # fmt: skip
    with pytest.raises(DataFormatError, match="no pixel of the truth has data in"):
        sample_regions(write_envi(cube, **{"data ignore value": -9999}), truth.iloc[:10])


def test_bands_without_signal_are_left_out_with_a_warning(scene, write_envi, truth):
    cube = scene.cube.copy()
    cube[..., 7] = 0
    with pytest.warns(UserWarning, match=r"1 bands of .* hold no signal \(numbers 7, counted from"):
        samples = sample_regions(write_envi(cube), truth)
    assert samples.X.shape == (60, 49)


def test_polygons_of_a_scene_with_coordinates(scene, write_envi):
    path = write_envi(**{"map info": ["UTM", 1, 1, 5e5, 4e6, 20, 20, 11, "North", "WGS-84"]})
    boxes = [shapely.box(5e5 + 1, 4e6 - 79, 5e5 + 99, 4e6 - 1),
             shapely.box(5e5 + 201, 4e6 - 499, 5e5 + 299, 4e6 - 401)]  # fmt: skip
    frame = geopandas.GeoDataFrame({"label": ["a", "b"]}, geometry=boxes, crs="EPSG:32611")
    samples = sample_regions(path, frame.to_crs("EPSG:4326"))
    assert samples.notes == ("the truth was brought from WGS 84 to the coordinate system of the "
                             "map",)  # fmt: skip
    assert (samples.y == "a").sum() == 4 * 5
    np.testing.assert_allclose(
        samples.X[samples.y == "b"], scene.cube[20:25, 10:15].reshape(-1, 50), rtol=1e-6
    )
    assert set(samples.coordinates[:, 2]) == {0, 1}


def test_a_raster_with_names_and_a_draw(scene, write_envi):
    names = ("no data", *scene.target_names)
    raster = ClassMap((scene.labels + 1).astype("uint8"), names)
    everything = sample_regions(write_envi(), raster)
    assert len(everything.y) == 34 * 26
    drawn = sample_regions(write_envi(), raster, max_per_class=7, random_state=0,
                           names={names[1]: ""})  # fmt: skip
    counts = pd.Series(drawn.y).value_counts()
    assert names[1] not in counts
    assert counts.max() == 7
    rows, columns = drawn.coordinates.T
    assert (np.array(names)[raster.codes[rows, columns]] == drawn.y).all()
    again = sample_regions(write_envi(), raster, max_per_class=7, random_state=0,
                           names={names[1]: ""})  # fmt: skip
    np.testing.assert_array_equal(drawn.coordinates, again.coordinates)


def test_codes_without_names_are_their_own_names(scene, write_envi):
    raster = ClassMap((scene.labels + 1).astype("uint8"))
    samples = sample_regions(write_envi(), raster, names={"1": "first", "2": ""})
    rows, columns = samples.coordinates.T
    wanted = np.where(raster.codes == 1, "first", raster.codes.astype(str))
    assert samples.y.tolist() == wanted[rows, columns].tolist()
    assert "2" not in samples.y


def test_from_regions_to_a_map(scene, write_envi, scene_model):
    """What is trained on maps the scene that it is from."""
    raster = ClassMap((scene.labels + 1).astype("uint8"), ("no data", *scene.target_names))
    path = write_envi()
    samples = sample_regions(path, raster, max_per_class=30, random_state=0)
    model = type(scene_model)().fit(samples.X, samples.y)
    model.wavelengths_ = samples.wavelengths
    found = predict_scene(model, path)
    direct = model.predict(scene.cube.reshape(-1, 50)).reshape(34, 26)
    np.testing.assert_array_equal(np.array(found.class_names)[found.codes], direct)
    folds = SpatialKFold(2, block_size=8, random_state=0)
    assert len(list(folds.split(samples.X, samples.y, samples.coordinates))) == 2
