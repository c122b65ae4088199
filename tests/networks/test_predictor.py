"""The compiled form computes what the plain arrays compute, whatever the shape of the input."""

import importlib.util
import pickle
import threading
import tracemalloc
from functools import partial

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import assert_same, codes_of, make_network, samples
from sklearn import config_context

from sklearn_capoz.networks import ACTIVATIONS, DenseNetwork, _predictor, _tile_kernels
from sklearn_capoz.networks._predictor import Predictor


@settings(max_examples=40, deadline=None)
@given(
    widths=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    n=st.integers(0, 400),
    dtype=st.sampled_from([np.float32, np.float64]),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    few=st.sampled_from([0, 128]),
)
def test_any_network_on_any_number_of_rows(widths, n, dtype, activation, few):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_predictor, "_FEW_ROWS", few)
        predictor = Predictor(make_network(widths, dtype, activation))
        assert_same(predictor, samples(n, widths[0], dtype))


@pytest.mark.parametrize("n", [127, 128, 129, 384, 385, 5003])
def test_tiles_blocks_and_chunks_have_no_seams(n):
    assert_same(Predictor(make_network((50, 30, 7))), samples(n, 50))


@pytest.mark.parametrize(
    "view",
    [
        lambda X: np.asfortranarray(X),
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: np.repeat(X, 2, axis=0)[::2],
        lambda X: X[::-1][::-1],
        lambda X: X.astype(np.float64),
    ],
    ids=["fortran", "columns", "rows", "reversed", "float64"],
)
def test_the_memory_layout_changes_nothing(view):
    predictor, X = Predictor(make_network((11, 9, 4))), samples(3000, 11)
    np.testing.assert_array_equal(predictor.probabilities(view(X)), predictor.probabilities(X))
    np.testing.assert_array_equal(codes_of(predictor, view(X)), codes_of(predictor, X))


def test_read_only_rows_are_read():
    predictor, X = Predictor(make_network((11, 9, 4))), samples(3000, 11)
    expected = codes_of(predictor, X)
    X.flags.writeable = False
    np.testing.assert_array_equal(codes_of(predictor, X), expected)


def test_a_row_has_the_same_result_wherever_it_stands():
    predictor, X = Predictor(make_network((50, 30, 7))), samples(5000, 50)
    order = np.random.RandomState(2).permutation(len(X))
    whole = predictor.probabilities(X)
    np.testing.assert_array_equal(predictor.probabilities(X[order]), whole[order])
    np.testing.assert_array_equal(predictor.probabilities(X[1000:1777]), whole[1000:1777])


@pytest.mark.parametrize("output_width", [1, 5])
def test_threads_share_the_rows(monkeypatch, output_width):
    network = make_network((50, 30, output_width))
    X = samples(40_000, 50)
    monkeypatch.setattr(_predictor, "_n_threads", lambda: 1)
    alone = Predictor(network).probabilities(X), codes_of(Predictor(network), X)
    monkeypatch.setattr(_predictor, "_n_threads", lambda: 3)
    seen = set()
    codes = Predictor._codes

    def spy(self, chunk):
        seen.add(threading.get_ident())
        return codes(self, chunk)

    monkeypatch.setattr(Predictor, "_codes", spy)
    np.testing.assert_array_equal(Predictor(network).probabilities(X), alone[0])
    np.testing.assert_array_equal(codes_of(Predictor(network), X), alone[1])
    assert threading.get_ident() not in seen
    assert 1 <= len(seen) <= 3


def test_no_threads_within_a_thread(monkeypatch):
    monkeypatch.setattr(_predictor, "effective_n_threads", lambda: 4)
    assert _predictor._n_threads() == 4
    inside = []
    thread = threading.Thread(target=lambda: inside.append(_predictor._n_threads()))
    thread.start()
    thread.join()
    assert inside == [1]


def test_one_predictor_serves_several_threads():
    predictor, X = Predictor(make_network((50, 30, 7))), samples(4000, 50)
    expected = codes_of(Predictor(predictor.network), X)
    found = [None] * 8

    def run(i):
        found[i] = codes_of(predictor, X)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for labels in found:
        np.testing.assert_array_equal(labels, expected)


