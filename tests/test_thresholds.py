"""Threshold rules: by hand, by contract and by properties over many magnitudes."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone

from sklearn_capoz._sklearn import InvalidParameterError
from sklearn_capoz.thresholds import (
    THRESHOLDS,
    Count,
    FixedValue,
    Fraction,
    MeanStd,
    Percentile,
    ThresholdRule,
    check_threshold,
)

# The C-APoZ paper's layers have 30 units; wider ones and single units matter as well.
SCORES = arrays(
    np.float64,
    st.integers(1, 40),
    elements=st.floats(-1e150, 1e150) | st.floats(-1, 1) | st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
#: A value and neighbours a few roundings away.
NEAR_EQUAL = st.builds(
    lambda value, steps: value + np.spacing(value) * np.array(steps, dtype=float),
    st.floats(1e-300, 1e150),
    st.lists(st.integers(0, 3), min_size=1, max_size=40),
)
TINY = st.builds(
    lambda unit, counts: unit * np.array(counts, dtype=float),
    st.sampled_from([5e-324, 1e-310, 1e-200, 1e-160]),
    st.lists(st.integers(0, 3), min_size=1, max_size=20),
)
ANY_SCORES = SCORES | NEAR_EQUAL | TINY


@pytest.mark.parametrize(
    ("rule", "scores", "keep", "threshold"),
    [
        # mean 0.4, population std sqrt(0.125)
        (MeanStd(), [0.1, 0.2, 0.3, 1.0], [1, 1, 1, 0], 0.4 + np.sqrt(0.125)),
        (MeanStd(k=0), [0.1, 0.2, 0.3, 1.0], [1, 1, 1, 0], 0.4),
        (MeanStd(k=2), [0.1, 0.2, 0.3, 1.0], [1, 1, 1, 1], 0.4 + 2 * np.sqrt(0.125)),
        # Half at 0 and half at 1: mean + std is 1 itself, and strictly more is needed.
        (MeanStd(), [0, 1, 0, 1], [1, 1, 1, 1], 1.0),
        # Three of four at the top: mean 0.75, std sqrt(3) / 4.
        (MeanStd(), [0, 1, 1, 1], [1, 1, 1, 1], 0.75 + np.sqrt(3) / 4),
        (Percentile(50), [0.1, 0.2, 0.3, 1.0], [1, 1, 0, 0], 0.25),
        (Percentile(25), [4, 1, 3, 2], [0, 1, 1, 1], 3.25),
        (Percentile(0), [4, 1, 3, 2], [1, 1, 1, 1], 4.0),
        (Percentile(50), [1, 2, 2, 2], [1, 1, 1, 1], 2.0),
        (FixedValue(0.3), [0.1, 0.2, 0.3, 1.0], [1, 1, 1, 0], 0.3),
        (FixedValue(2), [0.1, 0.2, 0.3, 1.0], [1, 1, 1, 1], 2.0),
        (Fraction(0.5), [0.1, 0.2, 0.3, 1.0], [1, 1, 0, 0], np.nan),
        (Fraction(0.49), [0.1, 0.2, 0.3, 1.0], [1, 1, 1, 0], np.nan),
        (Fraction(0.01), [0.1, 0.2, 0.3, 1.0], [1, 1, 1, 0], np.nan),
        (Fraction(0), [0.1, 0.2, 0.3, 1.0], [1, 1, 1, 1], np.nan),
        (Count(3), [0.1, 0.2, 0.3, 1.0], [1, 0, 0, 0], np.nan),
        (Count(0), [0.1, 0.2, 0.3, 1.0], [1, 1, 1, 1], np.nan),
    ],
)
def test_by_hand(rule, scores, keep, threshold):
    decision = rule.decide(scores)
    np.testing.assert_array_equal(decision.keep, np.array(keep, dtype=bool))
    assert decision.keep.dtype == bool
    assert decision.threshold == pytest.approx(threshold, nan_ok=True)


@pytest.mark.parametrize(
    ("rule", "keep", "threshold"),
    [
        # mean 1.1, squared distances 1, 0.01, 0.04 and 0.81
        (MeanStd(), [0, 1, 1, 1], 1.1 - np.sqrt(1.86 / 4)),
        (Percentile(25), [0, 1, 1, 1], 0.775),
        (FixedValue(1.0), [0, 1, 1, 1], 1.0),
        (Fraction(0.5), [0, 0, 1, 1], np.nan),
        (Count(1), [0, 1, 1, 1], np.nan),
    ],
)
def test_low_scores_go_where_the_criterion_says_so(rule, keep, threshold):
    scores = [0.1, 1.0, 1.3, 2.0]
    decision = rule.decide(scores, prune_high=False)
    np.testing.assert_array_equal(decision.keep, np.array(keep, dtype=bool))
    assert decision.threshold == pytest.approx(threshold, nan_ok=True)


@pytest.mark.parametrize("prune_high", [True, False])
def test_ties_go_by_index(prune_high):
    """Of equal units the lower index goes first."""
    np.testing.assert_array_equal(
        Count(2).decide([0.5, 0.5, 0.5, 0.5], prune_high=prune_high).keep, [0, 0, 1, 1]
    )
    scores = np.array([0.3, 0.9, 0.9, 0.3, 0.9])
    np.testing.assert_array_equal(
        Count(2).decide(scores if prune_high else -scores, prune_high=prune_high).keep,
        [1, 0, 0, 1, 1],
    )
    np.testing.assert_array_equal(
        Fraction(0.2).decide(scores if prune_high else -scores, prune_high=prune_high).keep,
        [1, 0, 1, 1, 1],
    )


@pytest.mark.parametrize(
    ("rule", "min_units", "keep"),
    [
        (Count(4), 1, [1, 0, 0, 0]),
        (Count(99), 1, [1, 0, 0, 0]),
        (Count(3), 2, [1, 1, 0, 0]),
        (Fraction(1), 1, [1, 0, 0, 0]),
        (FixedValue(-1), 1, [1, 0, 0, 0]),
        (FixedValue(-1), 3, [1, 1, 1, 0]),
        (FixedValue(-1), 4, [1, 1, 1, 1]),
        (FixedValue(-1), 9, [1, 1, 1, 1]),
        (Percentile(100), 1, [1, 0, 0, 0]),
        (MeanStd(), 4, [1, 1, 1, 1]),
    ],
)
def test_the_least_redundant_stay_up_to_min_units(rule, min_units, keep):
    decision = rule.decide([0.1, 0.2, 0.3, 1.0], min_units=min_units)
    np.testing.assert_array_equal(decision.keep, np.array(keep, dtype=bool))


def test_ties_above_a_threshold_go_by_index_too():
    np.testing.assert_array_equal(FixedValue(0).decide([2, 2, 2], min_units=2).keep, [0, 1, 1])


@pytest.mark.parametrize("rule", [MeanStd(), MeanStd(0), Percentile(), Percentile(90)])
@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 0.7, 1e-300, -2.7e9])
@pytest.mark.parametrize("n_units", [1, 2, 3, 7, 30])
@pytest.mark.parametrize("prune_high", [True, False])
def test_equal_scores_prune_nothing(rule, value, n_units, prune_high):
    decision = rule.decide(np.full(n_units, value), prune_high=prune_high)
    assert decision.keep.all()
    assert decision.threshold == pytest.approx(value, rel=1e-12)


@given(ANY_SCORES, st.floats(1, 5), st.booleans())
def test_mean_and_std_never_take_more_than_half(scores, k, prune_high):
    keep = MeanStd(k).decide(scores, prune_high=prune_high).keep
    assert (~keep).sum() <= scores.size / 2


@given(ANY_SCORES)
def test_mean_and_std_agree_with_exact_arithmetic(scores):
    """A score v is pruned where n v > sum and (n v - sum)^2 > n sum of squares - sum^2."""
    ratios = [float(score).as_integer_ratio() for score in scores]
    values = [numerator * 2**1074 // denominator for numerator, denominator in ratios]
    total, squares, n = sum(values), sum(v * v for v in values), len(values)
    variance = n * squares - total**2
    margin = [n * v - total for v in values]
    pruned = ~MeanStd().decide(scores).keep
    for m, is_pruned in zip(margin, pruned, strict=True):
        # Within a rounding of the threshold either answer is right.
        if m > 0 and abs(m * m - variance) * 10**9 > max(variance, m * m):
            assert is_pruned == (m * m > variance)
        elif m <= 0:
            assert not is_pruned


@given(ANY_SCORES, st.floats(0, 1), st.booleans())
def test_a_fraction_is_exact(scores, fraction, prune_high):
    n_pruned = (~Fraction(fraction).decide(scores, prune_high=prune_high).keep).sum()
    exact = fraction * scores.size
    assert n_pruned == min(max(int(exact + 1e-9), fraction > 0), scores.size - 1)


@given(st.integers(1, 300), st.integers(0, 300))
def test_hundredths_are_taken_at_their_word(n_units, hundredths):
    """0.29 * 100 is 28.999999999999996 in floating point; 29 units are asked for."""
    fraction = min(hundredths, 100) / 100
    n_pruned = (~Fraction(fraction).decide(np.arange(n_units)).keep).sum()
    asked = min(hundredths, 100) * n_units // 100
    assert n_pruned == min(max(asked, fraction > 0), n_units - 1)


@given(ANY_SCORES, st.integers(0, 50), st.integers(1, 10), st.booleans())
def test_a_count_is_exact_and_takes_the_most_redundant(scores, count, min_units, prune_high):
    keep = Count(count).decide(scores, prune_high=prune_high, min_units=min_units).keep
    assert (~keep).sum() == min(count, max(scores.size - min_units, 0))
    redundancy = scores if prune_high else -scores
    if 0 < keep.sum() < scores.size:
        assert redundancy[keep].max() <= redundancy[~keep].min()


@given(st.integers(2, 60), st.integers(0, 100))
def test_a_percentile_of_distinct_scores_takes_its_share(n_units, p):
    """The units strictly above the percentile's place among n - 1 steps."""
    n_pruned = (~Percentile(p).decide(np.arange(n_units)).keep).sum()
    place, beyond = divmod((100 - p) * (n_units - 1), 100)
    # Where the percentile falls on a unit, rounding decides whether that one ties with it.
    assert n_pruned - (n_units - 1 - place) in ({0} if beyond else {0, 1})


