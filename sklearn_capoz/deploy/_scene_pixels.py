"""From a block of stored numbers to class codes, probabilities and features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._scene_bands import BandMatch

__all__ = ["Layer", "PixelClassifier", "scene_layers"]

#: Code of pixels that hold no data; class i of `classes_` has code i + 1; rejected ones come last.
NO_DATA = 0


@dataclass(frozen=True)
class Layer:
    """One kind of result, with a name for each of its bands."""

    name: str
    dtype: str
    bands: tuple[str, ...]


def scene_layers(estimator, *, proba: bool, features) -> tuple[Layer, ...]:
    """Describe the layers that are asked for; the class map is the first."""
    n_codes = len(estimator.classes_) + 2
    layers = [Layer("classes", "uint8" if n_codes <= 256 else "uint16", ("class",))]
    if proba:
        layers.append(Layer("probability", "float32", tuple(map(str, estimator.classes_))))
    if features is not None:
        names = tuple(map(str, features.get_feature_names_out()))
        layers.append(Layer("features", "float32", names))
    return tuple(layers)


@dataclass(frozen=True, eq=False)
class PixelClassifier:
    """What is done to every block, the same on a thread and on another machine.

    Parameters
    ----------
    estimator : fitted classifier
    match : BandMatch
    layers : tuple of Layer
    features : fitted transformer or None
        Its output is the layer "features".
    scale : float
        Stored numbers are reflectance times this.
    nodata : float or None
        The stored number that says "not measured".
    reject_below : float or None
        Smallest probability of the most likely class that is believed.
    """

    estimator: Any
    match: BandMatch
    layers: tuple[Layer, ...]
    features: Any
    scale: float
    nodata: float | None
    reject_below: float | None

    def __call__(self, block: np.ndarray) -> list[np.ndarray]:
        """One array (n_rows, n_columns, n_bands) per layer."""
        # Reflectance from integers fits into float32; float64 is kept where a scene brings it.
        dtype = np.dtype(np.float64 if block.dtype.newbyteorder("=") == np.float64 else np.float32)
        X, valid = self.match.spectra(block, self.scale, self.nodata, dtype)
        found = dict.fromkeys((layer.name for layer in self.layers), None)
        if len(X):
            found["classes"], found["probability"] = self._classify(X)
            if self.features is not None:
                found["features"] = np.asarray(self.features.transform(X))
        return [_fill(layer, found[layer.name], valid) for layer in self.layers]

    def _classify(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        classes = self.estimator.classes_
        if self.reject_below is None and not any(
            layer.name == "probability" for layer in self.layers
        ):
            return np.searchsorted(classes, self.estimator.predict(X)) + 1, None
        probability = self.estimator.predict_proba(X)
        codes = probability.argmax(axis=1) + 1
        if self.reject_below is not None:
            # "Not at least" also rejects a probability that is NaN.
            codes[~(probability.max(axis=1) >= self.reject_below)] = len(classes) + 1
        return codes, probability


def _fill(layer: Layer, values: np.ndarray | None, valid: np.ndarray) -> np.ndarray:
    """Put the valid pixels' values in their places; the others get the code or NaN."""
    missing = NO_DATA if layer.name == "classes" else np.nan
    filled = np.full((*valid.shape, len(layer.bands)), missing, dtype=layer.dtype)
    if values is not None:
        filled[valid] = values.reshape(len(values), -1)
    return filled
