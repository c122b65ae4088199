"""What users' own files, folders and headers do: each right value was once wrong."""

import os
import warnings
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from sklearn.naive_bayes import GaussianNB

from sklearn_capoz.deploy import predict_scene
from sklearn_capoz.exceptions import DataFormatError, SceneLayoutWarning
from sklearn_capoz.scenes._check import take_first_look
from sklearn_capoz.scenes._open import open_source
from sklearn_capoz.scenes._raster import RasterSource, open_raster
from sklearn_capoz.scenes._run import _tasks
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


def write_tif(path, cube, edit=None, **settings):
    with rasterio.open(
        path, "w", driver="GTiff", height=cube.shape[0], width=cube.shape[1],
        count=cube.shape[2], dtype=cube.dtype, **settings,
    ) as dataset:  # fmt: skip
        dataset.write(cube.transpose(2, 0, 1))
        if edit is not None:
            edit(dataset)
    return path


@contextmanager
def during_the_run(monkeypatch, action, name="predict"):
    """Do something once, in the middle of a run."""
    plain, calls = getattr(GaussianNB, name), []

    def with_action(*args):
        calls.append(None)
        if len(calls) == 3:
            action()
        return plain(*args)

    with monkeypatch.context() as patch:
        patch.setattr(GaussianNB, name, with_action)
        yield
    assert len(calls) >= 3


# Files and folders that are not ours


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


# Scenes that change


