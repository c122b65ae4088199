"""The loop that joins criterion, threshold rule, schedule and surgery.

`prune` walks one network, `prune_together` walks several in step, so that
those that are retrained at the same time can be trained side by side. Both
estimators, the path and the search call them and hold no arithmetic themselves.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

import numpy as np
import pandas as pd

from ._samples import PruningData, Samples
from .criteria import Criterion, Layer
from .exceptions import NoCorrectSampleError, PruningStalledWarning
from .schedules import Schedule, Step
from .thresholds import Count, ThresholdRule

__all__ = [
    "IterationRecord",
    "PrunableModel",
    "PruningPlan",
    "accuracy",
    "choose_iteration",
    "history_table",
    "prune",
    "prune_together",
]


class PrunableModel(Protocol):
    """What the loop asks of a network; surgery returns a new one."""

    @property
    def widths(self) -> tuple[int, ...]: ...

    @property
    def n_parameters(self) -> int: ...

    @property
    def n_bytes(self) -> int: ...

    def layers(
        self, samples: Samples, gradients: bool, random_state: np.random.RandomState
    ) -> list[Layer]: ...

    def cut(
        self, layer: int, keep: np.ndarray, compensation: str | None, samples: Samples
    ) -> PrunableModel: ...

    def predicted_codes(self, X: np.ndarray) -> np.ndarray: ...

    @classmethod
    def retrain_together(
        cls, models: Sequence, data: Sequence[PruningData]
    ) -> Sequence[tuple[PrunableModel, int]]: ...


@dataclass(frozen=True)
class PruningPlan:
    """How to prune: the parts, and how often."""

    criterion: Criterion
    threshold: ThresholdRule
    schedule: Schedule
    n_iterations: int
    min_units: int = 1
    compensation: str | None = None


@dataclass(frozen=True, eq=False)
class IterationRecord:
    """One iteration of pruning, 0 is the dense network.

    Parameters
    ----------
    iteration : int
    model : PrunableModel
        The network after this iteration's retraining.
    support : tuple of ndarray of bool
        Per hidden layer, which units of the dense network remain.
    n_pruned : tuple of int
        Per hidden layer, units removed to make this network.
    accuracy_before, accuracy_after : float
        On the samples set aside for choosing, before and after retraining.
    n_epochs : int
        Of this iteration's retraining.
    seconds : float
        Scoring, surgery and retraining.
    importances : tuple of ndarray
        Per hidden layer, the scores of this network's units.
    thresholds : tuple of float
        Per hidden layer, what the rule makes of these scores: units beyond it
        go in the next iteration.
    """

    iteration: int
    model: PrunableModel
    support: tuple[np.ndarray, ...]
    n_pruned: tuple[int, ...]
    accuracy_before: float
    accuracy_after: float
    n_epochs: int
    seconds: float
    importances: tuple[np.ndarray, ...]
    thresholds: tuple[float, ...]


def prune(
    model: PrunableModel,
    data: PruningData,
    plan: PruningPlan,
    *,
    random_state: np.random.RandomState,
    dense_epochs: int = 0,
    dense_seconds: float = 0.0,
    progress: Callable[[IterationRecord], object] | None = None,
) -> list[IterationRecord]:
    """Prune one trained network and return a record per iteration, from 0 on.

    An interrupt (Ctrl-C) ends the loop and keeps the iterations that are done.
    """
    job = PruningJob(model, data, plan, random_state, dense_epochs, dense_seconds, progress)
    return prune_together([job])[0]


@dataclass(frozen=True)
class PruningJob:
    """One walk among those of `prune_together`; see `prune` for the fields."""

    model: PrunableModel
    data: PruningData
    plan: PruningPlan
    random_state: np.random.RandomState
    dense_epochs: int = 0
    dense_seconds: float = 0.0
    progress: Callable[[IterationRecord], object] | None = None


def prune_together(jobs: Sequence[PruningJob]) -> list[list[IterationRecord]]:
    """Prune several networks in step; those that retrain at the same time train together."""
    results: list[list[IterationRecord]] = [[] for _ in jobs]
    walks = {i: _walk(job, results[i]) for i, job in enumerate(jobs)}
    answers: dict[int, tuple[PrunableModel, int] | None] = dict.fromkeys(walks)
    try:
        while walks:
            requests = {}
            for i, walk in list(walks.items()):
                try:
                    requests[i] = walk.send(answers[i])
                except StopIteration:
                    del walks[i]
            if requests:
                models = list(requests.values())
                data = [jobs[i].data for i in requests]
                retrained = type(models[0]).retrain_together(models, data)
                answers = dict(zip(requests, retrained, strict=True))
    except KeyboardInterrupt:
        if not all(results):
            raise
        warnings.warn(
            "Pruning was interrupted; the iterations that were done are kept.", stacklevel=3
        )
    for job, records in zip(jobs, results, strict=True):
        records[-1] = _complete_scores(records[-1], job)
    return results


def _walk(
    job: PruningJob, records: list[IterationRecord]
) -> Generator[PrunableModel, tuple[PrunableModel, int] | None, None]:
    """Score and cut, and yield the network whenever it is to be retrained."""
    model, data, plan = job.model, job.data, job.plan
    support = tuple(np.ones(width, dtype=bool) for width in model.widths)

    def record(**changed):
        unscored = (np.empty(0),) * len(support), (np.nan,) * len(support)
        records.append(
            IterationRecord(
                model=model,
                support=support,
                importances=unscored[0],
                thresholds=unscored[1],
                **changed,
            )
        )
        if job.progress is not None:
            job.progress(records[-1])

    current = accuracy(model, data.select)
    record(
        iteration=0,
        n_pruned=(0,) * len(support),
        accuracy_before=current,
        accuracy_after=current,
        n_epochs=job.dense_epochs,
        seconds=job.dense_seconds,
    )
    iterations = plan.schedule.iterations(model.widths, plan.n_iterations)
    for iteration, steps in enumerate(iterations, start=1):
        start, epochs, before = perf_counter(), 0, current
        n_pruned = np.zeros(len(support), dtype=int)
        for step in steps:
            scores = _score(model, data.score, plan.criterion, job.random_state)
            keeps = _decide(scores, plan, step)
            records[-1] = _with_scores(records[-1], scores, plan, step.layers)
            for layer, keep in keeps.items():
                n_pruned[layer] += (~keep).sum()
                model = model.cut(layer, keep, plan.compensation, data.score)
                support = _shrink(support, layer, keep)
            if keeps:
                before = accuracy(model, data.select)
                answer = yield model
                assert answer is not None
                model, epochs_now = answer
                epochs += epochs_now
        current = accuracy(model, data.select) if epochs else before
        record(
            iteration=iteration,
            n_pruned=tuple(int(n) for n in n_pruned),
            accuracy_before=before,
            accuracy_after=current,
            n_epochs=epochs,
            seconds=perf_counter() - start,
        )
        if not n_pruned.any() and all(step.widths is None for step in steps):
            warnings.warn(
                f"Pruning stopped in iteration {iteration}: {plan.threshold} finds no unit to "
                f"remove by {plan.criterion}. A rule that counts, as Fraction(0.25), always does.",
                PruningStalledWarning,
                stacklevel=2,
            )
            break


def _score(
    model: PrunableModel, samples: Samples, criterion: Criterion, random_state
) -> list[np.ndarray]:
    layers = model.layers(samples, criterion.needs_gradients, random_state)
    return [np.asarray(criterion.score(layer)) for layer in layers]


def _decide(scores: list[np.ndarray], plan: PruningPlan, step: Step) -> dict[int, np.ndarray]:
    """Decide what stays, for each layer of the step that loses a unit."""
    keeps = {}
    for position, layer in enumerate(step.layers):
        rule = plan.threshold
        if step.widths is not None:
            rule = Count(max(scores[layer].size - step.widths[position], 0))
        keep = rule.decide(
            scores[layer], prune_high=plan.criterion.prune_high, min_units=plan.min_units
        ).keep
        if not keep.all():
            keeps[layer] = keep
    return keeps


def _with_scores(
    record: IterationRecord, scores: list[np.ndarray], plan: PruningPlan, layers: Iterable[int]
) -> IterationRecord:
    """Note what some layers of a record's network scored, and the rule's threshold."""
    importances, thresholds = list(record.importances), list(record.thresholds)
    for layer in layers:
        importances[layer] = scores[layer]
        thresholds[layer] = plan.threshold.decide(
            scores[layer], prune_high=plan.criterion.prune_high
        ).threshold
    return replace(record, importances=tuple(importances), thresholds=tuple(thresholds))


def _complete_scores(record: IterationRecord, job: PruningJob) -> IterationRecord:
    """Score the last network too, which no further iteration has looked at."""
    missing = [i for i, scores in enumerate(record.importances) if scores.size == 0]
    try:
        scores = _score(record.model, job.data.score, job.plan.criterion, job.random_state)
    except NoCorrectSampleError:
        # Too far pruned to get anything right; it is recorded all the same.
        return record
    return _with_scores(record, scores, job.plan, missing)


def _shrink(support: tuple[np.ndarray, ...], layer: int, keep: np.ndarray) -> tuple:
    """Mark in `support`, which counts the dense network's units, those that stay."""
    remaining = support[layer].copy()
    remaining[np.flatnonzero(remaining)[~keep]] = False
    return (*support[:layer], remaining, *support[layer + 1 :])


