"""How an estimator splits its samples: by groups, and with validation data from elsewhere."""

import warnings

import numpy as np
import pytest

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.estimators._split import _split_groups, _warn_of_another_range, mark_groups
from sklearn_capoz.exceptions import SmallDataWarning
from sklearn_capoz.training._samples import make_samples


def numbered(y):
    """Return samples whose only feature is their number."""
    return make_samples(np.arange(len(y), dtype=float)[:, None], np.asarray(y))


def rows(samples):
    return samples.X[:, 0].astype(int)


@pytest.mark.parametrize("seed", range(8))
def test_no_group_is_in_two_parts_and_a_class_of_one_group_is_trained_on(seed):
    groups = np.repeat(np.arange(9), 10)
    y = np.where(groups == 8, 1, 0)
    data = _split_groups(numbered(y), groups, 0.4, np.random.RandomState(seed))
    parts = [rows(part) for part in (data.train, data.score, data.select)]
    assert sorted(np.concatenate(parts)) == list(range(90))
    of_groups = [set(groups[part]) for part in parts]
    assert 8 in of_groups[0]
    assert not of_groups[0] & of_groups[1]
    assert not of_groups[0] & of_groups[2]
    assert not of_groups[1] & of_groups[2]
    assert 3 <= len(of_groups[1] | of_groups[2]) <= 4  # 0.4 of 80, less where that was class 1


def test_one_group_aside_is_shared_by_scoring_and_choosing():
    groups = np.repeat([0, 1], [40, 10])
    data = _split_groups(numbered(np.zeros(50, int)), groups, 0.2, np.random.RandomState(0))
    assert set(groups[rows(data.score)]) == set(groups[rows(data.select)]) == {1}
    assert len(rows(data.score)) == len(rows(data.select)) == 5


def test_groups_that_leave_none_to_validate_on_are_said():
    y = np.repeat([0, 1], 10)
    with pytest.warns(SmallDataWarning, match="2 groups leave none to validate on"):
        data = _split_groups(numbered(y), y, 0.5, np.random.RandomState(0))
    assert len(data.train.y) == len(data.score.y) == len(data.select.y) == 20


@pytest.mark.parametrize(("fraction", "marked"), [(0.01, [False, True, False]),
                                                  (0.99, [True, False, True])])  # fmt: skip
def test_the_smallest_group_stands_for_too_few_or_what_is_left_of_too_many(fraction, marked):
    groups = np.repeat([0, 1, 2], [30, 10, 20])
    found = mark_groups(np.zeros(60, int), groups, fraction, np.random.RandomState(0))
    np.testing.assert_array_equal(found, np.repeat(marked, [30, 10, 20]))


def warned(train_X, validation_X, y_val=None):
    y = np.zeros(40, int)
    y_val = y if y_val is None else y_val
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _warn_of_another_range(make_samples(train_X, y), make_samples(validation_X, y_val))
    return bool(caught)


@pytest.mark.parametrize(
    ("shift", "ratio", "says"),
    [(0, 1, False), (2.7, 1, False), (-2.7, 1, False), (3.3, 1, True), (-3.3, 1, True),
     (0, 3.7, False), (0, 4.3, True), (0, 0.27, False), (0, 0.23, True)],
)  # fmt: skip
def test_validation_data_of_another_range_are_told_from_those_that_differ(shift, ratio, says):
    X = np.random.RandomState(0).randn(40, 3)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    assert warned(X, ratio * X + shift) is says


def test_of_a_few_validation_samples_or_flat_features_nothing_is_said():
    X = np.random.RandomState(0).randn(40, 3)
    few = make_samples(X[:9] + 100, np.zeros(9, int))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _warn_of_another_range(make_samples(X, np.zeros(40, int)), few)
    assert not warned(np.ones((40, 3)), np.zeros((40, 3)))
    assert not warned(X, X, y_val=np.repeat([0, 1], 20))  # a class that is not trained on


def test_each_sample_has_a_group():
    X, y = np.eye(40), np.arange(40) % 2
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        PrunedMLPClassifier().fit(X, y, groups=np.arange(39))
