"""Epochs of one dense network as compiled loops: forward, gradients by hand, optimiser step.

Small networks spend their time between the operations, not in them: in numpy an update of
the paper's network costs some fifty calls. Here some epochs are one call that holds no lock,
and networks side by side are such calls in several threads.

Activations and their gradients lie as units x rows: there are always rows enough to fill a
vector register, while a layer may have five units. Products with a small matrix of weights are
loops over the rows, up to twice as fast there as BLAS, which is made for large matrices.

Parameters, gradient and moments are vectors (all weights, then all biases), and `widths` holds
the units of every layer, input first. The loops keep the dtype of the parameters, so scalars
are cast to it before they meet an array. All kernels are in this one file because numba's
cache on disk sees a change of its own file only.

The file has three parts: the loops, each compiled on its own and only where a network needs it;
the run through batches that calls them through slots; and the two functions for the rest of the
package, which choose the loops that fill the slots and check every shape.
"""

# mypy: disable-error-code=call-arg
# (numba gives intrinsics their typing context)

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import from_dtype, types

from .._compile import (
    address_of,
    flush_denormals,
    inlined,
    kernel,
    matrix_view,
    restore_denormals,
    slot,
)

__all__ = ["SMALL_LAYER", "Architecture", "Batches", "Rule", "evaluate", "train_epochs"]

#: Weights up to which the products of a layer are loops; above, BLAS is as fast and has threads.
SMALL_LAYER = 8192

_LOG2_E = 1 / math.log(2)
#: log(2) in two parts; n times the first is exact.
_LN2_HIGH = float.fromhex("0x1.62e42feep-1")
_LN2_LOW = 1.90821492927058770002e-10
_INVERSE_FACTORIALS = tuple(1 / math.factorial(k) for k in range(14))

#: "contract" lets multiply and add be one instruction.
_kernel = kernel(fastmath={"contract"})

#: "reassoc" lets a sum over rows be several, one for each lane of a register.
_summing_kernel = kernel(fastmath={"contract", "reassoc"})


class Architecture(NamedTuple):
    """Widths of all layers, the name of each hidden activation, and the kind of output."""

    widths: np.ndarray
    activations: tuple[str, ...]
    softmax: bool


class Batches(NamedTuple):
    """Training rows: what they are, what they weigh and what the teacher says of them."""

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    soft: np.ndarray  # teacher's softened probabilities (n, n_out), or (0, n_out) without
    soft_entropy: np.ndarray  # their negative entropy, per row
    size: int
    chunk: int  # rows of a batch that go through the network at once


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


# The loops ----------------------------------------------------------------------------------


@_kernel
def _take(source, rows, values):
    """Copy rows of `source` into the columns of `values`.

    Eight at a time, so that a line of the cache is written once.
    """
    n_rows, n_columns = rows.size, source.shape[1]
    whole = n_rows // 8 * 8
    for i in range(0, whole, 8):
        for j in range(n_columns):
            for lane in range(8):
                values[j, i + lane] = source[rows[i + lane], j]
    for i in range(whole, n_rows):
        for j in range(n_columns):
            values[j, i] = source[rows[i], j]


@_kernel
def _gather(weight, y, soft_entropy, rows, own_y, own_weight, own_entropy, total):
    """Copy what belongs to some rows beside their features, and add their weights to `total`."""
    for i in range(rows.size):
        row = rows[i]
        own_y[i] = y[row]
        own_weight[i] = weight[row]
        total[0] += own_weight[i]
    if soft_entropy.size > 0:
        for i in range(rows.size):
            own_entropy[i] = soft_entropy[rows[i]]


