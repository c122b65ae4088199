"""A torch module that convolves along the spectrum, read as arrays; batch norm is folded in."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from ..exceptions import UnsupportedNetworkError
from ._dense import DenseNetwork
from ._spectral_network import SpectralConvolution, SpectralNetwork

__all__ = ["read_spectral"]

_ACTIVATIONS = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "logistic", nn.Identity: "identity"}
#: What changes no number in evaluation mode.
_NOTHING = (nn.Flatten, nn.Dropout, nn.Dropout1d, nn.Softmax, nn.LogSoftmax, nn.Identity)


def read_spectral(module: nn.Module, shape: tuple[int, ...]) -> SpectralNetwork:
    """Read Conv1d, BatchNorm1d, activation, pooling, Flatten and Linear, one behind the other.

    Layers are taken in the order in which a sample passes them, and what was read is compared with
    the module on random samples: so a forward may call functions of its own between them, as long
    as these compute nothing.

    Parameters
    ----------
    module : torch.nn.Module
        It stays as it was.
    shape : tuple of int
        Of a sample.

    Returns
    -------
    network : SpectralNetwork

    Raises
    ------
    UnsupportedNetworkError
        Naming the layer that has no place in such a chain, or saying that the module computes
        something else.
    """
    parameter = next(module.parameters())
    generator = torch.Generator().manual_seed(0)
    X = torch.randn((5, *shape), generator=generator, dtype=torch.float64)
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            seen, output = _run(module, X.to(parameter.device, parameter.dtype))
            network = _Reader(type(module).__name__, parameter).read(seen)
            expected = output.double().cpu().numpy()
    finally:
        module.train(training)
    found = network.forward(X.flatten(1).numpy())[-1]
    # A softmax at the end changes no order of classes, and is none of the network's.
    if isinstance(seen[-1][0], (nn.Softmax, nn.LogSoftmax)):
        ending = torch.log_softmax if isinstance(seen[-1][0], nn.LogSoftmax) else torch.softmax
        found = ending(torch.from_numpy(found), 1).numpy()
    tolerance = 1e-3 * max(1.0, float(np.abs(expected).max()))
    if found.shape != expected.shape or not np.allclose(found, expected, atol=tolerance):
        raise UnsupportedNetworkError(
            f"{type(module).__name__} computes something else than its layers one behind the "
            "other, so that it cannot be written as a chain of Conv1d, BatchNorm1d, activation, "
            "pooling and Linear."
        )
    return network


def _run(module: nn.Module, X: torch.Tensor) -> tuple[list[tuple[nn.Module, torch.Size]], Any]:
    """Return the layers in the order in which they run, each with the shape of its input."""
    seen: list[tuple[nn.Module, torch.Size]] = []
    leaves = [part for part in module.modules() if not list(part.children())]
    hooks = [
        part.register_forward_pre_hook(lambda layer, given: seen.append((layer, given[0].shape)))
        for part in leaves
    ]
    try:
        return seen, module(X)
    finally:
        for hook in hooks:
            hook.remove()


class _Reader:
    """Takes layer after layer, and joins them to convolutions and dense layers."""

    def __init__(self, name: str, parameter: torch.Tensor):
        self.name = name
        self.dtype = np.float64 if parameter.dtype == torch.float64 else np.float32
        self.convolutions: list[dict] = []
        self.dense: list[dict] = []

    def read(self, seen: list[tuple[nn.Module, torch.Size]]) -> SpectralNetwork:
        for layer, shape in seen:
            self._take(layer, shape)
        if not self.convolutions or not self.dense:
            raise UnsupportedNetworkError(
                f"{self.name} has {len(self.convolutions)} Conv1d and {len(self.dense)} Linear; a "
                "spectral network has one of each at least."
            )
        if self.dense[-1]["activation"] is not None:
            raise UnsupportedNetworkError(
                f"{self.name} has an activation behind its last Linear; only a softmax may be "
                "there."
            )
        return SpectralNetwork(
            tuple(SpectralConvolution(**self._as_stored(each)) for each in self.convolutions),
            DenseNetwork(
                tuple(np.ascontiguousarray(each["weight"].T, self.dtype) for each in self.dense),
                tuple(each["bias"].astype(self.dtype) for each in self.dense),
                tuple(each["activation"] or "identity" for each in self.dense[:-1]),
            ),
        )

    def _as_stored(self, each: dict) -> dict:
        arrays = {name: each[name].astype(self.dtype) for name in ("weight", "bias")}
        return each | arrays | {"activation": each["activation"] or "identity"}

    def _take(self, layer: nn.Module, shape: torch.Size) -> None:
        behind = self.dense or self.convolutions
        last = behind[-1] if behind else None
        if isinstance(layer, nn.Conv1d) and not self.dense:
            self.convolutions.append(self._convolution(layer, shape))
        elif isinstance(layer, nn.Linear) and len(shape) == 2:
            self.dense.append(_weights(layer))
        elif isinstance(layer, nn.BatchNorm1d) and last and last["activation"] is None:
            _fold(layer, last, self._refuse)
        elif type(layer) in _ACTIVATIONS and last and last["activation"] is None:
            last["activation"] = _ACTIVATIONS[type(layer)]
        elif isinstance(layer, (nn.MaxPool1d, nn.AvgPool1d)) and last is self._last_unpooled():
            self._pool(layer, last)
        elif not isinstance(layer, _NOTHING):
            self._refuse(layer, "has no place there")

    def _last_unpooled(self) -> dict | None:
        last = self.convolutions[-1] if self.convolutions and not self.dense else None
        return last if last is not None and last["pool_size"] == 1 else None

    def _convolution(self, layer: nn.Conv1d, shape: torch.Size) -> dict:
        plain = (layer.padding, layer.dilation, layer.groups) == ((0,), (1,), 1)
        if not plain:
            self._refuse(layer, "has padding, dilation or groups")
        return _weights(layer) | {
            "stride": layer.stride[0],
            "pool": "max",
            "pool_size": 1,
            "n_positions": shape[-1],
        }

    def _pool(self, layer: Any, last: dict | None) -> None:
        if last is None:
            self._refuse(layer, "pools what is pooled already, or no convolution")
            return
        sizes = [
            value[0] if isinstance(value, tuple) else value
            for value in (layer.kernel_size, layer.stride, layer.padding)
        ]
        dilated = getattr(layer, "dilation", 1) not in (1, (1,))
        if sizes[0] != sizes[1] or sizes[2] != 0 or layer.ceil_mode or dilated:
            self._refuse(layer, "overlaps, is padded or rounds up")
        last["pool"] = "max" if isinstance(layer, nn.MaxPool1d) else "average"
        last["pool_size"] = sizes[0]

    def _refuse(self, layer: nn.Module, why: str) -> None:
        raise UnsupportedNetworkError(
            f"{self.name} has {layer}, which {why}; a spectral network in integers is a chain of "
            "Conv1d without padding, BatchNorm1d, activation, MaxPool1d or AvgPool1d, and Linear."
        )


def _weights(layer: nn.Conv1d | nn.Linear) -> dict:
    weight = layer.weight.detach().double().cpu().numpy()
    bias = np.zeros(len(weight))
    if layer.bias is not None:
        bias = layer.bias.detach().double().cpu().numpy()
    return {"weight": weight, "bias": bias, "activation": None}


def _fold(norm: nn.BatchNorm1d, last: dict, refuse) -> None:
    """Put a batch norm in evaluation mode into the layer before it."""
    if norm.running_mean is None or norm.running_var is None:
        refuse(norm, "looks at the whole batch when it predicts")
        return
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    factor = 1 / (variance + norm.eps).sqrt()
    offset = -mean * factor
    if norm.affine:
        factor, offset = factor * norm.weight.double(), offset * norm.weight.double()
        offset = offset + norm.bias.double()
    by, to = (part.detach().cpu().numpy() for part in (factor, offset))
    last["weight"] = last["weight"] * by.reshape(-1, *[1] * (last["weight"].ndim - 1))
    last["bias"] = last["bias"] * by + to
