"""Convolutions in integers: windows, pools and sums by hand and beside torch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from sklearn_capoz.integers import IntegerConvolution, IntegerLayer, IntegerNetwork


def convolution(**changed):
    parts = {
        "weights": np.array([[1, 0], [2, -1]], np.int8),
        "biases": np.array([0, 3], np.int32),
        "multipliers": np.array([16384, 16384], np.int16),
        "shifts": np.array([14, 14], np.uint8),
        "n_positions": 6, "kernel_size": 2, "pool_size": 2,
    }  # fmt: skip
    return IntegerConvolution(**(parts | changed))


def test_by_hand():
    layer = convolution()
    assert (layer.n_inputs, layer.n_pooled, layer.n_outputs) == (6, 2, 4)
    assert layer.n_multiply_adds == 4 * 4
    codes = np.array([[1.0, 2, 3, 0, 5, 9]])
    # x_p + 2 x_(p+1) and 3 - x_(p+1) at four positions: the fifth fills no pool.
    sums = [[[5, 1], [8, 0], [3, 3], [10, -2]]]
    assert_array_equal(layer.sums(codes), sums)
    assert_array_equal(layer.codes(np.array(sums, float)), [[8, 10, 1, 3]])
    average = convolution(pool="average")
    assert_array_equal(average.codes(np.array(sums, float)), [[7, 7, 1, 2]])  # 6.5, 0.5 and 1.5


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("pool", [("max", 1), ("max", 3), ("average", 2)])
def test_beside_torch(stride, pool):
    rng = np.random.RandomState(0)
    weights = rng.randint(-127, 128, (3 * 4, 5)).astype(np.int8)
    layer = IntegerConvolution(
        weights, rng.randint(-500, 500, 5).astype(np.int32), np.full(5, 20000, np.int16),
        np.full(5, 22, np.uint8), n_channels=3, n_positions=23, kernel_size=4, stride=stride,
        pool=pool[0], pool_size=pool[1],
    )  # fmt: skip
    codes = rng.randint(0, 256, (7, 3 * 23)).astype(float)
    kernel = torch.from_numpy(weights.T.reshape(5, 3, 4).astype(float))
    bias = torch.from_numpy(layer.biases.astype(float))
    found = torch.nn.functional.conv1d(
        torch.from_numpy(codes).reshape(7, 3, 23), kernel, bias, stride=stride
    )
    n = layer.n_pooled * layer.pool_size
    assert_array_equal(layer.sums(codes), found[:, :, :n].transpose(1, 2).numpy())
    handed_on = np.clip(np.floor(np.abs(found.numpy() * 20000 / 2**22) + 0.5)
                        * np.sign(found.numpy()), 0, 255)  # fmt: skip
    kind = torch.nn.functional.max_pool1d if pool[0] == "max" else torch.nn.functional.avg_pool1d
    pooled = np.floor(kind(torch.from_numpy(handed_on), pool[1]).numpy() + 0.5)
    assert_array_equal(layer.codes(layer.sums(codes)), pooled.reshape(7, -1))


def network(**changed):
    one = np.ones(1, np.float32)
    last = IntegerLayer(
        np.ones((4, 2), np.int8), np.zeros(2, np.int32), np.full(2, 16384, np.int16),
        np.full(2, 15, np.uint8),
    )  # fmt: skip
    parts = {"layers": (convolution(), last), "bits": 8, "output": "softmax", "input_scale": one,
             "input_offset": 0 * one, "input_limit": 1000, "logit_scale": 1.0,
             "dtype": np.dtype("f4")}  # fmt: skip
    return IntegerNetwork(**(parts | changed))


def test_a_network_of_both():
    found = network()
    found.check()
    assert (found.n_features, found.widths, found.n_classes) == (6, (2,), 2)
    assert found.n_multiply_adds == 16 + 8
    assert found.n_bytes == 4 + 2 * (4 + 2 + 1) + 8 + 2 * (4 + 2 + 1)
    codes = np.array([[1, 2, 3, 0, 5, 9]], np.int16)
    first, last = found.accumulators(codes)
    assert first.shape == (1, 4, 2)
    assert_array_equal(last, [[22, 22]])
    assert repr(found) == "IntegerNetwork(6-2-2, 8 bits, softmax)"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kernel_size": 3}, "do not fit to 2 weights"),
        ({"n_positions": 1}, "must fit into 1 bands"),
        ({"pool_size": 6}, "must fit into 6 bands"),
        ({"pool": "sum"}, "'max' or 'average'"),
        ({"stride": 0}, "at least 1"),
        ({"n_positions": 8}, "layer of 6 units does not fit"),
        ({"biases": np.array([2**31 - 1, 0], np.int32)}, "could sum up to"),
    ],
)
def test_what_does_not_fit_is_refused(changed, message):
    last = network().layers[1]
    with pytest.raises(ValueError, match=message):
        network(layers=(convolution(**changed), last)).check()
    with pytest.raises(ValueError, match="must be a dense one"):
        network(layers=(convolution(n_positions=3, pool_size=2),)).check()


def test_the_last_of_many_rows_is_computed_as_the_first():
    found = network()
    codes = np.random.RandomState(0).randint(-1000, 1000, (50, 6)).astype(np.int16)
    whole = found.logits(codes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn_capoz.integers._network._BLOCK", 100)
        assert_array_equal(found.logits(codes), whole)
    assert_array_equal(replace(found).logits(codes[-1:]), whole[-1:])
