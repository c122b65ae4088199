"""From a library to a model of the field: what is said, in whose bands, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sklearn_capoz import FieldTrainedClassifier
from sklearn_capoz.cli._scene_bands import bands_of, in_bands
from sklearn_capoz.cli._train_field import _say_what_to_expect
from sklearn_capoz.datasets import load_usgs_minerals
from sklearn_capoz.deploy import load_model
from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.formats._csv_table import read_spectra

envi = pytest.importorskip("spectral.io.envi")

TINY = ("--label", "mineral", "--field-spectra", 300, "--units", 12, "--keep-units", 5,
        "--iterations", 2, "--quiet")  # fmt: skip


@pytest.fixture(scope="module")
def library():
    """Return five records of three minerals, from 2000 to 2490 nm."""
    minerals = load_usgs_minerals(as_frame=True)
    table = minerals.data.loc[:, "2000":"2490"]
    table.insert(0, "mineral", minerals.target_names[minerals.target])
    table = table[table["mineral"].isin(["Alunite", "Calcite", "Kaolinite"])]
    table.insert(1, "sample", [f"s{i // 2}" for i in range(len(table))])
    return table


@pytest.fixture
def path(library, tmp_path):
    library.to_csv(tmp_path / "library.csv", index=False)
    return tmp_path / "library.csv"


def in_scene_bands(table, path, bad_bands=()):
    bands = bands_of(SimpleNamespace(scene=path, sensor=None, bad_bands=bad_bands))
    return in_bands(table, bands)


def write_scene(folder, nm, dtype="float32", **fields):
    cube = np.full((4, 3, len(nm)), 0.4, "float32")
    cube += 0.1 * np.sin(np.linspace(0, 3, len(nm)), dtype="float32")
    header = {"wavelength": list(nm), "wavelength units": "Nanometers", **fields}
    header = {name: value for name, value in header.items() if value is not None}
    stored = cube if dtype == "float32" else (10_000 * cube).astype(dtype)
    envi.save_image(str(folder / "scene.hdr"), stored, metadata=header, force=True)
    return folder / "scene.hdr"


def test_train_says_what_to_expect_in_the_field(path, tmp_path, capsys, run):
    run("train", path, *TINY, "--group", "sample", "--output", tmp_path / "m.capoz")
    said = capsys.readouterr().out
    assert "training on 300 field spectra" in said
    assert "kept: 5 of 12 units" in said
    first = [line.split()[0] for line in said.splitlines() if " 0." in line or " 1." in line]
    shifts, minerals = ["mild", "middle", "strong"], ["Alunite", "Calcite", "Kaolinite"]
    assert first[-7:] == [*shifts, "expect", *minerals]
    assert "expect a balanced accuracy of 0." in said or "accuracy of 1." in said
    assert "matching overall" in said
    assert "matching strong" in said
    assert "held-out spectra" not in said
    model = load_model(tmp_path / "m.capoz")
    assert list(model.classes_) == ["Alunite", "Calcite", "Kaolinite"]
    assert model[-1].network_.widths[0] == 5


def test_groups_and_seed_reach_the_training(path, library, tmp_path, monkeypatch, run):
    seen = {}
    fit = FieldTrainedClassifier.fit

    def spy(self, X, y, groups=None):
        seen.update(groups=groups, seed=self.random_state, shape=X.shape)
        return fit(self, X, y, groups=groups)

    monkeypatch.setattr(FieldTrainedClassifier, "fit", spy)
    run("train", path, *TINY, "--group", "sample", "--seed", 7, "--output", tmp_path / "m")
    assert seen["groups"].tolist() == library["sample"].tolist()
    assert seen["seed"] == 7
    assert seen["shape"] == (len(library), 50)
    first = load_model(tmp_path / "m")[-1].network_.weights[0]
    run("train", path, *TINY, "--group", "sample", "--seed", 7, "--output", tmp_path / "m")
    np.testing.assert_array_equal(load_model(tmp_path / "m")[-1].network_.weights[0], first)


def test_one_record_of_each_class_is_enough_and_said_to_be_too_good(library, tmp_path, capsys, run):
    library.groupby("mineral").head(1).to_csv(tmp_path / "one.csv", index=False)
    run("train", tmp_path / "one.csv", *TINY, "--output", tmp_path / "m.capoz")
    said = capsys.readouterr().out
    assert "their figures too good: Alunite, Calcite, Kaolinite" in said
    assert "3 of 3 classes" in said


@pytest.mark.parametrize(
    "options",
    [
        ("--features", "index"),
        ("--criterion", "l2"),
        ("--threshold", "percentile", "--tolerance", 1),
        ("--iterations", 0),
    ],
)
def test_options_of_the_network(path, tmp_path, capsys, run, options):
    words = TINY if "--threshold" not in options else (*TINY[:6], *TINY[8:])  # that or --keep-units
    run("train", path, *words, *options, "--output", tmp_path / "m.capoz")
    model = load_model(tmp_path / "m.capoz")
    n_units = model[-1].network_.widths[0]
    if "--features" in options:
        assert type(model[0]).__name__ == "SpectralAbsorptionIndex"
    if options[0] in ("--features", "--criterion"):
        assert n_units == 5
    elif options[0] == "--threshold":
        assert n_units < 12
    else:
        assert n_units == 12


@pytest.mark.parametrize("options", [("--criterion", "size"), ("--threshold", "half")])
def test_names_that_nobody_knows_are_refused_before_any_work(path, tmp_path, run, options):
    with pytest.raises(ValueError, match=f"{options[0][2:]}.*{options[1]}"):
        run("train", path, *TINY, *options, "--output", tmp_path / "m.capoz")
    assert not (tmp_path / "m.capoz").exists()


def test_percent_is_read_with_a_scale(path, library, tmp_path, run):
    percent = library.copy()
    percent.iloc[:, 2:] *= 100
    percent.to_csv(tmp_path / "percent.csv", index=False)
    with pytest.raises(DataFormatError, match="as --scale, such as 100 for percent"):
        run("train", tmp_path / "percent.csv", *TINY, "--output", tmp_path / "m")
    plain = read_spectra(path, "mineral", least=1)
    scaled = read_spectra(tmp_path / "percent.csv", "mineral", least=1, scale=100)
    np.testing.assert_allclose(scaled.X, plain.X, rtol=1e-12)


def test_the_model_is_trained_in_the_scenes_bands_and_maps_it(path, tmp_path, capsys, run):
    nm = [400.0, *np.arange(2470.0, 2029, -20)]  # descending, and one that the library has not
    scene = write_scene(tmp_path, nm, fwhm=[20.0] * len(nm))
    run("train", path, *TINY, "--scene", scene, "--output", tmp_path / "m.capoz")
    said = capsys.readouterr().out
    assert "23 from 2030 to 2470 nm; the table does not cover 1 more" in said
    assert "the scene teaches: 12 of its pixels" in said
    model = load_model(tmp_path / "m.capoz")
    np.testing.assert_allclose(model[0].wavelengths_, nm[:0:-1])
    run("map", scene, "--model", tmp_path / "m.capoz", "--output", tmp_path / "map.tif", "--quiet",
        "--jobs", 1)  # fmt: skip
    assert "12 pixels" in capsys.readouterr().out


def test_integers_of_any_scale_teach(path, tmp_path, capsys, run):
    nm = np.arange(2030.0, 2471, 20)
    scene = write_scene(tmp_path, nm, fwhm=[20.0] * len(nm), dtype="int16")
    run("train", path, *TINY, "--scene", scene, "--output", tmp_path / "m.capoz")
    assert "the scene teaches: 12 of its pixels" in capsys.readouterr().out


def test_a_model_of_the_librarys_bands_maps_a_scene_of_others(path, tmp_path, capsys, run):
    run("train", path, *TINY, "--output", tmp_path / "m.capoz")
    scene = write_scene(tmp_path, np.arange(1994.0, 2500, 12))
    words = ("map", scene, "--model", tmp_path / "m.capoz", "--output", tmp_path / "map.tif",
             "--quiet", "--jobs", 1)  # fmt: skip
    run(*words)
    said = capsys.readouterr().out
    assert "12 pixels" in said
    assert "rejected" in said
    assert "map_trust.tif" not in said
    run(*words, "--trust", "--reject", "none")
    said = capsys.readouterr().out
    assert "rejected" not in said
    assert "map_trust.tif" in said
    assert (tmp_path / "map_trust.tif").is_file()


def test_resampling_blurs_by_what_the_scene_is_wider_than_the_table(path, tmp_path):
    table = read_spectra(path, "mineral", least=1)
    same = write_scene(tmp_path, table.wavelengths, fwhm=[10.0] * 50)
    resampled, fwhm = in_scene_bands(table, same)
    np.testing.assert_allclose(resampled.X, table.X, atol=1e-9)  # not blurred a second time
    np.testing.assert_allclose(fwhm, 10)
    wide = write_scene(tmp_path, table.wavelengths, fwhm=[60.0] * 50)
    resampled, fwhm = in_scene_bands(table, wide)
    assert np.ptp(resampled.X[:, 5:-5], axis=1).mean() < np.ptp(table.X[:, 5:-5], axis=1).mean()
    np.testing.assert_allclose(fwhm, 60)


def test_widths_are_estimated_with_a_warning_and_bad_bands_make_none_wider(path, tmp_path):
    table = read_spectra(path, "mineral", least=1)
    good = np.ones(25, int)
    good[10:14] = 0
    scene = write_scene(tmp_path, 2000 + 20.0 * np.arange(25), bbl=list(good))
    with pytest.warns(UserWarning, match=r"gives no fwhm for its bands: the distance"):
        resampled, fwhm = in_scene_bands(table, scene, [(2020, 2040)])
    assert resampled.X.shape[1] == 19
    np.testing.assert_allclose(fwhm, 20)


def test_widths_of_a_geotiff_are_those_of_the_header_beside_it(path, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    nm = 2000 + 20.0 * np.arange(25)
    header = write_scene(tmp_path, nm, fwhm=[33.0] * 25)
    cube = envi.open(header).load()
    (tmp_path / "scene.img").unlink()
    settings = {"driver": "GTiff", "height": 4, "width": 3, "count": 25, "dtype": "float32"}
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(tmp_path / "scene.tif", "w", **settings) as dataset,
    ):
        dataset.write(np.asarray(cube).transpose(2, 0, 1))
    _, fwhm = in_scene_bands(read_spectra(path, "mineral", least=1), tmp_path / "scene.tif")
    np.testing.assert_allclose(fwhm, 33)


def test_scenes_that_cannot_be_trained_for(path, tmp_path, run):
    words = ("train", path, *TINY, "--output", tmp_path / "m", "--scene", tmp_path / "scene.hdr")
    with pytest.raises(FileNotFoundError, match=r"scene\.hdr"):
        run(*words)
    write_scene(tmp_path, np.arange(2000.0, 2400, 10), wavelength=None)
    with pytest.raises(ValueError, match="does not say the wavelengths of its bands"):
        run(*words)
    write_scene(tmp_path, np.arange(400.0, 800, 10), fwhm=[10] * 40)
    with pytest.raises(ValueError, match=r"covers 0 of the 40 good bands of scene\.hdr"):
        run(*words)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("gain", "said"), [(0.1, False), (-0.1, True), (0.001, True)], ids=["better", "worse", "same"]
)
def test_it_says_where_matching_is_as_good(capsys, gain, said):
    model = FieldTrainedClassifier()
    rows = ["mild", "middle", "strong"]
    model.classes_, model.not_held_out_ = np.array(["a", "b"]), np.array([])
    model.expected_recall_ = pd.DataFrame({"mild": [0.5, 0.6]}, index=["a", "b"])
    model.expected_accuracy_ = pd.DataFrame(
        {"overall": 0.8, "balanced": 0.7, "matching_overall": 0.5, "matching_balanced": 0.5},
        index=rows,
    )
    model.expected_accuracy_.loc["strong", "matching_overall"] = 0.8 - 2 * gain
    model.expected_accuracy_.loc["strong", "matching_balanced"] = 0.7
    _say_what_to_expect(model)
    found = capsys.readouterr().out
    assert ("as good or better: strong field" in found) == said
    assert "Materials that the table lacks" in found
