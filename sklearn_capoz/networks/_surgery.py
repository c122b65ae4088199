"""Surgery: network + keep -> smaller network.

`DenseNetwork.cut` does it for arrays; here it is done for torch modules. The
module that came in stays as it was, and no random number is drawn.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from ..exceptions import UnsupportedNetworkError
from ._groups import UnitGroup
from ._label_rules import tensors_in
from ._labels import NoDropout
from ._places import Place, kept_entries

__all__ = ["Kept", "check_cuts", "cut_module", "mask_module"]

#: Which entries of a parameter stay: an index array per dimension, None for all.
Kept = dict[str, tuple[np.ndarray | None, ...]]


def cut_module(
    module: nn.Module, places: Sequence[Place], keep: np.ndarray
) -> tuple[nn.Module, Kept]:
    """Remove units of one group from a module.

    Parameters
    ----------
    module : Module
    places : sequence of Place
        Where the group's units are, from `sklearn_capoz.networks._tracing.trace`.
    keep : ndarray of shape (n_units,), bool

    Returns
    -------
    module : Module
        A copy of the same class with narrower layers.
    kept : dict of str to tuple of (ndarray or None)
        For each parameter or buffer that shrank, what stayed of each dimension; an
        optimiser's moments are cut by it.
    """
    module = copy.deepcopy(module)
    kept: Kept = {}
    for place in places:
        # The copy's layers are changed where they are, so that one with several names, as in
        # `self.body = nn.Sequential(self.first, ...)`, stays one.
        layer = module.get_submodule(place.module)
        entries = kept_entries(place, keep, axis_length(layer, place.axis))
        dimension = 0 if place.axis == "out" else 1
        for name, tensor in [*layer._parameters.items(), *layer._buffers.items()]:
            # A bias, like all that a norm has, knows outputs only.
            if tensor is None or tensor.dim() <= dimension:
                continue
            _shrink(layer, name, dimension, entries)
            before = kept.get(f"{place.module}.{name}", (None,) * tensor.dim())
            kept[f"{place.module}.{name}"] = (
                *before[:dimension],
                entries,
                *before[dimension + 1 :],
            )
        _tell_size(layer, place.axis, len(entries))
    return module, kept


def mask_module(module: nn.Module, places: Sequence[Place], keep: np.ndarray) -> nn.Module:
    """Copy a module in which nobody listens to some units any more: as large, and without them.

    Parameters
    ----------
    module : Module
    places : sequence of Place
    keep : ndarray of shape (n_units,), bool
    """
    module = copy.deepcopy(module)
    for place in places:
        if place.axis == "in":
            weight = module.get_submodule(place.module).get_parameter("weight")
            with torch.no_grad():
                weight[:, place.positions[~keep].ravel()] = 0
    return module


def check_cuts(
    module: nn.Module,
    groups: Sequence[UnitGroup],
    places: Mapping[str, Sequence[Place]],
    samples: torch.Tensor,
) -> None:
    """Cut every group on trial, before any training, and compare with the masked module.

    Parameters
    ----------
    module : Module
    groups : sequence of UnitGroup
    places : mapping of str to sequence of Place
    samples : Tensor of shape (2, ...)

    Raises
    ------
    UnsupportedNetworkError
        Where the smaller module fails or gives other outputs: its forward names a size itself, as
        in `x.view(-1, 700)`.
    """
    for group in groups:
        if group.n_units < 2:
            continue
        keep = np.arange(group.n_units) % 2 == 0
        smaller, _ = cut_module(module, places[group.name], keep)
        masked = mask_module(module, places[group.name], keep)
        with torch.no_grad(), NoDropout():
            expected = masked.eval()(samples)
            if not all(torch.isfinite(part).all() for part in tensors_in(expected)):
                raise ValueError(
                    f"{type(module).__name__} gives outputs that are not finite: its weights have "
                    "diverged or are NaN. Train it anew, with a smaller learning rate."
                )
            try:
                output = smaller.eval()(samples)
            except Exception as error:
                raise _cannot_go(module, group, f"the forward then fails ({error})") from error
        for one, other in zip(tensors_in(output), tensors_in(expected), strict=True):
            if one.shape != other.shape or not torch.allclose(
                one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()), equal_nan=True
            ):
                raise _cannot_go(module, group, "the outputs then are others than without them")


def _cannot_go(module: nn.Module, group: UnitGroup, what: str) -> UnsupportedNetworkError:
    return UnsupportedNetworkError(
        f"{type(module).__name__} cannot be pruned: where units of {group.name!r} are cut, {what}. "
        "A forward must ask its data for sizes, as in x.view(len(x), -1) or x.flatten(1), and "
        "name none itself."
    )


def axis_length(layer, axis: str) -> int:
    """Count a layer's outputs or inputs."""
    if isinstance(layer, nn.Linear):
        return layer.out_features if axis == "out" else layer.in_features
    if axis == "out" and hasattr(layer, "num_features"):
        return layer.num_features
    return layer.out_channels if axis == "out" else layer.in_channels


def _tell_size(layer, axis: str, size: int) -> None:
    """Let a layer know its new number of outputs or inputs."""
    if isinstance(layer, nn.Linear):
        setattr(layer, f"{axis}_features", size)
    elif hasattr(layer, "num_features"):
        layer.num_features = size
    elif axis == "out" and layer.groups > 1:  # depthwise: as many inputs go
        layer.in_channels = layer.groups = size * layer.groups // layer.out_channels
        layer.out_channels = size
    else:
        setattr(layer, f"{axis}_channels", size)


def _shrink(layer: nn.Module, name: str, dimension: int, entries: np.ndarray) -> None:
    tensor = getattr(layer, name)
    rows = torch.as_tensor(entries, device=tensor.device)
    smaller = tensor.detach().index_select(dimension, rows)
    if name in layer._parameters:
        smaller = nn.Parameter(smaller, requires_grad=tensor.requires_grad)
    setattr(layer, name, smaller)
