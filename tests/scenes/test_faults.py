"""What users' own files, folders and headers do: each right value was once wrong."""

import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from sklearn_capoz.deploy import predict_scene
from sklearn_capoz.exceptions import DataFormatError, SceneLayoutWarning
from sklearn_capoz.scenes._check import take_first_look
from sklearn_capoz.scenes._open import open_source
from sklearn_capoz.scenes._scratch import Scratch
from sklearn_capoz.scenes._source import radiometry

rasterio = pytest.importorskip("rasterio")
pytest.importorskip("spectral")

da = pytest.importorskip("dask.array")

pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore:bands were matched by position"),
]


def contents(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("suffix", ["tif", "hdr"])
def test_a_map_that_is_called_like_a_layer_of_another_one_stays(
    tmp_path, scene, scene_model, suffix
):
    first = tmp_path / f"site_features.{suffix}"
    predict_scene(scene_model, scene.cube, output=first)
    before = contents(tmp_path)
    predict_scene(scene_model, scene.cube, output=tmp_path / f"site.{suffix}")
    assert before.items() <= contents(tmp_path).items()
    (tmp_path / f"site_probability.{suffix}").write_bytes(first.read_bytes())
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"would replace .*, which is no layer of that map"):
        predict_scene(scene_model, scene.cube, output=tmp_path / f"site.{suffix}", proba=True)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("suffix", ["tif", "hdr"])
def test_a_layer_belongs_to_one_map(tmp_path, scene, scene_model, suffix):
    """The layer of `a.tif`, renamed to a layer of `b.tif`, is none of it."""
    predict_scene(scene_model, scene.cube, output=tmp_path / f"a.{suffix}", proba=True)
    for path in list(tmp_path.glob("a_probability*")):
        path.rename(tmp_path / path.name.replace("a_", "b_"))
    before = contents(tmp_path)
    predict_scene(scene_model, scene.cube, output=tmp_path / f"b.{suffix}")
    assert before.items() <= contents(tmp_path).items()


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("kind", ["folder", "link", "file", "journal of another program"])
def test_a_partial_folder_of_somebody_else_is_left_alone(
    tmp_path, scene, scene_model, kind, resume
):
    partial, mine = tmp_path / "map.tif.partial", tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years")
    (mine / "journal").write_text('["a list"]\n')
    if kind == "link":
        partial.symlink_to(mine)
    elif kind == "file":
        partial.write_text("notes")
    else:
        mine.rename(partial)
        if kind == "folder":
            (partial / "journal").unlink()
    before = contents(tmp_path)
    with pytest.raises(FileExistsError, match=r"map.tif.partial is (a link|no folder|a folder w)"):
        predict_scene(scene_model, scene.cube, output=tmp_path / "map.tif", resume=resume)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("left", [[], ["lock"], ["lock", "journal.new"]])
def test_what_an_early_interruption_leaves_is_ours(tmp_path, scene, scene_model, left):
    (tmp_path / "map.tif.partial").mkdir()
    for name in left:
        (tmp_path / "map.tif.partial" / name).touch()
    assert predict_scene(scene_model, scene.cube, output=tmp_path / "map.tif").files


def test_the_header_with_the_whole_name_belongs_to_a_file(
    tmp_path, write_envi, scene, scene_model, expected
):
    """A flight as it is delivered: two scenes, of different bands, that share a stem."""
    other = write_envi(scene.cube[..., ::-1].copy(), name="flight")  # and its flight.img
    right = write_envi(name="right")
    os.rename(right, tmp_path / "flight.rfl.hdr")
    os.rename(right.with_suffix(".img"), tmp_path / "flight.rfl")
    assert other.name == "flight.hdr"
    for name in ("flight.rfl", "flight.rfl.hdr"):
        np.testing.assert_array_equal(predict_scene(scene_model, tmp_path / name).codes, expected)
    for name in ("flight.img", "flight.hdr"):
        assert open_source(tmp_path / name).path.name == "flight.img"


@pytest.mark.parametrize(
    ("header", "data"),
    [("a.hdr", "a"), ("a.HDR", "a.img"), ("a.Hdr", "a.DAT"), ("a.rfl.Hdr", "a.rfl"),
     ("a.img.HDR", "a.img"), ("a.hdr", "a.rfl"), ("A.hdr", "a.bsq")],
)  # fmt: skip
def test_every_spelling_of_suffixes_pairs_up(tmp_path, write_envi, header, data):
    path = write_envi(name="plain")
    os.rename(path, tmp_path / header)
    os.rename(path.with_suffix(".img"), tmp_path / data)
    assert open_source(tmp_path / data).header_path.name == header
    if header != "A.hdr":
        assert open_source(tmp_path / header).path.name == data