@_kernel
def _combine(weights, unit_step, input_step, inputs, out):
    """Set out (n_out, n_rows) to the products of `inputs` with a matrix of weights.

    `weights` is a vector, in which the steps lead from a unit to the next and from an input to
    the next: the loops are the same forward and backward, and compiled once.
    """
    n_in, n_out, n_rows = inputs.shape[0], out.shape[0], out.shape[1]
    zero = out.dtype.type(0)
    for u in range(n_out):
        for i in range(n_rows):
            out[u, i] = zero
    # Two units meet four inputs at a time: eight multiply-adds for eight loads and stores.
    # Beyond the last input its row is read again, with a weight of zero.
    for k in range(0, n_in, 4):
        k1, k2, k3 = min(k + 1, n_in - 1), min(k + 2, n_in - 1), min(k + 3, n_in - 1)
        x0, x1, x2, x3 = inputs[k], inputs[k1], inputs[k2], inputs[k3]
        for u in range(0, n_out, 2):
            a = u * unit_step
            a0 = weights[a + k * input_step]
            a1 = weights[a + k1 * input_step] if k + 1 < n_in else zero
            a2 = weights[a + k2 * input_step] if k + 2 < n_in else zero
            a3 = weights[a + k3 * input_step] if k + 3 < n_in else zero
            z_a = out[u]
            if u + 1 == n_out:
                for i in range(n_rows):
                    z_a[i] = z_a[i] + a0 * x0[i] + a1 * x1[i] + a2 * x2[i] + a3 * x3[i]
                break
            b = a + unit_step
            b0 = weights[b + k * input_step]
            b1 = weights[b + k1 * input_step] if k + 1 < n_in else zero
            b2 = weights[b + k2 * input_step] if k + 2 < n_in else zero
            b3 = weights[b + k3 * input_step] if k + 3 < n_in else zero
            z_b = out[u + 1]
            for i in range(n_rows):
                p, q, r, s = x0[i], x1[i], x2[i], x3[i]
                z_a[i] = z_a[i] + a0 * p + a1 * q + a2 * r + a3 * s
                z_b[i] = z_b[i] + b0 * p + b1 * q + b2 * r + b3 * s


@_kernel
def _combine_by_blas(weights, unit_step, input_step, inputs, out):
    """`_combine` for a large layer."""
    n_in, n_out = inputs.shape[0], out.shape[0]
    if unit_step == 1:
        np.dot(weights.reshape((n_in, n_out)).T, inputs, out)
    else:
        np.dot(weights.reshape((n_out, n_in)), inputs, out)


@_summing_kernel
def _correlate(inputs, deltas, out):
    """Set out (n_in, n_out) to inputs @ deltas.T, sums over rows."""
    n_in, n_out = out.shape
    n_rows = inputs.shape[1]
    zero = out.dtype.type(0)
    # Four inputs meet two units at a time; what is left over at the end is computed twice.
    for k in range(0, n_in, 4):
        k1, k2, k3 = min(k + 1, n_in - 1), min(k + 2, n_in - 1), min(k + 3, n_in - 1)
        x0, x1, x2, x3 = inputs[k], inputs[k1], inputs[k2], inputs[k3]
        for u in range(0, n_out, 2):
            v = min(u + 1, n_out - 1)
            d_u, d_v = deltas[u], deltas[v]
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zero
            for i in range(n_rows):
                d, e = d_u[i], d_v[i]
                a0 += x0[i] * d
                a1 += x1[i] * d
                a2 += x2[i] * d
                a3 += x3[i] * d
                b0 += x0[i] * e
                b1 += x1[i] * e
                b2 += x2[i] * e
                b3 += x3[i] * e
            out[k, u], out[k1, u], out[k2, u], out[k3, u] = a0, a1, a2, a3
            out[k, v], out[k1, v], out[k2, v], out[k3, v] = b0, b1, b2, b3


@_kernel
def _correlate_by_blas(inputs, deltas, out):
    """`_correlate` for a large layer."""
    np.dot(inputs, deltas.T, out)


@_summing_kernel
def _sum_rows(deltas, out):
    for u in range(out.size):
        delta, total = deltas[u], out.dtype.type(0)
        for i in range(delta.size):
            total += delta[i]
        out[u] = total


@_kernel
def _identity(Z, bias):
    """Add the biases; a function of this kind for each activation applies it as well."""
    for u in range(bias.size):
        z, b = Z[u], bias[u]
        for i in range(z.size):
            z[i] += b


@_kernel
def _relu(Z, bias):
    zero = Z.dtype.type(0)
    for u in range(bias.size):
        z, b = Z[u], bias[u]
        for i in range(z.size):
            z[i] = max(z[i] + b, zero)


@_kernel
def _tanh(Z, bias):
    for u in range(bias.size):
        z, b = Z[u], bias[u]
        for i in range(z.size):
            z[i] = np.tanh(z[i] + b)


@_kernel
def _logistic(Z, bias):
    one = Z.dtype.type(1)
    for u in range(bias.size):
        z, b = Z[u], bias[u]
        for i in range(z.size):
            z[i] = one / (one + np.exp(-(z[i] + b)))


