"""A torch module read as a chain: Linear, activation, BatchNorm1d, Dropout.

What `_tracing` sees may branch and convolve; what is predicted by compiled code, and written down
as arrays, is a dense network, which does neither.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from torch import nn

from ..exceptions import UnsupportedNetworkError
from ._labels import Operation
from ._places import Place
from ._tracing import Trace, trace_table

__all__ = ["Chain", "HiddenLayer", "read_chain", "trace_chain"]


@dataclass(frozen=True)
class HiddenLayer:
    """Units that can be cut: who makes them, what normalises them, who uses them.

    Parameters
    ----------
    producer, consumer : str
        Names of the Linear modules before and after the units.
    norms : tuple of str
        Names of the BatchNorm1d modules between the two.
    activation : str
        Kind of the activation, "identity" where there is none.
    activation_call, consumer_call : int
        Which of the forward's function calls gives the units' activations, and which is the
        consumer's.
    """

    producer: str
    consumer: str
    norms: tuple[str, ...]
    activation: str
    activation_call: int
    consumer_call: int


@dataclass(frozen=True, eq=False)
class Chain:
    """A traced module: the operations in order, and the hidden layers among them.

    Parameters
    ----------
    links : tuple of Operation
        From the first that changes numbers on.
    hidden : tuple of HiddenLayer
    trace : Trace
        All that was seen.
    """

    links: tuple[Operation, ...]
    hidden: tuple[HiddenLayer, ...]
    trace: Trace

    def places(self, layer: int) -> tuple[Place, ...]:
        """Where the units of a hidden layer are."""
        return self.trace.places[self.hidden[layer].producer]

    def cut(self, layer: int, keep: np.ndarray) -> Chain:
        """Count anew after a cut of one hidden layer."""
        return replace(self, trace=self.trace.cut(self.hidden[layer].producer, keep))


def trace_chain(module: nn.Module, n_features: int | None = None) -> Chain:
    """Trace a module and check that it is a chain.

    Parameters
    ----------
    module : torch.nn.Module
        It stays as it was, and no random number is drawn.
    n_features : int or None, default=None
        Columns of its input; by default what its first layer takes.

    Returns
    -------
    chain : Chain
        Its hidden layers from the input on, and where the units of each are.

    Raises
    ------
    UnsupportedNetworkError
        Naming the first layer or operation that does not belong in one.
    """
    return read_chain(module, trace_table(module, n_features))


def read_chain(module: nn.Module, trace: Trace) -> Chain:
    """Read a traced module as a chain.

    Raises
    ------
    UnsupportedNetworkError
        As `trace_chain` does.
    """
    kind = type(module).__name__
    links = _links(module, trace)
    linear = [i for i, link in enumerate(links) if link.kind == "linear"]
    if len(linear) < 2:
        raise UnsupportedNetworkError(
            f"{kind} holds {len(linear)} Linear layers; a network with a hidden layer has at least "
            "two."
        )
    if links[linear[-1] + 1 :] and links[-1].kind not in {"softmax", "log_softmax", "skip"}:
        raise UnsupportedNetworkError(
            f"{kind} ends in {links[-1].kind}; after the last Linear only a softmax over the "
            "classes may follow."
        )
    hidden = tuple(_hidden_layer(links[a : b + 1], kind) for a, b in pairwise(linear))
    return Chain(links, hidden, trace)


def _links(module: nn.Module, trace: Trace) -> tuple[Operation, ...]:
    """Check that each value goes on to one operation alone, and drop what moves no number."""
    kind, operations = type(module).__name__, trace.operations
    users = [inputs for operation in operations for inputs in operation.inputs]
    links: list[Operation] = []
    used = set()
    for i, operation in enumerate(operations):
        what = _describe(operation, module)
        if operation.kind == "conv":
            raise UnsupportedNetworkError(
                f"{kind} has {what}; a dense network has Linear layers and no convolution."
            )
        # What happens to the data before is no cut's concern.
        seen_linear = any(link.kind == "linear" for link in links)
        moves = operation.kind == "shape" and operation.keeps_shape
        if seen_linear and not moves and operation.kind in {"other", "shape"}:
            raise UnsupportedNetworkError(
                f"{kind} has {what} after its first Linear; only Linear, activation, BatchNorm1d "
                "and Dropout can be there."
            )
        goes_on = i == len(operations) - 1 or users.count(i) == 1
        inside = seen_linear or operation.kind == "linear"
        if inside and not (goes_on and len(operation.inputs) == 1):
            raise UnsupportedNetworkError(
                f"{kind} branches at {operation.function!r}; only a chain of Linear, activation, "
                "BatchNorm1d and Dropout can be pruned."
            )
        if operation.kind in {"linear", "norm"}:
            if operation.module in used:
                raise UnsupportedNetworkError(
                    f"{kind} runs {operation.module!r} twice; shared layers cannot be pruned."
                )
            used.add(operation.module)
        if operation.kind not in {"other", "shape"}:
            links.append(operation)
    return tuple(links)


def _describe(operation: Operation, module: nn.Module) -> str:
    part = module.get_submodule(operation.module)
    if operation.module and not list(part.children()):
        return f"{type(part).__name__} {operation.module!r}"
    return f"{operation.function}()"


def _hidden_layer(links: tuple[Operation, ...], kind: str) -> HiddenLayer:
    """Read one hidden layer from the links producer ... consumer."""
    producer, *between, consumer = links
    activations = [link for link in between if link.kind not in {"norm", "skip"}]
    if len(activations) > 1 or any("softmax" in link.kind for link in activations):
        raise UnsupportedNetworkError(
            f"{kind} has {[link.kind for link in activations]} between {producer.module!r} and "
            f"{consumer.module!r}; one activation per layer can be pruned."
        )
    last = between[-1] if between else producer
    # Without an activation the units are what the norms make of the producer's output.
    unit = activations[0] if activations else last
    return HiddenLayer(
        producer=producer.module,
        consumer=consumer.module,
        norms=tuple(link.module for link in between if link.kind == "norm"),
        activation=activations[0].kind if activations else "identity",
        activation_call=unit.call,
        consumer_call=consumer.call,
    )
