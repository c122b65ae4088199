"""Siamese: whether two digits are the same, and how many channels it takes to see that.

Run with `python -m benchmarks siamese --data-home FOLDER --seeds 3`: the network of a laboratory
report that ranked channels by their mean activation on the test set. Here they are ranked on
training pairs, cut out and not only zeroed, and all pairs are fixed by a seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz import CAPoZPruner
from sklearn_capoz.datasets import fetch_mnist
from sklearn_capoz.displays import ChannelMapsDisplay
from sklearn_capoz.exceptions import SmoothActivationWarning
from sklearn_capoz.schedules import Widths
from sklearn_capoz.thresholds import Fraction, OverAll

from ._protocol import Method, Options
from ._report import Report
from ._statistics import mean_std

TITLE = "Siamese network: channels of the last convolution"

LEAST_SQUARES = {"compensation": "least-squares"}
METHODS = (
    Method("mean activation", {"criterion": "mean-activation"}),
    Method("L1", {"criterion": "l1"}),
    Method("gradient", {"criterion": "gradient"}),
    Method("C-APoZ", {"criterion": "c-apoz"}),
    Method("reconstruction", {"criterion": "reconstruction"}),
    Method("random", {"criterion": "random"}),
    Method("mean activation + least-squares", {"criterion": "mean-activation"} | LEAST_SQUARES),
    Method("reconstruction + least-squares", {"criterion": "reconstruction"} | LEAST_SQUARES),
    Method("random + least-squares", {"criterion": "random"} | LEAST_SQUARES),
)
#: Whose choice the picture shows.
DRAWN = METHODS[-2]
#: Channels of the last convolution that go; of these, after which some are retrained, and which.
CUT, RETRAINED = (25, 60, 96, 120), 96
ALSO_RETRAINED = ("mean activation", "L1", "C-APoZ", "random", "reconstruction + least-squares")
#: Share of the units of all layers that go.
SHARES = (0.5,)
EPOCHS, RETRAINING = 6, 1
#: What the report found on its own pairs, ranked on those that it tested on.
REPORTED = "98.6 with all channels, 95.3, 86, 60 and 49.6 with 10, 25, 60 and 127 gone"


class Siamese(nn.Module):
    """The report's network, 126,657 parameters; its one output is the logit of "same"."""

    def __init__(self, n_last: int = 128):
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(1, 32, 5), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(64, n_last, 3), nn.BatchNorm2d(n_last), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_last, 128)),
        )
        self.head = nn.Sequential(nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 1))
        self.to(memory_format=torch.channels_last)  # in which pooling takes a third of the time

    def forward(self, first, second):
        """Logits of "another" and "same", (n_pairs, 2); the first is zero."""
        a, b = self.body(first), self.body(second)
        same = self.head(torch.cat([(a - b).abs(), a * b], dim=1))
        return nn.functional.pad(same, (1, 0))


def widths_with(n_last: int) -> list[int]:
    """Widths of all groups of units, with so many channels of the last convolution."""
    return [32, 64, n_last, 128, 64]


@dataclass(frozen=True)
class Pairs:
    """Pairs to train on and to test on; those to rank on are some of the first."""

    X: dict
    y: np.ndarray
    X_test: dict
    y_test: np.ndarray


def draw_pairs(images: np.ndarray, digits: np.ndarray, seed: int) -> tuple[dict, np.ndarray]:
    """Give each image a partner: for half of them, in turn, of the same digit."""
    random = np.random.RandomState(seed)
    same = np.arange(len(images)) % 2
    partner = [
        random.choice(np.flatnonzero((digits == digit) == bool(alike)))
        for digit, alike in zip(digits, same, strict=True)
    ]
    return {"first": images, "second": images[partner]}, same


@lru_cache(maxsize=1)
def make_pairs(seed: int, data_home, quick: bool) -> Pairs:
    """6,000 pairs of 6,000 training images, 1,000 of 1,000 of MNIST's own test images."""
    digits = fetch_mnist(data_home=data_home, download_if_missing=data_home is None)
    random = np.random.RandomState(seed)
    n_train, n_test = (80, 40) if quick else (6_000, 1_000)
    parts = []
    for rows, count in (
        (np.arange(digits.n_train), n_train),
        (np.arange(digits.n_train, len(digits.target)), n_test),
    ):
        taken = random.permutation(rows)[:count]
        images = (digits.images[taken, None].astype(np.float32) / 255 - 0.1307) / 0.3081
        parts += draw_pairs(images.astype(np.float32), digits.target[taken], seed)
    return Pairs(*parts)


