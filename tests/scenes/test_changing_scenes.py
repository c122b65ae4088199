"""A scene that changes while it is mapped is an error at the end at the latest."""

import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB

from sklearn_capoz.deploy import predict_scene
from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.scenes._open import open_source
from sklearn_capoz.scenes._scratch import Scratch

rasterio = pytest.importorskip("rasterio")
pytest.importorskip("spectral")

pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore:bands were matched by position"),
]


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
    tmp_path, monkeypatch, write_envi, scene, scene_model, change, kind, output, write_tif
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
