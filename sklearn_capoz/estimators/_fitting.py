"""What a fit is made of: plan, split, train, prune, keep. The estimators say in which order."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from time import perf_counter

from joblib import Memory

from .._validation import check_hidden_layers
from .._warn import warn
from ..criteria import check_criterion
from ..exceptions import PruningInterruptedWarning
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
from ..schedules import check_schedule
from ..thresholds import Costs, check_threshold
from ..training import TrainingSettings
from ..training._samples import Samples
from ._register import Inner
from ._split import Split

__all__ = [
    "Dense",
    "InnerPlan",
    "Plan",
    "check_dense_plan",
    "choose",
    "job_of",
    "learn",
    "learnt_of_the_path",
    "make_plan",
    "prune",
    "train",
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
    inner : Inner or None
        The estimator that CAPoZPruner trains.
    memory : joblib.Memory or None
        Where trained networks and finished iterations are kept.
    """

    pruning: PruningPlan
    is_arrays: bool
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
        With the settings of retraining.
    n_epochs : int
    seconds : float
        What training has cost.
    settings : TrainingSettings
        Of this training.
    fitted : estimator or None
        What the network came from, where that is more than the network.
    """

    model: PrunableModel
    n_epochs: int
    seconds: float
    settings: TrainingSettings
    fitted: object = None


def make_plan(estimator, widths: tuple[int, ...] | None) -> PruningPlan:
    """Check criterion, rule and schedule, and whether they suit a network of these widths."""
    plan = PruningPlan(
        criterion=check_criterion(estimator.criterion),
        threshold=check_threshold(estimator.threshold),
        schedule=check_schedule(estimator.schedule),
        n_iterations=estimator.n_iterations,
        min_units=estimator.min_units,
        compensation=estimator.compensation,
    )
    if widths is not None:
        check_hidden_layers(widths)
        # A schedule for another number of layers raises here, not after the training.
        plan.iterations(widths)
    return plan


def check_dense_plan(plan: PruningPlan, widths: tuple[int, ...], split: Split) -> None:
    """Raise where a plan does not suit a dense network of these widths, before its training."""
    n_outputs = len(split.classes) if len(split.classes) > 2 else 1  # a logistic one for two

    def multiply_adds(widths: Sequence[int]) -> int:
        sizes = (split.data.train.X.shape[1], *widths, n_outputs)
        return sum(n_in * n_out for n_in, n_out in pairwise(sizes))

    costs = Costs(widths, multiply_adds, multiply_adds(widths), 0.0)
    plan.threshold.check_plan(plan.iterations(widths), costs, plan.min_units)


def train(estimator, split: Split, trainer) -> Dense:
    """Time a training, and give its network the settings of retraining and itself as a teacher.

    `trainer` returns the model, its epochs, and the estimator around it or None.
    """
    start = perf_counter()
    model, n_epochs, fitted = trainer()
    teacher = None if estimator.distillation is None else model.logits(split.data.train.X)
    settings = replace(
        model.settings,
        max_iter=estimator.retrain_max_iter,
        learning_rate=estimator.retrain_learning_rate,
        distillation=estimator.distillation or 0.0,
        temperature=estimator.temperature,
    )
    seconds = perf_counter() - start
    return Dense(model.configured(settings, teacher), n_epochs, seconds, model.settings, fitted)


def job_of(plan: Plan, split: Split, dense: Dense) -> PruningJob:
    """Join what was planned, split and trained to what the loop takes."""
    return PruningJob(
        dense.model,
        split.data,
        plan.pruning,
        split.scoring_random,
        dense.n_epochs,
        dense.seconds,
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
    parts = (data.train, data.score, data.select)
    everything = Samples(
        *(joined([getattr(part, name) for part in parts]) for name in ("X", "y", "weight"))
    )
    settings = replace(dense.settings, max_iter=dense.n_epochs, early_stopping=False)
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


def learnt_of_the_path(
    plan: Plan, split: Split, records: Sequence[IterationRecord], iteration: int
) -> dict:
    """Return the attributes that both estimators learn, with one of the iterations kept."""
    history = history_table(records)
    return split.columns | {
        "classes_": split.classes,
        "history_": history,
        "importances_": [list(record.importances) for record in records],
        "support_": list(records[iteration].support),
        "best_iteration_": iteration,
        "compression_rate_": float(history["parameter_ratio"].iloc[iteration]),
        "criterion_": plan.pruning.criterion,
    }


def learn(estimator, learnt: dict, forget=("feature_names_in_",)):
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

    total = estimator.n_iterations + 1
    # Under the bar of a longer work, which tells its own end, it goes when it is done.
    name = str(estimator.criterion)
    with tqdm(total=total, desc=name, unit="iteration", leave=None) as bar:

        def show(record: IterationRecord) -> None:
            units = "-".join(str(width) for width in record.model.widths)
            bar.set_postfix_str(f"units {units}, accuracy {record.accuracy_after:.4f}")
            bar.update()

        yield show
