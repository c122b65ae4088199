"""Compensation: what the cut units contributed, folded into the next layer."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from .._sklearn import InvalidParameterError

__all__ = ["COMPENSATIONS", "check_compensation", "fold"]

COMPENSATIONS = ("bias", "least-squares")


def check_compensation(compensation: str | None) -> None:
    """Raise unless it is one that `fold` knows.

    Parameters
    ----------
    compensation : {None, "bias", "least-squares"}

    Raises
    ------
    InvalidParameterError
        Where it is none of these.
    """
    if compensation is not None and compensation not in COMPENSATIONS:
        raise InvalidParameterError(
            f"compensation must be None or one of {list(COMPENSATIONS)}, got {compensation!r}."
        )


def fold(
    inputs: np.ndarray,
    keep: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    sample_weight: np.ndarray,
    compensation: str | None,
    ridge: float = 1e-3,
) -> tuple[np.ndarray, np.ndarray | None]:
    r"""Weights and bias of the next layer, for the units that stay.

    Parameters
    ----------
    inputs : ndarray of shape (n_samples, n_units)
        What reaches the next layer on the scoring samples, before the cut. Of a channel each of
        its taps is a unit.
    keep : ndarray of shape (n_units,), bool
    weight : ndarray of shape (n_units, n_out)
    bias : ndarray of shape (n_out,) or None
        Without one, "least-squares" is on inputs that are not centred.
    sample_weight : ndarray of shape (n_samples,)
    compensation : {None, "bias", "least-squares"}
        "bias" moves the mean contribution into the bias, exact for a constant
        unit. "least-squares" lets the units that stay take over what they can:
        :math:`\min_D \|A_k D - A_c W_c\|^2 + \lambda \|D\|^2` on centred
        inputs, D added to their weights.
    ridge : float, default=1e-3
        :math:`\lambda` as a share of the mean square of the inputs.

    Returns
    -------
    weight : ndarray of shape (n_kept, n_out)
    bias : ndarray of shape (n_out,)
    """
    check_compensation(compensation)
    if compensation is None:
        return weight[keep], bias
    mean = sample_weight @ inputs / sample_weight.sum()
    new = weight[keep]
    if compensation == "least-squares":
        root = np.sqrt(sample_weight)[:, None]

        def rows(columns):
            centred = inputs[:, columns] if bias is None else inputs[:, columns] - mean[columns]
            return (centred * root).astype(np.float64)

        new = new + _take_over(rows(keep), rows(~keep), weight[~keep], ridge)
    new = new.astype(weight.dtype)
    if bias is None:
        return new, None
    return new, (bias + mean @ weight - mean[keep] @ new).astype(weight.dtype)


def _take_over(kept: np.ndarray, gone: np.ndarray, weight: np.ndarray, ridge: float) -> np.ndarray:
    """Solve the ridge regression, by rows where these are fewer than the units that stay."""
    n_units = kept.shape[1] + gone.shape[1]
    # A share of the mean square of the inputs, as in `Reconstruction`; 1 where all are zero.
    strength = ridge * float((kept**2).sum() + (gone**2).sum()) / n_units or 1.0
    lost = gone @ weight
    by_rows = len(kept) < kept.shape[1]
    square = kept @ kept.T if by_rows else kept.T @ kept
    square[np.diag_indices_from(square)] += strength
    right = lost if by_rows else kept.T @ lost
    solution = cho_solve(cho_factor(square, overwrite_a=True), right)
    return kept.T @ solution if by_rows else solution
