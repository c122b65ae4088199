"""Where the weights are that are not zero: bits, gaps, and which takes less."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_capoz.networks._sparse import (
    positions_of_gaps,
    positions_of_mask,
    sparse_places,
    stored_bytes,
)


def places(weights, bits=32):
    form, found = sparse_places(np.array(weights, dtype=np.float32), bits)
    return form, found.tolist()


def test_by_hand():
    assert places([1, 2, 3]) == ("dense", [])
    assert places([]) == ("dense", [])
    assert places([0] * 8) == ("gaps", [])
    # Three of eight: a byte of bits 0, 3 and 4, where gaps would take three.
    assert places([1, 0, 0, 2, 3, 0, 0, 0]) == ("mask", [0b00011001])
    # One of 40: the gap of 37 before it, where bits would take five bytes.
    assert places([0] * 37 + [1, 0, 0]) == ("gaps", [37])
    # A byte of 255 stands for 255 zeros, with no value behind them.
    assert places([0] * 255 + [1] + [0] * 600 + [2]) == ("gaps", [255, 0, 255, 255, 90])
    # Values of four bits: two of four take a byte, and so does the mask.
    assert places([1, 0, 2, 0], bits=4) == ("dense", [])


def test_bytes_by_hand():
    assert stored_bytes(np.ones((4, 2), np.float32)) == 32
    assert stored_bytes(np.array([1, 0, 0, 2, 3, 0, 0, 0], np.float32)) == 1 + 12
    assert stored_bytes(np.array([0.0] * 37 + [1, 0, 0])) == 1 + 8
    assert stored_bytes(np.zeros((3, 3))) == 0


@given(
    arrays(np.float32, st.integers(0, 2000), elements=st.sampled_from([0, 0, 0, 0, 0, 0, 1, -2])),
    st.sampled_from([4, 8, 32, 64]),
    st.booleans(),
)
def test_what_is_said_is_where_they_are(weights, bits, is_sparse):
    if is_sparse:
        weights[: len(weights) * 9 // 10] = 0
    form, found = sparse_places(weights, bits)
    read = {"mask": positions_of_mask, "gaps": positions_of_gaps}
    if form == "dense":
        assert found.size == 0
        assert len(weights) * bits <= np.count_nonzero(weights) * bits + len(weights) + 16
    else:
        np.testing.assert_array_equal(read[form](found, weights.size), np.flatnonzero(weights))
        assert 8 * found.size + np.count_nonzero(weights) * bits <= len(weights) * bits + 8


@pytest.mark.parametrize(
    ("read", "code", "message"),
    [
        (positions_of_mask, [1], "a mask of 1 bytes for 9 weights"),
        (positions_of_mask, [1, 2], "a mask with a bit for weight 9 of 9"),
        (positions_of_gaps, [4, 4], "gaps that lead to weight 9 of 9"),
        (positions_of_gaps, [4, 255], "gaps that end without a value"),
    ],
)
def test_codes_that_lie_are_refused(read, code, message):
    with pytest.raises(ValueError, match=message):
        read(np.array(code, np.uint8), 9)
