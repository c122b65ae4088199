"""Epochs of one dense network as compiled loops: forward, gradients by hand, optimiser step.

Small networks spend their time between the operations, not in them: in numpy an update of
the paper's network costs some fifty calls. Here some epochs are one call that holds no lock,
and networks side by side are such calls in several threads.

Parameters, gradient and moments are vectors (all weights, then all biases), and `widths` holds
the units of every layer, input first. The loops keep the dtype of the parameters, so scalars
are cast to it before they meet an array. All kernels are in this one file because numba's
cache on disk sees a change of its own file only.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .._compile import kernel

__all__ = [
    "ACTIVATION_CODES",
    "SOLVER_CODES",
    "Architecture",
    "Batches",
    "Rule",
    "evaluate",
    "train_epochs",
]

ACTIVATION_CODES = {"identity": 0, "relu": 1, "tanh": 2, "logistic": 3}
SOLVER_CODES = {"sgd": 0, "adam": 1}

_LOG2_E = 1 / math.log(2)
#: log(2) in two parts; n times the first is exact.
_LN2_HIGH = float.fromhex("0x1.62e42feep-1")
_LN2_LOW = 1.90821492927058770002e-10
_INVERSE_FACTORIALS = tuple(1 / math.factorial(k) for k in range(14))

#: "contract" lets multiply and add be one instruction.
_kernel = kernel(fastmath={"contract"})


class Architecture(NamedTuple):
    """Widths of all layers, a code for each hidden activation, and the kind of output."""

    widths: np.ndarray
    activations: np.ndarray
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

    solver: int
    alpha: float
    momentum: float
    nesterovs_momentum: bool
    beta_1: float
    beta_2: float
    epsilon: float
    dropout: float
    distillation: float
    temperature: float


@_kernel
def _block(vector, start, n_rows, n_columns):
    """Matrix view of a part of a vector."""
    return vector[start : start + n_rows * n_columns].reshape((n_rows, n_columns))


@_kernel
def _activate(Z, code):
    one = Z.dtype.type(1)
    flat = Z.reshape(Z.size)
    if code == 1:
        for i in range(flat.size):
            flat[i] = max(flat[i], Z.dtype.type(0))
    elif code == 2:
        for i in range(flat.size):
            flat[i] = np.tanh(flat[i])
    elif code == 3:
        for i in range(flat.size):
            flat[i] = one / (one + np.exp(-flat[i]))


@_kernel
def _derive(A, delta, code):
    """Multiply `delta` by the derivative of the activation, from the activation's value."""
    one = A.dtype.type(1)
    a, d = A.reshape(A.size), delta.reshape(delta.size)
    if code == 1:
        for i in range(a.size):
            d[i] = d[i] if a[i] > 0 else A.dtype.type(0)
    elif code == 2:
        for i in range(a.size):
            d[i] *= one - a[i] * a[i]
    elif code == 3:
        for i in range(a.size):
            d[i] *= a[i] * (one - a[i])


@_kernel
def _scale(A, keep, scale):
    """Inverted dropout, of activations and of their gradients alike."""
    factor = A.dtype.type(scale)
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            A[i, j] = A[i, j] * factor if keep[i, j] else A.dtype.type(0)


@_kernel
def _forward(parameters, architecture, X, outputs, capacity, keep, dropout):
    """Fill `outputs` with every layer's activations and return the logits, a view of it.

    `outputs` has room for `capacity` rows of each layer, one layer behind the other.
    """
    widths, n_rows = architecture.widths, X.shape[0]
    depth = widths.size - 1
    bias_at = np.sum(widths[:-1] * widths[1:])
    weight_at = output_at = unit_at = 0
    inputs = X
    for layer in range(depth):
        n_in, n_out = widths[layer], widths[layer + 1]
        Z = _block(outputs, output_at, n_rows, n_out)
        np.dot(inputs, _block(parameters, weight_at, n_in, n_out), Z)
        bias = parameters[bias_at : bias_at + n_out]
        for i in range(n_rows):
            for j in range(n_out):
                Z[i, j] += bias[j]
        if layer < depth - 1:
            _activate(Z, architecture.activations[layer])
            if keep.shape[0] > 0:
                _scale(Z, keep[:, unit_at : unit_at + n_out], 1 / (1 - dropout))
        weight_at += n_in * n_out
        bias_at += n_out
        output_at += capacity * n_out
        unit_at += n_out
        inputs = Z
    return inputs


