"""The layers that can be cut: which they are, how long their axes are, where their weights lie."""

from __future__ import annotations

import torch
from torch import nn

__all__ = [
    "CONVOLUTIONS",
    "NORMS",
    "TRANSPOSED",
    "axis_length",
    "dimension_of",
    "is_depthwise",
    "tell_size",
    "weight_rows",
]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def is_depthwise(layer) -> bool:
    """Whether a layer is a convolution of each channel by itself."""
    return isinstance(layer, (*CONVOLUTIONS, *TRANSPOSED)) and layer.groups == layer.in_channels > 1


def axis_length(layer, axis: str) -> int:
    """Count a layer's outputs or inputs."""
    if isinstance(layer, nn.Linear):
        return layer.out_features if axis == "out" else layer.in_features
    for name in ("num_features", "num_parameters"):  # norms, PReLU
        if axis == "out" and hasattr(layer, name):
            return getattr(layer, name)
    return layer.out_channels if axis == "out" else layer.in_channels


def dimension_of(layer, name: str, axis: str) -> int:
    """Which dimension of a parameter or buffer holds a layer's outputs or inputs."""
    if name == "weight" and isinstance(layer, TRANSPOSED) and not is_depthwise(layer):
        return 1 if axis == "out" else 0
    return 0 if axis == "out" else 1


def weight_rows(layer) -> torch.Tensor:
    """View a layer's weights with its outputs first and its inputs second."""
    weight = layer.weight.detach()
    return weight.movedim(dimension_of(layer, "weight", "out"), 0)


def tell_size(layer, axis: str, size: int) -> None:
    """Let a layer know its new number of outputs or inputs."""
    if isinstance(layer, nn.Linear):
        setattr(layer, f"{axis}_features", size)
    elif hasattr(layer, "num_features"):
        layer.num_features = size
    elif hasattr(layer, "num_parameters"):
        layer.num_parameters = size
    elif axis == "out" and layer.groups > 1:  # depthwise: as many inputs go
        layer.in_channels = layer.groups = size * layer.groups // layer.out_channels
        layer.out_channels = size
    else:
        setattr(layer, f"{axis}_channels", size)
