"""The compiled form of networks with many zeros computes what the plain arrays compute."""

import numpy as np
import pytest
from random_networks import assert_same, codes_of, make_network, samples
from sklearn import config_context

from sklearn_capoz.networks._predictor import Predictor


def sparse_network(widths, share=0.02, dtype=np.float32, **how):
    network = make_network(widths, dtype, **how)
    rng = np.random.RandomState(5)
    for weight in network.weights:
        weight[rng.uniform(size=weight.shape) >= share] = 0
    return network


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ["relu", "identity", "tanh"])
@pytest.mark.parametrize("widths", [(60, 120, 5), (60, 120, 1), (60, 100, 40, 3)])
def test_zeros_are_skipped_and_the_answers_are_the_same(widths, activation, dtype):
    predictor = Predictor(sparse_network(widths, dtype=dtype, activation=activation))
    assert predictor._skips_zeros == (activation != "tanh")
    for n in (2, 129, 192, 5003):
        assert_same(predictor, samples(n, 60, dtype))


def test_zeros_are_skipped_where_it_pays():
    for widths, share, pays in (
        ((784, 128, 10), 0.05, True),
        ((784, 128, 10), 0.2, False),
        ((50, 30, 7), 0.02, False),
        ((784, 300, 100, 10), 0.1, True),
    ):
        assert Predictor(sparse_network(widths, share))._skips_zeros == pays


def test_all_weights_zero_and_units_and_inputs_without_any():
    network = sparse_network((60, 120, 5), share=0)
    predictor = Predictor(network)
    assert_same(predictor, samples(300, 60))
    network.weights[0][7, 3] = network.weights[1][3, 2] = 2
    assert_same(Predictor(network), samples(300, 60))


def test_a_row_of_a_sparse_network_is_the_same_wherever_it_stands():
    predictor, X = Predictor(sparse_network((60, 120, 5))), samples(700, 60)
    whole = predictor.probabilities(X)
    np.testing.assert_array_equal(predictor.probabilities(X[213:]), whole[213:])
    np.testing.assert_array_equal(predictor.probabilities(np.asfortranarray(X)), whole)


def test_what_is_not_finite_in_a_sparse_network():
    predictor, X = Predictor(sparse_network((60, 120, 5))), samples(700, 60)
    expected = predictor.probabilities(X)
    X[300, 4] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        codes_of(predictor, X)
    with config_context(assume_finite=True):
        found = predictor.probabilities(X)
    others = np.arange(700) != 300
    np.testing.assert_array_equal(found[others], expected[others])


def test_the_sparse_kernel_checks_shapes_itself():
    from sklearn_capoz.networks._sparse_kernels import pack_sparse, sparse_forward

    network = sparse_network((60, 120, 5))
    packed = pack_sparse(network.weights, network.biases, network.activations)
    for X, logits in (((9, 59), (5, 9)), ((9, 60), (5, 8)), ((9, 60), (6, 9))):
        with pytest.raises(ValueError, match="network"):
            sparse_forward(np.ones(X, np.float32), *packed, np.empty(logits, np.float32))
