from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sklearn_capoz.scenes._scratch import LARGEST_KEPT, Scratch


def test_the_same_name_is_the_same_memory():
    scratch = Scratch()
    first = scratch.empty("X", (4, 5), ">f4")
    assert (first.shape, first.dtype) == ((4, 5), np.dtype(">f4"))
    assert first.flags.c_contiguous
    assert first.flags.writeable
    smaller = scratch.empty("X", (3,), np.int16)
    assert np.shares_memory(first, smaller)
    assert not np.shares_memory(first, scratch.empty("block", (4, 5), np.float32))
    larger = scratch.empty("X", (40, 5), np.float64)
    assert larger.shape == (40, 5)
    assert not np.shares_memory(first, larger)
    assert np.shares_memory(larger, scratch.empty("X", (4, 5), np.float32))


def test_threads_have_memory_of_their_own():
    scratch = Scratch()
    mine = scratch.empty("X", (10,), np.float32)
    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(scratch.empty, "X", (10,), np.float32).result()
    assert not np.shares_memory(mine, others)
    assert np.shares_memory(mine, scratch.empty("X", (10,), np.float32))


def test_large_arrays_are_not_kept():
    scratch = Scratch()
    shape = (LARGEST_KEPT + 1,)
    large = scratch.empty("X", shape, np.uint8)
    assert large.shape == shape
    assert not np.shares_memory(large, scratch.empty("X", shape, np.uint8))
