"""What a network is: dense ones as arrays, any other as a torch module.

`ACTIVATIONS` is the table of activations of hidden units, by their names in MLPClassifier.

What needs torch is imported when it is asked for: a model that only predicts
does without.
"""

from .._lazy import lazy_names
from ._activations import ACTIVATIONS
from ._dense import DenseNetwork

__all__ = [
    "ACTIVATIONS",
    "DenseNetwork",
    "MLPModule",
    "SpatialCNN2D",
    "SpectralCNN1D",
    "SpectralSpatialCNN3D",
    "network_from_module",
    "trace_chain",
]

__getattr__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(("SpatialCNN2D", "SpectralCNN1D", "SpectralSpatialCNN3D"), "._cnn"),
        "MLPModule": "._module",
        "network_from_module": "._module",
        "trace_chain": "._chain",
    },
)
