"""The loop that joins criterion, threshold rule, schedule and surgery, and what it prunes."""

from ._changes import Change, Remove
from ._loop import prune_together
from ._model import ModelSize, PrunableModel, accuracy
from ._plan import PruningJob, PruningPlan
from ._records import IterationRecord, choose_iteration, history_table

__all__ = [
    "Change",
    "IterationRecord",
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
