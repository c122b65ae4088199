"""device_report: what a model takes of a device."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from ..integers import IntegerNetwork
from ._c import program_of
from ._parts import ModelParts, parts_of
from ._step import LearntKind
from ._steps import known_kind_of

__all__ = ["DeviceReport", "device_report"]

_UNIT = """
#include "model.h"
int model(const {kind} *x) {{ return model_predict(x); }}
"""

#: Reads samples as raw numbers, writes the index of each.
_PROGRAM = """
#include <stdio.h>
#include "model.h"
int main(void) {{
    {kind} x[MODEL_N_FEATURES];
    while (fread(x, sizeof x, 1, stdin) == 1)
        printf("%d\\n", model_predict(x));
    return 0;
}}
"""


@dataclass(frozen=True)
class DeviceReport:
    """What a model takes of a device, as `device_report` found it.

    Parameters
    ----------
    parts : DataFrame
        A row for each step, for the buffers between them and for the classifier: bytes of
        `constants`, bytes of `ram` that are its own, and `multiply_adds` of one sample.
    constants : int
        Bytes of all constant arrays, the labels' text not counted.
    ram : int
        Bytes of all arrays that live at the same time, the input not counted.
    input : int
        Bytes of one sample.
    multiply_adds : int
        Of one sample; comparisons, divisions and what a hull takes are not counted.
    code : int or None
        Bytes of machine code of ``gcc -Os`` on this machine; None without gcc.
    stack : int or None
        Bytes of stack that gcc gives all functions together, which is more than any call of one
        from another takes; None without gcc.
    agreement : float or None
        Part of the samples for which the compiled header gives the label of Python, or no label
        where Python gives none; None without gcc or samples.
    """

    parts: pd.DataFrame
    constants: int
    ram: int
    input: int
    multiply_adds: int
    code: int | None
    stack: int | None
    agreement: float | None

    def __str__(self) -> str:
        lines = [self.parts.to_string(), ""]
        for name, unit in (
            *((name, "bytes") for name in ("constants", "ram", "input", "code", "stack")),
            ("multiply_adds", "of a sample"),
            ("agreement", "of the samples"),
        ):
            value = getattr(self, name)
            text = "not known" if value is None else f"{value:,} {unit}"
            lines.append(f"{name:<14} {text}")
        return "\n".join(lines)


def device_report(estimator, X=None, *, dtype=None):
    """Say what the C of a model takes: constants, RAM, stack, code, and how it agrees.

    The bytes of arrays are counted as the header is written. Where gcc is installed, it compiles
    the header, and runs it on `X`.

    Parameters
    ----------
    estimator : fitted classifier or Pipeline
        Any that `to_c` takes.
    X : array-like of shape (n_samples, n_features), default=None
        Samples whose labels are compared; those of the field, with gaps, are the best.
    dtype : {"float32", "float64", "int8", "int4"} or None, default=None
        As in `to_c`.

    Returns
    -------
    report : DeviceReport
        Its text is a table.

    Raises
    ------
    UnsupportedNetworkError, ValueError
        As `to_c` does.
    RuntimeError
        If gcc refuses the header.

    See Also
    --------
    to_c : Write the header.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from sklearn_capoz.deploy import device_report, quantize
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((8,), tol=1e-2, random_state=0).fit(X, y)
    >>> report = device_report(quantize(mlp, X, input_scale=100))
    >>> report.constants, report.ram, report.input
    (133, 20, 8)
    """
    text, costs = program_of(estimator, dtype, "model")
    parts = parts_of(estimator)
    kind = re.search(r"model_predict\(const (\w+) x", text)[1]  # type: ignore[index]
    table = pd.DataFrame(costs).set_index("part")
    # Steps run one after the other; buffers and scores stay.
    alone = table["ram"].drop(index=[parts.name, "buffers"], errors="ignore")
    shared = int(table["ram"].get("buffers", 0))
    return DeviceReport(
        parts=table,
        constants=int(table["constants"].sum()),
        ram=shared + max(int(table["ram"][parts.name]), int(alone.max()) if len(alone) else 0),
        input=parts.n_features * {"float": 4, "double": 8, "int16_t": 2}[kind],
        multiply_adds=int(table["multiply_adds"].sum()),
        **_compiled(text, kind, estimator, parts, X),
    )


def _compiled(text: str, kind: str, estimator, parts: ModelParts, X) -> dict:
    """Return what gcc says of the header, and how its labels agree."""
    found: dict = dict.fromkeys(("code", "stack", "agreement"))
    if shutil.which("gcc") is None:
        return found
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.h").write_text(text, encoding="ascii")
        (folder / "unit.c").write_text(_UNIT.format(kind=kind), encoding="ascii")
        # What lies in the red zone below the stack would not be counted.
        options = ["-mno-red-zone"] if platform.machine() in ("x86_64", "AMD64") else []
        _run(["gcc", "-std=c99", "-Os", "-fstack-usage", *options, "-c", "unit.c"], folder)
        if shutil.which("size") is not None:
            sections = _run(["size", "-A", "unit.o"], folder).decode()
            found["code"] = sum(map(int, re.findall(r"^\.text\S*\s+(\d+)", sections, re.M)))
        usage = (folder / "unit.su").read_text()
        found["stack"] = sum(map(int, re.findall(r"\t(\d+)\t", usage)))
        if X is not None:
            (folder / "main.c").write_text(_PROGRAM.format(kind=kind), encoding="ascii")
            _run(["gcc", "-std=c99", "-O2", "main.c", "-o", "main", "-lm"], folder)
            data, expected = _samples(estimator, parts, X, kind)
            given = _run([str(folder / "main")], folder, data).split()
            if len(expected):
                found["agreement"] = float((np.array(given, dtype=int) == expected).mean())
    return found


def _run(command: list[str], folder: Path, data: bytes | None = None) -> bytes:
    ran = subprocess.run(command, cwd=folder, input=data, capture_output=True, check=False)
    if ran.returncode:
        error = ran.stderr.decode(errors="replace")
        raise RuntimeError(f"{command[0]} failed on the header: {error[:500]}")
    return ran.stdout


def _samples(estimator, parts: ModelParts, X, kind: str) -> tuple[bytes, np.ndarray]:
    """Return samples as the program reads them, and Python's labels; -1 where it gives none."""
    values = np.asarray(X)
    if values.ndim != 2 or values.shape[1] != parts.n_features or len(values) == 0:
        raise ValueError(
            f"X must have the shape (n_samples, {parts.n_features}) and a sample or more, got "
            f"{values.shape}."
        )
    number = {"float": np.float32, "double": np.float64, "int16_t": np.float64}[kind]
    values = np.ascontiguousarray(values, dtype=number)
    known = _are_known(parts, values, X)
    codes = np.full(len(values), -1)
    if known.any():
        # Infinities that are left are of bands that are not needed; a scaler takes NaN there.
        finite = np.where(np.isinf(values[known]), np.nan, values[known])
        labels = estimator.predict(_like(X, finite))
        codes[known] = np.searchsorted(parts.classes, labels)
    network = parts.network
    if kind == "int16_t" and isinstance(network, IntegerNetwork):
        # An integer cannot say that it is none.
        values = np.where(np.isfinite(values), values, 0)[known]
        values, codes = network.quantize_input(values), codes[known]
    return values.tobytes(), codes


def _are_known(parts: ModelParts, values: np.ndarray, X) -> np.ndarray:
    """Which samples have features that are all finite, so that the classifier takes them."""
    known = np.ones(len(values), dtype=bool)
    features = values
    for i, (_, step) in enumerate(parts.steps):
        if isinstance(known_kind_of(step), LearntKind):  # it takes no infinity, PCA not even NaN
            known &= np.isfinite(features).all(axis=1)
            features = np.where(known[:, None], features, 1)
        with np.errstate(all="ignore"):
            given = _like(X, features) if i == 0 else features
            features = np.asarray(Pipeline([("step", step)]).transform(given))
    return known & np.isfinite(features).all(axis=1)


def _like(X, values: np.ndarray):
    """Return the values with the columns of X, where it has names."""
    return pd.DataFrame(values, columns=X.columns) if hasattr(X, "columns") else values
