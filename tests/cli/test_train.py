"""Training on a table: what is said, what is refused, and before which work."""

import os
import stat

import numpy as np
import pytest

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.deploy import load_model
from sklearn_capoz.exceptions import DataFormatError


def test_train_says_what_it_kept(table, tmp_path, capsys, run):
    table.to_csv(tmp_path / "spectra.csv", index=False)
    model_path = tmp_path / "m.capoz"
    run("train", tmp_path / "spectra.csv", "--label", "mineral", "--output", model_path,
        "--as-measured", "--units", 8, "--iterations", 2, "--quiet")  # fmt: skip
    said = capsys.readouterr().out
    assert "1600 spectra of 3 classes, 50 bands from 1990 to 2480 nm" in said
    assert "of 8 units" in said
    assert "held-out spectra: 320, accuracy 0." in said
    by_class = {
        words[0]: [float(word) for word in words[1:]]
        for line in said.splitlines()
        if (words := line.split()) and words[0] in ("Alunite", "Calcite", "Muscovite")
    }
    accuracy = float(said.partition("320, accuracy ")[2][:5])
    assert sum(row[2] for row in by_class.values()) == 320
    mean = sum(row[0] * row[2] for row in by_class.values()) / 320
    assert abs(mean - accuracy) < 0.01
    model = load_model(model_path)
    assert list(model.classes_) == ["Alunite", "Calcite", "Muscovite"]
    X = table.drop(columns=["mineral", "sample"]).to_numpy()
    assert (model.predict(X) == table["mineral"]).mean() > 0.8


def test_a_sample_is_on_one_side(table, tmp_path, monkeypatch, capsys, run):
    # Each sample is one spectrum, repeated: seen in training, it is known by heart.
    random = np.random.RandomState(0)
    once = table.groupby("mineral").head(15).drop(columns="sample")
    repeats = once.loc[np.repeat(once.index, random.randint(1, 9, len(once)))]
    repeats.insert(0, "2300", repeats.index)  # a number, as band names are, and yet no band
    repeats.sample(frac=1, random_state=0).to_csv(tmp_path / "spectra.csv", index=False)
    seen = {}
    fit, predict = PrunedMLPClassifier.fit, PrunedMLPClassifier.predict

    def spy_fit(self, X, y, X_val=None, y_val=None):
        seen["train"], seen["validation"] = (X, y), (X_val, y_val)
        return fit(self, X, y, X_val, y_val)

    def spy_predict(self, X):
        seen["test"] = X, None
        return predict(self, X)

    monkeypatch.setattr(PrunedMLPClassifier, "fit", spy_fit)
    monkeypatch.setattr(PrunedMLPClassifier, "predict", spy_predict)
    run("train", tmp_path / "spectra.csv", "--label", "mineral", "--group", "2300", "--output",
        tmp_path / "m.capoz", "--as-measured", "--units", 8, "--iterations", 1,
        "--quiet")  # fmt: skip
    parts = {name: {spectrum.tobytes() for spectrum in X} for name, (X, _) in seen.items()}
    assert sum(map(len, parts.values())) == len(set().union(*parts.values())) == 45
    assert sum(len(X) for X, _ in seen.values()) == len(repeats)
    for part in ("train", "validation"):
        assert set(seen[part][1]) == {"Alunite", "Calcite", "Muscovite"}
    assert f"of {len(parts['test'])} samples, accuracy" in capsys.readouterr().out
    assert load_model(tmp_path / "m.capoz").n_features_in_ == 50


def test_too_few_samples_to_split(table, tmp_path, run):
    table.assign(sample=np.arange(len(table)) % 4).to_csv(tmp_path / "spectra.csv", index=False)
    words = ("train", tmp_path / "spectra.csv", "--label", "mineral", "--group", "sample",
             "--output", tmp_path / "m", "--as-measured", "--units", 4, "--iterations", 1,
             "--quiet")  # fmt: skip
    with pytest.raises(ValueError, match=r"has spectra of 4 samples; .* at least 5 are needed"):
        run(*words)
    assert not (tmp_path / "m").exists()
    run(*words, "--test-fraction", 0.33)
    assert (tmp_path / "m").exists()


def with_missing(table):
    table.iloc[3, 5] = np.nan


def with_text(table):
    table["2.2008"] = "high"


def with_percent(table):
    table.iloc[:, 1:51] *= 100


def with_fill(table):
    table.iloc[5, [7, 8, 9, 12]] = -9999


def with_a_rare_class(table):
    table.loc[[0, 1], "mineral"] = "Opal"


def without_a_label(table):
    table.loc[7, "mineral"] = None


def with_one_class(table):
    table["mineral"] = "Opal"


