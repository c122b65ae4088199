"""Compensation in a torch module: all layers that use cut units make up for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ..exceptions import UnsupportedNetworkError
from ..networks._places import Place, kept_entries
from ..networks._recording import Recorder
from ..networks._tracing import Trace
from ..networks._windows import n_taps, set_entry_weights
from ..training._samples import Samples
from ._compensation import fold
from ._rows import Rows, readers
from ._skorch_layers import batches_of

__all__ = ["compensate"]

#: Numbers of a layer's inputs that a refit looks at: of more rows a sample is drawn.
_ROW_VALUES = 2**22


def compensate(
    module: torch.nn.Module,
    trace: Trace,
    run: Callable[[Any, Recorder], torch.Tensor],
    smaller: torch.nn.Module,
    smaller_trace: Trace,
    group: str,
    keep: np.ndarray,
    compensation: str,
    samples: Samples,
    seed: int,
) -> None:
    """Fold into the layers of a cut module what the units contributed.

    Parameters
    ----------
    module : Module
        Before the cut.
    trace : Trace
        Of it.
    run : callable
        Runs it on a batch, with a recorder on.
    smaller : Module
        After the cut; its weights are changed.
    smaller_trace : Trace
    group : str
    keep : ndarray of shape (n_units,), bool
    compensation : {"bias", "least-squares"}
    samples : Samples
    seed : int
        Draws rows of inputs, where these are many.

    Raises
    ------
    UnsupportedNetworkError
        If a layer that uses the units has no bias to put their mean in.
    """
    places = [place for place in trace.places[group] if place.axis == "in"]
    after = {place.module: place for place in smaller_trace.places[group] if place.axis == "in"}
    means_only = compensation == "bias"
    wanted = [
        _wanted(module.get_submodule(place.module), place, len(samples.y), means_only, seed)
        for place in places
    ]
    if not wanted:
        return
    inputs, weights = _collect(trace, run, wanted, samples, means_only)
    for place, rows, values, weight in zip(places, wanted, inputs, weights, strict=True):
        outgoing, bias = _array(rows.outgoing()), rows.layer.bias
        kept = np.repeat(keep, values.shape[2])
        new, new_bias = fold(
            values.reshape(len(values), -1),
            kept,
            outgoing.reshape(len(kept), -1),
            None if bias is None else _array(bias),
            weight,
            compensation,
        )
        for made in trace.places[group]:  # behind a sum, what uses units may make some as well
            if (made.module, made.axis) == (place.module, "out"):
                stays = kept_entries(made, keep, new.shape[1])
                new, new_bias = new[:, stays], None if new_bias is None else new_bias[stays]
        _write(smaller.get_submodule(place.module), after[place.module], new, new_bias)


def _write(layer: Any, place: Place, weight: np.ndarray, bias: np.ndarray | None) -> None:
    """Give a layer its weights for the units that stay, and its bias."""
    device, entries = layer.weight.device, place.positions.ravel()
    weight = weight.reshape(len(entries), n_taps(layer), -1)
    with torch.no_grad():
        set_entry_weights(
            layer, torch.as_tensor(entries, device=device), torch.from_numpy(weight).to(device)
        )
        if bias is not None:
            layer.bias.copy_(torch.from_numpy(bias))


def _wanted(layer: Any, place: Place, n_samples: int, means_only: bool, seed: int) -> Rows:
    if means_only and layer.bias is None:
        raise UnsupportedNetworkError(
            "compensation='bias' needs a bias in the layer after the cut units, and "
            f"{place.module!r} has none; give it one, or take compensation='least-squares'."
        )
    return Rows(place.module, layer, place.positions, n_samples, _ROW_VALUES, None, seed)


def _collect(
    trace: Trace, run, wanted: list[Rows], samples: Samples, means_only: bool
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Gather rows of each layer's inputs and their weights; for a mean, a row of means will do."""
    found: list[list] = [[] for _ in wanted]
    for part in batches_of(len(samples.y), trace.n_values):
        batch = samples[part]
        recorder = Recorder(inputs=readers(trace, wanted, len(batch.y), means_only))
        with torch.no_grad():
            run(batch.X, recorder)
        for read in recorder.inputs.values():
            for rows, values, sample in read:
                weight = batch.weight[sample]
                values = _array(values)
                if means_only:
                    mean = np.tensordot(weight, values, 1) / weight.sum()
                    values, weight = mean[None], weight.sum(keepdims=True)
                found[wanted.index(rows)].append((values, weight))
    parts = [list(zip(*own, strict=True)) for own in found]
    return (
        [np.concatenate(values) for values, _ in parts],
        [np.concatenate(weights) for _, weights in parts],
    )


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