@_kernel
def _derive_identity(A, delta):
    """Multiply `delta` by the derivative of the activation, from the activation's value."""


@_kernel
def _derive_relu(A, delta):
    zero = A.dtype.type(0)
    for u in range(A.shape[0]):
        for i in range(A.shape[1]):
            delta[u, i] = delta[u, i] if A[u, i] > 0 else zero


@_kernel
def _derive_tanh(A, delta):
    one = A.dtype.type(1)
    for u in range(A.shape[0]):
        for i in range(A.shape[1]):
            delta[u, i] *= one - A[u, i] * A[u, i]


@_kernel
def _derive_logistic(A, delta):
    one = A.dtype.type(1)
    for u in range(A.shape[0]):
        for i in range(A.shape[1]):
            delta[u, i] *= A[u, i] * (one - A[u, i])


@_kernel
def _scale(A, keep, scale):
    """Inverted dropout, of activations and of their gradients alike."""
    factor = A.dtype.type(scale)
    for u in range(A.shape[0]):
        for i in range(A.shape[1]):
            A[u, i] = A[u, i] * factor if keep[u, i] else A.dtype.type(0)


@inlined
def _exp(x, power):
    """Replace the values of a float64 vector, none above 0, by their exponentials.

    exp(x) = 2^n exp(r) with |r| <= log(2) / 2, where 14 terms of the series are exact to rounding.
    The call into the C library that `np.exp` becomes would keep the loop from being vector code.
    `power` is as long as x; 2^n is made in it by writing the exponent's bits.
    """
    bits = power.view(np.int64)
    for i in range(x.size):
        value = -708.0 if x[i] < -708.0 else x[i]  # below, exp(x) is next to 0; NaN goes through
        n = np.floor(value * _LOG2_E + 0.5)
        r = (value - n * _LN2_HIGH) - n * _LN2_LOW
        series = _INVERSE_FACTORIALS[13]
        for k in range(12, -1, -1):
            series = series * r + _INVERSE_FACTORIALS[k]
        x[i] = series
        bits[i] = (np.int64(n) + 1023) << 52
    for i in range(x.size):
        x[i] *= power[i]


@inlined
def _below_highest(logits, z):
    """Fill z with the logits below the highest of their row."""
    n_classes, n_rows = logits.shape
    top = np.empty(n_rows, logits.dtype)
    for i in range(n_rows):
        top[i] = logits[0, i]
    for c in range(1, n_classes):
        for i in range(n_rows):
            top[i] = max(top[i], logits[c, i])
    for c in range(n_classes):
        for i in range(n_rows):
            z[c, i] = logits[c, i] - top[i]


@inlined
def _cross_entropy(logits, z, power, y, weight, share, total):
    """Add the loss of the labels to `total` and its gradient to `logits`, which z was made of."""
    kind = logits.dtype.type
    n_classes, n_rows = logits.shape
    norm = np.empty(n_rows)
    for i in range(n_rows):
        total[0] -= share * weight[i] * z[y[i], i]
        norm[i] = 0.0
    _exp(z.reshape(z.size), power)
    for c in range(n_classes):
        for i in range(n_rows):
            norm[i] += z[c, i]
    for i in range(n_rows):
        own = share * weight[i]
        total[0] += own * np.log(norm[i])
        norm[i] = own / norm[i]
    for c in range(n_classes):
        for i in range(n_rows):
            logits[c, i] += kind(norm[i] * z[c, i])
    for i in range(n_rows):
        logits[y[i], i] -= kind(share * weight[i])


@_kernel
def _softmax_loss(logits, y, weight, soft, soft_entropy, distillation, temperature, total):
    """Turn logits into the gradient of the summed loss and add that loss to `total`."""
    zero = logits.dtype.type(0)
    z = np.empty((logits.shape[0], logits.shape[1]))
    power = np.empty(z.size)
    _below_highest(logits, z)
    for c in range(z.shape[0]):
        for i in range(z.shape[1]):
            logits[c, i] = zero
    _cross_entropy(logits, z, power, y, weight, 1.0, total)