def overwrite(path, other):
    status = path.stat()
    path.write_bytes(other)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def rename_over(path, other):
    status = path.stat()
    path.with_suffix(".new").write_bytes(other)
    os.utime(path.with_suffix(".new"), ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(path.with_suffix(".new"), path)  # the same name, size and time


@pytest.mark.parametrize("change", [overwrite, rename_over])
@pytest.mark.parametrize("kind", ["envi", "tif"])
@pytest.mark.parametrize("output", [None, "map.tif"])
def test_a_file_that_changes_is_an_error(
    tmp_path, monkeypatch, write_envi, scene, scene_model, change, kind, output
):
    if kind == "envi":
        path = write_envi()
        data = path.with_suffix(".img")
    else:
        data = path = write_tif(tmp_path / "scene.tif", scene.cube)
    content = data.read_bytes()
    output = None if output is None else tmp_path / output
    with (
        during_the_run(monkeypatch, lambda: change(data, content)),
        pytest.raises(DataFormatError, match="changed while it was mapped"),
    ):
        predict_scene(scene_model, path, output=output, block_rows=4)
    assert not list(tmp_path.glob("map*"))


@pytest.mark.parametrize("masked", [False, True])
def test_an_array_that_changes_is_an_error(monkeypatch, scene, scene_model, masked):
    """In one number only, in the first row, which is already classified."""
    cube = scene.cube.copy()
    if masked:
        cube = np.ma.array(cube, mask=np.zeros(cube.shape, bool))

    def change():
        if masked:
            cube[0, 3, 7] = np.ma.masked
        else:
            cube[0, 3, 7] = np.nextafter(cube[0, 3, 7], np.float32(1))

    with (
        during_the_run(monkeypatch, change),
        pytest.raises(DataFormatError, match="the array changed while it was mapped"),
    ):
        predict_scene(scene_model, cube, block_rows=4)


def test_every_number_of_an_array_counts():
    """Also where the highest bit of two numbers changes, or two rows change places."""
    cube = np.random.RandomState(0).rand(5, 3, 7)
    known = {open_source(cube).identity()}
    changes = [(slice(None), [1, 0, 2, 3, 4]), *(((0, 0, i), None) for i in range(7))]
    for place, order in changes:
        other = cube.copy()
        if order is None:
            other[place] *= -1
            other[place[0], place[1], (place[2] + 4) % 7] *= -1
        else:
            other = other[order]
        known.add(open_source(other).identity())
    assert len(known) == 1 + len(changes)
    assert open_source(np.asfortranarray(cube)).identity() in known


@pytest.mark.parametrize("mapped", [False, True])
def test_an_array_changed_before_resuming_is_another_scene(
    tmp_path, monkeypatch, scene, scene_model, mapped
):
    cube = scene.cube.copy()
    if mapped:
        cube = np.memmap(tmp_path / "cube.dat", "f4", "w+", shape=cube.shape)
        cube[:] = scene.cube

    def interrupt():
        raise KeyboardInterrupt

    output = tmp_path / "map.tif"
    with during_the_run(monkeypatch, interrupt), pytest.raises(KeyboardInterrupt):
        predict_scene(scene_model, cube, output=output, block_rows=4)
    cube[1, 2, 3] += 0.01
    with pytest.raises(ValueError, match="was begun with another scene"):
        predict_scene(scene_model, cube, output=output, block_rows=4, resume=True)


def test_damaged_results_never_become_a_map(tmp_path, monkeypatch, scene, scene_model):
    output = tmp_path / "map.tif"
    raw = tmp_path / "map.tif.partial" / "classes.raw"

    def damage():  # the first block is written when the third is classified
        content = bytearray(raw.read_bytes())
        content[5] ^= 1
        raw.write_bytes(content)

    settings = {"output": output, "block_rows": 4}
    with during_the_run(monkeypatch, damage), pytest.raises(OSError, match="damaged") as caught:
        predict_scene(scene_model, scene.cube, **settings)
    assert "resume" in str(caught.value)
    assert not output.exists()
    predict_scene(scene_model, scene.cube, resume=True, **settings)
    written = output.read_bytes()
    predict_scene(scene_model, scene.cube, **settings)
    assert output.read_bytes() == written


@pytest.mark.parametrize(
    "view",
    [
        lambda m: m,
        lambda m: m[3:20],
        lambda m: m[::-1],
        lambda m: m[:, ::-2],
        lambda m: m[..., 5:40:3],
        lambda m: m.transpose(1, 0, 2),
        lambda m: m.transpose(2, 0, 1),  # bands first, as in a bsq file
        lambda m: m.transpose(2, 1, 0)[::2, ::-1],
        lambda m: np.asarray(m)[4:],
        lambda m: np.broadcast_to(m[:1], (6, 26, 50)),
    ],
)
@pytest.mark.parametrize("dtype", ["<f4", ">i2"])
def test_any_view_of_a_memmap_is_read_from_its_file(tmp_path, scene, view, dtype):
    mapped = np.memmap(tmp_path / "cube.dat", dtype, "w+", offset=5000, shape=scene.cube.shape)
    mapped[:] = scene.cube * 10000
    seen = view(mapped)
    source = open_source(seen)
    assert source.files == (Path(os.path.realpath(tmp_path / "cube.dat")),)
    for bands in (np.arange(seen.shape[2]), np.array([0, 2, 4])):
        found = source.read(1, 4, bands, Scratch())
        np.testing.assert_array_equal(found, seen[1:4][..., bands])
        assert not np.shares_memory(found, mapped)


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_a_memmap_whose_file_was_cut_is_an_error(tmp_path, scene, scene_model, mode):
    np.save(tmp_path / "cube.npy", scene.cube)
    mapped = np.load(tmp_path / "cube.npy", mmap_mode=mode)
    os.truncate(tmp_path / "cube.npy", 4096)
    with pytest.raises(DataFormatError, match="became shorter while it was read"):
        predict_scene(scene_model, mapped)


def test_changes_of_a_private_memmap_count(tmp_path, scene, scene_model, expected):
    np.save(tmp_path / "cube.npy", np.zeros_like(scene.cube))
    private = np.load(tmp_path / "cube.npy", mmap_mode="c")
    private[:] = scene.cube
    np.testing.assert_array_equal(predict_scene(scene_model, private).codes, expected)


# Rasters


VRT = '<VRTDataset rasterXSize="26" rasterYSize="34">{}</VRTDataset>'
BAND = (
    '<VRTRasterBand dataType="Float32" band="{0}">{2}<SimpleSource><SourceFilename '
    'relativeToVRT="1">{1}</SourceFilename><SourceBand>{0}</SourceBand></SimpleSource>'
    "</VRTRasterBand>"
)


def write_vrt(path, part, extra=lambda band: ""):
    bands = "".join(BAND.format(b, part, extra(b)) for b in range(1, 51))
    path.write_text(VRT.format(bands))
    return path


def test_a_file_is_opened_as_what_its_name_says(tmp_path, scene, scene_model, expected):
    write_tif(tmp_path / "part.tif", scene.cube)
    disguised = write_vrt(tmp_path / "scene.tif", "part.tif")
    with pytest.raises(DataFormatError, match="is no raster file that can be read"):
        predict_scene(scene_model, disguised)
    named = write_vrt(tmp_path / "scene.vrt", "part.tif")
    np.testing.assert_array_equal(predict_scene(scene_model, named).codes, expected)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("/vsicurl/http://127.0.0.1:9/a.tif", "nothing is fetched"),
        ("http://127.0.0.1:9/a.tif", "nothing is fetched"),
        ("/vsizip/vsicurl/http:/127.0.0.1:9/a.zip", "nothing is fetched"),
        ("inner.tif", "neither a GeoTIFF nor an ENVI file"),  # a VRT by another name
        ("inner.vrt", "nothing is fetched"),
        ("scene.vrt", "lies in more than 8 virtual rasters"),
    ],
)
def test_a_vrt_reads_local_files_of_known_kinds(tmp_path, monkeypatch, scene_model, part, message):
    calls = []
    monkeypatch.setattr("sklearn_capoz.scenes._raster.opened", lambda *a: calls.append(a))
    for inner in ("inner.tif", "inner.vrt"):
        write_vrt(tmp_path / inner, "/vsicurl/http://127.0.0.1:9/a.tif")
    with pytest.raises(DataFormatError, match=message):
        predict_scene(scene_model, write_vrt(tmp_path / "scene.vrt", part))
    assert not calls


