"""From a fitted model to the map of a whole scene, block by block, and to how right that map is."""

from ._assessment import Assessment, assess
from ._class_map import ClassMap, read_class_map
from ._predict import SceneMap, predict_scene
from ._regions import RegionSamples, sample_regions
from ._required import required_bands
from ._scene_sample import SceneSample, sample_scene

__all__ = [
    "Assessment",
    "ClassMap",
    "RegionSamples",
    "SceneMap",
    "SceneSample",
    "assess",
    "predict_scene",
    "read_class_map",
    "required_bands",
    "sample_regions",
    "sample_scene",
]
