"""How networks are trained, pruned and measured in every experiment.

All trainings run their full number of epochs, so that "equal epochs" is exact. Every network is
measured on the test set, which nothing else sees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    f1_score,
    precision_score,
)
from tqdm.auto import tqdm

from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier, PruningPath, pruning_path
from sklearn_capoz.exceptions import PruningStalledWarning
from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.schedules import Schedule
from sklearn_capoz.training import TrainingSettings, TrainingTask, initial_network, train

from ._data import Task

#: No early end of a training.
NEVER = 10**9
METRICS = ("accuracy", "balanced_accuracy", "kappa", "precision", "f1")
#: Retraining with the dense network as teacher.
DISTILLATION = {"distillation": 0.7, "temperature": 2.0, "retrain_learning_rate": "cosine"}


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    data_home: Path | None = None
    seeds: int = 10
    quick: bool = False
    n_jobs: int = 2


@dataclass(frozen=True)
class Budget:
    """Epochs and batch size of all trainings on one task."""

    epochs: int = 200
    retrain_epochs: int = 100
    batch_size: int = 200

    def after(self, iterations: int) -> int:
        """Epochs of a path up to an iteration, the dense network's included."""
        return self.epochs + iterations * self.retrain_epochs


@dataclass(frozen=True)
class Method:
    """A way to prune: its name in the tables, and the parameters of CAPoZPruner."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)


def over_seeds(run: Callable[[int], list[dict]], options: Options, name: str) -> pd.DataFrame:
    """Rows that `run` gives for each seed, `n_jobs` seeds at a time."""
    jobs = (delayed(run)(seed) for seed in range(options.seeds))
    results = Parallel(n_jobs=options.n_jobs, return_as="generator")(jobs)
    rows = []
    for seed, found in enumerate(tqdm(results, total=options.seeds, desc=name, unit="seed")):
        rows += [{"seed": seed} | row for row in found]
    return pd.DataFrame(rows)


def train_dense(
    task: Task, widths: Sequence[int], seed: int, budget: Budget
) -> PrunedMLPClassifier:
    """Train the network that is to be pruned."""
    model = PrunedMLPClassifier(
        tuple(widths),
        n_iterations=0,
        keep="last",
        max_iter=budget.epochs,
        batch_size=budget.batch_size,
        n_iter_no_change=NEVER,
        random_state=seed,
    )
    return model.fit(task.X, task.y, task.X_val, task.y_val)


def walk(
    dense: PrunedMLPClassifier,
    task: Task,
    method: Method,
    seed: int,
    budget: Budget,
    schedule: Schedule | str,
    n_iterations: int,
) -> PruningPath:
    """Prune a trained network."""
    pruner = CAPoZPruner(
        FrozenEstimator(dense),
        n_iterations=n_iterations,
        keep="last",
        schedule=schedule,
        retrain_max_iter=budget.retrain_epochs,
        random_state=seed,
    )
    with catch_warnings():
        simplefilter("ignore", PruningStalledWarning)  # the table has fewer rows then
        return pruning_path(
            pruner.set_params(**method.parameters), task.X, task.y, task.X_val, task.y_val
        )


def path_rows(path: PruningPath, task: Task, name: str) -> list[dict]:
    """Measure every network of a path."""
    columns = path.history.rename(
        columns={
            "accuracy_before": "select_before",
            "accuracy_after": "select_after",
            "threshold_0": "threshold",
        }
    )
    columns["epochs"] = columns["n_epochs"].cumsum()
    columns["seconds"] = columns["seconds"].cumsum()
    kept = ["iteration", "select_before", "select_after", "threshold", "epochs", "seconds"]
    return [
        {"method": name} | row | measure(estimator.estimator_.network_, task)
        for row, estimator in zip(columns[kept].to_dict("records"), path.estimators, strict=True)
    ]


def measure(network: DenseNetwork, task: Task) -> dict:
    """Test metrics and sizes of a network."""
    y, found = task.y_test, network.labels(network.forward(task.X_test)[-1])
    return {
        "units": sum(network.widths),
        "parameters": network.n_parameters,
        "multiply_adds": network.n_multiply_adds,
        "bytes": network.n_bytes,
        "accuracy": accuracy_score(y, found),
        "balanced_accuracy": balanced_accuracy_score(y, found),
        "kappa": cohen_kappa_score(y, found),
        "precision": precision_score(y, found, average="macro", zero_division=0),
        "f1": f1_score(y, found, average="macro"),
    }


def control_row(
    name: str,
    task: Task,
    budget: Budget,
    epochs: int,
    seed: int,
    *,
    start: DenseNetwork | Sequence[int],
    teacher: DenseNetwork | None = None,
    learning_rate: str = "constant",
) -> dict:
    """Train a control network and measure it.

    The engine does it, since no estimator distils into a network that was never pruned.

    Parameters
    ----------
    start : DenseNetwork or sequence of int
        A network to train further, or the widths of one to train from scratch.
    teacher : DenseNetwork, default=None
        Distils as in `DISTILLATION`.
    """
    random = np.random.RandomState(seed)
    if not isinstance(start, DenseNetwork):
        n_features, dtype = task.X.shape[1], task.X.dtype
        start = initial_network(n_features, start, task.n_classes, "relu", random, dtype)
    settings = TrainingSettings(
        batch_size=budget.batch_size,
        max_iter=epochs,
        n_iter_no_change=NEVER,
        learning_rate=learning_rate,
        distillation=0.0 if teacher is None else DISTILLATION["distillation"],
        temperature=DISTILLATION["temperature"],
    )
    logits = None if teacher is None else teacher.forward(task.X)[-1]
    began = perf_counter()
    job = TrainingTask(start, task.X, task.y, teacher=logits, random_state=random)
    network = train([job], settings)[0].network
    row = {"method": name, "epochs": epochs, "seconds": perf_counter() - began}
    return row | measure(network, task)


def latencies(estimators: Sequence, X: np.ndarray, repeats=30, rows=10_000) -> list[float]:
    """Median time of `predict` per sample, in microseconds; the estimators take turns."""
    X = np.resize(X, (rows, X.shape[1]))
    seconds = np.empty((repeats, len(estimators)))
    for estimator in estimators:  # compiles and packs
        estimator.predict(X)
    for turn in seconds:
        for i, estimator in enumerate(estimators):
            start = perf_counter()
            estimator.predict(X)
            turn[i] = perf_counter() - start
    return (np.median(seconds, axis=0) / rows * 1e6).tolist()


def summary(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Per group of `keys`: mean of every number, std of the metrics, and each seed's accuracy."""
    present = [key for key in keys if key in table]
    by_seed = table.groupby([*present, "seed"], sort=False, dropna=False).mean(numeric_only=True)
    groups = by_seed.groupby(level=present, sort=False, dropna=False)
    metrics = [name for name in METRICS if name in table]
    spread = groups[metrics].std().add_suffix("_std")
    each = by_seed["accuracy"].unstack("seed").add_prefix("accuracy_seed")
    return groups.mean().join(spread).join(each).reset_index()
