"""to_onnx: the model as an ONNX graph, checked before it is written."""

from __future__ import annotations

import numpy as np

from ..formats._atomic import check_target, write_atomically
from ..integers import IntegerNetwork
from ._convolutional import GraphLayers, add_convolutions, is_convolutional
from ._onnx_graph import Graph
from ._onnx_integer import add_integer_network
from ._onnx_patches import EightBitLayers, calibration_patches, ranges_of
from ._parts import ModelParts, parts_of, take_apart
from ._steps import add_step_to_graph

__all__ = ["to_onnx"]

#: Largest difference of a probability that counts as rounding.
_TOLERANCE = {"float32": 1e-4, "float64": 1e-9}
#: Share of samples that 8 bits have to name as floats do.
_LEAST_AGREEMENT = 0.95
#: The same, where rounding before an integer network moves one of its inputs to the next integer.
_ONE_INTEGER = 0.05


def to_onnx(estimator, path, *, X_check=None, X_calibration=None) -> None:
    """Write a fitted model as an ONNX file, for runtimes without Python.

    The graph takes "X" of shape (n_samples, n_features), or (n_samples, n_bands, p, p) where the
    model looks at patches, in the network's dtype and without NaN, and gives "label" and
    "probabilities". It is run by onnxruntime and compared with the model itself before anything is
    written. That of a quantized classifier computes in its integers: behind the rounding of X
    every sum is the same, and so is every label.

    Parameters
    ----------
    estimator : fitted classifier or Pipeline
        Any that `save_model` takes, if its steps are among StandardScaler, MinMaxScaler, PCA,
        BandSelector, SpectrumStandardizer and SpectralAbsorptionIndex without the hull. A convex
        hull has no ONNX operator.
    path : str or path-like
        By custom it ends in ``.onnx``.
    X_check : array-like of X's shape, default=None
        Samples to compare on; best are real ones. None takes those of the calibration, or made
        ones between 0 and 1.
    X_calibration : array-like of shape (n_samples, n_bands, p, p) or ScenePixels, default=None
        Writes a network of patches with weights and activations of 8 bits: weights take a quarter
        of the bytes, and steps before the network stay in floats. Ranges are those of these
        samples, such as the training set. Such a graph is near the network, not equal to it as
        that of a quantized classifier is.

    Raises
    ------
    UnsupportedNetworkError
        If a step or the network cannot be expressed, or with `X_calibration` looks at no patches
        or computes in float64.
    ValueError
        If the calibration samples are fewer than 20, hold NaN or are all the same.
    NotFittedError
        If a step has not been fitted.
    RuntimeError
        If the graph gives other results than the model on `X_check`; with 8 bits, if more than a
        twentieth of the labels differ.
    ImportError
        If onnx or onnxruntime is not installed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from sklearn_capoz.deploy import to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((8,), tol=1e-2, random_state=0).fit(X, y)
    >>> with TemporaryDirectory() as folder:
    ...     to_onnx(mlp, Path(folder) / "iris.onnx", X_check=X)
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "ONNX files need onnx and onnxruntime: pip install 'sklearn-capoz[export]'"
        ) from error
    check_target(path)
    if X_calibration is not None:
        X_calibration = calibration_patches(estimator, X_calibration)
    if is_convolutional(estimator):
        classifier = take_apart(estimator)[2]
        dtype = np.dtype(classifier.dtype_)
        graph, tolerance = Graph(dtype), _TOLERANCE[dtype.name]
        layers = GraphLayers(graph)
        if X_calibration is not None:
            layers = EightBitLayers(graph, ranges_of(classifier, X_calibration))
        shape = add_convolutions(graph, estimator, "X", layers)
    else:
        parts = parts_of(estimator)
        dtype, tolerance = parts.network.dtype, _tolerance(parts)
        graph, shape = Graph(dtype), [parts.n_features]
        _add_model(graph, parts)
    content = graph.serialize(*shape)
    if X_check is None:
        made = np.random.RandomState(0).uniform(size=(256, *shape))
        X_check = made if X_calibration is None else X_calibration
    if X_calibration is None:
        _check(content, estimator, X_check, dtype, tolerance)
    else:
        _check_agreement(content, estimator, X_check)
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)


def _add_model(graph: Graph, parts: ModelParts) -> None:
    value = "X"
    for name, step in parts.steps:
        value = add_step_to_graph(graph, name, step, value)
    if isinstance(parts.network, IntegerNetwork):
        add_integer_network(graph, parts.network, parts.classes, value)
    else:
        graph.add_network(parts.network, parts.classes, value)


def _tolerance(parts: ModelParts) -> float:
    """Return the largest difference of a probability that counts as rounding."""
    if parts.steps and isinstance(parts.network, IntegerNetwork):
        return _ONE_INTEGER
    return _TOLERANCE[parts.network.dtype.name]


def _run(content: bytes, X: np.ndarray) -> list:
    """Return labels and probabilities of a graph."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(["label", "probabilities"], {"X": X})


def _check_agreement(content: bytes, estimator, X) -> None:
    """See that a graph of 8 bits names most samples as the network does."""
    X = np.ascontiguousarray(X, dtype=np.float32)
    agreement = np.mean(np.asarray(_run(content, X)[0]) == np.asarray(estimator.predict(X)))
    if agreement < _LEAST_AGREEMENT:
        raise RuntimeError(
            f"With 8 bits {agreement:.1%} of X_check are named as by the network, and "
            f"{_LEAST_AGREEMENT:.0%} have to be; nothing was written. Calibrate with more samples, "
            "of all classes, or write it in floats."
        )


def _check(content: bytes, estimator, X, dtype: np.dtype, tolerance: float) -> None:
    """Compare the graph with the estimator on some samples."""
    X = np.ascontiguousarray(X, dtype=dtype)
    labels, found = _run(content, X)
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        import pandas as pd

        X = pd.DataFrame(X, columns=names)
    expected = estimator.predict_proba(X)
    difference = np.abs(found - expected)
    best = np.partition(expected, -2, axis=1)[:, -2:]
    is_clear = best[:, 1] - best[:, 0] > 2 * tolerance
    same = np.asarray(labels)[is_clear] == np.asarray(estimator.predict(X))[is_clear]
    if not (difference <= tolerance).all():
        raise RuntimeError(
            f"The ONNX graph differs from predict_proba by up to {difference.max():.3g} on "
            f"X_check ({tolerance:g} is allowed); nothing was written."
        )
    if not np.all(same):
        raise RuntimeError(
            "The ONNX graph gives the right probabilities on X_check, but its labels differ; "
            "nothing was written."
        )