def train(pairs: Pairs, seed: int, epochs: int, n_last: int = 128) -> NeuralNetClassifier:
    """Train a network anew."""
    torch.manual_seed(seed)
    net = NeuralNetClassifier(
        Siamese,
        module__n_last=n_last,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=64,
        max_epochs=epochs,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )
    return net.fit(pairs.X, pairs.y)


def prune(
    dense: NeuralNetClassifier, pairs: Pairs, method: Method, seed: int, epochs: int, **cut
) -> CAPoZPruner:
    """Cut once; channels are ranked, and made up for, on training pairs."""
    pruner = CAPoZPruner(
        FrozenEstimator(dense),
        n_iterations=1,
        keep="last",
        retrain_max_iter=epochs,
        random_state=seed,
        **method.parameters,
        **cut,
    )
    ranked = slice(0, 1_000)  # half of which scores
    X_rank = {name: part[ranked] for name, part in pairs.X.items()}
    X, y = (pairs.X, pairs.y) if epochs else (X_rank, pairs.y[ranked])
    with catch_warnings():
        # The layer that embeds has no activation: zeros say nothing of it, and it loses its first.
        simplefilter("ignore", SmoothActivationWarning)
        return pruner.fit(X, y, X_val=X_rank, y_val=pairs.y[ranked])


def rows_of(pruner: CAPoZPruner, pairs: Pairs, **known) -> dict:
    """Measure a pruned network."""
    last = pruner.history_.iloc[-1]
    return known | {
        "accuracy": pruner.score(pairs.X_test, pairs.y_test),
        "n_units": int(last["n_units"]),
        "n_parameters": int(last["n_parameters"]),
        "n_multiply_adds": int(last["n_multiply_adds"]),
    }


def controls(options: Options, seed: int, name: str) -> tuple[NeuralNetClassifier, dict]:
    """Train the dense network, or another one to compare with."""
    torch.set_num_threads(1)
    pairs = make_pairs(seed, options.data_home, options.quick)
    n_last, extra = (128 - RETRAINED, RETRAINING) if "scratch" in name else (128, 0)
    net = train(pairs, seed, (1 if options.quick else EPOCHS) + extra, n_last)
    return net, control_row(net, pairs, seed, name)


def control_row(net: NeuralNetClassifier, pairs: Pairs, seed: int, name: str) -> dict:
    """Measure a network as it is."""
    accuracy = net.score(pairs.X_test, pairs.y_test)
    return {"seed": seed, "part": "control", "method": name, "accuracy": accuracy}


def run_method(
    options: Options, folder: Path, seed: int, dense: NeuralNetClassifier, method: Method | None
) -> list[dict]:
    """Cut one layer, and all; without a method train the dense network on, as far as these."""
    torch.set_num_threads(1)
    pairs = make_pairs(seed, options.data_home, options.quick)
    if method is None:
        dense.partial_fit(pairs.X, pairs.y, epochs=RETRAINING)
        return [control_row(dense, pairs, seed, "dense, 1 epoch more")]
    rows = []
    for n_cut in CUT[2:3] if options.quick else CUT:
        schedule = Widths([widths_with(128 - n_cut)])
        again = n_cut == RETRAINED and method.name in ALSO_RETRAINED
        for after in (0, RETRAINING) if again else (0,):
            pruner = prune(dense, pairs, method, seed, after, schedule=schedule)
            known = {"part": "last", "n_cut": n_cut, "epochs": after}
            rows.append(rows_of(pruner, pairs, seed=seed, method=method.name, **known))
            if seed == 0 and method.name == DRAWN.name and n_cut == RETRAINED and not after:
                draw_maps(pruner, pairs, folder)
    for share in SHARES:
        for rule in ("each layer", "over all"):
            threshold = Fraction(share) if rule == "each layer" else OverAll(Fraction(share))
            pruner = prune(dense, pairs, method, seed, 0, threshold=threshold)
            known = {"part": "all", "share": share, "rule": rule}
            rows.append(rows_of(pruner, pairs, seed=seed, method=method.name, **known))
    return rows


