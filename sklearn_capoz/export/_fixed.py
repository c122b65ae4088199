"""What classifiers that only predict have in common: they hold a network, and stay as they are."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

__all__ = ["FixedClassifier"]


class FixedClassifier(ClassifierMixin, BaseEstimator):
    """A classifier that is fitted from the beginning, and whose parameters are all it holds.

    A subclass says in `_check_network` which networks it takes, and what becomes its own of one.

    Parameters
    ----------
    network : object
        With `n_features` and `n_classes`, and `output` as in a DenseNetwork.
    classes, feature_names, wavelengths, history
        As in CompiledClassifier.
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
        self
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
        self
        """
        changed = super(FixedClassifier, copy(self)).set_params(**params)
        changed._check_parts()
        self.__dict__ |= vars(changed)
        return self

    # What scikit-learn calls learnt is read from the parameters, so that it never differs.

    @property
    def network_(self):
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
            raise AttributeError(f"This {type(self).__name__} was given no {name}.")
        return value

    def _check_network(self) -> Any:
        """Return the network as the classifier keeps it; raise ValueError if it is none."""
        raise NotImplementedError

    def _check_parts(self) -> None:
        """Raise where a network would read beyond an array, or a label would be missing.

        What fits is the classifier's own from then on.
        """
        network = self._check_network()
        n_classes = network.n_classes
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
        self.network = network

    def __repr__(self, N_CHAR_MAX=700):
        # The table of the pruning run and thousands of wavelengths would fill the screen.
        return f"{type(self).__name__}({self.network!r}, {len(self.classes)} classes)"

    def __sklearn_clone__(self):
        return self

    def __sklearn_is_fitted__(self):
        return True
