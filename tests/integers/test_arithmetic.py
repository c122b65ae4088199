"""The one rounding, and what it gives on numbers small enough to do by hand."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_capoz.integers._arithmetic import (
    MAX_SHIFT,
    as_multipliers,
    requantize,
    round_half_away,
    short_ratios,
)


def test_halves_go_away_from_zero():
    values = np.array([-2.5, -1.5, -0.5, -0.4, 0.4, 0.5, 1.5, 2.5])
    np.testing.assert_array_equal(round_half_away(values), [-3, -2, -1, 0, 0, 1, 2, 3])


def test_rescaling_by_hand():
    """3/8 of each number."""
    accumulators = np.array([-4, -3, -1, 0, 1, 3, 4, 1000])
    found = requantize(accumulators, np.int16([3]), np.uint8([3]))
    np.testing.assert_array_equal(found, [-2, -1, 0, 0, 0, 1, 2, 375])


@given(
    st.integers(-(2**31) + 1, 2**31 - 1),
    st.integers(0, 2**15 - 1),
    st.integers(1, MAX_SHIFT),
)
def test_rescaling_is_the_exact_quotient_rounded(accumulator, multiplier, shift):
    exact = Fraction(accumulator * multiplier, 2**shift)
    rounded = int(abs(exact) + Fraction(1, 2)) * (1 if exact >= 0 else -1)
    found = requantize(np.int32([accumulator]), np.int16([multiplier]), np.uint8([shift]))
    assert found.item() == rounded


@pytest.mark.parametrize("shift", range(1, MAX_SHIFT + 1))
def test_rescaling_next_to_every_half(shift):
    """Products as near to a half, and to the next whole number, as 31 and 15 bits come."""
    multipliers = [1, 3, 2**14, 2**14 + 1, 2**15 - 1]
    for multiplier in multipliers:
        halves = [(2 * k + 1) * 2 ** (shift - 1) // multiplier for k in (0, 1, 2, 127, 2**20)]
        ends = [2**31 - 1, 2**30, *halves]
        sums = np.array([n for end in ends for n in range(end - 2, end + 3) if 0 <= n < 2**31])
        sums = np.append(sums, -sums)
        expected = [
            (abs(int(n)) * multiplier + 2 ** (shift - 1)) // 2**shift * (1 if n >= 0 else -1)
            for n in sums
        ]
        found = requantize(sums, np.int16([multiplier]), np.uint8([shift]))
        np.testing.assert_array_equal(found, expected)


@given(st.floats(2.0**-46, 2.0**13))
def test_multipliers_are_right_to_fifteen_bits(ratio):
    multipliers, shifts = as_multipliers(np.array([ratio]))
    assert 1 <= shifts[0] <= MAX_SHIFT
    assert multipliers[0] / 2.0 ** shifts[0] == pytest.approx(ratio, rel=2.0**-15)


def test_a_ratio_that_rounds_up_to_a_power_of_two():
    multipliers, shifts = as_multipliers(np.array([1 - 2.0**-20, 0.0, 2.0**-80]))
    np.testing.assert_array_equal(multipliers, [2**14, 0, 0])
    assert shifts[0] == 14


@given(st.floats(2**-40, 2**12))
def test_short_ratios_end_in_zeros_and_are_next_below(ratio):
    short = short_ratios(np.array([ratio]))
    assert ratio * (1 - 2**-4) < short[0] <= ratio
    multipliers, shifts = as_multipliers(short)
    assert multipliers[0] % 2**10 == 0
    assert np.ldexp(float(multipliers[0]), -int(shifts[0])) == short[0]
