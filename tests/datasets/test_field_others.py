"""What is none of a library's: from where it comes, and what it never is."""

import numpy as np
import pytest

from sklearn_capoz.datasets import (
    CUPRITE_MINERALS,
    load_usgs_backgrounds,
    load_usgs_minerals,
)
from sklearn_capoz.datasets._field_others import make_other_spectra, other_records
from sklearn_capoz.spectral import SENSORS, ContinuumRemoval, SpectralMatcher

TABLE = load_usgs_minerals()
SWIR = (TABLE.wavelengths >= 2000) & (TABLE.wavelengths < 2500)
NM = TABLE.wavelengths[SWIR]
X = TABLE.data[np.isin(TABLE.target_names[TABLE.target], CUPRITE_MINERALS)][:, SWIR]
FWHM = np.full(50, 10.0)


def records(library, nm, fwhm):
    return other_records(library, nm, fwhm, np.random.RandomState(0))


def test_the_table_of_backgrounds_is_what_it_says():
    table = load_usgs_backgrounds(as_frame=True)
    assert table.frame.shape == (9, 212)
    values = table.data.to_numpy()
    assert np.nanmin(values) > 0
    assert np.nanmax(values) < 1
    measured = table.wavelengths < 2440
    assert np.isfinite(values[:, measured]).all()
    of = dict(zip(table.spectrum_names, table.target_names[table.target], strict=True))
    assert of["Engelmann-Spruce_ES-Needls-1_ASDFRa_AREF"] == "vegetation"
    # Chlorophyll: the near infrared of a green plant is many times its red.
    green = values[list(of).index("Engelmann-Spruce_ES-Needls-1_ASDFRa_AREF")]
    red, infrared = (green[table.wavelengths == nm][0] for nm in (670, 800))
    assert infrared > 5 * red
    assert "public domain" in table.DESCR
    plain, target = load_usgs_backgrounds(return_X_y=True)
    assert plain.shape == (9, 211)
    assert target.tolist() == sorted(target)


def test_what_resembles_the_library_is_no_other():
    others = records(X, NM, FWHM)
    matcher = SpectralMatcher(wavelengths=NM).fit(X, np.arange(len(X)))
    assert 5 < len(others.minerals) < 30
    assert 0 < len(others.cover) <= 9
    assert 100 < len(others.made) < 500  # broad ones are like chalcedony, narrow ones like clays
    assert max(matcher.similarity(some).max() for some in others) < 0.8
    everything = TABLE.data[:, SWIR]
    left = records(everything, NM, FWHM)  # no mineral is left, so plants, snow and water
    assert len(left.minerals) == 0
    assert 0 < len(left.cover) <= 9


@pytest.mark.parametrize(("sensor", "least"), [("aviris", 30), ("desis", 9), ("emit", 30)])
def test_every_sensor_gets_some(sensor, least):
    sensor = SENSORS[sensor]
    library = np.linspace(0.2, 0.5, len(sensor.wavelengths))[None]
    found = records(library, sensor.wavelengths, sensor.fwhm)
    others = np.vstack([found.minerals, found.cover])
    assert len(others) >= least
    assert np.isfinite(others).all()
    assert (others > 0).all()


def test_where_a_table_ends_a_record_goes_on_as_the_library_does():
    nm, fwhm = np.arange(1000.0, 2500, 10), np.full(150, 10.0)
    library = (0.2 + 0.1 * np.sin(nm / 100))[None]
    others = records(library, nm, fwhm).minerals
    first = np.flatnonzero(nm >= 1300)[0]
    from_table = [
        i for i, one in enumerate(others) if np.ptp(one[:first] / library[0, :first]) < 1e-9
    ]
    assert len(from_table) > 10
    steps = np.abs(np.diff(others[from_table], axis=1))
    assert steps[:, first - 1].max() < 0.05  # and no step where they meet


def test_beyond_the_tables_there_are_made_ones_all_the_same():
    nm, fwhm = np.arange(8000.0, 12_000, 100), np.full(40, 100.0)
    others = records(np.full((2, 40), 0.5), nm, fwhm)
    assert others.minerals.shape == others.cover.shape == (0, 40)
    made = make_other_spectra(others, nm, fwhm, "mild", 100, 0)
    assert made.shape == (100, 40)
    assert np.isfinite(made).all()


def test_one_seed_gives_the_same_and_three_kinds_are_there():
    others = records(X, NM, FWHM)
    made = make_other_spectra(others, NM, FWHM, "mild", 1000, 0)
    np.testing.assert_array_equal(made, make_other_spectra(others, NM, FWHM, "mild", 1000, 0))
    assert not np.array_equal(made, make_other_spectra(others, NM, FWHM, "mild", 1000, 1))
    depth = 1 - ContinuumRemoval(NM).fit_transform(made).min(axis=1)
    assert np.median(depth[:500]) > 0.05
    plain = depth[500:]
    assert (plain < 0.01).any()  # flat or sloped, hardly any noise
    assert (plain > 0.1).any() or np.isnan(plain).any()  # nothing but noise
