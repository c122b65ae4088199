"""Hidden units of a network in integers: those that matter, in the order that packs best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ._layers import IntegerConvolution, IntegerLayer
from ._network import IntegerNetwork

__all__ = ["tidy_units"]


def tidy_units(network: IntegerNetwork) -> IntegerNetwork:
    """Leave out hidden units of dense layers that nothing leaves or enters, and sort the others.

    What nothing enters hands on the same code for every sample, which goes into the biases behind
    it. The order of units is free, and biases that rise are packed into fewer bytes. In integers
    all of this is exact: the logits stay as they are, and no sum can become larger.

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
    for i in places:
        order = np.argsort(layers[i].biases, kind="stable")
        layers[i : i + 2] = _taken(layers[i], layers[i + 1], order)
    return replace(network, layers=tuple(layers))


def _cut(
    front: IntegerLayer, behind: IntegerLayer, keep: np.ndarray
) -> tuple[IntegerLayer, IntegerLayer]:
    """Keep some units of a layer, and what those behind it take from them."""
    if not keep.any():
        keep = np.arange(len(keep)) == 0
    return _taken(front, behind, np.flatnonzero(keep))


def _taken(
    front: IntegerLayer, behind: IntegerLayer, units: np.ndarray
) -> tuple[IntegerLayer, IntegerLayer]:
    """Take units of a layer in this order, and what those behind it take from them."""
    found = replace(
        front,
        weights=np.ascontiguousarray(front.weights[:, units]),
        biases=front.biases[units],
        multipliers=front.multipliers[units],
        shifts=front.shifts[units],
    )
    return found, replace(behind, weights=np.ascontiguousarray(behind.weights[units]))
