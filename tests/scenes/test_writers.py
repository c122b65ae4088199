import errno
import os
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from sklearn.naive_bayes import GaussianNB

from sklearn_capoz.deploy import predict_scene
from sklearn_capoz.formats._envi_header import read_header
from sklearn_capoz.scenes import _writers as formats
from sklearn_capoz.scenes._open import open_source

envi = pytest.importorskip("spectral.io.envi")
rasterio = pytest.importorskip("rasterio")

pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore:bands were matched by position"),
]

#: Cuprite, UTM zone 11 north, as ENVI headers have it.
UTM = "{UTM, 1.0, 1.0, 500000.0, 4160000.0, 20.0, 20.0, 11, North, WGS-84, units=Meters}"
UTM_TRANSFORM = rasterio.Affine(20, 0, 500000, 0, -20, 4160000)


@pytest.fixture
def run(tmp_path, scene, scene_model):
    """Return a function that maps the scene, rejects and leaves out some, and returns all."""

    def run(name, source=None, **settings):
        output = tmp_path / name
        cube = scene.cube.copy()
        cube[0, :3] = np.nan
        source = cube if source is None else source
        settings = {"reject_below": 0.9, "block_rows": 5} | settings
        in_memory = predict_scene(scene_model, source, **settings)
        return output, in_memory, predict_scene(scene_model, source, output=output, **settings)

    return run


def test_geotiff_holds_codes_names_and_colours(run):
    output, memory, written = run("map.tif")
    with rasterio.open(output) as dataset:
        np.testing.assert_array_equal(dataset.read(1), memory.codes)
        colors = dataset.colormap(1)
        assert dataset.nodata == 0
        assert dataset.dtypes == ("uint8",)
    for code, color in enumerate(memory.class_colors):
        assert colors[code][:3] == color
    assert written.files == (output, output.with_name("map.tif.aux.xml"))
    fields = ET.parse(written.files[1]).getroot().iter("FieldDefn")
    assert [tuple(entry.text for entry in field) for field in fields] == [
        ("Value", "0", "5"), ("Class", "2", "2"), ("Red", "0", "6"), ("Green", "0", "7"),
        ("Blue", "0", "8"),
    ]  # fmt: skip
    root = ET.parse(written.files[1]).getroot()
    assert tuple(c.text for c in root.iter("Category")) == memory.class_names
    rows = [[cell.text for cell in row] for row in root.iter("Row")]
    for code, (name, color) in enumerate(zip(memory.class_names, memory.class_colors, strict=True)):
        assert rows[code] == [str(code), name, *map(str, color)]
    np.testing.assert_array_equal(written.counts, memory.counts)
    assert written.codes is None


def test_envi_classification_holds_codes_names_and_colours(run):
    output, memory, written = run("map.hdr")
    image = envi.open(str(output))
    np.testing.assert_array_equal(image.read_band(0), memory.codes)
    assert image.metadata["file type"] == "ENVI Classification"
    assert tuple(image.metadata["class names"]) == memory.class_names
    assert int(image.metadata["classes"]) == len(memory.class_names)
    lookup = np.array(image.metadata["class lookup"], dtype=int).reshape(-1, 3)
    np.testing.assert_array_equal(lookup, memory.class_colors)
    assert written.files == (output, output.with_suffix(".img"))
    with rasterio.open(written.files[1]) as dataset:  # GDAL reads the same
        np.testing.assert_array_equal(dataset.read(1), memory.codes)
        assert dataset.colormap(1)[1][:3] == memory.class_colors[1]


@pytest.mark.parametrize("suffix", ["tif", "hdr"])
def test_further_layers_are_further_files(run, scene, suffix):
    squares = Squares()
    output, memory, written = run(f"map.{suffix}", proba=True, features=squares)
    for name, layer, bands in (
        ("probability", memory.probability, memory.class_names[1:-1]),
        ("features", memory.features, tuple(squares.get_feature_names_out())),
    ):
        path = output.with_name(f"map_{name}.{suffix}")
        assert path in written.files
        data = path if suffix == "tif" else path.with_suffix(".img")
        with rasterio.open(data) as dataset:
            np.testing.assert_array_equal(dataset.read().transpose(1, 2, 0), layer)
            assert dataset.descriptions == bands
            assert np.isnan(dataset.nodata)
    assert written.files[0] == output


class Squares:
    """Squares of the first two bands: a transformer with names of its own."""

    def transform(self, X):
        return X[:, :2] ** 2

    def get_feature_names_out(self):
        return np.array(["square 1", "square 2"])


