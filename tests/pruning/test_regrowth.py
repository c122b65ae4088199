"""Connections that come back."""

from dataclasses import replace

import numpy as np
import pytest
from small_models import as_skorch_model, dense_model, make_data

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz._sklearn import InvalidParameterError
from sklearn_capoz.criteria import Connections, WeightNorm
from sklearn_capoz.pruning import Mask, PruningJob, PruningPlan, prune_together
from sklearn_capoz.pruning._granularity import GRANULARITIES, _exchange
from sklearn_capoz.schedules import Gradual
from sklearn_capoz.thresholds import Count

CONNECTION = GRANULARITIES["connection"]


def layer_of(weights, gradients):
    return Connections(np.array(weights), np.random.RandomState(0), np.array(gradients))


def test_the_smallest_change_places_with_those_of_the_largest_gradients():
    """Four are left, half of them go: 0.1 and -0.2; two of the gone come back: by 9 and by 7."""
    layer = layer_of([[0.1, 0.0, -0.2], [0.0, 3.0, 0.0], [4.0, 0.0, 0.0]],
                     [[8.0, 9.0, 8.0], [1.0, 8.0, 7.0], [8.0, 2.0, 0.5]])  # fmt: skip
    keep = [[False, True, False], [False, True, True], [True, False, False]]
    np.testing.assert_array_equal(_exchange(layer, 0.5), keep)
    np.testing.assert_array_equal(_exchange(layer, 0.0), layer.weights != 0)


def test_no_more_go_than_can_come_back():
    keep = _exchange(layer_of([[0.1, 0.2, 0.0, 0.3]], [[1.0, 1.0, 1.0, 1.0]]), 0.9)
    np.testing.assert_array_equal(keep, [[False, True, True, True]])
    dense = layer_of([[0.1, 0.2]], [[1.0, 2.0]])
    assert _exchange(dense, 0.5).all()
    dead = layer_of([[0.1, 0.2, 0.0]], [[1.0, 2.0, 0.0]])  # nobody wants it
    np.testing.assert_array_equal(_exchange(dead, 0.5), [[True, True, False]])


def test_equal_ones_are_decided_by_their_index():
    keep = _exchange(layer_of([[2.0, 2.0, 0.0, 0.0]], [[0.0, 0.0, 5.0, 5.0]]), 0.5)
    np.testing.assert_array_equal(keep, [[False, True, True, False]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_comes_back_is_next_to_nothing_and_not_zero(dtype):
    weights = np.array([[0.0, 2.0, 0.0, -4.0]], dtype)
    change = Mask("0", np.array([[True, True, False, True]]), regrow=True)
    found = change.masked(weights)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found[0, 1:], [2.0, 0.0, -4.0])
    assert 0 < found[0, 0] < 1e-5
    np.testing.assert_array_equal(replace(change, regrow=False).masked(weights)[0, 0], 0)


def walk(model, regrow):
    schedule = Gradual(0.8, epochs=(2, 8), regrow=regrow)
    data = make_data()
    [(model, _)] = type(model).train_together([model.until(4)], [data])
    plan = PruningPlan(WeightNorm(), Count(1), schedule, 3, granularity=CONNECTION)
    return prune_together([PruningJob(model, data, plan, np.random.RandomState(0))])[0]


@pytest.mark.parametrize("kind", [lambda model: model, as_skorch_model])
def test_as_many_are_left_and_some_have_come_back(kind):
    records, plain, again = (walk(kind(dense_model(max_iter=12)), r) for r in (0.9, 0.0, 0.9))
    counts = [[int(support.sum()) for support in record.support] for record in records]
    assert counts == [[int(s.sum()) for s in record.support] for record in plain]
    came_back = [own & ~cut for own, cut in zip(records[1].support, plain[1].support, strict=True)]
    learnt = [own.weights for own in records[1].model.connections.values()]
    found = np.concatenate([own[back] for own, back in zip(learnt, came_back, strict=True)])
    assert np.abs(found).max() > 1e-4
    weights = [own.weights for own in records[-1].model.connections.values()]
    for support, own, same in zip(
        records[-1].support, weights, again[-1].model.connections.values(), strict=True
    ):
        np.testing.assert_array_equal(own != 0, support)
        np.testing.assert_array_equal(own, same.weights)


def test_units_do_not_come_back():
    model = PrunedMLPClassifier((8,), schedule=Gradual(0.5, regrow=0.3), max_iter=10**9, tol=0)
    with pytest.raises(InvalidParameterError, match="take granularity='connection', or regrow=0"):
        model.fit(np.eye(60), np.arange(60) % 2)
