"""The loop that joins criterion, threshold rule, schedule and surgery, and what it prunes.

`Change` is what pruning may do to a network: `Remove` units, or `Mask` connections.
"""

from ._changes import Change, Mask, Remove
from ._loop import prune_together
from ._model import LayerWeights, ModelSize, PrunableModel, accuracy
from ._plan import PruningJob, PruningPlan
from ._records import IterationRecord, choose_iteration, history_table

__all__ = [
    "Change",
    "IterationRecord",
    "LayerWeights",
    "Mask",
    "ModelSize",
    "PrunableModel",
    "PruningJob",
    "PruningPlan",
    "Remove",
    "accuracy",
    "choose_iteration",
    "history_table",
    "prune_together",
]
