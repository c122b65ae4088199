"""The loop that joins criterion, threshold rule, schedule and surgery, and what it prunes."""

from ._loop import (
    IterationRecord,
    PrunableModel,
    PruningJob,
    PruningPlan,
    accuracy,
    choose_iteration,
    history_table,
    prune_together,
)

__all__ = [
    "IterationRecord",
    "PrunableModel",
    "PruningJob",
    "PruningPlan",
    "accuracy",
    "choose_iteration",
    "history_table",
    "prune_together",
]
