"""What a fit is made of: plan, split, train, prune, keep. The estimators say in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from time import perf_counter

import numpy as np
from joblib import Memory

from .._sklearn import InvalidParameterError
from .._validation import check_hidden_layers
from .._warn import warn
from ..criteria import check_criterion
from ..exceptions import PruningInterruptedWarning, UnitsKeptWarning, UnsupportedNetworkError
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
from ..pruning._plan import check_counts_inputs, first_epoch
from ..schedules import Step, check_schedule
from ..teachers import Teacher
from ..teachers._base import Classroom
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
    "check_engine",
    "check_epochs",
    "check_prunes_inputs",
    "choose",
    "classroom",
    "dense_iterations",
    "first_training_of",
    "job_of",
    "learn",
    "learnt_of_the_path",
    "make_plan",
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


def make_plan(estimator, widths: tuple[int, ...] | None, is_arrays: bool) -> PruningPlan:
    """Check criterion, rule and schedule, and whether they suit a network of these widths.

    Of one that is not plain arrays, a model knows better why it has nothing that could go.
    """
    plan = PruningPlan(
        criterion=check_criterion(estimator.criterion),
        threshold=check_threshold(estimator.threshold),
        schedule=check_schedule(estimator.schedule),
        n_iterations=estimator.n_iterations,
        min_units=estimator.min_units,
        compensation=estimator.compensation,
        granularity=GRANULARITIES[estimator.granularity],
    )
    plan.check_parts()
    if widths is not None and is_arrays:
        check_hidden_layers(widths)
    # How many connections there are is known with the samples, and so is how many inputs.
    if widths and estimator.granularity == "unit" and not estimator.prune_inputs:
        # A schedule for another number of layers raises here, not after the training.
        plan.iterations(widths)
    return plan


def check_prunes_inputs(estimator, is_arrays: bool) -> None:
    """Raise where inputs are to be pruned of a network that does not let them go."""
    if not estimator.prune_inputs:
        return
    if not is_arrays:
        raise UnsupportedNetworkError(
            "prune_inputs=True cuts the inputs of dense networks that are held as arrays: those of "
            "a PrunedMLPClassifier with callbacks=None, or of an MLPClassifier in a CAPoZPruner. "
            "A skorch net's module may do anything with its inputs, so that none of them goes."
        )
    if estimator.granularity != "unit":
        raise InvalidParameterError(
            "prune_inputs=True takes inputs away whole, as units, and "
            f"granularity={estimator.granularity!r} takes single weights; take granularity='unit', "
            "or prune_inputs=False."
        )


def _sizes(widths: Sequence[int], split: Split) -> tuple[int, ...]:
    """Return the units of every layer of a dense network, its inputs and outputs included."""
    n_outputs = len(split.classes) if len(split.classes) > 2 else 1  # a logistic one for two
    return (split.data.train.X.shape[1], *widths, n_outputs)


def _connections(sizes: Sequence[int]) -> tuple[int, ...]:
    """Count the weights between layers of these sizes."""
    return tuple(n_in * n_out for n_in, n_out in pairwise(sizes))


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


def dense_iterations(
    estimator, plan: PruningPlan, widths: tuple[int, ...], split: Split
) -> list[tuple[Step, ...]]:
    """List the steps for a dense network of these widths, before it is there."""
    if plan.granularity is GRANULARITIES["connection"]:
        return plan.iterations(_connections(_sizes(widths, split)))
    if estimator.prune_inputs:
        widths = (split.data.train.X.shape[1], *widths)
    return plan.iterations(widths)


def check_dense_plan(estimator, plan: PruningPlan, widths: tuple[int, ...], split: Split) -> None:
    """Raise where a plan does not suit a dense network of these widths, before its training."""
    sizes = _sizes(widths, split)
    connections = _connections(sizes)
    if plan.granularity is GRANULARITIES["connection"]:
        costs = Costs(connections, sum, sum(connections), 0.0)
    else:
        if estimator.prune_inputs:
            check_counts_inputs(plan.criterion, split.data.score.X)
        first, cut = ((), sizes[:-1]) if estimator.prune_inputs else (sizes[:1], widths)

        def multiply_adds(widths: Sequence[int]) -> int:
            return sum(_connections((*first, *widths, sizes[-1])))

        costs = Costs(cut, multiply_adds, sum(connections), 0.0)
    plan.threshold.check_plan(
        dense_iterations(estimator, plan, widths, split), costs, plan.min_units
    )


def check_epochs(estimator, iterations: Sequence[Sequence[Step]], max_epochs: int | None) -> None:
    """Raise where a schedule cuts in the middle of a training that cannot be cut there.

    Parameters
    ----------
    estimator : PrunedMLPClassifier or CAPoZPruner
    iterations : sequence of sequence of Step
    max_epochs : int or None
        Of the first training; None where that cannot pause.
    """
    epochs = [step.at for steps in iterations for step in steps if step.at != "end"]
    if not epochs:
        return
    cuts = f"{estimator.schedule} cuts while the network is trained for the first time"
    if max_epochs is None:
        raise UnsupportedNetworkError(
            f"{cuts}, which cannot be done here: one in a FrozenEstimator is trained already; an "
            "MLPClassifier has to train by solver='adam', or 'sgd' with a constant learning rate, "
            "without early_stopping and verbose; another kind needs an adapter that says "
            "max_epochs and has train_until. Take a schedule that cuts afterwards, 'gradual' for "
            "example."
        )
    if epochs[-1] >= max_epochs:
        raise InvalidParameterError(
            f"{cuts}, the last time after epoch {epochs[-1]}, and that training has {max_epochs} "
            "epochs. Let the schedule end earlier, so that the network learns after it, or train "
            "longer (max_iter, or max_epochs of a skorch net)."
        )
    if estimator.distillation is not None:
        raise InvalidParameterError(
            f"{cuts}, so that there is no trained network to learn from: set distillation=None, "
            "or take a schedule that cuts afterwards."
        )


def check_engine(teacher: Teacher | None, has_engine: bool) -> None:
    """Raise for a teacher that only the compiled engine has a loop for, where another trains."""
    if teacher is not None and teacher.needs_engine and not has_engine:
        raise UnsupportedNetworkError(
            f"teacher={teacher} is for dense networks that the compiled engine trains: a "
            'PrunedMLPClassifier with callbacks=None and device="cpu", or an MLPClassifier. For '
            'others, teacher="ensemble" trains several networks too.'
        )


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
    parts = (data.train, data.score, data.select)
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
