"""save_model and load_model: one file, arrays beside a description, nothing in it is executed."""

from __future__ import annotations

import hashlib
import json
import platform
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from ..exceptions import DataFormatError
from ..formats._atomic import write_atomically
from ..networks import DenseNetwork
from ._compiled import CompiledClassifier, history_of, network_of, take_apart
from ._description import (
    FORMAT_VERSION,
    build_classes,
    build_history,
    check_description,
    describe_classes,
    describe_history,
)
from ._steps import BAD_INPUT, step_from_description, step_to_description

__all__ = ["load_model", "save_model"]

#: Key of the description in the safetensors metadata.
_KEY = "sklearn_capoz"
#: Bytes of the file's header at most: names, shapes and the description, not the weights.
_MAX_HEADER = 20_000_000

_INSTALL = "Model files need safetensors: pip install 'sklearn-capoz[export]'"


def save_model(estimator, path) -> None:
    """Save a fitted model to one file that is safe to open anywhere.

    A pickle runs what it was told to run when it is opened, and opens only beside the versions
    that wrote it. This file holds numbers and text: the network's arrays as safetensors, and a
    JSON description of the network, the labels, the preprocessing and the pruning run. It is
    written whole or not at all: after an interruption the old file is still there.

    Parameters
    ----------
    estimator : fitted classifier or Pipeline
        A PrunedMLPClassifier, CAPoZPruner, MLPClassifier, skorch NeuralNetClassifier that is a
        chain of dense layers, or CompiledClassifier; or a Pipeline of one after StandardScaler,
        MinMaxScaler, PCA and the transformers of `sklearn_capoz.spectral`.
    path : str or path-like
        By custom it ends in ``.capoz``.

    Raises
    ------
    UnsupportedNetworkError
        If a step, a parameter, the labels or the network are of a kind that the file cannot hold.
    NotFittedError
        If a step has not been fitted.
    ImportError
        If safetensors is not installed.

    See Also
    --------
    load_model : Open the file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from sklearn_capoz.deploy import load_model, save_model
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((8,), tol=1e-2, random_state=0).fit(X, y)
    >>> with TemporaryDirectory() as folder:
    ...     save_model(mlp, Path(folder) / "iris.capoz")
    ...     model = load_model(Path(folder) / "iris.capoz")
    >>> bool((model.predict(X) == mlp.predict(X)).all())
    True
    """
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise ImportError(_INSTALL) from error
    description, tensors = _describe(estimator)
    text = json.dumps(description, allow_nan=False)
    content = save(tensors, metadata={_KEY: text, "sha256": _digest(text, tensors)})
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)


def load_model(path):
    """Open a model file.

    Nothing in the file is executed. Names, shapes and dtypes of all arrays are compared with the
    description before anything is made of them.

    Labels and probabilities are those of the saved model, to the last bit but for networks of
    scikit-learn and skorch and Pipelines with PCA: there sums in another order differ by rounding.

    Parameters
    ----------
    path : str or path-like
        A file of `save_model`.

    Returns
    -------
    model : CompiledClassifier or Pipeline
        Fitted, with `predict`, `predict_proba`, `score`, `classes_` and `n_features_in_`, and
        where the file holds them `feature_names_in_`, `wavelengths_` (nm) and `history_`. It is a
        Pipeline if there are preprocessing steps.

    Raises
    ------
    DataFormatError
        If it is no model file, is damaged, or contradicts itself; the message names the first
        place that does.
    FileNotFoundError
        If there is no such file.
    ImportError
        If safetensors is not installed.

    See Also
    --------
    save_model : Write such a file.
    """
    path = Path(path)
    try:
        description, tensors = _read(path)
        with np.errstate(all="ignore"):
            return _build(description, tensors)
    except DataFormatError as error:
        raise DataFormatError(f"{path}: {error}") from error


