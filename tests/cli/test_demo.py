"""The main job, as a user starts it."""

import subprocess
import sys
from pathlib import Path

import joblib
import pandas as pd
import pytest

from sklearn_capoz.cli import _demo
from sklearn_capoz.datasets import make_mineral_spectra
from sklearn_capoz.deploy import load_model

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "results"
    done = subprocess.run(
        [sys.executable, "-m", "sklearn_capoz", "demo", "--output", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return folder, done.stdout, done.stderr


def test_prints_the_table_and_names_the_folder(demo):
    folder, printed, progress = demo
    header = next(line for line in printed.splitlines() if "threshold" in line)
    assert header.split().count("test") == 2
    assert "C-APoZ" in printed.splitlines()[printed.splitlines().index(header) - 1]
    table = printed.splitlines()[printed.splitlines().index(header) + 2 :]
    rows = [line.split() for line in table[:8]]
    assert [row[0] for row in rows] == [str(i) for i in range(8)]
    assert rows[0][1:5] == ["30", "1.000", "1.000", "1.000"]
    assert str(folder) in printed
    assert "8/8" in progress
    assert "Warning" not in progress


def test_history_holds_both_criteria(demo):
    history = pd.read_csv(demo[0] / "history.csv")
    assert history.groupby("criterion")["iteration"].max().to_dict() == {"APoZ": 7, "C-APoZ": 7}
    units = history[history["criterion"] == "C-APoZ"]["n_units_0"]
    assert units.iloc[0] == 30
    assert units.is_monotonic_decreasing
    # Both prune the same dense network.
    assert history[history["iteration"] == 0]["accuracy_after"].nunique() == 1


def test_saved_model_labels_reflectance(demo):
    model = joblib.load(demo[0] / "model.joblib")
    X, y = make_mineral_spectra(700, random_state=9)
    assert model.score(X, y) > 0.85
    assert model[-1].network_.widths[0] < 30


def test_map_reads_the_model_of_the_demo(demo, tmp_path, run, scene_path, capsys):
    path, _ = scene_path
    run("map", path, "--model", demo[0] / "model.capoz", "--output", tmp_path / "map.tif",
        "--quiet", "--jobs", 1)  # fmt: skip
    assert "Muscovite" in capsys.readouterr().out
    stored, joblibs = load_model(demo[0] / "model.capoz"), joblib.load(demo[0] / "model.joblib")
    X, _ = make_mineral_spectra(70, random_state=9)
    assert stored.predict(X).tolist() == joblibs.predict(X).tolist()
    assert "model.capoz" in demo[1]


def test_pictures_are_there(demo):
    for name in ("importance", "path", "map"):
        assert (demo[0] / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_last_step_is_a_page(demo):
    page = (demo[0] / "report.html").read_text("utf-8")
    for section in ("map", "class", "assessment", "pruning"):
        assert f'id="{section}-section"' in page
    assert "1,000 places whose class is known" in page
    assert "report.html" in demo[1]


def test_without_jinja_the_page_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(_demo, "find_spec", lambda name: None)
    said = _demo._report(tmp_path / "report.html", None, None, None, 0)
    assert said == "was left out: pip install 'sklearn-capoz[report]'"
    assert not list(tmp_path.iterdir())


def test_a_wrong_command_is_answered(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sklearn_capoz", "paint"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "invalid choice: 'paint'" in done.stderr
