import os
import shutil

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from sklearn_capoz.deploy import predict_scene
from sklearn_capoz.scenes._output import layer_path

rasterio = pytest.importorskip("rasterio")
pytest.importorskip("spectral")

pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore:bands were matched by position"),
]


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def names(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.fixture
def scenes(tmp_path, scene, write_envi):
    """Write the scene in the ways that ENVI and GDAL name files; return the folder."""
    path = write_envi(name="pair")
    for header, data in (
        ("long.img.hdr", "long.img"), ("bare.hdr", "bare"), ("map_features.hdr", "map_features.img")
    ):  # fmt: skip
        shutil.copy(path, tmp_path / header)
        shutil.copy(path.with_suffix(".img"), tmp_path / data)
    for name in ("self.tif", "part.tif"):
        with rasterio.open(
            tmp_path / name, "w", driver="GTiff", height=34, width=26, count=50, dtype="float32"
        ) as dataset:
            dataset.write(scene.cube.transpose(2, 0, 1))
    (tmp_path / "link.tif").symlink_to("self.tif")
    rows = "".join(
        f'<VRTRasterBand dataType="Float32" band="{b}"><SimpleSource><SourceFilename '
        f'relativeToVRT="1">part.tif</SourceFilename><SourceBand>{b}</SourceBand></SimpleSource>'
        "</VRTRasterBand>"
        for b in range(1, 51)
    )
    (tmp_path / "scene.vrt").write_text(
        f'<VRTDataset rasterXSize="26" rasterYSize="34">{rows}</VRTDataset>'
    )
    np.save(tmp_path / "cube.npy", scene.cube)
    os.rename(tmp_path / "cube.npy", tmp_path / "mapped.img")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "output", "named"),
    [
        ("pair.hdr", "pair.hdr", "pair.hdr"),
        ("pair.img", "pair.hdr", "pair.hdr"),
        ("long.img", "long.hdr", "long.img"),
        ("bare.hdr", "bare.hdr", "bare.hdr"),
        ("map_features.hdr", "map.hdr", "map_features.hdr"),  # an old layer, which would go
        ("self.tif", "self.tif", "self.tif"),
        ("self.tif", "link.tif", "link.tif"),
        ("link.tif", "self.tif", "self.tif"),
        ("scene.vrt", "part.tif", "part.tif"),
        ("memmap", "mapped.hdr", "mapped.img"),
    ],
)
def test_no_result_takes_the_place_of_what_is_read(scenes, scene_model, source, output, named):
    before = contents(scenes)
    mapped = source == "memmap"
    given = np.load(scenes / "mapped.img", mmap_mode="r") if mapped else scenes / source
    with pytest.raises(ValueError, match=f"would replace or remove .*{named}, which this run"):
        predict_scene(scene_model, given, output=scenes / output)
    assert contents(scenes) == before
    assert not list(scenes.glob("*.partial"))


@pytest.mark.parametrize(
    ("output", "file"),
    [
        ("map.tif", "map.tif"),
        ("map.tif", "map.tif.aux.xml"),
        ("map.tif", "map_probability.tif"),
        ("map.hdr", "map.img"),
        ("map.hdr", "map_probability.img"),
    ],
)
def test_a_folder_in_the_way_is_seen_before_any_work(tmp_path, scene, scene_model, output, file):
    (tmp_path / file).mkdir()
    with pytest.raises(IsADirectoryError, match=f"{file} is a folder"):
        predict_scene(scene_model, scene.cube, output=tmp_path / output, proba=True)
    assert names(tmp_path) == [file]


@pytest.mark.parametrize("there", ["map.img", "map.hdr", "map_probability.img"])
def test_half_a_pair_belongs_to_something_else(tmp_path, scene, scene_model, there):
    (tmp_path / there).write_text("ENVI")
    with pytest.raises(ValueError, match=f"would replace .*{there}, which (belongs|is no map)"):
        predict_scene(scene_model, scene.cube, output=tmp_path / "map.hdr", proba=True)
    assert contents(tmp_path) == {there: b"ENVI"}


