"""Networks in integers: what a device without floating point computes, to the last bit.

Dense ones, and those that convolve along the spectrum.

`INPUT_LIMIT` is the largest integer input, 32767.
"""

from ._idle import without_idle_units
from ._layers import IntegerConvolution, IntegerLayer
from ._network import INPUT_LIMIT, IntegerNetwork
from ._quantizing import integer_network
from ._retraining import retrain

__all__ = [
    "INPUT_LIMIT",
    "IntegerConvolution",
    "IntegerLayer",
    "IntegerNetwork",
    "integer_network",
    "retrain",
    "without_idle_units",
]
