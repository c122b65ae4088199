"""From model to map: fast prediction, safe files, whole scenes."""

from ._c import to_c
from ._compiled import CompiledClassifier
from ._files import load_model, save_model
from ._onnx import to_onnx
from ._pipeline import compile_pipeline
from ._scene import SceneMap, predict_scene

__all__ = [
    "CompiledClassifier",
    "SceneMap",
    "compile_pipeline",
    "load_model",
    "predict_scene",
    "save_model",
    "to_c",
    "to_onnx",
]
