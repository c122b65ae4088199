import argparse
import io

import numpy as np
import pandas as pd
import pytest

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.cli._commands import add_map_parser, add_train_parser
from sklearn_capoz.datasets import make_mineral_scene
from sklearn_capoz.deploy import SceneMap, load_model, predict_scene
from sklearn_capoz.exceptions import DataFormatError

envi = pytest.importorskip("spectral.io.envi")
pytest.importorskip("safetensors")
rasterio = pytest.importorskip("rasterio")


def run(*words):
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers(required=True)
    add_train_parser(subparsers)
    add_map_parser(subparsers)
    arguments = parser.parse_args([str(word) for word in words])
    arguments.run(arguments)


@pytest.fixture(scope="module")
def table():
    scene = make_mineral_scene((40, 40), minerals=["Alunite", "Calcite", "Muscovite"],
                               random_state=0)  # fmt: skip
    names = [f"{w / 1000:.4f}" for w in scene.wavelengths]
    table = pd.DataFrame(scene.cube.reshape(-1, 50), columns=names)
    table.insert(0, "mineral", scene.target_names[scene.labels.ravel()])
    table["sample"] = "some text"
    return table


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    """Train once; return the model's path."""
    folder = tmp_path_factory.mktemp("trained")
    table.to_csv(folder / "spectra.csv", index=False)
    run("train", folder / "spectra.csv", "--label", "mineral", "--output", folder / "m.capoz",
        "--units", 8, "--iterations", 2, "--quiet")  # fmt: skip
    return folder / "m.capoz"


@pytest.fixture
def scene_path(tmp_path):
    scene = make_mineral_scene((30, 20), minerals=["Alunite", "Calcite", "Muscovite"],
                               random_state=1)  # fmt: skip
    header = {"wavelength": scene.wavelengths, "wavelength units": "Nanometers"}
    header["reflectance scale factor"] = 10000
    path = tmp_path / "scene.hdr"
    envi.save_image(str(path), (scene.cube * 10000).astype("int16"), metadata=header)
    return path, scene


def test_train_says_what_it_kept(table, tmp_path, capsys):
    table.to_csv(tmp_path / "spectra.csv", index=False)
    model_path = tmp_path / "m.capoz"
    run("train", tmp_path / "spectra.csv", "--label", "mineral", "--output", model_path,
        "--units", 8, "--iterations", 2, "--quiet")  # fmt: skip
    said = capsys.readouterr().out
    assert "1600 spectra of 3 classes, 50 bands from 1990 to 2480 nm" in said
    assert "of 8 units" in said
    assert "held-out spectra: 320, accuracy 0." in said
    model = load_model(model_path)
    assert list(model.classes_) == ["Alunite", "Calcite", "Muscovite"]
    X = table.drop(columns=["mineral", "sample"]).to_numpy()
    assert (model.predict(X) == table["mineral"]).mean() > 0.8


def test_a_sample_is_on_one_side(table, tmp_path, monkeypatch, capsys):
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
        tmp_path / "m.capoz", "--units", 8, "--iterations", 1, "--quiet")  # fmt: skip
    parts = {name: {spectrum.tobytes() for spectrum in X} for name, (X, _) in seen.items()}
    assert sum(map(len, parts.values())) == len(set().union(*parts.values())) == 45
    assert sum(len(X) for X, _ in seen.values()) == len(repeats)
    for part in ("train", "validation"):
        assert set(seen[part][1]) == {"Alunite", "Calcite", "Muscovite"}
    assert f"of {len(parts['test'])} samples, accuracy" in capsys.readouterr().out
    assert load_model(tmp_path / "m.capoz").n_features_in_ == 50


