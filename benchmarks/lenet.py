"""LeNet-300-100 on MNIST: test error against the bytes of a stored file, sparse and in 4 bits.

Run with `python -m benchmarks lenet --data-home FOLDER --seeds 3`. Connections go step by step with
an ensemble as teacher, what is left is retrained in integers and saved; beside it small networks of
the same teacher from scratch, stored in floats and in integers as well. All of it once on the
images as they are, and once on shifted ones as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator

from sklearn_capoz import PrunedMLPClassifier, pruning_path
from sklearn_capoz.deploy import CompiledClassifier, load_model, quantize, save_model
from sklearn_capoz.displays import TradeOffDisplay
from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.schedules import Schedule, Step

from ._data import Task
from ._protocol import NEVER, Options, over_seeds
from ._report import Report
from ._statistics import mean_std
from .mnist import LENET, PUBLISHED, make_task

TITLE = "LeNet-300-100: test error against the bytes of a file"

#: Bytes and error in percent: Han et al., Deep Compression (arXiv:1510.00149), table 1.
RIVALS = {**PUBLISHED, "Deep Compression (published)": (27_000, 1.58)}
#: Shares of the first layer's weights that are left, cut after cut.
DENSITIES = (0.4, 0.2, 0.12, 0.08, 0.06, 0.043, 0.033, 0.025, 0.018, 0.012, 0.008)
#: From which on they are stored.
FIRST_STORED = 3
#: Widths of small networks: from below 4 kB in 4 bits to above 100 kB in floats.
SMALL = ((8, 8), (14, 10), (28, 16), (60, 30))
#: Stored files that are chosen among have at most so many bytes.
BUDGETS = (100_000, 50_000, 27_000, 16_000, 12_000, 8_000, 6_000, 4_500)
#: A pixel is a whole number of 0 to 255.
INPUT_SCALE = 255
SPARSE, SCRATCH, SHIFTED = "sparse", "from scratch", ", shifted images"
#: Each image once as it is and four times shifted, for a fifth of the epochs: as many steps.
COPIES = 5
#: Pixels that images are shifted by at most, for networks and for their teacher.
REACH, TEACHER_REACH = 1, 2


@dataclass(frozen=True)
class Epochs:
    """Of first trainings, of the retraining after each cut, and of that in integers."""

    teacher: int = 25
    training: int = 20
    cut: int = 10
    integers: int = 3

    @property
    def path(self) -> int:
        """All that a path to the last cut takes."""
        return self.training + len(DENSITIES) * self.cut

    def shared(self) -> Epochs:
        """Let `COPIES` of all images take as many steps as the images took."""
        teacher, training, cut = (
            max(1, n // COPIES) for n in (self.teacher, self.training, self.cut)
        )
        return Epochs(teacher, training, cut, self.integers)


class Densities(Schedule):
    """Leave given shares of the first layer; of the smaller layers behind it, more."""

    def iterations(self, widths, n_iterations):
        shares = np.array(DENSITIES[:n_iterations])
        kept = np.minimum(np.array([shares, 2 * shares, 0.1 + 8 * shares]).T, 1)
        for counts in np.rint(kept * widths).astype(int).tolist():
            yield (Step(tuple(range(len(widths))), tuple(counts)),)


def mlp(widths: tuple[int, ...], epochs: int, seed: int, **given) -> PrunedMLPClassifier:
    """Make a network that trains for all of its epochs."""
    given = {"n_iterations": 0} | given
    return PrunedMLPClassifier(
        widths, keep="last", max_iter=epochs, batch_size=128, n_iter_no_change=NEVER,
        random_state=seed, **given,
    )  # fmt: skip


def with_shifts(task: Task, reach: int, seed: int) -> Task:
    """Add images that are shifted by up to so many pixels, either way."""
    draw = np.random.RandomState(seed)
    wide = np.pad(task.X.reshape(-1, 28, 28), ((0, 0), (reach, reach), (reach, reach)))
    # All places that an image may have, as views: (n_images, 2 reach + 1, 2 reach + 1, 28, 28).
    places = np.lib.stride_tricks.sliding_window_view(wide, (28, 28), axis=(1, 2))
    rows = np.arange(len(wide))
    found = [task.X]
    for _ in range(COPIES - 1):
        down, right = draw.randint(0, 2 * reach + 1, (2, len(wide)))
        found.append(places[rows, down, right].reshape(task.X.shape))
    return replace(task, X=np.concatenate(found), y=np.tile(task.y, COPIES))


def make_teacher(task: Task, epochs: Epochs, seed: int) -> VotingClassifier:
    """Train four networks with dropout, which vote by their probabilities."""
    members = [
        fitted(mlp(LENET, epochs.teacher, 4 * seed + i, dropout=0.2), task) for i in range(4)
    ]
    frozen = [(str(i), FrozenEstimator(member)) for i, member in enumerate(members)]
    return VotingClassifier(frozen, voting="soft").fit(task.X, task.y)


def fitted(model: PrunedMLPClassifier, task: Task) -> PrunedMLPClassifier:
    """Fit a network."""
    return model.fit(task.X, task.y, task.X_val, task.y_val)


def sparse_networks(task: Task, taught: dict, epochs: Epochs, seed: int) -> list[DenseNetwork]:
    """Cut connections by what the sums lose, and retrain after each cut.

    By magnitude alone, weights of pixels that are rarely lit stay, which Adam makes large.
    """
    model = mlp(
        LENET, epochs.training, seed, granularity="connection", criterion="reconstruction",
        schedule=Densities(), n_iterations=len(DENSITIES), retrain_max_iter=epochs.cut,
        retrain_learning_rate="cosine", **taught,
    )  # fmt: skip
    path = pruning_path(model, task.X, task.y, task.X_val, task.y_val)
    return [estimator.network_ for estimator in path.estimators]


def stored(
    network: DenseNetwork, task: Task, epochs: Epochs, seed: int, bits: int
) -> tuple[CompiledClassifier, int]:
    """Bring a network to so many bits, save it and open it: return what it predicts with."""
    model = CompiledClassifier(network, np.arange(task.n_classes))
    if bits < 32:
        model = quantize(
            model, task.X, task.y, bits=bits, input_scale=INPUT_SCALE, epochs=epochs.integers,
            random_state=seed,
        )  # fmt: skip
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lenet.capoz"
        save_model(model, path)
        return load_model(path), path.stat().st_size


def candidates(task: Task, epochs: Epochs, seed: int) -> Iterator[tuple[str, int, DenseNetwork]]:
    """Yield the kind, the bits and the network of every file."""
    shifted = with_shifts(task, REACH, seed)
    lessons = with_shifts(task, TEACHER_REACH, seed)
    for images, taught_images, own, kind in (
        (task, task, epochs, ""),
        (shifted, lessons, epochs.shared(), SHIFTED),
    ):
        taught = {
            "teacher": FrozenEstimator(make_teacher(taught_images, own, seed)),
            "distillation": 0.9,
            "temperature": 2.0,
        }
        for network in sparse_networks(images, taught, own, seed)[FIRST_STORED:]:
            yield SPARSE + kind, 4, network
        for widths in SMALL:
            network = fitted(mlp(widths, own.path, seed, **taught), images).network_
            for bits in (32, 8, 4):
                yield SCRATCH + kind, bits, network


def run_seed(options: Options, seed: int) -> list[dict]:
    """Store every network, and measure the files on validation and test images."""
    import torch

    torch.set_num_threads(1)
    task = make_task(seed, options.data_home, options.quick)
    epochs = Epochs(2, 2, 1, 1) if options.quick else Epochs()
    rows = []
    for method, bits, network in candidates(task, epochs, seed):
        model, size = stored(network, task, epochs, seed, bits)
        rows.append(
            {
                "method": method,
                "bits": bits,
                "units": "-".join(map(str, network.widths)),
                "connections": sum(int(np.count_nonzero(w)) for w in network.weights),
                "bytes": size,
                "validation": model.score(task.X_val, task.y_val),
                "accuracy": model.score(task.X_test, task.y_test),
            }
        )
    return rows


def chosen(table: pd.DataFrame) -> pd.DataFrame:
    """Of every seed, kind and budget, the file that names the most validation images."""
    found = []
    for budget in BUDGETS:
        small = table[table["bytes"] <= budget]
        best = small.groupby(["method", "seed"])["validation"].idxmax()
        found.append(small.loc[best].assign(budget=budget))
    return pd.concat(found)


def error(rows: pd.DataFrame, column: str = "accuracy") -> str:
    """Mean and standard deviation of an error in percent."""
    return mean_std(1 - rows[column], digits=2)


def run(options: Options, report: Report) -> None:
    """Measure, and write the tables and the curve."""
    if options.data_home is None:
        raise SystemExit("lenet needs --data-home: MNIST is not embedded.")
    table = over_seeds(partial(run_seed, options), options, "lenet")
    epochs = Epochs()
    report.text(
        f"{table['seed'].nunique()} seeds. 50,000 images to train on, 10,000 to choose on, and "
        "MNIST's 10,000 to test. The teacher is the vote of four LeNets with dropout, trained for "
        f"{epochs.teacher} epochs. LeNet-300-100 is trained for {epochs.training}, and loses "
        f"connections in {len(DENSITIES)} cuts, by what a layer's sums lose, with {epochs.cut} "
        "epochs after each; "
        f"what is stored is retrained for {epochs.integers} in integers, with weights of 4 bits. "
        f"Networks from scratch learn from the same teacher for {epochs.path} epochs, those of the "
        "path in all, and are stored in floats, 8 and 4 bits, retrained alike. Bytes are those of "
        "the whole file of `save_model`, description and checksum included."
    )
    report.text(
        f"With shifted images, each is there {COPIES} times, all but once shifted by up to "
        f"{REACH} pixel in each direction, for the teacher by up to {TEACHER_REACH}, and all "
        "epochs are a fifth: as many steps. RigL's own code trains on all 60,000 images as they "
        "are, so that the rows without shifts belong beside it."
    )
    report.heading("Within a budget of bytes, the file that is best on validation images")
    rows = []
    for (budget, method), group in chosen(table).groupby(["budget", "method"], sort=False):
        rows.append(
            {
                "at most": f"{budget:,}",
                "method": method,
                "bytes": f"{group['bytes'].mean():,.0f}",
                "validation error / %": error(group, "validation"),
                "test error / %": error(group),
                "seeds": group["seed"].nunique(),
            }
        )
    report.table(pd.DataFrame(rows))
    published = [f"{name}: {e:.2f} % in {size:,} bytes" for name, (size, e) in RIVALS.items()]
    report.text("Published, from other training: " + "; ".join(published) + ".")
    report.heading("Every file")
    groups = table.groupby(["method", "bits", "units", *_place(table)], sort=False)
    cells = [
        {
            "method": group["method"].iloc[0],
            "units": group["units"].iloc[0],
            "bits": str(group["bits"].iloc[0]),
            "connections": f"{group['connections'].mean():,.0f}",
            "bytes": f"{group['bytes'].mean():,.0f}",
            "test error / %": error(group),
        }
        for _, group in groups
    ]
    report.table(pd.DataFrame(cells))
    draw(report, table)
    report.csv(table)


def _place(table: pd.DataFrame) -> list[pd.Series]:
    """Tell files of a seed apart that have the same widths and bits."""
    return [table.groupby("seed").cumcount().rename("place")]


def draw(report: Report, table: pd.DataFrame) -> None:
    """Accuracy against bytes, with the published points."""
    place = table.groupby("seed").cumcount()
    rows = table.assign(criterion=table["method"] + ", " + table["bits"].astype(str) + " bits")
    rows["n_bytes"] = rows["bytes"].groupby(place).transform("mean").round()
    rows = rows[["criterion", "n_bytes", "accuracy"]]
    points = [(name, size, 1 - e / 100) for name, (size, e) in RIVALS.items()]
    rows = pd.concat([rows, pd.DataFrame(points, columns=rows.columns)])
    controls = [name for name in rows["criterion"].unique() if not name.startswith(SPARSE)]
    display = TradeOffDisplay(rows, size="n_bytes", controls=controls).plot()
    report.figure(display.figure_, "curve", "accuracy of LeNet-300-100 against bytes of its file")
