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
    # A second array has a name, which takes more than these eight weights.
    assert places([1, 0, 0, 0, 0, 0, 0, 0]) == ("dense", [])
    # Of 160 every second: bits 0, 2, 4 and 6 of each byte, where gaps would take four times that.
    assert places([1, 0] * 80) == ("mask", [0b01010101] * 20)
    # One of 40: the gap of 37 before it, where bits would take five bytes.
    assert places([0] * 37 + [1, 0, 0]) == ("gaps", [37])
    # A byte of 255 stands for 255 zeros, with no value behind them; so do those at the end.
    far = [0] * 255 + [1] + [0] * 600 + [2] + [0] * 300
    assert places(far) == ("gaps", [255, 0, 255, 255, 90, 255])
    # Values of four bits: of 160 every second, as many bytes for the mask as for the values.
    assert places([1, 0] * 80, bits=4) == ("dense", [])


def test_bytes_by_hand():
    assert stored_bytes(np.ones((4, 2), np.float32)) == 32
    assert stored_bytes(np.tile(np.array([1, 0], np.float32), 80)) == 20 + 320
    assert stored_bytes(np.array([0.0] * 37 + [1, 0, 0])) == 1 + 8
    assert stored_bytes(np.zeros((30, 3))) == 0


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
        assert len(weights) * bits <= np.count_nonzero(weights) * bits + len(weights) + 16 + 640
    else:
        np.testing.assert_array_equal(read[form](found, weights.size), np.flatnonzero(weights))
        assert 8 * found.size + np.count_nonzero(weights) * bits < len(weights) * bits - 600


@pytest.mark.parametrize(
    ("read", "code", "message"),
    [
        (positions_of_mask, [1], "a mask of 1 bytes for 9 weights"),
        (positions_of_mask, [1, 2], "a mask with a bit for weight 9 of 9"),
        (positions_of_gaps, [4, 4], "gaps that lead through 10 of 9 weights"),
        (positions_of_gaps, [4, 255], "gaps that lead through 260 of 9 weights"),
    ],
)
def test_codes_that_lie_are_refused(read, code, message):
    with pytest.raises(ValueError, match=message):
        read(np.array(code, np.uint8), 9)


def test_a_short_code_cannot_ask_for_much_memory():
    with pytest.raises(ValueError, match="gaps that lead through 3 of 1000000000000 weights"):
        positions_of_gaps(np.array([2], np.uint8), 10**12)
    with pytest.raises(ValueError, match="a mask of 1 bytes"):
        positions_of_mask(np.array([2], np.uint8), 10**12)
