"""The weights of a torch module's layers as connections: what meets each, and their own order.

A connection is a weight. A Linear has one for each pair of an input and an output, a convolution
one for each place of each of its kernels, whatever its groups are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from ._layers import CONVOLUTIONS, TRANSPOSED
from ._windows import input_windows

__all__ = ["connected_layers", "in_own_order", "meeting_inputs", "set_weights"]


def connected_layers(module: nn.Module) -> Iterator[Any]:
    """Go through the layers that have connections."""
    for part in module.modules():
        if isinstance(part, (nn.Linear, *CONVOLUTIONS, *TRANSPOSED)):
            yield part


def set_weights(layer: Any, weights: np.ndarray) -> None:
    """Give a layer other weights, of the same shape."""
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(weights))


def meeting_inputs(layer: Any, inputs: torch.Tensor) -> Iterator[torch.Tensor]:
    """View what the weights of a layer are multiplied by, for each of its groups.

    Parameters
    ----------
    layer : Linear or convolution
    inputs : Tensor
        What its product gets.

    Yields
    ------
    windows : Tensor of shape (n, *positions, n_in, *kernel)
        As `input_windows` gives them.
    """
    n_groups = getattr(layer, "groups", 1)
    n_in = inputs.shape[-1] if isinstance(layer, nn.Linear) else inputs.shape[1]
    for entries in torch.arange(n_in, device=inputs.device).chunk(n_groups):
        yield input_windows(layer, inputs, entries)[0]


def in_own_order(layer: Any, rows: torch.Tensor) -> torch.Tensor:
    """Bring numbers for the weights into the shape that the weights have.

    Parameters
    ----------
    layer : Linear or convolution
    rows : Tensor of shape (n_out, n_in / groups * n_taps)
        A number for each weight of each output, in the order of `meeting_inputs`.
    """
    shape, n_groups = layer.weight.shape, getattr(layer, "groups", 1)
    if not isinstance(layer, TRANSPOSED):
        return rows.reshape(shape)
    # Its weights have the inputs first, and it runs its kernel the other way.
    rows = rows.reshape(n_groups, shape[1], -1, *shape[2:]).transpose(1, 2).reshape(shape)
    return rows.flip(list(range(2, rows.dim())))
