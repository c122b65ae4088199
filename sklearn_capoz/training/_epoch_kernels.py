"""Epochs of one dense network as one compiled run: forward, gradients by hand, optimiser step.

Small networks spend their time between the operations, not in them: in numpy an update of
the paper's network costs some fifty calls. Here some epochs are one call that holds no lock,
and networks side by side are such calls in several threads.

The work itself is done by loops that are compiled on their own, and only where a network needs
them: they stand beside this file, and their addresses fill the slots here. So this part is
compiled once for each dtype, whatever the network.
"""

# mypy: disable-error-code=call-arg
# (numba gives intrinsics their typing context)

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types

from .._compile import flush_denormals, kernel, loop, matrix_view, restore_denormals, slot
from ._layer_kernels import (
    activate_types,
    combine_types,
    correlate_types,
    derive_types,
    scale_types,
    sum_rows_types,
)
from ._loss_kernels import LOSS, SQUARES, WEIGHT, distil_types, loss_types
from ._row_kernels import take_types
from ._step_kernels import (
    ALPHA,
    DISTILLATION,
    DROPOUT,
    TEMPERATURE,
    add_types,
    squares_types,
    step_types,
    stop_types,
)

__all__ = ["LAYER", "Batches", "Loops", "Space", "backward", "forward", "run_epochs", "run_scoring"]

#: Columns of the table of layers: its size; where in the vectors its weights, its biases, its
#: inputs (for one row) and its units among the hidden ones begin; the addresses of its loops.
LAYER = (
    N_IN, N_OUT, WEIGHTS, BIASES, VALUES, UNITS, COMBINE, ACTIVATE, CORRELATE, SUM, DERIVE, SCALE
) = range(12)  # fmt: skip


class Batches(NamedTuple):
    """Training rows: what they are, what they weigh and what the teacher says of them."""

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    soft: np.ndarray  # teacher's softened probabilities (n, n_out), or (0, n_out) without
    soft_entropy: np.ndarray  # their negative entropy, per row
    size: int
    chunk: int  # rows of a batch that go through the network at once


class Loops(NamedTuple):
    """Addresses of the loops that are no layer's; 0 where one is not needed."""

    take: int
    forward: int
    backward: int
    loss: int
    distil: int
    add: int
    squares: int
    stop: int
    step: int


class Space(NamedTuple):
    """Memory to work in: a chunk of rows in all layers, and vectors like the parameters."""

    values: np.ndarray  # inputs and the units of every layer, one behind the other
    deltas: np.ndarray  # their derivatives of the loss
    y: np.ndarray
    weight: np.ndarray
    soft: np.ndarray
    entropy: np.ndarray
    scratch: np.ndarray
    gradient: np.ndarray
    part: np.ndarray
    sums: np.ndarray


_call_combine, _call_activate = slot(combine_types), slot(activate_types)
_call_correlate, _call_sum, _call_derive = map(
    slot, (correlate_types, sum_rows_types, derive_types)
)
_call_scale = slot(scale_types)


def forward_types(n):
    whole = types.intp
    keep = types.boolean[:, ::1], whole, types.float64
    return n[::1], types.intp[:, ::1], n[::1], whole, whole, *keep


def backward_types(n):
    parameters, layers, values, *others = forward_types(n)
    return parameters, parameters, layers, values, values, *others


@loop(forward_types)
def forward(parameters, layers, values, capacity, n_rows, keep, first, dropout):
    """Fill `values` with those of all layers; the inputs stand in it.

    It has room for `capacity` rows of each. `keep` is read from row `first` on.
    """
    last = layers.shape[0] - 1
    for k in range(last + 1):
        n_in, n_out, at = layers[k, N_IN], layers[k, N_OUT], capacity * layers[k, VALUES]
        inputs = matrix_view(values, at, n_in, n_rows)
        Z = matrix_view(values, at + capacity * n_in, n_out, n_rows)
        _call_combine(layers[k, COMBINE], (parameters, layers[k, WEIGHTS], 1, n_out, inputs, Z))
        _call_activate(layers[k, ACTIVATE], (Z, parameters, layers[k, BIASES]))
        if dropout > 0.0 and k < last:
            _call_scale(layers[k, SCALE], (Z, keep, layers[k, UNITS], first, 1 / (1 - dropout)))


@loop(backward_types)
def backward(
    parameters, gradient, layers, values, deltas, capacity, n_rows, keep, first, dropout
):  # fmt: skip
    """Fill `gradient`; the deltas of the last layer, the derivatives by its logits, are known."""
    for k in range(layers.shape[0] - 1, -1, -1):
        n_in, n_out, at = layers[k, N_IN], layers[k, N_OUT], capacity * layers[k, VALUES]
        A = matrix_view(values, at, n_in, n_rows)
        below = matrix_view(deltas, at, n_in, n_rows)
        delta = matrix_view(deltas, at + capacity * n_in, n_out, n_rows)
        weights = layers[k, WEIGHTS]
        _call_sum(layers[k, SUM], (delta, gradient, layers[k, BIASES]))
        _call_correlate(layers[k, CORRELATE], (A, delta, gradient, weights))
        if k == 0:
            break
        _call_combine(layers[k, COMBINE], (parameters, weights, n_out, 1, delta, below))
        if dropout > 0.0:
            unit, undo = layers[k - 1, UNITS], layers[k - 1, SCALE]
            # the activation before dropout, where it was kept
            _call_scale(undo, (A, keep, unit, first, 1 - dropout))
            _call_scale(undo, (below, keep, unit, first, 1 / (1 - dropout)))
        _call_derive(layers[k - 1, DERIVE], (A, below))


