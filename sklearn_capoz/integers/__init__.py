"""Networks in integers: what a device without floating point computes, to the last bit.

Dense ones, and those that convolve along the spectrum.

`INPUT_LIMIT` is the largest integer input, 32767.
"""

from ._layers import IntegerConvolution, IntegerLayer
from ._network import INPUT_LIMIT, IntegerNetwork
from ._quantizing import integer_network
from ._retraining import retrain
from ._tidying import tidy_units

__all__ = [
    "INPUT_LIMIT",
    "IntegerConvolution",
    "IntegerLayer",
    "IntegerNetwork",
    "integer_network",
    "retrain",
    "tidy_units",
]
