"""Folds for pixels of a scene, whose neighbours say next to nothing new."""

from ._spatial import SpatialKFold, spatial_blocks

__all__ = ["SpatialKFold", "spatial_blocks"]
