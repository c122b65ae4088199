"""The dense network as a torch module."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from ..exceptions import UnsupportedNetworkError
from ._activations import ACTIVATIONS
from ._dense import DenseNetwork

__all__ = ["MLPModule", "module_from_network", "network_from_module"]


class MLPModule(nn.Module):
    """Linear, activation and dropout in a chain; the output are logits.

    New weights and biases are Glorot-uniform, as MLPClassifier's, from torch's generator.

    Parameters
    ----------
    n_features : int
    hidden_layer_sizes : sequence of int
    n_classes : int
    activation : {"relu", "tanh", "logistic", "identity"}
    dropout : float
        Share of hidden activations set to zero in training.
    output : {"softmax", "logistic"}
        "logistic" is one output unit for two classes: its logit is that of the second
        class, and the logit of the first is zero.
    dtype : torch.dtype, optional

    Attributes
    ----------
    layers : torch.nn.Sequential

    Examples
    --------
    >>> from sklearn_capoz.networks._module import MLPModule
    >>> MLPModule(50, (30,), 7)
    MLPModule(
      (layers): Sequential(
        (0): Linear(in_features=50, out_features=30, bias=True)
        (1): ReLU()
        (2): Linear(in_features=30, out_features=7, bias=True)
      )
    )
    """

    def __init__(
        self,
        n_features: int,
        hidden_layer_sizes: Sequence[int],
        n_classes: int,
        activation: str = "relu",
        dropout: float = 0.0,
        output: str = "softmax",
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        self.activation = activation
        self.output = output
        layers: list[nn.Module] = []
        n_in = n_features
        for n_units in hidden_layer_sizes:
            layers.append(nn.Linear(n_in, n_units, dtype=dtype))
            layers.append(getattr(nn, ACTIVATIONS[activation].torch_module)())
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
            n_in = n_units
        layers.append(nn.Linear(n_in, n_classes if output == "softmax" else 1, dtype=dtype))
        if output == "logistic":
            layers.append(nn.ConstantPad1d((1, 0), 0.0))
        self.layers = nn.Sequential(*layers)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights and biases anew."""
        for layer in _linear_layers(self):
            factor = ACTIVATIONS[self.activation].glorot
            bound = math.sqrt(factor / (layer.in_features + layer.out_features))
            nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.uniform_(layer.bias, -bound, bound)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n_samples, n_classes)."""
        return self.layers(X)


def _linear_layers(module: MLPModule) -> list[nn.Linear]:
    return [layer for layer in module.layers if isinstance(layer, nn.Linear)]


def module_arguments(network: DenseNetwork, dropout: float = 0.0) -> dict:
    """Return the arguments that make an `MLPModule` of the network's own widths."""
    if len(set(network.activations)) > 1:
        raise UnsupportedNetworkError(
            "MLPModule has one activation for all hidden layers, "
            f"the network has {network.activations}."
        )
    return {
        "n_features": network.n_features,
        "hidden_layer_sizes": network.widths,
        "n_classes": network.biases[-1].size if network.output == "softmax" else 2,
        "activation": network.activations[0] if network.activations else "relu",
        "dropout": dropout,
        "output": network.output,
        "dtype": torch.from_numpy(np.empty(0, network.dtype)).dtype,
    }


def module_from_network(network: DenseNetwork, dropout: float = 0.0) -> MLPModule:
    """Copy a dense network into a torch module; no random number is drawn."""
    with torch.device("meta"):  # shapes without numbers
        module = MLPModule(**module_arguments(network, dropout))
    module = module.to_empty(device="cpu")
    load_network(module, network)
    return module


def load_network(module: MLPModule, network: DenseNetwork) -> None:
    """Copy a network's weights into a module of the same widths, in place."""
    with torch.no_grad():
        for layer, weight, bias in zip(
            _linear_layers(module), network.weights, network.biases, strict=True
        ):
            layer.weight.copy_(torch.from_numpy(weight.T.copy()))
            layer.bias.copy_(torch.from_numpy(bias.copy()))


def network_from_module(module: MLPModule) -> DenseNetwork:
    """Copy a torch module's weights into a dense network.

    Parameters
    ----------
    module : MLPModule
        On any device; it stays as it was, and shares no memory with the result.

    Returns
    -------
    network : DenseNetwork
        In the module's dtype, with the same outputs.

    Raises
    ------
    UnsupportedNetworkError
        If it is another module, whose outputs no list of weights is certain to give.
    """
    if not isinstance(module, MLPModule):
        raise UnsupportedNetworkError(
            f"Only an MLPModule is a dense network for certain, got {type(module).__name__}."
        )
    layers = _linear_layers(module)
    weights = tuple(np.ascontiguousarray(_array(layer.weight).T) for layer in layers)
    biases = tuple(_array(layer.bias).copy() for layer in layers)
    activations = (module.activation,) * (len(layers) - 1)
    return DenseNetwork(weights, biases, activations, module.output)


def _array(parameter: torch.Tensor) -> np.ndarray:
    return parameter.detach().cpu().numpy()
