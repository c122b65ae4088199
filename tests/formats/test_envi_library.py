"""ENVI spectral libraries: a real one, and small ones written by hand."""

import sys

import numpy as np
import pytest

from sklearn_capoz.datasets import read_envi_library
from sklearn_capoz.exceptions import DataFormatError

HEADER = """ENVI
description = {{ two made spectra }}
samples = 3
lines = 2
bands = 1
header offset = 0
file type = {file_type}
data type = {data_type}
interleave = bsq
byte order = 0
{more}
spectra names = {{ Calcite , Alunite}}
"""
NANOMETERS = "wavelength units = Nanometers\nwavelength = { 2100, 2200, 2300 }\n"


def write(folder, values, more=NANOMETERS, file_type="ENVI Spectral Library", ending=".sli"):
    types = {"float32": 4, "float64": 5, "int16": 2}
    values = np.asarray(values)
    header = HEADER.format(file_type=file_type, data_type=types[values.dtype.name], more=more)
    (folder / "made.hdr").write_text(header)
    values.tofile(folder / f"made{ending}")
    return folder / "made.hdr"


@pytest.fixture
def spectra():
    return np.array([[0.1, 0.2, 0.3], [0.4, -1.23e34, 0.6]], dtype="float32")


def test_values_names_and_deleted_channels(tmp_path, spectra):
    library = read_envi_library(write(tmp_path, spectra))
    spectra[1, 1] = np.nan
    np.testing.assert_array_equal(library.data, spectra)
    assert library.data.dtype == np.float32
    assert library.names.tolist() == ["Calcite", "Alunite"]
    assert library.wavelengths.tolist() == [2100, 2200, 2300]
    assert library.fwhm is None
    assert library.DESCR == "two made spectra"
    assert library.metadata["file type"] == "ENVI Spectral Library"


@pytest.mark.parametrize("name", ["made.hdr", "made.sli", "made"])
def test_either_file_may_be_named(tmp_path, spectra, name):
    write(tmp_path, spectra, ending="" if name == "made" else ".sli")
    assert read_envi_library(str(tmp_path / name)).data.shape == (2, 3)


@pytest.mark.parametrize("units", ["wavelength units = Micrometers\n", ""])
def test_micrometres_become_nm_with_or_without_the_word(tmp_path, spectra, units):
    more = units + "wavelength = { 2.1, 2.2, 2.3 }\nfwhm = { 0.01, 0.01, 0.012 }\n"
    library = read_envi_library(write(tmp_path, spectra, more))
    np.testing.assert_allclose(library.wavelengths, [2100, 2200, 2300])
    np.testing.assert_allclose(library.fwhm, [10, 10, 12])


def test_scaled_integers_become_reflectance(tmp_path):
    more = NANOMETERS + "reflectance scale factor = 10000\ndata ignore value = -1\n"
    values = np.array([[1000, 2000, 3000], [4000, -1, 6000]], dtype="int16")
    library = read_envi_library(write(tmp_path, values, more))
    np.testing.assert_allclose(library.data, [[0.1, 0.2, 0.3], [0.4, np.nan, 0.6]], rtol=1e-6)


def test_a_real_library_is_read_whole(data_home):
    library = read_envi_library(data_home / "usgs_splib" / "s06av95a_envi.hdr")
    assert library.data.shape == (1365, 224)
    assert len(set(library.names)) > 1300
    assert library.names[0] == "Acmite NMNH133746 Pyroxene s06av95a=a"
    np.testing.assert_allclose(library.wavelengths[[0, -1]], [383.15, 2508.45], atol=1)
    assert np.isnan(library.data).any()
    assert -1e-6 < np.nanmin(library.data) < np.nanmax(library.data) < 2


def test_what_is_no_spectral_library_is_refused(tmp_path, spectra):
    with pytest.raises(DataFormatError, match="describes an ENVI Standard, not an ENVI Spectral"):
        read_envi_library(write(tmp_path, spectra, file_type="ENVI Standard"))
    with pytest.raises(DataFormatError, match="has no wavelengths"):
        read_envi_library(write(tmp_path, spectra, more=""))
    with pytest.raises(
        DataFormatError, match=r"has 12 bytes; made\.hdr describes 24 .2 spectra of"
    ):
        read_envi_library(write(tmp_path, spectra[:1]))  # half of the data
    (tmp_path / "made.hdr").write_text("a letter")
    with pytest.raises(DataFormatError, match=r"made\.hdr is no ENVI header"):
        read_envi_library(tmp_path / "made.hdr")


