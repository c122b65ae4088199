"""Entries of ENVI headers, and which header belongs to which data file."""

import numpy as np
import pytest

from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.formats._envi_fields import EnviFields, find_data, find_header

pytest.importorskip("spectral")


def fields(folder, text):
    path = folder / "made.hdr"
    path.write_text(f"ENVI\n{text}\n", encoding="utf-8")
    return EnviFields(path)


@pytest.mark.parametrize("unit", ["Nanometers", "nanometres", "NM", "nm ", "Unknown", "none", ""])
def test_nanometres(tmp_path, unit):
    found = fields(tmp_path, f"wavelength units = {unit}\nwavelength = {{2000, 2100}}")
    np.testing.assert_array_equal(found.wavelengths(2), [2000, 2100])


@pytest.mark.parametrize(
    "unit",
    ["Micrometers", "micrometres", "UM", "\u00b5m", "\u03bcm", "\u00b5M", "microns", "Unknown", ""],
)
def test_micrometres(tmp_path, unit):
    text = f"wavelength units = {unit}\nwavelength = {{2.0, 2.1}}\nfwhm = {{0.01, 0.02}}"
    found = fields(tmp_path, text)
    np.testing.assert_allclose(found.wavelengths(2), [2000, 2100])
    np.testing.assert_allclose(found.fwhm(2), [10, 20])


@pytest.mark.parametrize(
    ("unit", "way"),
    [
        ("Wavenumber", "nm = 1e7 / wavenumber"),
        ("CM-1", "nm = 1e7 / wavenumber"),
        ("GHz", "nm = 299792458 / GHz"),
        ("MHz", "nm = 299792458000 / MHz"),
        ("Index", "nm = the band centre of each"),
    ],
)
def test_other_scales_are_refused_with_the_way_to_nm(tmp_path, unit, way):
    found = fields(tmp_path, f"wavelength units = {unit}\nwavelength = {{2500, 400}}")
    with pytest.raises(DataFormatError, match=rf"their unit is '{unit}': convert them .{way}"):
        found.wavelengths(2)


def test_a_band_without_a_wavelength_is_nan(tmp_path):
    found = fields(tmp_path, "wavelength units = um\nwavelength = {0, 2.0, 2.1, nan, -1}")
    np.testing.assert_allclose(found.wavelengths(5), [np.nan, 2000, 2100, np.nan, np.nan])
    assert fields(tmp_path, "wavelength = {0, 0}").wavelengths(2) is None


def test_a_header_with_the_whole_name_comes_first(tmp_path):
    for name in ("flight.rfl", "flight.rfl.hdr", "flight.img", "flight.hdr"):
        (tmp_path / name).touch()
    assert find_header(tmp_path / "flight.rfl").name == "flight.rfl.hdr"
    assert find_header(tmp_path / "flight.img").name == "flight.hdr"
    assert find_data(tmp_path / "flight.rfl.hdr", "bip").name == "flight.rfl"
    assert find_data(tmp_path / "flight.hdr", "bip").name == "flight.img"


def test_a_data_file_with_a_header_of_its_own_is_none_of_anothers(tmp_path):
    for name in ("flight.hdr", "flight.dat", "flight.img", "flight.img.hdr"):
        (tmp_path / name).touch()
    assert find_data(tmp_path / "flight.hdr", "bsq").name == "flight.dat"
    (tmp_path / "flight.dat").unlink()
    with pytest.raises(FileNotFoundError, match=r"put flight\.bsq, as it came with the header"):
        find_data(tmp_path / "flight.hdr", "bsq")