def without_bands(table):
    table.columns = ["mineral", *(f"band {i}" for i in range(50)), "sample"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (with_missing, "1 spectra have missing or infinite values, at 2030 nm"),
        (with_text, r"column 2\.2008 must hold numbers, found 'high'"),
        (with_percent, "reflectance is 0 to 1"),
        (with_fill, r"1 of 1600 spectra \(the first is number 6\) .* -9999 stands there 4 times"),
        (with_a_rare_class, "the label 'Opal' has 2"),
        (without_a_label, "1 spectra have no mineral"),
        (with_one_class, "there are 1 labels"),
        (without_bands, "has 0 columns named by a wavelength"),
    ],
)
def test_tables_that_cannot_be_trained_on(table, tmp_path, spoil, message, run):
    table = table.copy()
    spoil(table)
    table.to_csv(tmp_path / "spectra.csv", index=False)
    with pytest.raises(DataFormatError, match=message):
        run("train", tmp_path / "spectra.csv", "--label", "mineral", "--output", tmp_path / "m",
            "--as-measured")  # fmt: skip
    assert not (tmp_path / "m").exists()


def test_files_that_are_no_table(table, tmp_path, run):
    path, output = tmp_path / "spectra.csv", tmp_path / "m.capoz"
    table.to_csv(path, index=False)
    with pytest.raises(DataFormatError, match="no column 'rock'; it has mineral, sample"):
        run("train", path, "--label", "rock", "--output", output)
    with pytest.raises(DataFormatError, match="no column 'hill'; it has mineral, sample"):
        run("train", path, "--label", "mineral", "--group", "hill", "--output", output)
    with pytest.raises(FileNotFoundError, match=r"absent\.csv"):
        run("train", tmp_path / "absent.csv", "--label", "mineral", "--output", output)
    with pytest.raises(FileNotFoundError, match="no file can be written there"):
        run("train", path, "--label", "mineral", "--output", tmp_path / "absent" / "m.capoz")


def test_the_table_is_not_overwritten(table, tmp_path, run):
    path = tmp_path / "spectra.csv"
    table.to_csv(path, index=False)
    before = path.read_bytes()
    (tmp_path / "here").symlink_to(tmp_path)
    with pytest.raises(FileExistsError, match=r"is the file of spectra .*; name another file"):
        run("train", path, "--label", "mineral", "--output", tmp_path / "here" / "spectra.csv")
    assert path.read_bytes() == before


def test_nothing_is_trained_before_the_spectra_are_checked(table, tmp_path, monkeypatch, run):
    monkeypatch.setattr(PrunedMLPClassifier, "fit", lambda *_: pytest.fail("trained"))
    path, bad = tmp_path / "spectra.csv", table.copy()
    bad.iloc[-1, 20] = 0  # may well be held out
    bad.iloc[-1, 21:26] = -0.2
    words = ("train", path, "--label", "mineral", "--output", tmp_path / "m", "--as-measured")
    bad.to_csv(path, index=False)
    with pytest.raises(DataFormatError, match=r"at [\d.]+-[\d.]+ nm"):
        run(*words)
    table.to_csv(path, index=False)
    with pytest.raises(ValueError, match="holds out 2 of 1600 spectra; 3 labels need 3"):
        run(*words, "--test-fraction", 0.001)


def test_bad_bands_are_as_if_they_were_not_there(table, tmp_path, capsys, run):
    table = table.copy()
    table[["1.9900", "2.2008", "2.2108"]] = "no"
    table.to_csv(tmp_path / "spectra.csv", index=False)
    words = ("train", tmp_path / "spectra.csv", "--label", "mineral", "--output", tmp_path / "m",
             "--as-measured", "--units", 4, "--iterations", 0, "--quiet",
             "--bad-bands")  # fmt: skip
    run(*words, "1990,2195-2215")
    assert "47 bands from 2000 to 2480 nm" in capsys.readouterr().out
    assert load_model(tmp_path / "m").n_features_in_ == 47
    with pytest.raises(DataFormatError, match="the table has no band from 1340 to 1450 nm"):
        run(*words, "1990,1340-1450")


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError("full")])
def test_a_failure_leaves_nothing(run, table, tmp_path, monkeypatch, failure):
    table.to_csv(tmp_path / "spectra.csv", index=False)
    (tmp_path / "m").write_bytes(b"the model of yesterday")
    words = ("train", tmp_path / "spectra.csv", "--label", "mineral", "--output", tmp_path / "m",
             "--as-measured", "--units", 4, "--iterations", 0, "--quiet")  # fmt: skip
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(failure))
    with pytest.raises((KeyboardInterrupt, OSError)):
        run(*words)
    assert (tmp_path / "m").read_bytes() == b"the model of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "spectra.csv"]


@pytest.mark.skipif(os.name != "posix", reason="a device")
def test_a_model_that_nobody_keeps(run, table, tmp_path, capsys):
    table.to_csv(tmp_path / "spectra.csv", index=False)
    run("train", tmp_path / "spectra.csv", "--label", "mineral", "--output", os.devnull,
        "--as-measured", "--units", 4, "--iterations", 0, "--quiet")  # fmt: skip
    assert "held-out spectra" in capsys.readouterr().out
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_pipe_is_no_table(run, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataFormatError, match="is a pipe, and what is read must be a file"):
        run("train", tmp_path / "pipe", "--label", "mineral", "--output", tmp_path / "m")
