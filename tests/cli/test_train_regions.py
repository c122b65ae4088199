"""Training from regions of a scene: both figures, the one to believe, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from sklearn_capoz.deploy import load_model

envi = pytest.importorskip("spectral.io.envi")
geopandas = pytest.importorskip("geopandas")
shapely = pytest.importorskip("shapely")

MAP_INFO = ["UTM", 1, 1, 5e5, 4e6, 20, 20, 11, "North", "WGS-84"]

TINY = ("--units", 8, "--iterations", 1, "--quiet", "--max-pixels", 60,
        "--threshold", "fraction")  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write a scene of fields of 10 x 10 pixels, each with a shade of its own, and polygons."""
    folder, random = tmp_path_factory.mktemp("regions"), np.random.default_rng(0)
    nm = np.linspace(2000, 2400, 20)
    minerals = {"alunite": 2170, "calcite": 2340, "kaolinite": 2205}
    cube, labels = np.zeros((60, 50, 20)), []
    boxes = []
    for row in range(6):
        for column in range(5):
            name = list(minerals)[(row + column) % 3]
            depth = random.uniform(0.1, 0.3)
            spectrum = 0.5 - depth * np.exp(-(((nm - minerals[name]) / 40) ** 2))
            spectrum = spectrum * random.uniform(0.5, 1) + random.normal(0, 0.03, 20)
            here = np.s_[10 * row : 10 * row + 10, 10 * column : 10 * column + 10]
            cube[here] = spectrum + random.normal(0, 0.002, (10, 10, 20))
            x, y = 5e5 + 200 * column, 4e6 - 200 * row
            boxes.append(shapely.box(x + 21, y - 179, x + 179, y - 21))
            labels.append(name)
    header = {"wavelength": list(nm), "wavelength units": "Nanometers",
              "map info": MAP_INFO}  # fmt: skip
    envi.save_image(str(folder / "scene.hdr"), cube.astype("float32"), metadata=header)
    frame = geopandas.GeoDataFrame({"mineral": labels}, geometry=boxes, crs="EPSG:32611")
    frame.to_file(folder / "regions.gpkg")
    return folder


def test_both_figures_are_printed_and_one_is_to_be_believed(folder, tmp_path, capsys, run):
    run("train", folder / "scene.hdr", "--truth", folder / "regions.gpkg", "--label", "mineral",
        *TINY, "--output", tmp_path / "m.capoz")  # fmt: skip
    said = capsys.readouterr().out
    lines = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line.strip()}
    spatial, random = map(float, lines["overall"])
    assert random > spatial
    assert "spatial blocks  random pixels" in said
    assert "Believe the spatial blocks" in said
    counted = next(line.split() for line in said.splitlines() if line.startswith("alunite"))
    assert counted == ["alunite", "60", "10"]
    model = load_model(tmp_path / "m.capoz")
    assert model.classes_.tolist() == ["alunite", "calcite", "kaolinite"]
    run("map", folder / "scene.hdr", "--model", tmp_path / "m.capoz", "--output",
        tmp_path / "map.tif", "--quiet", "--jobs", 1)  # fmt: skip
    with pytest.warns(UserWarning, match="were trained on and"):
        run("assess", tmp_path / "map.tif", "--truth", folder / "regions.gpkg", "--label",
            "mineral", "--training", folder / "regions.gpkg")  # fmt: skip
    assert "1,920 places" in capsys.readouterr().out


def test_a_class_in_one_block_is_not_judged(folder, tmp_path, capsys, run):
    frame = geopandas.read_file(folder / "regions.gpkg")
    places = np.flatnonzero(frame["mineral"] == "alunite")
    frame = frame.drop(index=places[1:])
    frame.to_file(tmp_path / "few.geojson")
    run("train", folder / "scene.hdr", "--truth", tmp_path / "few.geojson", "--label", "mineral",
        *TINY, "--output", tmp_path / "m.capoz")  # fmt: skip
    said = capsys.readouterr().out
    assert "alunite: all regions lie in one block, so that none can be held out" in said
    recalls = [line.split() for line in said.splitlines() if line.startswith("alunite ")]
    assert recalls[-1][1] == "-"
    frame = frame.iloc[[0]].assign(mineral="calcite")
    both = pd.concat([frame, frame.assign(mineral="kaolinite", geometry=frame.translate(0, -200))])
    both.to_file(tmp_path / "two.geojson")
    run("train", folder / "scene.hdr", "--truth", tmp_path / "two.geojson", "--label", "mineral",
        *TINY, "--block-size", 60, "--output", tmp_path / "m.capoz")  # fmt: skip
    said = capsys.readouterr().out
    assert "Nothing here says how right the map is away from the regions" in said
    assert "spatial blocks  " not in said


def test_points_bands_and_names(folder, tmp_path, capsys, run):
    rows, columns = np.divmod(np.arange(0, 3000, 7), 50)
    table = pd.DataFrame({"row": rows, "column": columns})
    table["label"] = np.where((rows // 10 + columns // 10) % 3 == 0, "alunite", "other")
    table.to_csv(tmp_path / "points.csv", index=False)
    run("train", folder / "scene.hdr", "--truth", tmp_path / "points.csv", *TINY, "--bad-bands",
        "2300-2400", "--rename", "other=ground", "--output", tmp_path / "m.capoz")  # fmt: skip
    said = capsys.readouterr().out
    assert "pixels\nalunite" in said.replace(" ", "")
    model = load_model(tmp_path / "m.capoz")
    assert model.classes_.tolist() == ["alunite", "ground"]
    assert model[0].wavelengths_.max() < 2300


def test_what_is_refused(folder, tmp_path, run):
    scene, truth = folder / "scene.hdr", folder / "regions.gpkg"
    words = ("--truth", truth, "--label", "mineral", *TINY, "--output", tmp_path / "m")
    with pytest.raises(ValueError, match="--group is for libraries and tables, and --truth for a"):
        run("train", scene, *words, "--group", "a")
    with pytest.raises(ValueError, match="--truth needs one scene, got 2 files"):
        run("train", scene, scene, *words)
    with pytest.raises(FileExistsError, match="is the truth, or one of its files"):
        run("train", scene, *words[:-1], truth)
    few = geopandas.read_file(truth)
    few = few[few["mineral"] != "alunite"]
    few = pd.concat([few, few.iloc[[0]].assign(
        mineral="opal", geometry=[shapely.box(5e5 + 1, 4e6 - 39, 5e5 + 39, 4e6 - 1)])])  # fmt: skip
    few.to_file(tmp_path / "few.gpkg")
    with pytest.raises(
        ValueError, match=r"needs 20 pixels with data, and opal has 4: .* with --rename 'opal='"
    ):
        run("train", scene, "--truth", tmp_path / "few.gpkg", *words[2:])
    cube = np.random.default_rng(0).uniform(0.2, 0.4, (60, 50, 4)).astype("float32")
    envi.save_image(str(tmp_path / "blind.hdr"), cube, metadata={"map info": MAP_INFO})
    with pytest.raises(ValueError, match=r"blind\.hdr does not say the wavelengths of its bands"):
        run("train", tmp_path / "blind.hdr", *words)
    assert not (tmp_path / "m").exists()
