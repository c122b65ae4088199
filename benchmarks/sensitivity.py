"""How accuracy falls as units go without retraining, per layer, by criterion and compensation.

Run with `python -m benchmarks sensitivity --seeds 10`. The spectra are embedded in the package.
"""

from __future__ import annotations

from functools import partial

import pandas as pd

from sklearn_capoz import sensitivity_curve
from sklearn_capoz.criteria import CRITERIA
from sklearn_capoz.displays import SensitivityDisplay, TradeOffDisplay

from ._data import usgs_mixtures
from ._paper_tables import combined
from ._protocol import Budget, Options, over_seeds, summary, train_dense
from ._report import Report
from ._statistics import compare, mean_std, verdict

TITLE = "Sensitivity: units pruned without retraining"

NETWORKS = ((30,), (30, 20))
COMPENSATIONS = (None, "bias", "least-squares")
#: Units pruned at which criteria are listed and compared, per layer of each width.
LISTED = {30: (5, 10, 15, 20, 25), 20: (4, 8, 12, 16), 50: (8, 16, 24, 32, 40)}


def run_seed(options: Options, seed: int) -> list[dict]:
    """Curves of every criterion and compensation on one seed's networks."""
    task = usgs_mixtures(seed, options.quick)
    budget = Budget(epochs=6) if options.quick else Budget()
    rows = []
    for widths in NETWORKS:
        dense = train_dense(task, widths, seed, budget)
        for criterion in CRITERIA:
            for compensation in COMPENSATIONS:
                curve = sensitivity_curve(
                    dense,
                    task.X_val,
                    task.y_val,
                    X_test=task.X_test,
                    y_test=task.y_test,
                    criterion=criterion,
                    compensation=compensation,
                    random_state=seed,
                )
                curve["network"] = "-".join(map(str, widths))
                curve["method"] = combined(criterion, compensation)
                rows += curve.to_dict("records")
    return rows


def run(options: Options, report: Report) -> None:
    """Measure, and write a table per layer."""
    table = over_seeds(partial(run_seed, options), options, "sensitivity")
    report.text(
        "USGS mixtures as in the experiment on criteria: units are ranked once on 700 spectra that "
        "training has not seen, and the accuracy is of 2,320 others. One layer at a time, or all "
        "layers at the same share. Nothing is retrained."
    )
    # The bias alone is in the CSV file: it lies between the two.
    names = [combined(c, k) for k in (None, "least-squares") for c in CRITERIA]
    for widths in NETWORKS:
        network = "-".join(map(str, widths))
        layers = [*map(str, range(len(widths))), *(["all"] if len(widths) > 1 else [])]
        for layer in layers:
            width = sum(widths) if layer == "all" else widths[int(layer)]
            of_layer = (table["network"] == network) & (table["layer"] == layer)
            write_layer(report, table[of_layer], f"{network} units, layer {layer}", width, names)
    draw(report, table)
    keys = ("network", "layer", "method", "n_pruned")
    numbers = summary(table, keys)
    report.csv(numbers[[c for c in numbers if not c.startswith("accuracy_seed")]])


def write_layer(report: Report, rows: pd.DataFrame, title: str, width: int, names) -> None:
    """Tabulate and compare the curves of one layer."""
    report.heading(title)
    listed = rows[rows["n_pruned"].isin(LISTED[width])]
    cells = listed.groupby(["method", "n_pruned"])["accuracy"].agg(mean_std).unstack()
    cells.columns = [f"{n} of {width} pruned" for n in cells.columns]
    report.table(cells.reindex(names).reset_index())
    compared = rows.rename(columns={"n_pruned": "units"})
    half = LISTED[width][len(LISTED[width]) // 2]
    pairs = [(name, "random") for name in CRITERIA if name != "random"]
    pairs += [(f"{name} + least-squares", name) for name in CRITERIA]
    report.text(
        f"With {half} units pruned, each criterion against random and each with least-squares "
        "against without. " + verdict(compare(compared, pairs, [half])).replace(" units:", " gone:")
    )


def draw(report: Report, table: pd.DataFrame) -> None:
    """Layers of the deeper network, with and without compensation; criteria of the other."""
    import matplotlib.pyplot as plt

    mean = table.groupby(["network", "method", "layer", "n_pruned"], sort=False)["accuracy"].mean()
    shown = ("c-apoz", "reconstruction + least-squares")
    figure, panels = plt.subplots(1, 2, figsize=(12, 4), sharey=True, layout="constrained")
    for ax, method in zip(panels, shown, strict=True):
        curve = mean["30-20"][method].reset_index()
        SensitivityDisplay(curve).plot(ax)
        ax.set_title(f"30-20 units, {method}, mean over seeds", fontsize=9)
    report.figure(figure, "layers", "accuracy against pruned units of each layer")
    rows = table[table["network"] == "30"].rename(columns={"method": "criterion"})
    rows = rows.assign(n_units=30 - rows["n_pruned"])
    names = [*CRITERIA, "c-apoz + least-squares", "reconstruction + least-squares"]
    rows = rows[rows["criterion"].isin([name for name in names if name != "reconstruction"])]
    rows = rows[rows["n_units"].isin([30, 25, 20, 15, 10, 5, 2])]
    display = TradeOffDisplay(rows, size="n_units", controls=["random"]).plot()
    report.figure(display.figure_, "criteria", "accuracy against units left, every criterion")
