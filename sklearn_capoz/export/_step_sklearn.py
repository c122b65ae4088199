"""How scikit-learn's linear steps are written down: scalers and PCA."""

from __future__ import annotations

from copy import copy

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from ._step import Affine, CStep, LearntKind

__all__ = ["MinMaxScalerKind", "PCAKind", "StandardScalerKind"]


class ScalerKind(LearntKind):
    """A scaler, which gives each column by itself."""

    def narrowed(self, step, kept):
        narrow = copy(step)
        for key in self.shapes:
            if (value := getattr(step, key, None)) is not None:
                setattr(narrow, key, value[kept])
        narrow.n_features_in_ = int(np.count_nonzero(kept))
        # Behind a choice of columns names of columns are gone.
        for name in ("feature_names_in_", "_sklearn_output_config"):
            vars(narrow).pop(name, None)
        return narrow

    def needs(self, step, wanted):
        return wanted


class StandardScalerKind(ScalerKind):
    """(x - mean) / scale."""

    shapes = {"mean_": "n", "var_": "n", "scale_": "n"}
    optional = {"mean_": "with_mean", "scale_": "with_std", "var_": None}
    scales = ("scale_",)

    def __init__(self):
        super().__init__(StandardScaler)

    def build(self, description, arrays, where):
        step = super().build(description, arrays, where)
        step.n_samples_seen_ = 0  # not stored; `fit` deletes it with the rest
        return step

    def affine(self, step):
        ones = np.ones(step.n_features_in_)
        scale = step.scale_ if step.with_std else ones
        mean = step.mean_ if step.with_mean else 0 * ones
        return Affine(1 / scale, -mean / scale, ones)

    def add_to_graph(self, graph, step, value):
        if step.with_mean:
            value = graph.add("Sub", value, graph.constant(step.mean_))
        if step.with_std:
            value = graph.add("Div", value, graph.constant(step.scale_))
        return value

    def add_to_c(self, source, step):
        value = "x[j]"
        if step.with_mean:
            value = f"({value} - {source.constant('mean', step.mean_.astype(source.dtype))}[j])"
        if step.with_std:
            value += f" / {source.constant('scale', step.scale_.astype(source.dtype))}[j]"
        return _each_feature(step, value)


class MinMaxScalerKind(ScalerKind):
    """X * scale + min, and clipped where it was asked for."""

    shapes = dict.fromkeys(("min_", "scale_", "data_min_", "data_max_", "data_range_"), "n")
    scales = ("scale_",)

    def __init__(self):
        super().__init__(MinMaxScaler)

    def build(self, description, arrays, where):
        step = super().build(description, arrays, where)
        step.n_samples_seen_ = 0
        return step

    def affine(self, step):
        if step.clip:
            return None
        return Affine(step.scale_, step.min_, np.ones(step.n_features_in_))

    def add_to_graph(self, graph, step, value):
        value = graph.add("Mul", value, graph.constant(step.scale_))
        value = graph.add("Add", value, graph.constant(step.min_))
        if step.clip:
            low, high = (graph.constant(np.float64(limit)) for limit in step.feature_range)
            value = graph.add("Clip", value, low, high)
        return value

    def add_to_c(self, source, step):
        scale, shift = source.constant("scale", step.scale_), source.constant("min", step.min_)
        body = _each_feature(step, f"(REAL)((REAL)(x[j] * {scale}[j]) + {shift}[j])")
        if not step.clip:
            return body
        low, high = (f"(REAL){float(limit)!r}" for limit in step.feature_range)
        clip = f"\n        y[j] = y[j] < {low} ? {low} : y[j] > {high} ? {high} : y[j];"
        # An infinity would be hidden by the limits, where Python refuses it.
        clip += "\n        y[j] += x[j] - x[j];\n    }"
        return body._replace(body=body.body.replace("j++)", "j++) {") + clip)


class PCAKind(LearntKind):
    """(x - mean) @ components, divided by the standard deviations where it whitens."""

    shapes = {"mean_": "n", "components_": "kn", "explained_variance_": "k"}

    def __init__(self):
        super().__init__(PCA)

    def build(self, description, arrays, where):
        step = super().build(description, arrays, where)
        step.n_components_ = len(step.components_)
        return step

    def n_outputs(self, step):
        return len(step.components_)

    def giving(self, step, kept):
        fewer = copy(step)
        fewer.components_ = step.components_[kept]
        fewer.explained_variance_ = step.explained_variance_[kept]
        fewer.n_components = fewer.n_components_ = len(fewer.components_)
        return fewer

    def affine(self, step):
        spread = np.sqrt(np.maximum(step.explained_variance_, np.finfo(float).tiny))
        components = step.components_.T.astype(np.float64)
        if step.whiten:
            smallest = np.finfo(step.explained_variance_.dtype).eps
            components = components / np.maximum(spread, smallest)
            spread = np.ones_like(spread)
        return Affine(components, -step.mean_ @ components, spread)

    def add_to_graph(self, graph, step, value):
        value = graph.add("MatMul", value, graph.constant(step.components_.T))
        value = graph.add("Sub", value, graph.constant(step.mean_ @ step.components_.T))
        if step.whiten:
            scale = np.sqrt(step.explained_variance_)
            scale = np.maximum(scale, np.finfo(scale.dtype).eps)
            value = graph.add("Div", value, graph.constant(scale))
        return value

    def add_to_c(self, source, step):
        matrix, shift, _ = self.affine(step)
        n_in, n_out = matrix.shape
        rows = source.constant("components", matrix.T.astype(source.dtype))
        start = source.constant("shift", shift.astype(source.dtype))
        return CStep(
            f"    int i, j;\n    for (i = 0; i < {n_out}; i++) {{\n"
            f"        double z = {start}[i];\n        for (j = 0; j < {n_in}; j++)\n"
            f"            z += (double){rows}[i * {n_in} + j] * x[j];\n"
            "        y[i] = (REAL)z;\n    }",
            multiply_adds=matrix.size,
        )


def _each_feature(step, value: str) -> CStep:
    """Write one value for every column, each from its own."""
    n = step.n_features_in_
    return CStep(
        f"    int j;\n    for (j = 0; j < {n}; j++)\n        y[j] = {value};", multiply_adds=n
    )
