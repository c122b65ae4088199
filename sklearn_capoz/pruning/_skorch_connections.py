"""What criteria see of the connections of a torch module: its weights, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ..criteria import Connections
from ..networks._connections import in_own_order, meeting_inputs
from ..networks._layers import axis_length
from ..networks._recording import Recorder
from ..networks._tracing import Trace
from ..networks._windows import n_taps
from ..training._samples import Samples
from ._model import LayerWeights
from ._skorch_layers import batches_of

__all__ = ["layer_weights", "view_connections"]

#: Numbers that the gradients of some samples by each weight, or what meets the weights, may take.
_ROW_VALUES = 2**22


def layer_weights(module: torch.nn.Module, trace: Trace) -> dict[str, LayerWeights]:
    """Return the weights of all layers that have some, in the order in which they run."""
    widths = {group.name: group.n_units for group in trace.groups}
    uses: dict[str, int] = {}
    for run in trace.work:
        count = run.positions + sum(each * widths[group] for group, each in run.per_unit)
        uses[run.module] = uses.get(run.module, 0) + count
    return {
        name: LayerWeights(_array(module.get_submodule(name).get_parameter("weight")), n_uses)
        for name, n_uses in uses.items()
    }


def view_connections(
    module: torch.nn.Module,
    trace: Trace,
    run: Callable[[Any, Recorder], torch.Tensor],
    samples: Samples,
    needs: frozenset[str],
    random_state: np.random.RandomState,
) -> dict[str, Connections]:
    """View the weights of each layer, and what the samples say of them, batch by batch.

    Parameters
    ----------
    module : Module
    trace : Trace
    run : callable
        Gives the logarithms of the probabilities of a batch, with a recorder on.
    samples : Samples
    needs : frozenset of {"gradients", "inputs"}
    random_state : RandomState
        For criteria that draw.
    """
    weights = {name: own.weights for name, own in layer_weights(module, trace).items()}
    layers: dict[str, Any] = {name: module.get_submodule(name) for name in weights}
    means: dict[str, dict[str, torch.Tensor]] = {what: {} for what in needs}
    n_values = trace.n_values * max(n_taps(layer) for layer in layers.values())
    share = samples.weight / samples.weight.sum()
    for rows in batches_of(len(samples.y), n_values) if needs else ():
        batch = Samples(samples[rows].X, samples[rows].y, share[rows])
        for what, found in _look(trace, layers, run, batch, needs).items():
            for name, part in found.items():
                means[what][name] = means[what][name] + part if name in means[what] else part

    def mean(what: str, name: str) -> np.ndarray | None:
        return _array(in_own_order(layers[name], means[what][name])) if what in needs else None

    return {
        name: Connections(own, random_state, mean("gradients", name), mean("inputs", name))
        for name, own in weights.items()
    }


def _look(
    trace: Trace, layers: dict[str, Any], run, batch: Samples, needs: frozenset[str]
) -> dict[str, dict[str, torch.Tensor]]:
    """Run a batch; return of each layer sums over its samples, as (n_out, n_in * n_taps)."""
    calls = {name: [op.call for op in trace.operations if op.has_weights and op.module == name]
             for name in layers}  # fmt: skip
    all_calls = [call for own in calls.values() for call in own]
    wants_gradients = "gradients" in needs
    recorder = Recorder(
        dict.fromkeys(all_calls, True) if wants_gradients else {},
        dict.fromkeys(all_calls, lambda inputs: inputs.detach().clone()),
        with_gradients=wants_gradients,
    )
    deltas: dict[int, torch.Tensor] = {}
    with torch.set_grad_enabled(wants_gradients):
        log_probabilities = run(batch.X, recorder)
        if wants_gradients:
            y = torch.as_tensor(batch.y, device=log_probabilities.device)
            # Samples do not meet in eval mode: the sum's gradient has each sample's own.
            loss = torch.nn.functional.nll_loss(log_probabilities, y, reduction="sum")
            outputs = list(recorder.values.values())
            slopes = torch.autograd.grad(loss, outputs, allow_unused=True, materialize_grads=True)
            deltas = dict(zip(recorder.values, slopes, strict=True))
    found: dict[str, dict[str, torch.Tensor]] = {what: {} for what in needs}
    for name, layer in layers.items():
        inputs = [recorder.inputs[call] for call in calls[name]]
        share = torch.as_tensor(batch.weight, dtype=inputs[0].dtype, device=inputs[0].device)
        if "inputs" in needs:
            found["inputs"][name] = _mean_squares(layer, inputs, share)
        if wants_gradients:
            own = [deltas[call] for call in calls[name]]
            found["gradients"][name] = _mean_gradients(layer, inputs, own, share)
    return found


def _mean_squares(layer: Any, inputs: Sequence[torch.Tensor], share: torch.Tensor) -> torch.Tensor:
    """Average the squares of what meets each weight: over positions, runs, and samples by share."""
    runs = [
        torch.stack([share @ rows.square().mean(1) for rows in _rows(layer, one, len(share))])
        for one in inputs
    ]
    squares = torch.stack(runs).mean(0)
    n_groups, n_columns = squares.shape
    n_out = layer.weight.numel() // n_columns
    return squares.repeat_interleave(n_out // n_groups, 0)


def _mean_gradients(
    layer: Any,
    inputs: Sequence[torch.Tensor],
    deltas: Sequence[torch.Tensor],
    share: torch.Tensor,
) -> torch.Tensor:
    """Average the absolute derivatives of each sample's loss by each weight."""
    n_samples = len(share)
    # Of each group of the layer, the positions of all its runs.
    rows = [torch.cat(own, 1) for own in zip(
        *(_rows(layer, one, n_samples) for one in inputs), strict=True)]  # fmt: skip
    by_position = [d if isinstance(layer, torch.nn.Linear) else d.movedim(1, -1) for d in deltas]
    outs = torch.cat([d.reshape(n_samples, -1, d.shape[-1]) for d in by_position], 1)
    groups = zip(rows, outs.chunk(len(rows), -1), strict=True)
    return torch.cat([_absolute_products(*group, share) for group in groups])


def _rows(layer: Any, inputs: torch.Tensor, n_samples: int) -> list[torch.Tensor]:
    """Lay out what meets the weights of each group of a layer: (n_samples, n_positions, n_in)."""
    n_in = layer.weight.numel() // axis_length(layer, "out")
    return [windows.reshape(n_samples, -1, n_in) for windows in meeting_inputs(layer, inputs)]


def _absolute_products(
    rows: torch.Tensor, deltas: torch.Tensor, share: torch.Tensor
) -> torch.Tensor:
    """Sum share * |delta.T @ rows| over samples; of one position that is a single product."""
    if rows.shape[1] == 1:
        return (deltas[:, 0].abs() * share[:, None]).T @ rows[:, 0].abs()
    size = max(_ROW_VALUES // max(rows.shape[2] * deltas.shape[2], rows[0].numel()), 1)
    total = rows.new_zeros(deltas.shape[2], rows.shape[2])
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        products = torch.einsum("npo,npk->nok", deltas[part], rows[part])
        total += torch.tensordot(share[part], products.abs(), 1)
    return total


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
