"""Made spectra: exact counts, exact mixing, and nothing left to chance but the seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_capoz.datasets import (
    CUPRITE_MINERALS,
    CUPRITE_WAVELENGTHS,
    load_usgs_minerals,
    make_mineral_spectra,
)

PAPER_TEST = [400, 240, 240, 400, 400, 400, 240]


def counts(y):
    return [int((y == mineral).sum()) for mineral in CUPRITE_MINERALS]


def test_table_1_of_the_paper_is_one_call_each():
    X, y = make_mineral_spectra(700, random_state=0)
    assert X.shape == (700, 50)
    assert counts(y) == [100] * 7
    X, y = make_mineral_spectra(PAPER_TEST, random_state=1)
    assert X.shape == (2320, 50)
    assert counts(y) == PAPER_TEST


@given(n=st.integers(1, 60))
@settings(max_examples=20, deadline=None)
def test_an_int_is_the_total_and_classes_differ_by_one_at_most(n):
    found = counts(make_mineral_spectra(n, random_state=0)[1])
    assert sum(found) == n
    assert max(found) - min(found) <= 1


def test_counts_by_name_leave_the_others_out():
    _, y = make_mineral_spectra({"Calcite": 3, "Alunite": 2}, random_state=0)
    assert sorted(y) == ["Alunite"] * 2 + ["Calcite"] * 3


def test_same_seed_same_spectra_and_the_global_generator_stays():
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    first, second = (make_mineral_spectra(30, random_state=5) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert not np.array_equal(first[0], make_mineral_spectra(30, random_state=6)[0])


def test_pure_noiseless_spectra_are_records_of_the_table_but_for_brightness():
    X, y = make_mineral_spectra(50, abundance=(1, 1), noise=0, random_state=0)
    table = load_usgs_minerals()
    library = table.data[:, np.isin(table.wavelengths, CUPRITE_WAVELENGTHS)]
    names = table.target_names[table.target]
    for x, name in zip(X, y, strict=True):
        brightness = x / library[names == name]
        record = np.ptp(brightness, axis=1).argmin()
        np.testing.assert_allclose(brightness[record], brightness[record, 0], rtol=1e-12)
        assert 0.5 <= brightness[record, 0] <= 1


def test_noise_has_the_asked_standard_deviation():
    quiet, y = make_mineral_spectra(300, noise=0, random_state=0)
    noisy, y_noisy = make_mineral_spectra(300, noise=0.02, random_state=0)
    np.testing.assert_array_equal(y, y_noisy)
    assert np.std(noisy - quiet) == pytest.approx(0.02, rel=0.03)


def test_any_grid_in_the_table_is_linear_between_its_bands():
    settings = {"n_samples": 20, "noise": 0, "random_state": 0}
    X, _ = make_mineral_spectra(wavelengths=[2200, 2205, 2210], **settings)
    np.testing.assert_allclose(X[:, 1], X[:, [0, 2]].mean(axis=1))
    X, _ = make_mineral_spectra(wavelengths=np.linspace(1300, 2500, 7), **settings)
    assert np.isfinite(X).all()


def test_other_minerals_can_be_asked_for():
    X, y = make_mineral_spectra(9, minerals=["Talc", "Gypsum"], random_state=0)
    assert X.shape == (9, 50)
    assert (y == "Talc").sum() == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"minerals": ["Calcite", "Unobtainium"]}, r"unknown \['Unobtainium'\]; known are \['Al"),
        ({"minerals": ["Calcite", "Calcite"]}, "must be different names"),
        ({"minerals": []}, "must be different names"),
        ({"n_samples": 0}, "must be a number >= 1"),
        ({"n_samples": 7.5}, "must be a number >= 1"),
        ({"n_samples": [10, 10]}, "one count >= 0 for each of the 7"),
        ({"n_samples": [1, 1, 1, 1, 1, 1, -1]}, "one count >= 0 for each of the 7"),
        ({"n_samples": {"Talc": 3}}, r"n_samples counts \['Talc'\]"),
        ({"abundance": (0.9, 0.5)}, "0 <= lowest <= highest <= 1"),
        ({"abundance": 0.5}, "0 <= lowest <= highest <= 1"),
        ({"noise": -1}, "noise must be a standard deviation"),
        ({"noise": np.nan}, "noise must be a standard deviation"),
        ({"wavelengths": [2.2, 2.3]}, "within 1300 to 2500 nm, got 2.2 to 2.3: give them in nm"),
        ({"wavelengths": [2300, 2200]}, "must be ascending"),
        ({"wavelengths": [2200, np.nan]}, "must be ascending"),
        ({"wavelengths": []}, "must be ascending"),
    ],
)
def test_impossible_wishes_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        make_mineral_spectra(**{"n_samples": 7, **settings})