@_kernel
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


@_kernel
def _softmax_loss(logits, y, weight, soft, soft_entropy, distillation, temperature):
    """Turn logits into the gradient of the summed loss and return that loss."""
    kind = logits.dtype.type
    n_rows, n_classes = logits.shape
    z = np.empty((n_rows, n_classes))  # logits below the highest of their row
    power = np.empty(n_rows * n_classes)
    for i in range(n_rows):
        top = logits[i, 0]
        for j in range(1, n_classes):
            top = max(top, logits[i, j])
        for j in range(n_classes):
            z[i, j] = logits[i, j] - top
    total = 0.0
    hard = 1 - distillation
    for i in range(n_rows):
        total -= hard * weight[i] * z[i, y[i]]
    if distillation > 0:
        total += _soften(logits, z, power, soft, soft_entropy, weight, distillation, temperature)
    else:
        logits[:] = 0
    _exp(z.reshape(z.size), power)
    for i in range(n_rows):
        norm = 0.0
        for j in range(n_classes):
            norm += z[i, j]
        share = hard * weight[i]
        total += share * np.log(norm)
        factor = share / norm
        for j in range(n_classes):
            logits[i, j] += kind(factor * z[i, j])
        logits[i, y[i]] -= kind(share)
    return total


@_kernel
def _soften(gradient, z, power, soft, soft_entropy, weight, distillation, temperature):
    """Set `gradient` to the teacher's share, weight * T^2 * KL(soft || softmax(z / T)), of it."""
    kind = gradient.dtype.type
    softened = z / temperature
    total = 0.0
    for i in range(z.shape[0]):
        cross = 0.0
        for j in range(z.shape[1]):
            cross += soft[i, j] * softened[i, j]
        total += weight[i] * (soft_entropy[i] - cross)
    _exp(softened.reshape(softened.size), power)
    for i in range(z.shape[0]):
        norm = 0.0
        for j in range(z.shape[1]):
            norm += softened[i, j]
        total += weight[i] * np.log(norm)
        share = weight[i] * distillation * temperature
        for j in range(z.shape[1]):
            gradient[i, j] = kind(share * (softened[i, j] / norm - soft[i, j]))
    return distillation * temperature**2 * total


@_kernel
def _softplus(z, one):
    """log(1 + exp(z)) without overflow; `one` carries the dtype."""
    return max(z, one - one) + np.log1p(np.exp(-abs(z)))


@_kernel
def _logistic_loss(logits, y, weight, soft, soft_entropy, distillation, temperature):
    """`_softmax_loss` for a single output unit: two classes with logits 0 and z."""
    kind = logits.dtype.type
    one, T = kind(1), kind(temperature)
    total = 0.0
    for i in range(logits.shape[0]):
        z = logits[i, 0]
        target = kind(y[i])
        hard = kind(weight[i] * (1 - distillation))
        total += hard * (_softplus(z, one) - target * z)
        gradient = hard * (one / (one + np.exp(-z)) - target)
        if distillation > 0:
            s = z / T
            share = kind(weight[i] * distillation * temperature)
            total += share * T * (soft_entropy[i] + _softplus(s, one) - soft[i, 0] * s)
            gradient += share * (one / (one + np.exp(-s)) - soft[i, 0])
        logits[i, 0] = gradient
    return total


