"""ENVI libraries and ECOSTRESS texts: whose bands, which names, and libraries that do not fit."""

import numpy as np
import pandas as pd
import pytest

from sklearn_capoz.cli._train import SENSORS as train_sensors
from sklearn_capoz.datasets import load_usgs_minerals
from sklearn_capoz.deploy import load_model
from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.spectral import SENSORS

envi = pytest.importorskip("spectral.io.envi")

TINY = ("--field-spectra", 300, "--units", 12, "--keep-units", 5, "--iterations", 1, "--quiet")


def write_library(path, data, nm, names, **fields):
    header = {"wavelength": list(nm), "wavelength units": "Nanometers", **fields}
    envi.SpectralLibrary(np.asarray(data, "float32"), {**header, "spectra names": names}).save(
        str(path.with_suffix(""))
    )
    return path


@pytest.fixture(scope="module")
def spectra():
    """Return five records of three minerals, in 50 bands."""
    minerals = load_usgs_minerals()
    names = minerals.target_names[minerals.target]
    kept = np.isin(names, ["Alunite", "Calcite", "Kaolinite"])
    bands = (minerals.wavelengths >= 2000) & (minerals.wavelengths <= 2490)
    return minerals.data[kept][:, bands], minerals.wavelengths[bands], names[kept]


@pytest.fixture
def library(tmp_path, spectra):
    X, nm, classes = spectra
    names = [f"{name} S{i // 2}.{'ab'[i % 2]} more" for i, name in enumerate(classes)]
    return write_library(tmp_path / "library.sli", X, nm, names)


def write_text(path, nm, reflectance, name, sample="S1", **fields):
    header = {"Name": name, "Type": "mineral", "Class": "Sulfate" if "Al" in name else "Other",
              "Sample No.": sample, "X Units": "Wavelength (micrometers)",
              "Y Units": "Reflectance (percent)", **fields}  # fmt: skip
    lines = [f"{key}: {value}" for key, value in header.items()]
    order = np.argsort(nm)[::-1]
    rows = zip(np.asarray(nm)[order] / 1000, np.asarray(reflectance)[order] * 100, strict=True)
    path.write_text("\n".join([*lines, "", *(f" {x:.5f}\t{y:.5f}" for x, y in rows)]) + "\n")


@pytest.fixture
def texts(tmp_path, spectra):
    """Return a folder of spectra on two grids, as two instruments measure."""
    X, nm, classes = spectra
    folder = tmp_path / "texts"
    folder.mkdir()
    for i, (values, name) in enumerate(zip(X, classes, strict=True)):
        grid = nm if i % 2 else np.linspace(1990, 2500, 300)
        values = np.interp(grid, nm, values)
        write_text(folder / f"mineral.{i:02}.spectrum.txt", grid, values, f"{name} X_2O", f"S{i}")
    return folder


def test_an_envi_library_by_header_or_data_file(library, tmp_path, capsys, run, spectra):
    for path in (library, library.with_suffix(".hdr")):
        run("train", path, *TINY, "--output", tmp_path / "m.capoz")
        said = capsys.readouterr().out
        n = len(spectra[0])
        assert f"{n} spectra of 3 classes, 50 bands from 2000 to 2490 nm" in said
        n_samples = len({f"{name}{i // 2}" for i, name in enumerate(spectra[2])})
        assert f"{n_samples} samples, as the library names them" in said
        assert "what to expect, by how far the field is" in said
    model = load_model(tmp_path / "m.capoz")
    assert model.classes_.tolist() == ["Alunite", "Calcite", "Kaolinite"]


def test_records_of_one_sample_stay_together(library, tmp_path, run, monkeypatch, spectra):
    from sklearn_capoz import FieldTrainedClassifier

    seen = {}
    fit = FieldTrainedClassifier.fit

    def spy(self, X, y, groups=None):
        seen.update(groups=groups, X=X)
        return fit(self, X, y, groups=groups)

    monkeypatch.setattr(FieldTrainedClassifier, "fit", spy)
    run("train", library, *TINY, "--output", tmp_path / "m.capoz")
    wanted = [f"{name} S{i // 2}" for i, name in enumerate(spectra[2])]
    assert seen["groups"].tolist() == wanted
    np.testing.assert_allclose(seen["X"], spectra[0], rtol=1e-5)


def test_names_only_and_rename(library, tmp_path, capsys, run):
    (tmp_path / "names.csv").write_text("old,new\nAlunite,sulfate\n")
    run("train", library, *TINY, "--names", tmp_path / "names.csv", "--rename", "Calcite=",
        "--output", tmp_path / "m.capoz")  # fmt: skip
    assert load_model(tmp_path / "m.capoz").classes_.tolist() == ["Kaolinite", "sulfate"]
    run("train", library, *TINY, "--only", "Alunite, Calcite", "--output", tmp_path / "m.capoz")
    assert load_model(tmp_path / "m.capoz").classes_.tolist() == ["Alunite", "Calcite"]
    capsys.readouterr()
    with pytest.raises(ValueError, match=r"--only Opal: .* has no such class; it has Alunite, Ca"):
        run("train", library, *TINY, "--only", "Opal", "--output", tmp_path / "m.capoz")
    with pytest.raises(DataFormatError, match="must hold at least two classes; it has"):
        run("train", library, *TINY, "--only", "Calcite", "--output", tmp_path / "m.capoz")
    with pytest.raises(
        ValueError, match="none of the names that are to be translated, such as 'X'"
    ):
        run("train", library, *TINY, "--rename", "X=Y", "--output", tmp_path / "m.capoz")