def test_memory_is_the_output_and_a_little(monkeypatch):
    monkeypatch.setattr(_predictor, "_n_threads", lambda: 2)
    predictor = Predictor(make_network((50, 30, 7)))
    X = samples(400_000, 50)
    codes_of(predictor, X[:1000])  # compile
    tracemalloc.start()
    try:
        labels = codes_of(predictor, X)
        peak = tracemalloc.get_traced_memory()[1]
        assert peak < labels.nbytes + 4_000_000
        tracemalloc.reset_peak()
        probabilities = predictor.probabilities(np.asfortranarray(X[:100_000]))
        peak = tracemalloc.get_traced_memory()[1]
        assert peak < X[:100_000].nbytes + labels.nbytes + probabilities.nbytes + 8_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("features", "n_bytes"),
    [("", 16), ("+avx,+avx2", 32), ("+avx,+avx512f", 64), ("+avx,-avx512f", 32)],
)
def test_vectors_are_those_that_numba_compiles_for(monkeypatch, features, n_bytes):
    """Machines that share a cache through NUMBA_CPU_NAME=generic lay weights out alike."""
    monkeypatch.setattr(numba.config, "CPU_FEATURES", features)
    spec = _tile_kernels.__spec__
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    assert n_bytes == again.VECTOR_BYTES


@pytest.mark.parametrize("widths", [(20_000, 2, 3), (2, 2, 20_000)])
def test_wide_rows_come_in_whole_tiles(monkeypatch, widths):
    """Of chunks of one or two rows each tile would be filled up with rows of nothing."""
    predictor, sizes = Predictor(make_network(widths)), []
    logits = predictor._logits
    monkeypatch.setattr(predictor, "_logits", lambda X: sizes.append(len(X)) or logits(X))
    X = samples(200, widths[0])
    codes = codes_of(predictor, X)
    assert sizes == [192, 8]
    np.testing.assert_array_equal(codes[150:], codes_of(predictor, X[150:]))


def test_memory_does_not_grow_with_the_classes():
    predictor = Predictor(make_network((1, 4, 300)))
    X = samples(100_000, 1)
    codes_of(predictor, X[:1000])  # compile
    tracemalloc.start()
    try:
        labels = codes_of(predictor, X)
        assert tracemalloc.get_traced_memory()[1] < labels.nbytes + 4_000_000
    finally:
        tracemalloc.stop()


def test_a_pickle_holds_the_network_and_not_this_machines_packing():
    predictor, X = Predictor(make_network((11, 9, 4))), samples(300, 11)
    expected = codes_of(predictor, X)
    size = len(pickle.dumps(predictor))
    assert size == len(pickle.dumps(Predictor(predictor.network)))
    np.testing.assert_array_equal(codes_of(pickle.loads(pickle.dumps(predictor)), X), expected)


def test_large_scores_do_not_overflow():
    network = DenseNetwork((np.array([[1e4, -1e4]], np.float32),), (np.zeros(2, np.float32),), ())
    for n in (3, 300):
        found = Predictor(network).probabilities(np.ones((n, 1), np.float32))
        np.testing.assert_array_equal(found, np.tile([1.0, 0.0], (n, 1)))


def test_ties_go_to_the_lower_class():
    network = DenseNetwork((np.ones((2, 3), np.float32),), (np.zeros(3, np.float32),), ())
    for n in (3, 300):
        assert not codes_of(Predictor(network), np.ones((n, 2), np.float32)).any()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("width", [1, 15, 16, 32])  # with and without unused lanes
