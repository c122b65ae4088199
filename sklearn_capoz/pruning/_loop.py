"""The loop that joins criterion, threshold rule, schedule and surgery.

`prune_together` walks along the iterations of one network or of several in
step, so that those that are retrained at the same time train side by side. Both
estimators, the path and the search call it and hold no arithmetic themselves.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

import numpy as np
import pandas as pd
from joblib import Memory

from ..criteria import Criterion, Layer
from ..criteria._base import unit_scores
from ..exceptions import NoCorrectSampleError, PruningStalledWarning
from ..schedules import Schedule, Step
from ..thresholds import Count, ThresholdRule
from ..training._samples import PruningData, Samples

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
        On the samples set aside for choosing, before and after retraining. Where
        an iteration retrains several times, before and after the last of these.
    n_epochs : int
        Of this iteration's retraining.
    seconds : float
        Scoring, surgery and retraining.
    importances : tuple of ndarray
        Per hidden layer, the scores of this network's units.
    thresholds : tuple of float
        Per hidden layer, what the rule makes of these scores: units beyond it
        go in the next iteration. NaN where the rule counts, or is not asked as
        the schedule names the widths.
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
        For criteria that draw.
    dense_epochs, dense_seconds : int, float
        What training has cost; noted in the first record.
    progress : callable or None
        Called with each new record.
    memory : joblib.Memory or None
        Where iterations are looked up that an earlier run has done; such a
        network is retrained on its own.
    """

    model: PrunableModel
    data: PruningData
    plan: PruningPlan
    random_state: np.random.RandomState
    dense_epochs: int = 0
    dense_seconds: float = 0.0
    progress: Callable[[IterationRecord], object] | None = None
    memory: Memory | None = None


def prune_together(
    jobs: Sequence[PruningJob], *, keep_interrupted: bool = True
) -> list[list[IterationRecord]]:
    """Prune trained networks in step; those that retrain at the same time train together.

    Returns the records of each, a record per iteration from 0 on. An interrupt
    (Ctrl-C) ends the loop and keeps the iterations that are done, or goes on to
    the caller where paths that were cut off are of no use.
    """
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
        if not (keep_interrupted and all(results)):
            raise
        warnings.warn(
            "Pruning was interrupted; the iterations that were done are kept.", stacklevel=3
        )
    for job, records in zip(jobs, results, strict=True):
        records[-1] = _complete_scores(records[-1], job)
    return results


def _walk(job: PruningJob, records: list[IterationRecord]):
    """Go through the iterations, and yield the network whenever it is to be retrained."""
    model, plan, random_state = job.model, job.plan, job.random_state
    records.append(_dense_record(job))
    _report(job, records)
    for steps in plan.schedule.iterations(model.widths, plan.n_iterations):
        last = records[-1]
        if job.memory is None:
            scored, new, _ = yield from _iterate(last, steps, job.data, plan, random_state)
        else:
            # Neither what is to come nor how long it took makes an iteration another one.
            scored, new, drawn_from = job.memory.cache(_iterate_alone)(
                replace(last, seconds=0.0),
                steps,
                job.data,
                replace(plan, n_iterations=0),
                random_state,
            )
            # What comes next draws from where the iteration that was looked up has stopped.
            random_state.set_state(drawn_from.get_state())
        records[-1] = replace(scored, seconds=last.seconds)
        if new is not None:
            records.append(new)
            _report(job, records)
        stall = _stall(last, new, steps, plan)
        if stall is not None:
            warnings.warn(stall, PruningStalledWarning, stacklevel=2)
            break


def _stall(
    last: IterationRecord, new: IterationRecord | None, steps: Sequence[Step], plan: PruningPlan
) -> str | None:
    """Say why pruning cannot go on after an iteration, which is None if it could not be done."""
    if new is None:
        return (
            f"Pruning stopped after iteration {last.iteration}: the network now labels no scoring "
            f"sample right, so {plan.criterion} has no value. The iterations so far are kept; "
            'prune less at a time, retrain longer, or let keep="best" choose among them.'
        )
    if any(new.n_pruned) or any(step.widths is not None for step in steps):
        return None
    stopped, widths = f"Pruning stopped in iteration {new.iteration}: ", new.model.widths
    if all(widths[layer] <= plan.min_units for step in steps for layer in step.layers):
        return (
            f"{stopped}no layer has more than min_units={plan.min_units} units left; the widths "
            f"are {widths}."
        )
    return (
        f"{stopped}{plan.threshold} finds no unit to remove by {plan.criterion}. A rule that "
        "counts, as Fraction(0.25), always does."
    )


