"""An integer network in ONNX: the arithmetic of the package, operator by operator.

Not by QLinearMatMul or MatMulInteger: what they multiply is rounded to even, and on processors
without VNNI onnxruntime adds pairs of products in 16 bits, which saturate. Sums of int32 are exact
everywhere.
"""

from __future__ import annotations

import numpy as np

from ..integers import IntegerConvolution, IntegerLayer, IntegerNetwork
from ..integers._curve import CURVE_MIDDLE, N_BETWEEN, PLACE_LIMIT
from ..integers._layers import CODE_LIMIT
from ._onnx_graph import Graph

__all__ = ["add_integer_network"]

#: Types of ONNX, as `Cast` takes them.
_INT32, _INT64, _DOUBLE = 6, 7, 11
_FLOATS = {"float32": 1, "float64": _DOUBLE}


def add_integer_network(
    graph: Graph, network: IntegerNetwork, classes: np.ndarray, value: str
) -> None:
    """Add the network behind `value`, with the graph's two outputs."""
    value = _quantize_input(graph, network, value)
    for layer in network.layers[:-1]:
        if isinstance(layer, IntegerConvolution):
            value = _windows(graph, layer, value)
        codes = _activated(graph, layer, _layer(graph, layer, value))
        if isinstance(layer, IntegerConvolution):
            codes = _pooled(graph, layer, codes)
        value = graph.add("Cast", codes, to=_INT32)
    logits = graph.add("Cast", _layer(graph, network.layers[-1], value), to=_INT32)
    scaled = graph.add("Cast", logits, to=_DOUBLE)
    scaled = graph.add("Mul", scaled, graph.constant(np.float64(network.logit_scale), exact=True))
    kind = _FLOATS[np.dtype(network.dtype).name]
    if network.output == "softmax":
        code = graph.add("ArgMax", logits, axis=1, keepdims=0)
        probabilities = graph.add("Softmax", scaled, axis=1)
    else:
        code = graph.add("Cast", graph.add("Greater", logits, _zero(graph)), to=_INT64)
        code = graph.add("Squeeze", code, graph.constant(np.array([1])))
        second = graph.add("Sigmoid", scaled)
        first = graph.add("Sub", graph.constant(np.ones(1), exact=True), second)
        probabilities = graph.add("Concat", first, second, axis=1)
    graph.add("Cast", probabilities, to=kind, output="probabilities")
    graph.add_labels(classes, code)


def _zero(graph: Graph) -> str:
    return graph.constant(np.zeros(1, np.int32))


def _quantize_input(graph: Graph, network: IntegerNetwork, value: str) -> str:
    """Round to integers, in double precision as Python does, a half away from zero."""
    offset, scale = (
        graph.constant(array.astype(np.float64), exact=True)
        for array in (network.input_offset, network.input_scale)
    )
    value = graph.add("Cast", value, to=_DOUBLE)
    value = graph.add("Mul", graph.add("Sub", value, offset), scale)
    half = graph.constant(np.float64(0.5), exact=True)
    size = graph.add("Floor", graph.add("Add", graph.add("Abs", value), half))
    limit = np.float64(network.input_limit)
    limits = (graph.constant(end, exact=True) for end in (-limit, limit))
    value = graph.add("Clip", graph.add("Mul", size, graph.add("Sign", value)), *limits)
    return graph.add("Cast", value, to=_INT32)


def _windows(graph: Graph, layer: IntegerConvolution, value: str) -> str:
    """Pick what the kernel sees at each position, (n_samples, n_windows, n_in)."""
    places = layer.windows(np.arange(layer.n_inputs)[None])[0]
    found = graph.add("Gather", value, graph.constant(places.ravel()), axis=1)
    return graph.add("Reshape", found, graph.constant(np.array([-1, *places.shape])))


def _activated(graph: Graph, layer: IntegerLayer, rescaled: str) -> str:
    """Clip to codes, or do what `curve_codes` does, in int64."""

    def whole(number: int) -> str:
        return graph.constant(np.int64(number))

    if layer.curve is None:
        return graph.add("Clip", rescaled, whole(0), whole(CODE_LIMIT))
    size = graph.add("Clip", graph.add("Abs", rescaled), whole(0), whole(PLACE_LIMIT))
    below = graph.add("Div", size, whole(N_BETWEEN))
    part = graph.add("Sub", size, graph.add("Mul", below, whole(N_BETWEEN)))
    points = layer.curve.astype(np.int64)
    starts, rises = (
        graph.constant(points[:-1] * N_BETWEEN + N_BETWEEN),
        graph.constant(np.diff(points)),
    )
    height = graph.add("Mul", graph.add("Gather", rises, below), part)
    height = graph.add("Add", graph.add("Gather", starts, below), height)
    height = graph.add("Div", height, whole(2 * N_BETWEEN))
    return graph.add(
        "Add", graph.add("Mul", height, graph.add("Sign", rescaled)), whole(CURVE_MIDDLE)
    )


def _pooled(graph: Graph, layer: IntegerConvolution, codes: str) -> str:
    """Pool codes, int64, and lay them flat."""
    n_out, size = layer.weights.shape[1], layer.pool_size
    shape = np.array([-1, layer.n_pooled, size, n_out])
    pools = graph.add("Reshape", codes, graph.constant(shape))
    if layer.pool == "max":
        found = graph.add("ReduceMax", pools, axes=[2], keepdims=0)
    else:
        total = graph.add("ReduceSum", pools, graph.constant(np.array([2])), keepdims=0)
        total = graph.add("Mul", total, graph.constant(np.int64(2)))
        total = graph.add("Add", total, graph.constant(np.int64(size)))
        found = graph.add("Div", total, graph.constant(np.int64(2 * size)))
    found = graph.add("Transpose", found, perm=[0, 2, 1])
    return graph.add("Reshape", found, graph.constant(np.array([-1, layer.n_outputs])))


def _layer(graph: Graph, layer: IntegerLayer, value: str) -> str:
    """Return the rescaled sums, as int64."""
    weights = graph.add("Cast", graph.constant(layer.weights), to=_INT32)
    sums = graph.add("Add", graph.add("MatMul", value, weights), graph.constant(layer.biases))
    sums = graph.add("Cast", sums, to=_INT64)
    shifts = layer.shifts.astype(np.int64)
    multipliers = graph.constant(layer.multipliers.astype(np.int64))
    product = graph.add("Mul", sums, multipliers)
    size = graph.add("Add", graph.add("Abs", product), graph.constant(np.int64(1) << (shifts - 1)))
    size = graph.add("Div", size, graph.constant(np.int64(1) << shifts))
    return graph.add("Mul", size, graph.add("Sign", product))
