"""CompiledClassifier: a fitted network that only predicts."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from itertools import pairwise

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from ..estimators._prediction import NetworkPredictionMixin
from ..networks import ACTIVATIONS, DenseNetwork
from ..networks._predictor import Predictor

__all__ = ["CompiledClassifier"]


class CompiledClassifier(NetworkPredictionMixin, ClassifierMixin, BaseEstimator):
    """A fitted network that only predicts, without what trained it.

    This is what `load_model` and `compile_pipeline` return. Like a
    :class:`sklearn.frozen.FrozenEstimator` it is fitted from the beginning and stays as it is:
    `fit` changes nothing, and :func:`sklearn.base.clone` returns the object itself. Its parameters
    are all it holds, so what `set_params` changes is what it predicts with.

    Parameters
    ----------
    network : DenseNetwork
        Weights, biases and activations, all float32 or all float64. Arrays that can be written to
        are copied to some that cannot: what compiled code has packed would not follow them.
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

    Raises
    ------
    ValueError
        If the layers do not fit together, or the labels, names or wavelengths do not fit them.

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
        self._check_parts()

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

    def set_params(self, **params):
        """Change parameters; what does not fit together is refused, and changes nothing.

        Parameters
        ----------
        **params : dict
            Parameters of the constructor.

        Returns
        -------
        self : CompiledClassifier
        """
        changed = super(CompiledClassifier, copy(self)).set_params(**params)
        changed._check_parts()
        self.__dict__ |= vars(changed)
        return self

    # What scikit-learn calls learnt is read from the parameters, so that it never differs.

    @property
    def network_(self) -> DenseNetwork:
        return self.network

    @property
    def classes_(self) -> np.ndarray:  # type: ignore[override]
        return np.asarray(self.classes)

    @property
    def n_features_in_(self) -> int:
        return self.network.n_features

    @property
    def feature_names_in_(self) -> np.ndarray:
        return np.asarray(self._given("feature_names"), dtype=object)

    @property
    def wavelengths_(self) -> np.ndarray:
        return np.asarray(self._given("wavelengths"), dtype=np.float64)

    @property
    def history_(self):
        return self._given("history")

    def _given(self, name: str):
        value = getattr(self, name)
        if value is None:
            raise AttributeError(f"This CompiledClassifier was given no {name}.")
        return value

    @property
    def _predictor(self) -> Predictor:  # type: ignore[override]
        """Made when it is first asked for, and again for another network."""
        made = vars(self).get("_made")
        if made is None or made.network is not self.network:
            self._check_parts()
            self._made = made = Predictor(self.network)
        return made

    def _check_parts(self) -> None:
        """Raise where compiled code would read beyond an array, or a label would be missing.

        What fits is the classifier's own from then on.
        """
        network = self.network
        if not isinstance(network, DenseNetwork):
            raise ValueError(
                f"network must be a DenseNetwork, got {type(network).__name__}; compile_pipeline "
                "makes a CompiledClassifier of a fitted classifier."
            )
        _check_layers(network)
        n_classes = 2 if network.output == "logistic" else network.weights[-1].shape[1]
        if n_classes == 2 and np.shape(self.classes) == (1,) and network.output == "logistic":
            n_classes = 1  # fitted to a single class, which has an output for another nonetheless
        expected = {
            "classes": n_classes,
            "feature_names": network.n_features,
            "wavelengths": network.n_features,
        }
        for name, n in expected.items():
            value = getattr(self, name)
            if value is not None and np.shape(value) != (n,):
                raise ValueError(
                    f"{name} must have the shape ({n},) beside a network from "
                    f"{network.n_features} features to {n_classes} classes, found "
                    f"{np.shape(value)}."
                )
        self.network = _unchangeable(network)

    def __repr__(self, N_CHAR_MAX=700):
        # The table of the pruning run and thousands of wavelengths would fill the screen.
        return f"CompiledClassifier({self.network!r}, {len(self.classes)} classes)"

    def __sklearn_clone__(self):
        return self

    def __sklearn_is_fitted__(self):
        return True


def _unchangeable(network: DenseNetwork) -> DenseNetwork:
    """Return the network itself if nobody can write to its arrays through it, or a copy."""
    parts = network.weights, network.biases
    if not any(array.flags.writeable for arrays in parts for array in arrays):
        return network

    def own(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array.flags.writeable = False
        return array

    weights, biases = (tuple(map(own, arrays)) for arrays in parts)
    return replace(network, weights=weights, biases=biases)


def _check_layers(network: DenseNetwork) -> None:
    shapes = [np.shape(weight) for weight in network.weights]
    fit = (
        0 < len(shapes) == len(network.biases) == len(network.activations) + 1
        and all(len(shape) == 2 for shape in shapes)
        and all(a[1] == b[0] for a, b in pairwise(shapes))
        and all(np.shape(b) == s[1:] for s, b in zip(shapes, network.biases, strict=True))
        and network.output in ("softmax", "logistic")
        and (network.output == "softmax" or shapes[-1][1] == 1)
        and ACTIVATIONS.keys() >= set(network.activations)
    )
    if not fit:
        raise ValueError(
            "The layers of the network do not fit together: weights "
            f"{shapes}, biases {[np.shape(bias) for bias in network.biases]}, activations "
            f"{network.activations}, output {network.output!r}."
        )
    dtypes = {array.dtype.name for array in (*network.weights, *network.biases)}
    if dtypes not in ({"float32"}, {"float64"}):
        raise ValueError(
            f"All weights and biases must be float32 or all float64, found {sorted(dtypes)}."
        )
