"""The torch form of a dense network."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.networks._module import MLPModule, module_from_network, network_from_module
from sklearn_capoz.training._engine import initial_network


@pytest.mark.parametrize("output", ["softmax", "logistic"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("widths", [(), (4,), (4, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_probabilities_there_and_back(output, activation, widths, dtype):
    network = initial_network(5, widths, 2, activation, 0, dtype, output)
    X = np.random.RandomState(0).standard_normal((20, 5)).astype(dtype)
    module = module_from_network(network, dropout=0.5).eval()
    with torch.no_grad():
        probability = torch.softmax(module(torch.from_numpy(X)), dim=1).numpy()
    assert probability.dtype == dtype
    expected = network.probabilities(network.forward(X)[-1])
    np.testing.assert_allclose(probability, expected, rtol=1e-5)
    back = network_from_module(module)
    assert (back.activations, back.output) == (network.activations, network.output)
    for a, b in zip(
        (*back.weights, *back.biases), (*network.weights, *network.biases), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_making_a_module_of_a_network_draws_no_number():
    network = initial_network(5, (4,), 3, "relu", 0, np.float32)
    before = torch.get_rng_state()
    module = module_from_network(network)
    assert torch.equal(torch.get_rng_state(), before)
    weight = module.layers[0].weight
    weight.data.zero_()  # a copy: the network does not see it
    assert network.weights[0].any()


def test_new_weights_are_within_the_bounds_of_mlpclassifier():
    torch.manual_seed(0)
    for activation, factor in [("relu", 6), ("logistic", 2)]:
        module = MLPModule(100, (60,), 3, activation)
        bound = (factor / 160) ** 0.5
        largest = module.layers[0].weight.abs().max().item()
        assert 0.99 * bound < largest <= bound


def test_the_layers_are_one_flat_chain():
    module = MLPModule(5, (4, 3), 2, "tanh", dropout=0.1)
    kinds = [type(layer) for layer in module.layers]
    assert kinds == [nn.Linear, nn.Tanh, nn.Dropout] * 2 + [nn.Linear]


def test_refusals():
    with pytest.raises(UnsupportedNetworkError, match="got Linear"):
        network_from_module(nn.Linear(2, 2))
    a = initial_network(5, (4, 3), 2, "relu", 0, np.float32)
    mixed = DenseNetwork(a.weights, a.biases, ("relu", "tanh"))
    with pytest.raises(UnsupportedNetworkError, match="one activation for all hidden layers"):
        module_from_network(mixed)
