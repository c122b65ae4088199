"""What is to be pruned, and how: the parts, the network and its samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from joblib import Memory

from ..criteria import Criterion
from ..schedules import Schedule, Step
from ..thresholds import ThresholdRule
from ..training._samples import PruningData
from ._granularity import GRANULARITIES, Granularity
from ._model import PrunableModel
from ._records import IterationRecord

__all__ = ["PruningJob", "PruningPlan"]


@dataclass(frozen=True)
class PruningPlan:
    """How to prune: the parts, and how often.

    Parameters
    ----------
    criterion : Criterion
        What scores the units.
    threshold : ThresholdRule
        What turns scores into units that go.
    schedule : Schedule
        When to score, cut and retrain.
    n_iterations : int
        Iterations at most.
    min_units : int, default=1
        Units, or connections, that stay in every group.
    compensation : {None, "bias", "least-squares"}, default=None
        How the next layer makes up for a unit that goes.
    granularity : Granularity
        What goes: units or connections.
    """

    criterion: Criterion
    threshold: ThresholdRule
    schedule: Schedule
    n_iterations: int
    min_units: int = 1
    compensation: str | None = None
    granularity: Granularity = GRANULARITIES["unit"]

    def check_parts(self) -> None:
        """Raise where criterion or compensation do not suit what goes."""
        self.granularity.check(self.criterion, self.compensation)

    def check(self, model: PrunableModel) -> list[tuple[Step, ...]]:
        """List the steps for a network, and raise where the plan does not suit it."""
        self.granularity.check_model(model)
        iterations = self.iterations(self.granularity.widths(model))
        costs = self.granularity.costs(model, model, 0.0)
        self.threshold.check_plan(iterations, costs, self.min_units)
        return iterations

    def iterations(self, widths: tuple[int, ...]) -> list[tuple[Step, ...]]:
        """List the schedule's steps for a network, checked: it may be the user's own.

        Parameters
        ----------
        widths : tuple of int
            Units or connections of each group.

        Returns
        -------
        iterations : list of tuple of Step

        Raises
        ------
        ValueError
            Where a step is about groups that the network does not have, or there is none.
        """
        iterations = [tuple(steps) for steps in self.schedule.iterations(widths, self.n_iterations)]
        if not all(iterations):
            raise ValueError(f"{self.schedule} gave an iteration without a step.")
        for step in (step for steps in iterations for step in steps):
            groups, n_groups = set(step.groups), len(widths)
            if not groups or len(groups) < len(step.groups) or groups - set(range(n_groups)):
                raise ValueError(
                    f"{self.schedule} gave {step}; its groups must be different numbers from 0 to "
                    f"{n_groups - 1}: the network has the {self.granularity.counts} {widths}."
                )
            if step.units is not None and len(step.units) != len(step.groups):
                raise ValueError(
                    f"{self.schedule} gave {step}; its units must be None, or a number for each "
                    "of its groups."
                )
            if step.at != "end":
                raise ValueError(f"{self.schedule} gave {step}; units are cut at='end' only.")
        return iterations


@dataclass(frozen=True)
class PruningJob:
    """One network to prune.

    Parameters
    ----------
    model : PrunableModel
        Trained.
    data : PruningData
    plan : PruningPlan
    random_state : RandomState
        For criteria that draw, which do so from a copy.
    dense_epochs, dense_seconds : int, float
        What training has cost; noted in the first record.
    progress : callable or None
        Called with each new record.
    memory : joblib.Memory or None
        Where retrainings are looked up that an earlier run has done; such a network is
        retrained on its own.
    """

    model: PrunableModel
    data: PruningData
    plan: PruningPlan
    random_state: np.random.RandomState
    dense_epochs: int = 0
    dense_seconds: float = 0.0
    progress: Callable[[IterationRecord], object] | None = None
    memory: Memory | None = None
