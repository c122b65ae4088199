"""What is to be pruned, and how: the parts, the network and its samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
from joblib import Memory

from .._sklearn import InvalidParameterError
from ..criteria import Criterion
from ..criteria._zeros import counts_exact_zeros
from ..schedules import Schedule, Step
from ..thresholds import ThresholdRule
from ..training import TrainingSettings
from ..training._samples import PruningData
from ._granularity import GRANULARITIES, Granularity
from ._model import PrunableModel
from ._records import IterationRecord

__all__ = ["PruningJob", "PruningPlan", "check_counts_inputs", "first_epoch"]


def check_counts_inputs(criterion: Criterion, X: np.ndarray) -> None:
    """Refuse to count the zeros of inputs that have none, as standardized ones do.

    Parameters
    ----------
    criterion : Criterion
    X : ndarray of shape (n_samples, n_features)
        That inputs are scored on.

    Raises
    ------
    InvalidParameterError
        Where the criterion counts zeros, and no input is ever zero.
    """
    if counts_exact_zeros(criterion) and np.all(X != 0):
        raise InvalidParameterError(
            f"{criterion} counts how often a unit is zero, and no input ever is on the {len(X)} "
            "scoring samples, so that all would have the score 0. With prune_inputs=True choose a "
            'criterion that measures inputs, criterion="taylor" or "l1" for example.'
        )


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

    def is_prefix(self, n_iterations: int, model: PrunableModel) -> bool:
        """Whether a run of fewer iterations is the beginning of this one."""
        widths = self.granularity.widths(model)
        iterations = self.iterations(widths)
        fewer = replace(self, n_iterations=min(n_iterations, self.n_iterations))
        beginning = iterations[:n_iterations]
        return first_epoch(iterations) is None and fewer.iterations(widths) == beginning

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
            if step.regrow and self.granularity.noun != "connection":
                raise InvalidParameterError(
                    f"{self.schedule} lets connections come back, and units are cut out; take "
                    "granularity='connection', or regrow=0."
                )
            if step.surgery is not None and self.granularity.noun != "connection":
                raise InvalidParameterError(
                    f"{self.schedule} brings connections back, and units that are cut are gone; "
                    "take granularity='connection', or the schedule inside of it."
                )
        self._check_epochs([step for steps in iterations for step in steps])
        return iterations

    def _check_epochs(self, steps: Sequence[Step]) -> None:
        """Raise unless the steps are in the order of time."""
        before: int | str = 0
        for step in steps:
            at = step.at
            if at != "end" and not (isinstance(at, Integral) and before != "end" and at > before):
                raise ValueError(
                    f"{self.schedule} gave {step} after one at {before!r}; `at` must be 'end', or "
                    "a whole number of epochs of 1 or more, each after the one before."
                )
            before = at


def first_epoch(iterations: Sequence[Sequence[Step]]) -> int | None:
    """Return the epoch of the first training at which the first cut is; None if it is after it."""
    at = iterations[0][0].at if iterations else "end"
    return None if at == "end" else at


@dataclass(frozen=True)
class PruningJob:
    """One network to prune.

    Parameters
    ----------
    model : PrunableModel
        Trained, or where the first step is at an epoch trained up to there.
    data : PruningData
    plan : PruningPlan
    random_state : RandomState
        For criteria that draw, which do so from a copy.
    dense_epochs, dense_seconds : int, float
        What training has cost; noted in the first record.
    progress : callable or None
        Called with each new record.
    retraining : TrainingSettings or None
        Of a model whose training has paused: how it is retrained when that has ended.
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
    retraining: TrainingSettings | None = None
    memory: Memory | None = None
