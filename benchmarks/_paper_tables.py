"""Tables, pictures and sentences of the experiment `paper`, all made from its measurements."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from sklearn_capoz.criteria import CRITERIA
from sklearn_capoz.displays import TradeOffDisplay

from ._report import Report
from ._statistics import LEVEL, compare, differences, mean_std, verdict

#: Operating points at which methods are tested against each other.
TESTED = (9, 5)
SCRATCH = "from scratch, total epochs, distillation"
CONTROLS = {
    "from scratch, equal epochs": "a network of that width, trained as long as the dense one",
    "from scratch, total epochs": "the same, trained for all epochs of the path",
    "from scratch, total epochs, cosine": "the same, its learning rate falling along a cosine",
    SCRATCH: "the same, taught by the dense network, whose epochs come on top",
    "dense, total epochs": "the unpruned network, trained on for the epochs of the path",
    "dense, extra epochs, distillation": "the same, taught by itself",
}


def combined(criterion: str, compensation: str | None) -> str:
    """Name of a criterion with a compensation."""
    return criterion if compensation is None else f"{criterion} + {compensation}"


def in_short(tables: dict[str, pd.DataFrame], best: str) -> pd.DataFrame:
    """Return the accuracies that matter most, marked where they differ from the best method's."""
    columns = {
        "C-APoZ": "c-apoz",
        "APoZ": "apoz",
        "random": "random",
        "from scratch, equal epochs": "from scratch, equal epochs",
        "from scratch, total epochs": "from scratch, total epochs",
        "and distillation": SCRATCH,
    }
    lines = []
    for setting, table in tables.items():
        rows = _matched_and_controls(table)
        found = compare(rows, [(best, name) for name in columns.values()], TESTED)
        found = found.set_index(["units", "against"])
        for width in TESTED:
            line = {
                "task": setting,
                "units": width,
                "dense, 30 units": mean_std(_accuracies(rows, best, 30)),
                best: mean_std(_accuracies(rows, best, width)),
            }
            for label, name in columns.items():
                test = found.loc[(width, name)]
                mark = ""
                if test["p_holm"] < LEVEL:
                    mark = " ▼" if test["difference"] > 0 else " ▲"
                line[label] = mean_std(_accuracies(rows, name, width)) + mark
            lines.append(line)
    return pd.DataFrame(lines)


def _matched_and_controls(table: pd.DataFrame) -> pd.DataFrame:
    """Pruned networks, and controls at the size that they are set against."""
    unpruned = table[table["part"] == "control"]
    unpruned = unpruned.assign(units=unpruned["against_units"].astype(int))
    return pd.concat([table[table["part"] == "matched"], unpruned])


def sweep(report: Report, table: pd.DataFrame) -> None:
    """Table 2 of the paper: accuracy against width, without pruning."""
    rows = table[table["part"] == "sweep"]
    report.heading("Width of the dense network", 4)
    names = {
        "select_after": "on the select set",
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced accuracy",
        "kappa": "kappa",
        "f1": "F1, macro",
    }
    groups = rows.groupby("units", sort=False)
    found = pd.DataFrame({label: groups[name].agg(mean_std) for name, label in names.items()})
    report.table(found.reset_index())
    chosen = groups["select_after"].mean().idxmax()
    widths = sorted(rows["units"].unique())
    comparison = compare(
        rows.assign(method=rows["units"].map("{} units".format), units=0),
        [("30 units", f"{width} units") for width in widths if width != 30],
        [0],
    )
    better = comparison[(comparison["p_holm"] < LEVEL) & (comparison["difference"] < 0)]
    worse = comparison[(comparison["p_holm"] < LEVEL) & (comparison["difference"] > 0)]
    report.text(
        f"The select set would choose {chosen} units. 30 units against every other width (paired "
        f"Wilcoxon, Holm over {len(comparison)} tests): significantly better than "
        f"{_listed(worse['against'])}, significantly worse than {_listed(better['against'])}."
    )


def sizes(report: Report, table: pd.DataFrame) -> None:
    """Write what a width costs, whatever the method."""
    report.heading("What a width costs", 4)
    dense = table.iloc[0]
    found = pd.DataFrame(
        {
            "units": table["units"],
            "unit ratio": [f"{dense['units'] / n:.2f}" for n in table["units"]],
            "parameters": table["parameters"],
            "parameter ratio": [f"{dense['parameters'] / n:.2f}" for n in table["parameters"]],
            "multiply-adds": table["multiply_adds"],
            "bytes": table["bytes"],
            "latency / µs per sample": [f"{t:.3f}" for t in table["latency"]],
        }
    )
    report.table(found.astype(str))
    report.text("Latency: `predict` on 10,000 samples, median of 30 calls that take turns.")