def measure(options: Options, folder: Path) -> pd.DataFrame:
    """Train all networks, then prune; `options.n_jobs` at a time."""
    seeds = range(options.seeds)
    methods = METHODS[-2:] if options.quick else METHODS
    with Parallel(n_jobs=options.n_jobs) as parallel:
        names = ("dense", "32 channels from scratch, 1 epoch more")
        tasks = [(seed, name) for seed in seeds for name in names]
        trained = parallel(delayed(controls)(options, *task) for task in tasks)
        dense = [net for net, row in trained if row["method"] == "dense"]
        found = parallel(
            delayed(run_method)(options, folder, seed, dense[seed], method)
            for seed in seeds
            for method in (*methods, None)
        )
    return pd.DataFrame([row for _, row in trained] + [row for rows in found for row in rows])


def run(options: Options, report: Report) -> None:
    """Measure, and write a table for each part."""
    table = measure(options, report.results)
    report.text(
        "6,000 pairs of MNIST's training images, 1,000 of its test images, half of them of the "
        "same digit and all fixed by the seed; the report's network of 126,657 parameters, Adam, "
        f"{EPOCHS} epochs. Channels are ranked, and made up for, on 500 of the training pairs. "
        f"The report's own figures, ranked on its test pairs: {REPORTED}."
    )
    controls = table[table["part"] == "control"].groupby("method", sort=False)["accuracy"]
    report.table(controls.agg(mean_std).reset_index())
    last = table[table["part"] == "last"]
    report.heading("Channels of the last convolution gone, not retrained")
    report.table(cells(last[last["epochs"] == 0], "n_cut", "{:.0f} of 128"))
    report.heading(f"The same after {RETRAINING} epoch of retraining")
    report.table(cells(last[last["epochs"] > 0], "n_cut", "{:.0f} of 128"))
    for rule, title in (
        ("each layer", "All layers at once, the same share of each, not retrained"),
        ("over all", "All layers at once, one threshold over all (`OverAll`), not retrained"),
    ):
        rows = table[table["rule"] == rule]
        report.heading(title)
        report.table(cells(rows, "share", "{:.0%} of the units"))
        left = rows.groupby(["method", "share"], sort=False)["n_multiply_adds"].mean().unstack()
        left.columns = [f"{share:.0%} gone" for share in left]
        report.text("Multiply-adds of one pair that are left, in thousands:")
        report.table((left / 1e3).round().astype(int).reset_index())
    draw(report, last[last["epochs"] == 0], float(controls.mean()["dense"]))
    report.text("![maps of all channels of the last convolution](results/siamese_maps.png)")
    report.csv(table)


def cells(rows: pd.DataFrame, column: str, name: str) -> pd.DataFrame:
    """Tabulate accuracies, a row for each method."""
    found = rows.groupby(["method", column], sort=False)["accuracy"].agg(mean_std).unstack()
    found.columns = [name.format(value) for value in found]
    return found.reset_index()


def draw(report: Report, rows: pd.DataFrame, dense: float) -> None:
    """Accuracy against channels that went."""
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for method, own in rows.groupby("method", sort=False):
        mean = own.groupby("n_cut")["accuracy"].mean()
        style = "-" if "least-squares" in method else "--"
        ax.plot([0, *mean.index], 100 * np.array([dense, *mean]), style, marker="o", label=method)
    ax.set(xlabel="channels of 128 pruned", ylabel="accuracy / %")
    figure.legend(loc="outside right upper", fontsize="small", frameon=False)
    report.figure(figure, "last_layer", "accuracy against channels pruned, not retrained")


def draw_maps(pruner: CAPoZPruner, pairs: Pairs, folder: Path) -> None:
    """Show what all channels make of a digit, and which of them stay."""
    X = {name: part[:500] for name, part in pairs.X.items()}
    display = ChannelMapsDisplay.from_estimator(pruner, X, layer="body.8")
    display.figure_.savefig(folder / "siamese_maps.png", dpi=110, bbox_inches="tight")