@_kernel
def _distilled_loss(logits, y, weight, soft, soft_entropy, distillation, temperature, total):
    """`_softmax_loss`, of which the teacher has its share."""
    z = np.empty((logits.shape[0], logits.shape[1]))
    power = np.empty(z.size)
    _below_highest(logits, z)
    _soften(logits, z, power, soft, soft_entropy, weight, distillation, temperature, total)
    _cross_entropy(logits, z, power, y, weight, 1 - distillation, total)


@inlined
def _soften(gradient, z, power, soft, soft_entropy, weight, distillation, temperature, total):
    """Set `gradient` to the teacher's share, weight * T^2 * KL(soft || softmax(z / T)), of it."""
    kind = gradient.dtype.type
    n_classes, n_rows = z.shape
    softened = np.empty((n_classes, n_rows))
    cross, norm = np.empty(n_rows), np.empty(n_rows)
    for i in range(n_rows):
        cross[i] = norm[i] = 0.0
    for c in range(n_classes):
        for i in range(n_rows):
            softened[c, i] = z[c, i] / temperature
            cross[i] += soft[c, i] * softened[c, i]
    _exp(softened.reshape(softened.size), power)
    for c in range(n_classes):
        for i in range(n_rows):
            norm[i] += softened[c, i]
    scale = distillation * temperature
    for i in range(n_rows):
        loss = weight[i] * (soft_entropy[i] - cross[i] + np.log(norm[i]))
        total[0] += scale * temperature * loss
    for c in range(n_classes):
        for i in range(n_rows):
            gradient[c, i] = kind(scale * weight[i] * (softened[c, i] / norm[i] - soft[c, i]))


@_kernel
def _softplus(z, one):
    """log(1 + exp(z)) without overflow; `one` carries the dtype."""
    return max(z, one - one) + np.log1p(np.exp(-abs(z)))


@_kernel
def _logistic_loss(logits, y, weight, soft, soft_entropy, distillation, temperature, total):
    """`_softmax_loss` for a single output unit: two classes with logits 0 and z."""
    kind = logits.dtype.type
    one, T = kind(1), kind(temperature)
    for i in range(logits.shape[1]):
        z = logits[0, i]
        target = kind(y[i])
        hard = kind(weight[i] * (1 - distillation))
        total[0] += hard * (_softplus(z, one) - target * z)
        gradient = hard * (one / (one + np.exp(-z)) - target)
        if distillation > 0:
            s = z / T
            share = kind(weight[i] * distillation * temperature)
            total[0] += share * T * (soft_entropy[i] + _softplus(s, one) - soft[0, i] * s)
            gradient += share * (one / (one + np.exp(-s)) - soft[0, i])
        logits[0, i] = gradient


@_kernel
def _add(values, total):
    """Add a vector to another."""
    for i in range(values.size):
        total[i] += values[i]


@_summing_kernel
def _squares(values, total):
    """Add the sum of squares to `total`."""
    own = values.dtype.type(0)
    for i in range(values.size):
        own += values[i] * values[i]
    total[0] += own


@_kernel
def _adam_step(parameters, gradient, moments, n_weights, total_weight, settings, rate, n_steps):
    """MLPClassifier's Adam: epsilon is added before the bias correction of the second moment.

    Only weights, not biases, are pulled to zero by alpha.
    """
    kind, one = parameters.dtype.type, parameters.dtype.type(1)
    beta_1, beta_2 = settings[_BETA_1], settings[_BETA_2]
    size = kind(rate * np.sqrt(1 - beta_2**n_steps) / (1 - beta_1**n_steps))
    b1, b2, epsilon = kind(beta_1), kind(beta_2), kind(settings[_EPSILON])
    inverse, alpha = kind(1 / total_weight), kind(settings[_ALPHA])
    first, second = moments[0], moments[1]
    for i in range(parameters.size):
        decay = alpha if i < n_weights else kind(0)
        g = (gradient[i] + decay * parameters[i]) * inverse
        first[i] = b1 * first[i] + (one - b1) * g
        second[i] = b2 * second[i] + (one - b2) * (g * g)
        parameters[i] -= size * first[i] / (np.sqrt(second[i]) + epsilon)


