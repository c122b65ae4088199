"""A net that was trained before is trained again as if for the first time, or goes on.

skorch counts on: a learning-rate schedule goes on from the last epoch, where OneCycleLR has no
step left and StepLR has decayed to nothing; the best score so far is that of the network before
the cut, so that `Checkpoint` brings back widths that are gone. When a net is retrained after a cut
all of it begins anew. When it is cut in the middle of its training, learning-rate schedules alone
go on, as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from skorch.history import History
from torch.optim.lr_scheduler import OneCycleLR

from ._task import TrainingSettings

__all__ = ["begun_anew", "gone_on"]


@contextmanager
def begun_anew(net: NeuralNetClassifier, settings: TrainingSettings) -> Iterator[None]:
    """Put a net's history aside and its learning rates back while it is trained again."""
    past = net.history_
    if not past:
        yield
        return
    schedulers = [part for _, part in net.callbacks_ if isinstance(part, LRScheduler)]
    one_cycles = [part for part in schedulers if part.policy_ is OneCycleLR]
    own = [dict(vars(part)) for part in one_cycles]
    if schedulers:
        _reset_rates(net)
    for part in one_cycles:
        _fit_one_cycle(part, past, settings)
    try:
        with _history_aside(net):
            yield
    finally:
        for part, values in zip(one_cycles, own, strict=True):
            for name in ("total_steps", "epochs", "steps_per_epoch"):
                vars(part).pop(name, None)
                if name in values:
                    setattr(part, name, values[name])


@contextmanager
def gone_on(net: NeuralNetClassifier) -> Iterator[None]:
    """Let the learning rates of a net that has paused go on; its history is put aside."""
    schedulers = [part for _, part in net.callbacks_ if isinstance(part, LRScheduler)]
    for part in schedulers:
        _follow(part.lr_scheduler_, net.optimizer_)
        # Where it would make a new schedule, that begins at the first epoch.
        vars(part)["on_train_begin"] = _do_nothing
    try:
        with _history_aside(net):
            yield
    finally:
        for part in schedulers:
            del vars(part)["on_train_begin"]


def _do_nothing(net, **kwargs) -> None:
    pass


def _follow(schedule, optimizer: torch.optim.Optimizer) -> None:
    """Let a schedule, and those that it may be made of, set the rates of another optimizer."""
    schedule.optimizer = optimizer
    # At its first step a schedule warns of an optimizer other than that it was made for.
    schedule._step_count = max(getattr(schedule, "_step_count", 2), 2)
    for part in getattr(schedule, "_schedulers", ()):
        _follow(part, optimizer)


@contextmanager
def _history_aside(net: NeuralNetClassifier) -> Iterator[None]:
    """Let a net write a history of its own, and join it to the one before in the end."""
    past = net.history_
    net.history_ = History()
    for _, part in net.callbacks_:
        if hasattr(part, "best_score_"):  # kept where the history tells of no best one
            part.initialize()
    try:
        yield
    finally:
        for number, epoch in enumerate(net.history_, start=len(past) + 1):
            epoch["epoch"] = number
        net.history_ = History([*past, *net.history_])


def _reset_rates(net: NeuralNetClassifier) -> None:
    """Give the optimizer the learning rates that the net was made with."""
    args, kwargs = net.get_params_for_optimizer("optimizer", net.get_all_learnable_params())
    groups = list(args[0])
    given = [group.get("lr") if isinstance(group, dict) else None for group in groups]
    current = net.optimizer_.param_groups
    if len(given) != len(current):  # all parameters in one group
        given = [None] * len(current)
    for group, rate in zip(current, given, strict=True):
        # Schedulers note here where they began.
        for name in ("initial_lr", "max_lr", "min_lr"):
            group.pop(name, None)
        group["lr"] = kwargs.get("lr", group["lr"]) if rate is None else rate


def _fit_one_cycle(part: LRScheduler, past: History, settings: TrainingSettings) -> None:
    """Spread one cycle over the epochs to come, which need not be as many as those before."""
    per_epoch = past[-1, "train_batch_count"] if part.step_every == "batch" else 1
    for name in ("epochs", "steps_per_epoch"):
        vars(part).pop(name, None)
    part.total_steps = per_epoch * settings.max_iter
