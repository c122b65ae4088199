"""The kinds of preprocessing steps that can be written down, and the way from a step to its kind.

Only these classes can be stored, and only these are ever made when a file is read. A new kind is
one more class beside those of `_step_sklearn` or `_step_spectral`, and one more row here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..exceptions import DataFormatError, UnsupportedNetworkError
from ._step import Affine, CStep, StepKind
from ._step_sklearn import MinMaxScalerKind, PCAKind, StandardScalerKind
from ._step_spectral import (
    AbsorptionFeaturesKind,
    BandSelectorKind,
    ContinuumRemovalKind,
    SensorResamplerKind,
    SpectralAbsorptionIndexKind,
    SpectrumStandardizerKind,
)

__all__ = [
    "BAD_INPUT",
    "KINDS",
    "add_step_to_c",
    "add_step_to_graph",
    "affine_of",
    "build_step",
    "describe_step",
    "kind_of",
    "known_kind_of",
]

#: Name of the class -> its kind.
KINDS: dict[str, StepKind] = {
    kind.name: kind
    for kind in (
        StandardScalerKind(),
        MinMaxScalerKind(),
        PCAKind(),
        BandSelectorKind(),
        SensorResamplerKind(),
        ContinuumRemovalKind(),
        SpectralAbsorptionIndexKind(),
        AbsorptionFeaturesKind(),
        SpectrumStandardizerKind(),
    )
}

#: What wrong parameters make a constructor, `fit` or `transform` raise.
BAD_INPUT = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, MemoryError)


def kind_of(step: Any) -> StepKind | None:
    """Return the kind of a step; None for a subclass of one that is known, as for a stranger."""
    kind = KINDS.get(type(step).__name__)
    return kind if kind is not None and kind.transformer is type(step) else None


def known_kind_of(step: Any) -> StepKind:
    """Return the kind of a step that `build_step` made."""
    return KINDS[type(step).__name__]


def describe_step(name: str, step: Any) -> tuple[dict, dict[str, np.ndarray]]:
    """Return what JSON can hold of a fitted transformer, and its arrays."""
    kind = kind_of(step)
    if kind is None:
        raise UnsupportedNetworkError(
            f"The step {name!r} is a {type(step).__name__}, which cannot be stored; the file knows "
            f"{', '.join(sorted(KINDS))}. Apply other steps before the model, or use joblib."
        )
    return kind.describe(name, step)


def build_step(description: dict, arrays: dict[str, np.ndarray], where: str) -> Any:
    """Make the transformer that `describe_step` was given.

    `description` has been checked for its keys and types, `arrays` for finite numbers only.
    """
    kind = KINDS.get(description["class"])
    if kind is None:
        raise DataFormatError(
            f"{where}.class is {description['class']!r}; known are {', '.join(sorted(KINDS))}."
        )
    names, n_features = description["feature_names"], description["n_features_in"]
    if names is not None and len(names) != n_features:
        raise DataFormatError(f"{where} has {len(names)} feature_names for {n_features} features.")
    try:
        step = kind.build(description, arrays, where)
        if description["output"] is not None:
            step.set_output(transform=description["output"])
    except DataFormatError:
        raise
    except BAD_INPUT as error:
        # The message may repeat a list of thousands of entries.
        raise DataFormatError(f"{where} is no {kind.name}: {str(error)[:500]}") from error
    return step


def affine_of(step: Any) -> Affine | None:
    """Return what a step adds to the network's first layer; None where it is not linear."""
    kind = kind_of(step)
    return None if kind is None else kind.affine(step)


def add_step_to_graph(graph, name: str, step: Any, value: str) -> str:
    """Add a step's operators to an ONNX graph."""
    kind = kind_of(step)
    if kind is None or not kind.has_onnx:
        known = ", ".join(name for name, kind in KINDS.items() if kind.has_onnx)
        raise UnsupportedNetworkError(
            f"The step {name!r} is a {type(step).__name__}, which ONNX cannot express here; it "
            f"can {known}. Apply the step before the graph."
        )
    return kind.add_to_graph(graph, step, value)


def add_step_to_c(source, name: str, step: Any) -> CStep:
    """Add what a step needs to a C header, and return what it does."""
    kind = kind_of(step)
    if kind is None or not kind.has_c:
        known = ", ".join(name for name, kind in KINDS.items() if kind.has_c)
        raise UnsupportedNetworkError(
            f"The step {name!r} is a {type(step).__name__}, which has no form in C; {known} have. "
            "Put one of them in its place, or compute the step on the device and write the steps "
            "behind it."
        )
    return kind.add_to_c(source, step)
