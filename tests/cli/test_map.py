"""Mapping a scene: what reaches predict_scene, what is said, and what is left of a failure."""

import io

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from sklearn_capoz.__main__ import main
from sklearn_capoz.deploy import SceneMap, load_model, predict_scene
from sklearn_capoz.exceptions import DataFormatError

rasterio = pytest.importorskip("rasterio")
matplotlib.use("Agg")


def test_from_a_table_to_a_map(trained, scene_path, tmp_path, capsys, run):
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


def test_a_picture_and_the_depths_of_absorptions(trained, scene_path, tmp_path, capsys, run):
    path, scene = scene_path
    output, picture = tmp_path / "map.tif", tmp_path / "map.png"
    run("map", path, "--model", trained, "--output", output, "--features", "absorption",
        "--picture", picture, "--jobs", 1, "--quiet")  # fmt: skip
    assert str(picture) in capsys.readouterr().out
    drawn = plt.imread(picture)
    assert min(drawn.shape[:2]) > 300
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(tmp_path / "map_features.tif") as dataset,
    ):
        names, layers = list(dataset.descriptions), dataset.read()
    assert "al_oh_2200__position" in names
    assert {name.partition("__")[2] for name in names} == {"position", "depth"}
    position, depth = (layers[names.index(f"al_oh_2200__{p}")] for p in ("position", "depth"))
    muscovite = scene.target_names[scene.labels] == "Muscovite"
    assert np.isfinite(depth[muscovite]).mean() > 0.9
    assert abs(np.nanmedian(position[muscovite]) - 2205) < 10
    assert np.nanmedian(depth[muscovite]) > 0.02


def test_pictures_that_cannot_be_written_are_refused_before_any_work(
    trained, scene_path, tmp_path, run
):
    words = ("map", scene_path[0], "--model", trained, "--output", tmp_path / "m.tif", "--picture")
    with pytest.raises(ValueError, match=r"--picture must end in \.png, got .*m\.jpg"):
        run(*words, tmp_path / "m.jpg")
    with pytest.raises(FileNotFoundError):
        run(*words, tmp_path / "none" / "m.png")
    assert not (tmp_path / "m.tif").exists()


def test_colours_of_the_user_are_told_by_the_option(trained, scene_path, tmp_path, capsys):
    words = ["map", scene_path[0], "--model", trained, "--output", tmp_path / "m.tif", "--quiet"]
    assert main([*map(str, words), "--color", "Calcite=red"]) == 1
    assert "Error: --color must give 'Calcite' a colour such as" in capsys.readouterr().err
    assert not (tmp_path / "m.tif").exists()


def test_a_large_map_is_drawn_in_part(tmp_path, monkeypatch):
    from sklearn_capoz.cli import _map_picture
    from sklearn_capoz.scenes import ClassMap

    found = ClassMap(np.ones((50, 90), "uint8"), ("no data", "Alunite"))
    monkeypatch.setattr(_map_picture, "read_class_map", lambda path: found)
    monkeypatch.setattr(_map_picture, "MOST_PIXELS", 500)
    seen = []

    class Spy(_map_picture.MineralMapDisplay):
        def plot(self, ax=None, **kwargs):
            seen.append(self)
            return super().plot(ax, **kwargs)

    monkeypatch.setattr(_map_picture, "MineralMapDisplay", Spy)
    _map_picture.draw_picture(tmp_path / "map.tif", tmp_path / "map.png")
    assert seen[0].labels.shape == (17, 30)
    (axes,) = seen[0].axes_
    assert (axes.get_xlim(), axes.get_ylim()) == ((-0.5, 89.5), (49.5, -0.5))


def test_map_shows_progress_and_resumes(trained, scene_path, tmp_path, capsys, monkeypatch, run):
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


def test_a_model_for_other_bands_is_refused(trained, scene_path, tmp_path, run):
    path, _ = scene_path
    lines = path.read_text().splitlines()
    shifted = ", ".join(str(1000 + 5 * i) for i in range(50))
    lines = [f"wavelength = {{{shifted}}}" if li.startswith("wavelength =") else li for li in lines]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match="good bands span 1000 to 1245 nm"):
        run("map", path, "--model", trained, "--output", tmp_path / "map.tif")
    assert not list(tmp_path.glob("map*"))


def test_names_that_the_terminal_lacks(trained, tmp_path, monkeypatch, run):
    found = SceneMap(("no data", "Müskovit"), ((0, 0, 0),) * 2, np.array([1, 3]))
    monkeypatch.setattr("sklearn_capoz.deploy.predict_scene", lambda *_, **__: found)
    said = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(said, "ascii", write_through=True))
    run("map", "scene.hdr", "--model", trained, "--output", tmp_path / "map.tif")
    assert b"M?skovit             3 pixels   75.00%" in said.getvalue()


def test_a_map_does_not_take_the_place_of_its_model(trained, scene_path, tmp_path, run):
    model = tmp_path / "m.tif"
    model.write_bytes(trained.read_bytes())
    with pytest.raises(ValueError, match=r"would replace or remove .*m\.tif, which this run reads"):
        run("map", scene_path[0], "--model", model, "--output", model)
    assert model.read_bytes() == trained.read_bytes()


def test_map_says_that_bands_are_matched_by_position(trained, scene_path, tmp_path, capsys, run):
    path, _ = scene_path
    lines = [li for li in path.read_text().splitlines() if not li.startswith("wavelength")]
    path.write_text("\n".join(lines) + "\n")
    with pytest.warns(UserWarning, match="the scene does not say its wavelengths"):
        run("map", path, "--model", trained, "--output", tmp_path / "map.tif", "--quiet")


