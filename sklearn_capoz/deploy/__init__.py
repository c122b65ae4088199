"""From model to map: fast prediction, safe files, whole scenes, and how right they are.

The public names of `sklearn_capoz.export` and `sklearn_capoz.scenes` in one place.
"""

from ..export import (
    CompiledClassifier,
    compile_pipeline,
    load_model,
    save_model,
    to_c,
    to_onnx,
)
from ..scenes import SceneMap, assess, predict_scene

__all__ = [
    "CompiledClassifier",
    "SceneMap",
    "assess",
    "compile_pipeline",
    "load_model",
    "predict_scene",
    "save_model",
    "to_c",
    "to_onnx",
]
