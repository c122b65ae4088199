"""Networks of patches in ONNX with 8 bits: pairs of QuantizeLinear and DequantizeLinear.

What stands between two pairs a runtime computes in integers where it has the kernels, and in floats
of the same numbers where it has not. Weights are stored in a byte each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..datasets import ScenePixels
from ..estimators import PrunedCNNClassifier
from ..estimators._cnn_inputs import batches, check_X
from ..exceptions import UnsupportedNetworkError
from ._convolutional import GraphLayers
from ._onnx_graph import Graph
from ._parts import take_apart
from ._quantize import check_spread

__all__ = ["EightBitLayers", "calibration_patches", "ranges_of"]

#: Processors without VNNI add two products in 16 bits: 2 * 255 * 64 fits, and 2 * 255 * 127 not.
_LARGEST_WEIGHT, _LARGEST_CODE = 64, 255
#: Largest bias: it leaves half of the accumulator to the sum.
_BIAS_LIMIT = 2.0**30


class Range(NamedTuple):
    """What codes of 0 to 255 stand for: scale * (code - zero)."""

    scale: float
    zero: int


def calibration_patches(estimator, X) -> np.ndarray:
    """Check a network that 8 bits are asked of, and its calibration samples; return these.

    Raises
    ------
    UnsupportedNetworkError
        If it looks at no patches, or computes in double precision.
    ValueError
        If the samples have another shape, hold NaN, are too few or all the same.
    """
    classifier = take_apart(estimator)[2]
    if not isinstance(classifier, PrunedCNNClassifier) or classifier.kind not in ("2d", "3d"):
        raise UnsupportedNetworkError(
            "X_calibration is for networks of patches, a PrunedCNNClassifier of kind '2d' or '3d'. "
            "Others become integers by quantize(model, X), and to_onnx writes what it returns."
        )
    if classifier.dtype_ != "float32":
        raise UnsupportedNetworkError(
            "QuantizeLinear takes float32, and the network computes in float64; fit it with "
            "dtype='float32', or write it without X_calibration."
        )
    if isinstance(X, ScenePixels):
        X = X.patches(classifier.patch_size_)
    X = check_X(classifier, X, classifier.patch_size_, classifier.dtype_, reset=False)
    check_spread(X.reshape(len(X), -1), None)
    return X


def ranges_of(classifier: PrunedCNNClassifier, X: np.ndarray) -> list[Range]:
    """Find the ranges of what goes into the network, and behind it of every activation."""
    import torch

    module = classifier.module_
    lows: list[list[float]] = []
    highs: list[list[float]] = []
    with torch.inference_mode():
        for batch in batches(classifier.bands_, X, classifier.patch_size_, classifier.dtype_):
            value = torch.from_numpy(batch)
            seen = [value]
            value = value if classifier.kind == "2d" else value.unsqueeze(1)
            for layer in (*module.features, torch.nn.Flatten(), *module.head):
                value = layer(value)
                if isinstance(layer, torch.nn.ReLU):
                    seen.append(value)
            lows.append([each.min().item() for each in seen])
            highs.append([each.max().item() for each in seen])
    return [_range(low, high) for low, high in zip(np.min(lows, 0), np.max(highs, 0), strict=True)]


def _range(low: float, high: float) -> Range:
    low, high = min(low, 0.0), max(high, 0.0)  # zero itself has a code
    scale = (high - low) / _LARGEST_CODE or 1.0
    return Range(scale, round(-low / scale))


class EightBitLayers(GraphLayers):
    """Writes the layers of a network, each between quantized values.

    Parameters
    ----------
    graph : Graph
        In float32.
    ranges : sequence of Range
        Of the input and of each activation.
    """

    def __init__(self, graph: Graph, ranges: Sequence[Range]):
        super().__init__(graph)
        self._left, self._now = list(ranges), Range(1.0, 0)

    def begin(self, value: str) -> str:
        return self.activated(value)

    def activated(self, value: str) -> str:
        self._now = self._left.pop(0)
        return self.pooled(value)

    def pooled(self, value: str) -> str:
        # A maximum of codes is one of them: the range stays.
        graph = self.graph
        units = (
            graph.constant(np.float32(self._now.scale)),
            graph.constant(np.uint8(self._now.zero)),
        )
        return graph.add("DequantizeLinear", graph.add("QuantizeLinear", value, *units), *units)

    def parameters(self, weight: np.ndarray, bias: np.ndarray, axis: int) -> tuple[str, str]:
        others = tuple(i for i in range(weight.ndim) if i != axis)
        shape = np.where(np.arange(weight.ndim) == axis, -1, 1)
        scale = np.abs(weight).max(axis=others) / _LARGEST_WEIGHT
        scale = np.maximum(scale, np.abs(bias) / self._now.scale / _BIAS_LIMIT)
        scale[scale == 0] = 1.0
        codes = np.rint(weight / scale.reshape(shape)).astype(np.int8)
        bias_scale = (scale * self._now.scale).astype(np.float32)
        bias_codes = np.rint(bias / bias_scale).astype(np.int32)
        return (
            self._restored(codes, scale.astype(np.float32), axis),
            self._restored(bias_codes, bias_scale, 0),
        )

    def _restored(self, codes: np.ndarray, scale: np.ndarray, axis: int) -> str:
        arrays = [codes, scale]
        if codes.dtype == np.int8:  # earlier versions of onnxruntime do not take them for granted
            arrays.append(np.zeros(scale.shape, np.int8))
        return self.graph.add("DequantizeLinear", *map(self.graph.constant, arrays), axis=axis)
