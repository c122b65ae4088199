"""What the optimiser remembers of a network, and a network's arrays as one vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..networks._dense import DenseNetwork

__all__ = ["N_MOMENTS", "OptimizerState", "flatten", "unflatten", "views"]

#: Solver -> how many moments it keeps of each parameter.
N_MOMENTS = {"sgd": 1, "adam": 2}


@dataclass(frozen=True, eq=False)
class OptimizerState:
    """Moments of every weight and bias, and the number of steps taken.

    Parameters
    ----------
    moments : tuple of DenseNetwork
        One (the velocity of "sgd") or two (the running means of the gradient
        and of its square of "adam"), in the shapes of the network's own arrays.
    n_steps : int
    """

    moments: tuple[DenseNetwork, ...]
    n_steps: int

    @classmethod
    def zeros(cls, network: DenseNetwork, solver: str) -> OptimizerState:
        """Return the state of `solver` before its first step."""
        zero = unflatten(np.zeros(network.n_parameters, network.dtype), network)
        return cls((zero,) * N_MOMENTS[solver], 0)

    def cut(self, layer: int, keep: np.ndarray) -> OptimizerState:
        """Remove the moments of the units of one hidden layer where `keep` is False."""
        return OptimizerState(tuple(m.cut(layer, keep) for m in self.moments), self.n_steps)

    def cut_inputs(self, keep: np.ndarray) -> OptimizerState:
        """Remove the moments of the inputs where `keep` is False."""
        return OptimizerState(tuple(m.cut_inputs(keep) for m in self.moments), self.n_steps)


def flatten(network: DenseNetwork) -> np.ndarray:
    """All weights, then all biases, as one new vector."""
    return np.concatenate([a.ravel() for a in (*network.weights, *network.biases)])


def unflatten(vector: np.ndarray, like: DenseNetwork) -> DenseNetwork:
    """Copy a vector made by `flatten` into a network of the shapes of `like`."""
    return views(vector.copy(), like)


def views(vector: np.ndarray, like: DenseNetwork) -> DenseNetwork:
    """View a vector made by `flatten` as a network of the shapes of `like`."""
    arrays, start = [], 0
    for old in (*like.weights, *like.biases):
        arrays.append(vector[start : start + old.size].reshape(old.shape))
        start += old.size
    depth = len(like.weights)
    return DenseNetwork(tuple(arrays[:depth]), tuple(arrays[depth:]), like.activations, like.output)
