"""Networks: dense ones as arrays, and any other chain as a skorch net.

What needs torch is imported when it is asked for: a model that only predicts
does without.
"""

from importlib import import_module

from ._dense_model import DenseModel
from ._engine import TrainingResult, TrainingSettings, TrainingTask, initial_network, train
from ._network import ACTIVATIONS, DenseNetwork
from ._optimizer import OptimizerState

_WITH_TORCH = {
    "MLPModule": "_module",
    "MLPNet": "_skorch",
    "SkorchModel": "_skorch_model",
    "net_from_training": "_skorch",
    "network_from_module": "_module",
    "trace_chain": "_chain",
}

__all__ = [
    "ACTIVATIONS",
    "DenseModel",
    "DenseNetwork",
    "MLPModule",
    "MLPNet",
    "OptimizerState",
    "SkorchModel",
    "TrainingResult",
    "TrainingSettings",
    "TrainingTask",
    "initial_network",
    "net_from_training",
    "network_from_module",
    "trace_chain",
    "train",
]


def __getattr__(name: str):
    if name in _WITH_TORCH:
        return getattr(import_module(f".{_WITH_TORCH[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
