"""Compensation: what the cut units contributed, folded into the next layer."""

from __future__ import annotations

import numpy as np

from .._sklearn import InvalidParameterError
from ..criteria._redundancy import ridge_strength

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
    bias: np.ndarray,
    sample_weight: np.ndarray,
    compensation: str | None,
    ridge: float = 1e-3,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Weights and bias of the next layer, for the units that stay.

    Parameters
    ----------
    inputs : ndarray of shape (n_samples, n_units)
        What reaches the next layer on the scoring samples, before the cut.
    keep : ndarray of shape (n_units,), bool
    weight : ndarray of shape (n_units, n_out)
    bias : ndarray of shape (n_out,)
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
        centred = ((inputs - mean) * np.sqrt(sample_weight)[:, None]).astype(np.float64)
        moment = centred.T @ centred
        lost = moment[np.ix_(keep, ~keep)] @ weight[~keep]
        kept = moment[np.ix_(keep, keep)] + ridge_strength(moment, ridge) * np.eye(keep.sum())
        new = new + np.linalg.solve(kept, lost)
    bias = bias + mean @ weight - mean[keep] @ new
    return new.astype(weight.dtype), bias.astype(weight.dtype)