def test_a_mask_beside_a_geotiff_is_a_geotiff(tmp_path, scene, scene_model):
    path = write_tif(tmp_path / "scene.tif", scene.cube)
    write_vrt(tmp_path / "scene.tif.msk", "scene.tif")
    with pytest.raises(DataFormatError, match=r"scene.tif.msk is no GeoTIFF"):
        predict_scene(scene_model, path)


@pytest.mark.parametrize(
    "layout",
    [
        {"blockysize": 34},
        {"blockysize": 34, "interleave": "pixel"},
        {"tiled": True, "blockxsize": 16, "blockysize": 16},
    ],
)
def test_what_a_file_stores_together_is_read_once(
    tmp_path, monkeypatch, scene, scene_model, expected, layout
):
    path = write_tif(tmp_path / "scene.tif", scene.cube, compress="deflate", **layout)
    read, plain = [], RasterSource._read

    def counted(self, dataset, start, stop, *rest):
        read.append((start, stop))
        return plain(self, dataset, start, stop, *rest)

    monkeypatch.setattr(RasterSource, "_read", counted)
    found = predict_scene(scene_model, path, block_rows=3, n_jobs=2)
    np.testing.assert_array_equal(found.codes, expected)
    blocks = read[4:]  # behind the first look
    assert len(blocks) <= 4
    assert sum(stop - start for start, stop in blocks) == 34


