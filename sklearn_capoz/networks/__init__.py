"""Networks: dense ones as arrays, and any other as a skorch net."""

from ._network import ACTIVATIONS, DenseNetwork

__all__ = ["ACTIVATIONS", "DenseNetwork"]
