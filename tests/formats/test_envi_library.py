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
    with pytest.raises(DataFormatError, match="is not a readable ENVI spectral library"):
        read_envi_library(write(tmp_path, spectra[:1]))  # half of the data
    (tmp_path / "made.hdr").write_text("a letter")
    with pytest.raises(DataFormatError, match="is not a readable ENVI spectral library"):
        read_envi_library(tmp_path / "made.hdr")


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