@_kernel
def _sgd_step(parameters, gradient, moments, n_weights, total_weight, settings, rate, n_steps):
    """Momentum as torch keeps it: the velocity does not hold the learning rate."""
    kind = parameters.dtype.type
    size, momentum = kind(rate), kind(settings[_MOMENTUM])
    inverse, alpha = kind(1 / total_weight), kind(settings[_ALPHA])
    nesterov, velocity = settings[_NESTEROV] != 0, moments[0]
    for i in range(parameters.size):
        decay = alpha if i < n_weights else kind(0)
        g = (gradient[i] + decay * parameters[i]) * inverse
        velocity[i] = momentum * velocity[i] + g
        step = g + momentum * velocity[i] if nesterov else velocity[i]
        parameters[i] -= size * step


# The run through the batches ------------------------------------------------------------------


def _take_types(n):
    return types.Array(n, 2, "C", readonly=True), types.intp[::1], n[:, ::1]


def _gather_types(n):
    y, weight = (
        types.Array(types.intp, 1, "C", readonly=True),
        types.Array(n, 1, "C", readonly=True),
    )
    rows, entropy = types.intp[::1], types.Array(n, 1, "C", readonly=True)
    return weight, y, entropy, rows, types.intp[::1], n[::1], n[::1], types.float64[::1]


def _combine_types(n):
    return n[::1], types.intp, types.intp, n[:, ::1], n[:, ::1]


def _matrices(n):
    return n[:, ::1], n[:, ::1], n[:, ::1]


def _sum_types(n):
    return n[:, ::1], n[::1]


def _derive_types(n):
    return n[:, ::1], n[:, ::1]


def _scale_types(n):
    return n[:, ::1], types.boolean[:, :], types.float64


def _loss_types(n):
    real, sums = types.float64, types.float64[::1]
    return n[:, ::1], types.intp[::1], n[::1], n[:, ::1], n[::1], real, real, sums


def _add_types(n):
    return n[::1], n[::1]


def _squares_types(n):
    return n[::1], types.float64[::1]


def _step_types(n):
    real, whole = types.float64, types.intp
    return n[::1], n[::1], n[:, ::1], whole, real, types.float64[::1], real, whole


_call_take, _call_gather = slot(_take_types), slot(_gather_types)
_call_combine, _call_correlate = slot(_combine_types), slot(_matrices)
_call_activate, _call_derive = slot(_sum_types), slot(_derive_types)
_call_sum_rows, _call_scale = slot(_sum_types), slot(_scale_types)
_call_loss, _call_add = slot(_loss_types), slot(_add_types)
_call_squares, _call_step = slot(_squares_types), slot(_step_types)

#: Places in the vector of settings that a step gets.
_ALPHA, _MOMENTUM, _NESTEROV, _BETA_1, _BETA_2, _EPSILON = range(6)

#: Places in the vector of sums over a batch: of losses, of weights, and of squared parameters.
_LOSS, _WEIGHT, _SQUARES = range(3)


class _Parts(NamedTuple):
    """Addresses of the loops that fill the slots; those of a layer in vectors."""

    combine: np.ndarray
    correlate: np.ndarray
    activate: np.ndarray
    derive: np.ndarray
    take: int
    gather: int
    sum_rows: int
    scale: int
    loss: int
    add: int
    squares: int
    step: int


class _Space(NamedTuple):
    """Memory to work in: a chunk of rows in all layers, and vectors like the parameters."""

    inputs: np.ndarray
    outputs: np.ndarray
    deltas: np.ndarray
    soft: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    entropy: np.ndarray
    gradient: np.ndarray
    part: np.ndarray
    rows: np.ndarray
    sums: np.ndarray


@inlined
def _forward(parameters, widths, parts, X, outputs, capacity, keep, dropout):
    """Fill `outputs` with every layer's activations and return the logits, a view of it.

    `X` is (n_features, n_rows). `outputs` has room for `capacity` rows of each layer, one layer
    behind the other.
    """
    n_rows, depth = X.shape[1], widths.size - 1
    bias_at = parameters.size
    for layer in range(depth):
        bias_at -= widths[layer + 1]
    weight_at = output_at = unit_at = 0
    inputs = X
    for layer in range(depth):
        n_in, n_out = widths[layer], widths[layer + 1]
        Z = matrix_view(outputs, output_at, n_out, n_rows)
        weights = parameters[weight_at : weight_at + n_in * n_out]
        _call_combine(parts.combine[layer], (weights, 1, n_out, inputs, Z))
        _call_activate(parts.activate[layer], (Z, parameters[bias_at : bias_at + n_out]))
        if layer < depth - 1 and keep.shape[1] > 0:
            kept = keep[unit_at : unit_at + n_out]
            _call_scale(parts.scale, (Z, kept, 1 / (1 - dropout)))
        weight_at += n_in * n_out
        bias_at += n_out
        output_at += capacity * n_out
        unit_at += n_out
        inputs = Z
    return inputs


