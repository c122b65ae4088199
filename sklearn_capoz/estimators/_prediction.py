"""What both estimators do with new samples."""

from __future__ import annotations

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from .._validation import is_as_validated
from ..networks._predictor import Predictor

__all__ = ["NetworkPredictionMixin"]


class NetworkPredictionMixin:
    """Labels and probabilities from the compiled form of the pruned network."""

    classes_: np.ndarray
    _predictor: Predictor

    def predict(self, X):
        """Predict the label of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        X = self._check_X(X)
        return self._predictor.labels(X, self.classes_)

    def predict_proba(self, X):
        """Predict the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        X = self._check_X(X)
        return self._predictor.probabilities(X)

    def predict_log_proba(self, X):
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):  # a probability may be zero
            return np.log(self.predict_proba(X))

    def _check_X(self, X):
        check_is_fitted(self)
        if is_as_validated(self, X):
            return X
        # The predictor finds NaN and infinity on its way, and raises scikit-learn's error.
        return validate_data(
            self, X, dtype=(np.float64, np.float32), ensure_all_finite=False, reset=False
        )
