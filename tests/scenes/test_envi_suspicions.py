"""A header that does not fit its numbers is suspected, and a right one is not."""

import re
import warnings
from contextlib import nullcontext, suppress
from dataclasses import replace

import numpy as np
import pytest

from sklearn_capoz.deploy import predict_scene
from sklearn_capoz.exceptions import DataFormatError, SceneLayoutWarning
from sklearn_capoz.scenes._check import take_first_look
from sklearn_capoz.scenes._envi import open_envi


def suspicion(model, path) -> str:
    """Return what the first look suspects; the map of misread numbers is another matter."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with suppress(DataFormatError):  # the numbers may be no reflectance either
            predict_scene(model, path)
    return next((str(w.message) for w in caught if w.category is SceneLayoutWarning), "")


def diagonal(shape):
    """Say which pixels lie beside a scene that was turned to the north: a good third."""
    rows, columns = np.indices(shape)
    return (rows + columns < 22) | (rows + columns > 40)


@pytest.mark.parametrize("interleave", ["bip", "bil", "bsq"])
@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("fill", [-9999, 0, -1.23e34])
def test_fill_that_is_not_declared_is_no_wrong_header(
    write_envi, edit_header, scene, scene_model, expected, interleave, fill
):
    cube, beside = scene.cube.copy(), diagonal((34, 26))
    assert beside.mean() > 1 / 3
    cube[beside] = fill
    path = write_envi(cube, interleave=interleave)
    named = pytest.warns(UserWarning, match=r"hold -(9999|1\.23.*e\+34) in every band.*give it as")
    with named if fill else nullcontext():
        found = predict_scene(scene_model, path)
    np.testing.assert_array_equal(found.codes[~beside], expected[~beside])
    given = predict_scene(scene_model, path, nodata=fill)
    np.testing.assert_array_equal(given.codes == 0, beside)
    others = {"bip", "bil", "bsq"} - {interleave}
    for wrong in [{"interleave": other} for other in others] + [{"byte_order": 1}]:
        edit_header(write_envi(cube, interleave=interleave), **wrong)
        assert "looks like" in suspicion(scene_model, path)


def test_the_callers_words_count_in_the_look_at_the_content(write_envi, scene, scene_model):
    cube = scene.cube.copy()
    cube[:, :20] = -9999
    path = write_envi(cube)
    assert predict_scene(scene_model, path, nodata=-9999).counts[0] == 34 * 20
    cube = scene.cube.copy()
    cube[..., 5:20] = 1e4 * np.random.RandomState(0).randn(34, 26, 15)
    path = write_envi(cube)
    settings = {"bad_bands": range(5, 20), "max_band_gap": 100}
    assert predict_scene(scene_model, path, **settings).counts[0] == 0
    declared = open_envi(write_envi(scene.cube * 100, **{"data ignore value": -1}))
    with pytest.raises(DataFormatError, match=r"or no-data value \(nodata\) is wrong or missing"):
        take_first_look(declared, scale_told=False)


@pytest.mark.parametrize("true", ["bip", "bil", "bsq"])
@pytest.mark.parametrize("says", ["bip", "bil", "bsq"])
def test_a_wrong_interleave_is_found(write_envi, edit_header, scene_model, true, says):
    path = edit_header(write_envi(interleave=true), interleave=says)
    if true == says:
        predict_scene(scene_model, path)
        return
    assert re.search(f"looks like 'interleave = {true}'.*says", suspicion(scene_model, path))


@pytest.mark.parametrize("byteorder", [0, 1])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_a_wrong_byte_order_is_found(write_envi, edit_header, scene, scene_model, dtype, byteorder):
    scale = 10000 if dtype == "int16" else 1
    cube = (scene.cube * scale).astype(dtype)
    path = write_envi(cube, byteorder=byteorder, **{"reflectance scale factor": scale})
    edit_header(path, byte_order=1 - byteorder)
    assert f"looks like 'byte order = {byteorder}'" in suspicion(scene_model, path)


def test_a_wrong_data_type_or_scale_is_found(write_envi, edit_header, scene, scene_model):
    stored = write_envi((scene.cube * 10000).astype("int32"), **{"reflectance scale factor": 10000})
    with pytest.raises(DataFormatError, match="reflectance is 0 to 1: its data type"):
        predict_scene(scene_model, edit_header(stored, data_type=4))
    floats = write_envi(scene.cube * 10000)
    with pytest.raises(DataFormatError, match=r"median is .*, and reflectance is 0 to 1"):
        predict_scene(scene_model, floats)
    assert predict_scene(scene_model, floats, scale=10000).counts[0] == 0
    with pytest.raises(ValueError, match=r"holds integers \(int16\) and does not say"):
        predict_scene(scene_model, write_envi((scene.cube * 10000).astype("int16")))


def test_noise_flat_and_tiny_scenes_are_not_suspected(write_envi, scene):
    random = np.random.RandomState(0)
    cubes = {
        "noise": random.rand(20, 20, 50),
        "flat": np.full((20, 20, 50), 0.3),
        "one pixel": np.full((1, 1, 50), 0.3) + random.rand(50) / 10,
        "one row": scene.cube[:1],
        "one column": scene.cube[:, :1],
        "one spectrum": np.broadcast_to(scene.cube[0, 0], (30, 50, 50)).copy(),
        "missing": np.full((20, 20, 50), np.nan),
    }
    for name, cube in cubes.items():
        for interleave in ("bip", "bil", "bsq"):
            source = open_envi(write_envi(cube.astype("f4"), interleave=interleave))
            take_first_look(source, scale_told=False)
            assert source.shape == cube.shape, name


def test_real_scenes_are_told_from_their_mislabelled_copies(data_home, write_envi):
    cube = np.load(data_home / "indian_pines" / "Indian_pines_corrected.npy")
    for interleave in ("bip", "bil", "bsq"):
        source = open_envi(write_envi(cube, interleave=interleave, wavelength=None))
        source = replace(source, scale=10000.0)
        take_first_look(source, scale_told=False)
        for other in {"bip", "bil", "bsq"} - {interleave}:
            with pytest.warns(SceneLayoutWarning, match=f"looks like 'interleave = {interleave}'"):
                take_first_look(replace(source, interleave=other), scale_told=False)
