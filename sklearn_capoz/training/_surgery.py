"""Dynamic network surgery: for some epochs after a cut, connections come back and others go.

Weights that are masked go on to learn: the gradient is taken at the masked network and moves all of
them. From time to time it is asked anew which are large enough to take part, by two thresholds, so
that none flickers. In the end as many connections are there as the cut has left.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ._epochs import Run
    from ._trainee import Trainee

__all__ = ["chance_of", "largest", "operate", "revise"]


def chance_of(epoch: int, n_epochs: int) -> float:
    """Return the chance that it is asked anew after a batch: 1 at first, and falling to 0."""
    return 1 - epoch / n_epochs


def largest(weights: np.ndarray, count: int) -> np.ndarray:
    """Mark so many weights: those of the largest size, of equal ones the first."""
    mark = np.zeros(weights.size, dtype=bool)
    mark[np.argsort(-np.abs(weights), kind="stable")[:count]] = True
    return mark


def revise(weights: np.ndarray, there: np.ndarray, count: int, margin: float) -> np.ndarray:
    """Say which weights of a layer take part from now on.

    Parameters
    ----------
    weights : ndarray of shape (n_weights,)
        All of them, the masked ones included.
    there : ndarray of shape (n_weights,), bool
        Which took part until now.
    count : int
        How many are to: the threshold lies where so many are larger.
    margin : float
        By which share of it the one to go at is lower, and the one to come back at higher.
    """
    size = np.abs(weights)
    if count == 0:
        return np.zeros_like(there)
    threshold = np.partition(size, -count)[-count]
    # Those that nothing has moved yet are no candidates, whatever the threshold is.
    comes = (size >= (1 + margin) * threshold) & (size > 0)
    return (there & (size >= (1 - margin) * threshold)) | comes


def operate(
    trainee: Trainee,
    run: Run,
    validation: Run | None,
    report: Callable[[int], object],
    cancelled: Event,
) -> None:
    """Train for as many epochs as the settings allow connections to come back.

    `run` must let zeros move. What comes after it, and moments of weights that are gone in the end,
    are zero.
    """
    settings = trainee.settings
    rule = settings.surgery
    assert rule is not None
    weights = _Weights(trainee)
    random = np.random.RandomState(weights.seed)  # the trainee's own draws are those without
    for epoch in range(rule.epochs):
        if trainee.finished or cancelled.is_set():
            break
        chance = chance_of(epoch, rule.epochs)
        order, keep = trainee.draw_order(), trainee.draw_dropout().T
        rate = np.array([settings.learning_rate_at(trainee.n_epochs)])
        loss, size = 0.0, run.batches.size
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            kept = np.ascontiguousarray(keep[:, start : start + size])
            [part] = run.train(
                trainee.parameters, trainee.moments, trainee.n_steps, rows[None], kept, rate
            )
            trainee.n_steps += 1
            loss += float(part) * len(rows) / len(order)
            weights.after_step(rule.margin if random.uniform() < chance else None)
        if epoch == rule.epochs - 1:
            weights.settle()
        scores = None if validation is None else validation.evaluate(trainee.parameters)
        if trainee.record(loss, scores):
            trainee.best = (trainee.parameters.copy(), trainee.moments.copy(), trainee.n_steps)
        report(1)
    weights.settle()


class _Weights:
    """All weights of a trainee, whether they take part or not."""

    def __init__(self, trainee: Trainee):
        self.trainee = trainee
        self.all, self.there = trainee.parameters.copy(), trainee.moves
        self.shown = trainee.parameters.copy()
        ends = np.cumsum([weight.size for weight in trainee.task.network.weights])
        self.layers = [slice(end - n, end) for end, n in zip(ends, np.diff(ends, prepend=0),
                                                             strict=True)]  # fmt: skip
        self.counts = [int(self.there[layer].sum()) for layer in self.layers]
        self.seed = trainee.order.size

    def after_step(self, margin: float | None) -> None:
        """Let all weights go the way of the step; with a margin ask anew which take part."""
        self.all += self.trainee.parameters - self.shown
        if margin is not None:
            for layer, count in zip(self.layers, self.counts, strict=True):
                self.there[layer] = revise(self.all[layer], self.there[layer], count, margin)
        self._show()

    def settle(self) -> None:
        """Leave as many connections as there were, the largest, and forget the others."""
        for layer, count in zip(self.layers, self.counts, strict=True):
            self.there[layer] = largest(self.all[layer], count)
        self._show()
        self.all = self.shown.copy()
        self.trainee.moments[:, ~self.there] = 0

    def _show(self) -> None:
        self.trainee.parameters[:] = np.where(self.there, self.all, 0)
        self.shown = self.trainee.parameters.copy()
