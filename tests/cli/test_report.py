"""The command that writes a page about a map; the page itself is tested with `write_report`."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from sklearn_capoz.exceptions import DataFormatError

pytest.importorskip("jinja2")


@pytest.fixture
def mapped(trained, scene_path, tmp_path, run, capsys):
    run("map", scene_path[0], "--model", trained, "--output", tmp_path / "map.tif", "--quiet",
        "--jobs", 1, "--color", "calcite=#010203")  # fmt: skip
    capsys.readouterr()
    return tmp_path / "map.tif"


def data_of(page):
    text = page.read_text("utf-8")
    return text, json.loads(re.search(r'id="data">(.*?)</script>', text)[1])


def test_map_scene_model_and_truth_on_one_page(mapped, trained, scene_path, tmp_path, capsys, run):
    path, scene = scene_path
    rows, columns = np.indices((30, 20)).reshape(2, -1)
    names = [f"{scene.target_names[i]} s.l." for i in scene.labels[rows, columns]]
    points = pd.DataFrame({"row": rows, "column": columns, "mineral": names})
    points.to_csv(tmp_path / "truth.csv", index=False)
    page = tmp_path / "page.html"
    renamed = [w for name in set(names) for w in ("--rename", f"{name}={name[:-5]}")]
    words = ("--label", "mineral", *renamed, "--title", "My map", "--output", page, "--quiet")
    run("report", mapped, "--scene", path, "--model", trained, "--truth", tmp_path / "truth.csv",
        *words)  # fmt: skip
    said = capsys.readouterr().out
    assert re.fullmatch(r"written: \S*page\.html, \d\.\d MB; open it in a browser\n", said)
    text, data = data_of(page)
    assert "<title>My map</title>" in text
    assert "600 places whose class is known" in text
    assert data["pruning"]["rows"]
    colors = {c["name"]: c["color"] for c in data["classes"]}
    assert colors["Calcite"] == "#010203"  # as the map has it
    assert colors["Alunite"] == "#d55e00"


def test_what_the_assessment_warns_of_is_on_the_page(mapped, scene_path, tmp_path, run):
    path, scene = scene_path
    places = np.argwhere(scene.labels == 1)[:9]
    points = pd.DataFrame(places, columns=["row", "column"]).assign(label=scene.target_names[1])
    points.to_csv(tmp_path / "truth.csv", index=False)
    page = tmp_path / "page.html"
    with pytest.warns(UserWarning, match="no labelled place lies where"):
        run("report", mapped, "--scene", path, "--truth", tmp_path / "truth.csv", "--output", page,
            "--quiet")  # fmt: skip
    assert "<li>no labelled place lies where the map has" in page.read_text("utf-8")


def test_bands_are_left_out_by_their_wavelengths(mapped, scene_path, tmp_path, run):
    page = tmp_path / "page.html"
    run("report", mapped, "--scene", scene_path[0], "--output", page, "--quiet",
        "--bad-bands", "1990-2010,2400")  # fmt: skip
    shown = data_of(page)[1]["wavelengths"]
    assert len(shown) == 46
    assert shown[0] == 2020


def test_what_is_refused(mapped, trained, scene_path, tmp_path, run):
    page = tmp_path / "page.html"
    words = ("--scene", scene_path[0], "--output", page, "--quiet")
    with pytest.raises(FileNotFoundError, match="no file"):
        run("report", tmp_path / "none.tif", *words)
    with pytest.raises(DataFormatError, match="has 50 bands; class codes stand in one"):
        run("report", scene_path[0], *words)
    with pytest.raises(SystemExit):
        run("report", mapped, "--output", page)
    with pytest.raises(FileExistsError, match="is the map, or one of its files"):
        run("report", mapped, "--scene", scene_path[0], "--output", mapped)
    with pytest.raises(FileExistsError, match="is the model, or one of its files"):
        run("report", mapped, *words[:2], "--model", trained, "--output", trained)
    assert not page.exists()
