"""Samples: weights are checked, and the three sets are disjoint and stratified."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_capoz.exceptions import SmallDataWarning
from sklearn_capoz.training._samples import PruningData, Samples, make_samples, split_samples


def numbered(y):
    """Return samples whose only feature is their number."""
    y = np.asarray(y)
    return make_samples(np.arange(y.size, dtype=float)[:, None], y)


def numbers(samples):
    return samples.X[:, 0].astype(int)


def split(y, fraction=0.2, validation=None, seed=0):
    return split_samples(numbered(y), validation, fraction, np.random.RandomState(seed))


def parts(data: PruningData):
    return data.train, data.score, data.select


def test_no_weights_are_ones():
    samples = numbered([0, 1, 1])
    np.testing.assert_array_equal(samples.weight, [1, 1, 1])
    assert samples.weight.dtype == np.float64


def test_samples_do_not_change_after_they_are_made():
    with pytest.raises(FrozenInstanceError):
        numbered([0, 1]).y = None


def test_samples_of_no_weight_are_left_out():
    samples = make_samples(np.arange(4.0)[:, None], np.array([3, 1, 4, 1]), [0, 2, 0.5, 0])
    assert numbers(samples).tolist() == [1, 2]
    assert samples.y.tolist() == [1, 4]
    assert samples.weight.tolist() == [2, 0.5]


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([0, 0, 0], "zero"),
        ([1, -1, 1], "Negative values"),
        ([1, 1], r"sample_weight.shape == \(2,\), expected \(3,\)"),
        ([1, np.nan, 1], "NaN"),
    ],
)
def test_bad_weights(weight, message):
    with pytest.raises(ValueError, match=message):
        make_samples(np.zeros((3, 1)), np.zeros(3, dtype=int), np.array(weight, dtype=float))


@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=6).filter(lambda c: sum(c) >= 80),
    fraction=st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.7]),
    seed=st.integers(0, 100),
)
@pytest.mark.filterwarnings("ignore::sklearn_capoz.exceptions.SmallDataWarning")
def test_disjoint_complete_and_stratified(counts, fraction, seed):
    y = np.random.RandomState(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    data = split(y, fraction, seed=seed)
    if data.train is data.score:  # too few per class, see below
        assert fraction * y.size < 4 * len(counts)
        return
    together = np.concatenate([numbers(part) for part in parts(data)])
    assert sorted(together) == list(range(y.size))
    for part in parts(data):
        np.testing.assert_array_equal(part.y, y[numbers(part)])
    for code, count in enumerate(counts):
        aside = sum((part.y == code).sum() for part in (data.score, data.select))
        assert abs(aside - fraction * count) <= 1 or (data.train.y == code).sum() == 1
        halves = [(part.y == code).sum() for part in (data.score, data.select)]
        assert abs(halves[0] - halves[1]) <= 2
        assert (data.train.y == code).any()


def test_sizes_by_hand():
    data = split([0] * 50 + [1] * 50, 0.2)
    assert [part.y.size for part in parts(data)] == [80, 10, 10]
    assert [np.bincount(part.y).tolist() for part in parts(data)] == [[40, 40], [5, 5], [5, 5]]


def test_one_seed_one_split():
    y = np.arange(200) % 3
    first, again, other = (split(y, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(numbers(first.score), numbers(again.score))
    assert not np.array_equal(numbers(first.score), numbers(other.score))


def test_a_class_of_one_sample_is_for_training():
    for seed in range(20):
        data = split([0] * 60 + [1] * 60 + [2], seed=seed)
        assert (data.train.y == 2).sum() == 1


def test_few_samples_are_used_thrice_with_a_warning():
    message = (
        r"30 samples of 2 classes leave less than 4 per class to validate on "
        r"\(validation_fraction=0.2\); units are scored on the training samples. Pass X_val"
    )
    with pytest.warns(SmallDataWarning, match=message):
        data = split(np.arange(30) % 2)
    assert data.train is data.score is data.select
    assert data.train.y.size == 30


def test_just_enough_samples_are_split():
    data = split(np.arange(40) % 2)
    assert [part.y.size for part in parts(data)] == [32, 4, 4]


def test_own_validation_data_are_halved_and_nothing_is_taken_from_the_rest():
    validation = Samples(np.arange(100.0, 120)[:, None], np.arange(20) % 2, np.ones(20))
    data = split(np.arange(7) % 2, validation=validation)
    assert numbers(data.train).tolist() == list(range(7))
    halves = np.concatenate([numbers(data.score), numbers(data.select)])
    assert sorted(halves) == list(range(100, 120))
    assert np.bincount(data.score.y).tolist() == np.bincount(data.select.y).tolist() == [5, 5]


def test_one_sample_of_validation_data_is_too_few():
    validation = numbered([0])
    with pytest.raises(ValueError, match="X_val holds 1 sample; at least 2 are needed"):
        split(np.arange(100) % 2, validation=validation)


def test_weights_travel_with_their_samples():
    y = np.arange(200) % 2
    samples = make_samples(np.arange(200.0)[:, None], y, np.arange(1.0, 201))
    data = split_samples(samples, None, 0.2, np.random.RandomState(0))
    for part in parts(data):
        np.testing.assert_array_equal(part.weight, numbers(part) + 1)
