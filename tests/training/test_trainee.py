"""Whether a network that has learnt names a class for every row."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_capoz.training._engine import initial_network
from sklearn_capoz.training._trainee import _bound, _has_finite_outputs


@pytest.mark.parametrize("activation", ["relu", "identity", "tanh", "logistic"])
@given(scale=st.integers(-5, 300), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_no_value_exceeds_the_bound_that_spares_the_look_at_all_outputs(activation, scale, seed):
    random = np.random.RandomState(seed)
    network = initial_network(5, (4, 6), 3, activation, random, np.float64)
    network = replace(network, weights=tuple(10.0**scale * w for w in network.weights))
    X = random.standard_normal((9, 5))
    with np.errstate(all="ignore"):
        outputs, bound = network.forward(X), _bound(network, X)
    assert not np.isfinite(bound) or all((np.abs(values) <= bound).all() for values in outputs)


def test_a_hidden_layer_beyond_float32_is_found():
    network = initial_network(2, (3,), 2, "relu", 0, np.float32)
    network.weights[0][:] = 1e30
    network.weights[1][:] = 1e-30
    assert not _has_finite_outputs(network, np.full((1, 2), 1e10, np.float32))


def test_only_outputs_decide_where_the_bound_is_in_doubt():
    network = initial_network(2, (), 2, "relu", 0, np.float64)
    network.weights[0][0] = 1e308
    X = np.array([[0.0, 100.0], [0.1, 1.0]])
    assert _bound(network, X) == np.inf
    assert _has_finite_outputs(network, X)
    assert not _has_finite_outputs(network, np.vstack([X, [100.0, 0.0]]))
    for wrong in (np.nan, np.inf):
        assert not _has_finite_outputs(network, np.vstack([X, [0.0, wrong]]))
