"""Epochs of a dense network: what is checked, and which compiled loops are chosen.

Parameters, gradient and moments are vectors (all weights, then all biases). Compiled code reads
wherever it is told to, so every shape and index is checked here first.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ._epoch_kernels import (
    LAYER,
    Batches,
    Loops,
    Space,
    backward,
    forward,
    run_epochs,
    run_scoring,
)
from ._layer_kernels import (
    ACTIVATIONS,
    combine,
    combine_by_blas,
    correlate,
    correlate_by_blas,
    scale,
    sum_rows,
)
from ._loss_kernels import (
    distil_logistic,
    distil_softmax,
    logistic_loss,
    scratch_rows,
    softmax_loss,
)
from ._row_kernels import take_rows
from ._step_kernels import adam_step, add, sgd_step, squares, stop_zeros

__all__ = ["SMALL_LAYER", "Architecture", "Batches", "Rule", "Run"]

#: Weights up to which the products of a layer are loops; above, BLAS is as fast and has threads.
SMALL_LAYER = 8192


class Architecture(NamedTuple):
    """Widths of all layers, the name of each hidden activation, and the kind of output."""

    widths: np.ndarray
    activations: tuple[str, ...]
    softmax: bool


class Rule(NamedTuple):
    """How a gradient becomes a step."""

    solver: str
    alpha: float
    momentum: float
    nesterovs_momentum: bool
    beta_1: float
    beta_2: float
    epsilon: float
    dropout: float
    distillation: float
    temperature: float
    zeros_stay: bool = False


class Run:
    """A network and its rows, checked and laid out once for all epochs.

    Parameters
    ----------
    architecture : Architecture
    batches : Batches
        Their dtype is the network's.
    rule : Rule or None
        None where the network is evaluated only, and less is compiled.
    """

    def __init__(self, architecture: Architecture, batches: Batches, rule: Rule | None = None):
        _check_rows(architecture, batches, rule)
        dtype = batches.X.dtype
        self.architecture, self.rule = architecture, rule
        self.layers = _layers(architecture, dtype, rule)
        self.loops = _loops(architecture, batches, rule)
        self.batches = _read_only(batches)
        self.space = _space(architecture, self.batches, rule)

    def train(
        self,
        parameters: np.ndarray,
        moments: np.ndarray,
        n_steps: int,
        orders: np.ndarray,
        keep: np.ndarray,
        rates: np.ndarray,
    ) -> np.ndarray:
        """Run an epoch for every row of `orders` and rate of `rates`; return their mean losses.

        `keep` (hidden units, n_rows) says which activations dropout lets through in an
        epoch, and has no columns without dropout. `parameters` and `moments` change in place.
        """
        rule, widths = self.rule, self.architecture.widths
        assert rule is not None
        self._check_parameters(parameters)
        n_moments = 2 if rule.solver == "adam" else 1
        _check("moments", moments.shape, (n_moments, parameters.size))
        # What dropout keeps is drawn for one epoch.
        n_epochs = 1 if rule.dropout > 0 else len(rates)
        _check("rates", rates.shape, (n_epochs,))
        _check("orders", orders.shape, (n_epochs, orders.shape[-1]))
        _check_range("orders", orders, len(self.batches.X))
        n_kept = orders.shape[1] if rule.dropout > 0 else 0
        _check("keep", keep.shape, (int(widths[1:-1].sum()), n_kept))
        losses = np.empty(n_epochs)
        run_epochs(
            parameters,
            moments,
            n_steps,
            self.layers,
            self.loops,
            self.batches,
            self.space,
            np.ascontiguousarray(orders, np.intp).ravel(),
            np.ascontiguousarray(keep, np.bool_),
            np.array(rule[1:], np.float64),
            np.ascontiguousarray(rates, np.float64),
            losses,
        )
        return losses

    def evaluate(self, parameters: np.ndarray) -> tuple[float, float]:
        """Weighted mean cross-entropy and accuracy; the lower index wins ties."""
        self._check_parameters(parameters)
        loss, right, weight = run_scoring(
            parameters,
            self.layers,
            self.loops,
            self.batches,
            self.space,
            np.arange(len(self.batches.X)),
            np.empty((0, 0), np.bool_),
            self.architecture.softmax,
        )
        return loss / weight, right / weight

    def _check_parameters(self, parameters: np.ndarray) -> None:
        _check("parameters", parameters.shape, self.space.gradient.shape)
        if parameters.dtype != self.batches.X.dtype:
            raise ValueError(
                f"X is {self.batches.X.dtype}, the network's parameters are {parameters.dtype}."
            )


def _check_rows(architecture: Architecture, batches: Batches, rule: Rule | None) -> None:
    """Refuse arrays that do not belong together, beyond which the loops would read."""
    widths, n_rows = architecture.widths, len(batches.X)
    _check("activations", (len(architecture.activations),), (len(widths) - 2,))
    _check("X", batches.X.shape, (n_rows, int(widths[0])))
    _check("y", batches.y.shape, (n_rows,))
    _check("weight", batches.weight.shape, (n_rows,))
    _check_range("y", batches.y, int(widths[-1]) if architecture.softmax else 2)
    if rule is not None and rule.distillation > 0:
        _check("soft", batches.soft.shape, (n_rows, int(widths[-1])))
        _check("soft_entropy", batches.soft_entropy.shape, (n_rows,))


def _check(name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if found != expected:
        raise ValueError(f"{name} must have the shape {expected} for this network, got {found}.")


def _check_range(name: str, indices: np.ndarray, stop: int) -> None:
    if indices.size and not (indices.min() >= 0 and indices.max() < stop):
        raise IndexError(
            f"{name} must lie between 0 and {stop - 1}, it reaches from {indices.min()} to "
            f"{indices.max()}."
        )


def _read_only(batches: Batches) -> Batches:
    """View arrays as read-only, as a user's may be: one kind of array, one compilation."""
    dtype = batches.X.dtype
    views: dict[str, Any] = {}
    for name, kind in (
        ("X", dtype),
        ("y", np.intp),
        ("weight", dtype),
        ("soft", dtype),
        ("soft_entropy", dtype),
    ):
        views[name] = np.ascontiguousarray(getattr(batches, name), kind).view()
        views[name].flags.writeable = False
    return batches._replace(**views)


