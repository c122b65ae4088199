"""Convolutional networks of `PrunedCNNClassifier` in model files and ONNX graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ..estimators import PrunedCNNClassifier
from ..exceptions import DataFormatError, UnsupportedNetworkError
from ._parts import ModelParts, take_apart
from ._sparse import put_weights
from ._steps import BAD_INPUT, add_step_to_graph

__all__ = [
    "GraphLayers",
    "add_convolutions",
    "build_convolutions",
    "convolutional_parts",
    "describe_convolutions",
    "is_convolutional",
    "steps_of",
]

#: Convolutions of a network in a file: each is made before it is known to fit.
MAX_CONVOLUTIONS = 100


def is_convolutional(estimator) -> bool:
    """Whether a fitted classifier or Pipeline ends in a PrunedCNNClassifier."""
    return isinstance(take_apart(estimator)[2], PrunedCNNClassifier)


def steps_of(estimator) -> tuple[list[tuple[str, Any]], PrunedCNNClassifier]:
    """Return all that comes before the network, and the classifier that holds it."""
    check_is_fitted(estimator)
    steps, _, classifier = take_apart(estimator)
    if classifier.kind not in ("1d", "2d", "3d"):
        raise UnsupportedNetworkError(
            f"A {type(classifier.module_).__name__} cannot be written down: files and graphs know "
            "the networks of the kinds '1d', '2d' and '3d'. joblib stores any."
        )
    # The last step only ends the chain; names are made unique on the way.
    chain = Pipeline([*steps, ("bands", classifier.bands_), ("network", classifier)])
    return take_apart(chain)[0], classifier


def convolutional_parts(estimator) -> ModelParts:
    """Take a model apart; its network is the classifier itself, its bands' steps are steps."""
    steps, classifier = steps_of(estimator)
    names = getattr(estimator, "feature_names_in_", None)
    return ModelParts(
        steps=steps,
        name="network",
        network=classifier,  # type: ignore[arg-type]
        classes=classifier.classes_,
        n_features=steps[0][1].n_features_in_,
        feature_names=None if names is None else [str(name) for name in names],
        network_names=None if names is None else [str(name) for name in names],
        wavelengths=getattr(estimator, "wavelengths_", None),
        history=classifier.history_ if hasattr(classifier, "history_") else None,
        trust=getattr(estimator, "trust_", None),
    )


def describe_convolutions(
    classifier: PrunedCNNClassifier,
) -> tuple[dict, dict[str, np.ndarray]]:
    """Return what JSON holds of a network, and its arrays."""
    from ..networks._cnn import sizes_of

    description = {
        "kind": classifier.kind,
        "n_channels": classifier.n_channels_,
        "patch_size": classifier.patch_size_,
        "sizes": sizes_of(classifier.module_),
        "dtype": classifier.dtype_,
    }
    state = classifier.module_.state_dict()
    arrays: dict[str, np.ndarray] = {}
    for name, value in state.items():
        put = put_weights if name.endswith("weight") and value.dim() > 1 else _put
        put(arrays, f"network.{name}", value.numpy())
    return description, arrays


def _put(arrays: dict[str, np.ndarray], key: str, values: np.ndarray) -> None:
    arrays[key] = np.ascontiguousarray(values)


def build_convolutions(
    found: dict, steps: list[tuple[str, Any]], classes: np.ndarray, take
) -> PrunedCNNClassifier:
    """Make the classifier of a description; `take` hands out its arrays, checked."""
    import torch

    kind, size = found["kind"], found["patch_size"]
    if (kind == "1d") != (size == 1) or size % 2 == 0:
        raise DataFormatError(f"network.patch_size is {size}, which does not suit {kind!r}.")
    if not steps:
        raise DataFormatError("steps is empty, and a convolutional network has its bands' there.")
    module = _network(found, len(classes))
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    state = {
        name: torch.from_numpy(take(f"network.{name}", shape, found["dtype"]).copy())
        for name, shape in shapes.items()
    }
    module.load_state_dict(state, assign=True)
    model = PrunedCNNClassifier(kind, network_params=found["sizes"], dtype=found["dtype"])
    if size > 1:
        model.set_params(patch_size=size)
    model.module_, model.bands_ = module.eval(), Pipeline(steps)
    model.classes_, model.patch_size_ = classes, size
    model.n_channels_, model.n_features_in_ = found["n_channels"], steps[0][1].n_features_in_
    shape = (2, model.n_features_in_, *[size, size][: 2 * (size > 1)])
    try:
        probabilities = model.predict_proba(np.ones(shape))
    except (RuntimeError, *BAD_INPUT) as error:
        raise DataFormatError(f"the network does not fit its steps: {str(error)[:500]}") from error
    if not np.isfinite(probabilities).all():
        raise DataFormatError("its weights are so large that the probabilities are no numbers.")
    return model