def test_too_few_samples_to_split(table, tmp_path):
    table.assign(sample=np.arange(len(table)) % 4).to_csv(tmp_path / "spectra.csv", index=False)
    words = ("train", tmp_path / "spectra.csv", "--label", "mineral", "--group", "sample",
             "--output", tmp_path / "m", "--units", 4, "--iterations", 1, "--quiet")  # fmt: skip
    with pytest.raises(ValueError, match=r"has spectra of 4 samples; .* at least 5 are needed"):
        run(*words)
    assert not (tmp_path / "m").exists()
    run(*words, "--test-fraction", 0.33)
    assert (tmp_path / "m").exists()


def test_from_a_table_to_a_map(trained, scene_path, tmp_path, capsys):
    path, scene = scene_path
    output = tmp_path / "map.tif"
    run("map", path, "--model", trained, "--output", output, "--proba", "--features",
        "--reject-below", 0.5, "--jobs", 1, "--quiet")  # fmt: skip
    said = capsys.readouterr().out
    assert "no data" in said
    assert "rejected" in said
    assert str(tmp_path / "map_features.tif") in said
    direct = predict_scene(load_model(trained), path, reject_below=0.5)
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(output) as dataset:
        np.testing.assert_array_equal(dataset.read(1), direct.codes)
    assert (direct.codes == scene.labels + 1).mean() > 0.7


def test_map_shows_progress_and_resumes(trained, scene_path, tmp_path, capsys, monkeypatch):
    path, _ = scene_path
    output = tmp_path / "map.hdr"
    words = ("map", path, "--model", trained, "--output", output, "--jobs", 1)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sklearn_capoz.scenes._predict.publish", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(*words)
    assert "go on with --resume" in capsys.readouterr().err
    assert not output.exists()
    run(*words, "--resume")
    assert "600/600" in capsys.readouterr().err
    assert output.exists()


def test_a_model_for_other_bands_is_refused(trained, scene_path, tmp_path):
    path, _ = scene_path
    lines = path.read_text().splitlines()
    shifted = ", ".join(str(1000 + 5 * i) for i in range(50))
    lines = [f"wavelength = {{{shifted}}}" if li.startswith("wavelength =") else li for li in lines]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match="good bands span 1000 to 1245 nm"):
        run("map", path, "--model", trained, "--output", tmp_path / "map.tif")
    assert not list(tmp_path.glob("map*"))


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
def test_tables_that_cannot_be_trained_on(table, tmp_path, spoil, message):
    table = table.copy()
    spoil(table)
    table.to_csv(tmp_path / "spectra.csv", index=False)
    with pytest.raises(DataFormatError, match=message):
        run("train", tmp_path / "spectra.csv", "--label", "mineral", "--output", tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_files_that_are_no_table(table, tmp_path):
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


def test_the_table_is_not_overwritten(table, tmp_path):
    path = tmp_path / "spectra.csv"
    table.to_csv(path, index=False)
    before = path.read_bytes()
    (tmp_path / "here").symlink_to(tmp_path)
    with pytest.raises(FileExistsError, match="is the table of spectra; name another file"):
        run("train", path, "--label", "mineral", "--output", tmp_path / "here" / "spectra.csv")
    assert path.read_bytes() == before


def test_nothing_is_trained_before_the_spectra_are_checked(table, tmp_path, monkeypatch):
    monkeypatch.setattr(PrunedMLPClassifier, "fit", lambda *_: pytest.fail("trained"))
    path, bad = tmp_path / "spectra.csv", table.copy()
    bad.iloc[-1, 20] = 0  # may well be held out
    bad.iloc[-1, 21:26] = -0.2
    words = ("train", path, "--label", "mineral", "--output", tmp_path / "m")
    bad.to_csv(path, index=False)
    with pytest.raises(DataFormatError, match=r"at [\d.]+-[\d.]+ nm"):
        run(*words)
    table.to_csv(path, index=False)
    with pytest.raises(ValueError, match="holds out 2 of 1600 spectra; 3 labels need 3"):
        run(*words, "--test-fraction", 0.001)


def test_bad_bands_are_as_if_they_were_not_there(table, tmp_path, capsys):
    table = table.copy()
    table[["1.9900", "2.2008", "2.2108"]] = "no"
    table.to_csv(tmp_path / "spectra.csv", index=False)
    words = ("train", tmp_path / "spectra.csv", "--label", "mineral", "--output", tmp_path / "m",
             "--units", 4, "--iterations", 0, "--quiet", "--bad-bands")  # fmt: skip
    run(*words, "1990,2195-2215")
    assert "47 bands from 2000 to 2480 nm" in capsys.readouterr().out
    assert load_model(tmp_path / "m").n_features_in_ == 47
    with pytest.raises(DataFormatError, match="the table has no band from 1340 to 1450 nm"):
        run(*words, "1990,1340-1450")


def test_names_that_the_terminal_lacks(trained, tmp_path, monkeypatch):
    found = SceneMap(("no data", "Müskovit"), ((0, 0, 0),) * 2, np.array([1, 3]))
    monkeypatch.setattr("sklearn_capoz.deploy.predict_scene", lambda *_, **__: found)
    said = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(said, "ascii", write_through=True))
    run("map", "scene.hdr", "--model", trained, "--output", tmp_path / "map.tif")
    assert b"M?skovit             3 pixels   75.00%" in said.getvalue()


