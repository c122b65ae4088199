"""Everything before, as scikit-learn estimators; and how they reach into those of others.

`TRUST_LAYERS` names the four numbers of a `FieldTrust`, in their order.
"""

from ._adapter import Adapter, Description
from ._classifier import PrunedMLPClassifier
from ._cnn import PrunedCNNClassifier
from ._comparison import PruningComparison, compare_pruning
from ._field import FieldTrainedClassifier
from ._fused import FusedClassifier
from ._mlp_adapter import MLPClassifierAdapter
from ._own_adapter import PrunedMLPAdapter
from ._path import PruningPath, pruning_path
from ._pruner import CAPoZPruner
from ._register import find_adapter, register_adapter
from ._search import CAPoZPrunerCV
from ._sensitivity import sensitivity_curve
from ._trust import TRUST_LAYERS, FieldTrust

__all__ = [
    "TRUST_LAYERS",
    "Adapter",
    "CAPoZPruner",
    "CAPoZPrunerCV",
    "Description",
    "FieldTrainedClassifier",
    "FieldTrust",
    "FusedClassifier",
    "MLPClassifierAdapter",
    "PrunedCNNClassifier",
    "PrunedMLPAdapter",
    "PrunedMLPClassifier",
    "PruningComparison",
    "PruningPath",
    "compare_pruning",
    "find_adapter",
    "pruning_path",
    "register_adapter",
    "sensitivity_curve",
]
