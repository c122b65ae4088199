"""Does C-APoZ earn its keep? The C-APoZ paper's tables on real spectra, with their controls.

Run with `python -m benchmarks paper --data-home FOLDER --seeds 16`. Without `--data-home` the
embedded USGS spectra alone are used. `_paper_tables` turns the measurements into tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd

from sklearn_capoz.criteria import CRITERIA, CAPoZ, Reversed
from sklearn_capoz.schedules import Widths

from . import _paper_tables as tables
from ._data import Task, indian_pines, usgs_mixtures
from ._protocol import (
    DISTILLATION,
    Budget,
    Method,
    Options,
    control_row,
    latencies,
    measure,
    over_seeds,
    path_rows,
    summary,
    train_dense,
    walk,
)
from ._report import Report, markdown_table

TITLE = "Paper: criteria, compensation and controls"

#: Hidden units of the dense network, and after iteration 1, 2, ...: the paper's table 4.
DENSE = 30
WIDTHS = (22, 17, 13, 11, 9, 7, 5)
#: Hidden units of the paper's table 2.
SWEEP = (10, 15, 20, 25, 30, 35, 40, 45)
#: From 30 units to 4, one at a time.
EVERY_WIDTH = tuple(range(DENSE - 1, 3, -1))
N_RANDOM_DRAWS = 5

BEST = Method(
    "reconstruction + least-squares + distillation",
    {"criterion": "reconstruction", "compensation": "least-squares"} | DISTILLATION,
)


@dataclass(frozen=True)
class Setting:
    """One task to prune on.

    Parameters
    ----------
    name : str
        In tables and files.
    description : str
    make_task : callable of (seed) -> Task
    budget : Budget
    compensations : tuple
        With which every criterion is tried; empty leaves all but the main methods out.
    every_width : bool
        Whether to walk down unit by unit as well.
    """

    name: str
    description: str
    make_task: Callable[[int], Task]
    budget: Budget
    compensations: tuple = (None, "bias", "least-squares")
    every_width: bool = False


def settings(options: Options) -> list[Setting]:
    """Tasks of the experiment; each batch size is one at which the dense network is trained out."""
    quick = {"epochs": 6, "retrain_epochs": 3} if options.quick else {}
    usgs = partial(usgs_mixtures, quick=options.quick)
    counts = "700 spectra to train on, 350 to score units on, 350 to choose on, 2,320 to test"
    found = [
        Setting(
            "USGS mixtures",
            "`make_mineral_spectra`, seven minerals, 50 bands, standardised hull quotients; "
            f"{counts}. Batches of 200, the default.",
            usgs,
            Budget(**quick),
            every_width=True,
        ),
        Setting(
            "USGS mixtures, batches of 32",
            "The same with batches of 32: six times the steps in as many epochs, so that all "
            "networks are trained much further.",
            usgs,
            Budget(**quick, batch_size=32),
            compensations=(),
        ),
    ]
    if options.data_home is not None:
        found.append(
            Setting(
                "Indian Pines",
                "Single pixels of 16 classes, 200 standardised bands; random stratified split: "
                "1,024 to train on, 512 to score units on, 512 to choose on, 8,201 to test. "
                "Batches of 64. "
                "Neighbouring pixels are alike, which flatters all networks: see the experiment "
                "on disjoint splits. Seeds draw from one scene, so that their test sets overlap.",
                partial(indian_pines, data_home=options.data_home, quick=options.quick),
                Budget(**quick, batch_size=64),
                compensations=(None, "least-squares"),
            )
        )
    return found


def main_methods() -> list[Method]:
    """C-APoZ, its peers, and each with what goes beyond it."""
    refit = {"compensation": "least-squares"}
    return [
        Method("c-apoz"),
        Method("apoz", {"criterion": "apoz"}),
        Method("c-apoz + distillation", DISTILLATION),
        Method("c-apoz + least-squares + distillation", refit | DISTILLATION),
        Method("reconstruction + least-squares", {"criterion": "reconstruction"} | refit),
        BEST,
        Method("c-apoz, reversed", {"criterion": Reversed(CAPoZ())}),
    ]


def random_methods() -> list[Method]:
    """Return the controls that cut units at random."""
    return [
        Method("random", {"criterion": "random"}),
        Method(
            "random + least-squares + distillation",
            {"criterion": "random", "compensation": "least-squares"} | DISTILLATION,
        ),
    ]


def every_method(compensations: tuple) -> list[Method]:
    """Every criterion with every compensation, less what the lists above hold."""
    known = {method.name for method in main_methods() + random_methods()}
    methods = [
        Method(
            tables.combined(criterion, compensation),
            {"criterion": criterion, "compensation": compensation},
        )
        for compensation in compensations
        for criterion in CRITERIA
    ]
    return [method for method in methods if method.name not in known]


def run_seed(setting: Setting, seed: int) -> list[dict]:
    """Everything on one seed's data: a row per trained network."""
    task, budget = setting.make_task(seed), setting.budget
    dense = train_dense(task, (DENSE,), seed, budget)
    rows = []

    def add(part: str, found: list[dict]) -> None:
        rows.extend({"part": part} | row for row in found)

    def matched(method: Method, walk_seed: int = seed) -> None:
        path = walk(dense, task, method, walk_seed, budget, Widths(WIDTHS), len(WIDTHS))
        add("matched", path_rows(path, task, method.name))

    for method in main_methods() + every_method(setting.compensations):
        matched(method)
    for method in random_methods():
        for draw in range(N_RANDOM_DRAWS):
            matched(method, seed + 1000 * draw)
    add("control", controls(task, dense, budget, seed))
    if setting.compensations:
        add("sweep", [sweep_row(task, units, seed, budget) for units in SWEEP])
        for method in main_methods()[:2]:
            path = walk(dense, task, method, seed, budget, "multi-pass", len(WIDTHS))
            add("rule", path_rows(path, task, method.name))
    if setting.every_width:
        add("every width", every_width(task, dense, budget, seed))
    return rows


