"""MNIST: the tutorial's 784-128-10 network, and LeNet-300-100 against published structured results.

Run with `python -m benchmarks mnist --data-home FOLDER --seeds 3`: about eight minutes, three seeds
since the networks are a hundred times those of the other experiments.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from sklearn_capoz.datasets import fetch_mnist
from sklearn_capoz.displays import TradeOffDisplay
from sklearn_capoz.schedules import Widths
from sklearn_capoz.thresholds import Percentile

from ._data import Task
from ._protocol import (
    DISTILLATION,
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
from ._statistics import compare, mean_std, verdict
from .paper import BEST

TITLE = "MNIST: the tutorial's network and LeNet-300-100"

TUTORIAL = (128,)
LENET = (300, 100)
LENET_WIDTHS = ((150, 60), (100, 45), (71, 33), (50, 30), (35, 25), (25, 20))
#: Pixels that are left where the inputs are chosen too.
N_PIXELS = 150
#: Bytes and error in percent: RigL paper (arXiv:1911.11134), table 2.
PUBLISHED = {
    "VIB 97-71-33 (published)": (38_696, 1.6),
    "RigL+ 375-62-51, sparse (published)": (16_113, 1.57),
}
REFIT = {"criterion": "reconstruction", "compensation": "least-squares"}


def make_task(seed: int, data_home, quick: bool) -> Task:
    """50,000 images to train on, 5,000 to score units on, 5,000 to choose on, MNIST's own test."""
    digits = fetch_mnist(data_home=data_home, download_if_missing=data_home is None)
    X = digits.data.astype(np.float32) / np.float32(255)
    order = np.random.RandomState(seed).permutation(digits.n_train)
    train, validation = order[:50_000], order[50_000:]
    test = np.arange(digits.n_train, len(X))
    if quick:
        train, validation, test = train[:500], validation[:200], test[:500]
    parts = [part for rows in (train, validation, test) for part in (X[rows], digits.target[rows])]
    return Task(*parts)


def tutorial_methods() -> list[Method]:
    """One cut, by half or as mean + std falls."""
    half = {"threshold": Percentile(50)}
    plain = ("c-apoz", "apoz", "l1", "gradient", "random")
    return [
        *(Method(f"{name}, percentile 50", {"criterion": name} | half) for name in plain),
        Method("reconstruction + least-squares, percentile 50", REFIT | half),
        Method(f"{BEST.name}, percentile 50", BEST.parameters | half),
        *(Method(f"{name}, mean + std", {"criterion": name}) for name in plain[:-1]),
    ]


