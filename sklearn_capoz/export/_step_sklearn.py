"""How scikit-learn's linear steps are written down: scalers and PCA."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from ._step import Affine, LearntKind

__all__ = ["MinMaxScalerKind", "PCAKind", "StandardScalerKind"]


class StandardScalerKind(LearntKind):
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


class MinMaxScalerKind(LearntKind):
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
