"""What channels are on given samples, of any fitted estimator with convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from ..exceptions import UnsupportedNetworkError
from ..networks._inputs import map_inputs, n_rows, run_module, sample_shape, take
from ._adapter import is_skorch_net
from ._check_inputs import check_inputs
from ._cnn import PrunedCNNClassifier
from ._cnn_inputs import batches, check_X
from ._pruner import CAPoZPruner

__all__ = ["channel_values"]


def channel_values(
    estimator, X: Any, layer: str | None, sample: int
) -> tuple[np.ndarray, np.ndarray, str, int]:
    """See all channels of a convolution on one sample, and their mean on all.

    Parameters
    ----------
    estimator : CAPoZPruner, PrunedCNNClassifier or NeuralNetClassifier, fitted
    X : array-like, or dict or tuple of array-like
    layer : str or None
        None is the last convolution.
    sample : int

    Returns
    -------
    maps : ndarray of shape (n_channels, n_rows, n_columns)
    mean : ndarray of shape (n_channels,)
        Of absolute values, over samples and positions.
    layer : str
    group : int
        Which of the network's groups of units.
    """
    import torch

    from ..networks._recording import Recorder
    from ..networks._tracing import trace_shape
    from ..pruning._skorch_layers import batches_of

    module, X = _network_and_inputs(estimator, X)
    n_samples = n_rows(X)
    if not -n_samples <= sample < n_samples:
        raise ValueError(f"sample={sample} was asked for, and X holds {n_samples}.")
    trace = trace_shape(module, sample_shape(X))
    group = _find(trace, layer)
    name, site = trace.groups[group].name, _site(trace, group)
    total, maps = np.zeros(trace.groups[group].n_units), np.empty(0)
    chosen = range(n_samples)[sample]
    for rows in batches_of(n_samples, trace.n_values):
        batch = take(X, rows)
        inputs = map_inputs(torch.as_tensor, batch)  # is a call as well
        with torch.no_grad(), (recorder := Recorder({site.call: site.is_overwritten})):
            run_module(module, inputs)
        value = recorder.values[site.call]
        values = site.read(value, group, n_rows(batch)).numpy()
        total += np.abs(values).mean(axis=1, dtype=np.float64).sum(axis=0)
        if chosen in range(n_samples)[rows]:
            own = values[chosen - rows.start].T
            maps = own.reshape(len(own), *value.shape[2:])
    if maps.ndim == 2:
        maps = maps[:, None]
    return maps if maps.ndim == 3 else maps.mean(axis=1), total / n_samples, name, group


def _network_and_inputs(estimator, X: Any) -> tuple[Any, Any]:
    """Return a module on the CPU, in evaluation mode, and what it takes."""
    if isinstance(estimator, PrunedCNNClassifier):
        size, dtype = estimator.patch_size_, estimator.dtype_
        X = check_X(estimator, X, size, dtype, reset=False)
        return estimator.module_, np.concatenate(list(batches(estimator.bands_, X, size, dtype)))
    net = estimator.estimator_ if isinstance(estimator, CAPoZPruner) else estimator
    if not is_skorch_net(net):
        raise UnsupportedNetworkError(
            f"Maps of channels are those of a NeuralNetClassifier, a CAPoZPruner of one or a "
            f"PrunedCNNClassifier, fitted; got {type(net).__name__}."
        )
    from copy import deepcopy

    from ..pruning._skorch_model import for_module

    X = check_inputs(BaseEstimator(), X, allow_nd=True, reset=True)
    return deepcopy(net.module_).cpu().eval(), for_module(X, net.module_)


def _find(trace, layer: str | None) -> int:
    """Return which group is a layer's, or raise and list those of convolutions."""
    kinds = {operation.module: operation.kind for operation in trace.operations}
    groups = [i for i, group in enumerate(trace.groups) if kinds[group.name] == "conv"]
    named = {trace.groups[i].name: i for i in groups}
    if not groups or (layer is not None and layer not in named):
        raise ValueError(
            f"layer={layer!r} is no convolution of this network whose channels can go; "
            + (f"these are {list(named)}." if named else "it has none.")
        )
    return groups[-1] if layer is None else named[layer]


def _site(trace, group: int):
    """Return where the channels of a group are seen: behind their activation, if they have one."""
    from ..networks._sites import Site

    found = trace.groups[group]
    if found.activation != "identity":
        return trace.sites[found.name][0]
    # Without one they may be seen behind a mean over the positions only.
    made = next(operation for operation in trace.operations if operation.module == found.name)
    numbers = np.arange(found.n_units)
    return Site(made.call, 1, np.full(found.n_units, group), numbers, is_overwritten=True)
