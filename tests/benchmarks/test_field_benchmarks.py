"""The benchmarks of the road to the field run, on made pixels: no test looks at the real ones."""

import numpy as np
import pandas as pd
import pytest
from sklearn.utils import Bunch

from benchmarks import _cuprite_field, field_map, field_trust
from benchmarks._protocol import Options
from benchmarks._report import Report
from sklearn_capoz.cli import _train_field
from sklearn_capoz.datasets import CUPRITE_MINERALS, fetch_usgs_splib, make_field_spectra

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def made_pixels(data_home, monkeypatch):
    """712 spectra of the seven minerals, every second without a name."""
    library = fetch_usgs_splib(data_home=data_home)
    minerals, bands = library.target_names[library.target], library.cuprite_bands
    seven, nm = np.isin(minerals, CUPRITE_MINERALS), library.wavelengths[bands]
    X, y, _ = make_field_spectra(
        library.data[seven][:, bands], minerals[seven], wavelengths=nm, shift="mild",
        n_samples=712, random_state=0,
    )  # fmt: skip
    names = np.array(CUPRITE_MINERALS)
    target = (y[:, None] == names).argmax(axis=1)
    target[::2] = -1
    pixels = Bunch(data=X, target=target, target_names=names, wavelengths=nm)
    monkeypatch.setattr(_cuprite_field, "fetch_cuprite_pixels", lambda data_home: pixels)
    for name, value in {"PER_CLASS": 60, "LEAST": 420, "N_FOLDS": 2}.items():
        monkeypatch.setattr(_train_field, name, value)
    return data_home


def test_accuracies_by_hand():
    found = field_map.accuracies(np.array(["a", "a", "a", "b"]), np.array(["a", "a", "c", "b"]))
    assert found == pytest.approx({"overall": 3 / 4, "balanced": 5 / 6, "mean": 19 / 24})


def test_both_roads_are_mapped(made_pixels, tmp_path):
    rows, recalls = field_map.measure(made_pixels, tmp_path, 1)
    matching = ["matching, all bands", "matching, 2080 to 2420 nm"]
    assert rows["road"].tolist() == [*field_map.ROADS, *matching]
    assert (rows["overall"] > 0.4).all()
    assert recalls.shape == (7, 2)
    again, _ = field_map.measure(made_pixels, tmp_path, 1)  # the models are there
    assert again["overall"].tolist() == rows["overall"].tolist()


def test_the_map_is_a_part_of_the_results(made_pixels, tmp_path):
    report = Report("field_map", tmp_path, "field_map", 1)
    field_map.run(Options(made_pixels, seeds=1), report)
    report.write(field_map.TITLE, ["field_map"])
    text = (tmp_path / "RESULTS.md").read_text("utf-8")
    assert "| train --scene | " in text
    assert "The two commands name " in text


@pytest.mark.parametrize("module", [field_map, field_trust])
def test_without_data_it_is_said_what_is_needed(module, tmp_path):
    with pytest.raises(SystemExit, match="give --data-home FOLDER"):
        module.run(Options(None, seeds=1), Report("x", tmp_path, "x", 1))


def test_kept_and_rejected_are_counted(made_pixels, tmp_path, monkeypatch):
    if not (made_pixels / "ecostress").is_dir():
        pytest.skip("the ECOSTRESS records are not there")
    monkeypatch.setattr(field_trust, "N_MADE", 20)
    report = Report("field_trust", tmp_path, "field_trust", 1)
    field_trust.run(Options(made_pixels, seeds=1), report)
    lines = pd.read_csv(tmp_path / "results" / "field_trust.csv").set_index("figure")
    assert lines.loc["kept", "n"] == 356
    assert sum(lines.loc[f"kept {mineral}", "n"] for mineral in CUPRITE_MINERALS) == 356
    assert lines.loc["rejected vegetation", "n"] == 12
    assert 0 <= lines.loc["rejected flat", "seed0"] <= 1
    assert lines.loc["AUC other minerals", "seed0"] > 0.5
    report.write(field_trust.TITLE, ["field_trust"])
    assert "| rejected vegetation | 12 | " in (tmp_path / "RESULTS.md").read_text("utf-8")
