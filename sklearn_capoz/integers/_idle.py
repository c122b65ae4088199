"""Hidden units that no longer matter: what reaches them or leaves them has become zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ._layers import IntegerConvolution, IntegerLayer
from ._network import IntegerNetwork

__all__ = ["without_idle_units"]


def without_idle_units(network: IntegerNetwork) -> IntegerNetwork:
    """Leave out hidden units of dense layers that nothing leaves, or that nothing enters.

    What nothing enters hands on the same code for every sample, which goes into the biases behind
    it. In integers both are exact: all logits stay as they are, and no sum can become larger.

    Parameters
    ----------
    network : IntegerNetwork
        Stays as it was. Each of its layers keeps one unit at least.
    """
    layers = list(network.layers)
    places = [i for i, a in enumerate(layers[:-1]) if not isinstance(a, IntegerConvolution)]
    for i in reversed(places):  # what only led to a unit without an end has none itself
        leads_on = np.any(layers[i + 1].weights, axis=1)
        layers[i : i + 2] = _cut(layers[i], layers[i + 1], leads_on)
    for i in places:
        front, behind = layers[i : i + 2]
        moves = np.any(front.weights, axis=0)
        codes = front.codes(front.biases[None].astype(np.float64))[0]
        constant = codes[~moves].astype(np.int64) @ behind.weights[~moves].astype(np.int64)
        if moves.any():  # else one of the units stays, and what it hands on
            behind = replace(behind, biases=(behind.biases + constant).astype(np.int32))
            layers[i : i + 2] = _cut(front, behind, moves)
    return replace(network, layers=tuple(layers))


def _cut(
    front: IntegerLayer, behind: IntegerLayer, keep: np.ndarray
) -> tuple[IntegerLayer, IntegerLayer]:
    """Keep some units of a layer, and what those behind it take from them."""
    if not keep.any():
        keep = np.arange(len(keep)) == 0
    left = replace(
        front,
        weights=np.ascontiguousarray(front.weights[:, keep]),
        biases=front.biases[keep],
        multipliers=front.multipliers[keep],
        shifts=front.shifts[keep],
    )
    return left, replace(behind, weights=np.ascontiguousarray(behind.weights[keep]))
