"""What each torch function does to the labels of units, by the function's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ._activations import ACTIVATIONS
from ._layers import CONVOLUTIONS, NORMS, TRANSPOSED, is_depthwise

if TYPE_CHECKING:
    from ._labels import LabelTracer

__all__ = ["JOINS", "LOOKS_AT_VALUES", "RULES", "SAMPLE", "Call", "tensors_in"]

#: Of the second sample all labels are larger by this, so that samples that meet are seen.
SAMPLE = 1 << 40

#: They scale each channel, as a batch norm does, by what they see of it in one sample.
_INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


def _names(text: str) -> list[str]:
    return text.split()


#: They give Python numbers, unless a tensor comes out: the next batch may run otherwise.
LOOKS_AT_VALUES = frozenset(
    _names(
        "bool item tolist int float complex index numpy array equal allclose is_nonzero contains"
        " iter setitem"
    )
)
#: Their shapes depend on the data.
_SELECT = _names("nonzero argwhere masked_select unique unique_consecutive bincount")

#: They move numbers or leave them where they are.
_MOVES = _names(
    "view reshape flatten unflatten ravel permute transpose swapaxes swapdims movedim moveaxis t T"
    " mT squeeze unsqueeze getitem narrow select chunk split split_with_sizes tensor_split unbind"
    " expand broadcast_to repeat tile repeat_interleave index_select flip roll unfold view_as"
    " reshape_as expand_as cat concat concatenate stack hstack vstack"
)
#: They put units beside those of other tensors.
JOINS = {"cat", "concat", "concatenate", "stack", "hstack", "vstack"}
_CASTS = _names(
    "contiguous clone detach data to type type_as cpu cuda float double half bfloat16 int long"
    " short bool"
)

#: One tensor, each number by itself; activations that are in no table go by their own name.
_POINTWISE = _names(
    "elu gelu silu selu celu relu6 leaky_relu hardtanh hardswish hardsigmoid hardshrink softshrink"
    " tanhshrink mish softplus softsign logsigmoid threshold"
)
_ARITHMETIC = _names(
    "abs absolute neg negative exp expm1 log log1p log2 log10 sqrt rsqrt square sin cos tan atan"
    " arctan erf reciprocal sign clamp clip clamp_min clamp_max round floor ceil nan_to_num pow"
    " add radd iadd sub rsub isub subtract mul rmul imul multiply div rdiv rtruediv truediv idiv"
    " itruediv divide true_divide maximum minimum fmax fmin lerp where gt ge lt le eq ne greater"
    " less logical_and logical_or logical_not isnan isfinite isinf"
)
_REDUCTIONS = _names("mean sum amax amin max min prod var std logsumexp norm nanmean median")
_SPREADS = _names("softmax log_softmax softmin cumsum cumprod sort argsort")
_POOLS = {
    f"{kind}pool{n}d"
    for kind in ("max_", "avg_", "lp_", "adaptive_avg_", "adaptive_max_")
    for n in (1, 2, 3)
}


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
    """Read whose numbers lie along an axis, the same at every position and in every sample."""
    last = labels.movedim(axis, -1)
    rows = last.reshape(-1, last.shape[-1]).cpu().numpy()
    found = rows % SAMPLE
    if (found != found[0]).any():
        tracer.refuse(call.name, "units lie along more than the axis that it has weights for")
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
        tracer.refuse(call.name, "what is taken depends on the data")
    call.kind = "shape" if call.name not in JOINS else "other"
    joined = call.name in JOINS
    args = labels_for(call.args, joined)
    kwargs = {name: labels_for(value, joined) for name, value in call.kwargs.items()}
    return list(tensors_in(call.function(*args, **kwargs)))


def _cast(tracer: LabelTracer, call: Call):
    call.kind = "shape"
    return tracer.labels(call.args[0])


def _drop(tracer: LabelTracer, call: Call):
    call.kind = "skip"
    training = call.kwargs.get("training", call.args[2] if len(call.args) > 2 else True)
    call.is_random = bool(training)
    return tracer.labels(call.args[0])


def _elementwise(tracer: LabelTracer, call: Call) -> torch.Tensor:
    """Tie what is joined number by number; numbers of one fixed size hold units fast."""
    shape = call.value.shape
    operands = list(tensors_in((call.args, call.kwargs)))
    given = [tracer.labels(tensor) for tensor in operands]
    units = [labels for labels in given if labels is not None and labels.any()]
    if not units:
        return torch.zeros_like(call.value, dtype=torch.int64)
    result = units[0].expand(shape)
    for other in units[1:]:
        other = other.expand(shape)
        tracer.tie(result, other)
        result = torch.where(result > 0, result, other)
    # The axis of the samples, 0, is every tensor's.
    varies = [i for i in range(1, len(shape)) if _like(result, range(i, i + 1), result) is None]
    for tensor, labels in zip(operands, given, strict=True):
        if labels is not None and labels.any():
            continue
        extent = (1,) * (len(shape) - tensor.ndim) + tuple(tensor.shape)
        if any(extent[axis] > 1 for axis in varies):
            why = f"{call.name}() joins them with numbers that no unit makes"
            tracer.pin(result, why, harmless=True)
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
        tracer.pin(labels, f"{call.name}() adds up over them")
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
        tracer.pin(labels, f"{call.name}() compares them with each other")
    return [labels] * len(list(tensors_in(call.value)))


def _pool(tracer: LabelTracer, call: Call):
    labels, values = tracer.labels(call.args[0]), list(tensors_in(call.value))
    assert labels is not None
    n_axes = int(call.name[-2]) if call.name[-1] == "d" else labels.ndim - 2
    result = _like(labels, range(labels.ndim - n_axes, labels.ndim), values[0])
    if result is None:
        tracer.refuse(call.name, "it goes from one unit to the next")
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
    tracer.work.append((name, np.zeros(call.value[..., 0].numel() // 2, np.int64)))
    return _place(tracer.make(name, layer.out_features), call.value, -1)


def _conv(tracer: LabelTracer, call: Call):
    name, layer = _layer(tracer, call, CONVOLUTIONS + TRANSPOSED)
    labels = tracer.labels(call.args[0])
    assert labels is not None
    call.kind = "conv"
    read = channel_labels(tracer, call, labels, 1)
    # A transposed one uses each weight once for each position of its input.
    uses = labels if isinstance(layer, TRANSPOSED) else call.value
    tracer.work.append((name, np.zeros(uses[:, 0].numel() // 2, np.int64)))
    if layer.groups == 1:
        tracer.read("in", read)
        return _place(tracer.make(name, layer.out_channels), call.value, 1)
    multiplier = layer.out_channels // layer.groups
    if is_depthwise(layer) and read.all() and not (uses is labels and multiplier > 1):
        # It scales and spreads each unit by itself, as a norm does.
        own = read.repeat(multiplier)
        tracer.read("out", own)
        return _place(own, call.value, 1)
    made = _place(tracer.make(name, layer.out_channels), call.value, 1)
    for units in (labels, made):
        tracer.pin(units, f"the convolution {name!r} works on groups of them", harmless=True)
    return made


def _batch_norm(tracer: LabelTracer, call: Call):
    layer = tracer.running[1]
    if not isinstance(layer, NORMS + _INSTANCE_NORMS):
        tracer.refuse(call.name, "only modules of torch.nn can be cut")
    labels = tracer.labels(call.args[0])
    assert labels is not None
    call.kind = "norm"
    tracer.read("out", channel_labels(tracer, call, labels, 1))
    return labels


def _prelu(tracer: LabelTracer, call: Call):
    layer, labels = tracer.running[1], tracer.labels(call.args[0])
    assert labels is not None
    if not isinstance(layer, nn.PReLU):
        tracer.refuse(call.name, "only a module PReLU can be cut")
    if layer.num_parameters > 1:
        tracer.read("out", channel_labels(tracer, call, labels, 1))
    return _activate(tracer, call)


def _layer_norm(tracer: LabelTracer, call: Call):
    labels = tracer.labels(call.args[0])
    assert labels is not None
    shape = call.kwargs.get("normalized_shape", call.args[1] if len(call.args) > 1 else ())
    if _like(labels, range(labels.ndim - len(shape), labels.ndim), labels) is None:
        tracer.refuse(call.name, "it compares them with each other: each depends on how many are")
    return labels


def _layer(tracer: LabelTracer, call: Call, kinds: tuple) -> tuple[str, Any]:
    """Return the module that runs, if the weight is its own parameter."""
    name, layer = tracer.running
    weight = call.kwargs.get("weight", call.args[1] if len(call.args) > 1 else None)
    if not isinstance(layer, kinds) or layer._parameters.get("weight") is not weight:
        tracer.refuse(call.name, "its weight is no plain parameter of a Linear or of a convolution")
    return name, layer


_KINDS = {row.torch_function: row.name for row in ACTIVATIONS.values() if row.torch_function}

RULES: dict[str, Callable] = {
    **dict.fromkeys(_SELECT, _select),
    **dict.fromkeys(_MOVES, _move),
    **dict.fromkeys(_CASTS, _cast),
    **dict.fromkeys((*_KINDS, *_POINTWISE), _activate),
    **dict.fromkeys(_ARITHMETIC, _elementwise),
    **dict.fromkeys(_REDUCTIONS, _reduce),
    **dict.fromkeys(_SPREADS, _spread),
    **dict.fromkeys((*_POOLS, "interpolate", "upsample"), _pool),
    **dict.fromkeys(
        (f"{kind}dropout{n}" for kind in ("", "alpha_", "feature_", "feature_alpha_")
         for n in ("", "1d", "2d", "3d")), _drop),
    "pad": _pad,
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
