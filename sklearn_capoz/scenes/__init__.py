"""From a fitted model to the map of a whole scene, block by block, and to how right that map is."""

from ._assessment import Assessment, assess
from ._predict import SceneMap, predict_scene
from ._scene_sample import SceneSample, sample_scene

__all__ = ["Assessment", "SceneMap", "SceneSample", "assess", "predict_scene", "sample_scene"]