@pytest.mark.parametrize("name", ["notes.tif", "dem.tif", "pair.hdr"])
def test_what_has_the_very_name_of_the_map_and_is_none_stays(scenes, scene, scene_model, name):
    (scenes / "notes.tif").write_text("notes")
    shutil.copy(scenes / "part.tif", scenes / "dem.tif")
    before = contents(scenes)
    with pytest.raises(
        ValueError, match=f"would replace .*{name}, which is no map of this program"
    ):
        predict_scene(scene_model, scene.cube, output=scenes / name)
    assert contents(scenes) == before


@pytest.mark.parametrize("suffix", ["tif", "hdr"])
def test_an_earlier_map_is_replaced(tmp_path, scene, scene_model, suffix):
    output = tmp_path / f"map.{suffix}"
    predict_scene(scene_model, scene.cube, output=output)
    before = contents(tmp_path)
    predict_scene(scene_model, scene.cube[::-1], output=output)
    assert contents(tmp_path).keys() == before.keys()
    assert contents(tmp_path) != before


@pytest.mark.parametrize(
    ("output", "there"),
    [("map.tif", "map.tif"), ("map.tif", "map.tif.aux.xml"), ("map.hdr", "map.img"),
     ("map.tif", "map_probability.tif")],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["link", "broken link", "pipe"])
def test_a_map_takes_the_place_of_no_link_and_no_pipe(
    tmp_path, scene, scene_model, output, there, kind
):
    (tmp_path / "notes").write_text("notes")
    if kind == "pipe":
        os.mkfifo(tmp_path / there)
    else:
        (tmp_path / there).symlink_to("notes" if kind == "link" else "nothing")
    with pytest.raises(OSError, match=f"output .*{there} is a (link to|pipe or)"):
        predict_scene(scene_model, scene.cube, output=tmp_path / output, proba=True)
    assert names(tmp_path) == sorted([there, "notes"])
    assert (tmp_path / there).is_symlink() == (kind != "pipe")


@pytest.mark.parametrize("suffix", ["tif", "hdr"])
def test_layers_of_an_earlier_map_go_with_it(tmp_path, scene, scene_model, suffix):
    output = tmp_path / f"map.{suffix}"
    scaler = StandardScaler().fit(scene.cube.reshape(-1, 50))
    predict_scene(scene_model, scene.cube, output=output, proba=True, features=scaler)
    both = {"tif": [".tif"], "hdr": [".hdr", ".img"]}[suffix]
    assert [n for n in names(tmp_path) if "_f" in n] == [f"map_features{s}" for s in both]
    predict_scene(scene_model, scene.cube, output=output, proba=True)
    assert not list(tmp_path.glob("map_features*"))
    assert layer_path(output, "probability").exists()
    written = predict_scene(scene_model, scene.cube, output=output).files
    assert names(tmp_path) == sorted(p.name for p in written)


@pytest.mark.parametrize("suffix", ["tif", "hdr"])
def test_files_of_another_origin_stay(tmp_path, scenes, scene, scene_model, suffix):
    shutil.copy(scenes / "self.tif", scenes / "map_features.tif")
    (scenes / "map_probability.tif").write_text("notes")
    (scenes / "map_probability.img").write_text("notes")  # half of a layer is none
    before = contents(scenes)
    predict_scene(scene_model, scene.cube, output=tmp_path / f"map.{suffix}")
    assert before.items() <= contents(scenes).items()


@pytest.mark.parametrize("suffix", ["tif", "hdr"])
def test_a_name_with_dots_is_kept(tmp_path, scene, scene_model, suffix):
    output = tmp_path / f"north.v1.{suffix}"
    files = predict_scene(scene_model, scene.cube, output=output, proba=True).files
    assert output in files
    assert tmp_path / f"north.v1_probability.{suffix}" in files
    assert names(tmp_path) == sorted(p.name for p in files)


@pytest.mark.parametrize("suffix", ["tif", "hdr"])
def test_a_map_knows_its_layers_whatever_letters_it_is_called_by(
    tmp_path, scene, scene_model, suffix
):
    output = tmp_path / f"north{{1}}\t.{suffix}"
    predict_scene(scene_model, scene.cube, output=output, proba=True)
    predict_scene(scene_model, scene.cube, output=output, proba=True)
    written = predict_scene(scene_model, scene.cube, output=output).files
    assert names(tmp_path) == sorted(p.name for p in written)
