"""Networks: dense ones as arrays, and any other chain as a skorch net."""

from ._chain import trace_chain
from ._dense_model import DenseModel
from ._engine import TrainingResult, TrainingSettings, TrainingTask, initial_network, train
from ._module import MLPModule, network_from_module
from ._network import ACTIVATIONS, DenseNetwork
from ._optimizer import OptimizerState
from ._skorch import MLPNet, net_from_training
from ._skorch_model import SkorchModel

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
