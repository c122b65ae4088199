"""Networks that learn from each other while they are trained: deep mutual learning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import expit, xlogy

from ._cpu import make_runs
from ._epochs import Run
from ._optimizer import views
from ._task import TrainingResult, TrainingSettings, TrainingTask
from ._trainee import Trainee

__all__ = ["train_mutually"]


def train_mutually(
    tasks: Sequence[TrainingTask],
    settings: TrainingSettings,
    *,
    on_epoch: Callable[[int], object] | None = None,
) -> list[TrainingResult]:
    r"""Train networks on the same rows, each taught by the others as they are at each step.

    Of every batch all networks first give their probabilities :math:`p_k`, softened by the
    temperature T; then each takes a step on

    .. math::

       (1 - \lambda) CE(y, p_k) + \frac{\lambda T^2}{K - 1} \sum_{l \ne k} KL(p_l \Vert p_k)

    All see the rows in the order that the first one draws, and train until the last of them has
    finished. A single network has nobody to learn from, and trains as `train` would train it.

    Parameters
    ----------
    tasks : sequence of TrainingTask
        With the same samples; networks may differ in widths and in the columns that they take. A
        `teacher` of theirs is not used.
    settings : TrainingSettings
        `distillation` is the weight :math:`\lambda` of the others.
    on_epoch : callable, optional
        Called with the number of epochs just done, summed over networks.

    Returns
    -------
    list of TrainingResult
        In the order of the tasks.

    Raises
    ------
    ValueError
        If tasks have other samples than the first, or weights end up not finite.

    References
    ----------
    Zhang, Xiang, Hospedales and Lu, Deep mutual learning, CVPR 2018,
    DOI 10.1109/CVPR.2018.00454. There the networks take their steps one after the other.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_capoz.training import (
    ...     TrainingSettings, TrainingTask, initial_network, train_mutually
    ... )
    >>> X, y = load_iris(return_X_y=True)
    >>> tasks = [
    ...     TrainingTask(initial_network(4, (n,), 3, "relu", 0, X.dtype), X, y, random_state=n)
    ...     for n in (3, 8)
    ... ]
    >>> settings = TrainingSettings(max_iter=20, distillation=0.5, learning_rate_init=0.01)
    >>> small, large = train_mutually(tasks, settings)
    >>> small.network.widths, large.network.widths
    ((3,), (8,))
    """
    if len(tasks) == 1:
        settings = replace(settings, distillation=0.0)
    trainees = [Trainee(_with_room(task), settings) for task in tasks]
    _check(trainees)
    report, cohort = on_epoch or (lambda n: None), _Cohort(trainees)
    while not all(trainee.finished for trainee in trainees):
        cohort.run_epoch()
        report(len(trainees))
    return [trainee.result() for trainee in trainees]


def _with_room(task: TrainingTask) -> TrainingTask:
    """Give a task a teacher that says nothing yet: what the others say is written over it."""
    shape = len(task.y), task.network.biases[-1].size
    return replace(task, teacher=np.zeros(shape, task.network.dtype))


def _check(trainees: Sequence[Trainee]) -> None:
    first = trainees[0]
    for trainee in trainees[1:]:
        same = (
            trainee.task.network.output == first.task.network.output
            and trainee.task.network.biases[-1].size == first.task.network.biases[-1].size
            and np.array_equal(trainee.rows.y, first.rows.y)
        )
        if not same:
            raise ValueError(
                "Networks that learn from each other need the same samples and the same outputs: "
                f"one has {len(first.rows.y)} rows and ends in {first.task.network!r}, another "
                f"{len(trainee.rows.y)} rows and {trainee.task.network!r}, or other labels."
            )


class _Cohort:
    """The networks, what each of them is run by, and what the others tell it."""

    def __init__(self, trainees: Sequence[Trainee]):
        self.trainees = trainees
        runs = [make_runs(trainee) for trainee in trainees]
        self.runs: list[Run] = [run for run, _ in runs]
        self.validations = [validation for _, validation in runs]
        # Steps change the parameters in place, and these networks with them.
        self.networks = [views(t.parameters, t.task.network) for t in trainees]

    def run_epoch(self) -> None:
        """Take every network once through all rows, batch by batch side by side."""
        first = self.trainees[0]
        order, size = first.draw_order(), first.batch_rows
        keep = [trainee.draw_dropout().T for trainee in self.trainees]
        rate = np.array([first.settings.learning_rate_at(first.n_epochs)])
        losses = np.zeros(len(self.trainees))
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            self._tell_each_other(rows)
            for k, (trainee, run) in enumerate(zip(self.trainees, self.runs, strict=True)):
                kept = np.ascontiguousarray(keep[k][:, start : start + size])
                loss = run.train(
                    trainee.parameters, trainee.moments, trainee.n_steps, rows[None], kept, rate
                )
                trainee.n_steps += 1
                losses[k] += loss[0] * len(rows) / len(order)
        parts = zip(self.trainees, losses.tolist(), self.validations, strict=True)
        for trainee, mean_loss, validation in parts:
            scores = None if validation is None else validation.evaluate(trainee.parameters)
            if trainee.record(mean_loss, scores):
                trainee.best = (trainee.parameters.copy(), trainee.moments.copy(), trainee.n_steps)

    def _tell_each_other(self, rows: np.ndarray) -> None:
        """Write into each one's rows what the others make of a batch; `Run` looks at it there."""
        n, first = len(self.trainees), self.trainees[0]
        if n == 1:
            return
        logits = np.stack(
            [
                network.forward(trainee.rows.X[rows])[-1]
                for network, trainee in zip(self.networks, self.trainees, strict=True)
            ]
        )
        soft, entropy = _softened(logits / first.settings.temperature, first.task.network.output)
        # The mean of the divergences from all others is that from their mean, less a constant.
        soft, entropy = ((values.sum(axis=0) - values) / (n - 1) for values in (soft, entropy))
        for k, trainee in enumerate(self.trainees):
            trainee.rows.soft[rows] = soft[k]
            trainee.rows.soft_entropy[rows] = entropy[k]


@np.errstate(all="ignore")  # what diverges is told by its loss
def _softened(z: np.ndarray, output: str) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n_networks, n_rows, n_outputs), and per row the sum of p * log(p)."""
    if output == "softmax":  # by hand: scipy's takes longer than a step of a small network
        z -= z.max(axis=2, keepdims=True)
        soft = np.exp(z)
        norm = soft.sum(axis=2, keepdims=True)
        soft /= norm
        return soft, (soft * z).sum(axis=2) - np.log(norm[..., 0])
    soft = expit(z)
    return soft, (xlogy(soft, soft) + xlogy(1 - soft, 1 - soft))[..., 0]
