"""What stands for each torch function where a network runs over an image, by its name.

A rule gets the mode, which knows what of a patch a value holds, and the call; it returns the value
for all patches and what of a patch that holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from ._image_operations import convolved, largest
from ._label_rules import tensors_in
from ._labels import call_name

__all__ = ["QUESTIONS", "RULES", "Patch"]

#: What is done to each number by itself, or to two of the same place.
NUMBER_BY_NUMBER = (
    "relu relu6 leaky_relu elu selu celu gelu silu mish softplus softsign logsigmoid tanh sigmoid"
    " hardtanh hardswish hardsigmoid hardshrink softshrink tanhshrink threshold abs neg exp log"
    " sqrt square sin cos pow clamp clamp_min clamp_max add radd iadd sub rsub isub mul rmul imul"
    " div truediv rtruediv itruediv maximum minimum contiguous clone detach float"
)


@dataclass(frozen=True)
class Patch:
    """What of a patch a value holds.

    Parameters
    ----------
    size : tuple of int
        Rows and columns of the patch that are left.
    step : int
        Pixels of the image from one of them to the next.
    is_flat : bool
        Whether the module believes that they are laid out behind each other.
    """

    size: tuple[int, int]
    step: int = 1
    is_flat: bool = False

    @property
    def is_one(self) -> bool:
        return self.size == (1, 1)

    def moved(self, spans: tuple[int, int], stride: int) -> Patch:
        rows, columns = (
            (size - span) // stride + 1 for size, span in zip(self.size, spans, strict=True)
        )
        return replace(self, size=(rows, columns), step=self.step * stride)


def _pair(value) -> tuple:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _last_two(value, n_axes: int) -> tuple[tuple, tuple]:
    """Split what a call says of its axes: those before rows and columns, and these two."""
    values = _pair(value)
    values = values * n_axes if len(values) == 1 else values
    return values[:-2], values[-2:]


def _windows(mode, name, x, kernel, stride, padding, dilation) -> tuple[Patch, dict]:
    """Return what windows leave of a patch, and arguments that move them pixel by pixel."""
    patch, n_axes = mode.patch(x), x.ndim - 2
    if patch.is_flat:
        mode.refuse(name, "it comes behind the flatten")
    before, (rows, columns) = _last_two(stride, n_axes)
    if rows != columns:
        mode.refuse(name, "it moves by other steps along rows than along columns")
    pads, (row_pad, column_pad) = _last_two(0 if padding == "valid" else padding, n_axes)
    if isinstance(row_pad, str) or row_pad or column_pad:
        mode.refuse(name, "it pads each patch at its edge, where an image goes on")
    inner, outer = _last_two(dilation, n_axes)
    spans = tuple(d * (k - 1) + 1 for d, k in zip(outer, _last_two(kernel, n_axes)[1], strict=True))
    arguments = {
        "stride": (*before, 1, 1),
        "padding": (*pads, 0, 0),
        "dilation": (*inner, *(d * patch.step for d in outer)),
    }
    return patch.moved(spans, rows), arguments


def _conv(mode, func, input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    patch, arguments = _windows(
        mode, call_name(func), input, weight.shape[2:], stride, padding, dilation
    )
    return convolved(input, weight, bias, groups, **arguments), patch


def _max_pool(
    mode, func, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
    return_indices=False,
):  # fmt: skip
    if ceil_mode or return_indices:
        mode.refuse(call_name(func), "with ceil_mode or return_indices it needs each patch's edge")
    kernel_size = sum(_last_two(kernel_size, input.ndim - 2), ())
    stride = kernel_size if stride is None or stride == [] else stride
    patch, arguments = _windows(
        mode, call_name(func), input, kernel_size, stride, padding, dilation
    )
    if any(arguments["padding"]):  # along the bands
        return func(input, kernel_size, **arguments), patch
    return largest(input, kernel_size, arguments["stride"], arguments["dilation"]), patch


def _average_pool(
    mode, func, input, kernel_size, stride=None, padding=0, ceil_mode=False,
    count_include_pad=True, divisor_override=None,
):  # fmt: skip
    if ceil_mode or divisor_override:
        mode.refuse(call_name(func), "with ceil_mode or divisor_override it is not known")
    kernel_size = sum(_last_two(kernel_size, input.ndim - 2), ())
    stride = kernel_size if stride is None or stride == [] else stride
    patch, arguments = _windows(mode, call_name(func), input, kernel_size, stride, padding, 1)
    return _averages(input, kernel_size, arguments), patch


def _averages(x: torch.Tensor, kernel_size: tuple, arguments: dict) -> torch.Tensor:
    """Average over windows with pixels left out, which torch's own pooling cannot."""
    channels = x.shape[1]
    weight = torch.full((channels, 1, *kernel_size), 1 / math.prod(kernel_size)).to(x)
    conv: Callable = F.conv3d if x.ndim == 5 else F.conv2d
    return conv(x, weight, groups=channels, **arguments)