@inlined
def _backward(parameters, gradient, widths, parts, X, space, capacity, keep, dropout):
    """Fill `gradient`; the last layer of outputs already holds the gradient of the logits."""
    n_rows, depth = X.shape[1], widths.size - 1
    bias_at, output_at, unit_at = parameters.size, 0, 0
    for layer in range(depth):
        output_at += capacity * widths[layer + 1]
        unit_at += widths[layer + 1]
    weight_at = bias_at - unit_at
    delta = matrix_view(space.outputs, output_at - capacity * widths[depth], widths[depth], n_rows)
    for layer in range(depth - 1, -1, -1):
        n_in, n_out = widths[layer], widths[layer + 1]
        weight_at -= n_in * n_out
        bias_at -= n_out
        output_at -= capacity * n_out
        unit_at -= n_out
        _call_sum_rows(parts.sum_rows, (delta, gradient[bias_at : bias_at + n_out]))
        weights = matrix_view(gradient, weight_at, n_in, n_out)
        if layer == 0:
            _call_correlate(parts.correlate[layer], (X, delta, weights))
            break
        A = matrix_view(space.outputs, output_at - capacity * n_in, n_in, n_rows)
        _call_correlate(parts.correlate[layer], (A, delta, weights))
        below = matrix_view(space.deltas, output_at - capacity * n_in, n_in, n_rows)
        own = parameters[weight_at : weight_at + n_in * n_out]
        _call_combine(parts.combine[layer], (own, n_out, 1, delta, below))
        if keep.shape[1] > 0:
            kept = keep[unit_at - n_in : unit_at]
            # the activation before dropout, where it was kept
            _call_scale(parts.scale, (A, kept, 1 - dropout))
            _call_scale(parts.scale, (below, kept, 1 / (1 - dropout)))
        _call_derive(parts.derive[layer - 1], (A, below))
        delta = below


@inlined
def _run_batch(parameters, widths, parts, batches, space, rows, keep, rates, sums):
    """Set the gradient of some rows; `rates` are dropout, distillation and temperature."""
    n_out, chunk = widths[-1], batches.chunk
    sums[_LOSS] = sums[_WEIGHT] = sums[_SQUARES] = 0.0
    for first in range(0, rows.size, chunk):
        own = rows[first : first + chunk]
        kept = keep[:, first : first + chunk]
        n_rows = own.size
        _call_gather(
            parts.gather,
            (
                batches.weight,
                batches.y,
                batches.soft_entropy,
                own,
                space.y,
                space.weight,
                space.entropy,
                sums[_WEIGHT:],
            ),
        )
        X = matrix_view(space.inputs, 0, widths[0], n_rows)
        _call_take(parts.take, (batches.X, own, X))
        soft = matrix_view(space.soft, 0, n_out, n_rows if space.soft.size > 0 else 0)
        if space.soft.size > 0:
            _call_take(parts.take, (batches.soft, own, soft))
        logits = _forward(parameters, widths, parts, X, space.outputs, chunk, kept, rates[0])
        weight = space.weight[:n_rows]
        _call_loss(
            parts.loss,
            (logits, space.y, weight, soft, space.entropy, rates[1], rates[2], sums),
        )
        target = space.gradient if first == 0 else space.part
        _backward(parameters, target, widths, parts, X, space, chunk, kept, rates[0])
        if first > 0:
            _call_add(parts.add, (space.part, space.gradient))


