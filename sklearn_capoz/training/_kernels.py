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
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .._compile import kernel

__all__ = [
    "SMALL_LAYER",
    "SOLVER_CODES",
    "Architecture",
    "Batches",
    "Rule",
    "evaluate",
    "train_epochs",
]

SOLVER_CODES = {"sgd": 0, "adam": 1}

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
def _buffer(size, like):
    """Return a vector that begins a line of the cache: the loops lose a tenth where none does."""
    raw = np.empty(size + 64 // like.itemsize, like.dtype)
    first = (-raw.ctypes.data % 64) // like.itemsize
    return raw[first : first + size]


@_kernel
def _block(vector, start, n_rows, n_columns):
    """Matrix view of a part of a vector."""
    return vector[start : start + n_rows * n_columns].reshape((n_rows, n_columns))


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
def _four(weights, k):
    """Return weights k to k + 3 of a unit, zero beyond its last."""
    zero, size = weights.dtype.type(0), weights.size
    return (
        weights[k],
        weights[k + 1] if k + 1 < size else zero,
        weights[k + 2] if k + 2 < size else zero,
        weights[k + 3] if k + 3 < size else zero,
    )


@_kernel
def _four_rows(matrix, k):
    """Return rows k to k + 3, the last one again beyond it."""
    last = len(matrix) - 1
    return matrix[k], matrix[min(k + 1, last)], matrix[min(k + 2, last)], matrix[min(k + 3, last)]


@_kernel
def _combine(weights, inputs, out):
    """Set out (n_out, n_rows) to weights @ inputs."""
    if weights.size > SMALL_LAYER:
        np.dot(weights, inputs, out)
        return
    n_out, n_in = weights.shape
    n_rows = out.shape[1]
    out[:] = 0
    # Two units meet four inputs at a time: eight multiply-adds for eight loads and stores.
    for k in range(0, n_in, 4):
        x0, x1, x2, x3 = _four_rows(inputs, k)
        for u in range(0, n_out - 1, 2):
            a0, a1, a2, a3 = _four(weights[u], k)
            b0, b1, b2, b3 = _four(weights[u + 1], k)
            z_a, z_b = out[u], out[u + 1]
            for i in range(n_rows):
                p, q, r, s = x0[i], x1[i], x2[i], x3[i]
                z_a[i] = z_a[i] + a0 * p + a1 * q + a2 * r + a3 * s
                z_b[i] = z_b[i] + b0 * p + b1 * q + b2 * r + b3 * s
        if n_out % 2:
            a0, a1, a2, a3 = _four(weights[n_out - 1], k)
            z_a = out[n_out - 1]
            for i in range(n_rows):
                z_a[i] = z_a[i] + a0 * x0[i] + a1 * x1[i] + a2 * x2[i] + a3 * x3[i]


@_summing_kernel
def _correlate(inputs, deltas, out):
    """Set out (n_in, n_out) to inputs @ deltas.T, sums over rows."""
    if out.size > SMALL_LAYER:
        np.dot(inputs, deltas.T, out)
        return
    n_in, n_out = out.shape
    n_rows = inputs.shape[1]
    zero = out.dtype.type(0)
    # Four inputs meet two units at a time; what is left over at the end is computed twice.
    for k in range(0, n_in, 4):
        x0, x1, x2, x3 = _four_rows(inputs, k)
        g0, g1, g2, g3 = _four_rows(out, k)
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
            g0[u], g1[u], g2[u], g3[u] = a0, a1, a2, a3
            g0[v], g1[v], g2[v], g3[v] = b0, b1, b2, b3


@_summing_kernel
def _sum_rows(deltas, out):
    for u in range(out.size):
        delta, total = deltas[u], out.dtype.type(0)
        for i in range(delta.size):
            total += delta[i]
        out[u] = total


@_kernel
def _activate(Z, bias, code):
    """Add the biases and apply the activation, whose code is that of `ACTIVATIONS`."""
    zero, one = Z.dtype.type(0), Z.dtype.type(1)
    for u in range(bias.size):
        z, b = Z[u], bias[u]
        if code == 1:
            for i in range(z.size):
                z[i] = max(z[i] + b, zero)
        elif code == 2:
            for i in range(z.size):
                z[i] = np.tanh(z[i] + b)
        elif code == 3:
            for i in range(z.size):
                z[i] = one / (one + np.exp(-(z[i] + b)))
        else:
            for i in range(z.size):
                z[i] += b


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
    for u in range(A.shape[0]):
        for i in range(A.shape[1]):
            A[u, i] = A[u, i] * factor if keep[u, i] else A.dtype.type(0)


@_kernel
def _forward(parameters, architecture, X, outputs, capacity, keep, dropout):
    """Fill `outputs` with every layer's activations and return the logits, a view of it.

    `X` is (n_features, n_rows). `outputs` has room for `capacity` rows of each layer, one layer
    behind the other.
    """
    widths, n_rows = architecture.widths, X.shape[1]
    depth = widths.size - 1
    bias_at = np.sum(widths[:-1] * widths[1:])
    weight_at = output_at = unit_at = 0
    inputs = X
    for layer in range(depth):
        n_in, n_out = widths[layer], widths[layer + 1]
        Z = _block(outputs, output_at, n_out, n_rows)
        _combine(_block(parameters, weight_at, n_in, n_out).T, inputs, Z)
        code = architecture.activations[layer] if layer < depth - 1 else 0
        _activate(Z, parameters[bias_at : bias_at + n_out], code)
        if layer < depth - 1 and keep.shape[1] > 0:
            _scale(Z, keep[unit_at : unit_at + n_out], 1 / (1 - dropout))
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
    n_classes, n_rows = logits.shape
    z = np.empty((n_classes, n_rows))  # logits below the highest of their row
    power = np.empty(n_classes * n_rows)
    top = logits[0].copy()
    for c in range(1, n_classes):
        for i in range(n_rows):
            top[i] = max(top[i], logits[c, i])
    for c in range(n_classes):
        for i in range(n_rows):
            z[c, i] = logits[c, i] - top[i]
    total = 0.0
    hard = 1 - distillation
    for i in range(n_rows):
        total -= hard * weight[i] * z[y[i], i]
    if distillation > 0:
        total += _soften(logits, z, power, soft, soft_entropy, weight, distillation, temperature)
    else:
        logits[:] = 0
    _exp(z.reshape(z.size), power)
    norm = np.zeros(n_rows)
    for c in range(n_classes):
        for i in range(n_rows):
            norm[i] += z[c, i]
    for i in range(n_rows):
        share = hard * weight[i]
        total += share * np.log(norm[i])
        norm[i] = share / norm[i]
    for c in range(n_classes):
        for i in range(n_rows):
            logits[c, i] += kind(norm[i] * z[c, i])
    for i in range(n_rows):
        logits[y[i], i] -= kind(hard * weight[i])
    return total


@_kernel
def _soften(gradient, z, power, soft, soft_entropy, weight, distillation, temperature):
    """Set `gradient` to the teacher's share, weight * T^2 * KL(soft || softmax(z / T)), of it."""
    kind = gradient.dtype.type
    n_classes, n_rows = z.shape
    softened = z / temperature
    cross, norm = np.zeros(n_rows), np.zeros(n_rows)
    for c in range(n_classes):
        for i in range(n_rows):
            cross[i] += soft[c, i] * softened[c, i]
    _exp(softened.reshape(softened.size), power)
    for c in range(n_classes):
        for i in range(n_rows):
            norm[i] += softened[c, i]
    total = 0.0
    for i in range(n_rows):
        total += weight[i] * (soft_entropy[i] - cross[i] + np.log(norm[i]))
    scale = distillation * temperature
    for c in range(n_classes):
        for i in range(n_rows):
            gradient[c, i] = kind(scale * weight[i] * (softened[c, i] / norm[i] - soft[c, i]))
    return scale * temperature * total


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
    for i in range(logits.shape[1]):
        z = logits[0, i]
        target = kind(y[i])
        hard = kind(weight[i] * (1 - distillation))
        total += hard * (_softplus(z, one) - target * z)
        gradient = hard * (one / (one + np.exp(-z)) - target)
        if distillation > 0:
            s = z / T
            share = kind(weight[i] * distillation * temperature)
            total += share * T * (soft_entropy[i] + _softplus(s, one) - soft[0, i] * s)
            gradient += share * (one / (one + np.exp(-s)) - soft[0, i])
        logits[0, i] = gradient
    return total


@_kernel
def _backward(parameters, gradient, architecture, X, outputs, deltas, capacity, keep, dropout):
    """Fill `gradient`; the last layer of `outputs` already holds the gradient of the logits."""
    widths, n_rows = architecture.widths, X.shape[1]
    depth = widths.size - 1
    weight_at = np.sum(widths[:-1] * widths[1:])
    bias_at = parameters.size
    output_at = capacity * np.sum(widths[1:])
    unit_at = np.sum(widths[1:])
    delta = _block(outputs, output_at - capacity * widths[depth], widths[depth], n_rows)
    for layer in range(depth - 1, -1, -1):
        n_in, n_out = widths[layer], widths[layer + 1]
        weight_at -= n_in * n_out
        bias_at -= n_out
        output_at -= capacity * n_out
        unit_at -= n_out
        _sum_rows(delta, gradient[bias_at : bias_at + n_out])
        weights = _block(gradient, weight_at, n_in, n_out)
        if layer == 0:
            _correlate(X, delta, weights)
            break
        A = _block(outputs, output_at - capacity * n_in, n_in, n_rows)
        _correlate(A, delta, weights)
        below = _block(deltas, output_at - capacity * n_in, n_in, n_rows)
        _combine(_block(parameters, weight_at, n_in, n_out), delta, below)
        if keep.shape[1] > 0:
            kept = keep[unit_at - n_in : unit_at]
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
    n_rows, n_out = order.size, widths[-1]
    n_weights = np.sum(widths[:-1] * widths[1:])
    gradient, part = np.empty_like(parameters), np.empty_like(parameters)
    outputs = _buffer(chunk * np.sum(widths[1:]), parameters)
    deltas = _buffer(outputs.size, parameters)
    inputs = _buffer(chunk * widths[0], parameters)
    soft_outputs = np.empty(chunk * n_out if rule.distillation > 0 else 0, parameters.dtype)
    soft, entropy = _block(soft_outputs, 0, 0, n_out), batches.soft_entropy
    loss = 0.0
    for start in range(0, n_rows, batches.size):
        stop = min(start + batches.size, n_rows)
        summed = total_weight = 0.0
        for first in range(start, stop, chunk):
            last = min(first + chunk, stop)
            rows, kept = order[first:last], keep[:, first:last]
            X = _block(inputs, 0, widths[0], rows.size)
            _take(batches.X, rows, X)
            y, weight = batches.y[rows], batches.weight[rows]
            if rule.distillation > 0:
                soft = _block(soft_outputs, 0, n_out, rows.size)
                entropy = batches.soft_entropy[rows]
                _take(batches.soft, rows, soft)
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

    `keep` (hidden units, n_rows) says which activations dropout lets through in an
    epoch, and has no columns without dropout. `parameters` and `moments` change in place.
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
    widths, chunk, n_rows = architecture.widths, batches.chunk, batches.X.shape[0]
    outputs = _buffer(chunk * np.sum(widths[1:]), parameters)
    inputs = _buffer(chunk * widths[0], parameters)
    no_teacher = _block(inputs, 0, 0, 0)
    loss = right = 0.0
    for start in range(0, n_rows, chunk):
        stop = min(start + chunk, n_rows)
        y, weight = batches.y[start:stop], batches.weight[start:stop]
        X = _block(inputs, 0, widths[0], stop - start)
        _take(batches.X, np.arange(start, stop), X)
        logits = _forward(
            parameters, architecture, X, outputs, chunk, no_dropout[:, start:stop], 0.0
        )
        right += _right(logits, y, weight, architecture.softmax)
        loss += _loss(
            logits, y, weight, no_teacher, batches.soft_entropy, architecture.softmax, 0.0, 1.0
        )
    total_weight = np.sum(batches.weight)
    return loss / total_weight, right / total_weight


@_kernel
def _right(logits, y, weight, softmax):
    """Weight of the rows whose label is right."""
    right = 0.0
    for i in range(y.size):
        label = np.argmax(logits[:, i]) if softmax else int(logits[0, i] > 0)
        right += weight[i] * (label == y[i])
    return right