def _describe(estimator) -> tuple[dict, dict[str, np.ndarray]]:
    """Return the description and the arrays of a fitted model."""
    steps, name, classifier = take_apart(estimator)
    network = network_of(classifier)
    tensors = {}
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        tensors[f"network.{i}.weight"] = np.ascontiguousarray(weight)
        tensors[f"network.{i}.bias"] = np.ascontiguousarray(bias)
    descriptions = []
    for i, (step_name, step) in enumerate(steps):
        check_is_fitted(step)
        found, arrays = step_to_description(step_name, step)
        descriptions.append(found)
        tensors |= {f"steps.{i}.{key}": np.ascontiguousarray(a) for key, a in arrays.items()}
    for key, array in tensors.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{key} holds NaN or infinity; a model like that is not saved.")
    wavelengths = getattr(estimator, "wavelengths_", None)
    history = history_of(estimator, classifier)
    names = getattr(classifier, "feature_names_in_", None)
    from .. import __version__

    description = {
        "format_version": FORMAT_VERSION,
        "versions": {
            "sklearn_capoz": __version__,
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "steps": descriptions,
        "name": name,
        "network": {
            "widths": [network.n_features, *(len(bias) for bias in network.biases)],
            "activations": list(network.activations),
            "output": network.output,
            "dtype": network.dtype.name,
        },
        "classes": describe_classes(np.asarray(classifier.classes_)),
        "feature_names": None if names is None else [str(name) for name in names],
        "wavelengths": None if wavelengths is None else [float(nm) for nm in wavelengths],
        "history": None if history is None else describe_history(history),
    }
    return description, tensors


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Return the description as it stands in the file, and all arrays."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise ImportError(_INSTALL) from error
    _check_header(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise DataFormatError(f"no model file, or a damaged one ({error}).") from error
    text = metadata.get(_KEY)
    if text is None:
        raise DataFormatError(
            "a safetensors file, but not one of save_model: its metadata has no "
            f"{_KEY!r}. Save the model again with sklearn_capoz.deploy.save_model."
        )
    if metadata.get("sha256") != _digest(text, tensors):
        raise DataFormatError("damaged: its contents do not match their checksum. Copy it again.")
    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataFormatError(f"the description is no valid JSON ({error}).") from error
    return description, tensors


def _digest(text: str, tensors: dict[str, np.ndarray]) -> str:
    """Checksum of the description and of all numbers: tells damage, not intent."""
    digest = hashlib.sha256(text.encode())
    for key in sorted(tensors):
        digest.update(key.encode())
        digest.update(tensors[key].tobytes())
    return digest.hexdigest()


def _check_header(path: Path) -> None:
    """Refuse a header length that the file cannot hold, before anyone allocates it."""
    with open(path, "rb") as file:
        start = file.read(9)
        size = file.seek(0, 2)
    length = int.from_bytes(start[:8], "little")
    if len(start) < 9 or start[8:] != b"{":
        raise DataFormatError(
            f"no model file ({size} bytes that do not begin like one). Only files of save_model "
            "can be opened; a joblib or pickle file needs joblib.load."
        )
    if length > min(size - 8, _MAX_HEADER):
        raise DataFormatError(
            f"damaged or cut off: the header should have {length} bytes, the file has {size}."
        )


def _build(description: Any, tensors: dict[str, np.ndarray]):
    """Make the model, after each part of its description has been checked."""
    check_description(description)
    network = _build_network(description["network"], tensors)
    steps = []
    for i, found in enumerate(description["steps"]):
        arrays = {key: _take(tensors, f"steps.{i}.{key}") for key in found["arrays"]}
        steps.append((found["name"], step_from_description(found, arrays, f"steps.{i}")))
    if tensors:
        raise DataFormatError(f"the description does not speak of the array {min(tensors)!r}.")
    classes = build_classes(description["classes"], network)
    names, wavelengths = description["feature_names"], description["wavelengths"]
    if names is not None and len(names) != network.n_features:
        raise DataFormatError(
            f"feature_names has {len(names)} entries, the network {network.n_features} inputs."
        )
    n_features = description["steps"][0]["n_features_in"] if steps else network.n_features
    if wavelengths is not None and len(wavelengths) != n_features:
        raise DataFormatError(
            f"wavelengths has {len(wavelengths)} entries, the model {n_features} features."
        )
    history = build_history(description["history"])
    if not steps:
        return CompiledClassifier(
            network, classes, feature_names=names, wavelengths=wavelengths, history=history
        )
    classifier = CompiledClassifier(network, classes, feature_names=names, history=history)
    return _build_pipeline([*steps, (description["name"], classifier)], wavelengths, history)


def _build_pipeline(steps, wavelengths, history) -> Pipeline:
    """Join the steps, after spectra of ones have gone through them."""
    pipeline = Pipeline(steps)
    for (name, step), (next_name, next_step) in pairwise(steps):
        # It may hold no array that bounds its number of features, which is allocated below.
        if isinstance(step, StandardScaler) and step.n_features_in_ != next_step.n_features_in_:
            raise DataFormatError(
                f"the step {name!r} gives {step.n_features_in_} features, {next_name!r} takes "
                f"{next_step.n_features_in_}."
            )
    names = getattr(steps[0][1], "feature_names_in_", None)
    X: Any = np.ones((2, steps[0][1].n_features_in_))
    X = X if names is None else pd.DataFrame(X, columns=names)
    try:
        n_outputs = np.shape(pipeline[:-1].transform(X))[1]
    except BAD_INPUT as error:
        raise DataFormatError(f"the steps do not fit together: {error}") from error
    if n_outputs != steps[-1][1].n_features_in_:
        raise DataFormatError(
            f"the steps give {n_outputs} features, the network takes {steps[-1][1].n_features_in_}."
        )
    if wavelengths is not None:
        pipeline.wavelengths_ = np.asarray(wavelengths, dtype=np.float64)
    if history is not None:
        pipeline.history_ = history
    return pipeline


def _take(tensors: dict[str, np.ndarray], key: str, shape=None, dtype=None) -> np.ndarray:
    """Take an array out of `tensors`, checked."""
    if key not in tensors:
        raise DataFormatError(f"the array {key!r} is missing.")
    array = tensors.pop(key)
    if array.dtype not in (np.float32, np.float64) or (dtype and array.dtype != dtype):
        raise DataFormatError(
            f"the array {key!r} must be {dtype or 'float32 or float64'}, found {array.dtype}."
        )
    if shape is not None and array.shape != shape:
        raise DataFormatError(f"the array {key!r} must be {shape}, found {array.shape}.")
    if not np.isfinite(array).all():
        raise DataFormatError(f"the array {key!r} holds NaN or infinity.")
    return array


def _build_network(found: dict, tensors: dict[str, np.ndarray]) -> DenseNetwork:
    widths, activations = found["widths"], found["activations"]
    if len(widths) < 2 or len(activations) != len(widths) - 2:
        raise DataFormatError(
            f"network: {len(widths)} widths need {max(len(widths) - 2, 0)} activations, found "
            f"{len(activations)}."
        )
    if found["output"] == "logistic" and widths[-1] != 1:
        raise DataFormatError(f"network.widths: a logistic output is one unit, found {widths[-1]}.")
    weights, biases = [], []
    for i in range(len(widths) - 1):
        shape = (widths[i], widths[i + 1])
        weights.append(_take(tensors, f"network.{i}.weight", shape, found["dtype"]))
        biases.append(_take(tensors, f"network.{i}.bias", shape[1:], found["dtype"]))
    return DenseNetwork(tuple(weights), tuple(biases), tuple(activations), found["output"])