@_kernel
def _run_epochs(
    parameters,
    moments,
    n_steps,
    widths,
    parts,
    batches,
    space,
    orders,
    keep,
    settings,
    rates,
    losses,
):
    """Run an epoch for every row of `orders` and fill in its mean loss; see `train_epochs`."""
    state = flush_denormals()
    sums, n_weights, n_rows = space.sums, parameters.size, orders.shape[1]
    for layer in range(1, widths.size):
        n_weights -= widths[layer]
    for epoch in range(orders.shape[0]):
        loss = 0.0
        for start in range(0, n_rows, batches.size):
            rows = orders[epoch, start : start + batches.size]
            kept = keep[:, start : start + batches.size]
            _run_batch(parameters, widths, parts, batches, space, rows, kept, settings[-3:], sums)
            _call_squares(parts.squares, (parameters[:n_weights], sums[_SQUARES:]))
            penalty = 0.5 * settings[_ALPHA] * sums[_SQUARES]
            loss += rows.size * (sums[_LOSS] + penalty) / sums[_WEIGHT]
            n_steps += 1
            _call_step(
                parts.step,
                (
                    parameters,
                    space.gradient,
                    moments,
                    n_weights,
                    sums[_WEIGHT],
                    settings,
                    rates[epoch],
                    n_steps,
                ),
            )
        losses[epoch] = loss / n_rows
    restore_denormals(state)


@_kernel
def _run_scoring(parameters, widths, parts, batches, space, keep, softmax):
    """Weighted sums of cross-entropy, of the rows whose label is right, and of weights."""
    state = flush_denormals()
    n_rows, chunk, n_out = batches.y.size, batches.chunk, widths[-1]
    sums, rows, right = space.sums, space.rows, 0.0
    sums[_LOSS] = sums[_WEIGHT] = 0.0
    for start in range(0, n_rows, chunk):
        own = rows[: min(chunk, n_rows - start)]
        for i in range(own.size):
            own[i] = start + i
        _call_gather(
            parts.gather,
            (
                batches.weight,
                batches.y,
                batches.soft_entropy,
                own,
                space.y,
                space.weight,
                space.entropy,
                sums[_WEIGHT:],
            ),
        )
        X = matrix_view(space.inputs, 0, widths[0], own.size)
        _call_take(parts.take, (batches.X, own, X))
        logits = _forward(parameters, widths, parts, X, space.outputs, chunk, keep, 0.0)
        weight = space.weight[: own.size]
        right += _right(logits, space.y, weight, softmax)
        soft = matrix_view(space.soft, 0, n_out, 0)
        _call_loss(parts.loss, (logits, space.y, weight, soft, space.entropy, 0.0, 1.0, sums))
    restore_denormals(state)
    return sums[_LOSS], right, sums[_WEIGHT]


@inlined
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


# What the package calls -----------------------------------------------------------------------

#: Activation -> the loops that add biases and apply it, and that multiply by its derivative.
_ACTIVATION_LOOPS: dict[str, tuple[Callable, Callable]] = {
    "identity": (_identity, _derive_identity),
    "relu": (_relu, _derive_relu),
    "tanh": (_tanh, _derive_tanh),
    "logistic": (_logistic, _derive_logistic),
}


def train_epochs(
    parameters: np.ndarray,
    moments: np.ndarray,
    n_steps: int,
    architecture: Architecture,
    batches: Batches,
    orders: np.ndarray,
    keep: np.ndarray,
    rule: Rule,
    rates: np.ndarray,
) -> np.ndarray:
    """Run an epoch for every row of `orders` and rate of `rates`; return their mean losses.

    `keep` (hidden units, n_rows) says which activations dropout lets through in an
    epoch, and has no columns without dropout. `parameters` and `moments` change in place.
    """
    widths, n_hidden = architecture.widths, int(architecture.widths[1:-1].sum())
    _check_shapes(parameters, architecture, batches)
    n_moments = 2 if rule.solver == "adam" else 1
    _check("moments", moments.shape, (n_moments, parameters.size))
    _check("orders", orders.shape, (len(rates), orders.shape[-1]))
    _check_range("orders", orders, len(batches.X))
    _check("keep", keep.shape, (n_hidden, orders.shape[1] if rule.dropout > 0 else 0))
    if rule.distillation > 0:
        _check("soft", batches.soft.shape, (len(batches.X), int(widths[-1])))
        _check("soft_entropy", batches.soft_entropy.shape, (len(batches.X),))
    numbers = (*rule[1:6], rule.epsilon, rule.dropout, rule.distillation, rule.temperature)
    losses = np.empty(len(rates))
    _run_epochs(
        parameters,
        moments,
        n_steps,
        widths,
        _parts(architecture, parameters.dtype, rule),
        _read_only(batches),
        _space(parameters, widths, batches, rule.distillation > 0),
        np.ascontiguousarray(orders, np.intp),
        np.ascontiguousarray(keep, np.bool_),
        np.array(numbers, np.float64),
        np.ascontiguousarray(rates, np.float64),
        losses,
    )
    return losses