every_rule = pytest.mark.parametrize(
    "rule", [*(kind() for kind in THRESHOLDS.values()), MeanStd(3.0), FixedValue(-1e300)]
)


@every_rule
@given(scores=ANY_SCORES, prune_high=st.booleans(), min_units=st.integers(1, 5))
def test_contract(rule, scores, prune_high, min_units):
    before = scores.copy()
    decision = rule.decide(scores, prune_high=prune_high, min_units=min_units)
    np.testing.assert_array_equal(scores, before)
    assert decision.keep.shape == scores.shape
    assert decision.keep.dtype == bool
    assert decision.keep.sum() >= min(min_units, scores.size)
    assert isinstance(float(decision.threshold), float)
    mirrored = rule if not isinstance(rule, FixedValue) else FixedValue(-rule.value)
    other = mirrored.decide(-scores, prune_high=not prune_high, min_units=min_units)
    np.testing.assert_array_equal(other.keep, decision.keep)


@every_rule
@given(scores=ANY_SCORES, prune_high=st.booleans())
def test_pruned_units_are_never_less_redundant_than_kept_ones(rule, scores, prune_high):
    keep = rule.decide(scores, prune_high=prune_high).keep
    redundancy = scores if prune_high else -scores
    if not keep.all():
        assert redundancy[keep].max() <= redundancy[~keep].min()


