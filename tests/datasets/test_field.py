"""Field spectra: each step by itself, balance, groups, and seeds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_capoz.datasets import SHIFTS, FieldShift, load_usgs_minerals, make_field_spectra
from sklearn_capoz.datasets._field_air import gas_shape, noise_curve
from sklearn_capoz.datasets._field_steps import dilute, draw_records, mix, observe, regrain
from sklearn_capoz.spectral import ContinuumRemoval, SpectralMatcher

TABLE = load_usgs_minerals()
BANDS = (TABLE.wavelengths >= 2000) & (TABLE.wavelengths < 2500)
NM = TABLE.wavelengths[BANDS]
X = TABLE.data[:, BANDS]
Y = TABLE.target_names[TABLE.target]


def make(**settings_):
    return make_field_spectra(X, Y, **{"wavelengths": NM, "n_samples": 270, **settings_})


@pytest.mark.parametrize("shift", [*SHIFTS, FieldShift()])
def test_classes_have_as_many_each(shift):
    found, y, groups = make(shift=shift, random_state=0)
    assert found.shape == (270, 50)
    assert np.unique(y, return_counts=True)[1].tolist() == [10] * 27
    np.testing.assert_array_equal(Y[groups], y)
    assert np.isfinite(found).all()
    assert ((found > 0) & (found < 1.5)).mean() > 0.99


@given(st.integers(1, 100))
@settings(max_examples=20, deadline=None)
def test_any_number_differs_by_one_at_most(n):
    y = np.array(list("aabbbc"))
    rows = draw_records(y, np.arange(6), n, np.random.RandomState(0))
    counts = [(y[rows] == label).sum() for label in "abc"]
    assert sum(counts) == n
    assert max(counts) - min(counts) <= 1


def test_samples_weigh_the_same_however_often_they_were_measured():
    y, groups = np.array(["a"] * 10), np.array([0] * 9 + [1])
    rows = draw_records(y, groups, 2000, np.random.RandomState(0))
    assert (rows == 9).mean() == pytest.approx(0.5, abs=0.05)


def test_without_shift_the_records_come_back():
    found, _, rows = make(shift=FieldShift(), random_state=0)
    np.testing.assert_allclose(found, X[rows], rtol=1e-12)
    _, _, groups = make(shift=FieldShift(), groups=[f"g{i}" for i in range(36)], random_state=0)
    assert set(groups) <= {f"g{i}" for i in range(36)}
    single = make_field_spectra(X.astype(np.float32), Y, wavelengths=NM / 1000, n_samples=27)[0]
    assert single.dtype == np.float32


def test_the_farther_the_harder():
    matcher = SpectralMatcher(wavelengths=NM).fit(X, Y)
    scores = []
    for shift in SHIFTS.values():
        found, y, _ = make(shift=shift, n_samples=1350, random_state=0)
        scores.append((matcher.predict(found) == y).mean())
    assert scores == sorted(scores, reverse=True)
    assert 0.1 < scores[-1] < scores[0] < 1


def test_seeds():
    before = np.random.get_state()[1].copy()
    one, again = make(random_state=3), make(random_state=3)
    for first, second in zip(one, again, strict=True):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(one[0], make(random_state=4)[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_mixtures_worked_by_hand():
    rng = np.random.RandomState(0)
    first, second = np.full((500, 1), 0.8), np.full((500, 1), 0.2)
    patches = mix(first, second, 0.5, rng)
    part = (0.8 - patches) / 0.6
    assert 0 <= part.min() < 0.01
    assert 0.49 < part.max() <= 0.5
    # Grains: at 0.8 the albedo is 1 - (0.2 / 1.8)^2, at 0.2 it is 1 - (0.8 / 1.2)^2.
    rng = np.random.RandomState(0)
    grains = mix(first, second, 0.5, rng, intimate=1)
    gamma_squared = (1 - part) * (0.2 / 1.8) ** 2 + part * (0.8 / 1.2) ** 2
    gamma = np.sqrt(gamma_squared)
    np.testing.assert_allclose(grains, (1 - gamma) / (1 + gamma))
    assert (grains <= patches + 1e-12).all()  # the dark one shows more than its part


def test_larger_grains_are_darker_and_none_changes_nothing():
    rng = np.random.RandomState(0)
    np.testing.assert_allclose(regrain(X, 0, rng), X, atol=1e-5)
    changed = regrain(X, 0.5, rng)
    darker = changed.mean(axis=1) < X.mean(axis=1)
    np.testing.assert_array_equal(changed < X, np.repeat(darker[:, None], 50, axis=1))


def test_depth_is_a_power_of_the_hull_quotient():
    found = dilute(X, NM, X[:1], FieldShift(depth=0.5), np.random.RandomState(0))
    ratio = found / X
    quotient = ContinuumRemoval(NM).fit_transform(X)
    deep = quotient < 0.99
    powers = np.where(deep, np.log(ratio) / np.log(np.where(deep, quotient, 0.5)), np.nan)
    spread = np.nanmax(powers, axis=1) - np.nanmin(powers, axis=1)
    assert np.nanmax(spread) < 1e-9
    assert np.nanmin(powers) >= -0.5
    assert np.nanmax(powers) <= 0.5


@pytest.mark.parametrize(
    ("settings_", "check"),
    [
        ({"shade": 0.5}, lambda q: np.ptp(q, axis=1).max() < 1e-12 and 0.5 <= q.min() < 0.6),
        ({"tilt": 0.3}, lambda q: np.abs(np.diff(q, 2, axis=1)).max() < 1e-12),
        (
            {"noise": 0.01},
            lambda q: 0.009 < ((q - 1) / noise_curve(NM, np.full(50, 10.0))).std() < 0.0125,
        ),
        ({"gain": 0.01}, lambda q: 0.009 < q.std() < 0.011),
        ({"carbon_dioxide": 0.1}, lambda q: q[:, 0].std() > 0.02 and q[:, 20].std() < 1e-9),
        ({"water": 0.1}, lambda q: 0.08 < q[:, -2].std() < 0.15 and q[:, 20].std() < 1e-3),
        ({"oxygen": 0.1}, lambda q: q.std() < 1e-9),
    ],
)
def test_each_step_does_what_it_says(settings_, check):
    flat = np.ones((2000, 50))
    assert check(observe(flat, NM, FieldShift(**settings_), np.random.RandomState(0)))


def test_wavelength_errors_move_bands():
    line = np.tile(NM / 5000, (300, 1))
    moved = observe(line, NM, FieldShift(band_error=2), np.random.RandomState(0)) * 5000 - NM
    inner = moved[:, 1:-1]
    assert np.ptp(inner, axis=1).max() < 1e-9
    assert np.abs(inner).max() == pytest.approx(2, abs=0.05)


def test_one_scene_shares_its_air():
    flat, shift = np.ones((5, 50)), FieldShift(carbon_dioxide=0.1, gain=0.01, one_scene=True)
    assert np.ptp(observe(flat, NM, shift, np.random.RandomState(0)), axis=0).max() == 0


def test_gases_lie_where_they_do():
    nm = np.arange(400.0, 2501)
    for gas, centre in (("oxygen", 761), ("water", 1380), ("carbon_dioxide", 2005)):
        shape = gas_shape(gas, nm, np.full(len(nm), 1.0)).sum(axis=0)
        near = np.abs(nm - centre) < 50
        assert nm[near][shape[near].argmax()] == pytest.approx(centre, abs=1)
    narrow, wide = (gas_shape("oxygen", nm, np.full(len(nm), w)) for w in (1.0, 20.0))
    np.testing.assert_allclose(narrow.sum(), wide.sum(), rtol=1e-3)  # the area stays
    curve = noise_curve(nm, np.full(len(nm), 10.0))
    assert curve[nm == 2200] == pytest.approx(1, abs=0.02)
    assert curve[nm == 1380] > 3 * curve[nm == 1250]


def test_background_and_one_class():
    soil = np.full((1, 50), 0.3)
    found, _, _ = make(background=soil, shift=FieldShift(dilution=1), random_state=0)
    pure = X[make(background=soil, shift=FieldShift(), random_state=0)[2]]
    unlike = np.abs(pure - 0.3) > 0.05
    part = np.where(unlike, (found - pure) / np.where(unlike, 0.3 - pure, 1), np.nan)[unlike.any(1)]
    assert (np.nanmax(part, axis=1) - np.nanmin(part, axis=1)).max() < 1e-9
    assert 0.9 < np.nanmax(part) <= 1
    found, y, _ = make_field_spectra(X[:1], ["Alunite"], wavelengths=NM, n_samples=5)
    assert set(y) == {"Alunite"}


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"shift": "huge"}, r"one of \['middle', 'mild', 'strong'\] or a FieldShift, got 'huge'"),
        ({"n_samples": 0}, "n_samples must be a whole number >= 1, got 0"),
        ({"wavelengths": NM[::-1]}, "must be ascending"),
        ({"wavelengths": NM[:5]}, "one value for each of the 50 bands"),
        ({"fwhm": -1}, "fwhm must be one positive width"),
        ({"background": X[:, :5]}, "background has 5 bands, and X has 50"),
        ({"background": 100 * X}, "background holds values up to .* in percent"),
        ({"groups": [1, 2]}, "inconsistent numbers of samples"),
    ],
)
def test_impossible_wishes_are_named(settings_, message):
    with pytest.raises(ValueError, match=message):
        make(**settings_)


def test_impossible_libraries_and_shifts_are_named():
    with pytest.raises(ValueError, match=r"X holds values up to .* in percent"):
        make_field_spectra(100 * X, Y, wavelengths=NM)
    with pytest.raises(ValueError, match="contains NaN"):
        make_field_spectra(np.full_like(X, np.nan), Y, wavelengths=NM)
    with pytest.raises(
        ValueError, match=r"mixing of a FieldShift must be from 0 to 0\.5, got 0\.6"
    ):
        replace(SHIFTS["mild"], mixing=0.6)
