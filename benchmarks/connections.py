"""Connections: 95 % zeros, cut at once from a trained network or along a cubic while it is trained.

Run with `python -m benchmarks connections --data-home FOLDER --seeds 10`. Both ways begin with the
same network and draw the same batches up to the first cut, and have the same epochs at every line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import train_test_split

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.criteria import WeightNorm
from sklearn_capoz.estimators import find_adapter
from sklearn_capoz.model_selection import paired_tests
from sklearn_capoz.pruning import PrunableModel, PruningJob, PruningPlan, prune_together
from sklearn_capoz.pruning._granularity import GRANULARITIES
from sklearn_capoz.schedules import Gradual, Schedule, Surgery
from sklearn_capoz.thresholds import Count
from sklearn_capoz.training._samples import PruningData, Samples

from ._data import Task
from ._protocol import NEVER, Options, over_seeds
from ._report import Report
from ._statistics import mean_std
from .channels import load, make_net
from .mnist import make_task

TITLE = "Connections: 95 % zeros, at once or while training"

SPARSITY, N_CUTS = 0.95, 10
#: Where the cubic begins and ends, as shares of the training.
BEGIN, END = 0.2, 0.8
#: Images of MNIST to train on: a sixth, so that ten seeds take minutes.
N_IMAGES = 10_000
STATIC, SURGERY, CUBIC, REGROWN, DENSE = "static", "surgery", "cubic", "cubic, regrown", "dense"
#: Share of the connections that are exchanged at a cut.
REGROW = 0.3
PAIRS = [(SURGERY, STATIC), (CUBIC, STATIC), (REGROWN, STATIC), (REGROWN, CUBIC)]


@dataclass(frozen=True)
class Epochs:
    """Of the training, and of a short and a long retraining of what is left."""

    training: int
    short: int
    long: int

    @property
    def cuts(self) -> tuple[int, int]:
        """Where the cubic begins and ends."""
        return round(BEGIN * self.training), round(END * self.training)


@dataclass(frozen=True, eq=False)
class Subject:
    """A network to be made sparse: how it is made, its samples, and how long it learns."""

    make: Callable[[int, int], object]  # of epochs and seed
    task: Callable[[int], Task]
    epochs: Epochs


def mlp(epochs: int, seed: int) -> PrunedMLPClassifier:
    """Make the tutorial's 784-128-10."""
    return PrunedMLPClassifier(
        (128,), max_iter=epochs, batch_size=128, n_iter_no_change=NEVER, random_state=seed
    )


def cnn(epochs: int, seed: int):
    """Make SpectralCNN1D for 200 bands and 16 classes."""
    torch.manual_seed(seed)
    return make_net("1d", 16, epochs)


def digits(options: Options, seed: int) -> Task:
    """Draw images; those to score and to choose on are others, and the test set is MNIST's own."""
    task = make_task(seed, options.data_home, options.quick)
    return replace(task, X=task.X[:N_IMAGES], y=task.y[:N_IMAGES])


def pines(options: Options, seed: int) -> Task:
    """Train on the disjoint training fields of Indian Pines but a tenth; test on the other ones."""
    X, y, X_test, y_test = load(options.data_home, "1d")
    parts = train_test_split(X, y, test_size=0.1, stratify=y, random_state=seed)
    X, X_val, y, y_val = (part[:300] if options.quick else part for part in parts)
    return Task(X, y, X_val, y_val, X_test, y_test)


def subjects(options: Options) -> dict[str, Subject]:
    """Name the networks."""
    few = Epochs(5, 1, 2)
    return {
        "784-128-10 on MNIST": Subject(
            mlp, partial(digits, options), few if options.quick else Epochs(20, 2, 20)
        ),
        "CNN1D on Indian Pines": Subject(
            cnn, partial(pines, options), few if options.quick else Epochs(20, 2, 20)
        ),
    }


def networks(subject: Subject, task: Task, seed: int) -> Iterator[tuple[str, PrunableModel]]:
    """Yield each way's network at the end of the training; nothing is retrained yet."""
    data, epochs = samples(task), subject.epochs
    cubic = Gradual(SPARSITY, epochs=epochs.cuts)
    n_cuts = min(N_CUTS, epochs.cuts[1] - epochs.cuts[0])
    first = next(iter(cubic.iterations((1,), n_cuts)))[0].at
    estimator = subject.make(epochs.training, seed)
    classes, random = np.arange(task.n_classes), np.random.RandomState(seed)
    begun, _ = find_adapter(estimator).train_until(estimator, data, classes, random, first)
    dense = trained(begun.until(None), data)
    yield DENSE, dense
    yield STATIC, cut(at_rest(dense), data, Gradual(SPARSITY), 1, seed)
    yield SURGERY, cut(at_rest(dense), data, Surgery(Gradual(SPARSITY)), 1, seed)
    yield CUBIC, cut(begun, data, cubic, n_cuts, seed)
    regrown = Gradual(SPARSITY, epochs=epochs.cuts, regrow=REGROW)
    yield REGROWN, cut(begun, data, regrown, n_cuts, seed)