def test_a_piece_that_is_too_large_to_be_held_twice_is_read_in_parts_and_unpacked_once(
    tmp_path, monkeypatch, scene, scene_model, expected
):
    """GDAL keeps what it has unpacked last as long as the file is open."""
    path = write_tif(
        tmp_path / "scene.tif", scene.cube, blockysize=34, interleave="pixel", compress="deflate"
    )
    monkeypatch.setattr("sklearn_capoz.scenes._raster.SPAN_BYTES", 10 * 26 * 50 * 4)
    opened, shapes, plain = [], [], RasterSource._dataset

    def counted(self):
        opened.append(self.path)
        return plain(self)

    def looked_at(self, dataset, start, stop, *rest):
        shapes.append((start, stop))
        return read(self, dataset, start, stop, *rest)

    read = RasterSource._read
    monkeypatch.setattr(RasterSource, "_dataset", counted)
    monkeypatch.setattr(RasterSource, "_read", looked_at)
    found = predict_scene(scene_model, path, block_rows=3, n_jobs=2)
    np.testing.assert_array_equal(found.codes, expected)
    assert len(opened) == 2  # the first look, and the scene
    assert shapes[:4] == [(0, 2), (10, 12), (21, 23), (32, 34)]
    assert shapes[4:] == [(0, 9), (9, 18), (18, 27), (27, 34)]


def test_a_raster_that_is_gone_meanwhile_is_told(tmp_path, scene):
    source = open_raster(write_tif(tmp_path / "scene.tif", scene.cube))
    (tmp_path / "scene.tif").unlink()
    with pytest.raises(DataFormatError, match="cannot be opened any more"):
        source.read(0, 2, np.arange(50), Scratch())


@pytest.mark.parametrize("depth", [1, 2])
def test_pieces_of_the_parts_of_a_vrt_count_as_well(
    tmp_path, monkeypatch, scene, scene_model, depth
):
    write_tif(
        tmp_path / "part.tif", scene.cube, blockysize=34, interleave="pixel", compress="deflate"
    )
    path = write_vrt(tmp_path / "scene.vrt", "part.tif")
    if depth == 2:
        path = write_vrt(tmp_path / "outer.vrt", "scene.vrt")
    monkeypatch.setattr("sklearn_capoz.scenes._raster.PIECE_BYTES", 34 * 26 * 50 * 4 - 1)
    with pytest.raises(DataFormatError, match=r"part\.tif is stored in pieces of 34 x 26 pixels"):
        predict_scene(scene_model, path)


def test_blocks_of_one_piece_are_one_task():
    blocks = [(start, min(start + 3, 10)) for start in range(0, 10, 3)]
    assert list(_tasks(blocks, 2, 1)) == [blocks[:2], blocks[2:]]
    assert list(_tasks(blocks, 1, 6)) == [blocks[:2], blocks[2:]]
    assert list(_tasks(blocks, 3, 3)) == [blocks[:3], blocks[3:]]
    assert list(_tasks([], 1, 6)) == []


def test_pieces_and_rows_that_no_memory_holds_are_refused(tmp_path, scene_model):
    sizes = {"strip.tif": {"blockysize": 24_000}, "tile.tif": {"tiled": True, "blockysize": 24_000,
             "blockxsize": 24_000}}  # fmt: skip
    for name, layout in sizes.items():
        with rasterio.open(
            tmp_path / name, "w", driver="GTiff", height=24_000, width=24_000, count=1,
            dtype="uint8", compress="deflate", sparse_ok=True, **layout,
        ):  # fmt: skip
            pass
        with pytest.raises(DataFormatError, match=r"pieces of 24,000 x 24,000 pixels, 576,000,000"):
            predict_scene(scene_model, tmp_path / name, scale=1)
    wide = np.broadcast_to(np.float32(0.5), (1, 2**31, 50))
    with pytest.raises(DataFormatError, match="one row of the scene, 2,147,483,648 columns of 50"):
        predict_scene(scene_model, wide)