@every_rule
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_an_error(rule, bad):
    message = rf"{type(rule).__name__} needs finite scores, got \[ ?0.5 .*\]\.$"
    with pytest.raises(ValueError, match=message):
        rule.decide([0.5, bad, 0.1])


@every_rule
@pytest.mark.parametrize("bad", [[], 0.5, [[0.1, 0.9]], np.zeros((14, 1))])
def test_scores_that_are_not_one_per_unit_are_an_error(rule, bad):
    message = re.escape(f"{type(rule).__name__} needs one score per unit, an array of shape (n_u")
    with pytest.raises(ValueError, match=message + re.escape(f"nits,), got shape {np.shape(bad)}")):
        rule.decide(bad)


@every_rule
def test_names_and_objects(rule):
    assert check_threshold(rule) is rule
    assert clone(rule).get_params() == rule.get_params()
    for name, kind in THRESHOLDS.items():
        assert isinstance(check_threshold(name), kind)


@pytest.mark.parametrize(
    ("given_rule", "error", "message"),
    [
        ("mean", InvalidParameterError, r"threshold='mean' is not known; choose one of \['count'"),
        (0.5, TypeError, "threshold=0.5 is not known"),
        (MeanStd, TypeError, "a subclass of sklearn_capoz.thresholds.ThresholdRule, made with"),
        (MeanStd(k=-1), InvalidParameterError, "'k' parameter of MeanStd must be .* Got -1"),
        (MeanStd(k=np.nan), InvalidParameterError, "'k' parameter of MeanStd"),
        (Percentile(p=101), InvalidParameterError, "'p' parameter of Percentile"),
        (Fraction(1.5), InvalidParameterError, "'fraction' parameter of Fraction"),
        (Count(2.5), InvalidParameterError, "'count' parameter of Count"),
        (FixedValue("0.9"), InvalidParameterError, "'value' parameter of FixedValue"),
        (FixedValue(np.nan), InvalidParameterError, "'value' parameter of FixedValue"),
    ],
)
def test_what_is_no_rule_is_refused(given_rule, error, message):
    with pytest.raises(error, match=message):
        check_threshold(given_rule)
    if not isinstance(given_rule, type) and hasattr(given_rule, "decide"):
        with pytest.raises(error, match=message):
            given_rule.decide([0.1, 0.2])


