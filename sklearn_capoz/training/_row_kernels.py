"""The loop that brings some rows to where the network works on them."""

from __future__ import annotations

from numba import types

from .._compile import loop
from ._loss_kernels import WEIGHT

__all__ = ["take_rows", "take_types"]


def take_types(n):
    given, labels = types.Array(n, 1, "C", readonly=True), types.Array(types.intp, 1, "C", True)
    table = types.Array(n, 2, "C", readonly=True)
    own = n[:, ::1], types.intp[::1], n[::1], n[:, ::1], n[::1]
    return table, labels, given, table, given, types.intp[::1], types.intp, *own, types.float64[::1]


@loop(take_types)
def take_rows(
    X, y, weight, soft, entropy, order, first,
    own_X, own_y, own_weight, own_soft, own_entropy, sums,
):  # fmt: skip
    """Copy the rows from `first` on in an order, and what belongs to them; add up their weights.

    Rows of X and of the teacher's probabilities become columns. Eight rows at a time, so that a
    line of the cache is written once.
    """
    n_columns, n_rows = own_X.shape
    whole = n_rows // 8 * 8
    for i in range(0, whole, 8):
        for j in range(n_columns):
            for lane in range(8):
                own_X[j, i + lane] = X[order[first + i + lane], j]
    for i in range(whole, n_rows):
        for j in range(n_columns):
            own_X[j, i] = X[order[first + i], j]
    for i in range(n_rows):
        row = order[first + i]
        own_y[i] = y[row]
        own_weight[i] = weight[row]
        sums[WEIGHT] += own_weight[i]
    for i in range(own_soft.shape[1]):  # none without a teacher
        row = order[first + i]
        own_entropy[i] = entropy[row]
        for c in range(own_soft.shape[0]):
            own_soft[c, i] = soft[row, c]
