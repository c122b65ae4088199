"""How the transformers of `sklearn_capoz.spectral` are written down.

They learn nothing from the spectra, only from the bands: a file holds their parameters, and they
are fitted anew to ones.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from ..exceptions import DataFormatError, UnsupportedNetworkError
from ..spectral import (
    AbsorptionFeature,
    AbsorptionFeatures,
    ContinuumRemoval,
    Sensor,
    SensorResampler,
    SpectralAbsorptionIndex,
    SpectrumStandardizer,
)
from ..spectral._bands import BandSelector
from ._c_bands import resample, select_bands, standardize
from ._c_continuum import hull_index, local_index, remove_continuum
from ._c_features import absorption_features
from ._limits import check_measurements
from ._step import StepKind

__all__ = [
    "AbsorptionFeaturesKind",
    "BandSelectorKind",
    "ContinuumRemovalKind",
    "SensorResamplerKind",
    "SpectralAbsorptionIndexKind",
    "SpectrumStandardizerKind",
]


class SpectralKind(StepKind):
    """Any of them; all can be written in C, and a convex hull has no ONNX operator."""

    has_c = True

    def parameters(self, step):
        parameters = step.get_params(deep=False)
        has_names = hasattr(step, "feature_names_in_")
        if not has_names and parameters.get("wavelengths", "") is None:
            # They came from column names that are numbers, which scikit-learn does not remember.
            parameters |= {"wavelengths": step._axis.given, "unit": "nm"}
        nm = parameters.get("wavelengths")
        if nm is not None and not isinstance(nm, str):
            # Files leave out those of bad bands; JSON has null for it, and no NaN.
            values = np.asarray(nm, dtype=np.float64).tolist()
            parameters["wavelengths"] = [nm if math.isfinite(nm) else None for nm in values]
        return parameters

    def build(self, description, arrays, where):
        if arrays:
            raise DataFormatError(f"{where}.arrays must be empty for {self.name}.")
        check_measurements(description["parameters"], description["n_features_in"], where)
        step = self.transformer(**self.given(description["parameters"]))
        return step.fit(_flat_spectra(description))

    def given(self, parameters: dict) -> dict:
        """Return parameters as the constructor takes them, from what JSON holds."""
        nm = parameters.get("wavelengths")
        if isinstance(nm, list):
            return parameters | {
                "wavelengths": [np.nan if value is None else value for value in nm]
            }
        return parameters

    def n_outputs(self, step):
        return step._n_columns


class ContinuumRemovalKind(SpectralKind):
    """Division by the continuum."""

    def __init__(self):
        super().__init__(ContinuumRemoval)

    def add_to_c(self, source, step):
        return remove_continuum(source, step)


class AbsorptionFeaturesKind(SpectralKind):
    """Measures of single absorptions."""

    def __init__(self):
        super().__init__(AbsorptionFeatures)

    def build(self, description, arrays, where):
        step = super().build(description, arrays, where)
        if "min_depth" not in description["parameters"] and step.features == "swir":
            # In version 0.1.0 a minimum could lie anywhere in a window of the table.
            windows = {feature.name: feature.ends for feature in step.features_}
            step.set_params(features=windows).fit(_flat_spectra(description))
        return step

    def given(self, parameters):
        # Version 0.1.0 had no other minimum.
        parameters = {"min_depth": 0.0} | super().given(parameters)
        features = parameters.get("features")
        if isinstance(features, list):
            parameters["features"] = [AbsorptionFeature(**entry) for entry in features]
        return parameters

    def may_miss(self, step):
        return step.on_missing == "nan"

    def add_to_c(self, source, step):
        return absorption_features(source, step)


class SensorResamplerKind(SpectralKind):
    """Resampling to a sensor, whose bands are stored whatever they were given as."""

    def __init__(self):
        super().__init__(SensorResampler)

    def parameters(self, step):
        sensor = {"name": "the sensor", "wavelengths": step.wavelengths_, "fwhm": step.fwhm_}
        return super().parameters(step) | {"sensor": sensor, "fwhm": None}

    def given(self, parameters):
        parameters = super().given(parameters)
        sensor = parameters.get("sensor")
        return parameters | {"sensor": Sensor(**sensor)} if isinstance(sensor, dict) else parameters

    def may_miss(self, step):
        return step.on_missing == "nan"

    def add_to_c(self, source, step):
        return resample(source, step)


class BandSelectorKind(SpectralKind):
    """A choice of bands. The others may hold NaN, and so it is not folded as zero weights."""

    has_onnx = keeps_values = True

    def __init__(self):
        super().__init__(BandSelector)

    def n_outputs(self, step):
        return int(np.count_nonzero(step._keep))

    def needs(self, step, wanted):
        needed = step._keep.copy()
        if wanted is not None:
            needed[needed] = wanted
        return needed

    def add_to_graph(self, graph, step, value):
        return graph.add("Gather", value, graph.constant(np.flatnonzero(step._keep)), axis=1)

    def add_to_c(self, source, step):
        return select_bands(source, step)


class SpectrumStandardizerKind(SpectralKind):
    """(R - mean) / std of each row; a flat row is all zero."""

    has_onnx = True

    def __init__(self):
        super().__init__(SpectrumStandardizer)

    def n_outputs(self, step):
        return step.n_features_in_

    def add_to_graph(self, graph, step, value):
        zero, one = graph.constant(np.zeros(1)), graph.constant(np.ones(1))
        highest, lowest = (graph.add(f"Reduce{end}", value, axes=[1]) for end in ("Max", "Min"))
        # To at most 1 first: squares of what a float holds may be more, or less, than one holds.
        peak = graph.add("Max", highest, graph.add("Neg", lowest))
        peak = graph.add("Where", graph.add("Greater", peak, zero), peak, one)
        scaled = graph.add("Div", value, peak)
        centred = graph.add("Sub", scaled, graph.add("ReduceMean", scaled, axes=[1]))
        variance = graph.add("ReduceMean", graph.add("Mul", centred, centred), axes=[1])
        varies = graph.add(
            "And", graph.add("Less", lowest, highest), graph.add("Greater", variance, zero)
        )
        deviation = graph.add("Sqrt", variance)
        return graph.add("Where", varies, graph.add("Div", centred, deviation), zero)

    def add_to_c(self, source, step):
        return standardize(source, step)


class SpectralAbsorptionIndexKind(SpectralKind):
    """Continuum over centre; both are means over bands, so linear, and the index their quotient."""

    has_onnx = True

    def __init__(self):
        super().__init__(SpectralAbsorptionIndex)

    def needs(self, step, wanted):
        if step._shoulders is None:  # a hull lies over all bands
            return None
        # Rows are columns of X; a weight of 0 in a mean is a band that it does not look at.
        looks = sum(np.abs(matrix) for matrix in _continuum_and_centre(step)) > 0
        if wanted is None:
            return looks.any(axis=1)
        if step.attenuation is not None:
            wanted = np.tile(wanted, len(step.half_widths_))
        return looks[:, wanted].any(axis=1)

    def add_to_graph(self, graph, step, value):
        if step._shoulders is None:
            raise UnsupportedNetworkError(
                "SpectralAbsorptionIndex(shoulders='hull') lays a convex hull, which ONNX cannot "
                "express. Use local shoulders, or apply the step before the graph."
            )
        continuum, centre = _continuum_and_centre(step)
        zero, one = graph.constant(np.zeros(1)), graph.constant(np.ones(1))
        numerator = graph.add("MatMul", value, graph.constant(continuum))
        denominator = graph.add("MatMul", value, graph.constant(centre))
        positive = graph.add(
            "And", graph.add("Greater", numerator, zero), graph.add("Greater", denominator, zero)
        )
        quotient = graph.add("Div", numerator, denominator)
        index = graph.add("Where", positive, quotient, graph.constant(np.full(1, np.nan)))
        index = graph.add("Where", graph.add("Equal", numerator, denominator), one, index)
        if step.attenuation is not None:
            weights = np.exp(-step.half_widths_ / step.attenuation)
            joined = np.kron((weights / weights.sum())[:, None], np.eye(len(step.bands_)))
            index = graph.add("MatMul", index, graph.constant(joined))
        return graph.add("Log", index) if step.log else index

    def add_to_c(self, source, step):
        write = hull_index if step._shoulders is None else local_index
        return write(source, step)


def _flat_spectra(description: dict) -> np.ndarray | pd.DataFrame:
    """Two spectra of ones, with the names of the bands."""
    ones, names = np.ones((2, description["n_features_in"])), description["feature_names"]
    return ones if names is None else pd.DataFrame(ones, columns=names)


def _continuum_and_centre(step) -> tuple[np.ndarray, np.ndarray]:
    """Matrices from the columns of X to the line over the shoulders, and to the centres."""
    shoulders = step._shoulders
    bands = _band_matrix(step._axis, step.n_features_in_)
    left, right = (
        _means(bands, places, shoulders.shoulder_half)
        for places in (shoulders.left, shoulders.right)
    )
    centre = _means(bands, shoulders.centre, shoulders.centre_half)
    outside = np.isnan(shoulders.weight)  # nothing can be measured, the index is 1
    share = np.where(outside, 0.0, shoulders.weight)
    return np.where(outside, centre, share * left + (1 - share) * right), centre


def _band_matrix(axis, n_columns: int) -> np.ndarray:
    """Matrix from the columns of X to ascending wavelengths; bands at one wavelength are averaged.

    The reflectance scale is left out: it cancels in the quotient.
    """
    matrix = np.zeros((n_columns, len(axis.wavelengths)))
    for band, columns in enumerate(np.split(axis.columns, axis.groups[1:])):
        matrix[columns, band] = 1 / len(columns)
    return matrix


def _means(bands: np.ndarray, places: np.ndarray, half: int) -> np.ndarray:
    """Columns that take the mean of the bands up to `half` beside each place."""
    spans = (bands[:, max(0, place - half) : place + half + 1] for place in places)
    return np.column_stack([span.mean(axis=1) for span in spans])
