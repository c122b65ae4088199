"""The JSON description of a model file: what it may hold, labels and history to and from it."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from ..exceptions import DataFormatError, UnsupportedNetworkError
from ..integers import IntegerNetwork
from ..networks import ACTIVATIONS, DenseNetwork
from ._limits import check_labels, check_values
from ._trust import TRUST_SCHEMA

__all__ = [
    "CONVOLUTIONAL",
    "build_classes",
    "build_history",
    "build_labels",
    "check_description",
    "describe_classes",
    "describe_history",
    "format_version_of",
]

#: Networks in integers came with version 2, convolutional ones with 3, with 4 those that are both,
#: and with 5 weights of any of them that are stored sparsely; all else is still written as version
#: 1, which earlier versions of the package read.
_DENSE, INTEGER, CONVOLUTIONAL, INTEGER_SPECTRAL, _SPARSE = 1, 2, 3, 4, 5

_CLASS_TYPES = r"str|object|bool|u?int(8|16|32|64)|float(32|64)"

#: What must be there: a type, a pattern of text, [each item], {key: value} with no other key, or
#: (either, None). Whole numbers are sizes and thus above zero.
_SCHEMA: dict[str, Any] = {
    "format_version": int,
    "versions": dict,
    "steps": [
        {
            "name": str,
            "class": str,
            "parameters": dict,
            "n_features_in": int,
            "feature_names": ([str], None),
            "output": ("default|pandas|polars", None),
            "arrays": [str],
        }
    ],
    "name": str,
    "network": {
        "widths": [int],
        "activations": ["|".join(ACTIVATIONS)],
        "output": "softmax|logistic",
        "dtype": "float32|float64",
    },
    "classes": {"type": _CLASS_TYPES, "values": list},
    "feature_names": ([str], None),
    "wavelengths": ([float], None),
    "history": (dict, None),
}

_INTEGER_NETWORK: dict[str, Any] = {
    "widths": [int],
    "activations": ["clip|curve"],
    "output": "softmax|logistic",
    "dtype": "float32|float64",
    "bits": int,
    "input_limit": int,
    "logit_scale": float,
}


_INTEGER_SPECTRAL_NETWORK: dict[str, Any] = _INTEGER_NETWORK | {
    "convolutions": [
        {
            "n_channels": int,
            "n_positions": int,
            "kernel_size": int,
            "stride": int,
            "pool": "max|average",
            "pool_size": int,
        }
    ]
}


_CONVOLUTIONAL_NETWORK: dict[str, Any] = {
    "kind": "1d|2d|3d",
    "n_channels": int,
    "patch_size": int,
    "sizes": dict,
    "dtype": "float32|float64",
}


#: What stands for "network" in formats that have another one.
_NETWORKS = {
    INTEGER: _INTEGER_NETWORK,
    CONVOLUTIONAL: _CONVOLUTIONAL_NETWORK,
    INTEGER_SPECTRAL: _INTEGER_SPECTRAL_NETWORK,
}

#: What may be there as well.
_OPTIONAL: dict[str, Any] = {"trust": TRUST_SCHEMA}


def format_version_of(network: dict, tensors: Iterable[str] = ()) -> int:
    """Return the first format that holds a network: of its description and the names of arrays."""
    if any(key.startswith("network.") and key.endswith(".values") for key in tensors):
        return _SPARSE
    if "kind" in network:
        return CONVOLUTIONAL
    if "convolutions" in network:
        return INTEGER_SPECTRAL
    return INTEGER if "bits" in network else _DENSE


def check_description(description: Any) -> None:
    """Compare a description with what one must hold; the first place that differs is named."""
    version = description.get("format_version") if isinstance(description, dict) else None
    if isinstance(version, int) and version > _SPARSE:
        raise DataFormatError(
            f"written in format {version}, this version of sklearn_capoz reads up to "
            f"{_SPARSE}: update it."
        )
    if isinstance(description, dict | list):
        check_values(description)
    there = description if isinstance(description, dict) else {}
    schema = _SCHEMA | {key: part for key, part in _OPTIONAL.items() if key in there}
    network = there.get("network")
    if version == _SPARSE and isinstance(network, dict):
        version = format_version_of(network)
    if isinstance(version, int) and version in _NETWORKS:
        schema["network"] = _NETWORKS[version]
    _compare(description, schema, "description")
    check_labels(description["classes"]["values"])


def _compare(value: Any, schema: Any, where: str) -> None:
    if isinstance(schema, tuple):
        if value is not None:
            _compare(value, schema[0], where)
    elif isinstance(schema, list):
        _expect(isinstance(value, list), where, "a list", value)
        for i, item in enumerate(value):
            if not (schema[0] is str and isinstance(item, str)):  # names are many
                _compare(item, schema[0], f"{where}[{i}]")
    elif isinstance(schema, dict):
        _expect(isinstance(value, dict), where, "a table", value)
        for key in sorted(schema.keys() ^ value.keys()):
            problem = "is missing" if key in schema else "is unknown"
            raise DataFormatError(f"{where}.{key} {problem}.")
        for key, inner in schema.items():
            _compare(value[key], inner, f"{where}.{key}")
    elif isinstance(schema, str):
        fits: Any = isinstance(value, str) and re.fullmatch(schema, value)
        _expect(fits, where, f"one of {schema}", value)
    else:
        kinds = (int, float) if schema is float else schema
        fits = isinstance(value, kinds) and not isinstance(value, bool)
        if schema is int:
            fits = fits and value > 0
        if schema is float:
            fits = fits and abs(value) <= sys.float_info.max  # false of NaN, too
        names = {int: "a number above 0", float: "a number", str: "text", dict: "a table"}
        _expect(fits, where, names.get(schema, "a list"), value)


def _expect(fits: Any, where: str, wanted: str, value: Any) -> None:
    if not fits:
        raise DataFormatError(f"{where} must be {wanted}, found {value!r:.80}.")


def describe_classes(classes: np.ndarray) -> dict:
    """Return the type of the labels and the labels."""
    kind = "str" if classes.dtype.kind == "U" else classes.dtype.name
    if not re.fullmatch(_CLASS_TYPES, kind) or (
        kind == "object" and not all(isinstance(label, str) for label in classes)
    ):
        raise UnsupportedNetworkError(
            f"The classes are {classes.dtype} ({classes[0]!r}, ...); a model file holds text, "
            "whole numbers and booleans."
        )
    return {"type": kind, "values": classes.tolist()}


def describe_history(history: pd.DataFrame) -> dict:
    """Return the columns of numbers; NaN becomes null, infinity is written out."""

    def plain(value):
        value = np.asarray(value).item()
        if isinstance(value, float) and not math.isfinite(value):
            return None if math.isnan(value) else str(value)
        return value

    return {str(column): [plain(value) for value in history[column]] for column in history}


def build_classes(found: dict, network: DenseNetwork | IntegerNetwork) -> np.ndarray:
    """Make the labels, one for each class that the network tells apart."""
    is_logistic = network.output == "logistic"
    n_classes = network.n_classes
    n_labels = len(found["values"])
    # Who was fitted to a single class has one label, and an output for the other as well.
    if n_labels != n_classes and not (is_logistic and n_labels == 1):
        raise DataFormatError(
            f"classes has {n_labels} labels, the network tells {n_classes} apart."
        )
    return build_labels(found)


def build_labels(found: dict) -> np.ndarray:
    """Make labels of their type, which are ascending."""
    values = found["values"]
    expected = {"str": str, "object": str, "bool": bool}.get(found["type"], (int, float))
    where = "description.classes.values"
    _expect(values, where, "one label or more", values)
    _expect(all(isinstance(value, expected) for value in values), where, found["type"], values)
    try:
        classes = np.array(values, dtype=found["type"])
        ascending = bool(np.all(classes[:-1] < classes[1:]))
    except (ValueError, OverflowError) as error:
        raise DataFormatError(f"{where} are not {found['type']}: {error}.") from error
    _expect(ascending, where, "ascending", values)
    return classes


def build_history(found: dict | None) -> pd.DataFrame | None:
    """Make the table of the pruning run."""
    if found is None:
        return None
    special = {None: math.nan, "inf": math.inf, "-inf": -math.inf}
    table = {}
    for column, values in found.items():
        where = f"description.history.{column}"
        _expect(isinstance(values, list), where, "a list", values)
        fits = all(isinstance(v, (int, float)) or v in (None, "inf", "-inf") for v in values)
        _expect(fits, where, "numbers", values)
        table[column] = [v if isinstance(v, (int, float)) else special[v] for v in values]
    if len({len(values) for values in table.values()}) > 1:
        raise DataFormatError("description.history has columns of different lengths.")
    return pd.DataFrame(table)
