"""A skorch net whose module is a chain, as a `DenseNetwork`; batch norm is folded in."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import nn

from ..exceptions import UnsupportedNetworkError
from ..networks import ACTIVATIONS, DenseNetwork
from ..networks._chain import Chain, read_chain
from ..pruning._skorch_model import trace_net

__all__ = ["check_output", "network_of_net"]

#: What may happen to a table of numbers before the first layer without changing one.
_HARMLESS = {"flatten", "view", "reshape", "float", "double", "to", "contiguous"}


def network_of_net(net: NeuralNetClassifier) -> DenseNetwork:
    """Return the network of a fitted net, with the same outputs."""
    chain = read_chain(net.module_, trace_net(net))
    _check_input(chain)
    check_output(net, chain.trace.ending)
    with torch.no_grad():
        return _fold(chain, deepcopy(net.module_).cpu().eval())


def check_output(net: NeuralNetClassifier, last: str) -> None:
    """Raise unless the module's end and the criterion make `predict_proba` a softmax.

    Parameters
    ----------
    net : NeuralNetClassifier
    last : str
        Kind of the operation that the module ends in.
    """
    # skorch itself adds a softmax for the cross-entropy only.
    adds_softmax = isinstance(net.criterion_, nn.CrossEntropyLoss)
    if (last == "softmax") is adds_softmax or (last == "log_softmax" and not adds_softmax):
        raise UnsupportedNetworkError(
            f"{type(net.module_).__name__} ends in {last} and is trained with "
            f"{type(net.criterion_).__name__}, so predict_proba of the skorch net gives no softmax "
            "of its scores. Use CrossEntropyLoss without a Softmax, or NLLLoss with one."
        )


def _check_input(chain: Chain) -> None:
    """Refuse what changes numbers and is no link: `trace_chain` lets it pass before the Linear."""
    for operation in chain.trace.operations:
        is_link = operation in chain.links
        if operation.is_random or not (is_link or operation.function in _HARMLESS):
            raise UnsupportedNetworkError(
                f"The module runs {operation.function} on its data"
                + (" in evaluation mode too" if operation.is_random else "")
                + ", which a dense network cannot stand for."
            )


def _fold(chain: Chain, module: nn.Module) -> DenseNetwork:
    """Walk along the chain; a batch norm goes into the Linear before or else after it."""
    weights: list[np.ndarray] = []
    biases: list[np.ndarray] = []
    activations: list[str] = []
    scale, shift = np.ones(()), np.zeros(())  # what the next Linear's input goes through
    is_open = False  # whether a Linear waits for its activation
    for link in chain.links:
        part = module.get_submodule(link.module)
        if link.kind == "linear":
            assert isinstance(part, nn.Linear)
            if is_open:
                activations.append("identity")
            weight = _array(part.weight).T
            bias = np.zeros(weight.shape[1]) if part.bias is None else _array(part.bias)
            biases.append(bias + np.broadcast_to(shift, len(weight)) @ weight)
            weights.append(np.broadcast_to(scale, len(weight))[:, None] * weight)
            scale, shift, is_open = np.ones(()), np.zeros(()), True
        elif link.kind == "norm":
            assert isinstance(part, nn.BatchNorm1d)
            factor, offset = _scale_and_shift(part)
            if is_open:
                weights[-1], biases[-1] = weights[-1] * factor, biases[-1] * factor + offset
            else:
                scale, shift = scale * factor, shift * factor + offset
        elif link.kind in ACTIVATIONS and is_open:
            activations.append(link.kind)
            is_open = False
        elif link.kind not in {"skip", "softmax", "log_softmax"}:
            raise UnsupportedNetworkError(
                f"{link.kind} in {link.module!r} has no place in a dense network, which has one of "
                f"{', '.join(ACTIVATIONS)} after each hidden Linear."
            )
    if not is_open:
        raise UnsupportedNetworkError(
            "An activation follows the last Linear; only a softmax over the classes may."
        )
    is_double = next(module.parameters()).dtype == torch.float64
    dtype = np.float64 if is_double else np.float32
    return DenseNetwork(
        tuple(np.ascontiguousarray(weight, dtype=dtype) for weight in weights),
        tuple(bias.astype(dtype) for bias in biases),
        tuple(activations),
    )


def _scale_and_shift(norm: nn.BatchNorm1d) -> tuple[np.ndarray, np.ndarray]:
    """Return factor and offset of a batch norm in evaluation mode."""
    if norm.running_mean is None or norm.running_var is None:
        raise UnsupportedNetworkError(
            "A BatchNorm1d without running statistics looks at the whole batch when it predicts; "
            "a dense network takes each sample alone."
        )
    factor = 1 / np.sqrt(_array(norm.running_var) + norm.eps)
    offset = -_array(norm.running_mean) * factor
    if norm.affine:
        factor, offset = factor * _array(norm.weight), offset * _array(norm.weight)
        offset = offset + _array(norm.bias)
    return factor, offset


def _array(tensor: torch.Tensor) -> np.ndarray:
    """Return the numbers in double precision, so that folding adds no error of its own."""
    return tensor.detach().double().numpy()
