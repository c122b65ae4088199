"""The page as a file: what is in it, what it refuses, what it leaves alone."""

import json
import re
import sys
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.datasets import load_usgs_minerals
from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.reports import _report, _scene_spectra, write_report
from sklearn_capoz.reports._library import library_of
from sklearn_capoz.reports._sections import assessment_of
from sklearn_capoz.reports._thinning import Thinning
from sklearn_capoz.reports._trust import describe_trust, open_trust
from sklearn_capoz.scenes import ClassMap, assess, predict_scene, read_class_map

rasterio = pytest.importorskip("rasterio")


@pytest.fixture(scope="module")
def page(case, read_page):
    path = case.folder / "page.html"
    found = write_report(
        path, case.map, case.scene, model=case.model, assessment=assess(case.map, case.truth)
    )
    assert found == path
    return read_page(path)


def test_the_page_asks_for_nothing_else(page):
    # Every address in an attribute or a style holds its own data.
    for address in re.findall(r"""(?:src|href|action|data)=["']([^"']*)""", page.text):
        assert address.startswith("data:")
    assert not re.search(
        r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket|<(iframe|object|embed)", page.text
    )
    assert "default-src 'none'" in page.text


def test_codes_colours_and_areas_are_those_of_the_map(page, case):
    np.testing.assert_array_equal(page.codes(), case.codes)
    classes = page.data["classes"]
    assert [c["name"] for c in classes] == list(case.names)
    for shown, color, pixels in zip(
        classes[1:], case.colors[1:], np.bincount(case.codes.ravel())[1:], strict=True
    ):
        assert shown["color"] == "#{:02x}{:02x}{:02x}".format(*color)
        assert shown["pixels"] == pixels
        assert shown["area"] == pytest.approx(pixels * 17 * 17 / 10000)
        assert shown["share"] == pytest.approx(pixels / (30 * 35))
    assert [c["rejected"] for c in classes] == [False] * 4 + [True]
    assert page.data["place"]["crs"] == "EPSG:32611"
    assert "150 pixels have no data (12.5%)." in page.text


def test_a_small_map_has_every_spectrum_as_measured(page, case):
    assert page.data["spectra"]["kind"] == "exact"
    expected = np.where(case.codes[..., None] > 0, case.cube, np.nan)
    np.testing.assert_allclose(page.spectra(), expected, atol=2e-5)
    assert "It is kept as measured" in page.text


@pytest.mark.parametrize("rows_of_a_strip", [1, 7, 30])
def test_blocks_and_strips_of_any_size_give_the_same_page(
    case, tmp_path, monkeypatch, write_raster, rows_of_a_strip
):
    """Bands with gains of their own, in pieces of several blocks, and blocks of several pieces."""
    mapped = replace(read_class_map(case.map), path=None)
    expected = write_report(tmp_path / "a.html", mapped, case.cube, wavelengths=case.wavelengths)
    gains = np.linspace(1, 2, 50) * 1e-4
    path = write_raster(
        tmp_path / "scene.tif", np.rint(case.cube / gains).astype("int32"),
        [f"{w:g} nm" for w in case.wavelengths], blockysize=rows_of_a_strip, interleave="pixel",
    )  # fmt: skip
    with rasterio.open(path, "r+") as dataset:
        dataset.scales = tuple(gains)
    monkeypatch.setattr(_scene_spectra, "BLOCK_BYTES", 40 * 50 * 4 * 4)
    found = write_report(tmp_path / "b.html", mapped, path)
    one, two = (json.loads(re.findall(r'id="data">(.*?)</script>', p.read_text("utf-8"))[0])
                for p in (expected, found))  # fmt: skip
    for key in ("mean", "low", "high"):
        for a, b in zip(one["classes"][1:], two["classes"][1:], strict=True):
            np.testing.assert_allclose(a[key], b[key], atol=2.1e-4)


def test_means_and_spread_of_the_classes(page, case):
    for code, shown in enumerate(page.data["classes"]):
        spectra = case.cube[case.codes == code]
        if code == 0:
            assert shown["mean"] == [None] * 50
            continue
        np.testing.assert_allclose(shown["mean"], spectra.mean(axis=0), atol=1e-4)
        low, high = np.percentile(spectra, [5, 95], axis=0)
        np.testing.assert_allclose([shown["low"], shown["high"]], [low, high], atol=1e-4)


