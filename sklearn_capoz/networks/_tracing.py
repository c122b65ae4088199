"""Which units of a torch module can be cut, and where each of them is.

The module runs once, as a copy, on two samples; `_labels` follows every unit on the way, and
`_units` makes groups of what was read on that run.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from ..exceptions import UnsupportedNetworkError
from ._groups import UnitGroup
from ._inputs import describe_shape, run_module, sample_shape, take
from ._label_rules import tensors_in
from ._labels import NoDropout, Operation, follow
from ._layers import NORMS
from ._places import Place, cut_places
from ._plain_layers import check_plain
from ._recording import Recorder
from ._sites import Site
from ._trial import cuts_that_fail
from ._units import Units
from ._work import Work

__all__ = ["OTHER_CALLS", "Trace", "trace", "trace_shape", "trace_table"]


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
    sites : dict of str to tuple of Site
        Name of a group -> where in a forward pass the values of its units are seen.
    uses : dict of str to tuple of Site
        Name of a group with several sites -> what each of the layers is given that use its units.
    kept_whole : dict of str to str
        Module -> why its units stay, all of them.
    work : tuple of Work
        What has weights, in the order in which it runs.
    ending : str
        Kind of the operation that gives the output, dropout aside.
    shape : tuple of int, or dict or list of these
        Of one of the samples that it ran on.
    n_values : int
        Numbers that a forward pass makes on its way, of one sample.
    n_calls : int
        Of torch functions, in each forward pass.
    """

    operations: tuple[Operation, ...]
    groups: tuple[UnitGroup, ...]
    places: dict[str, tuple[Place, ...]]
    sites: dict[str, tuple[Site, ...]]
    uses: dict[str, tuple[Site, ...]]
    kept_whole: dict[str, str]
    work: tuple[Work, ...]
    ending: str
    shape: Any
    n_values: int
    n_calls: int

    @property
    def n_features(self) -> int | None:
        """Columns of the samples, along their first axis; None of several inputs."""
        return self.shape[0] if isinstance(self.shape, tuple) else None

    def cut(self, group: str, keep: np.ndarray) -> Trace:
        """Count units anew after a cut; the module need not be traced again."""
        places = cut_places(self.places, group, keep)
        groups = tuple(
            replace(old, n_units=int(keep.sum())) if old.name == group else old
            for old in self.groups
        )
        number = [old.name for old in self.groups].index(group)
        sites, uses = (
            {name: tuple(site.cut(number, keep) for site in own) for name, own in seen.items()}
            for seen in (self.sites, self.uses)
        )
        return replace(self, groups=groups, places=places, sites=sites, uses=uses)


#: What is said where the number of samples decides what runs.
OTHER_CALLS = (
    "{name} runs other operations on {n_samples} samples than on 2, so that its units cannot be "
    "followed: its forward must treat a batch at once, of any size."
)


def trace(module: nn.Module, samples: Any) -> Trace:
    """Run a copy of a module, see which of its units can be cut, and cut some on trial.

    Parameters
    ----------
    module : torch.nn.Module
        It stays as it was; no random number is drawn.
    samples : tensor of shape (2, ...), or dict or tuple of these
        Two samples, of the module's dtype and on its device.

    Raises
    ------
    UnsupportedNetworkError
        Naming the layer that does what no network may do that is pruned, and the reason. Units
        that cannot be followed stay, and `kept_whole` says why.
    """
    check_plain(module)
    tracer, output, last = follow(_copy(module), samples)
    _check_calls(module, samples, tracer.n_calls)
    _check_samples_apart(module, samples, output)
    units = Units(tracer)
    groups, places, kept_whole = units.groups()
    failing = cuts_that_fail(module, groups, places, samples)
    if failing:
        kept_whole |= failing
        groups = tuple(group for group in groups if group.name not in failing)
        places = {group.name: places[group.name] for group in groups}
    sites, uses = units.sites(groups)
    return Trace(
        operations=tuple(tracer.operations),
        groups=groups,
        places=places,
        sites=sites,
        uses=uses,
        kept_whole={name: kept_whole[name] for name in tracer.made if name in kept_whole},
        work=units.work(groups),
        ending=_ending(tracer.operations, last),
        shape=sample_shape(samples),
        n_values=sum(value.numel() for _, value, _ in tracer.given) // 2,
        n_calls=tracer.n_calls,
    )