@pytest.mark.parametrize("suffix", ["tif", "hdr"])
def test_more_classes_than_a_byte_holds(tmp_path, suffix):
    X = np.arange(1, 601.0)[:, None]
    model = GaussianNB(var_smoothing=1e-12).fit(np.repeat(X, 2, 0), np.repeat(np.arange(600), 2))
    output = tmp_path / f"map.{suffix}"
    predict_scene(model, X.reshape(20, 30, 1), output=output, scale=1)
    with rasterio.open(output if suffix == "tif" else output.with_suffix(".img")) as dataset:
        assert dataset.dtypes == ("uint16",)
        np.testing.assert_array_equal(dataset.read(1), np.arange(1, 601).reshape(20, 30))


def test_names_that_would_break_a_header(tmp_path, scene):
    names = np.array(["a, b", "c {d}", "e\nf = g", "h & <i>", "ä", "k\x07", "l"])
    X, y = scene.cube.reshape(-1, 50), names[scene.labels.ravel()]
    model = GaussianNB().fit(X, y)
    predict_scene(model, scene.cube, output=tmp_path / "map.hdr")
    found = read_header(tmp_path / "map.hdr")["class names"]
    with rasterio.open(tmp_path / "map.img") as dataset:
        assert "e f : g" in dataset.tags(ns="ENVI")["class_names"]
    plain = {"k\x07": "k", "a, b": "a; b", "c {d}": "c (d)", "e\nf = g": "e f : g"}
    assert found == ["no data", *(plain.get(c, c) for c in model.classes_)]
    predict_scene(model, scene.cube, output=tmp_path / "map.tif")
    root = ET.parse(tmp_path / "map.tif.aux.xml").getroot()
    assert [c.text for c in root.iter("Category")] == [
        "no data",
        *("".join(letter if letter >= " " else " " for letter in c) for c in model.classes_),
    ]


@pytest.mark.parametrize("source", ["envi", "tif", "xarray", "xarray by coordinates"])
@pytest.mark.parametrize("suffix", ["tif", "hdr"])
def test_coordinates_are_kept(tmp_path, run, scene, write_envi, source, suffix):
    epsg = 32611
    if source == "envi":
        given = write_envi(**{"map info": UTM})
    elif source == "tif":
        given = tmp_path / "scene.tif"
        with rasterio.open(
            given, "w", driver="GTiff", height=34, width=26, count=50, dtype="float32",
            crs=epsg, transform=UTM_TRANSFORM,
        ) as dataset:  # fmt: skip
            dataset.write(scene.cube.transpose(2, 0, 1))
    else:
        given = xr.DataArray(scene.cube, dims=("y", "x", "band"))
        crs = {"crs_wkt": rasterio.crs.CRS.from_epsg(epsg).to_wkt()}
        if source == "xarray":
            crs["GeoTransform"] = "500000.0 20.0 0.0 4160000.0 0.0 -20.0"
        else:
            given["x"] = 500010 + 20.0 * np.arange(26)
            given["y"] = 4159990 - 20.0 * np.arange(34)
        given = given.assign_coords(spatial_ref=((), 0, crs))
    output, _, _ = run(f"map.{suffix}", given, proba=True)
    for path in (output, output.with_name(f"map_probability.{suffix}")):
        data = path if suffix == "tif" else path.with_suffix(".img")
        with rasterio.open(data) as dataset:
            assert dataset.transform.almost_equals(UTM_TRANSFORM)
            assert dataset.crs.to_epsg() == epsg or "UTM" in dataset.crs.to_wkt()
            assert dataset.crs.linear_units == "metre"


def placed(scene, transform="500000.0 20.0 0.0 4160000.0 0.0 -20.0"):
    """Return an array that knows its place twice, as rioxarray makes it."""
    place = {
        "x": 500_010 + 20.0 * np.arange(26),
        "y": 4_159_990 - 20.0 * np.arange(34),
        "spatial_ref": ((), 0, {"GeoTransform": transform}),
    }
    return xr.DataArray(scene.cube, dims=("y", "x", "band"), coords=place)


@pytest.mark.parametrize(
    ("part", "transform"),
    [
        ({}, (20.0, 0.0, 500_000.0, 0.0, -20.0, 4_160_000.0)),
        ({"y": slice(5, 9), "x": slice(3, 9)}, (20.0, 0.0, 500_060.0, 0.0, -20.0, 4_159_900.0)),
        ({"y": slice(1, None, 2)}, (20.0, 0.0, 500_000.0, 0.0, -40.0, 4_159_990.0)),
        ({"y": [4]}, (20.0, 0.0, 500_000.0, 0.0, -20.0, 4_159_920.0)),
    ],
)
def test_a_part_of_an_array_lies_where_its_coordinates_say(scene, part, transform):
    assert open_source(placed(scene).isel(part)).georeference.transform == transform