def test_texts_of_two_instruments_in_the_bands_of_a_sensor(texts, tmp_path, capsys, run, spectra):
    run("train", texts, *TINY, "--sensor", "aviris", "--output", tmp_path / "m.capoz")
    said = capsys.readouterr().out
    n = len(spectra[0])
    assert f"{n} spectra of 3 classes, " in said
    assert f"{n} samples, as the library names them" in said
    assert "bands of AVIRIS that some spectrum lacks" in said
    nm = load_model(tmp_path / "m.capoz")[0].wavelengths_
    assert 1990 < nm.min() < nm.max() < 2495
    some = sorted(texts.glob("*.txt"))
    run("train", *some, *TINY, "--sensor", "aviris", "--output", tmp_path / "m.capoz")
    assert f"{n} spectra of 3 classes" in capsys.readouterr().out


def test_fields_of_the_header_name_classes(texts, tmp_path, run):
    run("train", texts, *TINY, "--sensor", "emit", "--label", "class", "--output", tmp_path / "m")
    assert load_model(tmp_path / "m").classes_.tolist() == ["Other", "Sulfate"]
    with pytest.raises(DataFormatError, match="has no field 'colour'; it has name, type, class"):
        run("train", texts, *TINY, "--sensor", "emit", "--label", "colour", "--output",
            tmp_path / "m")  # fmt: skip


def test_one_spectrum_of_each_mineral_is_enough(spectra, tmp_path, capsys, run):
    X, nm, classes = spectra
    first = [int(np.flatnonzero(classes == name)[0]) for name in np.unique(classes)]
    path = write_library(tmp_path / "one.sli", X[first], nm, classes[first].tolist())
    run("train", path, *TINY, "--output", tmp_path / "m.capoz")
    said = capsys.readouterr().out
    assert "3 of 3 classes have one spectrum, which is enough to train" in said
    assert "3 of 3 classes: the less the tables say" in said


def test_libraries_that_do_not_fit(library, texts, spectra, tmp_path, run):
    X, nm, classes = spectra
    words = (*TINY, "--output", tmp_path / "m")
    percent = write_library(tmp_path / "percent.sli", 100 * X, nm, classes.tolist())
    with pytest.raises(DataFormatError, match="as --scale, such as 100 for percent"):
        run("train", percent, *words)
    with pytest.raises(DataFormatError, match="have different bands: say in whose to train, with"):
        run("train", texts, *words)
    with pytest.raises(DataFormatError, match=r"does not cover the bands of DESIS, 402 to 1000 nm"):
        run("train", texts, *words, "--sensor", "desis")
    with pytest.raises(ValueError, match=r"--label and --group name columns, and .* has none"):
        run("train", library, *words, "--label", "mineral")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataFormatError, match="has no spectrum of the ECOSTRESS library"):
        run("train", tmp_path / "empty", *words)
    with pytest.raises(ValueError, match="one spectral library at a time: 2 files"):
        run("train", library, library, *words)
    pd.DataFrame({"a": [1]}).to_csv(tmp_path / "a.csv")
    with pytest.raises(ValueError, match="one table at a time: 2 files were given"):
        run("train", tmp_path / "a.csv", library, *words)
    with pytest.raises(ValueError, match=r"--label must name the column of .*a\.csv"):
        run("train", tmp_path / "a.csv", *words)
    envi.save_image(str(tmp_path / "scene.hdr"), X[None].astype("float32"))
    with pytest.raises(
        DataFormatError, match=r"not an ENVI Spectral Library\. A scene is trained on"
    ):
        run("train", tmp_path / "scene.hdr", *words)
    assert not (tmp_path / "m").exists()


def test_spectra_that_lack_bands_are_left_out_with_their_names(spectra, tmp_path, capsys, run):
    X, nm, classes = (v.copy() for v in spectra)
    X[0, :30], X[1, 7], X[2, 20] = -1.23e34, -1.23e34, 0.0
    names = [f"{name} {i}" for i, name in enumerate(classes)]
    path = write_library(tmp_path / "some.sli", X, nm, names)
    run("train", path, *TINY, "--output", tmp_path / "m.capoz")
    said = capsys.readouterr().out
    assert "left out: 2 spectra that lack more than half of the others' bands, or" in said
    assert f"are not above 0 in some (1), such as {names[0]}" in said
    assert f"left out: 1 bands of the library that some spectrum lacks, between {nm[7]:g}" in said


def test_the_sensors_are_those_of_the_library():
    assert sorted(SENSORS) == train_sensors


def test_the_usgs_library_of_the_real_data(data_home, tmp_path, capsys, run):
    path = data_home / "usgs_splib" / "s06av95a_envi.sli"
    run("train", path, *TINY, "--only", "Alunite,Calcite,Chalcedony,Kaolinite,Muscovite",
        "--bad-bands", "300-1990", "--output", tmp_path / "m.capoz")  # fmt: skip
    assert "75 spectra of 5 classes, 52 bands from 1990.34 to" in capsys.readouterr().out
