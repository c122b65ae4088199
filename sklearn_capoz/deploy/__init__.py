"""From model to map: fast prediction, safe files, whole scenes."""

from ._scene import SceneMap, predict_scene

__all__ = ["SceneMap", "predict_scene"]
