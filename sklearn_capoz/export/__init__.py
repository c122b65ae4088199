"""A fitted model as a file, an ONNX graph, C, integers, or a classifier that only predicts."""

from ._c import to_c
from ._compiled import CompiledClassifier
from ._compress import Compression, compress
from ._device import DeviceReport, device_report
from ._files import load_model, save_model
from ._onnx import to_onnx
from ._pipeline import compile_pipeline
from ._quantize import quantize
from ._quantized import QuantizedClassifier

__all__ = [
    "CompiledClassifier",
    "Compression",
    "DeviceReport",
    "QuantizedClassifier",
    "compile_pipeline",
    "compress",
    "device_report",
    "load_model",
    "quantize",
    "save_model",
    "to_c",
    "to_onnx",
]
