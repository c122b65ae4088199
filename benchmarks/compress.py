"""compress at several budgets of bytes, beside small networks from scratch in as many bytes.

Run with `python -m benchmarks compress --data-home FOLDER --seeds 10`. From scratch the widest
network is trained whose file fits, in floats, 8 and 4 bits, for as many epochs as the network of
the walk has seen on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from unittest.mock import patch

import numpy as np
import pandas as pd

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.deploy import CompiledClassifier, Compression, compress, quantize
from sklearn_capoz.export import _compress_moves
from sklearn_capoz.export._files import file_content
from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.training import TrainingSettings, TrainingTask, initial_network, train

from ._data import Task, indian_pines, usgs_mixtures
from ._protocol import NEVER, Budget, Options, over_seeds, summary
from ._report import Report
from ._statistics import compare, differences, holm, mean_std

TITLE = "Compression to the byte"

#: Task -> hidden layers and budgets in bytes.
TASKS = {
    "minerals": ((30,), (1600, 2000, 3000)),
    "Indian Pines": ((60, 30), (3000, 6000, 12000)),
}
WALK, NO_CONNECTIONS = "compress", "compress, no connections"
SCRATCH = {32: "from scratch, floats", 8: "from scratch, 8 bits", 4: "from scratch, 4 bits"}
CUTS = ("units", "inputs", "connections")


def make_task(name: str, options: Options, seed: int) -> Task:
    """Draw the data of a task."""
    if name == "minerals":
        return usgs_mixtures(seed, options.quick)
    return indian_pines(seed, options.data_home, options.quick)


def walk(task: Task, widths, limit: int, budget: Budget, seed: int, cuts=CUTS) -> Compression:
    """Compress a network, by some of the cuts."""
    network = PrunedMLPClassifier(
        widths,
        criterion="reconstruction",
        compensation="least-squares",
        max_iter=budget.epochs,
        retrain_max_iter=budget.retrain_epochs,
        batch_size=budget.batch_size,
        n_iter_no_change=NEVER,
        random_state=seed,
    )
    every = _compress_moves._cuts
    some = partial(_some, every, cuts)
    with patch.object(_compress_moves, "_cuts", some):
        return compress(network, task.X, task.y, budget=limit, X_val=task.X_val, y_val=task.y_val)


def _some(every: Callable, cuts, plan) -> list:
    return [cut for cut in every(plan) if cut[0] in cuts]


def packed(network: DenseNetwork, task: Task, bits: int):
    """Make what would be stored of a network."""
    model = CompiledClassifier(network, np.arange(task.n_classes))
    return model if bits == 32 else quantize(model, task.X, bits=bits)


def widest(task: Task, widths, bits: int, limit: int, random) -> DenseNetwork | None:
    """Return the widest untrained network of the shape of `widths` whose file fits."""
    found, fits, fits_not = None, 0, widths[0] + 1
    while fits_not - fits > 1:
        first = (fits + fits_not) // 2
        sizes = [max(1, round(first * width / widths[0])) for width in widths]
        n_features, dtype = task.X.shape[1], task.X.dtype
        network = initial_network(n_features, sizes, task.n_classes, "relu", random, dtype)
        if len(file_content(packed(network, task, bits))) <= limit:
            found, fits = network, first
        else:
            fits_not = first
    return found


def from_scratch(task: Task, widths, bits: int, limit: int, budget: Budget, epochs: int, seed: int):
    """Train the widest network that fits; a unit less where the trained one does not."""
    random = np.random.RandomState(seed)
    settings = TrainingSettings(
        max_iter=epochs, batch_size=budget.batch_size, n_iter_no_change=NEVER
    )
    start = widest(task, widths, bits, limit, random)
    while start is not None:
        job = TrainingTask(start, task.X, task.y, random_state=np.random.RandomState(seed))
        model = packed(train([job], settings)[0].network, task, bits)
        size = len(file_content(model))
        if size <= limit:
            return model, size
        start = widest(task, start.widths, bits, limit - (size - limit), random)
    return None


def run_seed(options: Options, seed: int) -> list[dict]:
    """Every task and budget, by the walk and from scratch."""
    budget = Budget(6, 3) if options.quick else Budget(200, 50)
    rows = []
    for name, (widths, limits) in TASKS.items():
        if name != "minerals" and options.data_home is None:
            continue
        task = make_task(name, options, seed)
        for limit in limits:
            here = {"task": name, "units": limit}
            for method, cuts in {WALK: CUTS, NO_CONNECTIONS: CUTS[:2]}.items():
                found = walk(task, widths, limit, budget, seed, cuts)
                moves = found.trace["move"].isin(CUTS)
                last = found.trace.iloc[-1]
                rows.append(
                    here
                    | {"method": method, "bytes": last["n_bytes"], "bits": last["bits"]}
                    | {f"moves_{cut}": int((found.trace["move"] == cut).sum()) for cut in CUTS}
                    | {"accuracy": found.estimator.score(task.X_test, task.y_test)}
                )
                if method == WALK:
                    epochs = budget.after(int(moves.sum()))
            for bits, method in SCRATCH.items():
                control = from_scratch(task, widths, bits, limit, budget, epochs, seed)
                if control is not None:
                    model, size = control
                    score = model.score(task.X_test, task.y_test)
                    rows.append(
                        here | {"method": method, "bytes": size, "bits": bits, "accuracy": score}
                    )
    return rows


def run(options: Options, report: Report) -> None:
    """Measure, and write a table per task."""
    table = over_seeds(partial(run_seed, options), options, "compress")
    report.text(
        "Minerals: hull quotients, 30 units. Indian Pines: pixels of a random split, 60 and 30 "
        "units. Trained for 200 epochs, and 50 after each cut; the walk chooses on validation data "
        "and the accuracy is that of the test set. Bytes are those of the file, of which about a "
        "thousand are names and descriptions. `from scratch` is the widest network that fits, "
        "trained for as many epochs in all; where no unit fits there is no row."
    )
    for name, found in table.groupby("task", sort=False):
        report.heading(name)
        cells = [
            {
                "at most": f"{limit:,}",
                "method": method,
                "bytes": f"{rows['bytes'].mean():,.0f}",
                "accuracy": mean_std(rows["accuracy"], digits=2),
                "cuts of units, inputs, connections": _cuts_of(rows),
                "seeds": rows["seed"].nunique(),
            }
            for (limit, method), rows in found.groupby(["units", "method"], sort=False)
        ]
        report.table(pd.DataFrame(cells))
        complete = _everywhere(found)
        pairs = [(WALK, other) for other in (NO_CONNECTIONS, *SCRATCH.values())]
        tests = [
            compare(complete[complete["units"] == limit], there, [limit])
            for limit in TASKS[name][1]
            if (there := [pair for pair in pairs if (limit, pair[1]) in _places(complete)])
        ]
        together = pd.concat(tests)
        together["p_holm"] = holm(together["p"])
        report.table(differences(together).rename(columns={"units": "at most"}))
    report.csv(summary(table, ("task", "units", "method")))


def _cuts_of(rows: pd.DataFrame) -> str:
    means = [rows[f"moves_{cut}"].mean() for cut in CUTS]
    return "" if np.isnan(means).any() else ", ".join(f"{mean:.1f}" for mean in means)


def _places(table: pd.DataFrame) -> set:
    return set(zip(table["units"], table["method"], strict=True))


def _everywhere(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out methods at budgets that they do not fit in for every seed."""
    n_seeds = table["seed"].nunique()
    counts = table.groupby(["units", "method"])["seed"].transform("nunique")
    return table[counts == n_seeds]