def _report(job: PruningJob, records: list[IterationRecord]) -> None:
    if job.progress is not None:
        job.progress(records[-1])


def _dense_record(job: PruningJob) -> IterationRecord:
    widths = job.model.widths
    reached = accuracy(job.model, job.data.select)
    return IterationRecord(
        iteration=0,
        model=job.model,
        support=tuple(np.ones(width, dtype=bool) for width in widths),
        n_pruned=(0,) * len(widths),
        accuracy_before=reached,
        accuracy_after=reached,
        n_epochs=job.dense_epochs,
        seconds=job.dense_seconds,
        **_no_scores(len(widths)),
    )


def _iterate(
    last: IterationRecord,
    steps: Sequence[Step],
    data: PruningData,
    plan: PruningPlan,
    random_state: np.random.RandomState,
):
    """Do one iteration: return the last record with its scores, the new record, the generator.

    There is no new record, None, if units cannot be scored as no sample is labelled right; for
    the dense network, which a path begins with, that is an error.
    """
    start, epochs, reached, scored = perf_counter(), 0, last.accuracy_after, last
    model, support, before = last.model, last.support, reached
    n_pruned = np.zeros(len(support), dtype=int)
    for step in steps:
        try:
            scores = _score(model, data.score, plan.criterion, random_state)
        except NoCorrectSampleError:
            if last.iteration == 0 and model is last.model:
                raise
            return scored, None, random_state
        keeps = _decide(scores, plan, step)
        scored = _with_scores(scored, scores, plan, step.layers, step.widths is None)
        for layer, keep in keeps.items():
            n_pruned[layer] += (~keep).sum()
            model = model.cut(layer, keep, plan.compensation, data.score)
            support = _shrink(support, layer, keep)
        if keeps:
            before = accuracy(model, data.select)
            model, epochs_now = yield model
            epochs += epochs_now
            reached = accuracy(model, data.select)
    new = replace(
        last,
        iteration=last.iteration + 1,
        model=model,
        support=support,
        n_pruned=tuple(int(n) for n in n_pruned),
        accuracy_before=before,
        accuracy_after=reached,
        n_epochs=epochs,
        seconds=perf_counter() - start,
        **_no_scores(len(support)),
    )
    return scored, new, random_state


def _iterate_alone(last, steps, data, plan, random_state):
    """Do one iteration with a network that is retrained on its own; what a cache stores."""
    iteration = _iterate(*deepcopy((last, steps, data, plan, random_state)))
    answer = None
    while True:
        try:
            model = iteration.send(answer)
        except StopIteration as stop:
            return stop.value
        answer = type(model).retrain_together([model], [data])[0]


def _no_scores(n_layers: int) -> dict:
    return {"importances": (np.empty(0),) * n_layers, "thresholds": (np.nan,) * n_layers}


def _score(
    model: PrunableModel, samples: Samples, criterion: Criterion, random_state
) -> list[np.ndarray]:
    layers = model.layers(samples, criterion.needs_gradients, random_state)
    return [unit_scores(criterion, layer) for layer in layers]


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
    record: IterationRecord,
    scores: list[np.ndarray],
    plan: PruningPlan,
    layers: Iterable[int],
    rule_decides: bool,
) -> IterationRecord:
    """Note what some layers of a record's network scored, and the threshold where there is one."""
    importances, thresholds = list(record.importances), list(record.thresholds)
    for layer in layers:
        importances[layer] = scores[layer]
        if rule_decides:
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
    iterations = job.plan.schedule.iterations(job.model.widths, job.plan.n_iterations)
    rule_decides = all(step.widths is None for steps in iterations for step in steps)
    return _with_scores(record, scores, job.plan, missing, rule_decides)


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
