"""Tests of differences, by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from sklearn_capoz.model_selection import holm, paired_p, paired_tests


def table_of(n_units=9, **scores):
    """One row per method and repeat."""
    rows = [
        {"method": method, "n_units": n_units, "repeat": repeat, "score": score}
        for method, values in scores.items()
        for repeat, score in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_holm_by_hand():
    # Sorted 0.01, 0.03, 0.04 -> 0.03, 0.06, max(0.06, 0.04).
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(holm([0.9, 0.8]), [1.0, 1.0])
    assert holm([0.02]) == pytest.approx([0.02])
    assert holm([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_between_the_raw_values_and_bonferroni(p):
    p = np.array(p)
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(p.size * p, 1)).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_paired_p():
    better = np.arange(10) / 100 + 0.5
    # All ten differences have one sign: 2 of 2^10 orders of signs are as extreme.
    assert paired_p(better + np.arange(1, 11) / 1000, better) == pytest.approx(2 / 2**10)
    assert paired_p(better, better) == 1.0
    assert paired_p([0.9], [0.1]) == 1.0


def test_paired_p_sees_ties_through_rounding():
    others = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    ours = others + np.array([0.1, 0.1, -0.1, 0.1, 0.1])  # 0.3 - 0.2 is not 0.1
    assert paired_p(ours, others) == pytest.approx(wilcoxon([1, 1, -1, 1, 1]).pvalue)


def test_effect_by_hand():
    # Differences +1, +2, -3, 0 points: ranks 1 and 2 against 3 of 6, and no difference has none.
    found = paired_tests(
        table_of(a=[0.51, 0.52, 0.47, 0.5], b=[0.5] * 4), [("a", "b"), ("b", "a"), ("a", "a")]
    )
    assert found["effect"].tolist() == [0.0, 0.0, 0.0]
    found = paired_tests(table_of(a=[0.51, 0.53, 0.48], b=[0.5] * 3), [("a", "b")])
    assert found["effect"].item() == pytest.approx((1 + 3 - 2) / 6)
    assert found["difference"].item() == pytest.approx(0.02 / 3)
    assert found["n_repeats"].item() == 3


def test_repeats_are_paired_whatever_the_order_of_rows():
    table = table_of(a=[0.6, 0.7, 0.8, 0.9], b=[0.5, 0.6, 0.7, 0.8])
    shuffled = table.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(
        paired_tests(table, [("a", "b")]), paired_tests(shuffled, [("a", "b")])
    )
    assert paired_tests(shuffled, [("a", "b")])["std"].item() == pytest.approx(0)


def test_draws_of_a_repeat_are_averaged():
    table = pd.concat([table_of(a=[0.5, 0.7]), table_of(a=[0.7, 0.9]), table_of(b=[0.5, 0.5])])
    found = paired_tests(table, [("a", "b")])
    assert found["n_repeats"].item() == 2  # not four
    assert found["difference"].item() == pytest.approx(0.2)


def test_sizes_are_those_that_all_have():
    table = pd.concat(
        [
            table_of(9, a=[0.6, 0.7], b=[0.5, 0.6]),
            table_of(5, a=[0.5, 0.6]),
            table_of(4, b=[0.4, 0.5]),
        ]
    )
    assert paired_tests(table, [("a", "b")])["n_units"].tolist() == [9]
    with pytest.raises(ValueError, match=r"'b' has no network of n_units=5; it has 9, 4\."):
        paired_tests(table, [("a", "b")], sizes=[5])
    with pytest.raises(ValueError, match="No n_units is common to a, b"):
        paired_tests(table[table["n_units"] != 9], [("a", "b")])


def test_what_cannot_be_paired_is_refused():
    table = table_of(a=[0.6, 0.7], b=[0.5, 0.6])
    with pytest.raises(ValueError, match="no method 'c'; it has 'a', 'b'"):
        paired_tests(table, [("a", "c")])
    with pytest.raises(ValueError, match=r"lacks the columns \['score'\]"):
        paired_tests(table.drop(columns="score"), [("a", "b")])
    with pytest.raises(ValueError, match=r"other repeats at n_units=9.*'b' lacks 1\. Give `sizes`"):
        paired_tests(table.iloc[:-1], [("a", "b")], sizes=[9])
    with pytest.raises(ValueError, match=r"common to a, b in every repeat: 9 \(not of 'b'\)"):
        paired_tests(table.iloc[:-1], [("a", "b")])
    for pairs in ([], ("a", "b"), [("a",)]):
        with pytest.raises(ValueError, match="pairs must be such as"):
            paired_tests(table, pairs)


def test_sizes_that_one_repeat_lacks_are_left_out_with_a_warning():
    table = pd.concat([table_of(9, a=[0.6, 0.7], b=[0.5, 0.6]), table_of(5, a=[0.5, 0.6], b=[0.4])])
    with pytest.warns(
        UserWarning, match=r"n_units are left out.*: 5 \(not of 'b'\)\. Prune all to"
    ):
        found = paired_tests(table, [("a", "b")])
    assert found["n_units"].tolist() == [9]


def test_repeats_of_other_methods_do_not_matter():
    table = pd.concat([table_of(a=[0.6, 0.7], b=[0.5, 0.6]), table_of(other=[0.1, np.nan, 0.1])])
    assert paired_tests(table, [("a", "b")])["n_repeats"].item() == 2


def test_scores_that_are_no_numbers_are_refused():
    table = table_of(a=[0.6, 0.7], b=[0.5, np.nan])
    with pytest.raises(ValueError, match="'b' has the score nan in repeat 1"):
        paired_tests(table, [("a", "b")])
    for odd in (np.nan, np.inf):
        with pytest.raises(ValueError, match="NaN or infinite cannot be compared"):
            paired_p([0.5, odd], [0.4, odd])
    with pytest.raises(ValueError, match=r"arrays of shape \(3,\) and \(1,\)"):
        paired_p([0.1, 0.2, 0.3], [0.1])
    for odd in (np.nan, -0.1, 1.1):
        with pytest.raises(ValueError, match="p_values must be a list of numbers from 0 to 1"):
            holm([0.5, odd])
