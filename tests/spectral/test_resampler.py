"""Resampling by response: worked values, identities, gaps, and the USGS's own convolution."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_capoz.datasets import fetch_usgs_splib, load_usgs_minerals
from sklearn_capoz.spectral import SENSORS, ContinuumRemoval, Sensor, SensorResampler

SIGMA = 1 / (2 * np.sqrt(2 * np.log(2)))
NM = np.arange(2000.0, 2401.0)


# scikit-learn's checks bring arrays of 1 to 20 columns without wavelengths, and integers.
@parametrize_with_checks(
    [
        SensorResampler(
            Sensor("between bands", [0.25, 0.5, 0.75], [0.5] * 3), wavelengths="index", scale=1.0
        ),
        SensorResampler(
            Sensor("far off", [0.5, 99], [0.5] * 2),
            wavelengths="index",
            scale=1.0,
            on_missing="nan",
            n_jobs=2,
        ),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_a_triangle_worked_by_hand():
    # Source 2000, 2010, 2020 nm, a response far narrower: linear interpolation.
    X = [[0.1, 0.5, 0.3]]
    resampler = SensorResampler([2004, 2010, 2015], fwhm=1e-4, wavelengths=[2000, 2010, 2020])
    np.testing.assert_allclose(resampler.fit_transform(X), [[0.26, 0.5, 0.4]], atol=1e-5)
    # The expectation of a triangle of half width h under a Gaussian of sigma at its top:
    # 1 - sqrt(2/pi) sigma/h (1 - exp(-h^2/2 sigma^2)) - P(|x| > h), all of it within the bands.
    found = SensorResampler([2010], fwhm=10, wavelengths=[1980, 2000, 2010, 2020, 2040])
    found = found.fit_transform([[0.0, 0, 1, 0, 0]])
    sigma, h = 10 * SIGMA, 10
    inside = norm.cdf(h / sigma) - norm.cdf(-h / sigma)
    tail = norm.cdf(30 / sigma) - norm.cdf(-30 / sigma)
    lost = np.sqrt(2 / np.pi) * sigma / h * (1 - np.exp(-(h**2) / 2 / sigma**2))
    assert found[0, 0] == pytest.approx((inside - lost) / tail, abs=1e-9)


def test_moments_of_the_response():
    x = NM - 2200
    X = np.stack([np.ones_like(x), 0.3 + 0.001 * x, x**2])
    found = SensorResampler([2200, 2250], fwhm=20, wavelengths=NM).fit_transform(X)
    np.testing.assert_allclose(found[0], 1, rtol=1e-9)
    np.testing.assert_allclose(found[1], [0.3, 0.35], rtol=1e-7)
    # A linear spectrum between bands of 1 nm lies above the parabola by 1/6 on average.
    np.testing.assert_allclose(found[2], (20 * SIGMA) ** 2 + [1 / 6, 2500 + 1 / 6], rtol=1e-6)


@given(st.lists(st.floats(0.5, 30), min_size=3, max_size=12), st.floats(0.1, 60), st.floats(0, 1))
@settings(deadline=None, max_examples=50)
def test_uneven_bands_are_integrated_as_they_lie(steps, fwhm, place):
    nm = 2000 + np.cumsum(steps)
    centre = nm[0] + place * (nm[-1] - nm[0])
    X = np.cos(np.arange(len(nm)))[None]
    resampler = SensorResampler([centre], fwhm=fwhm, wavelengths=nm, on_missing="nan")
    try:
        found = resampler.fit_transform(X)[0, 0]
    except ValueError:  # wider than the spectrum: less than half of it is there
        assert norm.cdf((nm[-1] - centre) / fwhm / SIGMA) < 1
        return
    g = norm(centre, fwhm * SIGMA).pdf
    pieces = list(pairwise(nm))
    close = [max(min(centre + k * fwhm, nm[-1]), nm[0]) for k in (-1, 0, 1)]
    total = sum(quad(g, *ends, points=close)[0] for ends in pieces)
    value = sum(quad(lambda x: g(x) * np.interp(x, nm, X[0]), *e, points=close)[0] for e in pieces)
    assert found == pytest.approx(value / total, abs=1e-6)


def test_a_spectrum_in_its_own_bands_stays_as_it_is():
    rng = np.random.default_rng(0)
    nm = np.cumsum(rng.uniform(5, 15, 50)) + 2000
    X = rng.uniform(size=(4, 50))
    found = SensorResampler(nm, fwhm=10, wavelengths=nm, source_fwhm=10).fit_transform(X)
    np.testing.assert_allclose(found, X, rtol=1e-6)
    wide = SensorResampler(nm, fwhm=10, wavelengths=nm, source_fwhm=np.full(50, 12.0))
    np.testing.assert_allclose(wide.fit_transform(X), X, rtol=1e-6)


def test_widths_add_up():
    X = np.exp(-0.5 * ((NM - 2200) / 3) ** 2)[None]
    once = SensorResampler(NM[50:-50], fwhm=15, wavelengths=NM).fit_transform(X)
    first = SensorResampler(NM[20:-20], fwhm=9, wavelengths=NM).fit_transform(X)
    twice = SensorResampler(NM[50:-50], fwhm=15, source_fwhm=9, wavelengths=NM[20:-20])
    np.testing.assert_allclose(twice.fit_transform(first), once, atol=1e-3)


def test_order_units_and_doubles_of_the_source():
    X = np.sin(NM / 50)[None] + 2
    expected = SensorResampler([2100, 2300], fwhm=10, wavelengths=NM).fit_transform(X)
    for settings_ in (
        {"sensor": [2.1, 2.3], "fwhm": 0.01, "wavelengths": NM / 1000},
        {"sensor": [2.1, 2.3], "fwhm": [0.01, 0.01], "wavelengths": NM},
        {"sensor": Sensor("mine", [2100, 2300], [10, 10]), "wavelengths": NM},
    ):
        found = SensorResampler(**settings_).fit_transform(X)
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    backwards = SensorResampler([2100, 2300], fwhm=10, wavelengths=NM[::-1])
    np.testing.assert_allclose(backwards.fit_transform(X[:, ::-1]), expected, rtol=1e-12)
    as_stored = SensorResampler([2300, 2100], fwhm=10, wavelengths=NM).fit_transform(X)
    np.testing.assert_allclose(as_stored, expected[:, ::-1], rtol=1e-12)


def test_gaps_are_left_out_until_they_are_the_most():
    X = np.full((3, len(NM)), 0.4)
    X[1, NM == 2200] = np.nan
    X[2, np.abs(NM - 2200) < 20] = np.nan
    X[1, NM == 2100] = np.inf
    found = SensorResampler([2100, 2200, 2300], fwhm=10, wavelengths=NM).fit_transform(X)
    np.testing.assert_allclose(found[:2], 0.4)
    np.testing.assert_array_equal(np.isnan(found[2]), [False, True, False])
    masked = np.ma.masked_invalid(X)
    again = SensorResampler([2100, 2200, 2300], fwhm=10, wavelengths=NM).fit_transform(masked)
    np.testing.assert_array_equal(found, again)


def test_bands_beyond_the_spectrum():
    X = np.full((2, len(NM)), 0.4)
    with pytest.raises(
        ValueError, match=r"reach from 2000 to 2400 nm and do not cover 2 of the 3 "
    ):
        SensorResampler([1500, 2200, 2401], fwhm=10, wavelengths=NM).fit(X)
    resampler = SensorResampler([1500, 2200, 2400], fwhm=10, wavelengths=NM, on_missing="nan")
    found = resampler.fit_transform(X)
    np.testing.assert_allclose(found, [[np.nan, 0.4, 0.4]] * 2)
    np.testing.assert_allclose(resampler.coverage_, [0, 1, 0.5], atol=1e-9)
    with pytest.raises(ValueError, match="1 of the 1 bands"):
        SensorResampler([1500], fwhm=10, wavelengths=NM, on_missing="nan").fit(X)


def test_names_lead_to_the_next_step():
    X = pd.DataFrame(np.full((2, len(NM)), 0.4), columns=[f"R{nm:g}" for nm in NM])
    resampler = SensorResampler([2100, 2200.5, 2300], fwhm=10).set_output(transform="pandas")
    found = resampler.fit_transform(X)
    assert list(found.columns) == ["2100nm", "2200.5nm", "2300nm"]
    np.testing.assert_allclose(ContinuumRemoval().fit(found).wavelengths_, [2100, 2200.5, 2300])


def test_width_is_guessed_aloud():
    with pytest.warns(UserWarning, match=r"gives no fwhm.*Pass fwhm="):
        found = SensorResampler([2100, 2110, 2130], wavelengths=NM).fit(np.ones((1, len(NM))))
    np.testing.assert_allclose(found.fwhm_, [10, 15, 20])
    with pytest.warns(UserWarning, match="gives no fwhm"):  # two spectrometers that overlap
        found.set_params(sensor=[2100, 2110, 2120, 2105, 2115, 2125]).fit(np.ones((1, len(NM))))
    np.testing.assert_allclose(found.fwhm_, 10)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"sensor": "hubble"}, "'sensor' parameter of SensorResampler must be"),
        ({"sensor": "emit", "fwhm": 8.0}, "EMIT has widths of its own"),
        ({"sensor": [2200]}, "pass fwhm="),
        ({"sensor": [2100, 2200], "fwhm": [5, 0]}, "must be positive and finite"),
        (
            {"sensor": [2100, 2200], "fwhm": 5, "source_fwhm": [1, 2]},
            "one width for each of the 401",
        ),
        ({"sensor": [2100, 2200], "fwhm": 5, "source_fwhm": [np.nan] * 401}, "must be finite"),
    ],
)
def test_impossible_wishes_are_named(settings_, message):
    with pytest.raises(ValueError, match=message):
        SensorResampler(**settings_, wavelengths=NM).fit(np.ones((1, len(NM))))
    with pytest.raises(ValueError, match="one value per band"):
        Sensor("odd", [1, 2], [1])


@pytest.mark.parametrize("name", SENSORS)
def test_sensors_are_imaging_spectrometers(name):
    sensor = SENSORS[name]
    assert 100 < len(sensor.wavelengths) < 500
    assert 350 < sensor.wavelengths.min() < 460
    assert 990 < sensor.wavelengths.max() < 2600
    assert not sensor.wavelengths.flags.writeable
    assert ((sensor.fwhm > 3) & (sensor.fwhm < 20)).all()


def test_aviris_is_near_its_calibration_of_1995(data_home):
    published = fetch_usgs_splib(data_home=data_home)
    sensor = SENSORS["aviris"]
    np.testing.assert_allclose(sensor.wavelengths, published.wavelengths, atol=1.3)
    np.testing.assert_allclose(sensor.fwhm, published.fwhm, atol=0.4)


def test_the_usgs_convolves_to_aviris_in_the_same_way(data_home):
    """The embedded table has boxes of 11 nm, as blurred as a Gaussian of 7.5 nm.

    On the 1 nm table that it was made from, 23 of 29 records differ by 0.0012 at most, 24 by 0.002.
    """
    published, table = fetch_usgs_splib(data_home=data_home), load_usgs_minerals()
    bands = (published.wavelengths > 1650) & (published.wavelengths < 2470)
    aviris = Sensor("AVIRIS 1995", published.wavelengths[bands], published.fwhm[bands])
    resampler = SensorResampler(aviris, wavelengths=table.wavelengths, source_fwhm=7.5)
    of_name = dict(zip(_plain(published.spectrum_names), published.data, strict=True))
    differences = [
        np.abs(of_name[name][bands] - resampler.fit_transform(record[None])[0]).max()
        for record, name in zip(table.data, _plain(table.spectrum_names), strict=True)
        if name in of_name
    ]
    assert len(differences) > 5
    assert np.median(differences) < 0.005
    assert max(differences) < 0.015  # where kaolinite is steepest


def _plain(names):
    return [" ".join(name.replace("_", " ").split()) for name in names]


def test_a_failed_fit_leaves_the_old_bands():
    resampler = SensorResampler([2100, 2200], fwhm=10, wavelengths=NM).fit(np.ones((1, len(NM))))
    with pytest.raises(ValueError, match="one value for each of the 3 bands"):
        resampler.fit(np.ones((1, 3)))
    np.testing.assert_allclose(resampler.transform(np.ones((1, len(NM)))), 1)
