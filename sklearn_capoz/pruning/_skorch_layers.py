"""What criteria see of a torch module: its groups of units, on one batch of samples at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..criteria import Inputs, Layer
from ..networks._layers import weight_rows
from ..networks._places import Place
from ..networks._recording import Recorder
from ..networks._tracing import Trace
from ..networks._windows import entry_weights
from ..training._samples import Samples
from ._rows import Rows, readers

__all__ = ["batches_of", "join_layers", "pick_positions", "view_layers"]

#: Numbers that a forward pass may hold at a time: 16 MB of float32.
_BATCH_VALUES = 2**22
#: Numbers that are kept of all layers' inputs together, and inputs of a layer that are looked at:
#: of more a sample is drawn. Their second moments have this many rows and columns.
_INPUT_VALUES, _INPUT_COLUMNS = 2**20, 256
#: Numbers of a group that a criterion that does not stream is shown.
_WHOLE_VALUES = 2**24


def batches_of(n_samples: int, n_values: int) -> Iterator[slice]:
    """Go through samples in batches of which a forward pass fits in memory.

    Parameters
    ----------
    n_samples : int
    n_values : int
        Numbers that a forward pass makes of one sample.
    """
    size = max(_BATCH_VALUES // max(n_values, 1), 1)
    for start in range(0, n_samples, size):
        yield slice(start, start + size)


def view_layers(
    module: torch.nn.Module,
    trace: Trace,
    run: Callable[[Any, Recorder], torch.Tensor],
    samples: Samples,
    needs: frozenset[str],
    random_state: np.random.RandomState | None,
) -> Iterator[dict[str, Layer]]:
    """View each group on one batch of samples after the other.

    Parameters
    ----------
    module : Module
    trace : Trace
    run : callable
        Gives the logarithms of the probabilities of a batch, with a recorder on.
    samples : Samples
    needs : frozenset of str
    random_state : RandomState or None
        For criteria that draw, and where rows of inputs are drawn.
    """
    wanted: dict[str, list[Rows]] = {group.name: [] for group in trace.groups}
    if "inputs" in needs:
        wanted = _wanted_rows(module, trace, len(samples.y), random_state)
    weights = {name: _weights(module, places) for name, places in trace.places.items()}
    n_samples = len(samples.y)
    # Looked at as they are made, numbers stay in the cache, and their memory with the process. Rows
    # of inputs are drawn batch by batch, and stay those of the larger ones.
    n_values = trace.n_values if "inputs" in needs else 2 * trace.n_values
    for rows in batches_of(n_samples, n_values) if needs else [slice(n_samples)]:
        batch = samples[rows]
        seen = _run(trace, run, wanted, batch, needs)
        layers = {
            group.name: Layer(
                **seen.layer(number, group.name, needs),
                **weights[group.name],
                activation=group.activation,
                y=batch.y,
                sample_weight=batch.weight,
                random_state=random_state,  # type: ignore[arg-type]
            )
            for number, group in enumerate(trace.groups)
        }
        del seen  # or two batches would be in memory, of which the second is written to cold pages
        yield layers
        del layers


def _wanted_rows(module, trace: Trace, n_samples: int, random_state) -> dict[str, list[Rows]]:
    n_uses = sum(place.axis == "in" for own in trace.places.values() for place in own)
    wanted: dict[str, list[Rows]] = {}
    for name, places in trace.places.items():
        wanted[name] = [
            Rows(
                module=place.module,
                layer=module.get_submodule(place.module),
                positions=place.positions,
                n_samples=n_samples,
                max_values=_INPUT_VALUES // n_uses,
                max_columns=_INPUT_COLUMNS,
                seed=0 if random_state is None else random_state.randint(2**31 - 1),
            )
            for place in places
            if place.axis == "in"
        ]
    return wanted


@dataclass(frozen=True, eq=False)
class _Seen:
    """What one forward pass over a batch has shown, and the pass back where it was asked for."""

    trace: Trace
    batch: Samples
    wanted: dict[str, list[Rows]]
    recorder: Recorder
    #: By the values of the recorder, and by its uses.
    gradients: tuple[dict[int, torch.Tensor], dict[int, torch.Tensor]]
    correct: np.ndarray | None

    def layer(self, number: int, name: str, needs: frozenset[str]) -> dict[str, Any]:
        """Return the fields of a layer's view that the samples fill.

        Where units are used in several places, a derivative by what is seen in one of them has
        that of the next in it, where a sum goes past the layers between. What each layer that uses
        them is given is counted once.
        """
        by_use = "gradients" in needs and name in self.trace.uses
        sites = (self.trace.uses if by_use else self.trace.sites)[name]

        def read(wanted: str, seen: tuple[dict[int, torch.Tensor], ...]) -> np.ndarray | None:
            if wanted not in needs:
                return None
            values, n_samples = seen[by_use], len(self.batch.y)
            parts = [site.read(values[site.call], number, n_samples) for site in sites]
            return _array(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1))

        return {
            "correct": self.correct,
            "activations": read("activations", (self.recorder.values, self.recorder.uses)),
            "gradients": read("gradients", self.gradients),
            "inputs": tuple(self._inputs(rows) for rows in self.wanted[name]) or None,
        }

    def _inputs(self, wanted: Rows) -> Inputs:
        found = [
            one[1:] for read in self.recorder.inputs.values() for one in read if one[0] is wanted
        ]
        values = _array(torch.cat([rows for rows, _ in found]))
        sample = np.concatenate([sample for _, sample in found])
        return Inputs(values, self.batch.weight[sample], _array(wanted.outgoing()))


def _run(trace: Trace, run, wanted, batch: Samples, needs: frozenset[str]) -> _Seen:
    wants_values = {"activations", "gradients"} & needs
    sites = [site for own in trace.sites.values() for site in own if wants_values]
    rows = [one for own in wanted.values() for one in own]
    recorder = Recorder(
        {site.call: site.is_overwritten for site in sites},
        readers(trace, rows, len(batch.y)),
        [site.call for own in trace.uses.values() for site in own if "gradients" in needs],
        with_gradients="gradients" in needs,
    )
    gradients: tuple = ({}, {})
    if not needs:
        return _Seen(trace, batch, wanted, recorder, gradients, None)
    with torch.set_grad_enabled("gradients" in needs):
        log_probabilities = run(batch.X, recorder)
        if "gradients" in needs:
            y = torch.as_tensor(batch.y, device=log_probabilities.device)
            # Samples do not meet in eval mode: the sum's gradient has each sample's own.
            loss = torch.nn.functional.nll_loss(log_probabilities, y, reduction="sum")
            values = [*recorder.values.values(), *recorder.uses.values()]
            # A branch may be run whose outcome goes nowhere.
            found = torch.autograd.grad(loss, values, allow_unused=True, materialize_grads=True)
            n_values = len(recorder.values)
            gradients = (
                dict(zip(recorder.values, found[:n_values], strict=True)),
                dict(zip(recorder.uses, found[n_values:], strict=True)),
            )
    correct = _array(log_probabilities).argmax(axis=1) == batch.y
    return _Seen(trace, batch, wanted, recorder, gradients, correct)


def _weights(module, places: Sequence[Place]) -> dict[str, Any]:
    """Weights into the units, from all that make them, and out of them, to all that use them."""
    incoming, outgoing = [], []
    for place in places:
        layer, n_units = module.get_submodule(place.module), len(place.positions)
        if place.axis == "in":
            entries = torch.as_tensor(place.positions.ravel(), device=layer.weight.device)
            weights = _array(entry_weights(layer, entries))
            outgoing.append(weights.reshape(n_units, -1, weights.shape[2]))
        elif getattr(layer, "weight", None) is not None and layer.weight.dim() > 1:  # no norm
            rows = _array(weight_rows(layer))
            if not _is_all(place.positions, len(rows)):
                rows = rows[place.positions.ravel()]
            incoming.append(rows.reshape(n_units, -1))
    one_use = len(outgoing) == 1
    return {
        "incoming": incoming[0] if len(incoming) == 1 else np.hstack(incoming),
        # The weights of several layers lie side by side, as those of one tap.
        "outgoing": outgoing[0]
        if one_use
        else np.hstack([weights.reshape(len(weights), -1) for weights in outgoing])[:, None],
    }


def _is_all(positions: np.ndarray, length: int) -> bool:
    return positions.shape == (length, 1) and (positions[:, 0] == np.arange(length)).all()


def join_layers(layers: Sequence[dict[str, Layer]]) -> dict[str, Layer]:
    """Put batches together, for who must see them at once; of many positions a seed picks some."""
    if len(layers) == 1:
        return layers[0]
    return {name: _join([batch[name] for batch in layers]) for name in layers[0]}


def _join(parts: Sequence[Layer]) -> Layer:
    first = parts[0]

    def together(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else np.concatenate(values)

    inputs = None
    if first.inputs is not None:
        inputs = tuple(
            Inputs(
                np.concatenate([use.values for use in uses]),
                np.concatenate([use.weight for use in uses]),
                uses[0].outgoing,
            )
            for uses in zip(*(part.inputs or () for part in parts), strict=True)
        )
    names = ("activations", "gradients", "correct", "y", "sample_weight")
    return replace(first, **{name: together(name) for name in names}, inputs=inputs)


def pick_positions(layer: Layer, n_samples: int, seed: int) -> Layer:
    """Leave some positions out, the same of each batch, where those of all are too many.

    Parameters
    ----------
    layer : Layer
        Of a batch.
    n_samples : int
        Of all batches together.
    seed : int
    """
    shown = layer.activations if layer.activations is not None else layer.gradients
    if shown is None or n_samples * shown[0].size <= _WHOLE_VALUES:
        return layer
    n_picked = max(_WHOLE_VALUES // (n_samples * layer.n_units), 1)
    return layer.at_positions(n_picked, seed)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