@_kernel
def _backward(parameters, gradient, architecture, X, outputs, deltas, capacity, keep, dropout):
    """Fill `gradient`; the last layer of `outputs` already holds the gradient of the logits."""
    widths, n_rows = architecture.widths, X.shape[0]
    depth = widths.size - 1
    weight_at = np.sum(widths[:-1] * widths[1:])
    bias_at = parameters.size
    output_at = capacity * np.sum(widths[1:])
    unit_at = np.sum(widths[1:])
    delta = _block(outputs, output_at - capacity * widths[depth], n_rows, widths[depth])
    for layer in range(depth - 1, -1, -1):
        n_in, n_out = widths[layer], widths[layer + 1]
        weight_at -= n_in * n_out
        bias_at -= n_out
        output_at -= capacity * n_out
        unit_at -= n_out
        bias = gradient[bias_at : bias_at + n_out]
        bias[:] = 0
        for i in range(n_rows):
            for j in range(n_out):
                bias[j] += delta[i, j]
        weights = _block(gradient, weight_at, n_in, n_out)
        if layer == 0:
            np.dot(X.T, delta, weights)
            break
        A = _block(outputs, output_at - capacity * n_in, n_rows, n_in)
        np.dot(A.T, delta, weights)
        below = _block(deltas, output_at - capacity * n_in, n_rows, n_in)
        np.dot(delta, _block(parameters, weight_at, n_in, n_out).T, below)
        if keep.shape[0] > 0:
            kept = keep[:, unit_at - n_in : unit_at]
            _scale(A, kept, 1 - dropout)  # the activation before dropout, where it was kept
            _scale(below, kept, 1 / (1 - dropout))
        _derive(A, below, architecture.activations[layer - 1])
        delta = below


@_kernel
def _adam_step(parameters, gradient, first, second, scale, alpha, rule, rate, n_steps):
    """MLPClassifier's Adam: epsilon is added before the bias correction of the second moment."""
    kind = parameters.dtype.type
    one, beta_1, beta_2 = kind(1), kind(rule.beta_1), kind(rule.beta_2)
    epsilon, inverse, decay = kind(rule.epsilon), kind(scale), kind(alpha)
    size = kind(rate * np.sqrt(1 - rule.beta_2**n_steps) / (1 - rule.beta_1**n_steps))
    for i in range(parameters.size):
        g = (gradient[i] + decay * parameters[i]) * inverse
        first[i] = beta_1 * first[i] + (one - beta_1) * g
        second[i] = beta_2 * second[i] + (one - beta_2) * (g * g)
        parameters[i] -= size * first[i] / (np.sqrt(second[i]) + epsilon)


@_kernel
def _sgd_step(parameters, gradient, velocity, scale, alpha, rule, rate):
    """Momentum as torch keeps it: the velocity does not hold the learning rate."""
    kind = parameters.dtype.type
    rate, momentum = kind(rate), kind(rule.momentum)
    inverse, decay = kind(scale), kind(alpha)
    for i in range(parameters.size):
        g = (gradient[i] + decay * parameters[i]) * inverse
        velocity[i] = momentum * velocity[i] + g
        if rule.nesterovs_momentum:
            parameters[i] -= rate * (g + momentum * velocity[i])
        else:
            parameters[i] -= rate * velocity[i]


@_kernel
def _step(parameters, gradient, moments, n_weights, total_weight, rule, rate, n_steps):
    """One step of the solver; only weights, not biases, are pulled to zero by alpha."""
    for start, stop, alpha in (
        (0, n_weights, rule.alpha),
        (n_weights, parameters.size, 0.0),
    ):
        p, g, first = parameters[start:stop], gradient[start:stop], moments[0, start:stop]
        if rule.solver == 1:
            second = moments[1, start:stop]
            _adam_step(p, g, first, second, 1 / total_weight, alpha, rule, rate, n_steps)
        else:
            _sgd_step(p, g, first, 1 / total_weight, alpha, rule, rate)


@_kernel
def _loss(logits, y, weight, soft, soft_entropy, softmax, distillation, temperature):
    """Turn logits into the gradient of the summed loss and return that loss."""
    if softmax:
        return _softmax_loss(logits, y, weight, soft, soft_entropy, distillation, temperature)
    return _logistic_loss(logits, y, weight, soft, soft_entropy, distillation, temperature)


