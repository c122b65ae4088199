"""A model as a description and arrays, and back: what `_container` puts into a file."""

from __future__ import annotations

import platform
import re
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from sklearn.pipeline import Pipeline

from ..exceptions import DataFormatError
from ..integers import IntegerNetwork
from ._compiled import CompiledClassifier
from ._convolutional import (
    build_convolutions,
    convolutional_parts,
    describe_convolutions,
    is_convolutional,
)
from ._description import (
    build_classes,
    build_history,
    build_labels,
    check_description,
    describe_classes,
    describe_history,
    format_version_of,
)
from ._fixed import FixedClassifier
from ._network_parts import build_network, describe_network, take
from ._parts import parts_of, take_apart
from ._quantized import QuantizedClassifier
from ._steps import BAD_INPUT, build_step, describe_step, known_kind_of
from ._trust import build_trust, describe_trust

__all__ = ["build_model", "describe_model"]


def describe_model(estimator) -> tuple[dict, dict[str, np.ndarray]]:
    """Return the description and the arrays of a fitted model."""
    if is_convolutional(estimator):
        parts = convolutional_parts(estimator)
        network, tensors = describe_convolutions(take_apart(estimator)[2])
    else:
        parts = parts_of(estimator)
        network, tensors = describe_network(parts.network)
    steps = []
    for i, (name, step) in enumerate(parts.steps):
        found, arrays = describe_step(name, step)
        steps.append(found)
        tensors |= {f"steps.{i}.{key}": np.ascontiguousarray(a) for key, a in arrays.items()}
    trust = None
    if parts.trust is not None:
        trust, arrays = describe_trust(parts.trust)
        tensors |= {f"trust.{key}": np.ascontiguousarray(a) for key, a in arrays.items()}
    for key, array in tensors.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{key} holds NaN or infinity; a model like that is not saved.")
    wavelengths, history = parts.wavelengths, parts.history
    description = {
        "format_version": format_version_of(network, tensors),
        "versions": {
            "sklearn_capoz": _own_version(),
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "steps": steps,
        "name": parts.name,
        "network": network,
        "classes": describe_classes(parts.classes),
        "feature_names": parts.network_names,
        "wavelengths": None if wavelengths is None else [float(nm) for nm in wavelengths],
        "history": None if history is None else describe_history(history),
        # Left out where there is none: so earlier versions open the file.
        **({} if trust is None else {"trust": trust}),
    }
    return description, tensors


def build_model(description: Any, tensors: dict[str, np.ndarray]):
    """Make the model, after each part of its description has been checked.

    Raises
    ------
    DataFormatError
        At the first place that is no model's.
    """
    try:
        check_description(description)
        with np.errstate(all="ignore"):
            return _build(description, dict(tensors))
    except DataFormatError as error:
        # What an earlier version does not know is no damage.
        raise DataFormatError(f"{error}{_newer(description)}") from error


def _own_version() -> str:
    from .. import __version__

    return __version__


def _newer(description: Any) -> str:
    """Say that a newer version wrote the description, if so."""
    versions = description.get("versions") if isinstance(description, dict) else None
    written = versions.get("sklearn_capoz") if isinstance(versions, dict) else None
    if not isinstance(written, str) or _release(written) <= _release(_own_version()):
        return ""
    return (
        f" The file was written by sklearn_capoz {written:.20}, this is {_own_version()}: update "
        "it."
    )


def _release(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d{1,9}", version)[:3]]


def _build(description: dict, tensors: dict[str, np.ndarray]):
    if "kind" in description["network"]:
        return _build_convolutional(description, tensors)
    network = build_network(description["network"], tensors)
    steps = _build_steps(description["steps"], tensors)
    classes = build_classes(description["classes"], network)
    n_features = description["steps"][0]["n_features_in"] if steps else network.n_features
    trust = _build_trust(description, tensors, len(classes), n_features)
    if tensors:
        raise DataFormatError(f"the description does not speak of the array {min(tensors)!r}.")
    names, wavelengths = description["feature_names"], description["wavelengths"]
    if names is not None and len(names) != network.n_features:
        raise DataFormatError(
            f"feature_names has {len(names)} entries, the network {network.n_features} inputs."
        )
    if wavelengths is not None and len(wavelengths) != n_features:
        raise DataFormatError(
            f"wavelengths has {len(wavelengths)} entries, the model {n_features} features."
        )
    history = build_history(description["history"])
    kind = QuantizedClassifier if isinstance(network, IntegerNetwork) else CompiledClassifier
    classifier = kind(
        network,
        classes,
        feature_names=names,
        wavelengths=None if steps else wavelengths,
        history=history,
    )
    model: Any = classifier
    if steps:
        model = _build_pipeline([*steps, (description["name"], classifier)], wavelengths, history)
    else:
        _check_answer(classifier, np.ones((2, network.n_features)), names)
    if trust is not None:
        model.trust_ = trust
    return model


def _build_trust(description: dict, tensors: dict[str, np.ndarray], n_classes, n_features):
    if "trust" not in description:
        return None
    return build_trust(
        description["trust"],
        lambda key, shape, dtype: take(tensors, f"trust.{key}", shape, dtype),
        n_classes,
        n_features,
    )


def _build_steps(found: list[dict], tensors: dict[str, np.ndarray]) -> list[tuple[str, Any]]:
    steps = []
    for i, step in enumerate(found):
        arrays = {key: take(tensors, f"steps.{i}.{key}") for key in step["arrays"]}
        steps.append((step["name"], build_step(step, arrays, f"steps.{i}")))
    return steps


def _build_convolutional(description: dict, tensors: dict[str, np.ndarray]):
    """Make a convolutional classifier, whose steps are all for its bands."""
    steps = _build_steps(description["steps"], tensors)
    _check_chain(steps)
    classes = build_labels(description["classes"])
    model = build_convolutions(description["network"], steps, classes, partial(take, tensors))
    trust = _build_trust(description, tensors, len(classes), model.n_features_in_)
    if tensors:
        raise DataFormatError(f"the description does not speak of the array {min(tensors)!r}.")
    learnt = {
        "feature_names_in_": description["feature_names"],
        "wavelengths_": description["wavelengths"],
    }
    for name, values in learnt.items():
        if values is None:
            continue
        if len(values) != model.n_features_in_:
            raise DataFormatError(
                f"{name.rstrip('_')} has {len(values)} entries, the model {model.n_features_in_} "
                "features."
            )
        kind = object if name == "feature_names_in_" else np.float64
        setattr(model, name, np.asarray(values, dtype=kind))
    history = build_history(description["history"])
    if history is not None:
        model.history_ = history
    if trust is not None:
        model.trust_ = trust
    return model


def _check_chain(steps) -> None:
    """Compare what each step gives with what the next takes."""
    for (name, step), (next_name, next_step) in pairwise(steps):
        # Compared first: a step may hold no array that bounds its number of features.
        n_outputs = known_kind_of(step).n_outputs(step)
        if n_outputs != next_step.n_features_in_:
            raise DataFormatError(
                f"the step {name!r} gives {n_outputs} features, {next_name!r} takes "
                f"{next_step.n_features_in_}."
            )


def _build_pipeline(steps, wavelengths, history) -> Pipeline:
    """Join the steps, after their shapes have been compared and ones have gone through them."""
    _check_chain(steps)
    first, classifier = steps[0][1], steps[-1][1]
    try:
        pipeline = Pipeline(steps)
        X = _table(np.ones((2, first.n_features_in_)), getattr(first, "feature_names_in_", None))
        X = pipeline[:-1].transform(X)
    except BAD_INPUT as error:
        raise DataFormatError(f"the steps do not fit together: {str(error)[:500]}") from error
    values = np.asarray(X, dtype=np.float64)
    if not (
        np.isnan(values).any() and any(known_kind_of(step).may_miss(step) for _, step in steps[:-1])
    ):
        _check_answer(classifier, values, getattr(classifier, "feature_names_in_", None))
    if wavelengths is not None:
        pipeline.wavelengths_ = np.asarray(wavelengths, dtype=np.float64)
    if history is not None:
        pipeline.history_ = history
    return pipeline


def _table(X: np.ndarray, names) -> Any:
    return X if names is None else pd.DataFrame(X, columns=names)


def _check_answer(classifier: FixedClassifier, X: np.ndarray, names) -> None:
    """Refuse parameters so large or so odd that the answer to a flat spectrum is no number."""
    try:
        probabilities = classifier.predict_proba(_table(X, names))
    except ValueError as error:
        raise DataFormatError(f"the steps give no numbers: {str(error)[:500]}") from error
    if not np.isfinite(probabilities).all():
        raise DataFormatError("its weights are so large that the probabilities are no numbers.")
