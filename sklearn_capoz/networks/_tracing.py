"""Which units of a torch module can be cut, and where each of them is.

The module runs once, as a copy, on two samples; `_labels` follows every unit on the way. From
what was read on that run this file makes groups of units: those that are tied to each other,
through a sum or a shared layer, can only go together.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import nn

from ..exceptions import UnsupportedNetworkError
from ._groups import Member, UnitGroup
from ._label_rules import NORMS, tensors_in
from ._labels import LabelTracer, NoDropout, Operation
from ._places import Place
from ._plain_layers import check_plain
from ._surgery import check_cuts

__all__ = ["Trace", "trace", "trace_table"]


@dataclass(frozen=True, eq=False)
class Trace:
    """What a module does, and the units that can be cut.

    Parameters
    ----------
    operations : tuple of Operation
        In the order in which they run.
    groups : tuple of UnitGroup
        From the input on.
    places : dict of str to tuple of Place
        Name of a group -> where its units are, in the order in which data passes.
    kept_whole : dict of str to str
        Module -> why its units stay, all of them.
    n_features : int
        Columns of the samples that it ran on.
    """

    operations: tuple[Operation, ...]
    groups: tuple[UnitGroup, ...]
    places: dict[str, tuple[Place, ...]]
    kept_whole: dict[str, str]
    n_features: int

    def cut(self, group: str, keep: np.ndarray) -> Trace:
        """Count units anew after a cut; the module need not be traced again."""
        gone = {
            (place.module, place.axis): np.sort(place.positions[~keep], axis=None)
            for place in self.places[group]
        }
        places = {}
        for name, own in self.places.items():
            places[name] = tuple(
                replace(
                    place,
                    positions=kept
                    - np.searchsorted(gone.get((place.module, place.axis), ()), kept),
                )
                for place in own
                for kept in [place.positions[keep] if name == group else place.positions]
            )
        groups = tuple(
            replace(old, n_units=int(keep.sum())) if old.name == group else old
            for old in self.groups
        )
        return replace(self, groups=groups, places=places)


def trace(module: nn.Module, samples: torch.Tensor) -> Trace:
    """Run a copy of a module, see which of its units can be cut, and cut some on trial.

    Parameters
    ----------
    module : torch.nn.Module
        It stays as it was; no random number is drawn.
    samples : tensor of shape (2, ...)
        Two samples, of the module's dtype and on its device.

    Raises
    ------
    UnsupportedNetworkError
        Naming the layer that does what cannot be followed, and the reason.
    """
    check_plain(module)
    tracer = LabelTracer(_copy(module).eval())
    try:
        output = tracer.run(samples)
    except Exception as error:
        if tracer.refusal is not None:
            raise tracer.refusal from None
        raise UnsupportedNetworkError(
            f"{type(module).__name__} cannot be traced: it fails on {len(samples)} samples of "
            f"shape {tuple(samples.shape[1:])} in evaluation mode ({error})."
        ) from error
    _check_samples_apart(module, samples, output)
    units = _Units(tracer)
    units.check_pins()
    groups, places = units.groups()
    check_cuts(module, groups, places, samples)
    return Trace(
        tuple(tracer.operations), groups, places, units.kept_whole(), int(samples.shape[-1])
    )


def _copy(module: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(module)
    except Exception as error:
        raise UnsupportedNetworkError(
            f"{type(module).__name__} cannot be copied ({error}); pruning works on copies, so that "
            "yours stays as it was. Let it hold only what copy.deepcopy takes."
        ) from error


def trace_table(module: nn.Module, n_features: int | None = None) -> Trace:
    """Trace a module that takes tables of numbers.

    Parameters
    ----------
    module : torch.nn.Module
    n_features : int, optional
        Columns of the table. By default what the first Linear or BatchNorm1d takes with which
        the module runs.

    Raises
    ------
    UnsupportedNetworkError
        As `trace` does.
    """
    sizes = [n_features] if n_features is not None else list(dict.fromkeys(_input_sizes(module)))
    first = next(iter(module.parameters()), torch.empty(0))
    errors = []
    for size in sizes:
        # Any numbers, of both signs and none like another.
        values = torch.linspace(-1, 1, 2 * size, dtype=first.dtype, device=first.device)
        try:
            return trace(module, values.reshape(size, 2).T.contiguous())
        except UnsupportedNetworkError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    raise UnsupportedNetworkError(
        f"{type(module).__name__} holds 0 Linear layers; a network with a hidden layer has at "
        "least two."
    )


def _input_sizes(module: nn.Module) -> Iterator[int]:
    for part in module.modules():
        if isinstance(part, nn.Linear):
            yield part.in_features
        elif isinstance(part, nn.BatchNorm1d):
            yield part.num_features


def _check_samples_apart(module: nn.Module, samples: torch.Tensor, output: Any) -> None:
    """Raise where a sample alone gives another output than beside others."""
    if any(isinstance(part, NORMS) and part.running_mean is None for part in module.modules()):
        return  # which looks at the batch by design, and changes with no cut
    with torch.no_grad(), NoDropout():
        alone = copy.deepcopy(module).eval()(samples[:1])
    for one, both in zip(tensors_in(alone), tensors_in(output), strict=True):
        first = both[: len(one)]
        if one.shape != first.shape or not torch.allclose(
            one, first, rtol=1e-3, atol=1e-4, equal_nan=True
        ):
            raise UnsupportedNetworkError(
                f"{type(module).__name__} gives a sample another output when it comes with others "
                "in a batch: samples mix. Its forward must treat each by itself."
            )


class _Units:
    """The labels of a run, joined to units and these to groups."""

    def __init__(self, tracer: LabelTracer):
        self.tracer = tracer
        pins = [np.stack([np.zeros_like(labels), labels]) for labels, *_ in tracer.pins]
        ties = np.hstack([np.zeros((2, 1), np.int64), *tracer.ties, *pins])
        self.unit_of = self._components(ties)
        together = [np.stack([labels[:-1], labels[1:]]) for labels in tracer.made.values()]
        self.group_of = self._components(np.hstack([ties[:, :0], *tracer.ties, *together]))

    def _components(self, pairs: np.ndarray) -> np.ndarray:
        n = self.tracer.n_labels
        graph = coo_array((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(n, n))
        return connected_components(graph, directed=False)[1]

    def check_pins(self) -> None:
        """Raise where units are mixed anywhere but at the output."""
        allowed = [labels for labels, _, harmless in self.tracer.pins if harmless]
        units = set(self.group_of[np.concatenate([[0], *allowed])])
        for labels, why, harmless in self.tracer.pins:
            if not harmless and not units.issuperset(self.group_of[labels]):
                name = next(
                    m for m, made in self.tracer.made.items() if np.isin(labels, made).any()
                )
                raise UnsupportedNetworkError(
                    f"{type(self.tracer.module).__name__} cannot be pruned: the units of {name!r} "
                    f"cannot go, as {why}."
                )

    def kept_whole(self) -> dict[str, str]:
        """Return why all units of a module stay, for each of these."""
        reasons = {}
        for name, labels in self.tracer.made.items():
            fixed = self.unit_of[labels] == self.unit_of[0]
            if fixed.any():
                reasons[name] = next(
                    (
                        why
                        for pinned, why, _ in self.tracer.pins
                        if np.isin(self.unit_of[pinned], self.unit_of[labels]).any()
                    ),
                    "they are joined to the network's input",
                )
        return reasons

    def groups(self) -> tuple[tuple[UnitGroup, ...], dict[str, tuple[Place, ...]]]:
        """Make groups of the units that can be cut, in the order in which they are made."""
        groups, places = [], {}
        kept = self.kept_whole()
        makers: dict[int, list[str]] = {}
        for name, labels in self.tracer.made.items():
            makers.setdefault(int(self.group_of[labels[0]]), []).append(name)
        for group, names in makers.items():
            if kept.keys() & set(names):
                continue
            own = self._places(group)
            if own is None:
                continue
            members = tuple(
                Member(place.module, place.axis, place.positions.shape[1]) for place in own
            )
            n_units = len(own[0].positions)
            groups.append(UnitGroup(names[0], n_units, self._activation(group), members))
            places[names[0]] = own
        return tuple(groups), places

    def _places(self, group: int) -> tuple[Place, ...] | None:
        """Return where a group's units are, or None where one has more entries than another."""
        labels = np.flatnonzero(self.group_of == group)
        units, first = np.unique(self.unit_of[labels], return_index=True)
        rank = np.full(self.tracer.n_labels, -1)
        rank[units[np.argsort(first)]] = np.arange(len(units))
        found = {}
        for reading in self.tracer.readings:
            inside = self.group_of[reading.labels] == group
            if inside.any() and (reading.module, reading.axis) not in found:
                entries = np.flatnonzero(inside)
                unit = rank[self.unit_of[reading.labels[entries]]]
                if np.ptp(np.bincount(unit, minlength=len(units))):
                    return None
                positions = entries[np.argsort(unit, kind="stable")].reshape(len(units), -1)
                found[reading.module, reading.axis] = Place(reading.module, reading.axis, positions)
        return tuple(found.values())

    def _activation(self, group: int) -> str:
        for labels, position in self.tracer.activated:
            if (self.group_of[labels[labels > 0]] == group).any():
                return self.tracer.operations[position].kind
        return "identity"
