"""to_onnx: the model as an ONNX graph, checked before it is written."""

from __future__ import annotations

import numpy as np

from ..formats._atomic import check_target, write_atomically
from ..integers import IntegerNetwork
from ._convolutional import add_convolutions, is_convolutional
from ._onnx_graph import Graph
from ._onnx_integer import add_integer_network
from ._parts import ModelParts, parts_of, take_apart
from ._steps import add_step_to_graph

__all__ = ["to_onnx"]

#: Largest difference of a probability that counts as rounding.
_TOLERANCE = {"float32": 1e-4, "float64": 1e-9}
#: The same, where rounding before an integer network moves one of its inputs to the next integer.
_ONE_INTEGER = 0.05


def to_onnx(estimator, path, *, X_check=None) -> None:
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
        Samples to compare on; best are real ones. None takes made ones between 0 and 1.

    Raises
    ------
    UnsupportedNetworkError
        If a step or the network cannot be expressed.
    NotFittedError
        If a step has not been fitted.
    RuntimeError
        If the graph gives other results than the model on `X_check`.
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
    if is_convolutional(estimator):
        dtype = np.dtype(take_apart(estimator)[2].dtype_)
        graph, tolerance = Graph(dtype), _TOLERANCE[dtype.name]
        shape = add_convolutions(graph, estimator, "X")
    else:
        parts = parts_of(estimator)
        dtype, tolerance = parts.network.dtype, _tolerance(parts)
        graph, shape = Graph(dtype), [parts.n_features]
        _add_model(graph, parts)
    content = graph.serialize(*shape)
    if X_check is None:
        X_check = np.random.RandomState(0).uniform(size=(256, *shape))
    _check(content, estimator, X_check, dtype, tolerance)
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


def _check(content: bytes, estimator, X, dtype: np.dtype, tolerance: float) -> None:
    """Compare the graph with the estimator on some samples."""
    import onnxruntime

    X = np.ascontiguousarray(X, dtype=dtype)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    labels, found = session.run(["label", "probabilities"], {"X": X})
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