def test_coordinates_that_no_grid_fits(scene):
    gap = placed(scene).isel(x=[0, 1, 2, 9])
    with pytest.warns(UserWarning, match="x and y of the DataArray are not evenly spaced"):
        assert open_source(gap).georeference.transform is None
    turned = placed(scene, "500000.0 14.0 14.0 4160000.0 14.0 -14.0")
    assert open_source(turned).georeference.transform[1] == 14.0
    lone = placed(scene).isel(x=[4]).drop_vars("spatial_ref")
    assert open_source(lone).georeference.transform is None


@pytest.mark.parametrize("epsg", [2056, 3035, 3857])
def test_coordinate_systems_other_than_utm_are_kept(tmp_path, run, scene, epsg):
    given = tmp_path / "scene.img"
    with rasterio.open(
        given, "w", driver="ENVI", width=26, height=34, count=50, dtype="float32", crs=epsg,
        transform=UTM_TRANSFORM,
    ) as dataset:  # fmt: skip
        dataset.write(scene.cube.transpose(2, 0, 1))
    output, _, _ = run("map.hdr", given)
    with rasterio.open(output.with_suffix(".img")) as dataset:
        assert dataset.crs.to_epsg() == epsg
        assert dataset.transform.almost_equals(UTM_TRANSFORM)


def test_an_existing_map_stays_until_the_new_one_is_whole(run, monkeypatch, scene, scene_model):
    output, _, written = run("map.tif")
    before = {path: path.read_bytes() for path in written.files}
    monkeypatch.setattr(formats, "_compare", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        predict_scene(scene_model, scene.cube, output=output)
    assert {path: path.read_bytes() for path in written.files} == before
    monkeypatch.undo()
    predict_scene(scene_model, scene.cube, output=output)
    assert output.read_bytes() != before[output]
    assert sorted(p.name for p in output.parent.iterdir()) == ["map.tif", "map.tif.aux.xml"]


@contextmanager
def file_size_limit(n_bytes):
    """Let no file of this process grow beyond: writing fails as on a full disk."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("suffix", ["tif", "hdr"])
def test_a_disk_that_fills_up(tmp_path, suffix):
    cube = np.random.RandomState(0).rand(300, 100, 4)
    model = GaussianNB().fit(cube[0], np.arange(100) % 5)
    output, settings = tmp_path / f"map.{suffix}", {"proba": True, "block_rows": 50}
    raw = 300 * 100 * 5 * 4
    # In the middle of the raw results; and where these fit, but a GeoTIFF with its tags does not.
    for n_bytes in (100_000, raw) if suffix == "tif" else (100_000,):
        with (
            file_size_limit(n_bytes),
            pytest.raises(OSError, match=r"(File too large|disk full).*make room and resume"),
        ):
            predict_scene(model, cube, output=output, resume=True, **settings)
        assert [p.name for p in tmp_path.iterdir()] == [f"map.{suffix}.partial"]
    found = predict_scene(model, cube, output=output, resume=True, **settings)
    np.testing.assert_array_equal(found.counts, predict_scene(model, cube, **settings).counts)
    assert not output.with_name(f"map.{suffix}.partial").exists()


def test_a_disk_too_small_from_the_start(tmp_path, monkeypatch, scene, scene_model):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(
        OSError, match="the results need up to 1,768 bytes, and 1,000 are free"
    ) as e:
        predict_scene(scene_model, scene.cube, output=tmp_path / "map.tif")
    assert e.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch, scene, scene_model):
    def refuse(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    read = []
    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(GaussianNB, "predict", lambda *_: read.append(1))
    with pytest.raises(PermissionError, match="Permission denied: cannot write to"):
        predict_scene(scene_model, scene.cube, output=tmp_path / "map.tif")
    assert not read  # before any work


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path, scene, scene_model):
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(PermissionError, match="cannot write to"):
            predict_scene(scene_model, scene.cube, output=tmp_path / "map.tif")
    finally:
        tmp_path.chmod(0o755)


def test_without_hard_links_the_data_is_copied(run, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    output, memory, _ = run("map.hdr", proba=True)
    np.testing.assert_array_equal(envi.open(str(output)).read_band(0), memory.codes)
    image = envi.open(str(output.with_name("map_probability.hdr")))
    np.testing.assert_array_equal(image.open_memmap(), memory.probability)
