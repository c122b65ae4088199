"""Spectra and maps that do not fit as they are: how near they are kept, in how many bytes."""

import re
from dataclasses import replace

import numpy as np
import pytest

from sklearn_capoz.reports import _coding, _report, write_report
from sklearn_capoz.reports._packing import packed
from sklearn_capoz.reports._thinning import Thinning
from sklearn_capoz.scenes import ClassMap, read_class_map

envi = pytest.importorskip("spectral.io.envi")


def test_spectra_in_little_room_are_as_near_as_the_page_says(
    case, tmp_path, read_page, monkeypatch
):
    errors = []
    for room in (20_000, 5_000, 2_500):
        monkeypatch.setattr(_report, "ROOM", room)
        monkeypatch.setattr(_report, "LEAST_ROOM", room)
        mapped = read_class_map(case.map)
        page = read_page(
            write_report(
                tmp_path / "page.html", ClassMap(mapped.codes, mapped.class_names), case.scene
            )
        )
        assert page.data["spectra"]["kind"] == "coded"
        there = case.codes > 0
        found = np.abs(page.spectra()[there] - case.cube[there])
        rms, largest = np.sqrt(np.mean(found**2)), np.percentile(found.max(axis=1), 99)
        said = re.search(r"by ([\d.e-]+) in reflectance .* less than ([\d.e-]+) in", page.text)
        np.testing.assert_allclose([rms, largest], [float(n) for n in said.groups()], rtol=0.06)
        assert np.isnan(page.spectra()[~there]).all()
        size = len(page.data["spectra"]["planes"]) * 3 / 4
        # Planes of a thousand pixels share the codes that deflate gives to tens of thousands.
        assert size < 1.6 * room
        errors.append(rms)
    assert errors == sorted(errors)
    assert errors[0] < 0.01  # the noise of the scene


def test_a_class_of_one_pixel_and_one_of_none(case, tmp_path, read_page, monkeypatch):
    monkeypatch.setattr(_report, "ROOM", 10_000)
    monkeypatch.setattr(_report, "LEAST_ROOM", 10_000)
    codes = np.where(case.codes > 0, 1, 0).astype("uint8")
    codes[4, 9] = 2
    mapped = ClassMap(codes, ("no data", "a", "b", "c"))
    page = read_page(write_report(tmp_path / "page.html", mapped, case.scene))
    np.testing.assert_allclose(page.spectra()[4, 9], case.cube[4, 9], atol=1e-5)
    assert page.data["classes"][2]["low"] is None


@pytest.mark.parametrize("room", [150_000, 30_000])
@pytest.mark.parametrize("unit", [1, 10_000])
def test_a_saturated_pixel_does_not_coarsen_the_others(
    case, tmp_path, read_page, monkeypatch, room, unit
):
    monkeypatch.setattr(_report, "ROOM", room)
    monkeypatch.setattr(_report, "LEAST_ROOM", room)
    cube = case.cube * unit
    cube[12, 17] = 3e5 * unit
    mapped = replace(read_class_map(case.map), path=None)
    page = read_page(write_report(tmp_path / "page.html", mapped, cube, scale=1))
    found = page.spectra()
    assert np.isnan(found[12, 17]).all()
    assert "1 pixels are far brighter or darker than all others" in page.text
    there = case.codes > 0
    there[12, 17] = False
    error = np.sqrt(np.mean((found[there] - cube[there]) ** 2))
    assert error < (1e-4 if room == 150_000 else 0.01) * unit


def test_spectra_that_are_nearly_all_the_same(case, tmp_path, read_page):
    cube = np.full((30, 40, 50), 0.3)
    cube[9, 9] = np.linspace(0.2, 0.5, 50)
    codes = np.ones((30, 40), dtype="uint8")
    page = write_report(tmp_path / "page.html", ClassMap(codes, ("no data", "a")), cube)
    np.testing.assert_allclose(read_page(page).spectra(), cube, atol=1e-5)


def test_numbers_are_packed_near_to_their_entropy():
    numbers = np.rint(np.random.RandomState(0).normal(0, 3, 200_000)).astype(np.int16)
    _, counts = np.unique(numbers, return_counts=True)
    share = counts / counts.sum()
    entropy = -(share * np.log2(share)).sum() * numbers.size / 8
    assert entropy < len(packed(numbers)) < 1.04 * entropy


@pytest.mark.parametrize("value", [-32768, -129, -1, 0, 1, 255, 32767])
def test_packing_keeps_every_number(read_page, value):
    import base64

    text = base64.b64encode(packed(np.array([value, 5], dtype=np.int16)))
    assert read_page.numbers_of(read_page, text).tolist() == [value, 5]


@pytest.mark.parametrize(
    "shape", [(1, 1), (1000, 1000), (1200, 1001), (3, 9_000_000), (5001, 4003), (12000, 9001)]
)
def test_what_is_stored_of_a_large_map_is_in_its_picture(shape):
    thinning = Thinning.of(shape)
    rows, columns = thinning.places()
    assert len(rows) * len(columns) <= 1_200_000
    assert not (rows % thinning.picture).any()
    assert not (columns % thinning.picture).any()
    for places, n in zip((rows, columns), shape, strict=True):
        assert places[-1] < n
        # Every pixel's cell holds the stored one.
        assert (places // thinning.stored == np.arange(len(places))).all()
    picture = -(-shape[0] // thinning.picture) * -(-shape[1] // thinning.picture)
    assert picture <= 8_000_000
    if np.prod(shape) <= 1_000_000:
        assert thinning.stored == 1


def test_thinned_pages_say_so(case, tmp_path, read_page, monkeypatch):
    monkeypatch.setattr("sklearn_capoz.reports._thinning.STORED_PIXELS", 150)
    monkeypatch.setattr("sklearn_capoz.reports._thinning.PICTURE_PIXELS", 400)
    page = read_page(write_report(tmp_path / "page.html", case.map, case.scene))
    assert page.data["thinning"] == {"picture": 2, "stored": 4, "first": 2}
    np.testing.assert_array_equal(page.codes(), case.codes[::2, ::2])
    rows, columns = page.places()
    expected = case.cube[np.ix_(rows, columns)]
    expected = np.where(case.codes[np.ix_(rows, columns)][..., None] > 0, expected, np.nan)
    np.testing.assert_allclose(page.spectra(), expected, atol=1e-4)
    assert "One in 4 x 4 pixels: a click shows the nearest of these." in page.text


def test_a_thousand_by_a_thousand_pixels_of_noise_stay_below_five_megabytes(tmp_path):
    """Noise in map, spectra and trust alike: nothing is harder to pack."""
    rng = np.random.RandomState(0)
    n = 1000
    codes = rng.randint(1, 9, (n, n)).astype("uint8")
    names = ["no data", *(f"class {i}" for i in range(1, 9))]
    header = {"file type": "ENVI Classification", "classes": 9, "class names": names}
    envi.save_image(str(tmp_path / "map.hdr"), codes[..., None], metadata=header)
    trust = rng.uniform(size=(n, n, 4)).astype("float32")
    envi.save_image(str(tmp_path / "map_trust.hdr"), trust)
    cube = rng.randint(1000, 6000, (n, n, 6)).astype("int16")
    page = write_report(tmp_path / "page.html", tmp_path / "map.hdr", cube, scale=10000)
    assert 3_000_000 < page.stat().st_size < 5_000_000


def test_the_finest_step_is_below_what_instruments_tell():
    assert _coding.FINEST / np.sqrt(12) <= 0.001
