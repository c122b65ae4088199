"""Preprocessing steps as plain data: a class name, parameters, and arrays where it has any.

Only the classes listed here can be stored and are ever made when a file is read.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from .. import spectral
from ..exceptions import DataFormatError, UnsupportedNetworkError
from ..spectral._feature_table import SWIR_FEATURES

__all__ = ["BAD_INPUT", "step_from_description", "step_to_description"]

#: More bands than any spectrometer has; keeps a made-up number from taking the memory.
MAX_BANDS = 10_000

#: What scikit-learn's transformers have learnt: attribute -> shape in features n and outputs k.
_LEARNT: dict[type, dict[str, str]] = {
    StandardScaler: {"mean_": "n", "var_": "n", "scale_": "n"},
    MinMaxScaler: dict.fromkeys(("min_", "scale_", "data_min_", "data_max_", "data_range_"), "n"),
    PCA: {"mean_": "n", "components_": "kn", "explained_variance_": "k"},
}

#: Transformers that learn nothing from the spectra, only from the bands: they are fitted anew.
_SPECTRAL = {name: getattr(spectral, name) for name in spectral.__all__}
_SPECTRAL = {name: kind for name, kind in _SPECTRAL.items() if hasattr(kind, "fit")}

_KINDS = {kind.__name__: kind for kind in _LEARNT} | _SPECTRAL

#: What wrong parameters make a constructor, `fit` or `transform` raise.
BAD_INPUT = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, MemoryError)

#: Parameters that say how to compute and not what.
_NOT_STORED = {"n_jobs", "copy", "random_state"}


def step_to_description(name: str, step: Any) -> tuple[dict, dict[str, np.ndarray]]:
    """Return what JSON can hold of a fitted transformer, and its arrays."""
    kind = type(step)
    if _KINDS.get(kind.__name__) is not kind:
        raise UnsupportedNetworkError(
            f"The step {name!r} is a {kind.__name__}, which cannot be stored; the file knows "
            f"{', '.join(sorted(_KINDS))}. Apply other steps before the model, or use joblib."
        )
    parameters = step.get_params(deep=False)
    names = _names(step)
    if names is None and kind.__name__ in _SPECTRAL and parameters.get("wavelengths", "") is None:
        # They came from column names that are numbers, which scikit-learn does not remember.
        parameters |= {"wavelengths": step._axis.given, "unit": "nm"}
    description = {
        "name": name,
        "class": kind.__name__,
        "parameters": {
            key: _plain(value, f"{name}__{key}")
            for key, value in parameters.items()
            if key not in _NOT_STORED
        },
        "n_features_in": int(step.n_features_in_),
        "feature_names": names,
        # Set by `set_output`; the next step's feature names depend on it.
        "output": getattr(step, "_sklearn_output_config", {}).get("transform"),
    }
    learnt = {key: getattr(step, key) for key in _LEARNT.get(kind, ())}
    arrays = {key: np.asarray(value) for key, value in learnt.items() if value is not None}
    return description | {"arrays": sorted(arrays)}, arrays


def step_from_description(description: dict, arrays: dict[str, np.ndarray], where: str) -> Any:
    """Make the transformer that `step_to_description` was given.

    `description` has been checked for its keys and types, `arrays` for finite numbers only.
    """
    kind = _KINDS.get(description["class"])
    if kind is None:
        raise DataFormatError(
            f"{where}.class is {description['class']!r}; known are {', '.join(sorted(_KINDS))}."
        )
    names, n_features = description["feature_names"], description["n_features_in"]
    if names is not None and len(names) != n_features:
        raise DataFormatError(f"{where} has {len(names)} feature_names for {n_features} features.")
    if kind not in _LEARNT:
        _check_size(description["parameters"], n_features, where)
    try:
        step = kind(**_parameters(kind, description["parameters"]))
        if description["output"] is not None:
            step.set_output(transform=description["output"])
        if kind in _LEARNT:
            _restore(step, description, arrays, where)
        else:
            if arrays:
                raise DataFormatError(f"{where}.arrays must be empty for {kind.__name__}.")
            nothing = np.ones((2, n_features))
            step.fit(nothing if names is None else pd.DataFrame(nothing, columns=names))
    except DataFormatError:
        raise
    except BAD_INPUT as error:
        raise DataFormatError(f"{where} is no {description['class']}: {error}") from error
    return step


def _parameters(kind: type, stored: dict) -> dict:
    """Turn lists back into what they were, where the class asks for it."""
    parameters = dict(stored)
    if kind in _LEARNT:  # scikit-learn takes tuples only
        parameters = {k: tuple(v) if isinstance(v, list) else v for k, v in parameters.items()}
    features = parameters.get("features")
    if kind is spectral.AbsorptionFeatures and "min_depth" not in stored:  # of version 0.1.0
        parameters["min_depth"] = 0.0
        if features == "swir":  # whose windows were all that was asked of a minimum
            parameters["features"] = {name: nm[2:] for name, nm in SWIR_FEATURES.items()}
    if kind is spectral.AbsorptionFeatures and isinstance(features, list):
        parameters["features"] = [spectral.AbsorptionFeature(**entry) for entry in features]
    return parameters


def _check_size(parameters: dict, n_features: int, where: str) -> None:
    """Refuse numbers that would take more than a gigabyte for the shoulders of the indices."""
    half_widths = parameters.get("half_widths")
    n_widths = max(1, len(half_widths)) if isinstance(half_widths, list) else 1
    if n_features**2 * n_widths > MAX_BANDS**2:
        raise DataFormatError(
            f"{where} asks for {n_widths} half widths of {n_features} bands; a file may describe "
            f"up to {MAX_BANDS} bands in all."
        )


def _restore(step, description: dict, arrays: dict[str, np.ndarray], where: str) -> None:
    """Set what a scikit-learn transformer has learnt."""
    shapes = _LEARNT[type(step)]
    for key in arrays.keys() - shapes.keys():
        raise DataFormatError(f"{where}.arrays: {type(step).__name__} has no {key!r}.")
    step._validate_params()
    sizes = {"n": description["n_features_in"]}
    if "components_" in arrays:
        sizes["k"] = len(arrays["components_"])
    for key in shapes:
        value = arrays.get(key)
        expected = tuple(sizes.get(letter, -1) for letter in shapes[key])
        may_miss = isinstance(step, StandardScaler)  # with_mean=False, with_std=False
        if value is None and not may_miss:
            raise DataFormatError(f"{where}.arrays lacks {key}.")
        if value is not None and value.shape != expected:
            raise DataFormatError(
                f"{where}.{key} must have the shape {expected}, found {value.shape}."
            )
        setattr(step, key, value)
    step.n_features_in_ = description["n_features_in"]
    if description["feature_names"] is not None:
        step.feature_names_in_ = np.asarray(description["feature_names"], dtype=object)
    if isinstance(step, (StandardScaler, MinMaxScaler)):
        step.n_samples_seen_ = 0  # not stored; `fit` deletes it with the rest
    if isinstance(step, StandardScaler):
        _check_standard_scaler(step, where)
    if isinstance(step, PCA):
        step.n_components_ = sizes["k"]


def _check_standard_scaler(step: StandardScaler, where: str) -> None:
    for wanted, key in ((step.with_mean, "mean_"), (step.with_std, "scale_")):
        if wanted and getattr(step, key) is None:
            raise DataFormatError(f"{where}.arrays lacks {key}.")


def _names(estimator) -> list[str] | None:
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def _plain(value: Any, path: str) -> Any:
    """Turn a constructor parameter into what JSON holds, or name the one that is more."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real) and math.isfinite(value):
        return float(value)
    if isinstance(value, spectral.AbsorptionFeature):
        return asdict(value)
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(item, f"{path}[{key!r}]") for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray, pd.Index, pd.Series)):
        return [_plain(item, f"{path}[{i}]") for i, item in enumerate(value)]
    raise UnsupportedNetworkError(
        f"The parameter {path} is {value!r:.60}, which a model file cannot hold; it holds numbers, "
        "text, and lists and dicts of them."
    )