@pytest.mark.parametrize("unit", ["Wavenumber", "cm-1", "GHz", "Index"])
def test_other_scales_are_not_read_as_nm(tmp_path, spectra, unit):
    more = f"wavelength units = {unit}\nwavelength = {{ 2500, 1000, 400 }}\n"
    with pytest.raises(DataFormatError, match=f"must be in nm or um; their unit is '{unit}': conv"):
        read_envi_library(write(tmp_path, spectra, more))


@pytest.mark.parametrize(
    "words", ["envi spectral library", "ENVI SPECTRAL LIBRARY", "Envi  Spectral Library"]
)
def test_capitals_do_not_matter(tmp_path, spectra, words):
    path = write(tmp_path, spectra, file_type=words)
    path.write_text(path.read_text().replace("data type", "Data Type").replace("bsq", "BSQ"))
    assert read_envi_library(path).data.shape == (2, 3)


def test_a_header_in_latin_1(tmp_path, spectra):
    path = write(tmp_path, spectra, "wavelength = { 2.1, 2.2, 2.3 }\n")
    path.write_bytes(path.read_bytes() + "wavelength units = µm\n".encode("latin-1"))
    np.testing.assert_allclose(read_envi_library(path).wavelengths, [2100, 2200, 2300])


def test_bad_bands_need_no_wavelength(tmp_path, spectra):
    more = "wavelength units = um\nwavelength = { 0, 2.2, 2.3 }\nfwhm = { 0, 0.01, 0.01 }\n"
    library = read_envi_library(write(tmp_path, spectra, more + "bbl = { 0, 1, 1 }\n"))
    np.testing.assert_allclose(library.wavelengths, [np.nan, 2200, 2300])
    np.testing.assert_allclose(library.fwhm, [0, 10, 10])
    with pytest.raises(DataFormatError, match="positive and finite, but for bands that 'bbl'"):
        read_envi_library(write(tmp_path, spectra, more))


def test_foreign_byte_order_and_an_offset(tmp_path, spectra):
    path = write(tmp_path, spectra)
    path.with_suffix(".sli").write_bytes(b"x" * 7 + spectra.astype(">f4").tobytes())
    text = path.read_text().replace("byte order = 0", "byte order = 1")
    path.write_text(text.replace("header offset = 0", "header offset = 7"))
    library = read_envi_library(path)
    np.testing.assert_array_equal(library.data[0], spectra[0])
    assert library.data.dtype == np.float32


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("data gain values = { 2, 2, 2 }\n", "'data gain values' is not applied"),
        ("reflectance scale factor = ten\n", "'reflectance scale factor' must be numeric"),
        ("data ignore value = { 1, 2 }\n", "'data ignore value' must be one number"),
        ("fwhm = { 1, 2 }\n", "'fwhm' lists 2 values for 3 bands"),
    ],
)
def test_entries_that_cannot_be_followed(tmp_path, spectra, more, words):
    with pytest.raises(DataFormatError, match=words):
        read_envi_library(write(tmp_path, spectra, NANOMETERS + more))


def test_names_that_do_not_fit_or_are_not_there(tmp_path, spectra):
    path = write(tmp_path, spectra)
    text = path.read_text()
    path.write_text(text.replace("Calcite ,", "Calcite, coarse,"))
    with pytest.raises(DataFormatError, match="lists 3 names for 2 spectra; a comma in a name"):
        read_envi_library(path)
    path.write_text("".join(line for line in text.splitlines(True) if "names" not in line))
    assert read_envi_library(path).names.tolist() == ["1", "2"]


def test_missing_files_are_named(tmp_path, spectra):
    with pytest.raises(FileNotFoundError, match=r"No ENVI header at .*made\.hdr"):
        read_envi_library(tmp_path / "made.hdr")
    write(tmp_path, spectra)
    (tmp_path / "made.sli").unlink()
    with pytest.raises(FileNotFoundError, match=r"put made\.sli, as it came with the header"):
        read_envi_library(tmp_path / "made.hdr")


def test_spectral_is_asked_for_when_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "spectral.io.envi", None)
    with pytest.raises(ImportError, match=r"pip install 'sklearn-capoz\[data\]'"):
        read_envi_library("made.hdr")
