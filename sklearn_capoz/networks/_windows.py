"""A layer as a matrix product: the rows that meet its weights, and the weights in their order.

A Linear takes its inputs as they are. A convolution takes a window of them at each position
(im2col); of all windows only those asked for are copied.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from ._layers import TRANSPOSED, weight_rows

__all__ = ["entry_weights", "input_windows", "n_taps", "set_entry_weights"]


def input_windows(
    layer: Any, inputs: torch.Tensor, entries: torch.Tensor
) -> tuple[torch.Tensor, int]:
    """View what a layer multiplies its weights by.

    Parameters
    ----------
    layer : Linear, or a convolution of one group
    inputs : Tensor
        What its product gets.
    entries : Tensor of shape (n_entries,), int
        Which of its input features or channels to look at.

    Returns
    -------
    windows : Tensor of shape (n, *positions, n_entries, *kernel)
        Index it along the first axes to copy some windows only.
    n_axes : int
        How many axes there are before the entries: that of the samples and of the positions.
    """
    if isinstance(layer, nn.Linear):
        return inputs[..., entries], inputs.dim() - 1
    if len(entries) < inputs.shape[1] or (entries.diff() != 1).any():
        inputs = inputs[:, entries]
    sizes = [int(size) for size in layer.kernel_size]
    n_axes = len(sizes)
    if isinstance(layer, TRANSPOSED):
        inputs, strides, dilations = _spread(layer, inputs), [1] * n_axes, list(layer.dilation)
    else:
        strides, dilations = list(layer.stride), list(layer.dilation)
        if layer.padding_mode == "zeros":  # else it has padded them before its product
            inputs = nn.functional.pad(inputs, layer._reversed_padding_repeated_twice)
    for axis, (size, stride, dilation) in enumerate(zip(sizes, strides, dilations, strict=True)):
        inputs = inputs.unfold(2 + axis, (size - 1) * dilation + 1, stride)[..., ::dilation]
    return inputs.movedim(1, 1 + n_axes), 1 + n_axes


def _spread(layer, inputs: torch.Tensor) -> torch.Tensor:
    """Put zeros between and around a transposed convolution's inputs: then it is a plain one."""
    pads = []
    for axis, stride in enumerate(layer.stride):
        size = inputs.shape[2 + axis]
        wide = inputs.new_zeros(
            *inputs.shape[: 2 + axis], (size - 1) * stride + 1, *inputs.shape[3 + axis :]
        )
        wide[(slice(None),) * (2 + axis) + (slice(None, None, stride),)] = inputs
        inputs = wide
        around = layer.dilation[axis] * (layer.kernel_size[axis] - 1) - layer.padding[axis]
        pads.append((around, around + layer.output_padding[axis]))
    return nn.functional.pad(inputs, [width for pad in reversed(pads) for width in pad])


def n_taps(layer) -> int:
    """Count the weights that an output has for each input."""
    return int(np.prod(getattr(layer, "kernel_size", ())))


def entry_weights(layer, entries: torch.Tensor) -> torch.Tensor:
    """Return the weights of some inputs, in the order of `input_windows`.

    Returns
    -------
    weights : Tensor of shape (n_entries, n_taps, n_out)
    """
    weight = weight_rows(layer)[:, entries]
    if isinstance(layer, TRANSPOSED):  # which runs its kernel the other way
        weight = weight.flip(list(range(2, weight.dim())))
    return weight.flatten(2).movedim(0, 2) if weight.dim() > 2 else weight.T[:, None]


def set_entry_weights(layer, entries: torch.Tensor, weights: torch.Tensor) -> None:
    """Write back what `entry_weights` gives."""
    weight = weight_rows(layer)  # shares its memory with the parameter
    shape = (len(weight), len(entries), *weight.shape[2:])
    weights = weights.movedim(2, 0).reshape(shape)
    if isinstance(layer, TRANSPOSED):
        weights = weights.flip(list(range(2, weights.dim())))
    weight[:, entries] = weights