def sweep_row(task: Task, units: int, seed: int, budget: Budget) -> dict:
    """Measure a network of one width, without pruning."""
    model = train_dense(task, (units,), seed, budget)
    row = {"method": f"dense, {units} units", "epochs": model.n_iter_}
    row["select_after"] = model.history_["accuracy_after"][0]
    return row | measure(model.network_, task)


def controls(task: Task, dense, budget: Budget, seed: int) -> list[dict]:
    """Networks that were never pruned, beside every operating point; dense ones beside two.

    "Total epochs" are those of the pruned network, the dense one's included. From scratch with
    distillation the student alone has that many, and its teacher comes on top.
    """
    train_control = partial(control_row, task=task, budget=budget, seed=seed)
    teacher = dense.network_
    rows = []
    for iteration, width in enumerate(WIDTHS, 1):
        total = budget.after(iteration)
        found = [
            train_control("from scratch, equal epochs", epochs=budget.epochs, start=(width,)),
            train_control("from scratch, total epochs", epochs=total, start=(width,)),
            train_control(
                "from scratch, total epochs, cosine",
                epochs=total, start=(width,), learning_rate="cosine",
            ),
            train_control(
                "from scratch, total epochs, distillation",
                epochs=total, start=(width,), learning_rate="cosine", teacher=teacher,
            ),
        ]  # fmt: skip
        if width in tables.TESTED:  # they are the slow ones
            found += [
                train_control("dense, total epochs", epochs=total, start=(DENSE,)),
                train_control(
                    "dense, extra epochs, distillation", epochs=total - budget.epochs,
                    start=teacher, learning_rate="cosine", teacher=teacher,
                ),
            ]  # fmt: skip
        rows += [row | {"iteration": iteration, "against_units": width} for row in found]
    return rows


def every_width(task: Task, dense, budget: Budget, seed: int) -> list[dict]:
    """One path through every width, and every width from scratch at equal total epochs."""
    step = Budget(budget.epochs, max(budget.retrain_epochs // 5, 1), budget.batch_size)
    path = walk(dense, task, BEST, seed, step, Widths(EVERY_WIDTH), len(EVERY_WIDTH))
    rows = path_rows(path, task, BEST.name)
    for iteration, width in enumerate(EVERY_WIDTH, 1):
        row = control_row(
            "from scratch, total epochs, distillation", task, step, step.after(iteration), seed,
            start=(width,), learning_rate="cosine", teacher=dense.network_,
        )  # fmt: skip
        rows.append(row | {"iteration": iteration})
    return rows


def size_table(setting: Setting) -> pd.DataFrame:
    """Parameters, multiply-adds, bytes and latency of every width, which no method changes."""
    task = setting.make_task(0)
    dense = train_dense(task, (DENSE,), 0, setting.budget)
    short = Budget(1, 1, setting.budget.batch_size)
    path = walk(dense, task, Method("c-apoz"), 0, short, Widths(WIDTHS), len(WIDTHS))
    sizes = pd.DataFrame(path_rows(path, task, "c-apoz"))
    sizes["latency"] = latencies(path.estimators, task.X_test)
    return sizes[["units", "parameters", "multiply_adds", "bytes", "latency"]]


def run(options: Options, report: Report) -> None:
    """Measure, and write one section per task."""
    measured: dict[str, pd.DataFrame] = {}
    beginning = len(report.parts)
    for setting in settings(options):
        table = over_seeds(partial(run_seed, setting), options, setting.name)
        table["setting"] = setting.name
        measured[setting.name] = table
        sizes = size_table(setting)
        report.heading(setting.name)
        report.text(
            f"{setting.description} {DENSE} hidden units, Adam, {setting.budget.epochs} epochs, "
            f"and {setting.budget.retrain_epochs} after every cut; no training ends early."
        )
        if setting.compensations:
            tables.sweep(report, table)
            tables.sizes(report, sizes)
            tables.rule(report, table)
            tables.criteria(report, table, setting.compensations)
        tables.controls(report, table, sizes, BEST.name)
        if setting.every_width:
            tables.every_width(report, table, BEST.name)
    keys = ("setting", "part", "method", "iteration", "against_units")
    report.csv(summary(pd.concat(measured.values(), ignore_index=True), keys))
    report.parts[beginning:beginning] = [
        "### In short",
        markdown_table(tables.in_short(measured, BEST.name)),
        f"▼ significantly below {BEST.name} at the same size, ▲ significantly above (paired "
        "Wilcoxon, Holm within the task); unmarked: no significant difference. From scratch: a "
        "network of that width, with the epochs of the dense network, or of the whole path.",
    ]
    if options.data_home is None:
        report.text("Indian Pines was not run: no `--data-home` was given.")