def test_masks_of_every_kind_say_where_there_is_no_data(tmp_path, scene, scene_model, expected):
    valid = np.ones((34, 26), dtype=np.uint8) * 255
    valid[5:8, 3] = 0
    expected = np.where(valid, expected, 0)
    cube = scene.cube.copy()
    cube[5:8, 3] = 0.4  # numbers like any other
    found = {}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        inside = write_tif(tmp_path / "inside.tif", cube, lambda d: d.write_mask(valid))
    found["inside"] = predict_scene(scene_model, inside)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        beside = write_tif(tmp_path / "beside.tif", cube, lambda d: d.write_mask(valid))
    assert (tmp_path / "beside.tif.msk").exists()
    found["beside"] = predict_scene(scene_model, beside, block_rows=6)
    for dtype in ("float32", "uint16"):  # GDAL takes only the second for a mask
        path, full = tmp_path / f"{dtype}.tif", cube if dtype == "float32" else cube * 10000
        stacked = np.concatenate([full.round(5), valid[..., None]], axis=2).astype(dtype)
        with rasterio.open(
            path, "w", driver="GTiff", height=34, width=26, count=51, dtype=dtype
        ) as dataset:
            colors = rasterio.enums.ColorInterp
            dataset.colorinterp = [colors.gray] * 50 + [colors.alpha]
            dataset.write(stacked.transpose(2, 0, 1))
        source = open_source(path)
        assert source.shape == (34, 26, 50)
        scale = 1 if dtype == "float32" else 10000
        found[dtype] = predict_scene(scene_model, path, scale=scale)
        plain = predict_scene(scene_model, stacked[..., :50], scale=scale).codes
        np.testing.assert_array_equal(found.pop(dtype).codes, np.where(valid, plain, 0))
    for name, result in found.items():
        np.testing.assert_array_equal(result.codes, expected, err_msg=name)


def test_bands_may_have_no_data_values_of_their_own(tmp_path, scene, scene_model, expected):
    cube = scene.cube.copy()
    cube[2, 3, 0], cube[4, 5, 1], cube[6, 7, 2] = -7, -8, -7
    write_tif(tmp_path / "part.tif", cube)
    own = {1: "<NoDataValue>-7</NoDataValue>", 2: "<NoDataValue>-8</NoDataValue>"}
    path = write_vrt(tmp_path / "scene.vrt", "part.tif", lambda band: own.get(band, ""))
    found = predict_scene(scene_model, path).codes
    assert (found[[2, 4], [3, 5]] == 0).all()
    assert found[6, 7] != 0  # the third band has none
    found[[2, 4, 6], [3, 5, 7]] = expected[[2, 4, 6], [3, 5, 7]]
    np.testing.assert_array_equal(found, expected)


def test_control_points_are_kept_or_said(tmp_path, scene, scene_model):
    points = [rasterio.control.GroundControlPoint(r, c, 500000 + 20 * c, 4e6 - 20 * r, 0)
              for r, c in ((0, 0), (0, 25), (33, 0), (33, 25))]  # fmt: skip
    path = write_tif(tmp_path / "scene.tif", scene.cube, gcps=points, crs="EPSG:32611")
    predict_scene(scene_model, path, output=tmp_path / "map.tif", proba=True)
    for name in ("map.tif", "map_probability.tif"):
        with rasterio.open(tmp_path / name) as dataset:
            found, crs = dataset.gcps
        assert crs.to_epsg() == 32611
        assert [(p.row, p.col, p.x, p.y) for p in found] == [
            (p.row, p.col, p.x, p.y) for p in points
        ]
    with pytest.warns(UserWarning, match=r"the map has no coordinates. As GeoTIFF"):
        predict_scene(scene_model, path, output=tmp_path / "map.hdr")


# What headers and coordinates say


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
        take_first_look(source, check_range=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SceneLayoutWarning)  # the header is right
        take_first_look(source, check_range=False)


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
def test_places_where_a_geotiff_has_its_wavelengths(tmp_path, scene, place):
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
def test_names_that_are_no_wavelengths(tmp_path, names):
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


# Boundaries


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
