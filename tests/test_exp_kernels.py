"""Exponentials as vector code: right to rounding, and right at the ends."""

import numpy as np
import pytest
from numba import njit

from sklearn_capoz import _exp_kernels
from sklearn_capoz._compile import kernel


def over_array(function):
    """Compile a loop over an array, as all uses are."""

    @kernel(fastmath={"contract"})
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    def call(x):
        out = np.empty_like(x)
        loop(x, out)
        return out

    return call


exp, tanh, logistic = map(over_array, (_exp_kernels.exp, _exp_kernels.tanh, _exp_kernels.logistic))
KINDS = pytest.mark.parametrize("kind", [np.float32, np.float64])


@KINDS
@pytest.mark.parametrize(
    ("function", "exact", "low", "high"),
    [
        (exp, np.exp, -87, 0),
        (exp, np.exp, -1e-3, 0),
        (tanh, np.tanh, -25, 25),
        (tanh, np.tanh, -1e-6, 1e-6),
        (logistic, lambda x: 1 / (1 + np.exp(-x)), -86, 86),
    ],
)
def test_right_to_rounding(kind, function, exact, low, high):
    x = np.linspace(low, high, 20_001).astype(kind)
    expected = exact(x.astype(np.longdouble))
    np.testing.assert_allclose(function(x), expected, rtol=2 * np.finfo(kind).eps, atol=0)


@KINDS
def test_worked_by_hand(kind):
    half, third = np.log([0.5, 1 / 3]).astype(kind)
    close = {"rtol": 2 * np.finfo(kind).eps}
    np.testing.assert_allclose(exp(np.array([half, third])), [1 / 2, 1 / 3], **close)
    np.testing.assert_allclose(logistic(np.array([half, -half])), [1 / 3, 2 / 3], **close)
    np.testing.assert_allclose(tanh(np.array([half, -third])), [-3 / 5, 4 / 5], **close)


@KINDS
def test_at_the_ends(kind):
    huge = np.finfo(kind).max
    np.testing.assert_array_equal(exp(np.array([0, -huge, -np.inf], kind)), [1, 0, 0])
    ends = np.array([-np.inf, -huge, 0, huge, np.inf], kind)
    np.testing.assert_array_equal(tanh(ends), [-1, -1, 0, 1, 1])
    np.testing.assert_array_equal(logistic(ends), [0, 0, 0.5, 1, 1])
    for function in (exp, tanh, logistic):
        assert np.isnan(function(np.array([np.nan], kind))).all()


@KINDS
def test_what_is_below_the_normal_numbers_is_zero(kind):
    least = np.log(np.finfo(kind).tiny)
    found = exp(np.array([np.ceil(least), np.floor(least) - 1], kind))
    assert found[0] > 0
    assert found[1] == 0


def test_no_call_is_left():
    """A call of the C library for each number would keep the loop from being vector code."""

    @njit  # what comes from the cache cannot be looked at
    def loop(x):
        for i in range(x.size):
            x[i] = _exp_kernels.tanh(_exp_kernels.logistic(_exp_kernels.exp(x[i])))

    loop(np.zeros(3))
    code = "".join(loop.inspect_llvm().values())
    assert "@exp" not in code
    assert "@llvm.exp" not in code
    assert "@tanh" not in code
