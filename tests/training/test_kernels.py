"""The parts of an epoch that libraries have as well: products of matrices, sums, rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_capoz._compile import kernel, slot
from sklearn_capoz.training._epoch_kernels import _right
from sklearn_capoz.training._epochs import Architecture, Batches, Rule, Run
from sklearn_capoz.training._layer_kernels import (
    combine,
    combine_by_blas,
    correlate,
    correlate_by_blas,
    sum_rows,
)
from sklearn_capoz.training._row_kernels import take_rows


def called(loop):
    """Make a loop a function that Python can call."""
    call = slot(loop.arguments_for)

    @kernel
    def through_slot(address, arguments):
        call(address, arguments)

    return lambda *args: through_slot(loop.address(args[0].dtype), args)


COMBINE, COMBINE_BY_BLAS = called(combine), called(combine_by_blas)
CORRELATE, CORRELATE_BY_BLAS = called(correlate), called(correlate_by_blas)
SUM_ROWS, TAKE_ROWS = called(sum_rows), called(take_rows)


def check_products(n_in, n_out, n_rows, dtype, combine=COMBINE, correlate=CORRELATE):
    """Forward, backward and gradient of a layer against numpy's products in float64."""
    random = np.random.default_rng(n_in * n_out * n_rows)
    weights = random.standard_normal((n_in, n_out)).astype(dtype)
    inputs = random.standard_normal((n_in, n_rows)).astype(dtype)
    deltas = random.standard_normal((n_out, n_rows)).astype(dtype)
    forward, backward = np.full_like(deltas, np.nan), np.full_like(inputs, np.nan)
    start = 3  # of this layer's weights, behind those of another
    parameters = np.concatenate([np.full(start, np.nan, dtype), weights.ravel()])
    gradient = np.full_like(parameters, np.nan)
    combine(parameters, start, 1, n_out, inputs, forward)
    combine(parameters, start, n_out, 1, deltas, backward)
    correlate(inputs, deltas, gradient, start)
    assert np.isnan(gradient[:start]).all()
    gradient = gradient[start:].reshape(n_in, n_out)
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
def test_products_by_blas(dtype):
    check_products(129, 64, 33, dtype, COMBINE_BY_BLAS, CORRELATE_BY_BLAS)


@given(n_rows=st.integers(0, 30), n_columns=st.integers(1, 5))
@settings(deadline=None)
def test_rows_become_columns(n_rows, n_columns):
    random, first = np.random.default_rng(0), 2
    X, y, weight = random.standard_normal((40, n_columns)), np.arange(40), random.uniform(size=40)
    soft, entropy = random.uniform(size=(40, 2)), random.uniform(size=40)
    given = [array.view() for array in (X, y, weight, soft, entropy)]
    for array in given:
        array.flags.writeable = False
    rows = random.permutation(40)[: first + n_rows]
    own = rows[first:]
    columns, own_soft = np.full((n_columns, n_rows), np.nan), np.full((2, n_rows), np.nan)
    own_y, (own_weight, own_entropy) = np.empty(n_rows, int), np.empty((2, n_rows))
    sums = np.zeros(3)
    TAKE_ROWS(*given, rows, first, columns, own_y, own_weight, own_soft, own_entropy, sums)
    np.testing.assert_array_equal(columns, X[own].T)
    np.testing.assert_array_equal(own_soft, soft[own].T)
    for found, all_rows in ((own_y, y), (own_weight, weight), (own_entropy, entropy)):
        np.testing.assert_array_equal(found, all_rows[own])
    np.testing.assert_allclose(sums, [0, weight[own].sum(), 0])


@pytest.mark.parametrize("n_rows", [1, 7, 64, 201])
def test_sums_over_rows(n_rows):
    deltas = np.random.default_rng(0).standard_normal((3, n_rows))
    totals = np.zeros(4)
    SUM_ROWS(deltas, totals, 1)
    np.testing.assert_allclose(totals, [0, *deltas.sum(axis=1)], rtol=1e-12, atol=1e-12)


def call(**changes):
    """Run an epoch on arrays that fit, but for the changes."""
    batches = Batches(
        X=np.ones((8, 3)),
        y=np.zeros(8, int),
        weight=np.ones(8),
        soft=np.empty((0, 2)),
        soft_entropy=np.empty(0),
        size=4,
        chunk=4,
    )
    architecture = Architecture(np.array([3, 5, 2]), ("relu",), True)
    size = 3 * 5 + 5 * 2 + 5 + 2
    rule = Rule("adam", 0.0, 0.9, True, 0.9, 0.999, 1e-8, 0.0, 0.0, 1.0)
    arguments = {
        "parameters": np.zeros(size),
        "moments": np.zeros((2, size)),
        "n_steps": 0,
        "orders": np.arange(8)[None],
        "keep": np.empty((5, 0), bool),
        "rates": np.ones(1),
    }
    own = {name: changes.pop(name) for name in list(changes) if name in Batches._fields}
    run = Run(architecture, batches._replace(**own), rule)
    return run.train(**(arguments | changes)), run, arguments["parameters"]


def test_arrays_that_fit():
    losses, run, parameters = call()
    np.testing.assert_allclose(losses, np.log(2), rtol=1)
    loss, accuracy = run.evaluate(np.zeros_like(parameters))
    assert (loss, accuracy) == (pytest.approx(np.log(2)), 1.0)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"X": np.ones((8, 2))}, ValueError, "X must have the shape"),
        ({"X": np.ones((7, 3))}, ValueError, "y must have the shape"),
        ({"X": np.ones((8, 3), np.float32)}, ValueError, "X is float32"),
        ({"y": np.zeros(7, int)}, ValueError, "y must have the shape"),
        ({"weight": np.ones(7)}, ValueError, "weight must have the shape"),
        ({"y": np.full(8, 2)}, IndexError, "y must lie between 0 and 1"),
        ({"y": np.full(8, -1)}, IndexError, "y must lie between 0 and 1"),
        ({"orders": np.full((1, 8), 8)}, IndexError, "orders must lie between 0 and 7"),
        ({"orders": np.full((1, 8), -1)}, IndexError, "orders must lie between 0 and 7"),
        ({"orders": np.zeros((2, 8), int)}, ValueError, "orders must have the shape"),
        ({"rates": np.ones((1, 1))}, ValueError, "rates must have the shape"),
        ({"parameters": np.zeros(31)}, ValueError, "parameters must have the shape"),
        ({"moments": np.zeros((1, 32))}, ValueError, "moments must have the shape"),
        ({"keep": np.ones((4, 8), bool)}, ValueError, "keep must have the shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        call(**changes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ties_are_right_for_the_lower_class(dtype):
    y, weight = np.array([0, 1]), np.array([1.0, 10.0], dtype)
    assert _right(np.zeros((1, 2), dtype), y, weight, False) == 1
    assert _right(np.full((1, 2), np.finfo(dtype).tiny), y, weight, False) == 10
    assert _right(np.zeros((2, 2), dtype), y, weight, True) == 1
