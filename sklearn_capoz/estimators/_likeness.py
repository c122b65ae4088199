"""How like a library a spectrum is: a network that has seen the library, and much that is not."""

from __future__ import annotations

import numpy as np
from sklearn.preprocessing import StandardScaler

from ..datasets import SHIFTS
from ..networks import DenseNetwork
from ..networks._predictor import Predictor
from ..spectral import ContinuumRemoval, SpectrumStandardizer
from ._classifier import PrunedMLPClassifier
from ._field_library import FieldLibrary

__all__ = ["Likeness", "learn_likeness"]

#: Spectra of the library that the network sees, at most; and as many of others.
MOST_SPECTRA = 10_000

#: Pixels of a scene for each of these that is of the library, and how like the library a first
#: network has to find them.
PIXEL_SHARE, LEAST_LIKELY = 0.3, 0.05

#: Hidden units of the network.
N_UNITS = 60

#: A hull quotient that nowhere is further than this below 1 has no absorption: what is left of it
#: is rounding, which would be scaled up to a shape.
NO_ABSORPTION = 1e-4


class Likeness:
    """Probability that a spectrum is of a library, where as many others come along.

    Light and slope play no part, and neither does the depth of the absorptions, which grain size
    and dilution change: the network sees the standardised hull quotient.

    Parameters
    ----------
    network : DenseNetwork
        From that to one logistic output.
    wavelengths : ndarray of shape (n_bands,), nm
    """

    def __init__(self, network: DenseNetwork, wavelengths: np.ndarray):
        self.network = network
        self._hull = ContinuumRemoval(wavelengths).fit(np.ones((1, len(wavelengths))))
        self._predictor = Predictor(network)

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Probabilities of spectra of shape (n_samples, n_bands); 0 without any absorption."""
        return self.of_quotients(self._hull.transform(X))

    def of_quotients(self, quotients: np.ndarray) -> np.ndarray:
        """Probabilities of spectra whose hull quotients are known."""
        shapes, is_flat = _shapes(quotients)
        likeness = self._predictor.probabilities(shapes)[:, 1]
        likeness[is_flat] = 0
        return likeness


def _shapes(quotients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return standardised hull quotients, and which spectra have no absorption.

    Where there is no continuum, below zero, they are 0.
    """
    shapes = SpectrumStandardizer().fit_transform(quotients)
    shapes[~np.isfinite(shapes)] = 0
    # What has bands without a continuum is noise, not flat: NaN compares as False.
    return shapes, quotients.min(axis=1) >= 1 - NO_ABSORPTION


def learn_likeness(library: FieldLibrary, n_samples: int, rng) -> Likeness:
    """Train the network that tells spectra of the library's classes from those of anything else.

    Where there is a scene, it shows what made spectra lack: how ground of the library looks in its
    light and air. Nobody says which of its pixels are such ground, so a first network does, and a
    second one learns from those as well.
    """
    least = max(100, len(SHIFTS) * len(np.unique(library.y)))
    n = max(least, min(n_samples, MOST_SPECTRA))
    known = np.vstack([np.asarray(library.make(s, n // len(SHIFTS), rng)[0]) for s in SHIFTS])
    others = library.make_others(tuple(SHIFTS), len(known), rng)
    likeness = _train(known, others, library.nm, rng)
    if library.pixels is None:
        return likeness
    likely = likeness(library.pixels)
    likely[likely < LEAST_LIKELY] = 0
    if not likely.any():
        return likeness
    drawn = rng.choice(len(likely), round(PIXEL_SHARE * len(known)), p=likely / likely.sum())
    return _train(np.vstack([known, library.pixels[drawn]]), others, library.nm, rng)


def _train(known: np.ndarray, others: np.ndarray, nm: np.ndarray, rng) -> Likeness:
    shapes, _ = _shapes(ContinuumRemoval(nm).fit_transform(np.vstack([known, others])))
    scaler = StandardScaler().fit(shapes)
    network = PrunedMLPClassifier(
        (N_UNITS,),
        n_iterations=0,
        alpha=0.1,  # lenient: a sample that was not seen differs from those that were
        batch_size=128,
        learning_rate_init=4e-3,
        max_iter=25,
        random_state=rng.randint(np.iinfo(np.int32).max),
    )
    y = np.arange(len(shapes)) < len(known)
    network.fit(scaler.transform(shapes), y)
    return Likeness(_joined(scaler, network.network_), nm)


def _joined(scaler: StandardScaler, network: DenseNetwork) -> DenseNetwork:
    """Fold a scaler into the first layer, and two outputs into their difference."""
    first = network.weights[0] / scaler.scale_[:, None]
    last, bias = network.weights[1], network.biases[1]
    weights = first, last[:, [1]] - last[:, [0]]
    biases = network.biases[0] - scaler.mean_ @ first, bias[[1]] - bias[[0]]
    return DenseNetwork(
        tuple(np.ascontiguousarray(weight, dtype=np.float32) for weight in weights),
        tuple(bias.astype(np.float32) for bias in biases),  # a pixel has no more digits
        network.activations,
        "logistic",
    )
