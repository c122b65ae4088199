"""What a criterion sees of a layer's connections: a number for each of its weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._base import Criterion
from ._read_only import read_only

__all__ = ["CONNECTION_NEEDS", "Connections", "connection_scores"]

#: What a criterion may ask of the scoring samples to score connections.
CONNECTION_NEEDS = frozenset({"gradients", "inputs"})


@dataclass(frozen=True, eq=False)
class Connections:
    """The weights of one layer, as a criterion sees them: the arrays are read-only views.

    All arrays have the shape of the weights, in the layer's own order: (n_in, n_out) of a network
    of arrays, (n_out, n_in) and the kernel's axes of a torch layer. A formula that takes each
    weight by itself serves them all.

    Parameters
    ----------
    weights : ndarray
        Zero where a connection is gone.
    random_state : RandomState
        For criteria that draw.
    gradients : ndarray or None, default=None
        Mean over the samples of the absolute derivative of each sample's cross-entropy by the
        weight; None where the criterion does not need it.
    input_squares : ndarray or None, default=None
        Mean over samples and positions of the square of what the weight is multiplied by; None
        where the criterion does not need it.
    """

    weights: np.ndarray
    random_state: np.random.RandomState
    gradients: np.ndarray | None = None
    input_squares: np.ndarray | None = None

    def __post_init__(self):
        values = vars(self)  # the class is frozen
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                values[name] = read_only(value)


def connection_scores(criterion: Criterion, layer: Connections) -> np.ndarray:
    """Score the connections of a layer that are there, in the order of its weights.

    Raises
    ------
    ValueError
        Where that is not one finite number per weight.
    """
    scores, shape = np.asarray(criterion.score_connections(layer)), layer.weights.shape
    method = f"{type(criterion).__name__}.score_connections"
    if scores.shape != shape:
        raise ValueError(
            f"{method} gave shape {scores.shape}, expected {shape}: one score per weight."
        )
    scores = scores[layer.weights != 0]
    if not np.isfinite(scores).all():
        if np.isfinite(layer.weights).all():
            why = "though the layer's weights are finite."
        else:
            why = "and the weights have overflowed: train with a smaller learning rate."
        raise ValueError(f"{method} gave scores that are not finite, {scores}, {why}")
    return scores
