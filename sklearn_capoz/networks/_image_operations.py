"""Convolutions and poolings over images where torch's own take longer than they need to."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

__all__ = ["convolved", "largest"]


def convolved(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, groups: int, **arguments
) -> torch.Tensor:
    """Convolve an image of two or three axes; no padding along rows and columns.

    In three axes torch is fast on channels that lie last, and slow on few of them in one image:
    there the bands that a kernel spans become further channels of a convolution in two.
    """
    if x.ndim == 4:
        return F.conv2d(x, weight, bias, groups=groups, **arguments)
    steps = arguments["stride"][0], arguments["dilation"][0]
    if groups == 1 and steps == (1, 1) and (x.shape[1] == 1 or _is_slow(x)):
        n_images, depth = x.shape[0], weight.shape[2]
        bands = F.pad(x, (0, 0, 0, 0, *[arguments["padding"][0]] * 2))
        windows = bands.unfold(2, depth, 1).permute(0, 2, 1, 5, 3, 4).flatten(2, 3)
        windows = windows.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        found = F.conv2d(windows, weight.flatten(1, 2), bias, dilation=arguments["dilation"][1:])
        return found.unflatten(0, (n_images, -1)).transpose(1, 2)
    last = {"memory_format": torch.channels_last_3d}
    return F.conv3d(
        x.contiguous(**last), weight.contiguous(**last), bias, groups=groups, **arguments
    )


def _is_slow(x: torch.Tensor) -> bool:
    """Whether torch convolves an image in a plain loop, which takes eight times as long.

    It leaves to oneDNN what has several images, or many numbers without counting the last axis.
    """
    return x.shape[0] == 1 and math.prod(x.shape[:4]) <= 20_480


def largest(x: torch.Tensor, kernel: tuple, stride: tuple, dilation: tuple) -> torch.Tensor:
    """Pool by the maximum: one axis after the other, which as a rule is the faster way."""
    for axis, (size, step, apart) in enumerate(zip(kernel, stride, dilation, strict=True), start=2):
        n = (x.shape[axis] - apart * (size - 1) - 1) // step + 1
        parts = [x.narrow(axis, apart * i, (n - 1) * step + 1) for i in range(size)]
        if step > 1:
            index = (slice(None),) * axis + (slice(None, None, step),)
            parts = [part[index] for part in parts]
        x = parts[0]
        for part in parts[1:]:
            x = torch.maximum(x, part)
    return x