def evaluate(
    parameters: np.ndarray, architecture: Architecture, batches: Batches
) -> tuple[float, float]:
    """Weighted mean cross-entropy and accuracy; the lower index wins ties."""
    _check_shapes(parameters, architecture, batches)
    loss, right, weight = _run_scoring(
        parameters,
        architecture.widths,
        _parts(architecture, parameters.dtype, None),
        _read_only(batches),
        _space(parameters, architecture.widths, batches, False),
        np.empty((0, 0), np.bool_),
        architecture.softmax,
    )
    return loss / weight, right / weight


def _check_shapes(parameters: np.ndarray, architecture: Architecture, batches: Batches) -> None:
    """Refuse arrays that do not belong together, beyond which the loops would read."""
    widths, n_rows = architecture.widths, len(batches.X)
    _check("parameters", parameters.shape, (int(((widths[:-1] + 1) * widths[1:]).sum()),))
    _check("activations", (len(architecture.activations),), (len(widths) - 2,))
    _check("X", batches.X.shape, (n_rows, int(widths[0])))
    _check("y", batches.y.shape, (n_rows,))
    _check("weight", batches.weight.shape, (n_rows,))
    _check_range("y", batches.y, int(widths[-1]) if architecture.softmax else 2)
    for name, array in (("X", batches.X), ("weight", batches.weight)):
        if array.dtype != parameters.dtype:
            raise ValueError(
                f"{name} is {array.dtype}, the network's parameters are {parameters.dtype}."
            )


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


def _parts(architecture: Architecture, dtype: np.dtype, rule: Rule | None) -> _Parts:
    """Choose the loops for a network and compile what is new; without a rule, only to evaluate."""
    widths, names = architecture.widths, architecture.activations
    large = widths[:-1] * widths[1:] > SMALL_LAYER
    learns = rule is not None
    distills, drops = (rule.distillation > 0, rule.dropout > 0) if rule else (False, False)
    step = _adam_step if rule and rule.solver == "adam" else _sgd_step
    loss = _distilled_loss if distills else _softmax_loss

    def address(function, arguments, needed=True):
        return _address(function, arguments, np.dtype(dtype)) if needed else 0

    def vector(functions, arguments, needed=True):
        return np.array([address(f, arguments, needed) for f in functions], np.intp)

    return _Parts(
        vector([_combine_by_blas if is_large else _combine for is_large in large], _combine_types),
        vector(
            [_correlate_by_blas if is_large else _correlate for is_large in large],
            _matrices,
            learns,
        ),
        vector([*(_ACTIVATION_LOOPS[name][0] for name in names), _identity], _sum_types),
        vector([_ACTIVATION_LOOPS[name][1] for name in names], _derive_types, learns),
        address(_take, _take_types),
        address(_gather, _gather_types),
        address(_sum_rows, _sum_types, learns),
        address(_scale, _scale_types, drops),
        address(loss if architecture.softmax else _logistic_loss, _loss_types),
        address(_add, _add_types, learns),
        address(_squares, _squares_types, learns),
        address(step, _step_types, learns),
    )


@cache
def _address(function: Any, arguments: Callable, dtype: np.dtype) -> int:
    return address_of(function, arguments(from_dtype(dtype)))


def _space(parameters: np.ndarray, widths: np.ndarray, batches: Batches, distills: bool) -> _Space:
    dtype, chunk = parameters.dtype, batches.chunk
    n_outputs = chunk * int(widths[1:].sum())
    return _Space(
        _buffer(chunk * int(widths[0]), dtype),
        _buffer(n_outputs, dtype),
        _buffer(n_outputs, dtype),
        np.empty(chunk * int(widths[-1]) if distills else 0, dtype),
        np.empty(chunk, np.intp),
        np.empty(chunk, dtype),
        np.empty(chunk, dtype),
        np.empty_like(parameters),
        np.empty_like(parameters),
        np.empty(chunk, np.intp),
        np.zeros(3),
    )


def _buffer(size: int, dtype: np.dtype) -> np.ndarray:
    """Return a vector that begins a line of the cache: the loops lose a tenth where none does."""
    raw = np.empty(size + 64 // dtype.itemsize, dtype)
    first = (-raw.ctypes.data % 64) // dtype.itemsize
    return raw[first : first + size]
