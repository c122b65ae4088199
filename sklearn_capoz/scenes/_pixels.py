"""From a block of stored numbers to class codes, probabilities and features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from sklearn_capoz.estimators._prediction import NetworkPredictionMixin

from ._bands import BandMatch
from ._scratch import Scratch

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

    def __call__(self, block: np.ndarray, scratch: Scratch) -> list[np.ndarray]:
        """One array (n_rows, n_columns, n_bands) per layer."""
        # Reflectance from integers fits into float32; float64 is kept where a scene brings it.
        dtype = np.dtype(np.float64 if block.dtype.newbyteorder("=") == np.float64 else np.float32)
        X, valid = self.match.spectra(block, self.scale, self.nodata, dtype, scratch)
        inputs, last = self._prepare(X)
        if inputs is not X and not get_tags(last).input_tags.allow_nan:
            # Shade or saturation may leave a spectrum without a continuum, and a feature NaN.
            values = np.asarray(inputs)
            with np.errstate(all="ignore"):
                total = values.sum()  # may overflow, but does not hide what is missing
            if not np.isfinite(total):
                known = np.isfinite(values).all(axis=1)
                X, inputs = X[known], inputs[known]
                valid[valid] = known
        results: dict[str, np.ndarray | None] = {}
        if len(X):
            results["classes"], results["probability"] = self._classify(last, inputs)
            if self.features is not None:
                results["features"] = np.asarray(self.features.transform(X))
        return [_fill(layer, results.get(layer.name), valid) for layer in self.layers]

    def _prepare(self, X: np.ndarray) -> tuple[Any, Any]:
        """Take a Pipeline apart: what its last step gets, and that step."""
        if not len(X) or len(getattr(self.estimator, "steps", [])) < 2:
            return X, self.estimator
        *steps, (_, last) = self.estimator.steps
        inputs = X
        for _, step in steps:
            if type(step) is StandardScaler and _is_free(inputs, X):
                inputs = step.transform(inputs, copy=False)
            elif step not in (None, "passthrough"):
                inputs = step.transform(inputs)
        return inputs, last

    def _classify(self, last, inputs) -> tuple[np.ndarray, np.ndarray | None]:
        wants_probability = any(layer.name == "probability" for layer in self.layers)
        if self.reject_below is None and not wants_probability:
            return _codes(last, inputs), None
        probability = last.predict_proba(inputs)
        codes = probability.argmax(axis=1) + 1
        if self.reject_below is not None:
            # "Not at least" also rejects a probability that is NaN.
            codes[~(probability.max(axis=1) >= self.reject_below)] = len(last.classes_) + 1
        return codes, probability


def _is_free(inputs, X: np.ndarray) -> bool:
    """Whether a step made an array of its own, which the next one may change."""
    return isinstance(inputs, np.ndarray) and not np.may_share_memory(inputs, X)


def _codes(last, inputs) -> np.ndarray:
    """Codes of the most likely classes; to write their names and look them up takes longer."""
    codes = np.arange(1, len(last.classes_) + 1)
    if isinstance(last, NetworkPredictionMixin):
        return last._predictor.labels(last._check_X(inputs), codes)
    return codes[np.searchsorted(last.classes_, last.predict(inputs))]


def _fill(layer: Layer, values: np.ndarray | None, valid: np.ndarray) -> np.ndarray:
    """Put the valid pixels' values in their places; the others get the code or NaN."""
    missing = NO_DATA if layer.name == "classes" else np.nan
    filled = np.full((*valid.shape, len(layer.bands)), missing, dtype=layer.dtype)
    if values is not None:
        filled[valid] = values.reshape(len(values), -1)
    return filled
