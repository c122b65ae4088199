"""A network as a description and arrays, and back: in floats, or in integers."""

from __future__ import annotations

import numpy as np

from ..exceptions import DataFormatError
from ..integers import IntegerConvolution, IntegerLayer, IntegerNetwork
from ..integers._curve import N_POINTS
from ..networks import DenseNetwork
from ._sparse import put_weights, sparse_form, take_sparse, unpack_nibbles

__all__ = ["build_network", "describe_network", "take"]

#: What a file says of a convolution beside its arrays.
_GEOMETRY = ("n_channels", "n_positions", "kernel_size", "stride", "pool", "pool_size")

_FLOATS = ("float32", "float64")
#: Arrays of a layer in integers -> their dtype.
_PER_UNIT = {"bias": "int32", "multiplier": "int16", "shift": "uint8"}


def describe_network(
    network: DenseNetwork | IntegerNetwork,
) -> tuple[dict, dict[str, np.ndarray]]:
    """Return what JSON holds of a network, and its arrays."""
    description = {
        "widths": [network.n_features, *network.widths, _n_outputs(network)],
        "output": network.output,
        "dtype": np.dtype(network.dtype).name,
    }
    if isinstance(network, IntegerNetwork):
        return _describe_integers(network, description)
    tensors: dict[str, np.ndarray] = {}
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        put_weights(tensors, f"network.{i}.weight", weight)
        tensors[f"network.{i}.bias"] = np.ascontiguousarray(bias)
    return description | {"activations": list(network.activations)}, tensors


def build_network(found: dict, tensors: dict[str, np.ndarray]) -> DenseNetwork | IntegerNetwork:
    """Make the network of a description, and take its arrays out of `tensors`."""
    widths, activations = found["widths"], found["activations"]
    if len(widths) < 2 or len(activations) != len(widths) - 2:
        raise DataFormatError(
            f"network: {len(widths)} widths need {max(len(widths) - 2, 0)} activations, found "
            f"{len(activations)}."
        )
    if found["output"] == "logistic" and widths[-1] != 1:
        raise DataFormatError(f"network.widths: a logistic output is one unit, found {widths[-1]}.")
    if "bits" in found:
        return _build_integers(found, tensors)
    weights, biases = [], []
    for i in range(len(widths) - 1):
        shape = (widths[i], widths[i + 1])
        weights.append(take(tensors, f"network.{i}.weight", shape, found["dtype"]))
        biases.append(take(tensors, f"network.{i}.bias", shape[1:], found["dtype"]))
    return DenseNetwork(tuple(weights), tuple(biases), tuple(activations), found["output"])


def take(tensors: dict[str, np.ndarray], key: str, shape=None, dtype=None) -> np.ndarray:
    """Take an array out of `tensors`, checked; without a dtype it holds floats.

    Of a shape it may be stored sparsely.
    """
    if shape is not None and sparse_form(tensors, key):
        return take_sparse(
            tensors, key, shape, lambda key, shape, own: take(tensors, key, shape, own or dtype)
        )
    if key not in tensors:
        raise DataFormatError(f"the array {key!r} is missing.")
    array = tensors.pop(key)
    if array.dtype.name not in ((dtype,) if dtype else _FLOATS):
        raise DataFormatError(
            f"the array {key!r} must be {dtype or 'float32 or float64'}, found {array.dtype}."
        )
    if shape is not None and array.shape != shape:
        raise DataFormatError(f"the array {key!r} must be {shape}, found {array.shape}.")
    if not np.isfinite(array).all():
        raise DataFormatError(f"the array {key!r} holds NaN or infinity.")
    return array


def _n_outputs(network: DenseNetwork | IntegerNetwork) -> int:
    return 1 if network.output == "logistic" else network.n_classes


def _describe_integers(network: IntegerNetwork, description: dict):
    tensors = {"network.scale": network.input_scale, "network.offset": network.input_offset}
    convolutions = []
    for i, layer in enumerate(network.layers):
        if isinstance(layer, IntegerConvolution):
            convolutions.append({name: getattr(layer, name) for name in _GEOMETRY})
        put_weights(tensors, f"network.{i}.weight", layer.weights, network.bits)
        arrays = (layer.biases, layer.multipliers, layer.shifts)
        for what, array in zip(_PER_UNIT, arrays, strict=True):
            tensors[f"network.{i}.{what}"] = np.ascontiguousarray(array)
        if layer.curve is not None:
            tensors[f"network.{i}.curve"] = layer.curve
    # Left out where there is none: so earlier versions open the file.
    geometry = {"convolutions": convolutions} if convolutions else {}
    return description | geometry | {
        "activations": ["clip" if a.curve is None else "curve" for a in network.layers[:-1]],
        "bits": network.bits,
        "input_limit": network.input_limit,
        "logit_scale": network.logit_scale,
    }, tensors


def _build_integers(found: dict, tensors: dict[str, np.ndarray]) -> IntegerNetwork:
    """Make the network, after every promise of its arithmetic has been proved again."""
    widths, layers = found["widths"], list[IntegerLayer]()
    convolutions = found.get("convolutions", [])
    if len(convolutions) > len(found["activations"]):
        raise DataFormatError(f"network.convolutions has {len(convolutions)} entries, too many.")
    for i, kind in enumerate([*found["activations"], "clip"]):
        shape = (widths[i], widths[i + 1])
        geometry = convolutions[i] if i < len(convolutions) else None
        if geometry is not None:
            shape = (geometry["n_channels"] * geometry["kernel_size"], shape[1])
        elif layers and isinstance(layers[-1], IntegerConvolution):
            shape = (layers[-1].n_outputs, shape[1])
        weights = _integer_weights(tensors, f"network.{i}.weight", shape, found["bits"])
        per_unit = [
            take(tensors, f"network.{i}.{what}", shape[1:], dtype)
            for what, dtype in _PER_UNIT.items()
        ]
        curve = None
        if kind == "curve":
            curve = take(tensors, f"network.{i}.curve", (N_POINTS,), "uint8")
        biases, multipliers, shifts = per_unit
        arrays = (weights, biases, multipliers, shifts, curve)
        if geometry is None:
            layers.append(IntegerLayer(*arrays))
        else:
            layers.append(IntegerConvolution(*arrays, **geometry))
    network = IntegerNetwork(
        layers=tuple(layers),
        bits=found["bits"],
        output=found["output"],
        input_scale=take(tensors, "network.scale", dtype="float32"),
        input_offset=take(tensors, "network.offset", dtype="float32"),
        input_limit=found["input_limit"],
        logit_scale=float(found["logit_scale"]),  # JSON has whole numbers of any size
        dtype=np.dtype(found["dtype"]),
    )
    try:
        network.check()
    except ValueError as error:
        raise DataFormatError(f"network: {error}") from error
    return network


def _integer_weights(
    tensors: dict[str, np.ndarray], key: str, shape: tuple[int, int], bits: int
) -> np.ndarray:
    if bits != 4:
        return take(tensors, key, shape, "int8")
    if sparse_form(tensors, key):
        return take_sparse(tensors, key, shape, lambda *what: take(tensors, *what), bits)
    size = shape[0] * shape[1]
    return unpack_nibbles(take(tensors, key, ((size + 1) // 2,), "uint8"))[:size].reshape(shape)
