"""What a network is given: one array, or several in a dict or tuple, with a row per sample.

The arrays may be torch's; torch is not imported for that, as dense networks do without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

__all__ = [
    "describe_shape",
    "joined",
    "leaves",
    "map_inputs",
    "n_rows",
    "run_module",
    "sample_shape",
    "take",
]


def map_inputs(function: Callable, X: Any) -> Any:
    """Do something to each array, and keep how they come.

    Parameters
    ----------
    function : callable
    X : array, or dict or tuple of arrays
        Lists are arrays: scikit-learn takes them as rows.
    """
    if isinstance(X, Mapping):
        return {name: map_inputs(function, part) for name, part in X.items()}
    if isinstance(X, tuple):
        return tuple(map_inputs(function, part) for part in X)
    return function(X)


def leaves(X: Any) -> Iterator[Any]:
    """Go through the arrays."""
    if isinstance(X, (Mapping, tuple)):
        for part in X.values() if isinstance(X, Mapping) else X:
            yield from leaves(part)
    else:
        yield X


def n_rows(X: Any) -> int:
    """Count the samples."""
    return len(next(leaves(X)))


def take(X: Any, rows: Any) -> Any:
    """Take some samples of all arrays: a mask, indices or a slice."""
    return map_inputs(lambda part: part[rows], X)


def joined(parts: list[Any]) -> Any:
    """Put samples one below the other."""
    first = parts[0]
    if isinstance(first, Mapping):
        return {name: joined([part[name] for part in parts]) for name in first}
    if isinstance(first, tuple):
        return tuple(joined([part[i] for part in parts]) for i in range(len(first)))
    return np.concatenate(parts)


def sample_shape(X: Any) -> Any:
    """Shape of one sample: a tuple of int, or a dict or list of these."""
    if isinstance(X, Mapping):
        return {name: sample_shape(part) for name, part in X.items()}
    if isinstance(X, tuple):
        return [sample_shape(part) for part in X]
    return tuple(X.shape[1:])


def describe_shape(shape: Any) -> str:
    """Write down what `sample_shape` gave."""
    if isinstance(shape, dict):
        return ", ".join(f"{name} {describe_shape(part)}" for name, part in shape.items())
    if isinstance(shape, list):
        return ", ".join(map(describe_shape, shape))
    return str(shape)


def run_module(module: Callable, inputs: Any) -> Any:
    """Call a module as skorch does: a dict's entries by their names."""
    return module(**inputs) if isinstance(inputs, Mapping) else module(inputs)
