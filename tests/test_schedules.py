"""Schedules: which layers, how many units, how often."""

from dataclasses import FrozenInstanceError
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from sklearn_capoz._sklearn import InvalidParameterError
from sklearn_capoz.schedules import (
    SCHEDULES,
    Gradual,
    Iterative,
    MultiPass,
    OneShot,
    Schedule,
    Step,
    Widths,
    check_schedule,
)

ALL = [*(kind() for kind in SCHEDULES.values()), Widths((9, 5)), Gradual(0.0), Gradual(0.95)]


def iterations(schedule, widths, n_iterations):
    return list(schedule.iterations(widths, n_iterations))


def test_multi_pass_takes_all_layers_each_time():
    assert iterations(MultiPass(), (30, 20), 2) == [(Step((0, 1)),), (Step((0, 1)),)]


def test_iterative_takes_one_layer_after_the_other():
    assert iterations(Iterative(), (30, 20), 2) == [(Step((0,)), Step((1,)))] * 2


def test_one_shot_goes_once():
    assert iterations(OneShot(), (30, 20), 7) == [(Step((0, 1)),)]
    assert iterations(OneShot(), (30, 20), 0) == []


def test_gradual_follows_the_cubic():
    """s_t = s - s (1 - t / n)^3 with s = 0.8, n = 4: 0.4625, 0.7, 0.7875, 0.8 of 80 units gone."""
    steps = [step for (step,) in iterations(Gradual(0.8), (80, 8), 4)]
    assert steps == [Step((0, 1), (43, 4)), Step((0, 1), (24, 2)), Step((0, 1), (17, 2)),
                     Step((0, 1), (16, 2))]  # fmt: skip


def test_gradual_follows_the_cubic_in_time():
    """From epoch 10 to 50 in four: s at 20, 30, 40, 50 as above; and none before 20."""
    steps = [step for (step,) in iterations(Gradual(0.8, (10, 50)), (80, 8), 4)]
    assert [step.at for step in steps] == [20, 30, 40, 50]
    assert [step.units for step in steps] == [(43, 4), (24, 2), (17, 2), (16, 2)]


def test_regrowth_falls_along_half_a_cosine():
    """0.4 (1 + cos(pi t / 4)) / 2 at t = 1, 2, 3, 4."""
    steps = [step for (step,) in iterations(Gradual(0.8, (10, 50), regrow=0.4), (80,), 4)]
    found = [step.regrow for step in steps]
    np.testing.assert_allclose(found, [0.34142, 0.2, 0.05858, 0], atol=1e-5)
    assert found[-1] == 0


@given(st.integers(0, 100), st.integers(1, 200), st.integers(1, 20))
def test_gradual_ends_with_its_last_epoch(begin, n_epochs, n_iterations):
    schedule = Gradual(0.5, epochs=(begin, begin + n_epochs))
    if n_epochs < n_iterations:
        with pytest.raises(ValueError, match=f"{n_epochs} epochs for {n_iterations} cuts"):
            iterations(schedule, (9,), n_iterations)
        return
    epochs = [step.at for (step,) in iterations(schedule, (9,), n_iterations)]
    gaps = np.diff([begin, *epochs])
    assert epochs[-1] == begin + n_epochs
    assert gaps.min() >= 1
    assert np.ptp(gaps) <= 1


@given(st.floats(0, 0.99), st.integers(1, 12), st.integers(1, 600))
def test_gradual_falls_ever_more_slowly_to_its_share(sparsity, n_iterations, width):
    widths = [step.units[0] for (step,) in iterations(Gradual(sparsity), (width,), n_iterations)]
    assert widths[-1] == round(width * (1 - sparsity))
    path = [width, *widths]
    cuts = [before - after for before, after in pairwise(path)]
    assert all(cut >= 0 for cut in cuts)
    # Rounding to whole units moves a cut by one at most.
    assert all(later <= earlier + 1 for earlier, later in pairwise(cuts))


def test_widths_are_those_of_the_paper_by_default():
    steps = [step for (step,) in iterations(Widths(), (30,), 7)]
    assert [step.units for step in steps] == [(22,), (17,), (13,), (11,), (9,), (7,), (5,)]


def test_widths_per_layer_and_for_all():
    steps = [step for (step,) in iterations(Widths([(9, 5), 4]), (30, 20), 5)]
    assert steps == [Step((0, 1), (9, 5)), Step((0, 1), (4, 4))]