def test_what_is_no_model_is_refused(scene_path, tmp_path, run):
    path, _ = scene_path
    (tmp_path / "m.capoz").write_bytes(b"nothing of the kind")
    with pytest.raises(DataFormatError):
        run("map", path, "--model", tmp_path / "m.capoz", "--output", tmp_path / "map.tif")


def edit(path, **fields):
    """Replace entries of a header, or remove those that are None."""
    lines = path.read_text().splitlines()
    for name, value in fields.items():
        key = name.replace("_", " ")
        lines = [li for li in lines if li.partition("=")[0].strip() != key]
        lines += [] if value is None else [f"{key} = {value}"]
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("way", ["list", "file"])
def test_wavelengths_of_the_caller(run, trained, scene_path, tmp_path, way):
    path, scene = scene_path
    edit(path, wavelength=None, wavelength_units=None)
    listed = ",".join(f"{nm:.4f}" for nm in scene.wavelengths)
    if way == "file":
        (tmp_path / "bands.txt").write_text(
            listed.replace(",", "\r\n") + "\n", encoding="utf-8-sig"
        )
        listed = tmp_path / "bands.txt"
    run("map", path, "--model", trained, "--output", tmp_path / "map.hdr", "--quiet",
        "--wavelengths", listed)  # fmt: skip
    direct = predict_scene(load_model(trained), path, wavelengths=scene.wavelengths)
    codes = np.fromfile(tmp_path / "map.img", "uint8").reshape(direct.codes.shape)
    np.testing.assert_array_equal(codes, direct.codes)


def test_bad_bands_are_named_by_wavelength_and_add_to_the_files(
    run, trained, scene_path, tmp_path, monkeypatch
):
    path, scene = scene_path
    good = np.ones(50, dtype=int)
    good[7] = 0
    edit(path, bbl="{" + ", ".join(map(str, good)) + "}")
    words = ("map", path, "--model", trained, "--output", tmp_path / "map.tif", "--bad-bands")
    given = {}

    def record(model, source, **parameters):
        given.update(parameters)
        return SceneMap(("no data", "a"), ((0, 0, 0),) * 2, np.array([1, 3]))

    monkeypatch.setattr("sklearn_capoz.deploy.predict_scene", record)
    low, high = scene.wavelengths[[20, 21]]
    run(*words, f"{low:.1f}-{high:.1f}")
    np.testing.assert_array_equal(np.flatnonzero(given["bad_bands"]), [7, 20, 21])
    assert given["wavelengths"] is None
    with pytest.raises(DataFormatError, match="--bad-bands: the scene has no band from 400 to 500"):
        run(*words, "400-500")
    edit(path, wavelength=None)
    with pytest.raises(ValueError, match="does not say those of its bands: give them with --wave"):
        run(*words, "2005")


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("fields", "options", "words"),
    [
        ({"reflectance_scale_factor": None}, [], "give it as --scale, such as 10000"),
        ({}, ["--reject-below", "2"], "--reject-below must be above 0"),
        ({}, ["--max-band-gap", "-1"], "--max-band-gap must be at least 0 nm"),
        ({}, ["--scale", "0"], "--scale must be a number above 0"),
        ({}, ["--wavelengths", "2000,2100,2200"], "one value for each of the 50 bands, got"),
        (
            {
                "wavelength": "{" + ", ".join(map(str, range(50, 300, 5))) + "}",
                "wavelength_units": None,
            },
            [],
            "(at least 200): give all of them in one unit",
        ),
        ({"wavelength": "{" + ", ".join(map(str, range(1, 51))) + "}"}, [], "Give them in nm."),
        (
            {"wavelength": None, "bands": 25, "samples": 40},
            [],
            "the scene has no wavelengths to match them by: give --wavelengths and --bad-bands",
        ),
        ({"data_ignore_value": None}, ["--nodata", "0"], None),
    ],
)
def test_messages_name_options(trained, scene_path, tmp_path, capsys, fields, options, words):
    path, _ = scene_path
    edit(path, **fields)
    output = tmp_path / "map.tif"
    status = main(["map", str(path), "--model", str(trained), "--output", str(output), *options])
    said = capsys.readouterr().err
    if words is None:
        assert status == 0
        return
    assert status == 1
    assert words in said
    assert not [
        word
        for word in ("bad_bands", "reject_below", "max_band", "scale=", "unit=")
        if word in said
    ]
    assert not list(tmp_path.glob("map*"))


@pytest.mark.filterwarnings("default")
def test_warnings_are_told_in_a_line(trained, scene_path, tmp_path, capsys):
    path, _ = scene_path
    edit(path, wavelength=None)
    words = ["map", str(path), "--model", str(trained), "--output", str(tmp_path / "map.hdr")]
    assert main([*words, "--quiet"]) == 0
    said = capsys.readouterr().err
    assert said.startswith("Warning: bands were matched by position")
    assert "UserWarning" not in said


def test_what_the_system_says_is_told_as_a_sentence(tmp_path, capsys):
    words = ["map", str(tmp_path / "s.hdr"), "--model", str(tmp_path / "absent.capoz")]
    assert main([*words, "--output", str(tmp_path / "map.tif")]) == 1
    said = capsys.readouterr().err
    assert said == f"Error: {tmp_path / 'absent.capoz'}: No such file or directory.\n"


def test_the_folder_of_the_demo_is_no_file(tmp_path, capsys):
    (tmp_path / "notes").write_text("notes")
    assert main(["demo", "--output", str(tmp_path / "notes")]) == 1
    assert capsys.readouterr().err == (
        f"Error: --output {tmp_path / 'notes'} is a file; give the name of a folder.\n"
    )
