"""From a block of stored numbers to class codes, probabilities and features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from sklearn_capoz.estimators import TRUST_LAYERS
from sklearn_capoz.estimators._prediction import NetworkPredictionMixin

from ._bands import BandMatch, calibrated
from ._model import SceneModel
from ._scratch import Scratch
from ._source import Source

__all__ = ["NO_DATA", "MapLayer", "PixelClassifier", "map_layers"]

#: Code of pixels that hold no data; class i of `classes_` has code i + 1; rejected ones come last.
NO_DATA = 0


@dataclass(frozen=True)
class MapLayer:
    """One kind of result, with a name for each of its bands."""

    name: str
    dtype: str
    bands: tuple[str, ...]


def map_layers(classes, *, proba: bool, features, trust: bool = False) -> tuple[MapLayer, ...]:
    """Describe the layers that are asked for; the class map is the first."""
    n_codes = len(classes) + 2
    layers = [MapLayer("classes", "uint8" if n_codes <= 256 else "uint16", ("class",))]
    if proba:
        layers.append(MapLayer("probability", "float32", tuple(map(str, classes))))
    if features is not None:
        names = tuple(map(str, features.get_feature_names_out()))
        layers.append(MapLayer("features", "float32", names))
    if trust:
        layers.append(MapLayer("trust", "float32", TRUST_LAYERS))
    return tuple(layers)


@dataclass(frozen=True, eq=False)
class PixelClassifier:
    """What is done to every block, the same on a thread and on another machine.

    Parameters
    ----------
    model : SceneModel
    match : BandMatch
    layers : tuple of MapLayer
    features : fitted transformer or None
        Its output is the layer "features".
    scale : float
        Stored numbers are reflectance times this.
    gain, offset : ndarray of shape (n_bands,), or None
        Of the bands that are read: reflectance is stored number * gain + offset.
    nodata : float or None
        The stored number that says "not measured".
    reject_below : float or None
        Smallest probability of the most likely class that is believed.
    rejects_unlike : bool
        Whether pixels are rejected that the model's trust does not accept.
    """

    model: SceneModel
    match: BandMatch
    layers: tuple[MapLayer, ...]
    features: Any
    scale: float
    gain: np.ndarray | None
    offset: np.ndarray | None
    nodata: float | None
    reject_below: float | None
    rejects_unlike: bool = False

    @classmethod
    def of(
        cls, model, match, layers, features, source: Source, reject_below, *, rejects_unlike=False
    ) -> PixelClassifier:
        """Take from a scene what turns its stored numbers into reflectance."""
        bands = match.bands
        return cls(
            model=model,
            match=match,
            layers=layers,
            features=features,
            scale=1.0 if source.scale is None else source.scale,
            gain=None if source.gain is None else source.gain[bands],
            offset=None if source.offset is None else source.offset[bands],
            nodata=source.nodata,
            reject_below=reject_below,
            rejects_unlike=rejects_unlike,
        )

    #: Rows beyond a block that its answers depend on.
    halo: ClassVar[int] = 0

    def __call__(
        self, block: np.ndarray, scratch: Scratch, above: int = 0, below: int = 0
    ) -> list[np.ndarray]:
        """One array (n_rows, n_columns, n_bands) per layer.

        The first `above` and the last `below` rows of a block are its neighbours', and get none.
        """
        return self._answers(*self._inputs(block, scratch))

    def _inputs(
        self, block: np.ndarray, scratch: Scratch
    ) -> tuple[np.ndarray, Any, np.ndarray | None, np.ndarray]:
        """Spectra, what the classifier takes of them, and the mask of the pixels that have both.

        Before the mask come the hull quotients, where trust looks at them as the classifier does.
        """
        # Reflectance from integers fits into float32; float64 is kept where a scene brings it.
        dtype = np.dtype(np.float64 if block.dtype.newbyteorder("=") == np.float64 else np.float32)
        nodata = self.nodata
        if self.gain is not None and self.offset is not None:
            block, nodata = calibrated(block, nodata, self.gain, self.offset), None
        X, valid = self.match.spectra(block, self.scale, nodata, dtype, scratch)
        inputs, quotients = self._transformed(X)
        if inputs is not X and not get_tags(self.model.classifier).input_tags.allow_nan:
            # Shade or saturation may leave a spectrum without a continuum, and a feature NaN.
            values = np.asarray(inputs)
            with np.errstate(all="ignore"):
                total = values.sum()  # may overflow, but does not hide what is missing
            if not np.isfinite(total):
                known = np.isfinite(values).all(axis=1)
                X, inputs = X[known], inputs[known]
                quotients = None if quotients is None else quotients[known]
                valid[valid] = known
        return X, inputs, quotients, valid

    def _answers(
        self, X: np.ndarray, inputs: Any, quotients: np.ndarray | None, valid: np.ndarray
    ) -> list[np.ndarray]:
        """Fill each layer with what is found for the pixels of the mask."""
        results: dict[str, np.ndarray | None] = {}
        if len(X):
            results["classes"], results["probability"] = self._classify(inputs)
            if self.features is not None:
                results["features"] = np.asarray(self.features.transform(X))
            if self._looks_at_trust:
                self._measure_trust(X, quotients, results)
        return [_fill(layer, results.get(layer.name), valid) for layer in self.layers]

    @property
    def _looks_at_trust(self) -> bool:
        return self.rejects_unlike or self._gives("trust")

    def _measure_trust(self, X: np.ndarray, quotients, results: dict) -> None:
        """Find how far to trust the names, and reject those that are not accepted."""
        trust = self.model.trust
        assert trust is not None  # or it would not be looked at
        likeness = trust.likeness(X, quotients=quotients)
        if self._gives("trust"):
            results["trust"] = trust.measure(X, results["probability"], likeness=likeness)
        if self.rejects_unlike:
            unlike = ~(likeness >= trust.least_likeness)
            results["classes"][unlike] = len(self.model.classifier.classes_) + 1

    def _gives(self, layer: str) -> bool:
        return any(one.name == layer for one in self.layers)

    def _transformed(self, X: np.ndarray) -> tuple[Any, np.ndarray | None]:
        """Compute what the classifier gets; and the hull quotients, where trust can share them."""
        inputs, quotients = X, None
        for step in self.model.steps if len(X) else ():
            if type(step) is StandardScaler and _is_free(inputs, X) and inputs is not quotients:
                inputs = step.transform(inputs, copy=False)
            else:
                inputs = step.transform(inputs)
            if step is self._shared_step:
                quotients = inputs
        return inputs, quotients

    @cached_property
    def _shared_step(self) -> Any:
        """Take the first step, if trust looks at what that gives."""
        shared = self._looks_at_trust and self.model.begins_with_quotients
        return self.model.steps[0] if shared else None

    def _classify(self, inputs) -> tuple[np.ndarray, np.ndarray | None]:
        last = self.model.classifier
        wants_probability = self._gives("probability") or self._gives("trust")
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


def _fill(layer: MapLayer, values: np.ndarray | None, valid: np.ndarray) -> np.ndarray:
    """Put the valid pixels' values in their places; the others get the code or NaN."""
    missing = NO_DATA if layer.name == "classes" else np.nan
    filled = np.full((*valid.shape, len(layer.bands)), missing, dtype=layer.dtype)
    if values is not None:
        filled[valid] = values.reshape(len(values), -1)
    return filled