@_kernel
def _train_epoch(parameters, moments, n_steps, architecture, batches, order, keep, rule, rate):
    """Run through all rows once, in the given order; return the mean loss."""
    widths, chunk = architecture.widths, batches.chunk
    n_rows = order.size
    n_weights = np.sum(widths[:-1] * widths[1:])
    gradient, part = np.empty_like(parameters), np.empty_like(parameters)
    outputs = np.empty(chunk * np.sum(widths[1:]), parameters.dtype)
    deltas = np.empty_like(outputs)
    X_chunk = np.empty((chunk, widths[0]), parameters.dtype)
    soft, entropy = batches.soft, batches.soft_entropy
    loss = 0.0
    for start in range(0, n_rows, batches.size):
        stop = min(start + batches.size, n_rows)
        summed = total_weight = 0.0
        for first in range(start, stop, chunk):
            rows = order[first : min(first + chunk, stop)]
            X, kept = X_chunk[: rows.size], keep[first : min(first + chunk, stop)]
            for i in range(rows.size):
                row = rows[i]
                for j in range(widths[0]):
                    X[i, j] = batches.X[row, j]
            y, weight = batches.y[rows], batches.weight[rows]
            if rule.distillation > 0:
                soft, entropy = batches.soft[rows], batches.soft_entropy[rows]
            logits = _forward(parameters, architecture, X, outputs, chunk, kept, rule.dropout)
            summed += _loss(
                logits,
                y,
                weight,
                soft,
                entropy,
                architecture.softmax,
                rule.distillation,
                rule.temperature,
            )
            total_weight += np.sum(weight)
            target = gradient if first == start else part
            _backward(
                parameters, target, architecture, X, outputs, deltas, chunk, kept, rule.dropout
            )
            if first > start:
                gradient += part
        weights = parameters[:n_weights]
        penalty = 0.5 * rule.alpha * np.dot(weights, weights)
        loss += (stop - start) * (summed + penalty) / total_weight
        n_steps += 1
        _step(parameters, gradient, moments, n_weights, total_weight, rule, rate, n_steps)
    return loss / n_rows


@_kernel
def train_epochs(parameters, moments, n_steps, architecture, batches, orders, keep, rule, rates):
    """Run an epoch for every row of `orders` and rate of `rates`; return their mean losses.

    `keep` (n_rows, hidden units) says which activations dropout lets through, row by row of
    an epoch, and has no rows without dropout. `parameters` and `moments` change in place.
    """
    losses = np.empty(len(rates))
    for epoch in range(len(rates)):
        order, rate = orders[epoch], rates[epoch]
        losses[epoch] = _train_epoch(
            parameters, moments, n_steps, architecture, batches, order, keep, rule, rate
        )
        n_steps += -(-order.size // batches.size)
    return losses


@_kernel
def evaluate(parameters, architecture, batches, no_dropout):
    """Weighted mean cross-entropy and accuracy; the lower index wins ties."""
    n_rows, chunk = batches.X.shape[0], batches.chunk
    outputs = np.empty(chunk * np.sum(architecture.widths[1:]), parameters.dtype)
    loss = right = 0.0
    for start in range(0, n_rows, chunk):
        stop = min(start + chunk, n_rows)
        y, weight = batches.y[start:stop], batches.weight[start:stop]
        logits = _forward(
            parameters, architecture, batches.X[start:stop], outputs, chunk, no_dropout, 0.0
        )
        for i in range(stop - start):
            label = np.argmax(logits[i]) if architecture.softmax else int(logits[i, 0] > 0)
            right += weight[i] * (label == y[i])
        loss += _loss(
            logits, y, weight, batches.soft, batches.soft_entropy, architecture.softmax, 0.0, 1.0
        )
    total_weight = np.sum(batches.weight)
    return loss / total_weight, right / total_weight
