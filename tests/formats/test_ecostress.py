"""Texts of the ECOSTRESS library: units, order, names, and files that are damaged."""

import numpy as np
import pytest

from sklearn_capoz.datasets import read_ecostress
from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.formats._ecostress import is_ecostress

HEADER = {"Name": "Alunite KAl_3(SO_4)_2(OH)_6", "Type": "Mineral", "Class": "Sulfate",
          "Sample No.": "SO-4A", "X Units": "Wavelength (micrometers)",
          "Y Units": "Reflectance (percent)", "Number of X Values": 3,
          "Additional Information": ""}  # fmt: skip
ROWS = [(2.2, 40.0), (2.1, 50.0), (2.0, 60.0)]


def write(path, rows=ROWS, encoding="utf-8", **header):
    fields = HEADER | {name.replace("_", " "): value for name, value in header.items()}
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    lines += ["", *(f" {x}\t {y}" for x, y in rows), ""]
    path.write_bytes("\r\n".join(lines).encode(encoding))
    return path


def test_a_spectrum_in_nm_ascending_and_reflectance(tmp_path):
    path = write(tmp_path / "a.spectrum.txt")
    assert is_ecostress(path)
    found = read_ecostress(path)
    np.testing.assert_allclose(found.wavelengths, [2000, 2100, 2200])
    np.testing.assert_allclose(found.data, [0.6, 0.5, 0.4])
    assert (found.name, found.sample) == ("Alunite", "SO-4A")
    assert found.metadata["class"] == "Sulfate"


def test_other_units_instruments_that_overlap_and_no_sample(tmp_path):
    rows = [(2100, 0.5), (2000, 0.6), (2100, 0.7)]
    found = read_ecostress(write(
        tmp_path / "a.txt", rows, encoding="latin-1", **{"X Units": "Wavelength (nanometers)",
        "Y Units": "Reflectance", "Sample No.": "N/A", "Description": "25 µm"},
    ))  # fmt: skip
    np.testing.assert_allclose(found.wavelengths, [2000, 2100])
    np.testing.assert_allclose(found.data, [0.6, 0.6])
    assert found.sample == "a.txt"


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("Goethite alpha Fe^3+O(OH)", "Goethite"),
        ("Microcline (Feldspar) (K,Na)AlSi_3O_8", "Microcline"),
        ("Rhodochrosite MnCO_3", "Rhodochrosite"),
        ("Halite NaCl", "Halite"),
        ("Graphite C", "Graphite"),
        ("Very dark grayish brown silty loam", "Very dark grayish brown silty loam"),
        ("Baccharis pilularis 1", "Baccharis pilularis"),
        ("White gypsum dune sand.", "White gypsum dune sand"),
        ("Chlorite", "Chlorite"),
    ],
)
def test_names_without_formula(tmp_path, name, short):
    assert read_ecostress(write(tmp_path / "a.txt", Name=name)).name == short


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rows": ROWS[:2]}, "states 3 values and has 2: it is cut"),
        ({"rows": []}, "it has no numbers"),
        ({"X Units": "Wavenumber (cm-1)"}, r"X is 'Wavenumber \(cm-1\)', not wavelength in um"),
        ({"Y Units": "Transmittance (percent)"}, r"Y is 'Transmittance \(percent\)', and refl"),
        ({"X Units": None}, "is no spectrum of the ECOSTRESS library: it has no entry 'x units'"),
        ({"rows": [*ROWS[:2], (2.3, "4O")]}, "holds what is no number"),
        ({"rows": [*ROWS[:2], (2.3, ".inf")]}, "holds what is no number"),
        ({"rows": [*ROWS[:2], (-2.3, 1)]}, "holds wavelengths or values that are none"),
        ({"rows": [*ROWS[:2], ("end", "")]}, "'end' stands among the numbers"),
    ],
)
def test_files_that_are_no_spectra(tmp_path, changed, message):
    with pytest.raises(DataFormatError, match=message):
        read_ecostress(write(tmp_path / "a.txt", **changed))


def test_other_texts_are_told_apart(tmp_path):
    (tmp_path / "table.txt").write_text("mineral\t2000\t2010\n")
    assert not is_ecostress(tmp_path / "table.txt")
    assert not is_ecostress(tmp_path / "none.txt")


def test_the_real_files(data_home):
    files = sorted((data_home / "ecostress").glob("*.txt"))
    found = [read_ecostress(file) for file in files]
    assert len(found) == 208
    for spectrum in found:
        assert (np.diff(spectrum.wavelengths) > 0).all()
        assert 300 <= spectrum.wavelengths[0] <= 425
        assert spectrum.wavelengths[-1] >= 2499

        assert spectrum.data.min() >= 0
        assert spectrum.data.max() <= 1  # percent would be a hundredfold
    minerals = {s.name for s in found if s.metadata["type"].strip().casefold() == "mineral"}
    assert len(minerals) == 40  # chlorite and others once, with or without their formula