@pytest.mark.parametrize("dead", [0.0, -32768.0, np.nan, 0.25])
@pytest.mark.parametrize("kind", ["array", "envi", "dask"])
def test_bands_without_signal_are_left_out_and_named(write_envi, scene, scene_model, dead, kind):
    cube = scene.cube.copy()
    cube[..., [10, 30]] = dead
    cube[:5] = 0  # beside the image, where every band is the same
    source = {"array": lambda: cube, "envi": lambda: write_envi(cube),
              "dask": lambda: da.from_array(cube[5:], chunks=(10, 26, 50))}[kind]()  # fmt: skip
    with pytest.warns(UserWarning, match=r"in 2 bands, 10 \(2090 nm\), 30 \(2290 nm\): left"):
        found = predict_scene(scene_model, source, wavelengths=scene.wavelengths)
    right = predict_scene(
        scene_model, scene.cube, wavelengths=scene.wavelengths, bad_bands=[10, 30]
    )
    np.testing.assert_array_equal(found.codes[-29:], right.codes[-29:])


def test_bands_without_signal_cannot_be_left_out_by_position(scene, scene_model):
    cube = scene.cube.copy()
    cube[..., 10] = 0.25
    with pytest.warns(UserWarning, match="no signal in band 10, and matched by position"):
        predict_scene(scene_model, cube)


def test_bands_that_the_model_does_not_need_may_be_dead(scene, scene_model, expected):
    cube = np.concatenate([scene.cube, np.zeros((34, 26, 1), np.float32)], axis=2)
    found = predict_scene(scene_model, cube, wavelengths=[*scene.wavelengths, 2600.0])
    np.testing.assert_array_equal(found.codes, expected)


def test_bad_bands_need_no_wavelength(write_envi, edit_header, scene, scene_model, expected):
    zeros = np.zeros((34, 26, 2), "f4")
    cube = np.concatenate([zeros, scene.cube, zeros[..., :1]], axis=2)
    nm = [0, 0, *scene.wavelengths.round(4), 0]
    bbl = [0, 0, *[1] * 50, 0]
    path = write_envi(cube, wavelength=nm, bbl=bbl)
    np.testing.assert_array_equal(predict_scene(scene_model, path).codes, expected)
    edit_header(path, bbl=None)
    given = {"bad_bands": [0, 1, 52]}
    np.testing.assert_array_equal(predict_scene(scene_model, path, **given).codes, expected)
    given["wavelengths"] = nm
    np.testing.assert_array_equal(predict_scene(scene_model, cube, **given).codes, expected)
    with pytest.raises(DataFormatError, match=r"3 good bands have none \(numbers 0, 1, 52"):
        predict_scene(scene_model, path)


@pytest.mark.parametrize("name", ["good_wavelengths", "bbl"])
@pytest.mark.parametrize("as_attribute", [False, True])
def test_a_dataarray_names_its_bad_bands(scene, name, as_attribute):
    array = xr.DataArray(scene.cube, dims=("y", "x", "wavelength"),
                         coords={"wavelength": scene.wavelengths})  # fmt: skip
    good = np.ones(50)
    good[[3, 4]] = 0
    if as_attribute:
        array.attrs[name] = "{" + ", ".join(f"{v:.0f}" for v in good) + "}"
    else:
        array = array.assign_coords({name: ("wavelength", good)})
    np.testing.assert_array_equal(open_source(array).good, good == 1)


def test_a_right_header_is_never_refused(write_envi, scene, scene_model):
    path = write_envi()
    source = replace(open_source(path), interleave="bsq")
    with pytest.warns(SceneLayoutWarning, match="it is read with interleave = bsq, byte order = 0"):
        take_first_look(source, scale_told=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SceneLayoutWarning)  # the header is right
        take_first_look(source, scale_told=True)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_gains_and_offsets_are_applied(write_envi, edit_header, scene, scene_model, dtype):
    gain, offset = np.linspace(1e-4, 2e-4, 50), np.linspace(-0.02, 0.05, 50)
    stored = ((scene.cube - offset) / gain).round().astype(dtype)
    stored[3, 4], stored[5, 6, 7] = 0, -999
    fields = {"data gain values": gain, "data offset values": offset, "data ignore value": -999}
    found = predict_scene(scene_model, write_envi(stored, **fields))
    reflectance = (stored * gain.astype("f4") + offset.astype("f4")).astype("f4")
    right = predict_scene(scene_model, reflectance).codes
    right[[3, 5], [4, 6]] = 0
    np.testing.assert_array_equal(found.codes, right)
    given = predict_scene(scene_model, write_envi(stored, **fields), scale=10000)
    plain = predict_scene(scene_model, stored, scale=10000, nodata=-999)
    np.testing.assert_array_equal(given.codes, plain.codes)


def test_what_turns_numbers_into_reflectance():
    assert radiometry("x") == {}
    assert radiometry("x", scale=100) == {"scale": 100.0}
    assert radiometry("x", gain=[1, 1], offset=[0, 0]) == {}
    assert radiometry("x", gain=[0.5, 0.5]) == {"scale": 2.0}
    assert radiometry("x", scale=[4, 4]) == {"scale": 4.0}
    assert radiometry("x", scale=4, gain=[0.25, 0.25], offset=[0, 0]) == {"scale": 4.0}
    assert radiometry("x", scale=4, gain=[1, 1]) == {"scale": 4.0}
    found = radiometry("x", scale=[4, 2])
    np.testing.assert_array_equal([found["gain"], found["offset"]], [[0.25, 0.5], [0, 0]])
    found = radiometry("x", offset=[1, 2])
    np.testing.assert_array_equal([found["gain"], found["offset"]], [[1, 1], [1, 2]])
    with pytest.raises(DataFormatError, match="gains or offsets that say something else"):
        radiometry("x", scale=10, gain=[0.5, 0.5])
    with pytest.raises(DataFormatError, match="a gain must be a finite number other than 0"):
        radiometry("x", gain=[0, 1])