@pytest.mark.parametrize(("n", "row"), [(1, 0), (129, 128), (3000, 0), (3000, 1500), (3000, 2999)])
def test_a_value_that_is_not_finite_is_an_error_wherever_it_is(activation, width, n, row):
    predictor = Predictor(make_network((6, width, 4), activation=activation))
    for value, name in ((np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")):
        for column in (0, 5):
            X = samples(n, 6)
            X[row, column] = value
            for method in (partial(codes_of, predictor), predictor.probabilities):
                with pytest.raises(ValueError, match=f"Input X contains {name}"):
                    method(X)


@pytest.mark.parametrize("n", [1, 1000])
def test_the_largest_finite_values_are_finite(n):
    """The products may still overflow; that is no fault of X."""
    predictor = Predictor(make_network((6, 16, 4)))
    X = np.full((n, 6), np.float32(3e38))
    with np.errstate(all="ignore"):
        assert len(codes_of(predictor, X)) == n
    with pytest.raises(ValueError, match="too large for dtype"), np.errstate(over="ignore"):
        codes_of(predictor, np.full((n, 6), 1e39))


@pytest.mark.parametrize("n", [3, 3000])
def test_labels_are_the_classes_themselves(n):
    predictor, X = Predictor(make_network((6, 9, 3))), samples(n, 6)
    codes = codes_of(predictor, X)
    for classes in (["a", "bc", "def"], [False, True, 2], [1.5, 2.5, 9.0]):
        for dtype in (None, object):
            classes_ = np.array(classes, dtype=dtype)
            labels = predictor.labels(X, classes_)
            assert labels.dtype == classes_.dtype
            np.testing.assert_array_equal(labels, classes_[codes])


@pytest.mark.parametrize("n", [3, 300])
@pytest.mark.parametrize(
    "change",
    [
        lambda X: X[:, :5],
        lambda X: np.hstack([X, X]),
        lambda X: X[0],
        lambda X: X[None],
        lambda X: X.astype(complex),
        lambda X: X.astype(str),
        lambda X: X.astype(object),
    ],
    ids=["narrow", "wide", "a row", "three axes", "complex", "text", "objects"],
)
def test_nothing_is_read_beyond_x(n, change):
    """Compiled code would read what lies behind the array, and call it a sample."""
    predictor, X = Predictor(make_network((6, 9, 4))), change(samples(n, 6))
    for method in (partial(codes_of, predictor), predictor.probabilities):
        with pytest.raises(ValueError, match=r"X must be real numbers of shape \(n_samples, 6\)"):
            method(X)


@pytest.mark.parametrize("change", ["columns", "length of logits", "number of logits", "block"])
def test_the_kernels_check_shapes_themselves(change):
    from sklearn_capoz.networks._predictor_kernels import argmax, forward, logits_for, softmax

    parameters, layers, block = Predictor(make_network((6, 9, 4)))._pack()
    X, logits = samples(200, 6), logits_for(200, 4, np.dtype(np.float32))
    if change == "columns":
        X = samples(200, 5)
    elif change == "length of logits":
        logits = logits[:, :200].copy()
    elif change == "number of logits":
        logits = logits_for(200, 5, np.dtype(np.float32))
    else:
        block += 1
    with pytest.raises(ValueError, match="network"):
        forward(X, parameters, layers, block, logits)
    with pytest.raises(ValueError, match="one for each column"):
        argmax(np.empty((4, 200), np.float32), np.empty(201, np.intp))
    for shape in ((201, 4), (200, 5)):
        with pytest.raises(ValueError, match="a row for each column"):
            softmax(np.empty((4, 200), np.float32), np.empty(shape, np.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_of_the_kernel(dtype):
    """Logarithms of 1, 2 and 5 are probabilities of 1/8, 2/8 and 5/8, wherever zero is."""
    from sklearn_capoz.networks._predictor_kernels import softmax

    shift = np.linspace(-50, 50, 300)
    logits = (np.log([[1.0], [2.0], [5.0]]) + shift).astype(dtype)
    found = np.empty((300, 3), dtype)
    softmax(logits, found)
    tolerance = 100 * np.finfo(dtype).eps  # of logits as large as 50
    np.testing.assert_allclose(found, np.tile([0.125, 0.25, 0.625], (300, 1)), rtol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_at_the_ends(dtype):
    from sklearn_capoz.networks._predictor_kernels import softmax

    huge = np.finfo(dtype).max
    rows = [[0, -np.inf, -huge], [huge, 0, -huge], [huge, huge, 0], [0, np.nan, 0], [np.inf, 0, 0]]
    found = np.empty((len(rows), 3), dtype)
    with np.errstate(all="ignore"):
        softmax(np.array(rows, dtype).T.copy(), found)
    np.testing.assert_array_equal(found[:3], [[1, 0, 0], [1, 0, 0], [0.5, 0.5, 0]])
    assert np.isnan(found[3:]).all()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("n", [100, 400, 40_000])
def test_where_x_is_said_to_be_finite_nan_spoils_its_own_row(activation, n):
    predictor, X = Predictor(make_network((6, 9, 4), activation=activation)), samples(n, 6)
    labels, probabilities = codes_of(predictor, X), predictor.probabilities(X)
    for value in (np.nan, np.inf):
        X[n // 2, 3] = value
        others = np.arange(n) != n // 2
        with config_context(assume_finite=True), np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(codes_of(predictor, X)[others], labels[others])
            found = predictor.probabilities(X)
        np.testing.assert_array_equal(found[others], probabilities[others])


@pytest.mark.parametrize("n", [3, 3000])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_denormal_inputs_are_zero(n, activation):
    predictor = Predictor(make_network((6, 9, 4), activation=activation))
    X = samples(n, 6) * np.float32(1e-40)
    np.testing.assert_allclose(
        predictor.probabilities(X), predictor.probabilities(np.zeros_like(X)), rtol=1e-6
    )
    assert np.float32(1e-40) * np.float32(0.5) != 0  # the thread is as it was


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 128, 129, 1000])
def test_a_logistic_tie_goes_to_the_lower_class(n, dtype):
    """A logit of exactly zero is a probability of one half for both."""
    zero = DenseNetwork((np.zeros((2, 1), dtype),), (np.zeros(1, dtype),), (), "logistic")
    X = np.ones((n, 2), dtype)
    assert not zero.labels(zero.forward(X)[-1]).any()
    assert not codes_of(Predictor(zero), X).any()
    np.testing.assert_array_equal(Predictor(zero).probabilities(X), 0.5)
    least = np.finfo(dtype).tiny
    above = DenseNetwork((np.zeros((2, 1), dtype),), (np.array([least]),), (), "logistic")
    assert codes_of(Predictor(above), X).all()