def test_records_of_the_embedded_library_go_by_the_name(page, case):
    library = load_usgs_minerals()
    calcite = library.data[library.target == library.target_names.tolist().index("Calcite")]
    (shown,) = page.data["classes"][2]["library"]
    expected = np.interp(case.wavelengths, library.wavelengths, calcite[0])
    np.testing.assert_allclose(shown["values"], expected, atol=1e-4)
    assert page.data["classes"][4]["library"] == []


def test_the_library_that_a_model_keeps_comes_first(case):
    nm = np.array([2500.0, 1900.0, 2200.0])  # in any order
    records = np.array([[0.1, 0.7, 0.4], [0.2, 0.8, 0.5], [0.3, 0.9, 0.6]])
    trust = SimpleNamespace(records=records, counts=(1, 2, 0), wavelengths=nm)
    model = SimpleNamespace(trust_=trust, classes_=np.array(case.names[1:4]))
    found = library_of(model, case.names, case.wavelengths)
    assert [len(found.records.get(name, ())) for name in case.names] == [0, 1, 2, 0, 0]
    name, values = found.records["Calcite"][1]
    assert name == "library record 2 of 2"
    np.testing.assert_allclose(values, np.interp(case.wavelengths, [1900, 2500], [0.9, 0.3]))
    assert found.origin == "of the library that the model was trained on"


def test_trust_values_and_their_histograms(page, case):
    trust = page.data["trust"]
    assert [t["name"] for t in trust["layers"]] == [
        "probability",
        "margin",
        "agreement",
        "likeness",
    ]
    numbers = page.bytes_of(trust["values"]).reshape(4, 30, 40)
    assert (numbers[:, :, :5] == 255).all()
    shown = numbers[:, :, 5:] / (trust["levels"] - 1)
    np.testing.assert_allclose(shown, case.trust[:, 5:].transpose(2, 0, 1), atol=0.51 / 250)
    bars = np.array(trust["layers"][1]["bars"])
    for code in range(1, 5):
        values = case.trust[..., 1][case.codes == code]
        np.testing.assert_array_equal(bars[code], np.histogram(values, 25, (0, 1))[0])


def test_trust_in_memory_is_shown_as_well(case, tmp_path, read_page):
    found = predict_scene(case.model, case.scene, reject_below=0.9)
    with_trust = SimpleNamespace(trust=case.trust)
    source = open_trust(with_trust, read_class_map(found))
    shown = describe_trust(source, read_class_map(found), 5, Thinning.of((30, 40)))
    page = read_page(write_report(tmp_path / "page.html", case.map, case.scene))
    assert shown == page.data["trust"]


def test_a_map_without_trust_model_and_truth(case, tmp_path, read_page):
    found = predict_scene(case.model, case.scene)
    page = read_page(write_report(tmp_path / "page.html", found, case.scene, title="A <title>"))
    assert page.data["trust"] is None
    assert page.data["pruning"] is None
    for section in ("trust-section", "assessment-section", "pruning-section"):
        assert f'id="{section}"' not in page.text
    assert "<title>A &lt;title&gt;</title>" in page.text


def test_the_assessment_is_that_of_assess(page, case):
    found = assess(case.map, case.truth)
    assert f"{100 * found.overall:.1f} ± {100 * found.overall_margin:.1f} %" in page.text
    told = assessment_of(replace(found, overall_margin=np.nan))["overall"]
    assert told == f"{100 * found.overall:.1f}"  # and no "± nan"
    for name in case.names[1:4]:
        assert f"<th>{name}</th>" in page.text
    confusion = page.text.partition('<table id="confusion"')[2].partition("</table>")[0]
    counts = [int(n) for n in re.findall(r'<td class="number[^>]*>(\d+)</td>', confusion)]
    assert sum(counts) == 30
    assert counts.count(0) == 0


