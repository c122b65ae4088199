"""Networks that are taught, pruned or from scratch, for the benchmark `teachers`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator

from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier
from sklearn_capoz.estimators._fitting import prune
from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.pruning import IterationRecord
from sklearn_capoz.schedules import Widths
from sklearn_capoz.teachers import BornAgain, Ensemble, Mutual, Teacher
from sklearn_capoz.training import (
    TrainingSettings,
    TrainingTask,
    initial_network,
    train,
    train_mutually,
)
from sklearn_capoz.training._samples import PruningData, Samples

from ._data import Task
from ._protocol import NEVER, Budget

__all__ = ["TEACHERS", "Taught", "Weight", "from_scratch", "prune_taught", "select_accuracy"]

N_NETWORKS, N_PEERS, GENERATIONS = 8, 2, 2


@dataclass(frozen=True)
class Weight:
    """How much a teacher weighs, and how its words are softened."""

    distillation: float
    temperature: float


def outside(task: Task, seed: int) -> FrozenEstimator:
    """Return the better of two classifiers that are no networks, by the validation samples."""
    found = [
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
        RandomForestClassifier(200, min_samples_leaf=2, random_state=seed),
    ]
    return FrozenEstimator(
        max((m.fit(task.X, task.y) for m in found), key=lambda m: m.score(task.X_val, task.y_val))
    )


class Remembered(Teacher):
    """A teacher whose networks are trained for the first width, and known for the others."""

    trains_networks = True

    def __init__(self, teacher):
        self.teacher = teacher
        self.needs_engine = teacher.needs_engine

    def after(self, model, room):
        if not hasattr(self, "_known"):
            self._known = self.teacher.after(model, room)
        return self._known


#: Name -> what the parameter `teacher` takes, made for a task and a seed.
TEACHERS = {
    "dense": lambda task, seed: None,
    "ensemble": lambda task, seed: Remembered(Ensemble(N_NETWORKS)),
    "born again": lambda task, seed: Remembered(BornAgain(GENERATIONS)),
    "mutual": lambda task, seed: Remembered(Mutual(N_PEERS)),
    "outside": outside,
}


@dataclass(frozen=True, eq=False)
class Taught:
    """A path of pruned networks, and who taught them.

    Parameters
    ----------
    records : sequence of IterationRecord
    data : PruningData
    logits : ndarray or None
        What the teacher says of the training samples.
    peers : tuple of DenseModel or None
        Of mutual learning, as they were before the first cut.
    """

    records: Sequence[IterationRecord]
    data: PruningData
    logits: np.ndarray | None
    peers: tuple | None


def prune_taught(
    dense: PrunedMLPClassifier,
    teacher: Any,
    weight: Weight | None,
    task: Task,
    seed: int,
    budget: Budget,
    widths: Sequence[int],
) -> Taught:
    """Prune a trained network through widths, by reconstruction with least squares."""
    taught = {} if weight is None else vars(weight) | {"teacher": teacher}
    pruner = CAPoZPruner(
        FrozenEstimator(dense),
        criterion="reconstruction",
        compensation="least-squares",
        n_iterations=len(widths),
        keep="last",
        schedule=Widths(tuple(widths)),
        retrain_max_iter=budget.retrain_epochs,
        retrain_learning_rate="cosine",
        random_state=seed,
        **taught,
    )
    # The steps of `fit`, as the teacher is wanted for the networks from scratch.
    plan = pruner._plan()
    samples = pruner._split(plan, task.X, task.y, task.X_val, task.y_val)
    trained = pruner._train(plan, samples)
    records = prune(pruner, plan, samples, trained)
    return Taught(records, samples.data, trained.model.teacher, trained.model.peers)


def from_scratch(
    width: int,
    epochs: int,
    taught: Taught,
    weight: Weight | None,
    task: Task,
    seed: int,
    budget: Budget,
) -> DenseNetwork:
    """Train a small network with the same teacher, or mutually with the same peers."""
    random = np.random.RandomState(seed)
    n_features, dtype = task.X.shape[1], task.X.dtype
    network = initial_network(n_features, (width,), task.n_classes, "relu", random, dtype)
    settings = TrainingSettings(
        batch_size=budget.batch_size,
        max_iter=epochs,
        n_iter_no_change=NEVER,
        learning_rate="cosine",
    )
    if weight is not None:
        settings = replace(settings, **vars(weight))
    student = TrainingTask(network, task.X, task.y, teacher=taught.logits, random_state=random)
    if taught.peers is None:
        return train([student], settings)[0].network
    peers = [
        replace(student, network=peer.network, optimizer=peer.optimizer, random_state=seed + i)
        for i, peer in enumerate(taught.peers, 1)
    ]
    return train_mutually([student, *peers], settings)[0].network


def select_accuracy(network: DenseNetwork, samples: Samples) -> float:
    """Accuracy on the samples to choose on."""
    found = network.labels(network.forward(samples.X)[-1])
    return float(np.mean(found == samples.y))
