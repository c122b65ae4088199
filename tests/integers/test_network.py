"""An integer network: exact sums, and everything that is not one refused."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from sklearn_capoz.integers import IntegerLayer, IntegerNetwork


def layer_of(n_in, n_out, seed=0, largest=127, **changes):
    rng = np.random.RandomState(seed)
    layer = IntegerLayer(
        weights=rng.randint(-largest, largest + 1, (n_in, n_out)).astype(np.int8),
        biases=rng.randint(-(10**6), 10**6, n_out).astype(np.int32),
        multipliers=rng.randint(2**14, 2**15, n_out).astype(np.int16),
        shifts=rng.randint(24, 30, n_out).astype(np.uint8),
    )
    return replace(layer, **changes)


def network_of(*layers, **changes):
    one = np.ones(1, np.float32)
    network = IntegerNetwork(layers, 8, "softmax", 100 * one, 0 * one, 32767, 0.01, np.dtype("f4"))
    return replace(network, **changes)


def test_sums_are_those_of_python_integers():
    """The product of the matrices is computed in floats, and has to be exact nonetheless."""
    layers = layer_of(40, 12), layer_of(12, 5, seed=1, shifts=np.full(5, 20, np.uint8))
    network = network_of(*layers)
    network.check()
    codes = np.random.RandomState(2).randint(-32767, 32768, (30, 40)).astype(np.int16)
    first, second = network.accumulators(codes)
    inputs = codes.astype(object)
    for layer, sums in zip(layers, (first, second), strict=True):
        expected = inputs @ layer.weights.astype(object) + layer.biases.astype(object)
        np.testing.assert_array_equal(sums, expected.astype(np.int64))
        products = expected * layer.multipliers.astype(object)
        halves = 2 ** (layer.shifts.astype(object) - 1)
        rounded = np.sign(products) * ((abs(products) + halves) // (2 * halves))
        inputs = np.clip(rounded.astype(np.int64), 0, 255).astype(object)
    np.testing.assert_array_equal(network.logits(codes), rounded.astype(np.int64))


def test_inputs_are_rounded_away_from_zero_and_clipped():
    network = network_of(layer_of(3, 2), input_limit=60)
    codes = network.quantize_input(np.array([[0.005, -0.005, 0.6], [9.0, -9.0, 0.004]]))
    np.testing.assert_array_equal(codes, [[1, -1, 60], [60, -60, 0]])
    assert codes.dtype == np.int16


def test_ties_go_to_the_first_class():
    same = layer_of(2, 3, weights=np.ones((2, 3), np.int8), biases=np.zeros(3, np.int32))
    same = replace(same, multipliers=np.full(3, 2**14, np.int16), shifts=np.full(3, 15, np.uint8))
    network = network_of(same)
    np.testing.assert_array_equal(network.labels(network.logits(np.int16([[5, 5]]))), [0])


def test_blocks_of_rows_are_one_result():
    network = network_of(layer_of(4, 3))
    codes = np.random.RandomState(0).randint(-99, 100, (9000, 4)).astype(np.int16)
    whole = network.logits(codes)
    np.testing.assert_array_equal(whole[5000:5003], network.logits(codes[5000:5003]))
    assert network.logits(codes[:0]).shape == (0, 3)


def test_bytes_by_hand():
    """50 inputs, 9 units, 7 classes: weights, and 7 bytes beside them for every unit."""
    layers = layer_of(50, 9), layer_of(9, 7, seed=1)
    assert network_of(*layers).n_bytes == 50 * 9 + 9 * 7 + 16 * 7 == 625
    halved = (replace(layer, weights=layer.weights // 19) for layer in layers)
    assert network_of(*halved, bits=4).n_bytes == 225 + 32 + 16 * 7
    curve = layer_of(50, 9, curve=np.zeros(33, np.uint8))
    assert network_of(curve, layers[1]).n_bytes == 625 + 33


def test_a_pickle_holds_no_second_copy_of_the_weights():
    network = network_of(layer_of(100, 50))
    codes = np.ones((1, 100), np.int16)
    before = len(pickle.dumps(network))
    expected = network.logits(codes)
    assert len(pickle.dumps(network)) == before
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(network)).logits(codes), expected)


def one_unit(n_in, weight, bias):
    return layer_of(
        n_in,
        2,
        weights=np.full((n_in, 2), weight, np.int8),
        biases=np.full(2, bias, np.int32),
    )


def test_the_last_sum_that_fits_is_taken_and_the_next_refused():
    bound = 100 * 127 * 32767
    room = 2**31 - 1 - bound
    full = network_of(one_unit(100, 127, room))
    full.check()
    extreme = np.full((1, 100), 32767, np.int16)
    assert full.accumulators(extreme)[0].tolist() == [[2**31 - 1] * 2]
    for bias in (room + 1, -(room + 1)):
        with pytest.raises(ValueError, match=r"Layer 0 could sum up to 2,147,483,648, and"):
            network_of(one_unit(100, 127, bias)).check()
    network_of(one_unit(100, -127, -room)).check()
    network_of(one_unit(1000, 127, 0), input_limit=3276).check()
    with pytest.raises(ValueError, match="Layer 0 could sum up to"):
        network_of(one_unit(1000, 127, 0)).check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": np.zeros((3, 2), np.int16)}, "layer 0: weights must be int8, found int16"),
        ({"weights": np.full((3, 2), -128, np.int8)}, "weights must lie between -127 and 127"),
        ({"biases": np.zeros(2)}, "biases must be int32, found float64"),
        ({"biases": np.zeros(3, np.int32)}, r"biases must be \(2,\), found \(3,\)"),
        ({"multipliers": np.full(2, -1, np.int16)}, "multipliers must not be negative"),
        ({"shifts": np.zeros(2, np.uint8)}, "shifts must lie between 1 and 62"),
        ({"shifts": np.full(2, 63, np.uint8)}, "shifts must lie between 1 and 62"),
        ({"shifts": np.full(2, 1, np.uint8)}, "logits must be rescaled by at most 1"),
        ({"curve": np.zeros(33, np.uint8)}, "logits must be rescaled by at most 1, and by no"),
        (
            {"curve": np.zeros(32, np.uint8)},
            r"a curve must be 33 numbers of uint8, found .* \(32,\)",
        ),
        ({"curve": np.zeros(33)}, "a curve must be 33 numbers of uint8, found float64"),
        ({"curve": np.full(33, 255, np.uint8)}, "a curve goes up to 254, found 255"),
    ],
)
def test_layers_that_are_none(changes, message):
    with pytest.raises(ValueError, match=message):
        network_of(layer_of(3, 2, **changes)).check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bits": 3}, "Weights have 8 or 4 bits, got bits=3"),
        ({"bits": 4}, "weights must lie between -7 and 7"),
        ({"output": "logistic"}, "A logistic output is one unit, found 2"),
        ({"output": "exec"}, "must be 'softmax' or 'logistic'"),
        ({"layers": ()}, "must be 'softmax' or 'logistic'"),
        ({"input_limit": 32768}, "input_limit must lie between 1 and 32767"),
        ({"input_scale": np.float32([np.nan])}, "must be finite"),
        ({"input_scale": np.float32([0])}, "must be finite"),
        ({"input_offset": np.zeros(2, np.float32)}, "one entry or one per feature"),
        ({"logit_scale": 0.0}, "logit_scale must be above 0"),
        ({"dtype": np.dtype("i4")}, "dtype float32 or float64"),
        ({"layers": (layer_of(3, 4), layer_of(3, 2))}, "4 units does not fit to the next"),
    ],
)
def test_networks_that_are_none(changes, message):
    with pytest.raises(ValueError, match=message):
        network_of(layer_of(3, 2), **changes).check()
