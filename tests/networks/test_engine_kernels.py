"""The exponentials of the compiled loss, which are our own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_capoz.networks._engine_kernels import _exp

NOT_ABOVE_0 = st.floats(-700, 0)


@settings(deadline=None)  # the first call compiles
@given(arrays(np.float64, st.integers(0, 40), elements=NOT_ABOVE_0))
def test_exponentials_are_right_to_rounding(x):
    expected = np.exp(x)
    _exp(x, np.empty_like(x))
    np.testing.assert_allclose(x, expected, rtol=4e-16)


@pytest.mark.parametrize(("value", "expected"), [(0.0, 1.0), (-1e300, 0.0), (-np.inf, 0.0)])
def test_exponentials_at_the_ends(value, expected):
    x = np.array([value])
    _exp(x, np.empty(1))
    assert x[0] == pytest.approx(expected, abs=1e-300)


def test_divergence_is_not_hidden():
    x = np.array([-1.0, np.nan, -2.0])
    _exp(x, np.empty(3))
    assert np.isnan(x).tolist() == [False, True, False]