class BeyondTwo(ThresholdRule):
    """A rule of the user's own: what is beyond 2 goes."""

    def prune(self, redundancy):
        return redundancy > 2, 2


def test_a_rule_of_the_users_own():
    rule = check_threshold(BeyondTwo())
    decision = rule.decide([1, 2, 3, 4])
    assert decision.keep.tolist() == [True, True, False, False]
    assert decision.threshold == 2.0
    assert isinstance(decision.threshold, float)
    # Low scores are redundant: the rule sees them times -1, and its threshold comes back.
    decision = rule.decide([-1, -2, -3, -4], prune_high=False)
    assert decision.keep.tolist() == [True, True, False, False]
    assert decision.threshold == -2.0
    # No rule can empty a layer.
    assert rule.decide([5, 4, 6], min_units=2).keep.tolist() == [True, True, False]


def test_a_rule_is_never_told_the_side():
    """What `prune` sees are redundancies; the values of a fixed rule change their sign instead."""
    seen = []

    class Recorder(FixedValue):
        def prune(self, redundancy):
            seen.append((self.value, redundancy.tolist()))
            return super().prune(redundancy)

    rule = Recorder(0.25)
    assert rule.decide([0.1, 0.5]).keep.tolist() == [True, False]
    assert rule.decide([0.1, 0.5], prune_high=False) == (pytest.approx([False, True]), 0.25)
    assert seen == [(0.25, [0.1, 0.5]), (-0.25, [-0.1, -0.5])]
    assert rule.value == 0.25
    other = MeanStd()
    assert other.mirrored() is other


@pytest.mark.parametrize(
    "given",
    [np.array([3, 2]), np.array([0.0, 1, 1, 0]), [1, 0, 1, 0], np.ones((4, 1), dtype=bool), True],
)
def test_a_rule_that_gives_no_mask_is_an_error(given):
    class Indices(ThresholdRule):
        def prune(self, redundancy):
            return given, 0.0

    message = r"^Indices.prune must give a boolean array of shape \(4,\), True for units that go"
    with pytest.raises(ValueError, match=message):
        Indices().decide([1, 2, 3, 4])


def test_a_rule_does_not_change_the_mask_that_it_was_given():
    mask = np.ones(3, dtype=bool)

    class Stored(ThresholdRule):
        def prune(self, redundancy):
            return mask, 0.0

    assert Stored().decide([1, 2, 3]).keep.tolist() == [True, False, False]
    assert mask.all()
