"""Surgery: network + keep -> smaller network.

`DenseNetwork.cut` does it for arrays; here it is done for torch modules. The
module that came in stays as it was, and no random number is drawn.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn
from torch.nn.utils import skip_init

from ._tracing import HiddenLayer

__all__ = ["cut_module"]

#: Which entries of a parameter stay: an index array per dimension, None for all.
Kept = dict[str, tuple[np.ndarray | None, ...]]


def cut_module(module: nn.Module, hidden: HiddenLayer, keep: np.ndarray) -> tuple[nn.Module, Kept]:
    """Remove units of one hidden layer from a module.

    Parameters
    ----------
    module : Module
        A chain that `sklearn_capoz.networks.trace_chain` reads.
    hidden : HiddenLayer
    keep : ndarray of shape (n_units,), bool

    Returns
    -------
    module : Module
        A copy of the same class with narrower layers.
    kept : dict of str to tuple of (ndarray or None)
        For each parameter that shrank, what stayed of each dimension; an
        optimiser's moments are cut by it.
    """
    units = np.flatnonzero(keep)
    module = copy.deepcopy(module)
    kept: Kept = {}
    _replace(module, hidden.producer, (units, None), kept)
    for norm in hidden.norms:
        _replace(module, norm, (units,), kept)
    _replace(module, hidden.consumer, (None, units), kept)
    return module, kept


def _replace(module: nn.Module, name: str, index: tuple[np.ndarray | None, ...], kept: Kept):
    """Put a narrower layer in the place of the one called `name`."""
    old = module.get_submodule(name)
    new = _narrow(old, index)
    new.train(old.training)
    state = new.state_dict()
    for key, tensor in old.state_dict().items():
        # A bias has one dimension, the outputs, which for a consumer all stay.
        dims = index[: tensor.dim()]
        for dim, rows in enumerate(dims):
            if rows is not None:
                tensor = tensor.index_select(dim, torch.as_tensor(rows, device=tensor.device))
        state[key].copy_(tensor)
        if any(rows is not None for rows in dims):
            kept[f"{name}.{key}"] = dims
    for parameter, original in zip(new.parameters(), old.parameters(), strict=True):
        parameter.requires_grad_(original.requires_grad)
    # A layer may have several names, as in `self.body = nn.Sequential(self.first, ...)`.
    for alias, part in list(module.named_modules(remove_duplicate=False)):
        if part is old:
            parent, _, child = alias.rpartition(".")
            setattr(module.get_submodule(parent), child, new)


def _narrow(layer: nn.Module, index: tuple[np.ndarray | None, ...]) -> nn.Module:
    """Return an uninitialised layer of the size that the index leaves."""
    first = next(iter(layer.state_dict().values()), None)
    where = {} if first is None else {"device": first.device, "dtype": first.dtype}
    if isinstance(layer, nn.Linear):
        sizes = [
            size if rows is None else len(rows)
            for size, rows in zip(layer.weight.shape, index, strict=True)
        ]
        return skip_init(nn.Linear, sizes[1], sizes[0], bias=layer.bias is not None, **where)
    assert isinstance(layer, nn.BatchNorm1d)
    assert index[0] is not None
    return skip_init(
        nn.BatchNorm1d,
        len(index[0]),
        eps=layer.eps,
        momentum=layer.momentum,
        affine=layer.affine,
        track_running_stats=layer.track_running_stats,
        **where,
    )
