"""Teachers: who helps a pruned network, a small one from scratch, and a vote of both.

Run with `python -m benchmarks teachers --data-home FOLDER --seeds 10`. The best teacher is chosen
per seed on the select set, for pruned networks and for those from scratch alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score

from sklearn_capoz import FusedClassifier
from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.pruning import Remove

from . import mnist
from ._data import Task, indian_pines, usgs_mixtures
from ._protocol import Budget, Options, over_seeds, train_dense
from ._report import Report, markdown_table
from ._statistics import compare, mean_std, verdict
from ._teaching import (
    GENERATIONS,
    N_NETWORKS,
    N_PEERS,
    TEACHERS,
    Taught,
    Weight,
    from_scratch,
    prune_taught,
    select_accuracy,
)

TITLE = "Teachers: alone, taught, fused and averaged"

DENSE = 30
TESTED = (9, 5)
#: The paper's widths, for the path on which weights are averaged.
STEPS = (22, 17, 13, 11, 9, 7, 5)
PRUNED, SCRATCH = "pruned, ", "from scratch, "
MODES = ("alone", *TEACHERS)
LONGER = "alone, an ensemble's epochs"
STEPWISE, AVERAGED = "pruned step by step, dense", "averaged along the steps"


@dataclass(frozen=True)
class Setting:
    """One task, with the epochs and batches of its networks."""

    name: str
    description: str
    make_task: Callable[[int], Task]
    budget: Budget
    weight: Weight


def settings(options: Options) -> list[Setting]:
    """Tasks of the experiment."""
    # Half as many epochs leave all networks untrained, and the best is who learns fastest.
    long, short = ((6, 7), (6, 7)) if options.quick else ((200, 700), (100, 350))
    found = [
        Setting(
            "USGS mixtures",
            "Mixed spectra of seven minerals, 50 bands, as in the experiment `paper`: 700 to train "
            "on, 2,320 to test. Batches of 200.",
            partial(usgs_mixtures, quick=options.quick),
            Budget(*long),
            Weight(0.7, 4.0),
        )
    ]
    if options.data_home is not None:
        home = {"data_home": options.data_home, "quick": options.quick}
        found += [
            Setting(
                "Indian Pines",
                "Single pixels of 16 classes, 200 bands, random split, as in the experiment "
                "`paper`: 1,024 to train on, 8,201 to test. Batches of 64.",
                partial(indian_pines, **home),
                Budget(*short, batch_size=64),
                Weight(0.7, 2.0),
            ),
            Setting(
                "MNIST, small",
                "1,000 digits to train on, 500 each to score units and to choose on, MNIST's own "
                "10,000 to test; means of 4 x 4 pixels, 49 features. Batches of 64.",
                partial(small_digits, **home),
                Budget(*short, batch_size=64),
                Weight(0.7, 2.0),
            ),
        ]
    return found


def small_digits(seed: int, data_home, quick: bool) -> Task:
    """MNIST in 49 features and 1,000 training samples."""
    task = mnist.make_task(seed, data_home, quick)

    def shrink(X: np.ndarray) -> np.ndarray:
        return X.reshape(len(X), 7, 4, 7, 4).mean(axis=(2, 4)).reshape(len(X), 49)

    return Task(
        *(shrink(task.X[:1000]), task.y[:1000]),
        *(shrink(task.X_val[:1000]), task.y_val[:1000]),
        *(shrink(task.X_test), task.y_test),
    )


def run_seed(setting: Setting, seed: int) -> list[dict]:
    """Every mode on one seed's data, pruned and from scratch, at both widths."""
    task, budget = setting.make_task(seed), setting.budget
    dense = train_dense(task, (DENSE,), seed, budget)
    prune = partial(prune_taught, dense, task=task, seed=seed)
    rows: list[dict] = []
    for mode in MODES:
        weight = None if mode == "alone" else setting.weight
        teacher = None if mode == "alone" else TEACHERS[mode](task, seed)
        for width in TESTED:
            path = prune(teacher, weight, budget=budget, widths=(width,))
            rows += both_rows(mode, weight, path, task, seed, budget)
            if mode == "dense":
                rows += fused_rows(path, task)
    longer = replace(
        budget, retrain_epochs=budget.retrain_epochs + (N_NETWORKS - 1) * budget.epochs
    )
    for width in TESTED:
        path = prune(None, None, budget=longer, widths=(width,))
        rows += both_rows(LONGER, None, path, task, seed, longer)
    steps = replace(budget, retrain_epochs=budget.retrain_epochs // len(STEPS))
    path = prune(None, setting.weight, budget=steps, widths=STEPS)
    for width in TESTED:
        rows += step_rows(path, width, task)
    return rows


def measured(method: str, network: DenseNetwork, path: Taught, task: Task, **more) -> dict:
    """Measure a network where it is chosen and where it is reported."""
    return {
        "method": method,
        "units": sum(network.widths),
        "select": select_accuracy(network, path.data.select),
        "accuracy": accuracy_score(task.y_test, network.labels(network.forward(task.X_test)[-1])),
        "multiply-adds": network.n_multiply_adds,
        **more,
    }


def both_rows(mode, weight, path: Taught, task: Task, seed, budget: Budget) -> list[dict]:
    """Measure a pruned network, and one from scratch with its teacher and its epochs."""
    pruned, total = path.records[-1].model.network, budget.after(1)
    small = from_scratch(pruned.widths[0], total, path, weight, task, seed, budget)
    return [
        measured(PRUNED + mode, pruned, path, task, epochs=total),
        measured(SCRATCH + mode, small, path, task, epochs=total),
    ]


class Fixed(ClassifierMixin, BaseEstimator):
    """A network in the form of a fitted classifier."""

    def __init__(self, network):
        self.network = network
        self.classes_ = np.arange(network.n_classes)

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return self.network.probabilities(self.network.forward(X)[-1])


def fused_rows(path: Taught, task: Task) -> list[dict]:
    """Let the pruned network vote with the dense one that it came from."""
    dense, pruned = (path.records[i].model.network for i in (0, -1))
    width, select = pruned.widths[0], path.data.select
    rows = [measured("unpruned", dense, path, task) | {"units": width}]
    for name, weights in (("chosen", "validation"), ("equal", None)):
        members = [
            ("pruned", FrozenEstimator(Fixed(pruned))),
            ("dense", FrozenEstimator(Fixed(dense))),
        ]
        fused = FusedClassifier(members, weights=weights).fit(select.X, select.y)
        rows.append(
            {
                "method": f"fused, {name} weights",
                "units": width,
                "accuracy": fused.score(task.X_test, task.y_test),
                "multiply-adds": dense.n_multiply_adds + pruned.n_multiply_adds,
                "share": fused.weights_[0],
            }
        )
    return rows


def step_rows(path: Taught, width: int, task: Task, n: int = 3) -> list[dict]:
    """Measure a network of a path, and its mean with those before it, cut to its units.

    The units that those lose are made up for by least squares.
    """
    last = STEPS.index(width) + 1
    record, networks = path.records[last], []
    for earlier in path.records[last - n + 1 : last + 1]:
        model = earlier.model
        for group, own, ours in zip(model.groups, earlier.support, record.support, strict=True):
            if not ours[own].all():
                change = Remove(group.name, ours[own])
                model = model.apply(change, "least-squares", path.data.score)
        networks.append(model.network)
    weights, biases = (
        tuple(np.mean(arrays, axis=0) for arrays in zip(*parts, strict=True))
        for parts in (
            [network.weights for network in networks],
            [network.biases for network in networks],
        )
    )
    mean = replace(networks[-1], weights=weights, biases=biases)
    return [
        measured(STEPWISE, networks[-1], path, task),
        measured(AVERAGED, mean, path, task),
    ]


def with_best(table: pd.DataFrame) -> pd.DataFrame:
    """Add, of every seed, the teacher that the select set prefers for the pruned network."""
    rows = []
    taught = [mode for mode in MODES if mode != "alone"]
    for _, group in table.groupby(["seed", "units"]):
        by_method = group.set_index("method")
        for kind in (PRUNED, SCRATCH):
            best = max(taught, key=lambda mode: by_method.loc[kind + mode, "select"])
            own = by_method.loc[kind + best]
            rows.append(own.to_dict() | {"method": f"{kind}best teacher", "mode": best})
            if kind == PRUNED:
                same = by_method.loc[SCRATCH + best]
                rows.append(same.to_dict() | {"method": f"{SCRATCH}the same teacher"})
    keys = table.groupby(["seed", "units"]).size().index.repeat(3)
    extra = pd.DataFrame(rows).assign(seed=keys.get_level_values(0), units=keys.get_level_values(1))
    return pd.concat([table, extra], ignore_index=True)


def epochs_of(mode: str, kind: str, total: int, budget: Budget) -> int:
    """Count the epochs of the student and of all networks that taught it."""
    first = 0 if kind == PRUNED else budget.epochs  # a pruned network was the dense one
    return total + {
        "dense": first,
        "ensemble": (N_NETWORKS - 1) * budget.epochs + first,
        "born again": GENERATIONS * budget.epochs + first,
        "mutual": (N_PEERS - 1) * total,
    }.get(mode, 0)


def task_table(table: pd.DataFrame, budget: Budget) -> pd.DataFrame:
    """One line per mode: both kinds at both widths, and what they cost to train."""
    lines = []
    for mode in (*MODES, LONGER):
        line = {"teacher": mode}
        for kind, name in ((PRUNED, "pruned"), (SCRATCH, "from scratch")):
            for width in TESTED:
                own = table[(table["method"] == kind + mode) & (table["units"] == width)]
                line[f"{name}, {width} units"] = mean_std(own["accuracy"])
                total = int(own["epochs"].iloc[0])
            line[f"epochs, {name}"] = epochs_of(mode, kind, total, budget)
        lines.append(line)
    return pd.DataFrame(lines)


def task_section(report: Report, setting: Setting, table: pd.DataFrame) -> None:
    """Write what one task says."""
    report.heading(setting.name)
    report.text(
        f"{setting.description} {DENSE} hidden units, {setting.budget.epochs} epochs, and "
        f"{setting.budget.retrain_epochs} after the cut. Teachers weigh "
        f"{setting.weight.distillation}, at temperature {setting.weight.temperature:g}."
    )
    report.table(task_table(table, setting.budget))
    report.text(f"Epochs: at {TESTED[-1]} units, those of all networks that taught included.")
    for kind, name in ((PRUNED, "Pruned"), (SCRATCH, "From scratch")):
        report.heading(f"{name}: against alone, and against each other", level=4)
        modes = [kind + mode for mode in MODES]
        pairs = [(other, kind + "alone") for other in modes[1:]]
        pairs += [(other, kind + LONGER) for other in modes[1:]]
        report.text(verdict(compare(table, pairs, TESTED)))
        pairs = [(a, b) for i, a in enumerate(modes[1:], 1) for b in modes[i + 1 :]]
        report.text(verdict(compare(table, pairs, TESTED)))
    report.heading("Fused and averaged", level=4)
    names = [
        f"{PRUNED}dense", "unpruned", "fused, chosen weights", "fused, equal weights", STEPWISE,
        AVERAGED,
    ]  # fmt: skip
    lines = []
    for name in names:
        own = table[table["method"] == name]
        line = {"network": name}
        for width in TESTED:
            at = own[own["units"] == width]
            line |= {
                f"{width} units": mean_std(at["accuracy"]),
                f"multiply-adds, {width}": str(int(at["multiply-adds"].iloc[0])),
            }
        lines.append(line)
    report.table(pd.DataFrame(lines))
    pairs = [(name, other) for name in names[2:4] for other in names[:2]]
    pairs += [(f"{PRUNED}dense", STEPWISE), (AVERAGED, STEPWISE)]
    report.text(verdict(compare(table, pairs, TESTED)))


def target_section(report: Report, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Say where pruning with the best teacher beats training from scratch with the same."""
    rows, tested = [], []
    pairs = [
        (f"{PRUNED}best teacher", f"{SCRATCH}the same teacher"),
        (f"{PRUNED}best teacher", f"{SCRATCH}best teacher"),
    ]
    joined = []
    for name, table in tables.items():
        own = table[table["method"].isin({method for pair in pairs for method in pair})]
        joined.append(own.assign(method=own["method"] + f" ({name})"))
        for width in TESTED:
            at = own[own["units"] == width]
            modes = at["mode"].dropna()[at["method"] == f"{PRUNED}best teacher"].value_counts()
            rows.append(
                {"task": name, "units": width}
                | {
                    method: mean_std(at.loc[at["method"] == method, "accuracy"])
                    for method in dict.fromkeys(method for pair in pairs for method in pair)
                }
                | {"chosen": ", ".join(f"{mode} {n}" for mode, n in modes.items())}
            )
    for name in tables:
        tested += [(f"{a} ({name})", f"{b} ({name})") for a, b in pairs]
    comparison = compare(pd.concat(joined, ignore_index=True), tested, TESTED)
    return [markdown_table(pd.DataFrame(rows)), verdict(comparison)]


def run(options: Options, report: Report) -> None:
    """Measure, and write a section per task."""
    beginning, measured_tables = len(report.parts), {}
    for setting in settings(options):
        table = with_best(over_seeds(partial(run_seed, setting), options, setting.name))
        measured_tables[setting.name] = table
        task_section(report, setting, table)
    parts = target_section(report, measured_tables)
    report.parts[beginning:beginning] = [
        f"Pruned: by reconstruction with least squares, in one cut from {DENSE} units, which was "
        "better than a path on the validation samples of other seeds. From scratch: that width, "
        "the same teacher, and as many epochs as the dense network and the pruned one together; "
        "by a cosine rate, both. Ensemble: "
        f"{N_NETWORKS} dense networks; born again: {GENERATIONS} generations; mutual: {N_PEERS} "
        "networks; outside: a linear discriminant or a forest, by the validation samples. "
        "Weight and temperature were chosen on the validation samples of other seeds for the "
        "mixtures and MNIST; for Indian Pines, where those would be test pixels, they are those of "
        "the experiment `paper`. The best teacher is chosen per seed on the select set.",
        "### In short: pruned with the best teacher, against from scratch",
        *parts,
    ]
    everything = pd.concat(measured_tables, names=["task"]).reset_index(level="task")
    report.csv(everything.drop(columns="mode"))
    if options.data_home is None:
        report.text("Only the embedded spectra were used: no `--data-home` was given.")