def _adaptive_pool(mode, func, input, output_size, return_indices=False):
    n_axes = input.ndim - 2
    if return_indices or sum(_last_two(output_size, n_axes), ()) != (1,) * n_axes:
        mode.refuse(call_name(func), "only a pooling to one position is known")
    kernel_size = (*input.shape[2:-2], *mode.patch(input).size)
    pool = _max_pool if "max" in call_name(func) else _average_pool
    own = {"max": (F.max_pool2d, F.max_pool3d), "avg": (F.avg_pool2d, F.avg_pool3d)}
    function = own["max" if "max" in call_name(func) else "avg"][n_axes - 2]
    return pool(mode, function, input, kernel_size, 1)


def _mean(mode, func, input, dim=None, keepdim=False, **_):
    axes = sorted(axis % input.ndim for axis in _pair(dim)) if dim is not None else []
    if mode.patch(input).is_flat or axes != list(range(2, input.ndim)):
        mode.refuse(call_name(func), "only a mean over all positions of each channel is known")
    value, patch = _adaptive_pool(mode, F.adaptive_avg_pool2d, input, 1)
    if keepdim:
        return value, patch
    return value.flatten(1, -3), replace(patch, is_flat=True)


def _linear(mode, func, input, weight, bias=None):
    patch = mode.patch(input)
    if not patch.is_flat:
        mode.refuse("linear", "it comes before a flatten, and works on the columns of each patch")
    kernel = weight.unflatten(1, (-1, *patch.size))
    return F.conv2d(input, kernel, bias, dilation=patch.step), replace(patch, size=(1, 1))


def _reshape(mode, func, input, *shape):
    patch, old = mode.patch(input), mode.virtual_shape(input)
    new = [int(size) for size in (shape[0] if isinstance(shape[0], (tuple, list)) else shape)]
    if -1 in new:
        new[new.index(-1)] = math.prod(old) // -math.prod(new)
    if new == list(old):
        return input, patch
    if not patch.is_flat and len(new) == 2 and new[0] == old[0]:
        return input.flatten(1, -3), replace(patch, is_flat=True)
    if not patch.is_flat and len(new) > 3 and new[-2:] == list(patch.size) and new[0] == old[0]:
        return input.reshape(*new[:-2], *input.shape[-2:]), patch
    return mode.refuse(call_name(func), f"it makes {tuple(new)} of {tuple(old)}")


def _flatten(mode, func, input, start_dim=0, end_dim=-1):
    shape = mode.virtual_shape(input)
    start, end = start_dim % len(shape), end_dim % len(shape)
    return _reshape(
        mode, func, input, *shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]
    )


def _unflatten(mode, func, input, dim, sizes):
    shape = mode.virtual_shape(input)
    return _reshape(mode, func, input, *shape[:dim], *sizes, *shape[dim:][1:])


def _unsqueeze(mode, func, input, dim):
    if dim != 1 or mode.patch(input).is_flat:
        mode.refuse("unsqueeze", "only a new axis behind the samples is known")
    return input.unsqueeze(1), mode.patch(input)


