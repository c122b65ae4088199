"""Assessing a map: hand-worked figures, the same from raster and points, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.scenes import assess

envi = pytest.importorskip("spectral.io.envi")
rasterio = pytest.importorskip("rasterio")

#: 0 no data, 1 alunite, 2 calcite, 3 rejected.
MAP = np.array([[1, 1, 1, 1], [2, 2, 2, 0], [2, 1, 3, 3]], "uint8")
NAMES = ["no data", "alunite", "calcite", "rejected"]

#: 0 unlabelled, 1 calcite, 2 alunite: another order of the same names.
TRUTH = np.array([[2, 2, 1, 0], [1, 1, 1, 1], [0, 2, 2, 0]], "uint8")
TRUTH_NAMES = ["Unclassified", "calcite", "alunite"]


def write_envi(path, codes, names=None):
    header = {"file type": "ENVI Standard"}
    if names is not None:
        header = {"file type": "ENVI Classification", "classes": len(names), "class names": names}
    envi.save_image(str(path), codes[..., None], metadata=header, force=True)
    return path


def write_tiff(path, codes, crs="EPSG:32611", origin=(500000, 4000000), names=None):
    settings = {"driver": "GTiff", "height": codes.shape[0], "width": codes.shape[1], "count": 1,
                "dtype": codes.dtype, "crs": crs, "nodata": 0,
                "transform": rasterio.Affine(20, 0, origin[0], 0, -20, origin[1])}  # fmt: skip
    with rasterio.open(path, "w", **settings) as dataset:
        dataset.write(codes, 1)
    if names:
        listed = "".join(f"<Category>{name}</Category>" for name in names)
        text = f"<PAMDataset><PAMRasterBand band='1'><CategoryNames>{listed}"
        text += "</CategoryNames></PAMRasterBand></PAMDataset>"
        path.with_name(f"{path.name}.aux.xml").write_text(text)
    return path


@pytest.fixture
def mapped(tmp_path):
    return write_envi(tmp_path / "map.hdr", MAP, NAMES)


@pytest.fixture
def truth(tmp_path):
    return write_envi(tmp_path / "truth.hdr", TRUTH, TRUTH_NAMES)


def test_figures_of_a_raster(mapped, truth, tmp_path, capsys, run):
    run("assess", mapped, "--truth", truth, "--output", tmp_path / "table.csv")
    said = capsys.readouterr().out
    # alunite: 3 of 4 right (one rejected); calcite: 3 of 4 (one mapped as alunite), one on no data.
    assert "left out: 1 labelled places where the map has no data" in said
    assert "8 places: 0.750 of them right, balanced 0.750" in said
    assert "of rejected a single mapped place is labelled" in said
    direct = assess(
        ["alunite"] * 4 + ["calcite"] * 3 + ["rejected"],
        ["alunite"] * 3 + ["calcite"] * 4 + ["alunite"],
        areas={"alunite": 5, "calcite": 4, "rejected": 2},
    )
    assert f"overall {direct.overall:.3f}" in said
    table = pd.read_csv(tmp_path / "table.csv", index_col="class")
    classes = table.iloc[:-1]
    np.testing.assert_allclose(classes["producer"], direct.classes["producer"])
    np.testing.assert_allclose(classes["area"], direct.classes["area"])
    assert table["truth: alunite"].tolist() == [3, 0, 1, 4]
    assert table.loc["overall", "user"] == pytest.approx(direct.overall)
    assert table.loc["overall", "kappa"] == pytest.approx(direct.kappa)


def test_points_give_the_same(mapped, truth, tmp_path, capsys, run):
    run("assess", mapped, "--truth", truth)
    by_raster = capsys.readouterr().out
    rows, columns = np.nonzero(TRUTH)
    named = np.array(TRUTH_NAMES)[TRUTH[rows, columns]]
    points = pd.DataFrame({"mineral": named, "column": columns, "row": rows})
    points.to_csv(tmp_path / "points.csv", index=False, sep=";")
    run("assess", mapped, "--truth", tmp_path / "points.csv", "--label", "mineral")
    assert capsys.readouterr().out == by_raster


def test_a_geotiff_whose_codes_have_no_names_is_taken_by_the_codes_of_the_map(
    tmp_path, capsys, run
):
    mapped = write_tiff(tmp_path / "map.tif", MAP, names=NAMES)
    known = np.where(MAP == 3, 0, MAP).astype("uint8")
    known[0, 0] = 0  # of all pixels it would be the map itself
    truth = write_tiff(tmp_path / "truth.tif", known)
    with pytest.warns(UserWarning, match=r"place lies where the map has rejected \(18\.2%\)"):
        run("assess", mapped, "--truth", truth)
    said = capsys.readouterr().out
    assert "has no class names: its codes are taken for those of the map" in said
    assert "8 places: 1.000 of them right" in said
    assert "by class, areas in ha" in said  # pixels of 20 m
    assert "0.2" in said


def test_what_map_writes_is_what_assess_reads(trained, scene_path, tmp_path, capsys, run):
    path, scene = scene_path
    for output in ("map.tif", "map.hdr"):
        run("map", path, "--model", trained, "--output", tmp_path / output, "--quiet", "--jobs", 1)
        names = ["none", *scene.target_names]
        truth = write_envi(tmp_path / "truth.hdr", (scene.labels + 1).astype("uint8"), names)
        capsys.readouterr()
        run("assess", tmp_path / output, "--truth", truth)
        assert "600 places: 0." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"codes": MAP[:2]}, "has 2 x 4 pixels and .* 3 x 4 pixels: bring it to the grid"),
        ({"crs": "EPSG:32612"}, "is in the coordinate system EPSG:32612, and .* EPSG:32611"),
        ({"origin": (500020, 4000000)}, r"begins at 500020, 4e\+06 with pixels of 20"),
    ],
)
def test_truths_of_another_grid(tmp_path, changed, message, run):
    mapped = write_tiff(tmp_path / "map.tif", MAP, names=NAMES)
    truth = write_tiff(tmp_path / "truth.tif", **{"codes": MAP, **changed})
    with pytest.raises(DataFormatError, match=message):
        run("assess", mapped, "--truth", truth)


def test_names_that_only_one_side_knows(mapped, tmp_path, capsys, run):
    truth = write_envi(tmp_path / "truth.hdr", TRUTH, ["none", "chalk", "alunite"])
    words = ("assess", mapped, "--truth", truth)
    with pytest.raises(ValueError, match=r"has chalk, which the map has not; .*'chalk=NAME'"):
        run(*words)
    run(*words, "--rename", "chalk=calcite")
    assert "8 places: 0.750 of them right" in capsys.readouterr().out
    with pytest.warns(UserWarning, match="no labelled place lies where the map has calcite"):
        run(*words, "--rename", "chalk=")
    assert "4 places: 0.750 of them right" in capsys.readouterr().out
    run(*words, "--rename", "chalk=chalk")
    assert "8 places: 0.375 of them right" in capsys.readouterr().out
    with pytest.raises(
        ValueError, match=r"has no class 'opal' that could be .*; it has alunite, chalk"
    ):
        run(*words, "--rename", "opal=calcite")
    with pytest.raises(ValueError, match=r"'chalk=calcit' gives no class of the map; it has alun"):
        run(*words, "--rename", "chalk=calcit")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row,column,label\n0,4,alunite\n", "column that is no whole number from 0 to 3"),
        ("row,column,label\n-1,0,alunite\n", "row that is no whole number from 0 to 2"),
        ("row,column,label\n0.5,0,alunite\n", "the first is '0.5', of point 1"),
        ("row,column,label\n0,0,\n", "1 of 1 points have no label"),
        ("row,column,label\n", "has no row below its header"),
        ("row,col,label\n0,0,alunite\n", "no column 'row' and 'column'; it has row, col, label"),
        ("row,column,label\n1,3,calcite\n", "no labelled place"),
    ],
)
def test_points_that_are_none(mapped, tmp_path, text, message, run):
    (tmp_path / "points.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        run("assess", mapped, "--truth", tmp_path / "points.csv")


def test_maps_that_are_none(mapped, truth, tmp_path, run):
    with pytest.raises(ValueError, match="does not say what its codes mean"):
        run("assess", write_envi(tmp_path / "plain.hdr", MAP), "--truth", truth)
    with pytest.raises(DataFormatError, match="holds the code 3, and names 2 classes"):
        run("assess", write_envi(tmp_path / "few.hdr", MAP, NAMES[:2]), "--truth", truth)
    with pytest.raises(DataFormatError, match="has 2 bands; class codes stand in one"):
        run("assess", _two_bands(tmp_path), "--truth", truth)
    halves = write_envi(tmp_path / "half.hdr", (MAP + 0.5).astype("float32"))
    with pytest.raises(DataFormatError, match="whole numbers from 0 to 65535"):
        run("assess", mapped, "--truth", halves)


def _two_bands(folder):
    envi.save_image(str(folder / "two.hdr"), np.dstack([MAP, MAP]))
    return folder / "two.hdr"


def test_nothing_that_is_read_is_replaced(mapped, tmp_path, run):
    points = tmp_path / "points.csv"
    points.write_text("row,column,label\n0,0,alunite\n")
    with pytest.raises(FileExistsError, match="is read by this run"):
        run("assess", mapped, "--truth", points, "--output", points)
    assert points.read_text().startswith("row")
    with pytest.raises(ValueError, match=r"--output must end in \.csv or \.tex, got .*points\.txt"):
        run("assess", mapped, "--truth", points, "--output", tmp_path / "points.txt")


def test_tables_of_names_and_latex(mapped, tmp_path, capsys, run):
    truth = write_envi(tmp_path / "truth.hdr", TRUTH, ["none", "chalk", "alunite"])
    names = tmp_path / "names.csv"
    names.write_text("old,new\nchalk,calcite\nquartz,\n")
    output = tmp_path / "table.tex"
    run("assess", mapped, "--truth", truth, "--names", names, "--output", output)
    assert "8 places: 0.750 of them right" in capsys.readouterr().out
    assert output.read_text().startswith(r"\begin{tabular}{lrrrrr}")
    # What is said by word counts more than what the table says.
    with pytest.warns(UserWarning, match="no labelled place lies where the map has calcite"):
        run("assess", mapped, "--truth", truth, "--names", names, "--rename", "chalk=")
    assert "4 places: 0.750 of them right" in capsys.readouterr().out
