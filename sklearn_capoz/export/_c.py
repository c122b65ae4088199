"""to_c: the model as a C99 header, for devices without Python."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from sklearn.pipeline import Pipeline

from ..exceptions import UnsupportedNetworkError
from ..formats._atomic import check_target, write_atomically
from ..networks import ACTIVATIONS, DenseNetwork
from ._compiled import CompiledClassifier
from ._pipeline import compile_pipeline
from ._steps import affine_of

__all__ = ["to_c"]


def to_c(estimator, path) -> None:
    """Write a fitted model as a C99 header that needs nothing but itself.

    The header holds the parameters as static constant arrays, the labels as text, and two
    functions, named after the file. For ``mineral.h`` they are ::

        int mineral_predict(const float x[MINERAL_N_FEATURES]);
        void mineral_scores(const float x[MINERAL_N_FEATURES], float scores[MINERAL_N_CLASSES]);

    The first returns the index of the most likely class, whose label is
    ``mineral_classes[index]``; the second the scores before the softmax. Nothing is allocated,
    and a network of ReLU units calls no other function. Linear steps of a pipeline are folded
    into the first layer, see `compile_pipeline`.

    The package refuses samples with NaN or infinity, the header looks at none. NaN in x makes
    the last score NaN, unless it is compiled with ``-ffast-math``, and the index 0. Infinity is
    computed with as IEEE 754 has it, and may give any index: check x on the device.

    Parameters
    ----------
    estimator : fitted classifier or Pipeline
        Any that `compile_pipeline` takes and makes a single network of.
    path : str or path-like
        By custom it ends in ``.h``.

    Raises
    ------
    UnsupportedNetworkError
        If there are steps that are not linear, such as spectral transformers. The message says
        what of the pipeline can be written without them.
    ValueError
        If a weight or bias is NaN or infinite.

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
    compiled = compile_pipeline(estimator)
    if not isinstance(compiled, CompiledClassifier):
        raise UnsupportedNetworkError(_what_can_be_written(estimator, compiled.steps[:-1]))
    network = compiled.network
    if not all(np.isfinite(array).all() for array in (*network.weights, *network.biases)):
        raise ValueError("The weights hold NaN or infinity; a model like that is not written in C.")
    text = _header(network, compiled.classes_, _identifier(Path(path).stem))
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="ascii", newline="\n")


def _what_can_be_written(estimator, remaining: list) -> str:
    """Name the step that stops, and what to do: the part of the pipeline behind it, or a change."""
    name, step = remaining[-1]
    behind = "the steps behind it"
    if isinstance(estimator, Pipeline):  # and not in one inside it
        for i, (_, outer) in enumerate(estimator.steps, start=1):
            behind = f"pipeline[{i}:]" if outer is step else behind
    if affine_of(step) is not None:
        why = "in single precision: its shift is too large beside its scale. Fit on float64."
    else:
        why = "into the network, so it is not written in C."
    return (
        f"The step {name!r} ({type(step).__name__}) cannot be folded {why} Write {behind}, and "
        f"compute {', '.join(other for other, _ in remaining)} on the device."
    )


def _header(network: DenseNetwork, classes: np.ndarray, name: str) -> str:
    number = "float" if network.dtype == np.float32 else "double"
    suffix = "f" if number == "float" else ""
    upper = name.upper()
    widths = [network.n_features, *(len(bias) for bias in network.biases)]
    n_classes = 2 if network.output == "logistic" else widths[-1]
    needs_math = any("{suffix}" in ACTIVATIONS[name].c for name in network.activations)
    parts = [
        f"/* {name}: dense network {'-'.join(map(str, widths))}, written by sklearn_capoz. */",
        f"#ifndef {upper}_H\n#define {upper}_H\n",
        *(["#include <math.h>\n"] if needs_math else []),
        f"#define {upper}_N_FEATURES {widths[0]}\n#define {upper}_N_CLASSES {n_classes}\n",
        f"static const char *const {name}_classes[{n_classes}] = {{\n    "
        + ",\n    ".join(_quoted(str(label)) for label in classes)
        + "\n};\n",
    ]
    layers = list(zip(network.weights, network.biases, strict=True))
    for i, (weight, bias) in enumerate(layers):
        # A row per unit, so that the loop over its inputs runs through memory in order.
        parts.append(_array(f"{name}_weight_{i}", weight.T, number, suffix))
        parts.append(_array(f"{name}_bias_{i}", bias, number, suffix))
    parts += [*_functions(network, widths, name, number, suffix), f"#endif /* {upper}_H */\n"]
    return "\n".join(parts)


def _functions(network: DenseNetwork, widths: list[int], name: str, number: str, suffix: str):
    upper = name.upper()
    is_logistic = network.output == "logistic"
    hidden = [f"    {number} h{i}[{width}];" for i, width in enumerate(widths[1:-1])]
    loops = []
    for i in range(len(widths) - 1):
        source = "x" if i == 0 else f"h{i - 1}"
        last = i == len(widths) - 2
        activation = "identity" if last else network.activations[i]
        value = ACTIVATIONS[activation].c.format(suffix=suffix)
        # The score of the second of two classes; the first one's is zero.
        place = "1" if last and is_logistic else "i"
        loops.append(
            f"    for (i = 0; i < {widths[i + 1]}; i++) {{\n"
            f"        {number} z = {name}_bias_{i}[i];\n"
            f"        for (j = 0; j < {widths[i]}; j++)\n"
            f"            z += {name}_weight_{i}[i * {widths[i]} + j] * {source}[j];\n"
            f"        {'scores' if last else f'h{i}'}[{place}] = {value};\n"
            "    }"
        )
    if is_logistic:
        loops.append("    scores[0] = 0;")
    yield (
        f"/* Scores of all classes; their softmax is the probability.\n"
        f"   NaN in x makes the last one NaN. */\n"
        f"static inline void {name}_scores(const {number} x[{upper}_N_FEATURES],\n"
        f"    {number} scores[{upper}_N_CLASSES])\n{{\n"
        + "\n".join([*hidden, "    int i, j;", *loops])
        + "\n}\n"
    )
    yield (
        f"/* Index into {name}_classes of the most likely class; the first one on ties. */\n"
        f"static inline int {name}_predict(const {number} x[{upper}_N_FEATURES])\n{{\n"
        f"    {number} scores[{upper}_N_CLASSES];\n"
        f"    int i, best = 0;\n"
        f"    {name}_scores(x, scores);\n"
        f"    for (i = 1; i < {upper}_N_CLASSES; i++)\n"
        f"        if (scores[i] > scores[best])\n"
        f"            best = i;\n"
        f"    return best;\n}}\n"
    )


def _array(name: str, values: np.ndarray, number: str, suffix: str) -> str:
    """Constant array; the shortest digits that a compiler reads back to the same bits."""
    flat = [f"{np.format_float_scientific(v, trim='0')}{suffix}" for v in values.ravel()]
    rows = (", ".join(flat[i : i + 6]) for i in range(0, len(flat), 6))
    body = ",\n    ".join(rows)
    return f"static const {number} {name}[{len(flat)}] = {{\n    {body}\n}};\n"


def _identifier(stem: str) -> str:
    """Turn a file name into what C accepts as the begin of a name."""
    name = re.sub(r"\W", "_", stem, flags=re.ASCII).lower().strip("_") or "model"
    return f"model_{name}" if name[0].isdigit() else name


def _quoted(label: str) -> str:
    """C string literal; all but plain ASCII as octal escapes of its UTF-8 bytes."""
    plain = set(range(32, 127)) - set(b'"\\?')
    return (
        '"'
        + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in label.encode())
        + '"'
    )
