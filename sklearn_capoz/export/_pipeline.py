"""compile_pipeline: scalers folded into the first layer."""

from __future__ import annotations

import numpy as np
from sklearn.pipeline import Pipeline

from ..integers import IntegerNetwork
from ..networks import DenseNetwork
from ._compiled import CompiledClassifier
from ._parts import ModelParts, parts_of
from ._steps import affine_of

__all__ = ["compile_pipeline", "fold_linear_steps", "joined"]

#: Largest shift, in units of the spread of what it is added to, that single precision can take:
#: of the 24 bits of the first layer's sums, 14 are left, and X itself has no more to give.
_LARGEST_FLOAT32_SHIFT = 1000.0


def compile_pipeline(pipeline):
    """Compile a fitted pipeline: linear steps before the network go into its first layer.

    A StandardScaler, MinMaxScaler or PCA right before the network costs more than a small
    network itself. The first layer is linear as well, so it can do their work: for a scaler with
    mean m and scale s, ``((x - m) / s) @ W + b = x @ (W / s) + (b - (m / s) @ W)``.

    Parameters
    ----------
    pipeline : fitted Pipeline or classifier
        Any transformers, then a PrunedMLPClassifier, CAPoZPruner, MLPClassifier, a skorch
        NeuralNetClassifier that is a chain of dense layers, or a CompiledClassifier.

    Returns
    -------
    compiled : CompiledClassifier or Pipeline
        With the same labels, and the same probabilities up to rounding. It is a Pipeline if
        steps remain that are not linear. So does a step whose shift is so large beside its
        scale that folding it would lose precision in float32. What is quantized stays as it is.

    Raises
    ------
    UnsupportedNetworkError
        If the last step holds no network that is known.
    NotFittedError
        If a step has not been fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_capoz.deploy import compile_pipeline
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((8,), tol=1e-2, random_state=0)
    >>> pipeline = make_pipeline(StandardScaler(), mlp).fit(X, y)
    >>> compiled = compile_pipeline(pipeline)
    >>> type(compiled).__name__
    'CompiledClassifier'
    >>> bool((compiled.predict(X) == pipeline.predict(X)).all())
    True
    """
    parts = parts_of(pipeline)
    if isinstance(parts.network, IntegerNetwork):
        return pipeline  # nothing of it is folded
    remaining, network = fold_linear_steps(parts.steps, parts.network)
    compiled = CompiledClassifier(
        network,
        parts.classes,
        feature_names=None if remaining else parts.feature_names,
        wavelengths=None if remaining else parts.wavelengths,
        history=parts.history,
    )
    return joined(remaining, parts, compiled)


def joined(steps: list, parts: ModelParts, classifier):
    """Put a classifier in the place of a model's own; what the model knows of trust goes along."""
    model = Pipeline([*steps, (parts.name, classifier)]) if steps else classifier
    if parts.trust is not None:
        model.trust_ = parts.trust
    return model


def fold_linear_steps(steps: list, network: DenseNetwork) -> tuple[list, DenseNetwork]:
    """Fold the linear steps at the end of `steps` into the network; return what is left."""
    weight, bias = (part[0].astype(np.float64) for part in (network.weights, network.biases))
    remaining = list(steps)
    while remaining:
        affine = affine_of(remaining[-1][1])
        if affine is None:
            break
        matrix, shift, spread = affine
        largest = np.max(np.abs(shift) / spread, initial=0.0)
        if network.dtype == np.float32 and largest > _LARGEST_FLOAT32_SHIFT:
            break
        bias = bias + shift @ weight
        weight = matrix[:, None] * weight if matrix.ndim == 1 else matrix @ weight
        remaining.pop()
    weights = (np.ascontiguousarray(weight, dtype=network.dtype), *network.weights[1:])
    biases = (bias.astype(network.dtype), *network.biases[1:])
    return remaining, DenseNetwork(weights, biases, network.activations, network.output)
