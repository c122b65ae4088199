"""What each epoch of retraining adds: channels cut by reconstruction and by their norm.

Run with `python -m benchmarks retraining --data-home FOLDER --seeds 5`. Three quarters of every
hidden layer gone at once, on disjoint fields of Indian Pines; both ways are retrained alike, with
the classes as they are and with balanced weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from copy import deepcopy
from functools import partial

import numpy as np
import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.utils import compute_sample_weight
from skorch import NeuralNetClassifier
from threadpoolctl import threadpool_limits

from sklearn_capoz import CAPoZPruner
from sklearn_capoz.thresholds import Fraction
from sklearn_capoz.training import TrainingSettings
from sklearn_capoz.training._skorch_loop import train_with_skorch

from ._network_tasks import BATCH_SIZE, Setting, Task, make_net, make_task
from ._protocol import Options, over_seeds
from ._report import Report
from ._statistics import mean_std
from .networks import EPOCHS, METHODS, RATIOS, RETRAINING, score, train_dense

TITLE = "Retraining: what each of its epochs adds to a network that was cut"

RATIO = RATIOS[0]
KINDS = ("1d", "2d")
COMPARED = ("reconstruction", "L1")
WEIGHTS = ("none", "balanced")


def cut(dense: NeuralNetClassifier, task: Task, method: str, seed: int) -> NeuralNetClassifier:
    """Cut a dense network at once, without retraining; channels are ranked on training pixels."""
    criterion, compensation = METHODS[method]
    pruner = CAPoZPruner(
        FrozenEstimator(dense),
        criterion=criterion,
        compensation=compensation,
        threshold=Fraction(RATIO),
        n_iterations=1,
        schedule="one-shot",
        keep="last",
        retrain_max_iter=0,
        random_state=seed,
    )
    return pruner.fit(task.X, task.y, X_val=task.X, y_val=task.y).estimator_


def train_on(
    net: NeuralNetClassifier, task: Task, epochs: int, weights: str, seed: int
) -> Iterator[NeuralNetClassifier]:
    """Train a net epoch by epoch in the loop that retrains, and give it after each."""
    random = np.random.RandomState(seed)
    weight = None if weights == "none" else compute_sample_weight(weights, task.y)
    settings = TrainingSettings(max_iter=1)
    for _ in range(epochs):
        train_with_skorch(
            net,
            task.X,
            task.y,
            settings,
            sample_weight=None if weight is None else weight.astype(np.float32),
            random_state=random,
        )
        yield net


def run_seed(options: Options, seed: int) -> list[dict]:
    """Dense, cut and small networks; the test fields say how good they are and choose nothing."""
    torch.set_num_threads(1)
    small = {"epochs": 2, "share": 0.05} if options.quick else {"epochs": EPOCHS}
    more = 2 if options.quick else RETRAINING
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            {"network": kind} | row
            for kind in KINDS
            for row in run_setting(
                Setting(options.data_home, "indian_pines", "disjoint", kind, seed, **small), more
            )
        ]


def run_setting(setting: Setting, more: int) -> Iterator[dict]:
    """Go through the networks of one kind."""
    task, seed = make_task(setting), setting.seed
    dense = train_dense(setting)
    yield {"method": "dense", "weights": "none", "epochs": 0} | score(dense, task)
    for method in COMPARED:
        net = cut(dense, task, method, seed)
        yield {"method": method, "weights": "none", "epochs": 0} | score(net, task)
        for weights in WEIGHTS:
            retrained = train_on(deepcopy(net), task, more, weights, seed)
            for epoch, trained in enumerate(retrained, 1):
                found = {"method": method, "weights": weights, "epochs": epoch}
                yield found | score(trained, task)
    for weights in WEIGHTS:
        epochs = setting.epochs + more
        net = make_net(setting, task, epochs, RATIO).initialize()
        for _ in train_on(net, task, epochs, weights, seed):
            pass
        found = {"method": "from scratch", "weights": weights, "epochs": epochs}
        yield found | score(net, task)


def margins(rows: pd.DataFrame) -> pd.DataFrame:
    """Say what reconstruction is beside the others after so many epochs: medians over seeds."""
    small = rows[rows["method"] == "from scratch"].groupby("weights")["overall"].median().max()
    cells = []
    for (weights, epochs), group in rows.groupby(["weights", "epochs"], sort=False):
        ours, norm = (group[group["method"] == name].set_index("seed") for name in COMPARED)
        if ours.empty:
            continue
        cell = {"weights of classes": weights, "epochs": epochs}
        for name, part in zip(COMPARED, (ours, norm), strict=True):
            cell |= {f"{name}: {what}": mean_std(part[what]) for what in ("overall", "average")}
        gain = ours["average"] - norm["average"]
        cell["average, less L1"] = round(ours["average"].median() - norm["average"].median(), 3)
        cell["seeds above L1"] = f"{(gain > 0).sum()} of {len(gain)}"
        cell["overall, less from scratch"] = round(ours["overall"].median() - small, 3)
        cells.append(cell)
    return pd.DataFrame(cells)


def run(options: Options, report: Report) -> None:
    """Measure, and write the tables."""
    if options.data_home is None:
        raise SystemExit("retraining needs Indian Pines: give --data-home FOLDER.")
    rows = over_seeds(partial(run_seed, options), options, "retraining")
    report.text(
        f"Indian Pines, disjoint fields, networks and pixels of `networks`: {EPOCHS} epochs of "
        f"Adam in batches of {BATCH_SIZE}, {RATIO:.0%} of every hidden layer gone at once, and up "
        f"to {RETRAINING} epochs of retraining, the same for both ways. Weights of classes are "
        "those of the loss in retraining; the dense network is trained without. From scratch: "
        f"{EPOCHS + RETRAINING} epochs at the pruned widths; differences are from the better of "
        "both. Mean ± standard deviation in percent; differences are of medians over seeds."
    )
    for kind, group in rows.groupby("network", sort=False):
        report.heading(f"{kind}, seeds: {group['seed'].nunique()}", 4)
        report.table(margins(group))
        others = group[~group["method"].isin(COMPARED)]
        report.table(
            pd.DataFrame(
                {"method": method, "weights of classes": weights}
                | {what: mean_std(part[what]) for what in ("overall", "average")}
                for (method, weights), part in others.groupby(["method", "weights"], sort=False)
            )
        )
    report.csv(rows)