def test_a_map_does_not_take_the_place_of_its_model(trained, scene_path, tmp_path):
    model = tmp_path / "m.tif"
    model.write_bytes(trained.read_bytes())
    with pytest.raises(ValueError, match=r"would replace or remove .*m\.tif, which this run reads"):
        run("map", scene_path[0], "--model", model, "--output", model)
    assert model.read_bytes() == trained.read_bytes()


def test_map_says_that_bands_are_matched_by_position(trained, scene_path, tmp_path, capsys):
    path, _ = scene_path
    lines = [li for li in path.read_text().splitlines() if not li.startswith("wavelength")]
    path.write_text("\n".join(lines) + "\n")
    with pytest.warns(UserWarning, match="the scene does not say its wavelengths"):
        run("map", path, "--model", trained, "--output", tmp_path / "map.tif", "--quiet")


def test_what_is_no_model_is_refused(scene_path, tmp_path):
    path, _ = scene_path
    (tmp_path / "m.capoz").write_bytes(b"nothing of the kind")
    with pytest.raises(DataFormatError):
        run("map", path, "--model", tmp_path / "m.capoz", "--output", tmp_path / "map.tif")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--test-fraction", "0", "must be between 0 and 1, got 0"),
        ("--test-fraction", "1.5", "must be between 0 and 1, got 1.5"),
        ("--units", "0", "must be at least 1, got 0"),
        ("--units", "few", "invalid int value: 'few'"),
        ("--iterations", "-1", "must be at least 0, got -1"),
        ("--tolerance", "nan", "must be at least 0 and at most 1, got nan"),
        ("--seed", "-1", "must be at least 0 and at most 4294967295, got -1"),
        ("--bad-bands", "1340-1450,water", "'water' is no wavelength in nm such as 2005"),
        ("--bad-bands", "1450-1340", "'1450-1340' is no wavelength in nm"),
    ],
)
def test_wrong_numbers_are_explained_at_once(option, value, message, capsys):
    with pytest.raises(SystemExit):
        run("train", "absent.csv", "--label", "mineral", "--output", "m", option, value)
    assert f"argument {option}: {message}" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["0", "two"])
def test_wrong_numbers_of_threads_are_explained_at_once(value, capsys):
    with pytest.raises(SystemExit):
        run("map", "s.hdr", "--model", "m", "--output", "map.tif", "--jobs", value)
    message = f"argument --jobs: must be a number of threads or -1, got {value}"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["map"], ["train", "spectra.csv"], ["map", "s.hdr", "--model", "m", "--jobs", "two"]]
)
def test_wrong_calls_are_explained(words, capsys):
    with pytest.raises(SystemExit):
        run(*words)
    assert "usage:" in capsys.readouterr().err
