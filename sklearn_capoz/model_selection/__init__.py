"""Folds for pixels of a scene, whose neighbours say little new; tests of what was found."""

from ._paired import holm, paired_p, paired_tests
from ._spatial import SpatialKFold, spatial_blocks

__all__ = ["SpatialKFold", "holm", "paired_p", "paired_tests", "spatial_blocks"]
