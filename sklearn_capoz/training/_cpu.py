"""One network on the CPU, from its first epoch to its last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Event

import numpy as np

from ..networks._dense import DenseNetwork
from ._epochs import SMALL_LAYER, Architecture, Batches, Rule, Run
from ._surgery import operate
from ._task import TrainingSettings
from ._trainee import Rows, Trainee

#: Rows of a batch at once in a small network: its layers stay in the nearest cache.
_CHUNK_ROWS = 256

#: Rows of validation at once: enough to keep the products busy, few enough for the cache.
_VALIDATION_ROWS = 1024

#: Training rows of all epochs in one call: some ten milliseconds of a small network.
_ROWS_AT_ONCE = 10_000


def train_one(trainee: Trainee, report: Callable[[int], object], cancelled: Event) -> None:
    """Train until the trainee has finished or the whole call is cancelled."""
    if trainee.settings.surgery is not None:
        operate(trainee, *make_runs(trainee, zeros_stay=False), report, cancelled)
    run, validation = make_runs(trainee)
    steps_per_epoch = -(-len(run.batches.y) // run.batches.size)
    while not trainee.finished and not cancelled.is_set():
        n_epochs = _epochs_at_once(trainee)
        first = trainee.n_epochs
        losses = run.train(
            trainee.parameters,
            trainee.moments,
            trainee.n_steps,
            np.stack([trainee.draw_order() for _ in range(n_epochs)]),
            np.ascontiguousarray(trainee.draw_dropout().T),
            np.array([trainee.settings.learning_rate_at(first + i) for i in range(n_epochs)]),
        )
        trainee.n_steps += n_epochs * steps_per_epoch
        scores = None
        if validation is not None:
            scores = validation.evaluate(trainee.parameters)
        for loss in losses:
            if trainee.record(float(loss), scores):
                trainee.best = (trainee.parameters.copy(), trainee.moments.copy(), trainee.n_steps)
        report(n_epochs)


def make_runs(trainee: Trainee, zeros_stay: bool | None = None) -> tuple[Run, Run | None]:
    """Lay out the training rows, and those of validation where there are any.

    Zeros stay where the settings say so, unless told otherwise.
    """
    settings = trainee.settings
    if zeros_stay is not None:
        settings = replace(settings, zeros_stay=zeros_stay)
    architecture = _architecture(trainee.task.network)
    batches = _batches(trainee.rows, trainee.batch_rows, architecture)
    run = Run(architecture, batches, _rule(settings))
    if trainee.validation is None:
        return run, None
    return run, Run(architecture, _batches(trainee.validation, _VALIDATION_ROWS, architecture))


def _epochs_at_once(trainee: Trainee) -> int:
    """Epochs to run in one call: no more than the stopping rule allows in any case.

    One where each is validated or has a dropout of its own, and where epochs are so long that
    calls cost nothing beside them.
    """
    if trainee.validation is not None or trainee.settings.dropout > 0:
        return 1
    return max(1, min(trainee.certain_epochs, _ROWS_AT_ONCE // len(trainee.rows.y)))


def _architecture(network: DenseNetwork) -> Architecture:
    widths = [network.n_features, *(bias.size for bias in network.biases)]
    return Architecture(np.array(widths, np.intp), network.activations, network.output == "softmax")


def _batches(rows: Rows, size: int, architecture: Architecture) -> Batches:
    size = min(size, len(rows.y))
    return Batches(
        rows.X,
        rows.y,
        rows.weight,
        rows.soft,
        rows.soft_entropy,
        size,
        _chunk_rows(architecture.widths, size),
    )


def _chunk_rows(widths: np.ndarray, batch_rows: int) -> int:
    """Rows of a batch to take through the network at once.

    The loops of small layers are fastest in the cache, the threads of BLAS on a whole batch.
    """
    small = (widths[:-1] * widths[1:]).max() <= SMALL_LAYER
    return min(_CHUNK_ROWS, batch_rows) if small else batch_rows


def _rule(settings: TrainingSettings) -> Rule:
    return Rule(
        settings.solver,
        float(settings.alpha),
        float(settings.momentum),
        bool(settings.nesterovs_momentum),
        float(settings.beta_1),
        float(settings.beta_2),
        float(settings.epsilon),
        float(settings.dropout),
        float(settings.distillation),
        float(settings.temperature),
        bool(settings.zeros_stay),
    )
