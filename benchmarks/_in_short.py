"""One sentence for each experiment, with figures of its stored numbers: the head of RESULTS.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from ._statistics import exponent

__all__ = ["SENTENCES", "Numbers", "in_short"]


class Numbers:
    """What an experiment stored in its CSV file, looked up by what its columns say.

    Parameters
    ----------
    table : DataFrame
    """

    def __init__(self, table: pd.DataFrame):
        self.table = table

    def rows(self, **where) -> pd.DataFrame:
        """Return the rows whose columns have these values."""
        found = self.table
        for column, value in where.items():
            found = found[found[column] == value]
        if not len(found):
            raise KeyError(f"no row has {where}")
        return found

    def mean(self, column: str, **where) -> float:
        """Return the mean of a column over the rows."""
        return float(self.rows(**where)[column].mean())

    def percent(self, column: str, digits: int = 1, **where) -> str:
        """Return that mean in percent."""
        return f"{100 * self.mean(column, **where):.{digits}f}"


def field_map(of: Numbers) -> str:
    both = {road: (of.percent("overall", road=road), of.percent("balanced", road=road))
            for road in ("train --scene", "train", "matching, all bands")}  # fmt: skip
    of_scene, alone, matching = (
        "{} overall and {} balanced".format(*pair) for pair in both.values()
    )
    return (
        f"the two commands name {of_scene} of real pixels; without the scene {alone}; "
        f"matching {matching}"
    )


def field_trust(of: Numbers) -> str:
    values = of.table.set_index("figure").filter(like="seed").mean(axis=1)
    kinds = ("vegetation", "other minerals", "flat", "soil")
    rejected = ", ".join(f"{100 * values[f'rejected {kind}']:.0f} of {kind}" for kind in kinds)
    return f"{100 * values['kept']:.0f} of known pixels keep their names; rejected are {rejected}"


def paper(of: Numbers) -> str:
    names = {
        "reconstruction with least squares and distillation": (
            "reconstruction + least-squares + distillation", "matched"),
        "C-APoZ": ("c-apoz", "matched"),
        "random units": ("random", "matched"),
    }  # fmt: skip
    setting = {"setting": "USGS mixtures", "units": 9}
    found = ", ".join(
        f"{name} {of.percent('accuracy', method=method, part=part, **setting)}"
        for name, (method, part) in names.items()
    )
    dense = of.percent(
        "accuracy", setting="USGS mixtures", method="c-apoz", part="matched", units=30
    )
    scratch = of.percent("accuracy", method="from scratch, total epochs", **setting)
    return f"9 units of 30 (dense {dense}): {found}, from scratch in as many epochs {scratch}"


def sensitivity(of: Numbers) -> str:
    at = {"network": "30", "layer": "0", "n_pruned": 15}
    names = ("reconstruction + least-squares", "reconstruction", "l1", "c-apoz", "random")
    found = ", ".join(f"{name} {of.percent('accuracy', method=name, **at)}" for name in names)
    return f"15 of 30 units gone, not retrained: {found}"


def disjoint(of: Numbers) -> str:
    best = "reconstruction + least-squares + distillation"
    near, far = (
        of.percent("accuracy", method=best, split=split) for split in ("random", "disjoint")
    )
    return f"a pruned network gets {near} on random pixels of Indian Pines, {far} on fields apart"


def mnist(of: Numbers) -> str:
    names = ("c-apoz", "l1", "random")
    found = [
        f"{n} {of.percent('accuracy', method=f'{n}, percentile 50', part='tutorial')}"
        for n in names
    ]
    scratch = of.percent("accuracy", method="from scratch, 20 epochs", part="tutorial")
    return f"784-128-10 cut by half: {', '.join(found)}, from scratch {scratch}"


def siamese(of: Numbers) -> str:
    at = {"part": "last", "n_cut": 96, "epochs": 0}
    methods = (
        "reconstruction + least-squares",
        "mean activation + least-squares",
        "mean activation",
    )
    found = ", ".join(f"{name} {of.percent('accuracy', method=name, **at)}" for name in methods)
    return (
        f"96 of 128 channels gone, not retrained: {found}, dense "
        f"{of.percent('accuracy', method='dense')}"
    )


def networks(of: Numbers) -> str:
    parts = []
    for network in ("1d", "2d"):
        at = {"scene": "indian_pines", "split": "disjoint", "network": network}
        at |= {"schedule": "one-shot", "ratio": 0.75}
        before = [
            f"{100 * of.rows(method=m, **at)['overall_before'].median():.0f}"
            for m in ("reconstruction", "C-APoZ")
        ]
        after = [
            f"{100 * of.rows(method=m, **at)['average'].median():.1f}"
            for m in ("reconstruction", "L1")
        ]
        parts.append(
            f"CNN{network.upper()}: overall {before[0]} (C-APoZ {before[1]}) before retraining, "
            f"average {after[0]} (L1 {after[1]}) after"
        )
    return f"75 % of channels gone, fields apart: {'; '.join(parts)}"


def peers(of: Numbers) -> str:
    names = (
        *("this package, reconstruction + distillation", "torch-pruning"),
        "scikit-learn, nine units from scratch",
    )
    found = ", ".join(
        f"{name} {of.percent('accuracy', method=name)} in {of.mean('seconds', method=name):.2f} s"
        for name in names
    )
    return f"9 units, training included: {found}"


def field_peers(of: Numbers) -> str:
    wholes = {"naming": "field spectra named", "channels": "75 % of channels gone",
              "integers": "8 bits"}  # fmt: skip
    parts = []
    for job, said in wholes.items():
        rows = of.rows(job=job)
        found = (
            f"{name} {100 * own['accuracy'].mean():.1f}"
            for name, own in rows.groupby("method", sort=False)
        )
        parts.append(f"{said}: {', '.join(found)}")
    return "; ".join(parts)


def integers(of: Numbers) -> str:
    at = {"task": "minerals, pruned to 9"}
    found = ", ".join(
        f"{name} {of.percent('accuracy', method=name, **at)} in "
        f"{of.mean('bytes', method=name, **at):,.0f} bytes"
        for name in ("float", "8 bits", "4 bits, retrained")
    )
    return f"9 units: {found}"


def inputs(of: Numbers) -> str:
    at = {"task": "hull quotients", "cut": "30 units"}
    names = {"all bands": "dense", "half, chosen by Taylor": "Taylor",
             "every second": "every second band, from scratch"}  # fmt: skip
    found = [
        f"{name} {of.percent('accuracy', method=method, **at)}" for name, method in names.items()
    ]
    return ", ".join(found)


def connections(of: Numbers) -> str:
    parts = []
    for network in of.table["network"].unique():
        found = [
            f"{when} retraining {of.percent('overall', method='cubic', when=when, network=network)}"
            f" ({of.percent('overall', method='static', when=when, network=network)})"
            for when in ("before", "long")
        ]
        parts.append(f"{network} {', '.join(found)}")
    return f"95 % zeros, cut while training (at once): {'; '.join(parts)}"


def retraining(of: Numbers) -> str:
    parts = []
    for network in ("1d", "2d"):
        margins = []
        for epochs in (1, 6):
            at = {"network": network, "weights": "none", "epochs": epochs}
            ours, norm = (
                of.rows(method=method, **at)["average"].median()
                for method in ("reconstruction", "L1")
            )
            margins.append(f"{100 * (ours - norm):+.1f}")
        parts.append(f"CNN{network.upper()} {margins[0]} after one epoch, {margins[1]} after six")
    return f"average accuracy above L1, 75 % of channels gone: {'; '.join(parts)}"


def compress(of: Numbers) -> str:
    parts = []
    for task, budget in (("minerals", 1600), ("Indian Pines", 3000)):
        walk, scratch = (
            of.percent("accuracy", task=task, units=budget, method=method)
            for method in ("compress", "from scratch, 4 bits")
        )
        parts.append(f"{task} in {budget:,} bytes {walk} (4 bits from scratch {scratch})")
    return "; ".join(parts)


def lenet(of: Numbers) -> str:
    parts = []
    for method in ("sparse", "sparse, shifted images"):
        errors = []
        for budget in (27_000, 16_000, 8_000):
            within = of.rows(method=method)
            within = within[within["bytes"] <= budget]
            best = within.loc[within.groupby("seed")["validation"].idxmax()]
            error = 100 - 100 * best["accuracy"].mean()
            errors.append(f"{error:.2f} in {best['bytes'].mean():,.0f} bytes")
        parts.append(f"{method} {', '.join(errors)}")
    return f"test errors of files chosen on validation images: {'; '.join(parts)}"


def teachers(of: Numbers) -> str:
    parts = []
    for task in of.table["task"].unique():
        best, same = (
            of.percent("accuracy", task=task, units=5, method=method)
            for method in ("pruned, best teacher", "from scratch, the same teacher")
        )
        parts.append(f"{task} {best} ({same})")
    return f"5 units, pruned with the best teacher (from scratch with it): {', '.join(parts)}"


def price(rows: pd.DataFrame) -> float:
    """Return the microseconds of a core that a pixel more costs, in rows of 500."""
    smallest, largest = rows.iloc[0], rows.iloc[-1]
    return 1e6 * (largest["seconds"] - smallest["seconds"]) / (500 * (largest["n"] - smallest["n"]))


def growth(of: Numbers) -> str:
    parts = []
    for work, name in (("map of a file", "mapping"), ("map with trust, 200 bands", "with trust")):
        rows = of.rows(work=work)
        parts.append(f"{name} {price(rows):.1f} µs a pixel and {rows['megabytes'].max():.0f} MB")
    curves = ", ".join(
        f"{size} {exponent(rows['n'], rows['seconds'])[0]:.2f}"
        for size, rows in of.rows(work="training").groupby("size", sort=False)
    )
    return f"exponents of training: {curves}; {', '.join(parts)}"


#: By experiment; accuracies are percentages.
SENTENCES: dict[str, Callable[[Numbers], str]] = {
    sentence.__name__: sentence
    for sentence in (
        *(field_map, field_trust, paper, sensitivity, disjoint, mnist, siamese, networks, peers),
        field_peers,
        *(retraining, integers, inputs, connections, compress, lenet, teachers, growth),
    )
}


def in_short(numbers: Path) -> str:
    """Say what an experiment found, from its CSV file; nothing where it has none."""
    sentence = SENTENCES.get(numbers.stem)
    if sentence is None or not numbers.exists():
        return ""
    try:
        text = sentence(Numbers(pd.read_csv(numbers)))
    except KeyError:
        return ""  # a quick run, or one without data, lacks the rows
    return f"{text[0].upper()}{text[1:]}."
