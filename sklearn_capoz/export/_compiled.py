"""CompiledClassifier: a fitted network that only predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from ..estimators._convert import as_dense_network
from ..estimators._prediction import NetworkPredictionMixin
from ..networks import DenseNetwork
from ..networks._predictor import Predictor

__all__ = ["CompiledClassifier", "history_of", "network_of", "take_apart"]


class CompiledClassifier(NetworkPredictionMixin, ClassifierMixin, BaseEstimator):
    """A fitted network that only predicts, without what trained it.

    This is what `load_model` and `compile_pipeline` return. Like a
    :class:`sklearn.frozen.FrozenEstimator` it is fitted from the beginning and stays as it is:
    `fit` changes nothing, and :func:`sklearn.base.clone` returns the object itself.

    Parameters
    ----------
    network : DenseNetwork
        Weights, biases and activations.
    classes : array-like of shape (n_classes,)
        Labels in the order of the network's outputs.
    feature_names : array-like of str of shape (n_features,), default=None
        Column names of the DataFrame that it was trained on.
    wavelengths : array-like of float of shape (n_features,), nm, default=None
        Band centres, if the features are bands.
    history : DataFrame, default=None
        The table of the pruning run, a row per iteration.

    Attributes
    ----------
    classes_, n_features_in_, feature_names_in_, wavelengths_, history_
        As given; the last three only where they were.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_capoz.deploy import CompiledClassifier
    >>> from sklearn_capoz.networks import DenseNetwork
    >>> network = DenseNetwork((np.array([[1.0, -1.0]]),), (np.zeros(2),), ())
    >>> CompiledClassifier(network, ["rises", "falls"]).predict([[2.0], [-3.0]])
    array(['rises', 'falls'], dtype='<U5')
    """

    def __init__(self, network, classes, *, feature_names=None, wavelengths=None, history=None):
        self.network = network
        self.classes = classes
        self.feature_names = feature_names
        self.wavelengths = wavelengths
        self.history = history
        # Not learnt attributes in scikit-learn's sense: nothing is learnt here.
        self.network_ = network
        self.classes_ = np.asarray(classes)
        self.n_features_in_ = network.n_features
        self._predictor = Predictor(network)
        if feature_names is not None:
            self.feature_names_in_ = np.asarray(feature_names, dtype=object)
        if wavelengths is not None:
            self.wavelengths_ = np.asarray(wavelengths, dtype=np.float64)
        if history is not None:
            self.history_ = history

    def fit(self, X, y=None):
        """Return the classifier as it is.

        Parameters
        ----------
        X, y : ignored

        Returns
        -------
        self : CompiledClassifier
        """
        return self

    def __sklearn_clone__(self):
        return self

    def __sklearn_is_fitted__(self):
        return True


def take_apart(estimator) -> tuple[list[tuple[str, Any]], str, Any]:
    """Split a fitted pipeline into its transformers, and the classifier's name and itself.

    Nested pipelines are laid out flat, "passthrough" is left out. A lone classifier is a
    pipeline without transformers. Names that several steps have are numbered.
    """
    steps, name, classifier = _lay_out(estimator)
    *names, name = _unique([*(step_name for step_name, _ in steps), name])
    return [(new, step) for new, (_, step) in zip(names, steps, strict=True)], name, classifier


def _lay_out(estimator) -> tuple[list[tuple[str, Any]], str, Any]:
    if isinstance(estimator, FrozenEstimator):
        return _lay_out(estimator.estimator)
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


def history_of(*holders) -> pd.DataFrame | None:
    """Return the table of the pruning run that the first of `holders` has.

    A skorch net's `history_` is none, but a log of its training.
    """
    found = (getattr(holder, "history_", None) for holder in holders)
    return next((history for history in found if isinstance(history, pd.DataFrame)), None)


def network_of(classifier) -> DenseNetwork:
    """Return the network of anything that `as_dense_network` knows, or of a compiled one."""
    if isinstance(classifier, CompiledClassifier):
        return classifier.network
    return as_dense_network(classifier)
