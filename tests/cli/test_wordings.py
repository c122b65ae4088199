"""What users of the commands are told where something cannot be right, and what to do."""

import sys

import numpy as np
import pandas as pd
import pytest

from sklearn_capoz.__main__ import main

pytest.importorskip("rasterio")


@pytest.fixture
def said(capsys):
    """Return a function that runs a command as a shell does, and returns its one line of error."""

    def told(*words):
        assert main([*map(str, words)]) == 1
        return capsys.readouterr().err

    return told


@pytest.fixture(scope="module")
def spectra(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("spectra") / "spectra.csv"
    table.to_csv(path, index=False)
    return path


def test_a_missing_table_is_missing_before_anything_is_asked_of_it(tmp_path, said):
    told = said("train", tmp_path / "none.csv", "--output", tmp_path / "m.capoz")
    assert told == f"Error: There is no {tmp_path / 'none.csv'}.\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--criterion", "magic"], "--criterion must be one of apoz, c-apoz, "),
        (["--threshold", "magic"], "--threshold must be one of count, fraction, "),
        (["--keep-units", 200], "--keep-units 200 is more than the 120 hidden units at first"),
        (["--units", 8, "--keep-units", 9], "--keep-units 9 is more than the 8 hidden units"),
        (["--keep-units", 5, "--as-measured"], "--keep-units 5 means nothing beside --as-measured"),
        (["--scale", 1e6], "--scale 1e+06 is too large"),
    ],
)
def test_options_that_cannot_be_meant(spectra, tmp_path, said, options, message):
    words = ("train", spectra, "--label", "mineral", "--output", tmp_path / "m.capoz")
    told = said(*words, *options)
    assert told.startswith("Error: ")
    assert message in told
    assert "Criterion" not in told  # an object is nothing that a shell can give
    assert not (tmp_path / "m.capoz").exists()


def test_the_colour_of_a_class_that_the_map_has_not(trained, scene_path, tmp_path, said):
    words = ("map", scene_path[0], "--model", trained, "--output", tmp_path / "m.tif", "--quiet")
    told = said(*words, "--color", "Calcite=#112233", "--color", "Alunte=#ff0000")
    assert told == (
        "Error: --color Alunte: the map has no such class; it has Alunite, Calcite, Muscovite, "
        "rejected, no data.\n"
    )
    assert not (tmp_path / "m.tif").exists()


def test_a_model_without_trust_is_called_a_model(trained, scene_path, tmp_path, said):
    told = said("map", scene_path[0], "--model", trained, "--output", tmp_path / "m.tif", "--trust")
    assert told.startswith("Error: the model, a Pipeline, has learnt no trust, which --trust asks")


def test_a_folder_is_no_scene(trained, tmp_path, said):
    told = said("map", tmp_path, "--model", trained, "--output", tmp_path / "m.tif")
    assert told.startswith(f"Error: {tmp_path} is a folder: give a file in it, an ENVI header")