_call_take, _call_loss, _call_distil = map(slot, (take_types, loss_types, distil_types))
_call_forward, _call_backward = slot(forward_types), slot(backward_types)
_call_add, _call_squares, _call_step = map(slot, (add_types, squares_types, step_types))
_call_stop = slot(stop_types)


@kernel
def run_epochs(
    parameters, moments, n_steps, layers, loops, batches, space, order, keep, settings, rates, out
):  # fmt: skip
    """Run an epoch for every rate and set its mean loss in `out`; see `Run`.

    `order` holds the rows of one epoch behind those of the other.
    """
    state = flush_denormals()
    last, sums, size, chunk = layers.shape[0] - 1, space.sums, batches.size, batches.chunk
    n_in, n_out, n_weights = layers[0, N_IN], layers[last, N_OUT], layers[0, BIASES]
    at = chunk * (layers[last, VALUES] + layers[last, N_IN])
    dropout, distillation = settings[DROPOUT], settings[DISTILLATION]
    data = batches.X, batches.y, batches.weight, batches.soft, batches.soft_entropy
    room, n_rows = (space.scratch, sums), order.size // out.size
    for epoch in range(out.size):
        loss, end_of_epoch, rate = 0.0, (epoch + 1) * n_rows, rates[epoch]
        for first in range(epoch * n_rows, end_of_epoch, size):
            end = first + size if first + size < end_of_epoch else end_of_epoch
            sums[LOSS] = sums[WEIGHT] = 0.0
            for start in range(first, end, chunk):
                n = chunk if chunk < end - start else end - start
                X = matrix_view(space.values, 0, n_in, n)
                logits = matrix_view(space.values, at, n_out, n)
                delta = matrix_view(space.deltas, at, n_out, n)
                soft = matrix_view(space.soft, 0, n_out, n if distillation > 0.0 else 0)
                own, which = (space.y, space.weight, soft, space.entropy), (chunk, n, keep, start)
                _call_take(loops.take, (*data, order, start, X, *own, sums))
                _call_forward(loops.forward, (parameters, layers, space.values, *which, dropout))
                share = 1.0 - distillation
                _call_loss(loops.loss, (logits, delta, space.y, space.weight, share, *room))
                if distillation > 0.0:
                    teacher = soft, space.entropy, distillation, settings[TEMPERATURE]
                    _call_distil(loops.distil, (logits, delta, space.weight, *teacher, *room))
                gradient = space.gradient if start == first else space.part
                network = parameters, gradient, layers, space.values, space.deltas
                _call_backward(loops.backward, (*network, *which, dropout))
                if start > first:
                    _call_add(loops.add, (space.part, space.gradient))
            _call_squares(loops.squares, (parameters, n_weights, sums))
            penalty = 0.5 * settings[ALPHA] * sums[SQUARES]
            loss += (end - first) * (sums[LOSS] + penalty) / sums[WEIGHT]
            n_steps += 1
            if loops.stop != 0:
                _call_stop(loops.stop, (parameters, space.gradient, n_weights))
            vectors = parameters, space.gradient, moments
            _call_step(loops.step, (*vectors, n_weights, sums, settings, rate, n_steps))
        out[epoch] = loss / n_rows
    restore_denormals(state)


@kernel
def run_scoring(parameters, layers, loops, batches, space, order, keep, softmax):
    """Weighted sums of cross-entropy, of the rows whose label is right, and of weights."""
    state = flush_denormals()
    last, sums, chunk, right = layers.shape[0] - 1, space.sums, batches.chunk, 0.0
    n_in, n_out = layers[0, N_IN], layers[last, N_OUT]
    at = chunk * (layers[last, VALUES] + layers[last, N_IN])
    data = batches.X, batches.y, batches.weight, batches.soft, batches.soft_entropy
    sums[LOSS] = sums[WEIGHT] = 0.0
    for start in range(0, order.size, chunk):
        n = chunk if chunk < order.size - start else order.size - start
        X = matrix_view(space.values, 0, n_in, n)
        logits = matrix_view(space.values, at, n_out, n)
        delta = matrix_view(space.deltas, at, n_out, n)
        own = space.y, space.weight, matrix_view(space.soft, 0, n_out, 0), space.entropy
        _call_take(loops.take, (*data, order, start, X, *own, sums))
        _call_forward(loops.forward, (parameters, layers, space.values, chunk, n, keep, start, 0.0))
        right += _right(logits, space.y, space.weight, softmax)
        _call_loss(loops.loss, (logits, delta, space.y, space.weight, 1.0, space.scratch, sums))
    restore_denormals(state)
    return sums[LOSS], right, sums[WEIGHT]


@kernel
def _right(logits, y, weight, softmax):
    """Weight of the rows whose label is right; the lower index wins ties."""
    right = 0.0
    for i in range(logits.shape[1]):
        label = 0
        if softmax:
            for c in range(1, logits.shape[0]):
                if logits[c, i] > logits[label, i]:
                    label = c
        elif logits[0, i] > 0:
            label = 1
        if label == y[i]:
            right += weight[i]
    return right
