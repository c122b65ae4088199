"""to_onnx: the model as an ONNX graph, checked before it is written."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from ..exceptions import UnsupportedNetworkError
from ..formats._atomic import write_atomically
from ..networks import ACTIVATIONS, DenseNetwork
from ..spectral import BandSelector, SpectralAbsorptionIndex, SpectrumStandardizer
from ._compiled import network_of, take_apart

__all__ = ["to_onnx"]

#: ONNX operators of 2022, which every runtime since knows.
_OPSET, _IR_VERSION = 17, 8

#: Largest difference of a probability that counts as rounding.
_TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


def to_onnx(estimator, path, *, X_check=None) -> None:
    """Write a fitted model as an ONNX file, for runtimes without Python.

    The graph takes "X" of shape (n_samples, n_features), in the network's dtype and without NaN,
    and gives "label" and "probabilities". It is run by onnxruntime and compared with the model
    itself before anything is written.

    Parameters
    ----------
    estimator : fitted classifier or Pipeline
        Any that `save_model` takes, if its steps are among StandardScaler, MinMaxScaler, PCA,
        BandSelector, SpectrumStandardizer and SpectralAbsorptionIndex without the hull. A convex
        hull has no ONNX operator.
    path : str or path-like
        By custom it ends in ``.onnx``.
    X_check : array-like of shape (n_samples, n_features), default=None
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
    steps, _, classifier = take_apart(estimator)
    network = network_of(classifier)
    graph = _Graph(network.dtype)
    value = "X"
    for name, step in steps:
        check_is_fitted(step)
        value = _add_step(graph, name, step, value)
    _add_network(graph, network, np.asarray(classifier.classes_), value)
    n_features = steps[0][1].n_features_in_ if steps else network.n_features
    content = graph.model(n_features)
    if X_check is None:
        X_check = np.random.RandomState(0).uniform(size=(256, n_features))
    _check(content, estimator, X_check, network.dtype)
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)


class _Graph:
    """Collects operators and constants; every value has the dtype of the network."""

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype
        self.nodes: list = []
        self.constants: list = []
        self.outputs: list[tuple[str, str]] = []

    def constant(self, array) -> str:
        from onnx import numpy_helper

        array = np.asarray(array)
        if array.dtype.kind == "f":
            array = array.astype(self.dtype)
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes) -> str:
        from onnx import helper

        output = output or f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def model(self, n_features: int) -> bytes:
        """Return the finished file, checked by onnx."""
        import onnx
        from onnx import helper

        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        X = helper.make_tensor_value_info("X", kind, ["n_samples", n_features])
        outputs = [helper.make_empty_tensor_value_info(n) for n in ("label", "probabilities")]
        graph = helper.make_graph(self.nodes, "sklearn_capoz", [X], outputs, self.constants)
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(
            graph, opset_imports=opset, ir_version=_IR_VERSION, producer_name="sklearn_capoz"
        )
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        onnx.checker.check_model(model)
        return model.SerializeToString()


def _add_network(graph: _Graph, network: DenseNetwork, classes: np.ndarray, value: str) -> None:
    parameters = zip(network.weights, network.biases, strict=True)
    for i, (weight, bias) in enumerate(parameters):
        value = graph.add("Gemm", value, graph.constant(weight), graph.constant(bias))
        if i < len(network.activations):
            value = graph.add(ACTIVATIONS[network.activations[i]].onnx, value)
    if network.output == "softmax":
        code = graph.add("ArgMax", value, axis=1, keepdims=0)
        graph.add("Softmax", value, axis=1, output="probabilities")
    else:
        is_second = graph.add("Greater", value, graph.constant(np.zeros(1)))
        code = graph.add("Cast", is_second, to=7)  # int64
        code = graph.add("Squeeze", code, graph.constant(np.array([1])))
        second = graph.add("Sigmoid", value)
        first = graph.add("Sub", graph.constant(np.ones(1)), second)
        graph.add("Concat", first, second, axis=1, output="probabilities")
    labels = classes.astype(object) if classes.dtype.kind == "U" else classes
    graph.add("Gather", graph.constant(labels), code, output="label")


def _add_step(graph: _Graph, name: str, step, value: str) -> str:
    """Add a preprocessing step; only the classes themselves, a subclass may do more."""
    known: dict[type, Callable] = {
        StandardScaler: _add_standard_scaler,
        MinMaxScaler: _add_min_max_scaler,
        PCA: _add_pca,
        BandSelector: _add_band_selector,
        SpectrumStandardizer: _add_spectrum_standardizer,
        SpectralAbsorptionIndex: _add_absorption_index,
    }
    if type(step) not in known:
        raise UnsupportedNetworkError(
            f"The step {name!r} is a {type(step).__name__}, which ONNX cannot express here; it "
            f"can {', '.join(kind.__name__ for kind in known)}. Apply the step before the graph."
        )
    return known[type(step)](graph, step, value)


