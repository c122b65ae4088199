"""What a fit is made of: plan, split, train, prune, keep. The estimators say in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from joblib import Memory

from .._warn import warn
from ..exceptions import PruningInterruptedWarning, UnitsKeptWarning
from ..networks._groups import input_group
from ..networks._inputs import joined
from ..pruning import (
    IterationRecord,
    PrunableModel,
    PruningJob,
    PruningPlan,
    choose_iteration,
    history_table,
    prune_together,
)
from ..pruning._granularity import GRANULARITIES
from ..pruning._plan import first_epoch
from ..teachers import Teacher
from ..teachers._base import Classroom
from ..training import TrainingSettings
from ..training._samples import Samples
from ._plan_checks import check_epochs
from ._register import Inner
from ._split import Split

__all__ = [
    "Dense",
    "InnerPlan",
    "Plan",
    "choose",
    "classroom",
    "first_training_of",
    "job_of",
    "learn",
    "learnt_of_the_path",
    "prune",
    "train",
    "warn_of_whole_layers",
]


@dataclass(frozen=True, eq=False)
class Plan:
    """What is known before the first sample is looked at.

    Parameters
    ----------
    pruning : PruningPlan
        Criterion, rule and schedule, checked.
    is_arrays : bool
        Whether networks under pruning are plain arrays, which any process can be sent.
    teacher : Teacher or None
        Who teaches, where anybody does.
    inner : Inner or None
        The estimator that CAPoZPruner trains.
    memory : joblib.Memory or None
        Where trained networks and finished iterations are kept.
    """

    pruning: PruningPlan
    is_arrays: bool
    teacher: Teacher | None
    inner: Inner | None = None
    memory: Memory | None = None


@dataclass(frozen=True, eq=False)
class InnerPlan(Plan):
    """What CAPoZPruner plans: there is always an estimator that it trains."""

    inner: Inner


@dataclass(frozen=True, eq=False)
class Dense:
    """The trained network that pruning begins with.

    Parameters
    ----------
    model : PrunableModel
        With the settings of retraining; or of this training, where it has paused for a cut.
    n_epochs : int
    seconds : float
        What training has cost.
    settings : TrainingSettings
        Of this training; with them the network that is kept is trained on all samples.
    retraining : TrainingSettings
    fitted : estimator or None
        What the network came from, where that is more than the network.
    """

    model: PrunableModel
    n_epochs: int
    seconds: float
    settings: TrainingSettings
    retraining: TrainingSettings
    fitted: object = None


def warn_of_whole_layers(plan: Plan, model: PrunableModel) -> None:
    """Say which layers lose no unit and why, where a model knows of any but the last one."""
    if plan.pruning.granularity is not GRANULARITIES["unit"]:
        return
    layers: dict[str, list[str]] = {}
    for name, why in getattr(model, "kept_whole", {}).items():
        layers.setdefault(why, []).append(repr(name))
    if layers:
        told = "; ".join(f"{', '.join(names)}, as {why}" for why, names in layers.items())
        warn(f"The units of some layers all stay: those of {told}.", UnitsKeptWarning)


def classroom(
    estimator, split: Split, untrained: Callable[[np.random.RandomState], PrunableModel]
) -> Classroom:
    """Return where teachers work; `untrained` makes networks like the one to prune."""
    return Classroom(
        split.data,
        untrained,
        split.teaching_random,
        split.lessons,
        estimator.distillation or 0.0,
        estimator.temperature,
    )


def train(estimator, plan: Plan, room: Classroom, trainer) -> Dense:
    """Time a training, and give its network the settings of retraining and its teacher.

    `trainer` returns the model, its epochs, and the estimator around it or None. A training that
    has paused for a cut goes on with its own settings, and has taught nobody yet.
    """
    start, lesson = perf_counter(), None
    model, n_epochs, fitted = trainer()
    if plan.teacher is not None:
        model, lesson = plan.teacher.after(model, room)
    if estimator.prune_inputs:
        model = model.with_inputs()
    iterations = plan.pruning.iterations(plan.pruning.granularity.widths(model))
    if first_epoch(iterations) != model.settings.pause_at:  # it was trained to its end
        check_epochs(estimator, iterations, None)
    zeros_stay = estimator.granularity == "connection"
    settings = replace(model.settings, pause_at=None, zeros_stay=zeros_stay)
    retraining = replace(
        settings,
        max_iter=estimator.retrain_max_iter,
        learning_rate=estimator.retrain_learning_rate,
        distillation=room.share,
        temperature=room.temperature,
    )
    if model.settings.pause_at is None:
        logits = None if lesson is None else lesson.logits(room.data.train)
        model = model.configured(retraining, logits)
    return Dense(model, n_epochs, perf_counter() - start, settings, retraining, fitted)


def job_of(plan: Plan, split: Split, dense: Dense) -> PruningJob:
    """Join what was planned, split and trained to what the loop takes."""
    return PruningJob(
        dense.model,
        split.data,
        plan.pruning,
        split.scoring_random,
        dense.n_epochs,
        dense.seconds,
        retraining=dense.retraining,
        memory=plan.memory,
    )


def prune(estimator, plan: Plan, split: Split, dense: Dense) -> list[IterationRecord]:
    """Walk all iterations, with a bar where the estimator is verbose."""
    with _progress(estimator) as progress:
        return prune_together([replace(job_of(plan, split, dense), progress=progress)])[0]


def choose(
    estimator, plan: Plan, split: Split, dense: Dense, records: Sequence[IterationRecord]
) -> tuple[int, PrunableModel]:
    """Choose an iteration as `keep` says; return it and its network, trained on all samples.

    The samples set aside have scored the units and chosen the iteration, and have nothing more to
    do: what is left out of the last training is lost to the model. The last training takes as many
    epochs as the first one took, so that nothing has to be set aside to end it. "last" is the
    paper's rule, which leaves the network as the loop does.
    """
    iteration = choose_iteration(records, estimator.keep, estimator.tolerance)
    model, data = records[iteration].model, split.data
    is_untouched = iteration == 0 and plan.inner is not None and plan.inner.is_frozen
    leaves_all = estimator.keep == "last" or estimator.retrain_max_iter == 0
    if leaves_all or is_untouched or not split.sets_aside:
        return iteration, model
    parts = data.to_train_on()
    everything = Samples(
        *(joined([getattr(part, name) for part in parts]) for name in ("X", "y", "weight"))
    )
    n_epochs, _ = first_training_of(plan, dense, records)
    # No teacher: the dense network, which has seen fewer samples than these, costs accuracy here.
    settings = replace(dense.settings, max_iter=n_epochs, early_stopping=False, distillation=0.0)
    last = model.configured(settings, teacher=None)
    try:
        [(last, _)] = type(last).train_together([last], [replace(data, train=everything)])
    except KeyboardInterrupt:
        warn(
            "The last training, on all samples, was interrupted; the network before it is kept.",
            PruningInterruptedWarning,
        )
        return iteration, model
    return iteration, last


def first_training_of(
    plan: Plan, dense: Dense, records: Sequence[IterationRecord]
) -> tuple[int, list[float]]:
    """Return the epochs and losses of the first training, with those between cuts in its middle."""
    iterations = plan.pruning.iterations(plan.pruning.granularity.widths(dense.model))
    n_cuts = sum(steps[0].at != "end" for steps in iterations)
    within = records[: n_cuts + 1]
    n_epochs = sum(record.n_epochs for record in within)
    return n_epochs, list(within[-1].model.loss_curve)


def learnt_of_the_path(
    plan: Plan, split: Split, records: Sequence[IterationRecord], iteration: int
) -> dict:
    """Return the attributes that both estimators learn, with one of the iterations kept."""
    history = history_table(records, plan.pruning.granularity)
    importances = [list(record.importances) for record in records]
    support = list(records[iteration].support)
    of_inputs = {}
    if (inputs := input_group(records[0].model.groups)) is not None:
        support.pop(inputs)
        of_inputs["input_importances_"] = [scores.pop(inputs) for scores in importances]
    columns = getattr(records[iteration].model, "inputs", None)
    if columns is not None:
        of_inputs["input_support_"] = columns
    return (
        split.columns
        | of_inputs
        | {
            "classes_": split.classes,
            "history_": history,
            "importances_": importances,
            "support_": support,
            "best_iteration_": iteration,
            "compression_rate_": float(history["parameter_ratio"].iloc[iteration]),
            "criterion_": plan.pruning.criterion,
        }
    )


def learn(
    estimator,
    learnt: dict,
    forget=("feature_names_in_", "input_support_", "input_importances_"),
):
    """Set all that an estimator has learnt in one step, which no interrupt can cut in half.

    What the old and the new have in common is replaced; `forget` names what the old may have and
    the new may lack.
    """
    others = {name: value for name, value in vars(estimator).items() if name not in forget}
    estimator.__dict__ = others | learnt
    return estimator


@contextmanager
def _progress(estimator):
    """Yield what is called after each iteration: a tqdm bar when verbose, else nothing."""
    if not estimator.verbose:
        yield None
        return
    from tqdm.auto import tqdm

    total, what = estimator.n_iterations + 1, GRANULARITIES[estimator.granularity]
    # Under the bar of a longer work, which tells its own end, it goes when it is done.
    name = str(estimator.criterion)
    with tqdm(total=total, desc=name, unit="iteration", leave=None) as bar:

        def show(record: IterationRecord) -> None:
            left = "-".join(str(width) for width in what.widths(record.model))
            bar.set_postfix_str(f"{what.noun}s {left}, accuracy {record.accuracy_after:.4f}")
            bar.update()

        yield show
