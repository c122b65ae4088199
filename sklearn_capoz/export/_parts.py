"""A fitted model taken apart: steps, classifier and network, for all that writes one down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ..estimators import FieldTrainedClassifier, FieldTrust
from ..estimators._convert import as_dense_network
from ._fixed import FixedClassifier
from ._selection import selected_first

__all__ = ["ModelParts", "history_of", "parts_of", "take_apart"]


@dataclass(frozen=True)
class ModelParts:
    """What a fitted model consists of.

    Parameters
    ----------
    steps : list of (str, transformer)
        Fitted, in the order of the data.
    name : str
        The classifier's, as a step.
    network : DenseNetwork, IntegerNetwork or SpectralNetwork
    classes : ndarray of shape (n_classes,)
    n_features : int
        Columns of the first step's X.
    feature_names : list of str or None
        Column names of the model's X.
    network_names : list of str or None
        Column names of what the last step hands to the network.
    wavelengths : ndarray of shape (n_features,), nm, or None
    history : DataFrame or None
        The table of the pruning run.
    trust : FieldTrust or None
        How far to trust the names, if the model was trained for the field.
    """

    steps: list[tuple[str, Any]]
    name: str
    network: Any
    classes: np.ndarray
    n_features: int
    feature_names: list[str] | None
    network_names: list[str] | None
    wavelengths: np.ndarray | None
    history: pd.DataFrame | None
    trust: FieldTrust | None


def parts_of(estimator) -> ModelParts:
    """Take a fitted classifier or Pipeline apart.

    Raises
    ------
    UnsupportedNetworkError
        If the last step holds no network that is known.
    NotFittedError
        If a step has not been fitted.
    """
    steps, name, classifier = take_apart(estimator)
    for _, step in steps:
        check_is_fitted(step)
    is_fixed = isinstance(classifier, FixedClassifier)
    network = classifier.network if is_fixed else as_dense_network(classifier)
    return ModelParts(
        steps=steps,
        name=name,
        network=network,
        classes=np.asarray(classifier.classes_),
        n_features=steps[0][1].n_features_in_ if steps else network.n_features,
        feature_names=_names(estimator),
        network_names=_names(classifier),
        wavelengths=getattr(estimator, "wavelengths_", None),
        history=history_of(estimator, classifier),
        trust=getattr(estimator, "trust_", None),
    )


def take_apart(estimator, *, selects: bool = True) -> tuple[list[tuple[str, Any]], str, Any]:
    """Split a fitted pipeline into its transformers, and the classifier's name and itself.

    Nested pipelines are laid out flat, "passthrough" is left out. A lone classifier is a
    pipeline without transformers. Names that several steps have are numbered. Where the
    classifier's inputs were pruned, a step selects those that it takes, unless `selects` is False.
    """
    steps, name, classifier = _lay_out(estimator)
    if selects:
        known = getattr(estimator, "wavelengths_", None)
        steps, classifier = selected_first(steps, classifier, known)
    *names, name = _unique([*(step_name for step_name, _ in steps), name])
    return [(new, step) for new, (_, step) in zip(names, steps, strict=True)], name, classifier


def _lay_out(estimator) -> tuple[list[tuple[str, Any]], str, Any]:
    if isinstance(estimator, FrozenEstimator):
        return _lay_out(estimator.estimator)
    if isinstance(estimator, FieldTrainedClassifier):
        check_is_fitted(estimator)
        return _lay_out(estimator.estimator_)
    if not isinstance(estimator, Pipeline):
        return [], "classifier", estimator
    steps: list[tuple[str, Any]] = []
    *first, (name, last) = estimator.steps
    for step_name, step in first:
        if isinstance(step, Pipeline):
            steps += _lay_out(Pipeline([*step.steps, (step_name, None)]))[0]
        elif step not in (None, "passthrough"):
            steps.append((step_name, step))
    inner, inner_name, classifier = _lay_out(last)
    return steps + inner, inner_name if inner else name, classifier


def _unique(names: list[str]) -> list[str]:
    """Append numbers to the names that several steps have, as `make_pipeline` does."""
    found: list[str] = []
    for name in names:
        new, i = name, 0
        while names.count(name) > 1 and new in {*names, *found}:
            i += 1
            new = f"{name}-{i}"
        found.append(new)
    return found


def _names(estimator) -> list[str] | None:
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def history_of(*holders) -> pd.DataFrame | None:
    """Return the table of the pruning run that the first of `holders` has.

    A skorch net's `history_` is none, but a log of its training.
    """
    found = (getattr(holder, "history_", None) for holder in holders)
    return next((history for history in found if isinstance(history, pd.DataFrame)), None)
