"""Whether a plan suits a network, its training and its teacher: asked before any training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .._sklearn import InvalidParameterError
from .._validation import check_hidden_layers
from ..criteria import check_criterion
from ..exceptions import UnsupportedNetworkError
from ..pruning import PruningPlan
from ..pruning._granularity import GRANULARITIES
from ..pruning._plan import check_counts_inputs
from ..schedules import Schedule, Step, Surgery, check_schedule
from ..teachers import Teacher
from ..thresholds import Costs, check_threshold
from ._split import Split

__all__ = [
    "check_dense_plan",
    "check_engine",
    "check_epochs",
    "dense_iterations",
    "make_plan",
]


def make_plan(
    estimator,
    widths: tuple[int, ...] | None,
    is_arrays: bool,
    teacher: Teacher | None,
    device: str = "cpu",
) -> PruningPlan:
    """Check criterion, rule and schedule, and whether they suit a network of these widths.

    Of one that is not plain arrays, a model knows better why it has nothing that could go.
    """
    _check_prunes_inputs(estimator, is_arrays)
    check_engine(teacher, is_arrays and device == "cpu")
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
    _check_surgery(estimator, plan.schedule, teacher, device if is_arrays else "cpu")
    if widths is not None and is_arrays:
        check_hidden_layers(widths)
    # How many connections there are is known with the samples, and so is how many inputs.
    if widths and estimator.granularity == "unit" and not estimator.prune_inputs:
        # A schedule for another number of layers raises here, not after the training.
        plan.iterations(widths)
    return plan


def _check_prunes_inputs(estimator, is_arrays: bool) -> None:
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
            f"{cuts}, so that there is no trained network to learn from, and other teachers are "
            "heard in the retraining after a cut: set distillation=None, or take a schedule that "
            "cuts afterwards."
        )


def check_engine(teacher: Teacher | None, has_engine: bool) -> None:
    """Raise for a teacher that only the compiled engine has a loop for, where another trains."""
    if teacher is not None and teacher.needs_engine and not has_engine:
        raise UnsupportedNetworkError(
            f"teacher={teacher} is for dense networks that the compiled engine trains: a "
            'PrunedMLPClassifier with callbacks=None and device="cpu", or an MLPClassifier. For '
            'others, teacher="ensemble" trains several networks too.'
        )


def _check_surgery(estimator, schedule: Schedule, teacher: Teacher | None, device: str) -> None:
    """Raise for a schedule that brings connections back where no loop does that."""
    if not isinstance(schedule, Surgery):
        return
    if estimator.retrain_max_iter == 0 and getattr(schedule.schedule, "epochs", None) is None:
        raise InvalidParameterError(
            f"{schedule} brings connections back in the retraining after a cut, and "
            "retrain_max_iter=0 leaves that out: retrain, or take the schedule inside of it."
        )
    if device != "cpu":
        raise UnsupportedNetworkError(
            f"{schedule} is done on the CPU, and device={device!r}; take device='cpu', or the "
            "schedule inside of it."
        )
    if teacher is not None and teacher.needs_engine:
        raise UnsupportedNetworkError(
            f"{schedule} and teacher={teacher} cannot go together; take another teacher, or the "
            "schedule inside of it."
        )
