"""Half of the bands: inputs pruned by several criteria, beside bands chosen without a network.

Run with `python -m benchmarks inputs --seeds 10`. Only inputs are cut, then inputs and units.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from sklearn_capoz.schedules import Widths

from ._data import Task, usgs_mixtures, usgs_reflectance
from ._protocol import (
    Budget,
    Method,
    Options,
    control_row,
    measure,
    over_seeds,
    summary,
    train_dense,
    walk,
)
from ._report import Report
from ._statistics import compare, differences, mean_std
from .paper import DENSE

TITLE = "Inputs: half of the bands"

DENSE_NAME, LONGER = "dense", "dense, the same epochs more"
SECOND, CHOSEN = "every second band, from scratch", "the same bands, from scratch"
#: Steps to half of the inputs; with all units, and down to nine of them.
INPUTS = (42, 35, 30, 25)
UNITS = {"30 units": (DENSE,) * 4, "to 9 units": (22, 17, 13, 9)}
LEAST_SQUARES = {"compensation": "least-squares"}
METHODS = (
    Method("Taylor", {"criterion": "taylor"}),
    Method("L1 norm", {"criterion": "l1"}),
    Method("reconstruction", {"criterion": "reconstruction"} | LEAST_SQUARES),
    Method("correlation", {"criterion": "correlation"} | LEAST_SQUARES),
    Method("random", {"criterion": "random"}),
)
TASKS = {"hull quotients": usgs_mixtures, "reflectance": usgs_reflectance}


def of_columns(task: Task, columns: np.ndarray) -> Task:
    """Take some of the features."""
    X, X_val, X_test = (part[:, columns] for part in (task.X, task.X_val, task.X_test))
    return Task(X, task.y, X_val, task.y_val, X_test, task.y_test)


def run_seed(options: Options, seed: int) -> list[dict]:
    """Every method on both features, each with its controls."""
    budget = Budget(6, 3) if options.quick else Budget()
    rows = []
    for name, make in TASKS.items():
        task = make(seed, options.quick)
        dense = train_dense(task, (DENSE,), seed, budget)
        kept = {"task": name, "cut": "30 units"}
        rows.append(kept | {"method": DENSE_NAME} | measure(dense.network_, task))
        more = len(INPUTS) * budget.retrain_epochs
        rows.append(kept | control_row(LONGER, task, budget, more, seed, start=dense.network_))
        for cut, units in UNITS.items():
            schedule = Widths(list(zip(INPUTS, units, strict=True)))
            for method in METHODS:
                asked = Method(method.name, method.parameters | {"prune_inputs": True})
                path = walk(dense, task, asked, seed, budget, schedule, len(INPUTS))
                rows.append({"task": name, "cut": cut} | _found(path, task, method.name))
                if method is METHODS[0]:
                    chosen = path.estimators[-1].get_support(indices=True)
            for control, columns in {CHOSEN: chosen, SECOND: np.arange(0, 50, 2)}.items():
                less = of_columns(task, columns)
                found = control_row(
                    control, less, budget, budget.after(len(INPUTS)), seed, start=(units[-1],)
                )
                rows.append({"task": name, "cut": cut} | found)
    return rows


def _found(path, task: Task, name: str) -> dict:
    last = path.estimators[-1]
    less = of_columns(task, last.get_support(indices=True))
    return {
        "method": name,
        "inputs": int(last.get_support().sum()),
        "select_after": path.history["accuracy_after"].iloc[-1],
    } | measure(last.estimator_.network_, less)


def run(options: Options, report: Report) -> None:
    """Measure, and write a table per task."""
    table = over_seeds(partial(run_seed, options), options, "inputs")
    report.text(
        f"{DENSE} units on 50 bands, trained for 200 epochs; in four steps of 100 epochs the "
        "inputs are cut to 25, in the second tables the units to 9 as well. `from scratch` has "
        f'all 600 epochs from the start; "{CHOSEN}" are those that Taylor leaves.'
    )
    for (name, cut), found in table.groupby(["task", "cut"], sort=False):
        report.heading(f"{name}, {cut}")
        cells = [
            {
                "method": method,
                "parameters": f"{rows['parameters'].mean():,.0f}",
                "accuracy": mean_std(rows["accuracy"], digits=2),
                "balanced accuracy": mean_std(rows["balanced_accuracy"], digits=2),
            }
            for method, rows in found.groupby("method", sort=False)
        ]
        report.table(pd.DataFrame(cells))
        dense = table[(table["task"] == name) & table["method"].isin([DENSE_NAME, LONGER])]
        same = pd.concat([found, dense] if cut != "30 units" else [found]).assign(units=0)
        names = [method.name for method in METHODS]
        pairs = [(method, DENSE_NAME) for method in (*names, CHOSEN, SECOND)]
        pairs += [(method, LONGER) for method in names]
        pairs += [(names[0], other) for other in (*names[1:], CHOSEN, SECOND)]
        report.table(differences(compare(same, pairs, [0])).drop(columns="units"))
    report.csv(summary(table, ("task", "cut", "method")))
