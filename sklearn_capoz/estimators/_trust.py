"""How far to trust the name of a spectrum: four numbers, and which spectra get no name."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from ..spectral import SpectralMatcher
from ._likeness import Likeness

__all__ = ["TRUST_LAYERS", "FieldTrust", "best_temperature", "calibrate"]

#: What `FieldTrust.measure` gives, column by column.
TRUST_LAYERS = ("probability", "margin", "agreement", "likeness")

#: Least probability in the calibration: a single answer that is sure and wrong counts that much.
LEAST_PROBABILITY = 1e-6


class FieldTrust:
    """How far to trust the names that a model gives spectra of the field.

    A network is sure of whatever it is shown. What it cannot know by itself is learnt beside it:
    how often it is right when it says so, what plain matching would say, and what spectra of
    other materials, and of none, look like.

    `FieldTrainedClassifier` makes one in `fit`, as its `trust_`; a model file keeps it.

    Parameters
    ----------
    records : ndarray of shape (n_records, n_bands), reflectance
        Library of the classes, class after class.
    counts : sequence of int of shape (n_classes,)
        How many of them each class has, in the order of the model's `classes_`.
    wavelengths : ndarray of shape (n_bands,), nm
    network : DenseNetwork
        From the standardised hull quotient to the probability that the spectrum is of one of the
        classes, with a single logistic output.
    temperature : float
        What the logarithms of the model's probabilities are divided by.
    least_likeness : float
        Spectra that are less like the library get no name.

    See Also
    --------
    sklearn_capoz.scenes.predict_scene : Writes these numbers as layers of a map.

    Notes
    -----
    probability
        The model's for the class that it names, after all have been raised to the power of
        1 / `temperature` and scaled to a sum of 1. It says how often the name is right if the
        spectrum is of one of the classes.
    margin
        That, less the same of the second class.
    agreement
        What matching (`SpectralMatcher`, correlation of hull quotients) gives the class that the
        model names, from 0 to 1: above 0.5 it names the same.
    likeness
        The probability, by a network of its own, that the spectrum is of one of the classes at all,
        where as many others come along. With pixels of a scene, it has seen those like the library.
    """

    def __init__(self, records, counts, wavelengths, *, network, temperature, least_likeness):
        self.records, self.counts = records, tuple(int(count) for count in counts)
        self.wavelengths = np.asarray(wavelengths, dtype=float)
        self.temperature, self.least_likeness = float(temperature), float(least_likeness)
        codes = np.repeat(np.arange(len(self.counts)), self.counts)
        self._matcher = SpectralMatcher(wavelengths=self.wavelengths).fit(records, codes)
        self._likeness = Likeness(network, self.wavelengths)

    @property
    def network(self):
        return self._likeness.network

    def __repr__(self) -> str:
        return (
            f"FieldTrust({len(self.records)} records of {len(self.counts)} classes, "
            f"temperature={self.temperature:.3g}, least_likeness={self.least_likeness:.3g})"
        )

    def measure(self, X, probabilities, *, likeness=None) -> np.ndarray:
        """Return the four numbers of each spectrum.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands), reflectance
            Spectra.
        probabilities : array-like of shape (n_samples, n_classes)
            What the model's `predict_proba` says of them.
        likeness : ndarray of shape (n_samples,), default=None
            Their likeness, where it is known already.

        Returns
        -------
        ndarray of shape (n_samples, 4), float32
            In the order of `TRUST_LAYERS`.
        """
        X = _as_spectra(X)
        calibrated = calibrate(probabilities, self.temperature)
        named = calibrated.argmax(axis=1)
        rows = np.arange(len(X))
        best = calibrated[rows, named]
        calibrated[rows, named] = -np.inf
        second = calibrated.max(axis=1) if calibrated.shape[1] > 1 else np.zeros(len(X))
        agreement = self._matcher.predict_proba(X)[rows, named]
        likeness = self.likeness(X) if likeness is None else likeness
        layers = (best, best - second, agreement, likeness)
        return np.column_stack(layers).astype(np.float32)

    def likeness(self, X, *, quotients=None) -> np.ndarray:
        """Return how like the library each spectrum is, from 0 to 1.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands), reflectance
            Spectra.
        quotients : ndarray of shape (n_samples, n_bands), default=None
            Their quotients to the convex hull of all bands, where these are known already: they are
            most of the work.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        if quotients is not None:
            return self._likeness.of_quotients(quotients)
        return self._likeness(_as_spectra(X))

    def accepts(self, X) -> np.ndarray:
        """Return which spectra are enough like the library to be given a name.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands), reflectance
            Spectra.

        Returns
        -------
        ndarray of shape (n_samples,), bool
        """
        return self.likeness(X) >= self.least_likeness


def calibrate(probabilities, temperature: float) -> np.ndarray:
    """Return probabilities to the power of 1 / temperature, scaled to a sum of 1."""
    probabilities = np.asarray(probabilities, dtype=float)
    scores = np.log(np.maximum(probabilities, np.finfo(float).tiny)) / temperature
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def best_temperature(probabilities: np.ndarray, codes: np.ndarray) -> float:
    """Return the temperature that makes the right names most likely."""
    rows = np.arange(len(codes))

    def loss(log_temperature):
        likely = calibrate(probabilities, np.exp(log_temperature))[rows, codes]
        return -np.log(np.maximum(likely, LEAST_PROBABILITY)).mean()

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def _as_spectra(X) -> np.ndarray:
    X = np.asarray(X)
    return X if X.dtype in (np.float32, np.float64) else X.astype(float)