def rule(report: Report, table: pd.DataFrame) -> None:
    """Table 4 of the paper as the threshold rule falls: sizes differ."""
    rows = table[table["part"] == "rule"]
    report.heading("C-APoZ and APoZ as mean + std falls", 4)
    found = []
    for (iteration, method), group in rows.groupby(["iteration", "method"], sort=True):
        found.append(
            {
                "iteration": int(iteration),
                "criterion": method,
                "units": mean_std(group["units"], 1),
                "unit ratio": f"{30 / group['units'].mean():.2f}",
                "threshold": f"{group['threshold'].mean():.3f}",
                "before retraining": mean_std(group["select_before"]),
                "after": mean_std(group["select_after"]),
                "test": mean_std(group["accuracy"]),
            }
        )
    report.table(pd.DataFrame(found))
    report.text(
        "Before and after retraining: on the select set. Threshold: the rule's on this row's "
        "scores; units above it are gone in the next row."
    )


def criteria(report: Report, table: pd.DataFrame, compensations: Sequence) -> None:
    """Every criterion with every compensation at matched size."""
    rows = table[table["part"] == "matched"]
    report.heading("C-APoZ against APoZ at the published sizes", 4)
    widths = [width for width in rows["units"].unique() if width != rows["units"].max()]
    comparison = compare(rows, [("c-apoz", "apoz")], widths)
    shown = differences(comparison).drop(columns=["method", "against"])
    means = pd.DataFrame(
        [
            [mean_std(_accuracies(rows, method, width)) for method in ("c-apoz", "apoz")]
            for width in widths
        ],
        columns=["C-APoZ", "APoZ"],
    )
    report.table(pd.concat([shown[["units"]], means, shown.drop(columns="units")], axis=1))
    report.text(verdict(comparison))

    report.heading("Every criterion and compensation, after retraining", 4)
    names = [combined(c, compensation) for compensation in compensations for c in CRITERIA]
    names.append("c-apoz, reversed")
    report.table(_by_width(rows, names, "accuracy", mean_std))
    report.heading("Before retraining, on the select set", 4)
    report.table(_by_width(rows, names, "select_before", lambda v: f"{100 * v.mean():.1f}"))

    report.heading("Does a criterion beat cutting at random?", 4)
    others = [name for name in (*CRITERIA, "c-apoz, reversed") if name != "random"]
    report.text(verdict(compare(rows, [(name, "random") for name in others], TESTED)))
    report.heading("Does compensation help, after retraining?", 4)
    folded = [(combined(c, k), c) for k in compensations if k is not None for c in CRITERIA]
    report.text(verdict(compare(rows, folded, TESTED)))
    plain = rows[rows["method"].isin([*CRITERIA, "c-apoz, reversed"])]
    display = TradeOffDisplay(
        _for_display(plain), size="n_units", controls=["random", "c-apoz, reversed"]
    )
    _draw(report, display, table, "criteria", "accuracy against units, every criterion")


def controls(report: Report, table: pd.DataFrame, sizes: pd.DataFrame, best: str) -> None:
    """Set the main methods beside networks that were never pruned."""
    report.heading("Against the controls", 4)
    names = [
        *("c-apoz", "apoz", "random", "c-apoz + distillation"),
        *("c-apoz + least-squares + distillation", "reconstruction + least-squares"),
        *(best, "random + least-squares + distillation"),
    ]
    rows = _matched_and_controls(table)
    report.table(_by_width(rows, [*names, *CONTROLS], "accuracy", mean_std))
    report.text("\n".join(f"- {name}: {meaning}." for name, meaning in CONTROLS.items()))
    for width in TESTED:
        _metrics(report, rows, [*names, *CONTROLS], width, sizes)
    report.heading("Reconstruction and distillation against C-APoZ and networks from scratch", 4)
    goals = ("c-apoz", "from scratch, total epochs", SCRATCH)
    report.table(differences(compare(rows, [(best, name) for name in goals], TESTED)))
    for method in (best, "c-apoz + least-squares + distillation", "c-apoz"):
        report.heading(f"{method} against all others", 4)
        against = [name for name in (*names, *CONTROLS) if name != method]
        report.text(verdict(compare(rows, [(method, name) for name in against], TESTED)))
    chosen = ["c-apoz", best, "random", *list(CONTROLS)[:5]]
    drawn = _for_display(rows[rows["method"].isin(chosen)])
    display = TradeOffDisplay(drawn, size="n_units", controls=["random", *list(CONTROLS)[:5]])
    _draw(report, display, table, "controls", "accuracy against units, methods and controls")


