"""Surgery: network + keep -> smaller network.

`DenseNetwork.cut` does it for arrays; here it is done for torch modules. The
module that came in stays as it was, and no random number is drawn.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from ._layers import axis_length, dimension_of, tell_size
from ._places import Place, kept_entries

__all__ = ["Kept", "cut_module", "mask_module"]

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
        for name, tensor in [*layer._parameters.items(), *layer._buffers.items()]:
            dimension = dimension_of(layer, name, place.axis)
            # A bias, like all that a norm has, knows outputs only; a PReLU may have one slope.
            if (
                tensor is None
                or tensor.dim() <= dimension
                or (place.axis == "in" and name == "bias")
            ):
                continue
            _shrink(layer, name, dimension, entries)
            before = kept.get(f"{place.module}.{name}", (None,) * tensor.dim())
            kept[f"{place.module}.{name}"] = (
                *before[:dimension],
                entries,
                *before[dimension + 1 :],
            )
        tell_size(layer, place.axis, len(entries))
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
            layer = module.get_submodule(place.module)
            weight = layer.get_parameter("weight").detach()
            by_input = weight.movedim(dimension_of(layer, "weight", "in"), 0)
            by_input[place.positions[~keep].ravel()] = 0
    return module


def _shrink(layer: nn.Module, name: str, dimension: int, entries: np.ndarray) -> None:
    tensor = getattr(layer, name)
    rows = torch.as_tensor(entries, device=tensor.device)
    smaller = tensor.detach().index_select(dimension, rows)
    if name in layer._parameters:
        smaller = nn.Parameter(smaller, requires_grad=tensor.requires_grad)
    setattr(layer, name, smaller)