def _network(found: dict, n_classes: int):
    """Make a network of these sizes without any memory: its arrays may turn out to be others."""
    import torch

    from ..networks._cnn import KINDS

    sizes = dict(found["sizes"])
    if found["kind"] != "1d":
        sizes["patch_size"] = found["patch_size"]
    channels = sizes.get("channels")
    if isinstance(channels, list) and len(channels) > MAX_CONVOLUTIONS:
        raise DataFormatError(
            f"network.sizes.channels has {len(channels)} entries, at most {MAX_CONVOLUTIONS} are."
        )
    try:
        with torch.device("meta"):
            module = KINDS[found["kind"]](found["n_channels"], n_classes, **sizes)
    except (RuntimeError, *BAD_INPUT) as error:
        raise DataFormatError(f"network.sizes make no network: {str(error)[:500]}") from error
    return module.to(getattr(torch, found["dtype"]))


def add_convolutions(graph, estimator, value: str, layers: GraphLayers) -> list:
    """Add steps and network to an ONNX graph, and return the shape of one sample."""
    steps, classifier = steps_of(estimator)
    n_bands, size = steps[0][1].n_features_in_, classifier.patch_size_
    if size > 1:  # each pixel of a patch is a spectrum to the steps
        value = graph.add("Transpose", value, perm=[0, 2, 3, 1])
        value = graph.add("Reshape", value, graph.constant(np.array([-1, n_bands])))
    for name, step in steps:
        value = add_step_to_graph(graph, name, step, value)
    if size > 1:
        shape = np.array([-1, size, size, classifier.n_channels_])
        value = graph.add("Reshape", value, graph.constant(shape))
        value = graph.add("Transpose", value, perm=[0, 3, 1, 2])
    if classifier.kind != "2d":
        value = graph.add("Unsqueeze", value, graph.constant(np.array([1])))
    value = layers.add(classifier.module_.features, layers.begin(value))
    value = graph.add("Flatten", value, axis=1)
    value = layers.add(classifier.module_.head, value)
    graph.add_outputs(value, classifier.classes_)
    return [n_bands, size, size] if size > 1 else [n_bands]


class GraphLayers:
    """Writes the layers of a network into an ONNX graph, in floats."""

    def __init__(self, graph):
        self.graph = graph

    def begin(self, value: str) -> str:
        """Take what goes into the first layer."""
        return value

    def add(self, layers, value: str) -> str:
        """Add layers one behind the other."""
        from torch import nn

        for layer in layers:
            if isinstance(layer, nn.ReLU):
                value = self.activated(self.graph.add("Relu", value))
            elif isinstance(layer, nn.Linear):
                weight, bias = (part.detach().numpy() for part in layer.parameters())
                value = self.graph.add("Gemm", value, *self.parameters(weight.T, bias, axis=1))
            elif isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
                weight, bias = (part.detach().numpy() for part in layer.parameters())
                value = self.graph.add("Conv", value, *self.parameters(weight, bias, axis=0))
            else:  # a pooling
                size = layer.kernel_size
                n_axes = 1 if isinstance(layer, nn.MaxPool1d) else 2
                size = list(size) if isinstance(size, tuple) else [size] * n_axes
                value = self.graph.add("MaxPool", value, kernel_shape=size, strides=size)
                value = self.pooled(value)
        return value

    def activated(self, value: str) -> str:
        """Hand on what an activation gives."""
        return value

    def pooled(self, value: str) -> str:
        """Hand on what a pooling gives."""
        return value

    def parameters(self, weight: np.ndarray, bias: np.ndarray, axis: int) -> tuple[str, str]:
        """Add weights and biases; the axis is that of the layer's units."""
        return self.graph.constant(weight), self.graph.constant(bias)
