"""What a torch module is made of, if it is a chain: Linear, activation, BatchNorm1d, Dropout.

The module is traced with torch.fx, so that functional calls (`F.relu(x)`) and
nested modules are seen as they run, and a branch is an error, not a wrong cut.
Convolutions and branched modules need a dependency graph instead of a chain;
they are refused here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import fx, nn

from ..exceptions import UnsupportedNetworkError
from ._activations import ACTIVATIONS

__all__ = ["Chain", "HiddenLayer", "Link", "trace_chain"]

_MODULES = {
    nn.Linear: "linear",
    nn.BatchNorm1d: "norm",
    nn.LeakyReLU: "leaky_relu",
    nn.ELU: "elu",
    nn.GELU: "gelu",
    nn.SiLU: "silu",
    nn.Identity: "skip",
    nn.Dropout: "skip",
    nn.Softmax: "softmax",
    nn.LogSoftmax: "log_softmax",
}
_FUNCTIONS = {
    F.leaky_relu: "leaky_relu",
    F.elu: "elu",
    F.gelu: "gelu",
    F.silu: "silu",
    F.dropout: "skip",
    F.softmax: "softmax",
    torch.softmax: "softmax",
    F.log_softmax: "log_softmax",
    torch.log_softmax: "log_softmax",
}
_METHODS = {"softmax": "softmax"}
for _activation in ACTIVATIONS.values():
    if _activation.torch_function:  # an Identity is skipped, as if it were not there
        _MODULES[getattr(nn, _activation.torch_module)] = _activation.name
        _FUNCTIONS[getattr(F, _activation.torch_function)] = _activation.name
        _FUNCTIONS[getattr(torch, _activation.torch_function)] = _activation.name
        _METHODS[_activation.torch_function] = _activation.name


class Link(NamedTuple):
    """One operation: its `kind`, the fx node's name, and the module's name where it is one."""

    kind: str
    node: str
    module: str | None


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
    activation_node, consumer_input : str
        fx nodes whose values are the units' activations, and what reaches the consumer.
    """

    producer: str
    consumer: str
    norms: tuple[str, ...]
    activation: str
    activation_node: str
    consumer_input: str


@dataclass(frozen=True, eq=False)
class Chain:
    """A traced module: the operations in order, and the hidden layers among them."""

    graph: fx.GraphModule
    links: tuple[Link, ...]
    hidden: tuple[HiddenLayer, ...]


def trace_chain(module: nn.Module) -> Chain:
    """Trace a module and check that it is a chain.

    Raises
    ------
    UnsupportedNetworkError
        Naming the first operation that does not belong in one.
    """
    try:
        graph = fx.symbolic_trace(module)
    except Exception as error:
        raise UnsupportedNetworkError(
            f"{type(module).__name__} cannot be traced ({error}). Its forward must run the same "
            "operations whatever the data: Linear, activation, BatchNorm1d and Dropout in a chain."
        ) from error
    links = tuple(_links(graph, module))
    linear = [i for i, link in enumerate(links) if link.kind == "linear"]
    if len(linear) < 2:
        raise UnsupportedNetworkError(
            f"{type(module).__name__} holds {len(linear)} Linear layers; a network with a hidden "
            "layer has at least two."
        )
    if links[linear[-1] + 1 :] and links[-1].kind not in {"softmax", "log_softmax", "skip"}:
        raise UnsupportedNetworkError(
            f"{type(module).__name__} ends in {links[-1].kind}; after the last Linear only a "
            "softmax over the classes may follow."
        )
    hidden = tuple(_hidden_layer(links[a : b + 1], module) for a, b in pairwise(linear))
    return Chain(graph, links, hidden)


def _links(graph: fx.GraphModule, module: nn.Module):
    modules = dict(module.named_modules())
    seen_linear, used = False, set()
    for node in graph.graph.nodes:
        if node.op in {"placeholder", "output"}:
            continue
        if len(node.users) != 1 or len(node.all_input_nodes) > 1:
            raise UnsupportedNetworkError(
                f"{type(module).__name__} branches at {node.name!r}; only a chain of Linear, "
                "activation, BatchNorm1d and Dropout can be pruned."
            )
        kind = _kind(node, modules)
        name = node.target if node.op == "call_module" else None
        if kind is None:
            if seen_linear:
                raise UnsupportedNetworkError(
                    f"{type(module).__name__} has {_describe(node, modules)} after its first "
                    "Linear; only Linear, activation, BatchNorm1d and Dropout can be there."
                )
            continue  # flattening or casting of the input
        if kind in {"linear", "norm"} and name in used:
            raise UnsupportedNetworkError(
                f"{type(module).__name__} runs {name!r} twice; shared layers cannot be pruned."
            )
        used.add(name)
        seen_linear = seen_linear or kind == "linear"
        yield Link(kind, node.name, name)


def _kind(node: fx.Node, modules: dict[str, nn.Module]) -> str | None:
    if node.op == "call_module":
        return _MODULES.get(type(modules[str(node.target)]))
    table: dict = _METHODS if node.op == "call_method" else _FUNCTIONS
    return table.get(node.target)


def _describe(node: fx.Node, modules: dict[str, nn.Module]) -> str:
    if node.op == "call_module":
        return f"{type(modules[str(node.target)]).__name__} {node.target!r}"
    return f"{getattr(node.target, '__name__', node.target)}()"


def _hidden_layer(links: tuple[Link, ...], module: nn.Module) -> HiddenLayer:
    """Read one hidden layer from the links producer ... consumer."""
    producer, *between, consumer = links
    activations = [link for link in between if link.kind not in {"norm", "skip"}]
    if len(activations) > 1 or any("softmax" in link.kind for link in activations):
        raise UnsupportedNetworkError(
            f"{type(module).__name__} has {[link.kind for link in activations]} between "
            f"{producer.module!r} and {consumer.module!r}; one activation per layer can be pruned."
        )
    last = between[-1] if between else producer
    # Without an activation the units are what the norms make of the producer's output.
    unit = activations[0] if activations else last
    return HiddenLayer(
        producer=str(producer.module),
        consumer=str(consumer.module),
        norms=tuple(str(link.module) for link in between if link.kind == "norm"),
        activation=activations[0].kind if activations else "identity",
        activation_node=unit.node,
        consumer_input=last.node,
    )
