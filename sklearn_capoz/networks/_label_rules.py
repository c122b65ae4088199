"""What each torch function does to the labels of units, by the function's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ._activations import ACTIVATIONS
from ._functions import (
    ARITHMETIC,
    CASTS,
    JOINS,
    MOVES,
    POINTWISE,
    POOLS,
    REDUCTIONS,
    SELECT,
    SPREADS,
)
from ._layers import CONVOLUTIONS, NORMS, TRANSPOSED, is_depthwise

if TYPE_CHECKING:
    from ._labels import LabelTracer

__all__ = [
    "RULES",
    "SAMPLE",
    "Call",
    "Unfollowed",
    "tensors_in",
]

#: Of the second sample all labels are larger by this, so that samples that meet are seen.
SAMPLE = 1 << 40

#: They scale each channel, as a batch norm does, by what they see of it in one sample.
_INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


class Unfollowed(Exception):
    """A rule does not know what becomes of the units that a call was given: they stay."""


@dataclass(eq=False)
class Call:
    """A call of a torch function on values that have labels."""

    function: Any
    name: str
    args: tuple
    kwargs: dict
    value: Any
    number: int
    kind: str = "other"
    is_random: bool = False


def tensors_in(tree: Any) -> Iterator[torch.Tensor]:
    """Go through the tensors in nested tuples, lists and dicts."""
    if isinstance(tree, torch.Tensor):
        yield tree
    elif isinstance(tree, (tuple, list)):
        for branch in tree:
            yield from tensors_in(branch)
    elif isinstance(tree, dict):
        yield from tensors_in(list(tree.values()))


def channel_labels(tracer: LabelTracer, call: Call, labels: torch.Tensor, axis: int) -> np.ndarray:
    """Read whose numbers lie along an axis, the same at every position and in every sample.

    Where it is not the same, the units stay, and those that the layer makes can go all the same.
    """
    last = labels.movedim(axis, -1)
    rows = last.reshape(-1, last.shape[-1]).cpu().numpy()
    found = rows % SAMPLE
    if (found != found[0]).any():
        why = "they lie along more than the axis that it has weights for"
        tracer.pin(labels, f"{tracer.where} runs {call.name}(), and {why}")
        return np.zeros_like(found[0])
    samples = rows // SAMPLE
    if (found[0] > 0).any() and np.ptp(samples[:, found[0] > 0], axis=1).any():
        tracer.refuse(call.name, "samples of a batch meet in it")
    return found[0]


def _place(labels: np.ndarray, value: torch.Tensor, axis: int) -> torch.Tensor:
    """Label an output of two samples whose units lie along an axis."""
    shape = [1] * value.ndim
    shape[axis] = -1
    units = torch.as_tensor(labels, device=value.device).reshape(shape)
    first = torch.arange(value.shape[0], device=value.device) * 2 // value.shape[0]
    samples = first.reshape(-1, *[1] * (value.ndim - 1)) * SAMPLE
    return torch.where(units > 0, units + samples, 0).expand(value.shape)


def _like(labels: torch.Tensor, axes: range, value: torch.Tensor) -> torch.Tensor | None:
    """Labels of a value of other extent along some axes, where they do not change along these."""
    first = labels[tuple(slice(0, 1) if i in axes else slice(None) for i in range(labels.ndim))]
    if (labels != first).any():
        return None
    return first.expand(value.shape)


def _move(tracer: LabelTracer, call: Call):
    def labels_for(tree, joined):
        if isinstance(tree, torch.Tensor):
            known = tracer.labels(tree)
            if known is None and joined:  # a constant beside units
                return torch.zeros_like(tree, dtype=torch.int64)
            return tree if known is None else known
        if isinstance(tree, (list, tuple)):
            return type(tree)(labels_for(branch, joined) for branch in tree)
        return tree

    if call.name in {"getitem", "index_select"} and any(
        tracer.labels(tensor) is not None for tensor in tensors_in(call.args[1:])
    ):
        raise Unfollowed("what is taken depends on the data")
    call.kind = "shape" if call.name not in JOINS else "other"
    joined = call.name in JOINS
    args = labels_for(call.args, joined)
    kwargs = {name: labels_for(value, joined) for name, value in call.kwargs.items()}
    try:
        return list(tensors_in(call.function(*args, **kwargs)))
    except RuntimeError as error:  # not of integers
        raise Unfollowed("it is not known where it puts them") from error


def _shuffle_pixels(tracer: LabelTracer, call: Call):
    """Tie the channels that become positions of one: they can only go together."""
    labels, factor = tracer.labels(call.args[0]), call.args[1]
    assert labels is not None
    blocks = labels.unflatten(-3, (-1, factor**2))
    first = blocks.narrow(-3, 0, 1).expand(blocks.shape)
    tracer.tie(call.name, first, blocks)
    call.kind = "shape"
    return call.function(first.flatten(-4, -3), factor)


def _glu(tracer: LabelTracer, call: Call):
    """Tie the halves, of which one gates the other."""
    labels = tracer.labels(call.args[0])
    assert labels is not None
    axis = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else -1)
    gated, gate = labels.chunk(2, dim=axis)
    tracer.tie(call.name, gated, gate)
    return gated


def _cast(tracer: LabelTracer, call: Call):
    call.kind = "shape"
    return tracer.labels(call.args[0])


def _drop(tracer: LabelTracer, call: Call):
    call.kind = "skip"
    training = call.kwargs.get("training", call.args[2] if len(call.args) > 2 else True)
    call.is_random = bool(training)
    return tracer.labels(call.args[0])


def _elementwise(tracer: LabelTracer, call: Call) -> torch.Tensor:
    """Tie what is joined number by number.

    Numbers of one fixed size hold units fast. So is held what stands as one against many units, as
    a gate of one channel does: it ties none of them to another.
    """
    shape, operands = call.value.shape, []
    for tensor in tensors_in((call.args, call.kwargs)):
        known = tracer.labels(tensor)
        labels = torch.zeros_like(tensor, dtype=torch.int64) if known is None else known
        operands.append(labels.reshape((1,) * (len(shape) - tensor.ndim) + tuple(tensor.shape)))
    # The axis of the samples, 0, is every tensor's.
    varies = [
        i for i in range(1, len(shape)) if any((x != x.narrow(i, 0, 1)).any() for x in operands)
    ]
    for position, labels in enumerate(operands):
        if any(shape[i] > 1 and labels.shape[i] == 1 for i in varies):
            why = "joins each of them with many others"
            tracer.pin(labels, f"{tracer.where} runs {call.name}(), which {why}")
            operands[position] = torch.zeros_like(labels)
    result = torch.zeros(shape, dtype=torch.int64, device=call.value.device)
    for labels in operands:
        if labels.any():
            other = labels.expand(shape)
            if result.any():
                tracer.tie(call.name, result, other)
            result = torch.where(result > 0, result, other)
    for labels in operands:
        if not labels.any() and any(labels.shape[axis] > 1 for axis in varies):
            why = "joins them with numbers that no unit makes"
            tracer.pin(result, f"{tracer.where} runs {call.name}(), which {why}")
    return result


def _activate(tracer: LabelTracer, call: Call) -> torch.Tensor:
    call.kind = _KINDS.get(call.name, call.name)
    labels = tracer.labels(call.args[0])
    assert labels is not None
    tracer.activated.append((np.unique(labels.cpu().numpy() % SAMPLE), len(tracer.operations)))
    return labels


def _reduce(tracer: LabelTracer, call: Call):
    labels = tracer.labels(call.args[0])
    assert labels is not None
    axes = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else None)
    if isinstance(axes, torch.Tensor):  # max of two tensors
        return _elementwise(tracer, call)
    if call.name == "norm":  # whose second argument is the order
        axes = call.kwargs.get("dim", call.args[2] if len(call.args) > 2 else None)
    axes = tuple(range(labels.ndim)) if axes is None else axes
    values = list(tensors_in(call.value))
    keepdim = values[0].ndim == labels.ndim
    low, high = (f(labels, dim=axes, keepdim=keepdim) for f in (torch.amin, torch.amax))
    if (low != high).any():
        if (low // SAMPLE != high // SAMPLE).any():
            tracer.refuse(call.name, "samples of a batch meet in it")
        why = "takes several of them together"
        tracer.pin(labels, f"{tracer.where} runs {call.name}(), which {why}")
        low = torch.zeros_like(low)
    return [low] * len(values)


def _spread(tracer: LabelTracer, call: Call):
    call.kind = call.name if "softmax" in call.name else "other"
    labels = tracer.labels(call.args[0])
    assert labels is not None
    axis = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else -1)
    axis = -1 if axis is None else axis
    low, high = labels.amin(dim=axis), labels.amax(dim=axis)
    if (low // SAMPLE != high // SAMPLE).any() and (low > 0).any():
        tracer.refuse(call.name, "samples of a batch meet in it")
    if (low != high).any():
        why = "compares them with each other"
        tracer.pin(labels, f"{tracer.where} runs {call.name}(), which {why}")
    return [labels] * len(list(tensors_in(call.value)))


def _pool(tracer: LabelTracer, call: Call):
    labels, values = tracer.labels(call.args[0]), list(tensors_in(call.value))
    assert labels is not None
    n_axes = int(call.name[-2]) if call.name[-1] == "d" else labels.ndim - 2
    result = _like(labels, range(labels.ndim - n_axes, labels.ndim), values[0])
    if result is None:
        raise Unfollowed("it goes from one to the next")
    return [result] * len(values)


def _pad(tracer: LabelTracer, call: Call):
    labels = tracer.labels(call.args[0])
    assert labels is not None
    widths = call.kwargs.get("pad", call.args[1] if len(call.args) > 1 else ())
    axes = range(labels.ndim - len(widths) // 2, labels.ndim)
    result = _like(labels, axes, call.value)
    if result is None:  # more numbers beside the units, which no unit makes
        result = torch.nn.functional.pad(labels, tuple(widths))
    return result


def _select(tracer: LabelTracer, call: Call):
    tracer.refuse_values(call.name)


def _linear(tracer: LabelTracer, call: Call):
    name, layer = _layer(tracer, call, (nn.Linear,))
    labels = tracer.labels(call.args[0])
    assert labels is not None
    along = labels[..., :1]
    rows = along.reshape(-1) % SAMPLE
    if (labels == along).all() and (rows != rows[0]).any():
        # Units lie along another axis; it mixes the positions of each.
        tracer.work.append((name, along[: len(along) // 2].cpu().numpy() % SAMPLE))
        return along.expand(call.value.shape)
    call.kind = "linear"
    tracer.read("in", channel_labels(tracer, call, labels, -1))
    _note_work(tracer, call)
    return _place(tracer.make(name, layer.out_features), call.value, -1)


def _conv(tracer: LabelTracer, call: Call):
    name, layer = _layer(tracer, call, CONVOLUTIONS + TRANSPOSED)
    labels = tracer.labels(call.args[0])
    assert labels is not None
    call.kind = "conv"
    read = channel_labels(tracer, call, labels, 1)
    _note_work(tracer, call)
    if layer.groups == 1:
        tracer.read("in", read)
        return _place(tracer.make(name, layer.out_channels), call.value, 1)
    multiplier = layer.out_channels // layer.groups
    if (
        is_depthwise(layer)
        and read.all()
        and not (isinstance(layer, TRANSPOSED) and multiplier > 1)
    ):
        # It scales and spreads each unit by itself, as a norm does.
        own = read.repeat(multiplier)
        tracer.read("out", own)
        return _place(own, call.value, 1)
    made = _place(tracer.make(name, layer.out_channels), call.value, 1)
    for units in (labels, made):
        tracer.pin(units, f"the convolution {name!r} works on groups of them")
    return made


def _batch_norm(tracer: LabelTracer, call: Call):
    layer = tracer.running[1]
    if not isinstance(layer, NORMS + _INSTANCE_NORMS):
        raise Unfollowed("only modules of torch.nn can be cut")
    labels = tracer.labels(call.args[0])
    assert labels is not None
    call.kind = "norm"
    tracer.read("out", channel_labels(tracer, call, labels, 1))
    return labels


def _prelu(tracer: LabelTracer, call: Call):
    layer, labels = tracer.running[1], tracer.labels(call.args[0])
    assert labels is not None
    if not isinstance(layer, nn.PReLU):
        raise Unfollowed("only a module PReLU can be cut")
    if layer.num_parameters > 1:
        tracer.read("out", channel_labels(tracer, call, labels, 1))
    return _activate(tracer, call)


def _layer_norm(tracer: LabelTracer, call: Call):
    labels = tracer.labels(call.args[0])
    assert labels is not None
    shape = call.kwargs.get("normalized_shape", call.args[1] if len(call.args) > 1 else ())
    if _like(labels, range(labels.ndim - len(shape), labels.ndim), labels) is None:
        raise Unfollowed("it compares them with each other: each depends on how many are")
    return labels


def _layer(tracer: LabelTracer, call: Call, kinds: tuple) -> tuple[str, Any]:
    """Return the module that runs, if weight and bias are its own parameters."""
    name, layer = tracer.running
    for position, parameter in enumerate(("weight", "bias"), start=1):
        given = call.args[position] if len(call.args) > position else None
        given = call.kwargs.get(parameter, given)
        if not isinstance(layer, kinds) or layer._parameters.get(parameter) is not given:
            if isinstance(layer, kinds):
                _note_work(tracer, call)
            why = "is no plain parameter of a Linear or of a convolution"
            raise Unfollowed(f"its {parameter} {why}")
    return name, layer


def _note_work(tracer: LabelTracer, call: Call) -> None:
    """Note how often the running layer uses each weight for one sample."""
    name, layer = tracer.running
    # A transposed one uses each weight once for each position of its input.
    uses = call.args[0] if isinstance(layer, TRANSPOSED) else call.value
    uses = uses[..., 0] if isinstance(layer, nn.Linear) else uses[:, 0]
    tracer.work.append((name, np.zeros(uses.numel() // 2, np.int64)))


_KINDS = {row.torch_function: row.name for row in ACTIVATIONS.values() if row.torch_function}

RULES: dict[str, Callable] = {
    **dict.fromkeys(SELECT, _select),
    **dict.fromkeys(MOVES, _move),
    **dict.fromkeys(CASTS, _cast),
    **dict.fromkeys((*_KINDS, *POINTWISE), _activate),
    **dict.fromkeys(ARITHMETIC, _elementwise),
    **dict.fromkeys(REDUCTIONS, _reduce),
    **dict.fromkeys(SPREADS, _spread),
    **dict.fromkeys((*POOLS, "interpolate", "upsample"), _pool),
    **dict.fromkeys(
        (f"{kind}dropout{n}" for kind in ("", "alpha_", "feature_", "feature_alpha_")
         for n in ("", "1d", "2d", "3d")), _drop),
    "pad": _pad,
    "pixel_shuffle": _shuffle_pixels,
    "glu": _glu,
    "linear": _linear,
    "conv1d": _conv,
    "conv2d": _conv,
    "conv3d": _conv,
    "conv_transpose1d": _conv,
    "conv_transpose2d": _conv,
    "conv_transpose3d": _conv,
    "batch_norm": _batch_norm,
    "instance_norm": _batch_norm,
    "prelu": _prelu,
    "layer_norm": _layer_norm,
}  # fmt: skip
