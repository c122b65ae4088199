"""The numbers behind the first look, against the same by masked arrays."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_capoz.scenes._check import FirstLook, _coherence, _sample
from sklearn_capoz.scenes._open import open_source


def by_masked_arrays(pairs):
    """Share and roughness, as their definition reads."""
    values = np.ma.masked_invalid(pairs)
    if not values.count() or values.var() == 0:
        return 0.0, 1.0
    steps = [np.ma.diff(values, axis=axis) for axis in (1, 2, 3)]
    rough = [(s**2).mean() for s in steps if s.count()]
    share = values.mean(axis=(0, 1, 2)).var() / values.var()
    return share, max(rough) / (2 * values.var()) if rough else 1.0


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 2), st.integers(1, 30), st.integers(1, 5)),
    st.floats(0, 1),
    st.integers(0, 99),
)
def test_missing_numbers_have_no_part_in_the_coherence(shape, missing, seed):
    random = np.random.RandomState(seed)
    pairs = random.randint(0, 5, shape).astype(float)
    pairs[random.uniform(size=shape) < missing] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = _coherence(pairs)
    assert found == pytest.approx(by_masked_arrays(pairs), rel=1e-9, abs=1e-11)


def test_numbers_without_neighbours_are_as_noise():
    pairs = np.full((1, 1, 3, 1), np.nan)
    pairs[0, 0, ::2, 0] = 1.0, 2.0
    assert _coherence(pairs) == (0.0, 1.0)


def test_dead_bands_are_told_from_fill_and_from_few_pixels():
    random = np.random.RandomState(0)
    pairs = random.uniform(0.1, 0.5, (2, 2, 20, 6))
    pairs[..., 1], pairs[..., 3] = np.nan, 0.25
    bands = np.array([0, 2, 4, 6, 8, 10])
    np.testing.assert_array_equal(FirstLook(pairs, bands).dead_bands(), [2, 6])
    pairs[:, :, :5] = -9999.0  # fill that nobody declared: it is one number, not a signal
    np.testing.assert_array_equal(FirstLook(pairs, bands).dead_bands(), [2, 6])
    assert not FirstLook(pairs[:1, :1], bands).dead_bands().size  # 15 pixels
    assert not FirstLook(np.full_like(pairs, np.nan), bands).dead_bands().size
    thirty = FirstLook(pairs[:1, :, 5:20], bands)  # as many as it takes
    np.testing.assert_array_equal(thirty.dead_bands(), [2, 6])
    flat = np.broadcast_to(np.arange(6.0), pairs.shape)
    assert not FirstLook(flat, bands).dead_bands().size


def test_fill_that_nobody_declared():
    random = np.random.RandomState(0)
    pairs, bands = random.uniform(0.1, 0.5, (2, 2, 20, 12)), np.arange(12)
    assert FirstLook(pairs, bands).fill() is None
    pairs[:, :, 3:5] = np.nan
    pairs[:, :, 5:8] = 0.0  # which means no data, declared or not
    assert FirstLook(pairs, bands).fill() is None
    pairs[:, :, 0], pairs[0, 0, 1] = -9999.0, 7.0
    assert FirstLook(pairs, bands).fill() == -9999.0
    few = slice(9)  # grey pixels of a photograph
    assert FirstLook(pairs[..., few], bands[few]).fill() is None
    assert FirstLook(np.full_like(pairs, 0.5), bands).fill() is None  # nothing to tell it from


def test_the_rows_that_are_looked_at():
    cube = np.random.RandomState(0).rand(34, 3, 4)
    bands = np.array([0, 2])
    pairs = _sample(open_source(cube), bands)
    rows = [[0, 1], [10, 11], [21, 22], [32, 33]]
    np.testing.assert_array_equal(pairs, cube[rows][..., bands])
    da = pytest.importorskip("dask.array")  # whose rows may be costly: the first ones
    pairs = _sample(open_source(da.from_array(cube, chunks=(10, 3, 4))), bands)
    np.testing.assert_array_equal(pairs, cube[:8].reshape(4, 2, 3, 4)[..., bands])
    short = _sample(open_source(da.from_array(cube[:5], chunks=(5, 3, 4))), bands)
    np.testing.assert_array_equal(short, cube[:4].reshape(2, 2, 3, 4)[..., bands])