def test_dask_arrays_are_looked_at_in_their_first_block(scene, scene_model):
    computed = []

    def block(array, block_info=None):
        computed.append(block_info[0]["chunk-location"][0])
        return array * 10000

    cube = da.from_array(scene.cube, chunks=(10, 26, 50)).map_blocks(block, dtype="f4")
    with pytest.raises(DataFormatError, match=r"median is .*, and reflectance is 0 to 1"):
        predict_scene(scene_model, cube)
    assert set(computed) <= {0}


@pytest.mark.parametrize("place", ["descriptions", "bare descriptions", "domain", "whole sidecar",
                                   "sidecar"])  # fmt: skip
def test_places_where_a_geotiff_has_its_wavelengths(tmp_path, scene, place, write_tif):
    nm, path = scene.wavelengths, tmp_path / "scene.tif"
    listed = "{" + ", ".join(f"{w:.4f}" for w in nm) + "}"

    def describe(dataset):
        if place == "descriptions":
            dataset.descriptions = [f"Band {i} ({w / 1000:.6f} um)" for i, w in enumerate(nm)]
        elif place == "bare descriptions":
            dataset.descriptions = [f"{w:.3f}" for w in nm]
        elif place == "domain":
            bbl = "{" + ", ".join(["0"] + ["1"] * 49) + "}"
            dataset.update_tags(ns="ENVI", wavelength=listed, wavelength_units="nm", bbl=bbl)

    write_tif(path, scene.cube, describe)
    if "sidecar" in place:
        header = path.with_suffix(".hdr") if place == "sidecar" else Path(f"{path}.hdr")
        header.write_text(f"ENVI\nbands = 50\nwavelength = {listed}\nwavelength units = nm\n")
    source = open_source(path)
    np.testing.assert_allclose(source.wavelengths, nm, rtol=1e-5)
    assert (source.good is not None) == (place == "domain")


@pytest.mark.parametrize(
    "names", [["Band 1", "Band 2"], ["1", "2"], ["Band 1 (2 nm)", ""], ["400 nm", "0.5 um"]]
)
def test_names_that_are_no_wavelengths(tmp_path, names, write_tif):
    path = tmp_path / "scene.tif"
    write_tif(path, np.full((3, 4, 2), 0.5), lambda d: setattr(d, "descriptions", names))
    assert open_source(path).wavelengths is None


@pytest.mark.parametrize("unit", [None, "nm"])
@pytest.mark.parametrize("descending", [False, True])
def test_a_band_coordinate_may_hold_wavelengths(scene, scene_model, expected, unit, descending):
    order = slice(None, None, -1) if descending else slice(None)
    attributes = {} if unit is None else {"units": unit}
    array = xr.DataArray(
        scene.cube[..., order], dims=("y", "x", "band"),
        coords={"band": ("band", scene.wavelengths[order], attributes)},
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is matched by position
        np.testing.assert_array_equal(predict_scene(scene_model, array).codes, expected)
    numbered = array.assign_coords(band=np.arange(300, 350))
    assert open_source(numbered).wavelengths is None


def test_scale_and_offset_of_a_dataarray(scene):
    array = xr.DataArray(np.ones((2, 2, 3), "i2"), dims=("y", "x", "band"))
    array.attrs = {"scale_factor": 1e-4, "add_offset": 0.0}
    assert open_source(array).scale == pytest.approx(10000)


def test_exactly_one_bad_band_in_the_middle(write_envi, scene):
    """What is left is one short of consecutive, and must not be taken for it."""
    for bands in (np.delete(np.arange(50), 20), np.array([0, 2]), np.array([1, 2, 4])):
        for interleave in ("bip", "bil", "bsq"):
            block = open_source(write_envi(interleave=interleave)).read(2, 4, bands, Scratch())
            np.testing.assert_array_equal(block, scene.cube[2:4][..., bands])
        block = open_source(scene.cube).read(2, 4, bands, Scratch())
        np.testing.assert_array_equal(block, scene.cube[2:4][..., bands])


def test_a_probability_at_the_boundary_is_believed(scene, scene_model):
    probability = scene_model.predict_proba(scene.cube.reshape(-1, 50)).max(axis=1)
    boundary = float(np.sort(probability)[100])
    found = predict_scene(scene_model, scene.cube, reject_below=boundary)
    rejected = found.codes.ravel() == len(scene_model.classes_) + 1
    np.testing.assert_array_equal(rejected, probability < boundary)
    assert not rejected[probability == boundary].any()
