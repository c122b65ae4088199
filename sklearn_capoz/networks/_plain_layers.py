"""Layers that are more than they seem: their weights are made of others, which a cut would miss."""

from __future__ import annotations

import torch
from torch import nn

from ..exceptions import UnsupportedNetworkError
from ._layers import CONVOLUTIONS, NORMS, TRANSPOSED

__all__ = ["check_plain"]

_LAYERS = (nn.Linear, *CONVOLUTIONS, *TRANSPOSED, *NORMS)

#: What a buffer or parameter beside a `weight` of that name tells of, and how to undo it.
_TRACES = {
    "_mask": (
        "has a mask of torch.nn.utils.prune",
        "make it permanent with torch.nn.utils.prune.remove(layer, {name!r})",
    ),
    "_g": (
        "has a weight_norm",
        "undo it with torch.nn.utils.remove_weight_norm(layer, {name!r})",
    ),
    "_u": (
        "has a spectral_norm",
        "undo it with torch.nn.utils.remove_spectral_norm(layer, {name!r})",
    ),
}


def check_plain(module: nn.Module) -> None:
    """Raise unless all layers have their weights as plain parameters of their own.

    Raises
    ------
    UnsupportedNetworkError
        Naming the layer, the reason, and how to undo it.
    """
    owners: dict[int, tuple[str, nn.Module]] = {}
    for name, part in module.named_modules():
        why = _why_not(part)
        if why is not None:
            raise UnsupportedNetworkError(
                f"{type(module).__name__} cannot be pruned: {type(part).__name__} {name!r} {why}."
            )
        for parameter in part.parameters(recurse=False):
            owner, other = owners.setdefault(id(parameter), (name, part))
            if other is not part:
                raise UnsupportedNetworkError(
                    f"{type(module).__name__} cannot be pruned: {owner!r} and {name!r} share one "
                    "parameter, which a cut of either would take from the other."
                )


def _why_not(part: nn.Module) -> str | None:
    kind = type(part).__name__
    if isinstance(part, torch.jit.ScriptModule) or kind == "OptimizedModule":
        return (
            "is compiled, and its layers are out of reach; give the module itself, and compile "
            "what comes out"
        )
    if hasattr(part, "parametrizations"):
        names = ", ".join(part.parametrizations)  # type: ignore[arg-type]
        return (
            f"has its {names} parametrized; undo it with "
            "torch.nn.utils.parametrize.remove_parametrizations(layer, name)"
        )
    if not isinstance(part, _LAYERS):
        return None
    own = {*part._parameters, *part._buffers}
    for ending, (what, remedy) in _TRACES.items():
        for name in ("weight", "bias"):
            if name + ending in own:
                return f"{what}; {remedy.format(name=name)}"
    base = next(kind for kind in _LAYERS if isinstance(part, kind))
    # Of a Linear or a convolution the tracer sees whether its weights are used as they are.
    if base in NORMS and type(part).forward is not base.forward:
        return f"has a forward of its own, which may use its {base.__name__} weights otherwise"
    return None
