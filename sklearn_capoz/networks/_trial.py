"""Cuts on trial, before any training: a forward may count its units itself.

What it does with a size that is written in, as in `x.view(-1, 700)`, with a list of indices or with
a number of groups shows only in a smaller network: it fails, or its units are others than counted.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ..exceptions import UnsupportedNetworkError
from ._groups import UnitGroup
from ._inputs import map_inputs, run_module
from ._label_rules import tensors_in
from ._labels import NoDropout, follow
from ._places import Place, cut_places
from ._surgery import cut_module, mask_module
from ._units import Units

__all__ = ["cuts_that_fail"]

_Places = Mapping[str, tuple[Place, ...]]


def cuts_that_fail(
    module: nn.Module, groups: Sequence[UnitGroup], places: _Places, samples: Any
) -> dict[str, str]:
    """Find groups whose units cannot go although all that uses them is known.

    All groups are cut at once, in three ways, and then some beside others that are whole, so that
    layers which must be as wide as each other are seen; one after the other only where that fails.

    Parameters
    ----------
    module : Module
    groups : sequence of UnitGroup
    places : mapping of str to tuple of Place
    samples : Tensor of shape (2, ...), or dict or tuple of these

    Returns
    -------
    failing : dict of str to str
        Name of a group -> why its units stay.
    """
    keeps = {group.name: _keeps(group.n_units) for group in groups if group.n_units > 1}
    module, samples = _in_double(module, samples)
    trains = not _fails_in_training(copy.deepcopy(module), samples)
    if not any(_fails(module, places, keep, samples, trains) for keep in _together(keeps)):
        return {}
    failing = {}
    for name, own in keeps.items():
        for keep in own:
            why = _fails(module, places, {name: keep}, samples, trains)
            if why:
                failing[name] = f"the forward names their number or places itself: {why}"
                break
    return failing


def _keeps(n_units: int) -> tuple[np.ndarray, ...]:
    """Choose units in no order, the first and the last ones: an odd number where there are enough.

    So none is halved; and not one alone, by which a depthwise convolution is told. The last ones
    are few, so that in a forward that halves them some come into the other half.
    """
    n_some = max(n_units // 2 - 1 + n_units // 2 % 2, 2 if n_units < 6 else 3)
    n_some = min(n_some, n_units - 1)
    some = np.zeros(n_units, dtype=bool)
    some[np.random.RandomState(n_units).permutation(n_units)[:n_some]] = True
    number = np.arange(n_units)
    first = number < n_units - 1 - (n_units % 2 if n_units > 3 else 0)
    return some, first, number >= n_units - n_some


def _together(
    keeps: Mapping[str, tuple[np.ndarray, ...]],
) -> Iterator[dict[str, np.ndarray]]:
    """Choose groups that are cut at once: all of them, and of any two also one alone."""
    for keep in zip(*keeps.values(), strict=True):
        yield dict(zip(keeps, keep, strict=True))
    for bit in range((len(keeps) - 1).bit_length()):  # two numbers differ in one at least
        yield {name: keeps[name][0] for i, name in enumerate(keeps) if i >> bit & 1}


def _in_double(module: nn.Module, samples: Any) -> tuple[nn.Module, Any]:
    """Bring a copy to double precision, in which rounding hides no difference, if it runs there."""
    exact = copy.deepcopy(module).double()
    doubled = map_inputs(lambda part: part.double(), samples)
    try:
        with torch.no_grad(), NoDropout():
            run_module(exact.eval(), doubled)
    except (RuntimeError, TypeError, ValueError):  # a number in it is single, or the device is
        return module, samples
    return exact, doubled


def _fails(
    module: nn.Module,
    places: _Places,
    keeps: Mapping[str, np.ndarray],
    samples: Any,
    trains: bool,
) -> str:
    """Say how a cut network differs from one in which nobody listens to the units, or nothing.

    In training it may run other layers: there it has to run, where the whole one does.
    """
    smaller = masked = module
    counted = dict(places)
    for name, keep in keeps.items():
        masked = mask_module(masked, places[name], keep)
        smaller, _ = cut_module(smaller, counted[name], keep)
        counted = cut_places(counted, name, keep)
    with torch.no_grad(), NoDropout():
        expected = run_module(masked.eval(), samples)
    if not all(torch.isfinite(part).all() for part in tensors_in(expected)):
        raise ValueError(
            f"{type(module).__name__} gives outputs that are not finite: its weights have "
            "diverged or are NaN. Train it anew, with a smaller learning rate."
        )
    try:
        tracer, output, _ = follow(smaller, samples)
    except UnsupportedNetworkError as error:
        cause = error.__cause__
        return f"without some of them it fails ({cause or error})"
    for one, other in zip(tensors_in(output), tensors_in(expected), strict=True):
        # Of numbers that are single somewhere the last digits are rounded otherwise.
        tolerance = 1e-6 if other.dtype == torch.float64 else 1e-4
        if one.shape != other.shape or not torch.allclose(
            one, other, rtol=0, atol=tolerance * float(other.abs().max()), equal_nan=True
        ):
            return "without some of them its outputs are others than those of the rest"
    found = Units(tracer).groups()[1]
    for name, keep in keeps.items():
        if keep.sum() > 1 and not _same(found.get(name, ()), counted[name]):
            return "without some of them it takes others in their places"
    raised = _fails_in_training(smaller, samples) if trains else None
    return f"without some of them it fails in training ({raised})" if raised else ""


def _fails_in_training(module: nn.Module, samples: Any) -> Exception | None:
    """Run a module, which is the caller's copy, as it is trained; return what it raises."""
    try:
        with torch.no_grad(), torch.random.fork_rng():
            run_module(module.train(), samples)
    except Exception as error:
        return error
    return None


def _same(found: Sequence[Place], counted: Sequence[Place]) -> bool:
    return len(found) == len(counted) and all(
        (one.module, one.axis) == (other.module, other.axis)
        and np.array_equal(one.positions, other.positions)
        for one, other in zip(found, counted, strict=True)
    )
