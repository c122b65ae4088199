"""Exponentials as plain arithmetic, so that a loop over them becomes vector code.

The call into the C library that `np.exp` becomes in a compiled loop would keep it from that.
exp(x) = 2^n exp(r) with |r| <= log(2) / 2, where a few terms of the series are exact to rounding;
2^n is made by writing the exponent's bits. NaN goes through. What would be below the smallest
normal number is zero.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numba.extending import overload

from ._compile import inlined

__all__ = ["exp", "logistic", "tanh"]

_LOG2_E = 1 / math.log(2)
#: log(2) in two parts, for each kind of numbers: n times the first is exact.
_LN2 = {
    np.float32: (0.693359375, -2.12194440054690583e-4),
    np.float64: (float.fromhex("0x1.62e42feep-1"), 1.90821492927058770002e-10),
}


def _reduced(kind, bits, n_digits, n_terms, least):
    """Make the function that all exponentials of one kind of numbers begin with.

    `bits` is the integer that such a number is stored in, the last `n_digits` of them its digits;
    `least` is the lowest x whose exponential is a normal number.
    """
    bias, shift = bits(2 ** (8 * kind().itemsize - n_digits - 2) - 1), bits(n_digits)
    log2_e, half, high, low = map(kind, (_LOG2_E, 0.5, *_LN2[kind]))
    terms = tuple(kind(1 / math.factorial(k)) for k in range(n_terms, 0, -1))
    least, zero = kind(least), kind(0)

    def reduced(x):
        """Return exp(r) - 1 and 2^n; for an x that is too low -1 and 0."""
        n = np.floor((x if x > least else least) * log2_e + half)
        r = (x - n * high) - n * low
        series = terms[0]
        for k in range(1, n_terms):
            series = series * r + terms[k]
        power = bits((bits(n) + bias) << shift).view(kind)
        return (kind(-1) if x < least else series * r), (zero if x < least else power)

    return reduced


_reduced_32 = _reduced(np.float32, np.int32, 23, 7, -87)
_reduced_64 = _reduced(np.float64, np.int64, 52, 13, -708)


def _reduce(x):
    raise NotImplementedError("for compiled loops only")


@overload(_reduce, jit_options={"fastmath": {"contract"}, "forceinline": True})
def _reduce_one_kind(x):
    return _reduced_32 if x == types.float32 else _reduced_64


@inlined
def exp(x):
    """Exponential of a number that is not above 0."""
    series, power = _reduce(x)
    return series * power + power


@inlined
def logistic(x):
    """1 / (1 + exp(-x))."""
    one = type(x)(1)
    small = exp(-abs(x))
    return (small if x < 0 else one) / (one + small)


@inlined
def tanh(x):
    """Hyperbolic tangent, with all digits of a small one as well."""
    series, power = _reduce(-abs(x + x))
    less = series * power + (power - type(x)(1))  # exp(-2|x|) - 1
    return np.copysign(less / (less + type(x)(2)), x)
