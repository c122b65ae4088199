"""Loops over one layer: products with its weights, its activation, its dropout.

Activations and their gradients lie as units x rows: there are always rows enough to fill a
vector register, while a layer may have five units. Products with a small matrix of weights are
loops over the rows, up to twice as fast there as BLAS, which is made for large matrices.

Parameters and gradients are vectors; a layer's place in them is where its weights or its biases
begin. The loops keep the dtype of the parameters, so scalars are cast to it before they meet an
array.
"""

# mypy: disable-error-code=call-arg
# (numba gives intrinsics their typing context)

from __future__ import annotations

import numpy as np
from numba import types

from .._compile import Loop, loop, matrix_view
from .._exp_kernels import logistic, tanh

__all__ = [
    "ACTIVATIONS",
    "activate_types",
    "combine",
    "combine_by_blas",
    "combine_types",
    "correlate",
    "correlate_by_blas",
    "correlate_types",
    "derive_types",
    "scale",
    "scale_types",
    "sum_rows",
    "sum_rows_types",
]


def combine_types(n):
    return n[::1], types.intp, types.intp, types.intp, n[:, ::1], n[:, ::1]


def correlate_types(n):
    return n[:, ::1], n[:, ::1], n[::1], types.intp


def sum_rows_types(n):
    return n[:, ::1], n[::1], types.intp


def activate_types(n):
    return n[:, ::1], n[::1], types.intp


def derive_types(n):
    return n[:, ::1], n[:, ::1]


def scale_types(n):
    return n[:, ::1], types.boolean[:, ::1], types.intp, types.intp, types.float64


@loop(combine_types)
def combine(parameters, start, unit_step, input_step, inputs, out):
    """Set out (n_out, n_rows) to the products of `inputs` with a matrix of weights.

    It begins at `start`, and the steps lead from a unit to the next and from an input to the
    next: the loops are the same forward and backward, and compiled once.
    """
    n_in, n_out, n_rows = inputs.shape[0], out.shape[0], out.shape[1]
    zero = out.dtype.type(0)
    for u in range(n_out):
        for i in range(n_rows):
            out[u, i] = zero
    # Two units meet four inputs at a time: eight multiply-adds for eight loads and stores.
    # Beyond the last input its row is read again, with a weight of zero.
    for k in range(0, n_in, 4):
        k1 = k + 1 if k + 1 < n_in else k
        k2 = k + 2 if k + 2 < n_in else k
        k3 = k + 3 if k + 3 < n_in else k
        x0, x1, x2, x3 = inputs[k], inputs[k1], inputs[k2], inputs[k3]
        for u in range(0, n_out, 2):
            a = start + u * unit_step
            a0 = parameters[a + k * input_step]
            a1 = parameters[a + k1 * input_step] if k + 1 < n_in else zero
            a2 = parameters[a + k2 * input_step] if k + 2 < n_in else zero
            a3 = parameters[a + k3 * input_step] if k + 3 < n_in else zero
            z_a = out[u]
            if u + 1 == n_out:
                for i in range(n_rows):
                    z_a[i] = z_a[i] + a0 * x0[i] + a1 * x1[i] + a2 * x2[i] + a3 * x3[i]
                break
            b = a + unit_step
            b0 = parameters[b + k * input_step]
            b1 = parameters[b + k1 * input_step] if k + 1 < n_in else zero
            b2 = parameters[b + k2 * input_step] if k + 2 < n_in else zero
            b3 = parameters[b + k3 * input_step] if k + 3 < n_in else zero
            z_b = out[u + 1]
            for i in range(n_rows):
                p, q, r, s = x0[i], x1[i], x2[i], x3[i]
                z_a[i] = z_a[i] + a0 * p + a1 * q + a2 * r + a3 * s
                z_b[i] = z_b[i] + b0 * p + b1 * q + b2 * r + b3 * s


@loop(combine_types)
def combine_by_blas(parameters, start, unit_step, input_step, inputs, out):
    """`combine` for a large layer."""
    n_in, n_out = inputs.shape[0], out.shape[0]
    if unit_step == 1:
        np.dot(matrix_view(parameters, start, n_in, n_out).T, inputs, out)
    else:
        np.dot(matrix_view(parameters, start, n_out, n_in), inputs, out)


