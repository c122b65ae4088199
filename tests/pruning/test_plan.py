"""A plan checks what a schedule gives, which may be the user's own, before it is walked."""

import re

import numpy as np
import pytest

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.criteria import APoZ
from sklearn_capoz.pruning import PruningPlan
from sklearn_capoz.schedules import Iterative, Schedule, Step, Widths
from sklearn_capoz.thresholds import MeanStd


class Given(Schedule):
    """Steps as they are given."""

    def __init__(self, iterations):
        self.given = iterations

    def iterations(self, widths, n_iterations):
        return iter(self.given[:n_iterations])

    def __repr__(self):
        return "Given()"


def plan(schedule, n_iterations=3):
    return PruningPlan(APoZ(), MeanStd(), schedule, n_iterations)


def test_the_steps_are_listed():
    assert plan(Iterative(), 2).iterations((8, 5)) == [(Step((0,)), Step((1,)))] * 2
    assert plan(Widths((4, 3)), 1).iterations((8,)) == [(Step((0,), (4,)),)]
    assert plan(Given([[Step((1,))]])).iterations((8, 5)) == [(Step((1,)),)]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((Step((2,)),), "its groups must be different numbers from 0 to 1: the network has the wi"),
        ((Step((-1,)),), "its groups must be different numbers from 0 to 1"),
        ((Step((0,)), Step((0, 0))), "its groups must be different numbers from 0 to 1"),
        ((Step(()),), "its groups must be different numbers from 0 to 1"),
        ((Step((0, 1), (3,)),), "its units must be None, or a number for each of its groups."),
    ],
)
def test_steps_that_cannot_be_done_are_refused(steps, message):
    with pytest.raises(ValueError, match=re.escape(f"Given() gave {steps[-1]}; {message}")):
        plan(Given([(Step((0,)),), steps])).iterations((8, 5))
    plan(Given([(Step((0,)),), steps]), n_iterations=1).iterations((8, 5))  # not asked for


def test_steps_at_epochs_come_before_the_end():
    steps = [(Step((0,), at=3),), (Step((0,), at=7), Step((1,), at=np.int64(8))), (Step((0,)),)]
    assert plan(Given(steps)).iterations((8, 5)) == steps


@pytest.mark.parametrize(
    ("first", "second"),
    [("end", 3), (3, 3), (3, 2), (3, 0), (3, -1), (3, "4"), (3, 4.0), (3, None)],
)
def test_steps_out_of_the_order_of_time_are_refused(first, second):
    given = Given([(Step((0,), at=first), Step((1,), at=second))])
    message = f"regrow=0.0) after one at {first!r}; `at` must be 'end', or a whole number"
    with pytest.raises(ValueError, match=re.escape(message)):
        plan(given).iterations((8, 5))


def test_the_last_unit_of_a_layer_stays_unless_more_are_asked_for():
    assert plan(Iterative()).min_units == 1


def test_an_iteration_without_a_step_is_refused():
    with pytest.raises(ValueError, match=r"Given\(\) gave an iteration without a step"):
        plan(Given([(Step((0,)),), ()])).iterations((8, 5))


def test_it_is_refused_before_any_training():
    model = PrunedMLPClassifier((8,), schedule=Given([(Step((1,)),)]), max_iter=10**9, tol=0)
    with pytest.raises(ValueError, match="different numbers from 0 to 0"):
        model.fit(np.eye(60), np.arange(60) % 2)