def trace_shape(module: nn.Module, shape: Any) -> Trace:
    """Trace a module on samples of a shape, which are made up.

    Parameters
    ----------
    module : torch.nn.Module
    shape : tuple of int, or dict or list of these
        Of one sample.

    Raises
    ------
    UnsupportedNetworkError
        As `trace` does.
    """
    like = next(module.parameters(), torch.empty(0))
    samples = _made_up(shape, like)
    if not _gives_numbers(module, samples):
        positive = _made_up(shape, like, positive=True)
        if _gives_numbers(module, positive):
            samples = positive
    return trace(module, samples)


def _made_up(shape: Any, like: torch.Tensor, positive: bool = False) -> Any:
    """Make two samples of a shape: any numbers of both signs, or positive ones below 1.

    The second is larger, so that no unit is zero in both and samples that mix are seen.
    """
    if isinstance(shape, dict):
        return {name: _made_up(part, like, positive) for name, part in shape.items()}
    if isinstance(shape, list):
        return tuple(_made_up(part, like, positive) for part in shape)
    size = int(np.prod(shape))
    values = np.linspace(0 if positive else -1, 1, 2 * size + 2)[1:-1]
    first, second = np.random.RandomState(size).permutation(values).reshape(2, *shape)
    both = torch.from_numpy(np.stack([first, 3 * second + 1]))
    return (both / 4 if positive else both).to(like)


def _gives_numbers(module: nn.Module, samples: Any) -> bool:
    """Whether a module runs on samples: some take positive numbers alone, as a logarithm does."""
    try:
        with torch.no_grad(), NoDropout():
            output = run_module(_copy(module).eval(), samples)
    except (RuntimeError, TypeError, ValueError, LookupError):
        return False
    return all(torch.isfinite(part).all() for part in tensors_in(output))


def _ending(operations: list[Operation], last: int) -> str:
    """Name what gives the output."""
    while last >= 0 and operations[last].kind in {"skip", "shape"}:
        last = max(operations[last].inputs, default=-1)
    return operations[last].kind if last >= 0 else "input"


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
    errors = []
    for size in sizes:
        try:
            return trace_shape(module, (size,))
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


def _check_samples_apart(module: nn.Module, samples: Any, output: Any) -> None:
    """Raise where a sample alone gives another output than beside others."""
    if any(isinstance(part, NORMS) and part.running_mean is None for part in module.modules()):
        return  # which looks at the batch by design, and changes with no cut
    with torch.no_grad(), NoDropout():
        alone = run_module(copy.deepcopy(module).eval(), take(samples, slice(1)))
    for one, both in zip(tensors_in(alone), tensors_in(output), strict=True):
        first = both[: len(one)]
        if one.shape != first.shape or not torch.allclose(
            one, first, rtol=1e-3, atol=1e-4, equal_nan=True
        ):
            raise UnsupportedNetworkError(
                f"{type(module).__name__} gives a sample another output when it comes with others "
                "in a batch: samples mix. Its forward must treat each by itself."
            )


def _check_calls(module: nn.Module, samples: Any, n_calls: int) -> None:
    """Raise where a larger batch runs other operations: they are found by their numbers later."""
    recorder, own = Recorder(), copy.deepcopy(module).eval()
    more = take(samples, [0, 1, 0, 1, 0])
    try:
        with torch.no_grad(), NoDropout(), recorder:
            run_module(own, more)
    except Exception as error:
        raise UnsupportedNetworkError(
            f"{type(module).__name__} cannot be traced: it fails on 5 samples of shape "
            f"{describe_shape(sample_shape(samples))}, and not on 2 ({error})."
        ) from error
    if recorder.n_calls != n_calls:
        raise UnsupportedNetworkError(OTHER_CALLS.format(name=type(module).__name__, n_samples=5))
