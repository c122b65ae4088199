"""Weights to integers: where rounding one weight is made up for by those not yet rounded."""

from __future__ import annotations

import numpy as np

from ._arithmetic import round_half_away

__all__ = ["DAMPING", "damped", "round_weights"]

#: Steps to try, as parts of the one that spans a unit's largest weight.
_RATIOS = {8: np.linspace(0.7, 1.0, 4), 4: np.linspace(0.4, 1.0, 13)}
#: Share of the mean square of the inputs that is added to each: what is not in the samples counts.
DAMPING = 0.01
#: Inputs whose errors go to all later ones together, as one product of matrices.
_BLOCK = 32


def round_weights(
    weights: np.ndarray, moment: np.ndarray, bits: int, least_step: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r"""Round each unit's weights to whole multiples of a step.

    Inputs are correlated, neighbouring bands above all. What rounding one weight changes in the
    unit's sum, the weights that are rounded after it can take back: with the moment H of the
    inputs, and its inverse's Cholesky factor U, weight j is rounded and
    ``error_j / U_jj * U_jk`` is taken from every later weight k [1]_. The step of each unit is
    the one of a few that leaves the smallest error :math:`e^T H e`.

    Parameters
    ----------
    weights : ndarray of shape (n_in, n_out), float64
    moment : ndarray of shape (n_in, n_in), float64
        Mean product of the centred inputs.
    bits : {8, 4}
    least_step : ndarray of shape (n_out,)
        No step is smaller.

    Returns
    -------
    rounded : ndarray of shape (n_in, n_out), int8
    steps : ndarray of shape (n_out,), float64

    References
    ----------
    .. [1] Frantar, E., Ashkboos, S., Hoefler, T. & Alistarh, D. (2023). GPTQ: accurate
       post-training quantization for generative pre-trained transformers. *ICLR*.
       :doi:`10.48550/arXiv.2210.17323`
    """
    n_in, n_out = weights.shape
    largest = 2 ** (bits - 1) - 1
    # Every step of every unit is a column of its own.
    widest = np.abs(weights).max(axis=0) / largest
    steps = np.maximum(_RATIOS[bits][:, None] * widest, least_step).ravel()
    order = np.argsort(-np.diag(moment), kind="stable")
    moment = moment[np.ix_(order, order)]
    target = np.tile(weights[order], len(_RATIOS[bits]))
    moment = damped(moment, DAMPING)
    moment /= max(np.trace(moment) / n_in, np.finfo(float).tiny)
    factor = np.linalg.cholesky(np.linalg.inv(moment)).T
    rounded = _round_in_turn(target, factor, steps, largest)
    wrong = target - rounded * steps
    loss = np.einsum("ij,ij->j", wrong, moment @ wrong).reshape(-1, n_out)
    best = loss.argmin(axis=0) * n_out + np.arange(n_out)
    found = np.empty((n_in, n_out), dtype=np.int8)
    found[order] = rounded[:, best]
    return found, steps[best]


def damped(moment: np.ndarray, share: float) -> np.ndarray:
    """Add a share of the mean square to that of each input, so that there is an inverse."""
    mean_square = np.trace(moment) / len(moment) or 1.0  # of inputs that never change
    return moment + share * mean_square * np.eye(len(moment))


def _round_in_turn(
    target: np.ndarray, factor: np.ndarray, steps: np.ndarray, largest: int
) -> np.ndarray:
    """Round row by row; the rows of a block hear of each other at once, the others at its end."""
    left, rounded, there = target.copy(), np.empty_like(target), target != 0
    for start in range(0, len(target), _BLOCK):
        stop = min(start + _BLOCK, len(target))
        errors = np.empty((stop - start, target.shape[1]))
        for j in range(start, stop):
            rounded[j] = np.clip(round_half_away(left[j] / steps), -largest, largest) * there[j]
            errors[j - start] = (left[j] - rounded[j] * steps) / factor[j, j]
            left[j + 1 : stop] -= np.outer(factor[j, j + 1 : stop], errors[j - start])
        left[stop:] -= factor[start:stop, stop:].T @ errors
    return rounded