def _add_standard_scaler(graph: _Graph, scaler: StandardScaler, value: str) -> str:
    if scaler.with_mean:
        value = graph.add("Sub", value, graph.constant(scaler.mean_))
    if scaler.with_std:
        value = graph.add("Div", value, graph.constant(scaler.scale_))
    return value


def _add_min_max_scaler(graph: _Graph, scaler: MinMaxScaler, value: str) -> str:
    value = graph.add("Mul", value, graph.constant(scaler.scale_))
    value = graph.add("Add", value, graph.constant(scaler.min_))
    if scaler.clip:
        low, high = (graph.constant(np.float64(limit)) for limit in scaler.feature_range)
        value = graph.add("Clip", value, low, high)
    return value


def _add_pca(graph: _Graph, pca: PCA, value: str) -> str:
    value = graph.add("MatMul", value, graph.constant(pca.components_.T))
    value = graph.add("Sub", value, graph.constant(pca.mean_ @ pca.components_.T))
    if pca.whiten:
        scale = np.sqrt(pca.explained_variance_)
        scale = np.maximum(scale, np.finfo(scale.dtype).eps)
        value = graph.add("Div", value, graph.constant(scale))
    return value


def _add_band_selector(graph: _Graph, selector: BandSelector, value: str) -> str:
    return graph.add("Gather", value, graph.constant(np.flatnonzero(selector._keep)), axis=1)


def _add_spectrum_standardizer(graph: _Graph, step: SpectrumStandardizer, value: str) -> str:
    """(R - mean) / std of each row; a flat row is all zero."""
    zero = graph.constant(np.zeros(1))
    mean = graph.add("ReduceMean", value, axes=[1])
    centred = graph.add("Sub", value, mean)
    variance = graph.add("ReduceMean", graph.add("Mul", centred, centred), axes=[1])
    highest, lowest = (graph.add(f"Reduce{end}", value, axes=[1]) for end in ("Max", "Min"))
    varies = graph.add(
        "And", graph.add("Less", lowest, highest), graph.add("Greater", variance, zero)
    )
    deviation = graph.add("Sqrt", variance)
    return graph.add("Where", varies, graph.add("Div", centred, deviation), zero)


def _add_absorption_index(graph: _Graph, step: SpectralAbsorptionIndex, value: str) -> str:
    """Continuum and centre are means over bands, so linear; the index is their quotient."""
    shoulders = step._shoulders
    if shoulders is None:
        raise UnsupportedNetworkError(
            "SpectralAbsorptionIndex(shoulders='hull') lays a convex hull, which ONNX cannot "
            "express. Use local shoulders, or apply the step before the graph."
        )
    bands = _band_matrix(step._axis, step.n_features_in_)
    left, right = (
        _means(bands, places, shoulders.shoulder_half)
        for places in (shoulders.left, shoulders.right)
    )
    centre = _means(bands, shoulders.centre, shoulders.centre_half)
    outside = np.isnan(shoulders.weight)  # nothing can be measured, the index is 1
    share = np.where(outside, 0.0, shoulders.weight)
    continuum = np.where(outside, centre, share * left + (1 - share) * right)
    zero, one = graph.constant(np.zeros(1)), graph.constant(np.ones(1))
    numerator = graph.add("MatMul", value, graph.constant(continuum))
    denominator = graph.add("MatMul", value, graph.constant(centre))
    positive = graph.add(
        "And", graph.add("Greater", numerator, zero), graph.add("Greater", denominator, zero)
    )
    quotient = graph.add("Div", numerator, denominator)
    index = graph.add("Where", positive, quotient, graph.constant(np.full(1, np.nan)))
    index = graph.add("Where", graph.add("Equal", numerator, denominator), one, index)
    if step.attenuation is not None:
        weights = np.exp(-step.half_widths_ / step.attenuation)
        n_bands = len(step.bands_)
        joined = np.kron((weights / weights.sum())[:, None], np.eye(n_bands))
        index = graph.add("MatMul", index, graph.constant(joined))
    return graph.add("Log", index) if step.log else index


def _band_matrix(axis, n_columns: int) -> np.ndarray:
    """Matrix from the columns of X to ascending wavelengths; bands at one wavelength are averaged.

    The reflectance scale is left out: it cancels in the quotient.
    """
    matrix = np.zeros((n_columns, len(axis.wavelengths)))
    for band, columns in enumerate(np.split(axis.columns, axis.groups[1:])):
        matrix[columns, band] = 1 / len(columns)
    return matrix


def _means(bands: np.ndarray, places: np.ndarray, half: int) -> np.ndarray:
    """Columns that take the mean of the bands up to `half` beside each place."""
    spans = (bands[:, max(0, place - half) : place + half + 1] for place in places)
    return np.column_stack([span.mean(axis=1) for span in spans])


def _check(content: bytes, estimator, X, dtype: np.dtype) -> None:
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
    tolerance = _TOLERANCE[dtype.name]
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
