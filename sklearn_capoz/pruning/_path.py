"""One network on its way through the iterations: score, decide and cut, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from .._warn import warn
from ..exceptions import NoCorrectSampleError, PruningStalledWarning
from ..networks._groups import input_group
from ..schedules import Step
from ..thresholds import Costs, Count, Decision
from ._model import PrunableModel, accuracy, copy_generator
from ._plan import PruningJob, PruningPlan, check_counts_inputs
from ._records import IterationRecord

__all__ = ["Path"]


class Path:
    """A job, the iterations that are done, and the one at hand.

    A step is done by `cut`, by training the network where that says so, which is up to the caller
    as others may train beside it, and by `end_step`. What an interrupt leaves unfinished is only
    ever the iteration at hand: `records` holds those that are done.

    Parameters
    ----------
    job : PruningJob

    Attributes
    ----------
    records : list of IterationRecord
    ended : bool
    new : IterationRecord
        The iteration at hand.
    """

    def __init__(self, job: PruningJob):
        self.job = job
        self.random_state = copy_generator(job.random_state)
        self.iterations = job.plan.check(job.model)
        if input_group(job.model.groups) is not None:
            check_counts_inputs(job.plan.criterion, job.data.score.X)
        # For each step the epoch at which the next one is, or None where that trains to its end.
        steps = [step for steps in self.iterations for step in steps]
        self.pauses = [*(None if step.at == "end" else step.at for step in steps[1:]), None]
        self.records = [_dense_record(job)]
        self._report()
        self._begin()

    def _begin(self) -> None:
        """Begin the next iteration, if the schedule has one; no step has changed anything yet."""
        last, n_done = self.records[-1], len(self.records) - 1
        self.ended = n_done == len(self.iterations)
        if self.ended:
            return
        self.start = perf_counter()
        self.steps = list(self.iterations[n_done])
        self.scored = last  # the last record, with the scores that its units get now
        self.new = replace(
            last,
            iteration=last.iteration + 1,
            n_pruned=(0,) * len(last.support),
            accuracy_before=last.accuracy_after,
            n_epochs=0,
            **_no_scores(len(last.support)),
        )

    def cut(self) -> bool:
        """Score and cut as the next step says; return whether the network is to be trained.

        Where something went; and in any case where the step is in the middle of the first training.
        """
        step, plan = self.steps.pop(0), self.job.plan
        pause, in_training = self.pauses.pop(0), step.at != "end"
        self.ends_training = in_training and pause is None
        model, support = self.new.model, list(self.new.support)
        try:
            scores = self._score(model, step.groups)
        except NoCorrectSampleError:
            if model is self.job.model:  # nothing is pruned yet: the user is to know
                raise
            self.records[-1] = self.scored
            self._stop(
                f"Pruning stopped after iteration {self.new.iteration - 1}: the network now labels "
                f"no scoring sample right, so {plan.criterion} has no value. The iterations so far "
                'are kept; prune less at a time, retrain longer, or let keep="best" choose among '
                "them."
            )
            return False
        progress, what = self.new.iteration / len(self.iterations), plan.granularity
        decisions = _decide(scores, plan, step, what.costs(model, self.job.model, progress))
        self.scored = _with_scores(self.scored, scores, decisions)
        n_pruned = list(self.new.n_pruned)
        for group, (keep, _) in decisions.items():
            if keep.all():
                continue
            # `support` counts the dense network's units, `keep` those that were left of them.
            support[group] = support[group].copy()
            support[group][support[group]] = keep
            change = what.change(what.names(model)[group], keep, support[group], step.surgery)
            model = model.apply(change, plan.compensation, self.job.data.score)
            n_pruned[group] += int((~keep).sum())
        if step.regrow:
            names = [what.names(model)[group] for group in step.groups]
            for change in what.exchanges(model, names, step.regrow, self.job.data.score):
                change = replace(change, surgery=step.surgery)
                model = model.apply(change, None, self.job.data.score)
            support = list(what.support(model, support))
        if in_training:
            model = model.until(pause)
        if model is self.new.model:
            return False
        self.new = replace(
            self.new,
            model=model,
            support=tuple(support),
            n_pruned=tuple(n_pruned),
            accuracy_before=accuracy(model, self.job.data.select),
        )
        return True

    def trained(self, model: PrunableModel, n_epochs: int) -> None:
        """Go on with the network that was trained after a cut."""
        if self.ends_training and self.job.retraining is not None:
            model = model.configured(self.job.retraining, None)
        self.new = replace(
            self.new,
            model=model,
            support=self.job.plan.granularity.support(model, self.new.support),
            n_epochs=self.new.n_epochs + n_epochs,
            accuracy_after=accuracy(model, self.job.data.select),
        )

    def end_step(self) -> None:
        """Record the iteration after its last step, and begin the next one."""
        if self.ended or self.steps:
            return
        n_done = len(self.records) - 1
        self.new = replace(self.new, seconds=perf_counter() - self.start)
        self.records[-1:] = [self.scored, self.new]
        self._report()
        stall = _stall(self.new, self.iterations[n_done], self.job.plan)
        if stall is None:
            self._begin()
        else:
            self._stop(stall)

    def score_last(self) -> None:
        """Score the last network too, which no further iteration has looked at."""
        last = self.records[-1]
        missing = [i for i, scores in enumerate(last.importances) if scores.size == 0]
        if not missing:
            return
        try:
            scores = self._score(last.model, missing)
        except NoCorrectSampleError:
            # Too far pruned to get anything right; it is recorded all the same.
            return
        decisions = {}
        if all(step.units is None for steps in self.iterations for step in steps):
            costs = self.job.plan.granularity.costs(last.model, self.job.model, 1.0)
            decisions = _decide(scores, self.job.plan, Step(tuple(missing)), costs)
        self.records[-1] = _with_scores(last, scores, decisions)

    def _score(self, model: PrunableModel, groups: Iterable[int]) -> dict[int, np.ndarray]:
        plan, samples = self.job.plan, self.job.data.score
        names = plan.granularity.names(model)
        wanted = [names[group] for group in groups]
        scores = plan.granularity.score(model, plan.criterion, samples, self.random_state, wanted)
        return {names.index(name): own for name, own in scores.items()}

    def _stop(self, why: str) -> None:
        """End the path before its time."""
        self.ended = True
        warn(why, PruningStalledWarning)

    def _report(self) -> None:
        if self.job.progress is not None:
            self.job.progress(self.records[-1])


def _dense_record(job: PruningJob) -> IterationRecord:
    support = job.plan.granularity.support(job.model)
    reached = accuracy(job.model, job.data.select)
    return IterationRecord(
        iteration=0,
        model=job.model,
        support=support,
        n_pruned=(0,) * len(support),
        accuracy_before=reached,
        accuracy_after=reached,
        n_epochs=job.dense_epochs,
        seconds=job.dense_seconds,
        **_no_scores(len(support)),
    )


def _no_scores(n_groups: int) -> dict:
    return {"importances": (np.empty(0),) * n_groups, "thresholds": (np.nan,) * n_groups}


def _decide(
    scores: dict[int, np.ndarray], plan: PruningPlan, step: Step, costs: Costs | None
) -> dict[int, Decision]:
    """Decide what stays of each group of a step: once, to cut by and to show."""
    how: dict[str, Any] = {"prune_high": plan.criterion.prune_high, "min_units": plan.min_units}
    if step.units is None:
        own = {group: scores[group] for group in step.groups}
        return plan.threshold.decide_groups(own, **how, costs=costs)
    return {
        group: Count(max(scores[group].size - units, 0)).decide(scores[group], **how)
        for group, units in zip(step.groups, step.units, strict=True)
    }


def _with_scores(
    record: IterationRecord, scores: dict[int, np.ndarray], decisions: dict[int, Decision]
) -> IterationRecord:
    """Note what groups of a record's network scored, and the thresholds of the decisions."""
    importances, thresholds = list(record.importances), list(record.thresholds)
    for group, values in scores.items():
        if importances[group].size:  # a second step of an iteration sees what the first has left
            continue
        importances[group] = values
        if group in decisions:
            thresholds[group] = decisions[group].threshold
    return replace(record, importances=tuple(importances), thresholds=tuple(thresholds))


def _stall(new: IterationRecord, steps: Sequence[Step], plan: PruningPlan) -> str | None:
    """Say why pruning cannot go on after an iteration, or None where it can."""
    # A step that has nothing to do is not the end where the schedule says how many units stay, nor
    # where the network goes on to learn.
    if any(new.n_pruned) or any(step.units is not None or step.at != "end" for step in steps):
        return None
    stopped, what = f"Pruning stopped in iteration {new.iteration}: ", plan.granularity
    widths = what.widths(new.model)
    if all(widths[group] <= plan.min_units for step in steps for group in step.groups):
        return (
            f"{stopped}no layer has more than min_units={plan.min_units} {what.noun}s left; the "
            f"{what.counts} are {widths}."
        )
    return (
        f"{stopped}{plan.threshold} finds no {what.noun} to remove by {plan.criterion}. A rule "
        "that counts, as Fraction(0.25), always does."
    )