def _getitem(mode, func, input, index):
    plain = isinstance(index, tuple) and index[:2] == (slice(None), None)
    if not plain or any(part not in (slice(None), Ellipsis) for part in index[2:]):
        mode.refuse("getitem", "only a new axis behind the samples, x[:, None], is known")
    return _unsqueeze(mode, func, input, 1)


def _squeeze(mode, func, input, dim=None):
    patch = mode.patch(input)
    if dim is not None and not patch.is_flat and patch.is_one and dim % input.ndim == 1:
        return input.squeeze(1), patch
    return mode.refuse("squeeze", "flatten says the same and is known")


def _cat(mode, func, tensors, dim=0):
    patches = {mode.patch(t) for t in tensors}
    patch = patches.pop()
    if dim != 1 or patches or patch is None or (patch.is_flat and not patch.is_one):
        mode.refuse(call_name(func), "only channels of the same positions can be joined")
    return func(tensors, dim=1), patch


def _softmax(mode, func, input, dim=None, *args, **kwargs):
    patch = mode.patch(input)
    if dim not in (1, -1) or not (patch.is_flat and patch.is_one):
        mode.refuse(call_name(func), "it must be over the outputs of each patch")
    return func(input, 1), patch


def _batch_norm(mode, func, input, *args, **kwargs):
    patch = mode.patch(input)
    if patch.is_flat and not patch.is_one:
        mode.refuse("batch_norm", "it scales each position of a flattened patch by itself")
    return func(input, *args, **kwargs), patch


def _number_by_number(mode, func, *args, **kwargs):
    tensors = list(tensors_in((args, kwargs)))
    known = [t for t in tensors if mode.patch(t) is not None]
    patch, shape = mode.patch(known[0]), known[0].shape
    if any(mode.patch(t) != patch or t.shape != shape for t in known):
        mode.refuse(call_name(func), "it joins values of other positions, or of other patches")
    if any(t.ndim and mode.patch(t) is None for t in tensors):
        mode.refuse(call_name(func), "it joins them with numbers of a shape of their own")
    return func(*args, **kwargs), patch


def _dropout(mode, func, input, *args, **kwargs):
    return input, mode.patch(input)


#: What a module asks of a value: it gets the answer for one patch.
QUESTIONS: dict[str, Callable] = {
    "shape": lambda mode, x: mode.virtual_shape(x),
    "size": lambda mode, x, dim=None: (
        mode.virtual_shape(x) if dim is None else mode.virtual_shape(x)[dim]
    ),
    "ndim": lambda mode, x: len(mode.virtual_shape(x)),
    "dim": lambda mode, x: len(mode.virtual_shape(x)),
    "len": lambda mode, x: x.shape[0],
    "dtype": lambda mode, x: x.dtype,
    "device": lambda mode, x: x.device,
}

RULES: dict[str, Callable] = {
    **dict.fromkeys(NUMBER_BY_NUMBER.split(), _number_by_number),
    **dict.fromkeys(("conv2d", "conv3d"), _conv),
    **dict.fromkeys(("max_pool2d", "max_pool3d"), _max_pool),
    **dict.fromkeys(("avg_pool2d", "avg_pool3d"), _average_pool),
    **dict.fromkeys(
        (f"adaptive_{kind}_pool{n}d" for kind in ("avg", "max") for n in (2, 3)), _adaptive_pool
    ),
    **dict.fromkeys(("view", "reshape"), _reshape),
    **dict.fromkeys(("cat", "concat", "concatenate"), _cat),
    **dict.fromkeys(("softmax", "log_softmax"), _softmax),
    **dict.fromkeys(
        ("dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout"), _dropout
    ),
    "mean": _mean,
    "linear": _linear,
    "flatten": _flatten,
    "unflatten": _unflatten,
    "unsqueeze": _unsqueeze,
    "getitem": _getitem,
    "squeeze": _squeeze,
    "batch_norm": _batch_norm,
}