def test_the_pruning_path_of_a_model_file(case, tmp_path, read_page):
    X, y = case.cube[:, 5:].reshape(-1, 50), np.array(case.names)[case.codes[:, 5:].ravel()]
    model = PrunedMLPClassifier((6,), threshold="fraction", n_iterations=2, max_iter=3,
                                retrain_max_iter=2, random_state=0)  # fmt: skip
    model.fit(X[y != "rejected"], y[y != "rejected"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = predict_scene(model, case.scene)
        page = read_page(write_report(tmp_path / "page.html", found, case.scene, model=model))
    pruning = page.data["pruning"]
    units = pruning["columns"].index("n_units")
    assert [row[units] for row in pruning["rows"]] == model.history_["n_units"].tolist()
    assert pruning["rows"][pruning["kept"]][units] == len(model.network_.biases[0])
    assert 'class="kept"' in page.text


EVIL = ["</script><script>alert(1)</script>", "<b onclick=x>&\"'", "Calcite"]


def test_names_of_classes_are_text_and_nothing_else(case, tmp_path, read_page):
    mapped = ClassMap((case.codes > 0).astype("uint8") + (case.codes > 2), ("no data", *EVIL[:2]))
    page = read_page(write_report(tmp_path / "page.html", mapped, case.scene, title=EVIL[0]))
    assert "<script>alert" not in page.text
    assert "<b onclick" not in page.text
    assert page.text.count("<script") == 2
    assert [c["name"] for c in page.data["classes"]][1:] == EVIL[:2]


SHIFTED = (17, 0, 495017, 0, -17, 4155000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": np.ones((20, 40), "uint8")}, "the map has 20 x 40 pixels and .*tif 30 x 40"),
        ({"transform": SHIFTED}, "the map begins at 495017"),
        (
            {"crs": rasterio.CRS.from_epsg(32612).to_wkt()},
            "the map is in the coordinate system EPSG:32612",
        ),
    ],
)
def test_maps_of_another_scene(case, tmp_path, change, message):
    mapped = replace(read_class_map(case.map), path=None, **change)
    with pytest.raises(DataFormatError, match=f"this is no map of this scene: {message}"):
        write_report(tmp_path / "page.html", mapped, case.scene)
    assert list(tmp_path.iterdir()) == []


def test_maps_that_show_nothing(case, tmp_path):
    mapped = replace(read_class_map(case.map), path=None)
    with pytest.raises(DataFormatError, match="has no pixel with a class"):
        write_report(tmp_path / "page.html", replace(mapped, codes=0 * case.codes), case.scene)
    with pytest.raises(DataFormatError, match="does not say what its codes mean"):
        write_report(tmp_path / "page.html", replace(mapped, class_names=None), case.scene)
    many = replace(mapped, class_names=tuple(map(str, range(300))))
    with pytest.raises(DataFormatError, match="has 300 classes; a page shows 254 at most"):
        write_report(tmp_path / "page.html", many, case.scene)


def test_models_of_another_map(case, tmp_path):
    page = tmp_path / "page.html"
    other = DummyClassifier().fit(np.ones((2, 50)), ["Alunite", "Topaz"])
    message = "Of the model only: Topaz; of the map only: Calcite, Muscovite. Give the model"
    with pytest.raises(ValueError, match=message):
        write_report(page, case.map, case.scene, model=other)
    far = DummyClassifier().fit(np.ones((3, 2)), ["Alunite", "Calcite", "Muscovite"])
    far.wavelengths_ = np.array([500.0, 600.0])
    with pytest.raises(ValueError, match="have no good band of the scene"):
        write_report(page, case.map, case.scene, model=far)
    constant = DummyClassifier(strategy="constant", constant="Calcite")
    constant.fit(np.ones((3, 50)), ["Alunite", "Calcite", "Muscovite"])
    constant.wavelengths_ = case.wavelengths
    with pytest.warns(UserWarning, match=r"the model names \d+% of .* pixels otherwise"):
        write_report(page, case.map, case.scene, model=constant)
    assert "pixels otherwise than the map does" in page.read_text("utf-8")


def test_trust_of_another_map(case, tmp_path, write_raster):
    found = predict_scene(case.model, case.scene, output=tmp_path / "map.tif")
    write_raster(tmp_path / "map_trust.tif", case.trust[:10])
    with pytest.raises(DataFormatError, match=r"map_trust\.tif has 10 x 40 pixels"):
        write_report(tmp_path / "page.html", found, case.scene)


def test_only_an_earlier_report_is_replaced(case, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<html>my own</html>")
    with pytest.raises(FileExistsError, match="is no report of this program"):
        write_report(page, case.map, case.scene)
    assert page.read_text() == "<html>my own</html>"
    page.unlink()
    write_report(page, case.map, case.scene, title="first")
    write_report(page, case.map, case.scene, title="second")
    assert "<title>second</title>" in page.read_text("utf-8")
    with pytest.raises(ValueError, match=r"output must end in \.html, got .*page\.tif"):
        write_report(tmp_path / "page.tif", case.map, case.scene)
    with pytest.raises(FileNotFoundError):
        write_report(tmp_path / "none" / "page.html", case.map, case.scene)
    with pytest.raises(FileNotFoundError, match="no file"):
        write_report(page, case.map, tmp_path / "no.hdr")


def test_colours_of_the_user(case, tmp_path, read_page):
    page = write_report(tmp_path / "p.html", case.map, case.scene, colors={"Calcite": "#010203"})
    assert read_page(page).data["classes"][2]["color"] == "#010203"
    with pytest.raises(ValueError, match="colors must give 'Calcite' a colour"):
        write_report(page, case.map, case.scene, colors={"Calcite": "red"})


def test_an_error_leaves_the_earlier_report(case, tmp_path, monkeypatch):
    page = write_report(tmp_path / "page.html", case.map, case.scene, title="first")

    def fail(**parts):
        raise KeyboardInterrupt

    monkeypatch.setattr(_report, "render", fail)
    with pytest.raises(KeyboardInterrupt):
        write_report(page, case.map, case.scene, title="second")
    assert "<title>first</title>" in page.read_text("utf-8")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_a_scene_that_changes_meanwhile(case, tmp_path, monkeypatch):
    cube, original = case.cube.copy(), _report.store_spectra

    def change(*arguments):
        cube[20, 20, 20] += 0.1
        return original(*arguments)

    monkeypatch.setattr(_report, "store_spectra", change)
    with pytest.raises(DataFormatError, match="the array changed while it was read"):
        write_report(tmp_path / "page.html", read_class_map(case.map), cube)
    assert not list(tmp_path.iterdir())


def test_what_is_warned_stands_on_the_page(case, tmp_path):
    cube = case.cube.copy()
    cube[..., 7] = 0.5
    mapped = read_class_map(case.map)
    bad = np.zeros(50, dtype=bool)
    bad[[0, 1]] = True
    page = tmp_path / "page.html"
    with pytest.warns(UserWarning, match=r"1 bands hold no signal and are left out: 7, from 0"):
        write_report(page, mapped, cube, wavelengths=case.wavelengths, bad_bands=bad)
    text = page.read_text("utf-8")
    assert "1 bands hold no signal and are left out: 7, from 0." in text
    assert "2 of 50 bands are left out: a list calls them bad." in text
    assert "47 of 50 bands, 2010 to 2480 nm" in text


def test_pixels_that_the_map_does_not_name_have_no_spectrum(case, tmp_path, read_page):
    codes = case.codes.copy()
    codes[:, 20:] = 0  # the scene holds spectra there
    mapped = replace(read_class_map(case.map), codes=codes)
    page = read_page(write_report(tmp_path / "page.html", mapped, case.scene))
    assert np.isnan(page.spectra()[:, 20:]).all()
    assert page.data["classes"][0]["n_spectra"] == 0
    trust = page.bytes_of(page.data["trust"]["values"]).reshape(4, 30, 40)
    assert (trust[:, :, 20:] == 255).all()
    assert page.data["classes"][0]["mean"] == [None] * 50
    assert "lack a number" not in page.text


def test_classified_pixels_that_lack_a_number(case, tmp_path, read_page):
    cube = case.cube.astype("float32")
    cube[10, 20, 3] = np.nan
    mapped = read_class_map(case.map)
    page = read_page(write_report(tmp_path / "page.html", mapped, cube, scale=1))
    assert "1 classified pixels lack a number" in page.text
    assert np.isnan(page.spectra()[10, 20]).all()
    assert page.data["wavelengths"] is None


def test_without_jinja_the_error_says_what_to_install(case, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"pip install 'sklearn-capoz\[report\]'"):
        write_report(tmp_path / "page.html", case.map, case.scene)
