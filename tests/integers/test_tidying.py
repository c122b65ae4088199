"""Units that no longer matter go, the others are sorted, and every logit stays."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_capoz.integers import tidy_units
from tests.integers.test_network import layer_of, network_of


def sparse_layer(n_in, n_out, seed, share):
    there = np.random.RandomState(seed).rand(n_in, n_out) < share
    weights = (layer_of(n_in, n_out, seed).weights * there).astype(np.int8)
    return layer_of(n_in, n_out, seed, weights=weights, shifts=np.full(n_out, 25, np.uint8))


@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.0, 0.1, 0.3, 1.0]))
def test_no_logit_changes(seed, share):
    widths = 6, 9, 8, 7, 3
    sizes = enumerate(pairwise(widths))
    network = network_of(*(sparse_layer(*n, seed + i, share) for i, n in sizes))
    found = tidy_units(network)
    found.check()
    codes = np.random.RandomState(seed).randint(-300, 300, (20, 6)).astype(np.int16)
    np.testing.assert_array_equal(found.logits(codes), network.logits(codes))
    for front, behind in pairwise(found.layers):
        n_units = len(front.biases)
        assert (np.diff(front.biases) >= 0).all()
        assert n_units == 1 or behind.weights.any(axis=1).all()
        assert n_units == 1 or front.weights.any(axis=0).all() or not front.weights.any()
    if share == 1:
        assert found.widths == network.widths


def test_what_goes_and_what_it_leaves_behind():
    """The first unit has no end, the second no beginning, the third has both."""
    first = layer_of(
        2, 3, weights=np.array([[5, 0, 1], [4, 0, 0]], np.int8),
        biases=np.array([0, 20, 0], np.int32),
        multipliers=np.full(3, 2**14, np.int16), shifts=np.full(3, 15, np.uint8),
    )  # fmt: skip
    second = layer_of(
        3, 2, weights=np.array([[0, 0], [7, -2], [3, 0]], np.int8),
        biases=np.array([1, 1], np.int32),
    )  # fmt: skip
    found = tidy_units(network_of(first, second))
    assert found.widths == (1,)
    np.testing.assert_array_equal(found.layers[0].weights, [[1], [0]])
    np.testing.assert_array_equal(found.layers[1].weights, [[3, 0]])
    np.testing.assert_array_equal(found.layers[1].biases, [1 + 7 * 10, 1 - 2 * 10])


@pytest.mark.parametrize("last", [True, False])
def test_one_unit_stays(last):
    layers = layer_of(4, 5), layer_of(5, 3)
    empty = layers[last].weights * np.int8(0)
    changed = [layer_of(4, 5), layer_of(5, 3)]
    changed[last] = layer_of(*empty.shape, weights=empty)
    found = tidy_units(network_of(*changed))
    codes = np.arange(8, dtype=np.int16).reshape(2, 4)
    np.testing.assert_array_equal(found.logits(codes), network_of(*changed).logits(codes))
    assert found.widths[0] >= 1
