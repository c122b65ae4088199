"""The activations of hidden units: one row each, and all that any part of the package asks of it.

Arrays, compiled loops, torch, ONNX and C each write an activation their own way. What all of
them need stands here, so that a new activation is one more row, a loop in
`_predictor_kernels` and two in `training._layer_kernels`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

__all__ = ["ACTIVATIONS", "Activation", "has_exact_zeros"]


@dataclass(frozen=True)
class Activation:
    """One activation.

    Parameters
    ----------
    name : str
        As in MLPClassifier.
    apply : callable
        Replace the values of an ndarray by their activations.
    derivative : callable
        Derivative from the activation's value; for arrays and tensors alike, as a factor.
    torch_module : str
        Its name in `torch.nn`.
    torch_function : str or None
        Its name in `torch`, `torch.nn.functional` and as a method of a tensor; with an underscore
        behind, it works in place. None where there is nothing to call.
    onnx : str
        ONNX operator.
    c : str
        C expression of z; "{suffix}" is "f" for float, behind a function of math.h.
    glorot : float
        Factor of the variance of initial weights, MLPClassifier's choice.
    has_exact_zeros : bool
        Whether a unit is zero, and not only small, for many samples: what APoZ counts.
    """

    name: str
    apply: Callable[[np.ndarray], object]
    derivative: Callable[[Any], Any]
    torch_module: str
    torch_function: str | None
    onnx: str
    c: str
    glorot: float = 6
    has_exact_zeros: bool = False


#: Name -> activation. Stored models and messages list them in this order.
ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation(
            "relu",
            apply=lambda z: np.maximum(z, 0, out=z),
            derivative=lambda a: a > 0,
            torch_module="ReLU",
            torch_function="relu",
            onnx="Relu",
            c="z < 0 ? 0 : z",  # NaN stays NaN
            has_exact_zeros=True,
        ),
        Activation(
            "tanh",
            apply=lambda z: np.tanh(z, out=z),
            derivative=lambda a: 1 - a * a,
            torch_module="Tanh",
            torch_function="tanh",
            onnx="Tanh",
            c="tanh{suffix}(z)",
        ),
        Activation(
            "logistic",
            apply=lambda z: expit(z, out=z),
            derivative=lambda a: a * (1 - a),
            torch_module="Sigmoid",
            torch_function="sigmoid",
            onnx="Sigmoid",
            c="1 / (1 + exp{suffix}(-z))",
            glorot=2,
        ),
        Activation(
            "identity",
            apply=lambda z: z,
            derivative=lambda a: 1,
            torch_module="Identity",
            torch_function=None,
            onnx="Identity",
            c="z",
        ),
    )
}


def has_exact_zeros(name: str) -> bool:
    """Whether units of an activation are exactly zero; not those of one that is not in the table.

    A torch module may have others between its layers, GELU for example.
    """
    return name in ACTIVATIONS and ACTIVATIONS[name].has_exact_zeros
