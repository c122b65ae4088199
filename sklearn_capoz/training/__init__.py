"""How a network learns: settings, samples, the compiled engine, and skorch's loop.

What needs torch is imported when it is asked for: a dense network trains and predicts without.
"""

from .._lazy import lazy_names
from ._engine import initial_network, train
from ._mutual import train_mutually
from ._optimizer import OptimizerState
from ._task import SurgeryRule, TrainingResult, TrainingSettings, TrainingTask

__all__ = [
    "MLPNet",
    "OptimizerState",
    "SurgeryRule",
    "TrainingResult",
    "TrainingSettings",
    "TrainingTask",
    "ZerosStay",
    "initial_network",
    "net_from_training",
    "train",
    "train_mutually",
]

__getattr__ = lazy_names(
    __name__,
    {"MLPNet": "._skorch_net", "ZerosStay": "._zeros", "net_from_training": "._skorch_net"},
)
