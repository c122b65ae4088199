"""to_c: the model as a C99 header, for devices without Python."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from .._sklearn import InvalidParameterError
from ..formats._atomic import check_target, write_atomically
from ..integers import IntegerNetwork
from ._c_program import Cost, write_program
from ._c_source import identifier
from ._parts import ModelParts, parts_of
from ._pipeline import fold_linear_steps

__all__ = ["program_of", "to_c"]


def to_c(estimator, path, *, dtype=None) -> None:
    """Write a fitted model as a C99 header that needs nothing but itself.

    The header holds the parameters as static constant arrays, the labels as text, and two
    functions, named after the file. For ``mineral.h`` they are ::

        int mineral_predict(const float x[MINERAL_N_FEATURES]);
        void mineral_scores(const float x[MINERAL_N_FEATURES], float scores[MINERAL_N_CLASSES]);

    The first returns the index of the most likely class, whose label is
    ``mineral_classes[index]``; the second the scores before the softmax. Nothing is allocated.
    Linear steps right before the network are folded into its first layer, see `compile_pipeline`;
    the others are functions of their own, so that x is reflectance.

    The index is -1, and every score NaN, where the network meets NaN or infinity: the package
    refuses such samples, and a scene has no data there. Steps that leave NaN out, such as
    AbsorptionFeatures, do so here as well. It is -1, too, where a number is so large that a sum is
    infinite, for which Python has some label. Compiled with ``-ffast-math`` none of this holds.

    A quantized classifier becomes integer-only C99: x is ``const int16_t``, the features times
    `input_scale`, and the scores are int32_t. Where `quantize` was given no `input_scale`,
    ``mineral_quantize`` brings features to x, if ``MINERAL_FLOAT`` is defined. A BandSelector takes
    integers too; behind other steps, x is reflectance and only the network computes in integers.

    Parameters
    ----------
    estimator : fitted classifier or Pipeline
        Any that `save_model` takes; a PrunedCNNClassifier only as `quantize` makes it.
    path : str or path-like
        By custom it ends in ``.h``.
    dtype : {"float32", "float64", "int8", "int4"} or None, default=None
        Type of the numbers. None is that of the network: of the X that it was fitted on, or the
        integers that it was quantized to. Only a quantized classifier can be written in integers.

    Raises
    ------
    InvalidParameterError
        If there is no such dtype.
    UnsupportedNetworkError
        If a step has no form in C. The message says which ones have.
    ValueError
        If a weight or bias is NaN or infinite, or `dtype` is not what the classifier holds.

    See Also
    --------
    quantize : A classifier in integers.
    device_report : What the header takes of a device.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from sklearn_capoz.deploy import to_c
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((8,), tol=1e-2, random_state=0).fit(X, y)
    >>> with TemporaryDirectory() as folder:
    ...     to_c(mlp, Path(folder) / "iris.h")
    ...     text = (Path(folder) / "iris.h").read_text()
    >>> "iris_predict(const double x[IRIS_N_FEATURES])" in text
    True
    """
    check_target(path)
    text, _ = program_of(estimator, dtype, identifier(Path(path).stem))
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="ascii", newline="\n")


def program_of(estimator, dtype: str | None, name: str) -> tuple[str, list[Cost]]:
    """Return the header of a model, and what each part of it takes."""
    parts = parts_of(estimator)
    number = _check_dtype(parts, dtype)
    if not isinstance(parts.network, IntegerNetwork):
        steps, network = fold_linear_steps(parts.steps, parts.network)
        if not all(np.isfinite(array).all() for array in (*network.weights, *network.biases)):
            raise ValueError(
                "The weights hold NaN or infinity; a model like that is not written in C."
            )
        parts = replace(parts, steps=steps, network=network)
    return write_program(parts, name, number)


def _check_dtype(parts: ModelParts, dtype: str | None) -> np.dtype:
    """Return the type of the program's floats."""
    if dtype not in (None, "float32", "float64", "int8", "int4"):
        raise InvalidParameterError(
            f"dtype must be 'float32', 'float64', 'int8', 'int4' or None, got {dtype!r}."
        )
    network = parts.network
    if isinstance(network, IntegerNetwork):
        own = f"int{network.bits}"
        if dtype not in (None, own):
            raise ValueError(
                f"dtype={dtype!r}, but the classifier is quantized to {own}. Write the float one, "
                "or quantize it with other bits."
            )
        return network.dtype
    if dtype in ("int8", "int4"):
        raise ValueError(
            f"dtype={dtype!r} needs a quantized classifier, and this one computes in "
            f"{network.dtype}. Pass quantize(estimator, X_calibration, bits={dtype[3:]})."
        )
    return network.dtype if dtype is None else np.dtype(dtype)
