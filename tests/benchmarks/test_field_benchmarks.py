"""The benchmarks of the road to the field run, on made pixels: no test looks at the real ones."""

import sys

import numpy as np
import pytest
from sklearn.utils import Bunch

from benchmarks import _cuprite_field, field_map, field_trust
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


def test_both_roads_are_mapped(made_pixels, tmp_path, capsys):
    rows, recalls = field_map.measure(made_pixels, tmp_path, 1)
    assert rows["road"].tolist() == ["train --scene", "train"]
    assert (rows["overall"] > 0.4).all()
    assert recalls.shape == (7, 2)
    again, _ = field_map.measure(made_pixels, tmp_path, 1)  # the models are there
    assert again["overall"].tolist() == rows["overall"].tolist()
    assert "matching, 2080 to 2420 nm" in capsys.readouterr().out


def test_kept_and_rejected_are_counted(made_pixels, capsys, monkeypatch):
    if not (made_pixels / "ecostress").is_dir():
        pytest.skip("the ECOSTRESS records are not there")
    arguments = ["field_trust", "--data-home", str(made_pixels), "--seeds", "1"]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr(field_trust, "N_MADE", 20)
    field_trust.main()
    printed = [line.rsplit(maxsplit=3) for line in capsys.readouterr().out.splitlines()]
    lines = {what.strip(): values for what, *values in printed}
    assert lines["kept"][0] == "356"
    assert sum(int(lines[f"kept {mineral}"][0]) for mineral in CUPRITE_MINERALS) == 356
    assert int(lines["rejected vegetation"][0]) == 12
    assert 0 <= float(lines["rejected flat"][1]) <= 1
    assert float(lines["AUC other minerals"][1]) > 0.5