def test_the_name_to_translate_is_told_by_the_option(scene_path, trained, tmp_path, said, capsys):
    path, scene = scene_path
    assert not main([*map(str, ("map", path, "--model", trained, "--output", tmp_path / "m.hdr",
                                "--quiet", "--jobs", 1))])  # fmt: skip
    labels = scene.target_names[scene.labels]
    points = pd.DataFrame({"row": [0, 9], "column": [3, 4], "label": labels[[0, 9], [3, 4]]})
    points.to_csv(tmp_path / "points.csv", index=False)
    capsys.readouterr()
    told = said("assess", tmp_path / "m.hdr", "--truth", tmp_path / "points.csv",
                "--rename", "Chalk=Calcite")  # fmt: skip
    assert "has no class 'Chalk' that could be translated (--rename); it has" in told
    folder = said("assess", tmp_path / "m.hdr", "--truth", tmp_path)
    assert folder.startswith(f"Error: {tmp_path} is a folder")


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("scale", [1e6, 1e-4])
def test_the_scale_of_a_scene_of_floats_is_looked_at(trained, scene_path, tmp_path, capsys, scale):
    from spectral.io import envi

    header = {"wavelength": scene_path[1].wavelengths, "wavelength units": "Nanometers"}
    envi.save_image(str(tmp_path / "f.hdr"), scene_path[1].cube.astype("f4"), metadata=header)
    words = ["map", tmp_path / "f.hdr", "--model", trained, "--output", tmp_path / "m.tif",
             "--quiet", "--jobs", 1, "--scale", scale]  # fmt: skip
    assert main([*map(str, words)]) == 0
    told = capsys.readouterr().err
    assert f"Warning: with {scale:g} given as --scale, the scene's median is" in told
    assert "reflectance is 0 to 1" in told
    words[-1] = 1  # the model takes the numbers as they are
    assert main([*map(str, words)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.filterwarnings("ignore:no labelled place lies")
def test_a_name_that_a_header_cannot_hold_is_still_the_same_name(
    table, scene_path, tmp_path, run, capsys
):
    path, scene = scene_path
    comma = {"Calcite": "Calcite, coarse {x=1}"}
    table.assign(mineral=table["mineral"].replace(comma)).to_csv(tmp_path / "s.csv", index=False)
    run("train", tmp_path / "s.csv", "--label", "mineral", "--output", tmp_path / "m.capoz",
        "--as-measured", "--units", 8, "--iterations", 0, "--quiet")  # fmt: skip
    labels = pd.Series(scene.target_names[scene.labels].ravel()).replace(comma)
    rows, columns = np.divmod(np.arange(600), 20)
    points = pd.DataFrame({"row": rows, "column": columns, "label": labels})
    points[::7].to_csv(tmp_path / "points.csv", index=False)
    for name in ("map.hdr", "map.tif"):
        run("map", path, "--model", tmp_path / "m.capoz", "--output", tmp_path / name, "--quiet",
            "--jobs", 1)  # fmt: skip
        capsys.readouterr()
        run("assess", tmp_path / name, "--truth", tmp_path / "points.csv")
        assert "86 places: 0." in capsys.readouterr().out
        # And the other way round: the truth is what a header made of the name.
        changed = points[::7].replace({"Calcite, coarse {x=1}": "Calcite; coarse (x:1)"})
        changed.to_csv(tmp_path / "changed.csv", index=False)
        run("assess", tmp_path / name, "--truth", tmp_path / "changed.csv")
        assert "86 places: 0." in capsys.readouterr().out
    with pytest.raises(ValueError, match="it is the map itself, or a copy of it"):
        run("assess", tmp_path / "map.tif", "--truth", tmp_path / "map.hdr")


def test_a_folder_that_takes_no_file_is_found_before_the_work(spectra, tmp_path, monkeypatch, said):
    from sklearn_capoz.formats import _atomic

    def refuse(named):
        raise PermissionError(13, "Permission denied", str(named))

    monkeypatch.setattr(_atomic, "_create", refuse)
    words = ("train", spectra, "--label", "mineral", "--output", tmp_path / "m.capoz")
    told = said(*words)
    assert f"No file can be made in {tmp_path}: Permission denied." in told
    assert ".partial" not in told


def test_a_scene_without_a_truth_is_told_of_it(scene_path, tmp_path, said):
    words = ("--label", "mineral", "--output", tmp_path / "m.capoz")
    assert "A scene is trained on with --truth." in said("train", scene_path[0], *words)


def test_who_stops_reading_is_no_error(monkeypatch, capfd):
    from sklearn_capoz import __main__

    def run(_):
        raise BrokenPipeError

    pointed = []
    monkeypatch.setattr(__main__, "_run", run)
    monkeypatch.setattr(__main__.os, "dup2", lambda _, to: pointed.append(to))
    monkeypatch.setattr(__main__.sys, "stdout", sys.__stdout__)
    assert main([]) == 141
    assert len(pointed) == 1
    assert capfd.readouterr().err == ""
