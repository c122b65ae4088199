"""Rules that look at all groups at once."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_capoz.schedules import Step
from sklearn_capoz.thresholds import Budget, Costs, Count, FixedValue, Fraction, MeanStd, OverAll

SCORES = {0: np.array([0.9, 0.8, 0.7]), 1: np.array([0.1, 0.2, 0.6, 0.65])}


def kept(decisions):
    return {group: np.flatnonzero(decision.keep).tolist() for group, decision in decisions.items()}


def test_a_rule_for_one_group_decides_on_each_by_itself():
    decisions = Count(1).decide_groups(SCORES, min_units=1)
    assert kept(decisions) == {0: [1, 2], 1: [0, 1, 2]}
    assert kept(Count(9).decide_groups(SCORES, min_units=2)) == {0: [1, 2], 1: [0, 1]}


def test_one_threshold_for_all_by_hand():
    decisions = OverAll(FixedValue(0.62)).decide_groups(SCORES)
    assert kept(decisions) == {0: [2], 1: [0, 1, 2]}  # one unit of a group always stays
    assert [decision.threshold for decision in decisions.values()] == [0.62, 0.62]
    low = OverAll(FixedValue(0.62)).decide_groups(SCORES, prune_high=False)
    assert kept(low) == {0: [0, 1, 2], 1: [3]}
    assert [decision.threshold for decision in low.values()] == [0.62, 0.62]
    assert kept(OverAll(Fraction(0.3)).decide_groups(SCORES)) == {0: [2], 1: [0, 1, 2, 3]}
    together = MeanStd().decide(np.concatenate(list(SCORES.values())))
    assert OverAll(MeanStd()).decide_groups(SCORES)[0].threshold == together.threshold


@pytest.mark.parametrize("rule", [None, "fraction", Budget(), OverAll(Fraction())])
def test_over_all_needs_a_rule_for_one_group(rule):
    with pytest.raises(TypeError, match=r"OverAll needs a rule for one group, Fraction\(0.5\)"):
        OverAll(rule).check()
    with pytest.raises(ValueError, match="'fraction' parameter of Fraction"):
        OverAll(Fraction(2)).check()


def chain(widths, n_in=5, n_out=3):
    sizes = [n_in, *widths, n_out]
    return sum(a * b for a, b in pairwise(sizes))


def costs_of(widths, progress=1.0, multiply_adds=chain):
    return Costs(tuple(widths), multiply_adds, multiply_adds(widths), progress)


def test_equally_important_units_go_where_they_cost_more():
    def unequal(widths):
        return 100 * widths[0] + widths[1]

    scores = {0: np.array([0.3, 0.2, 0.1, 0.0]), 1: np.array([0.0, 0.1, 0.2, 0.3])}
    decisions = Budget(0.51).decide_groups(scores, costs=costs_of((4, 4), 1.0, unequal))
    # Each of group 0 saves a hundred times as much.
    assert kept(decisions) == {0: [2, 3], 1: [0, 1, 2, 3]}
    assert all(np.isnan(decision.threshold) for decision in decisions.values())
    swapped = Budget(0.51).decide_groups(
        scores, costs=costs_of((4, 4), 1.0, lambda widths: unequal(widths[::-1]))
    )
    assert kept(swapped) == {0: [0, 1, 2, 3], 1: [0, 1]}


def test_low_scores_go_where_the_criterion_says_so():
    scores = {0: np.array([3.0, 1.0, 2.0])}
    for prune_high, expected in ((True, [1]), (False, [0])):
        [decision] = (
            Budget(1 / 3)
            .decide_groups(scores, prune_high=prune_high, costs=costs_of((3,)))
            .values()
        )
        assert np.flatnonzero(decision.keep).tolist() == expected


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.floats(0.05, 1),
    st.sampled_from([0.2, 0.5, 1.0]),
    st.integers(1, 3),
    st.integers(0, 2**16),
)
def test_the_goal_is_reached_and_hardly_overshot(widths, macs, progress, min_units, seed):
    random = np.random.RandomState(seed)
    scores = {i: np.round(random.uniform(size=width), 1) for i, width in enumerate(widths)}
    costs = costs_of(widths, progress)
    decisions = Budget(macs).decide_groups(scores, min_units=min_units, costs=costs)
    left = [int(decision.keep.sum()) for decision in decisions.values()]
    assert all(n >= min(min_units, width) for n, width in zip(left, widths, strict=True))
    goal = costs.dense * macs**progress
    if any(n > min_units for n in left):
        assert chain(left) <= goal
    for group, decision in decisions.items():  # in the order of their scores
        gone, stay = scores[group][~decision.keep], scores[group][decision.keep]
        assert not gone.size or gone.min() >= stay.max()
    if sum(widths) > sum(left):  # with one unit more of the last group the goal is missed
        more = [chain([n + (i == g) for i, n in enumerate(left)]) for g in range(len(left))
                if left[g] < widths[g]]  # fmt: skip
        assert max(more) > goal


def test_what_cannot_be_reached_says_how_near_it_comes():
    steps = [(Step((0, 1)),)]
    message = (
        r"Budget\(macs=0.1\) cannot be reached: with min_units=2 of each of the 2 groups of units, "
        r"0.215 of the 93 multiply-adds are left"
    )
    with pytest.raises(ValueError, match=message):
        Budget(0.1).check_plan(steps, costs_of((6, 7)), 2)
    Budget(0.22).check_plan(steps, costs_of((6, 7)), 2)


def test_a_budget_needs_all_groups_and_what_they_cost():
    with pytest.raises(ValueError, match="cuts some of them at a time; take schedule='multi-pass'"):
        Budget().check_plan([(Step((0,)), Step((1,)))], costs_of((6, 7)), 1)
    with pytest.raises(ValueError, match=r"Budget\(\) needs to know what units cost"):
        Budget().check_plan([(Step((0, 1)),)], None, 1)
    with pytest.raises(ValueError, match=r"Budget\(\) needs to know what units cost"):
        Budget().decide_groups(SCORES)
    with pytest.raises(ValueError, match="cannot decide on the scores of one alone"):
        Budget().decide([0.1, 0.2])
    for macs in (0, 1.5, "half"):
        with pytest.raises(ValueError, match="'macs' parameter of Budget"):
            Budget(macs).check()