@loop(correlate_types, sums=True)
def correlate(inputs, deltas, gradient, start):
    """Set a part of `gradient`, as (n_in, n_out), to inputs @ deltas.T, sums over rows."""
    n_in, n_out, n_rows = inputs.shape[0], deltas.shape[0], inputs.shape[1]
    zero = gradient.dtype.type(0)
    # Four inputs meet two units at a time; what is left over at the end is computed twice.
    for k in range(0, n_in, 4):
        k1 = k + 1 if k + 1 < n_in else k
        k2 = k + 2 if k + 2 < n_in else k
        k3 = k + 3 if k + 3 < n_in else k
        x0, x1, x2, x3 = inputs[k], inputs[k1], inputs[k2], inputs[k3]
        g0, g1 = start + k * n_out, start + k1 * n_out
        g2, g3 = start + k2 * n_out, start + k3 * n_out
        for u in range(0, n_out, 2):
            v = u + 1 if u + 1 < n_out else u
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
            gradient[g0 + u], gradient[g1 + u] = a0, a1
            gradient[g2 + u], gradient[g3 + u] = a2, a3
            gradient[g0 + v], gradient[g1 + v] = b0, b1
            gradient[g2 + v], gradient[g3 + v] = b2, b3


@loop(correlate_types)
def correlate_by_blas(inputs, deltas, gradient, start):
    """`correlate` for a large layer."""
    n_in, n_out = inputs.shape[0], deltas.shape[0]
    np.dot(inputs, deltas.T, matrix_view(gradient, start, n_in, n_out))


@loop(sum_rows_types, sums=True)
def sum_rows(deltas, gradient, start):
    """Set a part of `gradient` to the sums of the rows' deltas, one for each unit."""
    zero = gradient.dtype.type(0)
    for u in range(deltas.shape[0]):
        delta, total = deltas[u], zero
        for i in range(delta.size):
            total += delta[i]
        gradient[start + u] = total


@loop(activate_types)
def _identity(Z, parameters, start):
    """Add the biases; a function of this kind for each activation applies it as well."""
    for u in range(Z.shape[0]):
        z, b = Z[u], parameters[start + u]
        for i in range(z.size):
            z[i] += b


@loop(activate_types)
def _relu(Z, parameters, start):
    zero = Z.dtype.type(0)
    for u in range(Z.shape[0]):
        z, b = Z[u], parameters[start + u]
        for i in range(z.size):
            value = z[i] + b
            z[i] = zero if value < zero else value  # NaN goes through


@loop(activate_types)
def _tanh(Z, parameters, start):
    for u in range(Z.shape[0]):
        z, b = Z[u], parameters[start + u]
        for i in range(z.size):
            z[i] = tanh(z[i] + b)


@loop(activate_types)
def _logistic(Z, parameters, start):
    for u in range(Z.shape[0]):
        z, b = Z[u], parameters[start + u]
        for i in range(z.size):
            z[i] = logistic(z[i] + b)


@loop(derive_types)
def _derive_identity(A, delta):
    """Multiply `delta` by the derivative of the activation, from the activation's value."""


@loop(derive_types)
def _derive_relu(A, delta):
    zero = A.dtype.type(0)
    for u in range(A.shape[0]):
        for i in range(A.shape[1]):
            delta[u, i] = delta[u, i] if A[u, i] > 0 else zero


@loop(derive_types)
def _derive_tanh(A, delta):
    one = A.dtype.type(1)
    for u in range(A.shape[0]):
        for i in range(A.shape[1]):
            delta[u, i] *= one - A[u, i] * A[u, i]


@loop(derive_types)
def _derive_logistic(A, delta):
    one = A.dtype.type(1)
    for u in range(A.shape[0]):
        for i in range(A.shape[1]):
            delta[u, i] *= A[u, i] * (one - A[u, i])


@loop(scale_types)
def scale(A, keep, unit, row, factor):
    """Inverted dropout, of activations and of their gradients alike.

    `keep` holds all hidden units and all rows of an epoch; A's begin at `unit` and `row`.
    """
    zero, own = A.dtype.type(0), A.dtype.type(factor)
    for u in range(A.shape[0]):
        for i in range(A.shape[1]):
            A[u, i] = A[u, i] * own if keep[unit + u, row + i] else zero


#: Activation -> the loops that add biases and apply it, and that multiply by its derivative.
ACTIVATIONS: dict[str, tuple[Loop, Loop]] = {
    "identity": (_identity, _derive_identity),
    "relu": (_relu, _derive_relu),
    "tanh": (_tanh, _derive_tanh),
    "logistic": (_logistic, _derive_logistic),
}
