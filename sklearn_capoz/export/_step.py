"""How a kind of preprocessing step is written down: what files, ONNX graphs and C ask of it."""

from __future__ import annotations

import math
from dataclasses import asdict, is_dataclass
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..exceptions import DataFormatError, UnsupportedNetworkError

__all__ = ["Affine", "CStep", "LearntKind", "StepKind"]

#: Parameters that say how to compute and not what.
_NOT_STORED = {"n_jobs", "copy", "random_state"}


class Affine(NamedTuple):
    """A step that computes ``x @ matrix + shift``."""

    matrix: np.ndarray  # (n_in, n_out), or the diagonal (n_in,)
    shift: np.ndarray  # (n_out,)
    spread: np.ndarray  # (n_out,), of what the shift is added to, in the order of magnitude


class CStep(NamedTuple):
    """A step in C: what stands between the braces of a function from `x` to `y`."""

    body: str
    ram: int = 0  # bytes of its arrays, and of the arrays of what it calls
    multiply_adds: int = 0


class StepKind:
    """One kind of step: a class of transformers, and all that writing them down takes.

    It stands for the class itself and for no subclass, which may compute something else.

    Parameters
    ----------
    transformer : type
        The class.
    """

    #: Whether `add_to_graph` knows it, with parameters that ONNX can express.
    has_onnx = False
    #: Whether each of its outputs is one of its inputs, whatever their unit.
    keeps_values = False
    #: Whether `add_to_c` knows it.
    has_c = False

    def __init__(self, transformer: type):
        self.transformer = transformer

    @property
    def name(self) -> str:
        return self.transformer.__name__

    def parameters(self, step) -> dict[str, Any]:
        """Return the constructor's parameters, as they have to be to make the step again."""
        return step.get_params(deep=False)

    def arrays(self, step) -> dict[str, np.ndarray]:
        """Return what the step has learnt."""
        return {}

    def build(self, description: dict, arrays: dict[str, np.ndarray], where: str):
        """Make the fitted step of a description, which has the keys and types of one."""
        raise NotImplementedError

    def n_outputs(self, step) -> int:
        return step.n_features_in_

    def may_miss(self, step) -> bool:
        """Whether it answers a spectrum without any absorption with NaN."""
        return False

    def narrowed(self, step, kept: np.ndarray) -> Any | None:
        """Return the step for some of its columns, where each output is made of its own column.

        None where one is made of several.
        """
        return None

    def giving(self, step, kept: np.ndarray) -> Any | None:
        """Return the step that takes the same columns and gives only some; None where none does."""
        return None

    def needs(self, step, wanted: np.ndarray | None) -> np.ndarray | None:
        """Say which columns of X decide on the `wanted` ones of the output; None is all."""
        return None

    def affine(self, step) -> Affine | None:
        """Return what the network's first layer can do instead; None if the step is not linear."""
        return None

    def add_to_graph(self, graph, step, value: str) -> str:
        """Add the step's operators to an ONNX graph, and return the name of its output."""
        raise NotImplementedError

    def add_to_c(self, source, step) -> CStep:
        """Add the step's constants and helpers to a C header, and return what it does."""
        raise NotImplementedError

    def describe(self, name: str, step) -> tuple[dict, dict[str, np.ndarray]]:
        """Return what JSON can hold of a fitted step, and its arrays."""
        arrays = self.arrays(step)
        names = getattr(step, "feature_names_in_", None)
        description = {
            "name": name,
            "class": self.name,
            "parameters": {
                key: _plain(value, f"{name}__{key}")
                for key, value in self.parameters(step).items()
                if key not in _NOT_STORED
            },
            "n_features_in": int(step.n_features_in_),
            "feature_names": None if names is None else [str(name) for name in names],
            # Set by `set_output`; the next step's feature names depend on it.
            "output": getattr(step, "_sklearn_output_config", {}).get("transform"),
            "arrays": sorted(arrays),
        }
        return description, arrays


class LearntKind(StepKind):
    """A transformer of scikit-learn: its arrays are put back as they were."""

    has_onnx = has_c = True
    #: Attribute -> its shape, in features n and outputs k.
    shapes: dict[str, str] = {}
    #: Attributes that may be missing, unless the parameter of that name is set.
    optional: dict[str, str | None] = {}
    #: Attributes that the step divides or multiplies by, and so never zero.
    scales: tuple[str, ...] = ()

    def arrays(self, step):
        learnt = {key: getattr(step, key) for key in self.shapes}
        return {key: np.asarray(value) for key, value in learnt.items() if value is not None}

    def build(self, description, arrays, where):
        # scikit-learn takes tuples only.
        parameters = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in description["parameters"].items()
        }
        step = self.transformer(**parameters)
        step._validate_params()
        self._check(step, arrays, description["n_features_in"], where)
        for key in self.shapes:
            setattr(step, key, arrays.get(key))
        step.n_features_in_ = description["n_features_in"]
        if description["feature_names"] is not None:
            step.feature_names_in_ = np.asarray(description["feature_names"], dtype=object)
        return step

    def _check(self, step, arrays: dict[str, np.ndarray], n_features: int, where: str) -> None:
        for key in arrays.keys() - self.shapes.keys():
            raise DataFormatError(f"{where}.arrays: {self.name} has no {key!r}.")
        sizes = {"n": n_features, "k": len(arrays.get("components_", ()))}
        for key, letters in self.shapes.items():
            value = arrays.get(key)
            if value is None:
                needed_for = self.optional.get(key)
                if key in self.optional and not (needed_for and getattr(step, needed_for)):
                    continue
                raise DataFormatError(f"{where}.arrays lacks {key}.")
            expected = tuple(sizes[letter] for letter in letters)
            if value.shape != expected:
                raise DataFormatError(
                    f"{where}.{key} must have the shape {expected}, found {value.shape}."
                )
            if key in self.scales and not (value > 0).all():
                raise DataFormatError(f"{where}.{key} must be above 0, found {value.min()}.")


def _plain(value: Any, path: str) -> Any:
    """Turn a constructor parameter into what JSON holds, or name the one that is more."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real) and math.isfinite(value):
        return float(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {key: _plain(item, f"{path}.{key}") for key, item in asdict(value).items()}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(item, f"{path}[{key!r}]") for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray, pd.Index, pd.Series)):
        return [_plain(item, f"{path}[{i}]") for i, item in enumerate(value)]
    raise UnsupportedNetworkError(
        f"The parameter {path} is {value!r:.60}, which a model file cannot hold; it holds numbers, "
        "text, and lists and dicts of them."
    )
