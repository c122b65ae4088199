"""Everything before, as scikit-learn estimators."""

from ._classifier import PrunedMLPClassifier
from ._field import FieldTrainedClassifier
from ._pruner import CAPoZPruner
from ._search import CAPoZPrunerCV, PruningPath, pruning_path
from ._sensitivity import sensitivity_curve

__all__ = [
    "CAPoZPruner",
    "CAPoZPrunerCV",
    "FieldTrainedClassifier",
    "PrunedMLPClassifier",
    "PruningPath",
    "pruning_path",
    "sensitivity_curve",
]
