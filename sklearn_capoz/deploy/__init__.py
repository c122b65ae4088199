"""From model to map: fast prediction, safe files, whole scenes, and how right they are.

The public names of `sklearn_capoz.export` and `sklearn_capoz.scenes` in one place.
"""

from ..export import (
    CompiledClassifier,
    Compression,
    DeviceReport,
    QuantizedClassifier,
    compile_pipeline,
    compress,
    device_report,
    load_model,
    quantize,
    save_model,
    to_c,
    to_onnx,
)
from ..scenes import SceneMap, assess, predict_scene, required_bands

__all__ = [
    "CompiledClassifier",
    "Compression",
    "DeviceReport",
    "QuantizedClassifier",
    "SceneMap",
    "assess",
    "compile_pipeline",
    "compress",
    "device_report",
    "load_model",
    "predict_scene",
    "quantize",
    "required_bands",
    "save_model",
    "to_c",
    "to_onnx",
]