def every_width(report: Report, table: pd.DataFrame, best: str) -> None:
    """One path against one training per size."""
    rows = table[table["part"] == "every width"]
    report.heading("Every size from 30 to 4 units: one path, or one training each", 4)
    cost = []
    for method, group in rows.groupby("method", sort=False):
        one = group[group["seed"] == 0]
        total = one["epochs"].max() if method == best else one["epochs"].sum()
        seconds = group.groupby("seed")["seconds"].agg("max" if method == best else "sum")
        cost.append((method, len(one), int(total), f"{seconds.mean():.1f}"))
    report.table(pd.DataFrame(cost, columns=["method", "networks", "epochs in all", "seconds"]))
    widths = [width for width in sorted(rows["units"].unique(), reverse=True) if width < 30]
    comparison = compare(rows, [(best, SCRATCH)], widths)
    tested = (comparison["p_holm"] < LEVEL).to_numpy()
    higher = comparison["difference"].to_numpy() > 0
    size = comparison["units"].to_numpy()
    report.text(
        "The path removes one unit at a time; each network from scratch has as many epochs as the "
        "path has spent when it reaches that size, and the dense network's teaching for free. "
        f"Accuracy of the path minus that from scratch: {comparison['difference'].mean():+.2f} "
        f"points on average over {len(size)} sizes; significantly higher at these units: "
        f"{_listed(size[tested & higher])}; significantly lower at: "
        f"{_listed(size[tested & ~higher])} (paired Wilcoxon, Holm over {len(size)} tests)."
    )
    display = TradeOffDisplay(_for_display(rows), size="n_units", controls=[SCRATCH])
    _draw(report, display, table, "every_width", "accuracy at every size")


def _metrics(report: Report, rows: pd.DataFrame, names, width: int, sizes: pd.DataFrame) -> None:
    """All metrics, sizes and costs at one operating point."""
    found = []
    for name in names:
        group = rows[(rows["method"] == name) & (rows["units"] == width)]
        group = group.groupby("seed").mean(numeric_only=True)  # of several draws
        # The dense controls are as large as before, whatever they are set against.
        units = 30 if name.startswith("dense") else width
        latency = sizes.loc[sizes["units"] == units, "latency"].item()
        found.append(
            {
                f"at {width} units": name,
                "accuracy": mean_std(group["accuracy"]),
                "balanced": mean_std(group["balanced_accuracy"]),
                "kappa": mean_std(group["kappa"]),
                "F1": mean_std(group["f1"]),
                "parameters": int(group["parameters"].iloc[0]),
                "multiply-adds": int(group["multiply_adds"].iloc[0]),
                "bytes": int(group["bytes"].iloc[0]),
                "µs": f"{latency:.3f}",
                "epochs": int(group["epochs"].iloc[0]),
                "seconds": f"{group['seconds'].mean():.2f}",
            }
        )
    report.table(pd.DataFrame(found))
    report.text(
        "Kappa and F1 (macro) in percent. Epochs and seconds of a pruned network include the dense "
        "one's; those of the others leave the teacher's out. Methods that cut at random are means "
        "of five draws per seed, which narrows their spread."
    )


def _by_width(rows: pd.DataFrame, names: Sequence[str], value: str, cell) -> pd.DataFrame:
    """One line per method, one column per width, largest first; all draws of a seed count once."""
    by_seed = rows.groupby(["method", "units", "seed"])[value].mean()
    cells = by_seed.groupby(level=["method", "units"]).agg(cell).unstack("units")
    cells = cells.reindex(names)[sorted(cells.columns, reverse=True)]
    cells.columns = [f"{width} units" for width in cells.columns]
    return cells.reset_index()


def _accuracies(rows: pd.DataFrame, method: str, width: int) -> pd.Series:
    """One per seed, the mean of several draws."""
    found = rows[(rows["method"] == method) & (rows["units"] == width)]
    return found.groupby("seed")["accuracy"].mean()


def _for_display(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows as TradeOffDisplay takes them: a curve per method, draws of a seed averaged."""
    rows = rows.groupby(["method", "units", "seed"], sort=False)["accuracy"].mean().reset_index()
    return rows.rename(columns={"method": "criterion", "units": "n_units"})


def _draw(report: Report, display: TradeOffDisplay, table, stem: str, description: str) -> None:
    name = table["setting"].iloc[0]
    display.plot()
    display.ax_.set_title(f"{name}, {display.ax_.get_title()}", fontsize=9)
    file = f"{name.lower().replace(',', '').replace(' ', '_')}_{stem}"
    report.figure(display.figure_, file, f"{name}: {description}")


def _listed(values) -> str:
    return ", ".join(str(value) for value in values) or "none"