def _layers(architecture: Architecture, dtype: np.dtype, rule: Rule | None) -> np.ndarray:
    """Say of each layer where it is in the vectors, and which loops are its own; see `LAYER`.

    Without a rule, only to evaluate.
    """
    widths, activations = architecture.widths.tolist(), architecture.activations
    weights = values = units = 0
    biases = sum(n_in * n_out for n_in, n_out in pairwise(widths))
    table = np.zeros((len(widths) - 1, len(LAYER)), np.intp)
    for k, (n_in, n_out) in enumerate(pairwise(widths)):
        is_large, is_hidden = n_in * n_out > SMALL_LAYER, k < len(activations)
        activate, derive = ACTIVATIONS[activations[k] if is_hidden else "identity"]
        loops = [combine_by_blas if is_large else combine, activate]
        if rule is not None:
            loops += [correlate_by_blas if is_large else correlate, sum_rows]
            loops += [derive] if is_hidden else []
            loops += [scale] if is_hidden and rule.dropout > 0 else []
        addresses = [loop.address(dtype) for loop in loops]
        row = [n_in, n_out, weights, biases, values, units, *addresses]
        table[k, : len(row)] = row
        weights, biases = weights + n_in * n_out, biases + n_out
        values, units = values + n_in, units + n_out
    return table


def _loops(architecture: Architecture, batches: Batches, rule: Rule | None) -> Loops:
    """Choose the loops for a network and compile what is new; without a rule, only to evaluate."""
    softmax, dtype = architecture.softmax, batches.X.dtype
    chosen = {
        "take": take_rows,
        "forward": forward,
        "loss": softmax_loss if softmax else logistic_loss,
    }
    if rule is not None:
        chosen |= {"backward": backward, "squares": squares}
        chosen["step"] = adam_step if rule.solver == "adam" else sgd_step
        if batches.size > batches.chunk:
            chosen["add"] = add
        if rule.distillation > 0:
            chosen["distil"] = distil_softmax if softmax else distil_logistic
        if rule.zeros_stay:
            chosen["stop"] = stop_zeros
    addresses = dict.fromkeys(Loops._fields, 0)
    return Loops(**addresses | {name: loop.address(dtype) for name, loop in chosen.items()})


def _space(architecture: Architecture, batches: Batches, rule: Rule | None) -> Space:
    dtype, chunk, widths = batches.X.dtype, batches.chunk, architecture.widths
    n_values, n_outputs = chunk * int(widths.sum()), int(widths[-1])
    distills = rule is not None and rule.distillation > 0
    n_parameters = int(((widths[:-1] + 1) * widths[1:]).sum())
    return Space(
        values=_buffer(n_values, dtype),
        deltas=_buffer(n_values, dtype),
        y=np.empty(chunk, np.intp),
        weight=np.empty(chunk, dtype),
        soft=np.empty(chunk * n_outputs if distills else 0, dtype),
        entropy=np.empty(chunk, dtype),
        scratch=np.empty((scratch_rows(n_outputs), chunk)),
        gradient=np.empty(n_parameters, dtype),
        part=np.empty(n_parameters, dtype),
        sums=np.empty(3),
    )


def _buffer(size: int, dtype: np.dtype) -> np.ndarray:
    """Return a vector that begins a line of the cache: the loops lose a tenth where none does."""
    raw = np.empty(size + 64 // dtype.itemsize, dtype)
    first = (-raw.ctypes.data % 64) // dtype.itemsize
    return raw[first : first + size]
