"""What a random split hides: Indian Pines, training pixels scattered or in fields of their own.

Run with `python -m benchmarks disjoint --data-home FOLDER --seeds 10`. Both splits have the same
number of pixels of every class; only where they lie differs.
"""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_capoz.datasets import fetch_indian_pines
from sklearn_capoz.schedules import Widths

from ._data import Task, make_task
from ._protocol import (
    Budget,
    Method,
    Options,
    control_row,
    over_seeds,
    path_rows,
    summary,
    train_dense,
    walk,
)
from ._report import Report
from ._statistics import compare, differences, mean_std, verdict
from .paper import BEST, DENSE

TITLE = "Disjoint: random against spatially disjoint splits"

WIDTHS = (22, 17, 13, 11, 9)
METHODS = (Method("c-apoz"), Method("random", {"criterion": "random"}), BEST)
SCRATCH = "from scratch, total epochs"
SPLITS = ("random", "disjoint")


@lru_cache
def scene(data_home):
    """Read Indian Pines once in every process."""
    return fetch_indian_pines(data_home=data_home, download_if_missing=False)


def make_split(split: str, seed: int, data_home) -> Task:
    """Training fields as the map has them, or as many pixels of each class from anywhere.

    Of the pixels to train with, 60 % train, and 20 % each score units and choose.
    """
    pixels = scene(data_home)
    X, y = pixels.data.astype(np.float32), pixels.target
    fields = np.flatnonzero(pixels.disjoint_train)
    usable = np.flatnonzero(pixels.disjoint_train | pixels.disjoint_test)
    random = np.random.RandomState(seed)
    pool = fields
    if split == "random":
        counts = np.bincount(y[fields], minlength=len(pixels.target_names))
        pool = np.concatenate(
            [
                random.choice(usable[y[usable] == code], count, replace=False)
                for code, count in enumerate(counts)
            ]
        )
    test = np.setdiff1d(usable, pool)
    train, validation = train_test_split(
        pool, train_size=0.6, stratify=y[pool], random_state=random
    )
    return make_task(StandardScaler(), *((X[rows], y[rows]) for rows in (train, validation, test)))


def run_seed(options: Options, seed: int) -> list[dict]:
    """Dense, pruned and small networks on both splits."""
    budget = Budget(6, 3, 64) if options.quick else Budget(batch_size=64)
    rows = []
    for split in SPLITS:
        task = make_split(split, seed, options.data_home)
        dense = train_dense(task, (DENSE,), seed, budget)
        found = []
        for method in METHODS:
            path = walk(dense, task, method, seed, budget, Widths(WIDTHS), len(WIDTHS))
            found += path_rows(path, task, method.name)[-1:]
        found += path_rows(path, task, "dense")[:1]
        epochs = budget.after(len(WIDTHS))
        found.append(control_row(SCRATCH, task, budget, epochs, seed, start=WIDTHS[-1:]))
        rows += [row | {"split": split} for row in found]
    return rows


def run(options: Options, report: Report) -> None:
    """Measure, and write one table."""
    if options.data_home is None:
        raise SystemExit("disjoint needs Indian Pines: give --data-home FOLDER.")
    pixels = scene(options.data_home)
    n_train, n_test = int(pixels.disjoint_train.sum()), int(pixels.disjoint_test.sum())
    table = over_seeds(partial(run_seed, options), options, "disjoint")
    report.text(
        f"Indian Pines, single pixels, 200 standardised bands, 16 classes. {n_train} pixels to "
        f"train with (60 % train, 20 % score units, 20 % are to choose on), {n_test} to test; the "
        "same number of each class in both splits. Batches of 64, 200 epochs, and 100 after every "
        f"cut from {DENSE} through {', '.join(map(str, WIDTHS))} units. The disjoint split is one "
        "and the same map for all seeds, which change the rest."
    )
    names = ["dense", *(method.name for method in METHODS), SCRATCH]
    cells = []
    for name in names:
        for split in SPLITS:
            group = table[(table["method"] == name) & (table["split"] == split)]
            cells.append(
                {
                    "method": name,
                    "units": int(group["units"].iloc[0]),
                    "split": split,
                    "accuracy": mean_std(group["accuracy"]),
                    "balanced accuracy": mean_std(group["balanced_accuracy"]),
                    "kappa": mean_std(group["kappa"]),
                    "F1, macro": mean_std(group["f1"]),
                }
            )
    report.table(pd.DataFrame(cells))
    same = table.assign(units=0)
    by_split = same.assign(method=same["method"] + ", " + same["split"])
    pairs = [(f"{name}, random", f"{name}, disjoint") for name in names]
    report.heading("What the random split adds")
    report.table(differences(compare(by_split, pairs, [0])).drop(columns="units"))
    for split in SPLITS:
        report.heading(f"Methods on the {split} split")
        rows = same[same["split"] == split]
        pairs = [(name, other) for i, name in enumerate(names) for other in names[i + 1 :]]
        report.text(verdict(compare(rows, pairs, [0])).replace("0 units: ", ""))
    report.csv(summary(table, ("split", "method", "units")))