@pytest.mark.parametrize(
    ("given_widths", "expected"),
    [
        (np.array([5, 3]), [(5, 5), (3, 3)]),
        ([[5, 3], [2, 2]], [(5, 3), (2, 2)]),
        (np.array([[5, 3], [2, 2]]), [(5, 3), (2, 2)]),
        ((np.int64(5), [3, np.int32(2)]), [(5, 5), (3, 2)]),
        (range(9, 3, -4), [(9, 9), (5, 5)]),
    ],
)
def test_widths_are_any_sequences_of_whole_numbers(given_widths, expected):
    schedule = check_schedule(Widths(given_widths))
    found = [step.units for (step,) in iterations(schedule, (30, 20), 5)]
    assert found == expected
    assert {type(width) for widths in found for width in widths} == {int}


@pytest.mark.parametrize("schedule", ALL)
@pytest.mark.parametrize("widths", [(30,), (8, 1, 5)])
def test_contract(schedule, widths):
    assert iterations(schedule, widths, 0) == []
    full = iterations(schedule, widths, 4)
    assert len(full) <= 4
    for steps in full:
        for step in steps:
            assert set(step.groups) <= set(range(len(widths)))
            assert len(set(step.groups)) == len(step.groups) > 0
            assert step.units is None or len(step.units) == len(step.groups)
    assert check_schedule(schedule) is schedule
    assert clone(schedule).get_params() == schedule.get_params()
    if not isinstance(schedule, Gradual):  # which stretches over the iterations that it has
        assert iterations(schedule, widths, 2) == full[:2]


@pytest.mark.parametrize("name", SCHEDULES)
def test_names(name):
    assert isinstance(check_schedule(name), SCHEDULES[name])


@pytest.mark.parametrize(
    ("given_schedule", "error", "message"),
    [
        ("once", InvalidParameterError, r"schedule='once' is not known; choose one of \['gradual'"),
        (7, TypeError, "an object of a subclass of sklearn_capoz.schedules.Schedule, made"),
        (Gradual(1.0), InvalidParameterError, "'sparsity' parameter of Gradual must be"),
        (Gradual(regrow=1.0), InvalidParameterError, "'regrow' parameter of Gradual must be"),
        (Gradual(epochs=(5,)), ValueError, r"must be two whole numbers .*got \(5,\)"),
        (Gradual(epochs=(5, 5)), ValueError, "must be two whole numbers"),
        (Gradual(epochs=(-1, 5)), ValueError, "must be two whole numbers"),
        (Gradual(epochs=(1, 5.5)), ValueError, "must be two whole numbers"),
        (Gradual(epochs=60), ValueError, r"epochs=\(5, 60\) for example, or None; got 60"),
        (Widths(()), ValueError, r"Widths needs whole numbers of at least 1: .*; got \(\)"),
        (Widths((5, 0)), ValueError, r"Widths needs whole numbers of at least 1: .*; got \(5, 0\)"),
        (
            Widths([(5, 3), ()]),
            ValueError,
            r"one per hidden layer, Widths\(\[\(22, 10\), \(17, 8\)\]\)",
        ),
        (Widths([[[5]]]), ValueError, "Widths needs whole numbers"),
        (Widths(np.array([5.0])), ValueError, "Widths needs whole numbers"),
        (Widths(np.array(5)), ValueError, "Widths needs whole numbers"),
        (Widths((5, 2.5)), ValueError, "Widths needs whole numbers"),
        (Widths(((5, 0), 3)), ValueError, "Widths needs whole numbers"),
        (Widths(5), ValueError, "Widths needs whole numbers of at least 1: .*; got 5"),
        (Widths("95"), ValueError, "Widths needs whole numbers of at least 1: .*; got '95'"),
    ],
)
def test_what_is_no_schedule_is_refused(given_schedule, error, message):
    with pytest.raises(error, match=message):
        check_schedule(given_schedule)


def test_widths_for_another_number_of_layers():
    with pytest.raises(ValueError, match=r"Widths names 3 layers in \(9, 5, 2\), and 2 are cut"):
        iterations(Widths([(9, 5, 2)]), (30, 20), 1)


def test_a_schedule_of_the_users_own():
    class LastLayerOnly(Schedule):
        def iterations(self, widths, n_iterations):
            for _ in range(n_iterations):
                yield (Step((len(widths) - 1,)),)

    assert iterations(check_schedule(LastLayerOnly()), (4, 3), 1) == [(Step((1,)),)]


def test_a_step_is_at_the_end_of_training_unless_said_otherwise():
    assert (Step((0,)).units, Step((0,)).at) == (None, "end")
    assert all(step.at == "end" for schedule in ALL for steps in iterations(schedule, (9,), 3)
               for step in steps)  # fmt: skip


def test_a_step_does_not_change_after_it_is_made():
    with pytest.raises(FrozenInstanceError):
        Step((0,)).groups = (1,)
