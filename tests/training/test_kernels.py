"""The parts of an epoch that libraries have as well: products of matrices, exponentials."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_capoz.training._kernels import (
    SMALL_LAYER,
    _combine,
    _correlate,
    _exp,
    _sum_rows,
    _take,
)

NOT_ABOVE_0 = st.floats(-700, 0)


def check_products(n_in, n_out, n_rows, dtype):
    """Forward, backward and gradient of a layer against numpy's products in float64."""
    random = np.random.default_rng(n_in * n_out * n_rows)
    weights = random.standard_normal((n_in, n_out)).astype(dtype)
    inputs = random.standard_normal((n_in, n_rows)).astype(dtype)
    deltas = random.standard_normal((n_out, n_rows)).astype(dtype)
    forward, backward = np.full_like(deltas, np.nan), np.full_like(inputs, np.nan)
    gradient = np.full_like(weights, np.nan)
    _combine(weights.T, inputs, forward)
    _combine(weights, deltas, backward)
    _correlate(inputs, deltas, gradient)
    W, X, D = (array.astype(np.float64) for array in (weights, inputs, deltas))
    rounding = 8 * np.finfo(dtype).eps
    for product, expected, size in (
        (forward, W.T @ X, np.abs(W.T) @ np.abs(X)),
        (backward, W @ D, np.abs(W) @ np.abs(D)),
        (gradient, X @ D.T, np.abs(X) @ np.abs(D.T)),
    ):
        assert (np.abs(product - expected) <= rounding * size).all()


@settings(deadline=None)
@given(
    n_in=st.integers(1, 13),
    n_out=st.integers(1, 9),
    n_rows=st.integers(1, 70),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_products_of_small_layers(n_in, n_out, n_rows, dtype):
    check_products(n_in, n_out, n_rows, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_in", [SMALL_LAYER // 64, SMALL_LAYER // 64 + 1])
def test_products_on_both_sides_of_blas(n_in, dtype):
    check_products(n_in, 64, 33, dtype)


@given(n_rows=st.integers(0, 30), n_columns=st.integers(1, 5))
@settings(deadline=None)
def test_rows_become_columns(n_rows, n_columns):
    source = np.random.default_rng(0).standard_normal((40, n_columns))
    rows = np.random.default_rng(1).permutation(40)[:n_rows]
    columns = np.full((n_columns, n_rows), np.nan)
    _take(source, rows, columns)
    np.testing.assert_array_equal(columns, source[rows].T)


@pytest.mark.parametrize("n_rows", [1, 7, 64, 201])
def test_sums_over_rows(n_rows):
    deltas = np.random.default_rng(0).standard_normal((3, n_rows))
    totals = np.empty(3)
    _sum_rows(deltas, totals)
    np.testing.assert_allclose(totals, deltas.sum(axis=1), rtol=1e-12, atol=1e-12)


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
