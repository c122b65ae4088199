"""A fitted model as a file, an ONNX graph, a C header, or a classifier that only predicts."""

from ._c import to_c
from ._compiled import CompiledClassifier
from ._files import load_model, save_model
from ._onnx import to_onnx
from ._pipeline import compile_pipeline

__all__ = [
    "CompiledClassifier",
    "compile_pipeline",
    "load_model",
    "save_model",
    "to_c",
    "to_onnx",
]
