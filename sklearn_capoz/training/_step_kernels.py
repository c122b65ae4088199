"""Loops over all parameters at once: the optimiser's step, and the penalty's sum of squares."""

from __future__ import annotations

import numpy as np
from numba import types

from .._compile import loop
from ._loss_kernels import SQUARES, WEIGHT

__all__ = [
    "ALPHA",
    "DISTILLATION",
    "DROPOUT",
    "TEMPERATURE",
    "adam_step",
    "add",
    "add_types",
    "sgd_step",
    "squares",
    "squares_types",
    "step_types",
    "stop_types",
    "stop_zeros",
]

#: Places in the vector of settings.
ALPHA, MOMENTUM, NESTEROV, BETA_1, BETA_2, EPSILON, DROPOUT, DISTILLATION, TEMPERATURE = range(9)


def add_types(n):
    return n[::1], n[::1]


def squares_types(n):
    return n[::1], types.intp, types.float64[::1]


def stop_types(n):
    return n[::1], n[::1], types.intp


def step_types(n):
    real, whole = types.float64, types.intp
    return n[::1], n[::1], n[:, ::1], whole, real[::1], real[::1], real, whole


@loop(add_types)
def add(values, total):
    """Add a vector to another."""
    for i in range(values.size):
        total[i] += values[i]


@loop(squares_types, sums=True)
def squares(parameters, n_weights, sums):
    """Set the sum of the squared weights."""
    own = parameters.dtype.type(0)
    for i in range(n_weights):
        own += parameters[i] * parameters[i]
    sums[SQUARES] = own


@loop(stop_types)
def stop_zeros(parameters, gradient, n_weights):
    """Take the gradient from weights that are zero: without moments they then stay so.

    One that has come to zero by itself is moved on by its moments.
    """
    for i in range(n_weights):
        gradient[i] = gradient[i] if parameters[i] != 0 else gradient.dtype.type(0)


@loop(step_types)
def adam_step(parameters, gradient, moments, n_weights, sums, settings, rate, n_steps):
    """MLPClassifier's Adam: epsilon is added before the bias correction of the second moment.

    Only weights, not biases, are pulled to zero by alpha.
    """
    kind, one = parameters.dtype.type, parameters.dtype.type(1)
    beta_1, beta_2 = settings[BETA_1], settings[BETA_2]
    size = kind(rate * np.sqrt(1 - beta_2**n_steps) / (1 - beta_1**n_steps))
    b1, b2, epsilon = kind(beta_1), kind(beta_2), kind(settings[EPSILON])
    inverse, alpha = kind(1 / sums[WEIGHT]), kind(settings[ALPHA])
    first, second = moments[0], moments[1]
    for i in range(parameters.size):
        decay = alpha if i < n_weights else kind(0)
        g = (gradient[i] + decay * parameters[i]) * inverse
        first[i] = b1 * first[i] + (one - b1) * g
        second[i] = b2 * second[i] + (one - b2) * (g * g)
        parameters[i] -= size * first[i] / (np.sqrt(second[i]) + epsilon)


@loop(step_types)
def sgd_step(parameters, gradient, moments, n_weights, sums, settings, rate, n_steps):
    """Momentum as torch keeps it: the velocity does not hold the learning rate."""
    kind = parameters.dtype.type
    size, momentum = kind(rate), kind(settings[MOMENTUM])
    inverse, alpha = kind(1 / sums[WEIGHT]), kind(settings[ALPHA])
    nesterov, velocity = settings[NESTEROV] != 0, moments[0]
    for i in range(parameters.size):
        decay = alpha if i < n_weights else kind(0)
        g = (gradient[i] + decay * parameters[i]) * inverse
        velocity[i] = momentum * velocity[i] + g
        step = g + momentum * velocity[i] if nesterov else velocity[i]
        parameters[i] -= size * step
