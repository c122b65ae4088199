"""From a fitted model to the map of a whole scene, block by block."""

from ._predict import SceneMap, predict_scene

__all__ = ["SceneMap", "predict_scene"]