def samples(task: Task) -> PruningData:
    """Give the loop samples to train on; magnitude needs none to score by."""
    train, validation = (
        Samples(X, y, np.ones(len(y))) for X, y in ((task.X, task.y), (task.X_val, task.y_val))
    )
    return PruningData(train, validation, validation)


def trained(model: PrunableModel, data: PruningData) -> PrunableModel:
    """Train a network as its settings say."""
    return type(model).train_together([model], [data])[0][0]


def at_rest(model: PrunableModel) -> PrunableModel:
    """Return a network that nothing retrains."""
    return model.configured(replace(model.settings, max_iter=0), None)


def cut(
    model: PrunableModel, data: PruningData, schedule: Schedule, n_cuts: int, seed: int
) -> PrunableModel:
    """Walk the path of a schedule, by magnitude, an equal share of each layer's weights."""
    plan = PruningPlan(
        WeightNorm(), Count(1), schedule, n_cuts, granularity=GRANULARITIES["connection"]
    )
    job = PruningJob(model, data, plan, np.random.RandomState(seed))
    return prune_together([job])[0][-1].model


def run_seed(subject: Subject, seed: int) -> list[dict]:
    """Measure every way on the test set: before any retraining, after a short and a long one."""
    torch.set_num_threads(1)
    task, rows = subject.task(seed), []

    def note(method: str, when: str, model: PrunableModel) -> None:
        labels, weights = model.labels(task.X_test), GRANULARITIES["connection"].widths(model)
        rows.append(
            {
                "method": method,
                "when": when,
                "connections": sum(weights),
                "overall": accuracy_score(task.y_test, labels),
                "average": balanced_accuracy_score(task.y_test, labels),
            }
        )

    data, epochs = samples(task), subject.epochs
    for method, model in networks(subject, task, seed):
        note(method, "before", model)
        for when, n_epochs in (("short", epochs.short), ("long", epochs.long)):
            settings = replace(model.settings, max_iter=n_epochs, zeros_stay=True)
            note(method, when, trained(model.configured(settings, None), data))
    return rows


def compared(table: pd.DataFrame, pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """Test pairs of ways at every line, overall and average accuracy; Holm over all of them."""
    whole = table.rename(columns={"seed": "repeat"}).melt(
        ["repeat", "method", "when"], ["overall", "average"], "accuracy", "score"
    )
    whole["line"] = whole["accuracy"] + ", " + whole["when"]
    found = paired_tests(whole, pairs, size="line", sizes=list(whole["line"].unique()))
    found[["difference", "std"]] *= 100
    return found


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds."""
    groups = table.groupby(["method", "when"], sort=False)
    return pd.DataFrame(
        [
            {
                "method": method,
                "retraining": when,
                "connections": round(rows["connections"].mean()),
                "overall / %": mean_std(rows["overall"]),
                "average / %": mean_std(rows["average"]),
            }
            for (method, when), rows in groups
        ]
    )


def run(options: Options, report: Report) -> None:
    """Train, cut and retrain, and write the tables."""
    if options.data_home is None:
        raise SystemExit("connections needs --data-home: MNIST and Indian Pines are not embedded.")
    report.text(
        f"{SPARSITY:.0%} of the weights of every layer are set to zero, those of the smallest "
        f"magnitude: at once from the trained network (static), or in up to {N_CUTS} cuts along "
        f"the cubic of Zhu and Gupta between {BEGIN:.0%} and {END:.0%} of its training (cubic), "
        f"which is as long; or so that at each cut up to {REGROW:.0%} of what is left changes "
        "places with what is gone (regrown). Surgery is static, and for ten epochs of retraining "
        "connections come back and others go (dynamic network surgery). All are retrained for as "
        "many epochs; dense is the network without any cut, trained as long. Shares and epochs "
        "were chosen on held-out training samples of other seeds. Overall and average (balanced) "
        "accuracy of the test set; differences in percentage points."
    )
    tables = {}
    for name, subject in subjects(options).items():
        epochs = subject.epochs
        tables[name] = table = over_seeds(partial(run_seed, subject), options, name)
        report.text(
            f"### {name}\n\n{table['seed'].nunique()} seeds, {epochs.training} epochs of "
            f"training, {epochs.short} of a short and {epochs.long} of a long retraining."
        )
        report.table(summary(table))
        report.table(compared(table, PAIRS).round(4))
    report.csv(pd.concat(tables, names=["network"]).reset_index(0))