def tutorial_rows(task: Task, seed: int, budget: Budget) -> list[dict]:
    """Ten epochs, prune, ten epochs more; and twenty without pruning."""
    dense = train_dense(task, TUTORIAL, seed, budget)
    found = []
    for method in tutorial_methods():
        path = walk(dense, task, method, seed, budget, "one-shot", 1)
        found += path_rows(path, task, method.name)[1:]
    train_control = partial(control_row, task=task, budget=budget, seed=seed)
    twenty = budget.after(1)
    half = (TUTORIAL[0] // 2,)
    found += [
        train_control("dense, 10 epochs", epochs=budget.epochs, start=TUTORIAL),
        train_control("dense, 20 epochs", epochs=twenty, start=TUTORIAL),
        train_control("from scratch, 20 epochs", epochs=twenty, start=half),
    ]
    return found


def lenet_rows(task: Task, seed: int, budget: Budget) -> list[dict]:
    """Paths from LeNet-300-100, and networks of two of their sizes from scratch."""
    schedule, n = Widths(LENET_WIDTHS), len(LENET_WIDTHS)
    dense = train_dense(task, LENET, seed, budget)
    found = []
    for method in (Method("c-apoz"), Method("c-apoz + distillation", DISTILLATION), BEST):
        found += path_rows(walk(dense, task, method, seed, budget, schedule, n), task, method.name)
    for iteration in (3, 5):
        found.append(
            control_row(
                "from scratch, total epochs", task, budget, budget.after(iteration), seed,
                start=LENET_WIDTHS[iteration - 1],
            )
        )  # fmt: skip
    few = choose_pixels(task, dense)
    dense = train_dense(few, LENET, seed, budget)
    path = walk(dense, few, BEST, seed, budget, schedule, n)
    return found + path_rows(path, few, f"{BEST.name}, {N_PIXELS} pixels")


def choose_pixels(task: Task, dense) -> Task:
    """Keep the pixels that move the first layer most: spread times norm of the weights."""
    reach = task.X.std(axis=0) * np.linalg.norm(dense.network_.weights[0], axis=1)
    pixels = np.sort(np.argsort(-reach)[:N_PIXELS])
    X, X_val, X_test = (
        np.ascontiguousarray(X[:, pixels]) for X in (task.X, task.X_val, task.X_test)
    )
    return replace(task, X=X, X_val=X_val, X_test=X_test)


def run_seed(options: Options, seed: int) -> list[dict]:
    """Both networks on one split."""
    task = make_task(seed, options.data_home, options.quick)
    tutorial = Budget(1, 1, 128) if options.quick else Budget(10, 10, 128)
    lenet = Budget(1, 1, 128) if options.quick else Budget(20, 6, 128)
    rows = [{"part": "tutorial"} | row for row in tutorial_rows(task, seed, tutorial)]
    return rows + [{"part": "LeNet"} | row for row in lenet_rows(task, seed, lenet)]


def run(options: Options, report: Report) -> None:
    """Measure, and write a table for each network."""
    table = over_seeds(partial(run_seed, options), options, "mnist")
    report.text(
        "50,000 images to train on, 5,000 to score units on, 5,000 to choose on, and MNIST's "
        "10,000 to test; Adam, batches of 128."
    )
    report.heading("784-128-10: 10 epochs, one cut, 10 epochs more")
    tutorial = table[table["part"] == "tutorial"]
    report.table(pd.DataFrame([metrics_row(*g) for g in tutorial.groupby("method", sort=False)]))
    report.text("Macro averages over the digits; the macro average of recall is balanced accuracy.")
    half = [method.name for method in tutorial_methods() if method.name.endswith("percentile 50")]
    random, best = "random, percentile 50", f"{BEST.name}, percentile 50"
    pairs = [(name, random) for name in half if name != random]
    pairs += [(half[0], half[1]), (best, half[0]), (best, "from scratch, 20 epochs")]
    report.heading("Cut by half: against random, and more", level=4)
    report.text(verdict(compare(tutorial.assign(units=64), pairs, [64])).replace("64 units: ", ""))

    report.heading("784-300-100-10: error against stored bytes")
    lenet = table[table["part"] == "LeNet"]
    groups = lenet.groupby(["method", "bytes"], sort=False)
    cells = [
        {
            "method": name,
            "units": widths_of(units),
            "bytes": int(size),
            "error / %": mean_std(1 - group["accuracy"], digits=2),
            "epochs": str(int(group["epochs"].iloc[0])),
        }
        for (name, size), group in groups
        for units in [int(group["units"].iloc[0])]
    ]
    cells += [
        {"method": name, "units": "", "bytes": size, "error / %": f"{error:.2f}"}
        for name, (size, error) in PUBLISHED.items()
    ]
    report.table(pd.DataFrame(cells))
    report.text(
        "The published networks have lost inputs as well (VIB keeps 97 of 784), which criteria on "
        f"hidden units do not touch; in the last path the {N_PIXELS} pixels that move the first "
        "layer most are chosen before training. Published figures come from other training."
    )
    report.text("\n".join(beside_published(lenet)))
    scratch = "from scratch, total epochs"
    pairs = [(BEST.name, "c-apoz"), (BEST.name, scratch), ("c-apoz", scratch)]
    report.text("At 71-33 and 35-25 units, named by the sum of both layers:")
    report.text(verdict(compare(lenet, pairs, [71 + 33, 35 + 25])))
    draw(report, lenet)
    report.csv(summary(table, ("part", "method", "bytes", "iteration")))


def beside_published(lenet: pd.DataFrame) -> list[str]:
    """Say what is reached here within the bytes of each published network."""
    mean = lenet.groupby(["method", "bytes"])["accuracy"].mean().reset_index()
    sentences = []
    for name, (size, error) in PUBLISHED.items():
        small = mean[mean["bytes"] <= size]
        found = "no network here is that small"
        if len(small):
            best = small.loc[small["accuracy"].idxmax()]
            found = f"{100 - 100 * best['accuracy']:.2f} % by {best['method']} is the lowest here"
        sentences.append(f"- {name}, {error} % in {size:,} bytes: {found}.")
    return sentences


def metrics_row(name: str, group: pd.DataFrame) -> dict:
    """One line of the tutorial's table."""
    return {
        "method": name,
        "units": mean_std(group["units"], 1),
        "bytes": round(group["bytes"].mean()),
        "accuracy": mean_std(group["accuracy"], digits=2),
        "precision": mean_std(group["precision"], digits=2),
        "recall": mean_std(group["balanced_accuracy"], digits=2),
        "F1": mean_std(group["f1"], digits=2),
    }


def widths_of(units: int) -> str:
    """Name LeNet's two layers by the sum of their units."""
    return {sum(widths): "-".join(map(str, widths)) for widths in (LENET, *LENET_WIDTHS)}[units]


def draw(report: Report, lenet: pd.DataFrame) -> None:
    """Accuracy against bytes, with the published points."""
    rows = lenet.rename(columns={"method": "criterion", "bytes": "n_bytes"})
    rows = rows[["criterion", "n_bytes", "accuracy"]]
    published = [(name, size, 1 - error / 100) for name, (size, error) in PUBLISHED.items()]
    rows = pd.concat([rows, pd.DataFrame(published, columns=rows.columns)])
    controls = ["from scratch, total epochs", *PUBLISHED]
    display = TradeOffDisplay(rows, size="n_bytes", controls=controls).plot()
    report.figure(display.figure_, "lenet", "accuracy of LeNet-300-100 against stored bytes")
