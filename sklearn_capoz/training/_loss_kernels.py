"""Loops from logits to the loss and its gradient, over the rows of a chunk.

First what the labels say, then what the teacher adds. Everything between is float64, also for a
network of float32: exponentials of a few classes cost little, and a sum over an epoch keeps its
digits.
"""

from __future__ import annotations

import numpy as np
from numba import types

from .._compile import kernel, loop
from .._exp_kernels import exp, logistic

__all__ = [
    "LOSS",
    "SQUARES",
    "WEIGHT",
    "distil_logistic",
    "distil_softmax",
    "distil_types",
    "logistic_loss",
    "loss_types",
    "scratch_rows",
    "softmax_loss",
]

#: Places in the vector of sums over a batch: of losses, of weights, and of squared parameters.
LOSS, WEIGHT, SQUARES = range(3)

#: Rows of the room to work in; those of the classes follow.
_TOP, _NORM, _CROSS, _CLASSES = range(4)


def loss_types(n):
    real = types.float64
    return n[:, ::1], n[:, ::1], types.intp[::1], n[::1], real, real[:, ::1], real[::1]


def distil_types(n):
    real, teacher = types.float64, (n[:, ::1], n[::1])
    return n[:, ::1], n[:, ::1], n[::1], *teacher, real, real, real[:, ::1], real[::1]


def scratch_rows(n_classes: int) -> int:
    """Rows of the room that losses work in, each as long as a chunk."""
    return _CLASSES + n_classes


@loop(loss_types)
def softmax_loss(logits, delta, y, weight, share, scratch, sums):
    """Set `delta` to the gradient of the summed loss, and add that loss to `sums`.

    `share` is what the teacher leaves to the labels. The highest logits stay in `scratch`.
    """
    kind, n_classes, n_rows = logits.dtype.type, logits.shape[0], logits.shape[1]
    top, norm = scratch[_TOP], scratch[_NORM]
    for i in range(n_rows):
        top[i] = logits[0, i]
        norm[i] = 0.0
    for c in range(1, n_classes):
        for i in range(n_rows):
            top[i] = logits[c, i] if logits[c, i] > top[i] else top[i]
    for c in range(n_classes):
        z = scratch[_CLASSES + c]
        for i in range(n_rows):
            z[i] = exp(logits[c, i] - top[i])
            norm[i] += z[i]
    for i in range(n_rows):
        own = share * weight[i]
        sums[LOSS] += own * (np.log(norm[i]) - (logits[y[i], i] - top[i]))
        norm[i] = own / norm[i]
    for c in range(n_classes):
        z = scratch[_CLASSES + c]
        for i in range(n_rows):
            delta[c, i] = kind(norm[i] * z[i])
    for i in range(n_rows):
        delta[y[i], i] -= kind(share * weight[i])


@loop(distil_types)
def distil_softmax(
    logits, delta, weight, soft, soft_entropy, distillation, temperature, scratch, sums
):
    """Add the teacher's share, distillation * weight * T^2 * KL(soft || softmax(z / T)).

    `scratch` comes from `softmax_loss`, with the highest logits.
    """
    kind, n_classes, n_rows = logits.dtype.type, logits.shape[0], logits.shape[1]
    top, norm, cross = scratch[_TOP], scratch[_NORM], scratch[_CROSS]
    for i in range(n_rows):
        norm[i] = cross[i] = 0.0
    for c in range(n_classes):
        softened = scratch[_CLASSES + c]
        for i in range(n_rows):
            z = (logits[c, i] - top[i]) / temperature
            cross[i] += soft[c, i] * z
            softened[i] = exp(z)
            norm[i] += softened[i]
    scale = distillation * temperature
    for i in range(n_rows):
        loss = weight[i] * (soft_entropy[i] - cross[i] + np.log(norm[i]))
        sums[LOSS] += scale * temperature * loss
    for c in range(n_classes):
        softened = scratch[_CLASSES + c]
        for i in range(n_rows):
            delta[c, i] += kind(scale * weight[i] * (softened[i] / norm[i] - soft[c, i]))


@kernel(fastmath={"contract"})
def _softplus(z, zero):
    """log(1 + exp(z)) without overflow; `zero` carries the dtype."""
    return (z if z > zero else zero) + np.log1p(exp(-abs(z)))


@loop(loss_types)
def logistic_loss(logits, delta, y, weight, share, scratch, sums):
    """`softmax_loss` for a single output unit: two classes with logits 0 and z."""
    kind = logits.dtype.type
    zero = kind(0)
    for i in range(logits.shape[1]):
        z, target, own = logits[0, i], kind(y[i]), kind(weight[i] * share)
        sums[LOSS] += own * (_softplus(z, zero) - target * z)
        delta[0, i] = own * (logistic(z) - target)


@loop(distil_types)
def distil_logistic(
    logits, delta, weight, soft, soft_entropy, distillation, temperature, scratch, sums
):
    """`distil_softmax` for a single output unit."""
    kind = logits.dtype.type
    zero, T = kind(0), kind(temperature)
    for i in range(logits.shape[1]):
        s, own = logits[0, i] / T, kind(weight[i] * distillation * temperature)
        sums[LOSS] += own * T * (soft_entropy[i] + _softplus(s, zero) - soft[0, i] * s)
        delta[0, i] += own * (logistic(s) - soft[0, i])
