import sys

import numpy as np
import pytest

from sklearn_capoz.deploy import predict_scene
from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.scenes._raster import open_raster
from sklearn_capoz.scenes._scratch import Scratch

rasterio = pytest.importorskip("rasterio")
pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore:bands were matched by position"),
]


@pytest.fixture
def write_tif(tmp_path, scene):
    """Return a function that writes the scene as GeoTIFF, edits it, and returns its path."""

    def write(cube=None, edit=None, **settings):
        cube = scene.cube if cube is None else cube
        path = tmp_path / "scene.tif"
        with rasterio.open(
            path, "w", driver="GTiff", height=cube.shape[0], width=cube.shape[1],
            count=cube.shape[2], dtype=cube.dtype, **settings,
        ) as dataset:  # fmt: skip
            dataset.write(cube.transpose(2, 0, 1))
            if edit is not None:
                edit(dataset)
        return path

    return write


def test_what_the_file_says(write_tif, scene):
    def describe(dataset):
        dataset.scales = [1e-4] * 50
        for band, wavelength in enumerate(scene.wavelengths, start=1):
            tag = {"CENTRAL_WAVELENGTH_UM": f"{wavelength / 1000:.6f}"}
            dataset.update_tags(band, ns="IMAGERY", **tag)

    stored = (scene.cube * 10000).astype("int16")
    source = open_raster(write_tif(stored, describe, nodata=-1))
    assert source.shape == (34, 26, 50)
    assert source.nodata == -1
    assert source.scale == pytest.approx(10000)
    np.testing.assert_allclose(source.wavelengths, scene.wavelengths, rtol=1e-6)
    with source.reading():
        block = source.read(3, 7, np.array([0, 5, 49]), Scratch())
    np.testing.assert_array_equal(block, stored[3:7][..., [0, 5, 49]])


def test_nodata_of_a_geotiff_is_a_class(write_tif, scene, scene_model, expected):
    cube = scene.cube.copy()
    cube[5, 6] = -1
    found = predict_scene(scene_model, write_tif(cube, nodata=-1))
    assert found.codes[5, 6] == 0
    assert found.counts[0] == 1
    found.codes[5, 6] = expected[5, 6]
    np.testing.assert_array_equal(found.codes, expected)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("compress", ["none", "deflate"])
def test_a_cut_file(tmp_path, write_tif, scene_model, share, compress):
    path = write_tif(compress=compress)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataFormatError, match=r"cannot be read|cut or damaged|no raster file"):
        predict_scene(scene_model, path, output=tmp_path / "map.tif")
    assert not list(tmp_path.glob("map*"))


def test_a_file_of_another_kind(tmp_path, scene_model):
    path = tmp_path / "scene.tif"
    path.write_text("not a picture")
    with pytest.raises(DataFormatError, match="is no raster file that can be read"):
        predict_scene(scene_model, path)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: setattr(d, "scales", [1e-4] * 49 + [0]), "a gain must be a finite number other"),
        (lambda d: [d.update_tags(b, wavelength="x") for b in range(1, 51)], "not usable"),
    ],
)
def test_descriptions_that_cannot_be_followed(write_tif, scene_model, edit, message):
    with pytest.raises(DataFormatError, match=message):
        predict_scene(scene_model, write_tif(edit=edit))


def test_wrong_values_and_counts(write_tif, scene, scene_model):
    with pytest.raises(DataFormatError, match="reflectance is 0 to 1"):
        predict_scene(scene_model, write_tif(scene.cube * 1000))
    with pytest.raises(ValueError, match="takes 50 bands, the scene has 49"):
        predict_scene(scene_model, write_tif(scene.cube[..., 1:]))
    with pytest.raises(DataFormatError, match="must hold real numbers"):
        predict_scene(scene_model, write_tif(scene.cube.astype("complex64")))


@pytest.mark.parametrize(
    ("module", "source", "output", "hint"),
    [
        ("rasterio", "scene.tif", None, "GeoTIFF needs rasterio: pip install 'sklearn-capoz.scene"),
        ("rasterio", None, "map.tif", "GeoTIFF needs rasterio"),
        ("spectral.io", "scene.hdr", None, "ENVI files need spectral: pip install"),
        ("spectral.io", None, "map.hdr", "ENVI files need spectral"),
    ],
)
def test_what_is_not_installed(
    tmp_path, monkeypatch, scene, scene_model, module, source, output, hint
):
    for name in (module, f"{module}.envi"):
        monkeypatch.setitem(sys.modules, name, None)
    if source is not None:
        (tmp_path / source).write_text("ENVI")
    given = scene.cube if source is None else tmp_path / source
    with pytest.raises(ImportError, match=hint):
        predict_scene(scene_model, given, output=None if output is None else tmp_path / output)


def test_no_cluster_without_dask(monkeypatch, scene, scene_model):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match="a cluster needs dask"):
        predict_scene(scene_model, scene.cube, client=object())