def accuracy(model: PrunableModel, samples: Samples) -> float:
    """Weighted share of the samples that the network labels right."""
    right = model.predicted_codes(samples.X) == samples.y
    return float(np.average(right, weights=samples.weight))


def choose_iteration(records: Sequence[IterationRecord], keep: str, tolerance: float) -> int:
    """Index of the iteration to keep.

    Parameters
    ----------
    records : sequence of IterationRecord
    keep : {"last", "best", "smallest"}
        "best" is the highest accuracy after retraining, "smallest" the fewest
        parameters within `tolerance` of it; of equal ones the later, which is
        the smaller network.
    tolerance : float
        In accuracy, 0..1.
    """
    if keep == "last":
        return len(records) - 1
    reached = np.array([record.accuracy_after for record in records])
    allowed = reached.max() - (tolerance if keep == "smallest" else 0.0)
    return int(np.flatnonzero(reached >= allowed - 1e-12)[-1])


def history_table(records: Sequence[IterationRecord]) -> pd.DataFrame:
    """Return the records as a table with a row per iteration, all columns plain numbers."""
    dense = records[0].model
    rows = []
    for record in records:
        model = record.model
        row = {
            "iteration": record.iteration,
            "n_units": sum(model.widths),
            "n_parameters": model.n_parameters,
            "n_bytes": model.n_bytes,
            "unit_ratio": sum(dense.widths) / sum(model.widths),
            "parameter_ratio": dense.n_parameters / model.n_parameters,
            "bytes_ratio": dense.n_bytes / model.n_bytes,
        }
        for layer, width in enumerate(model.widths):
            row[f"n_units_{layer}"] = width
            row[f"n_pruned_{layer}"] = record.n_pruned[layer]
            row[f"threshold_{layer}"] = record.thresholds[layer]
        row |= {
            "accuracy_before": record.accuracy_before,
            "accuracy_after": record.accuracy_after,
            "n_epochs": record.n_epochs,
            "seconds": record.seconds,
        }
        rows.append(row)
    return pd.DataFrame(rows)
