"""Pruning an MLP to nine units, by this package and by what else there is, in one run.

Run with `python -m benchmarks peers --seeds 10`. Every peer is a function of what a user would
write; its lines are counted. All have the dense network's 200 epochs and 300 more
after one cut, with Adam and batches of 200, one thread, and take turns.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import prune

from sklearn_capoz import CAPoZPruner, CAPoZPrunerCV, PrunedMLPClassifier
from sklearn_capoz.schedules import Widths

from ._data import Task, usgs_mixtures
from ._lines import lines_of
from ._protocol import Options, summary
from ._report import Report
from ._statistics import compare, differences, mean_std

TITLE = "Peers: other ways to a small network"

UNITS = 9
EPOCHS, RETRAIN_EPOCHS = 200, 300
WIDTHS = (5, 7, 9, 11, 13, 17, 22, 30)
FULL = {"tol": 0, "n_iter_no_change": 10**9}
REFERENCE = "this package, reconstruction + distillation"


def capoz(X, y, seed, epochs, more):
    """Prune by the default criterion."""
    model = PrunedMLPClassifier(
        (30,), schedule=Widths((UNITS,)), max_iter=epochs, retrain_max_iter=more,
        keep="last", random_state=seed, **FULL,
    )  # fmt: skip
    return model.fit(X, y)


def reconstruction(X, y, seed, epochs, more):
    """Prune with what goes beyond C-APoZ."""
    model = PrunedMLPClassifier(
        (30,), schedule=Widths((UNITS,)), max_iter=epochs, retrain_max_iter=more,
        criterion="reconstruction", compensation="least-squares", distillation=0.7,
        retrain_learning_rate="cosine", keep="last", random_state=seed, **FULL,
    )  # fmt: skip
    return model.fit(X, y)


def around_scikit_learn(X, y, seed, epochs, more):
    """Prune scikit-learn's own network."""
    model = CAPoZPruner(
        MLPClassifier((30,), max_iter=epochs, random_state=seed, **FULL),
        schedule=Widths((UNITS,)), retrain_max_iter=more, keep="last",
        random_state=seed,
    )  # fmt: skip
    return model.fit(X, y)


def pruner_cv(X, y, seed, epochs, more):
    """Choose the size by cross-validation, within one standard error."""
    dense = PrunedMLPClassifier(
        (30,), schedule=Widths(WIDTHS[-2::-1]), criterion="reconstruction", max_iter=epochs,
        compensation="least-squares", distillation=0.7, retrain_learning_rate="cosine",
        keep="last", random_state=seed, **FULL,
    )  # fmt: skip
    search = CAPoZPrunerCV(
        dense, criteria=["reconstruction"], max_iterations=7, cv=5, keep="one-standard-error"
    )
    return search.fit(X, y)


def nine_units(X, y, seed, epochs, more):
    """Train nine units from the start, as many epochs, by scikit-learn."""
    model = MLPClassifier((UNITS,), max_iter=epochs + more, random_state=seed, **FULL)
    return model.fit(X, y)


def grid_search(X, y, seed, epochs, more):
    """Choose the width by cross-validation, by scikit-learn."""
    dense = MLPClassifier(max_iter=epochs, random_state=seed, **FULL)
    grid = {"hidden_layer_sizes": [(width,) for width in WIDTHS]}
    return GridSearchCV(dense, grid, cv=5).fit(X, y)


def torch_loop(model, X, y, epochs, batch_size=200):
    """Train; torch leaves the loop to its users."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(batch_size):
            optimizer.zero_grad()
            cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()


def torch_pruning(X, y, seed, epochs, more):
    """Prune by torch-pruning, L2 norm of groups."""
    import torch_pruning as tp

    torch.manual_seed(seed)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    model = nn.Sequential(nn.Linear(X.shape[1], 30), nn.ReLU(), nn.Linear(30, int(y.max()) + 1))
    torch_loop(model, X, y, epochs)
    importance = tp.importance.MagnitudeImportance(p=2)
    pruner = tp.pruner.MagnitudePruner(
        model, X[:1], importance, pruning_ratio=1 - UNITS / 30, ignored_layers=[model[2]]
    )
    pruner.step()
    torch_loop(model, X, y, more)
    return model


def torch_masks(X, y, seed, epochs, more):
    """Prune by torch.nn.utils.prune, L2 norm of rows."""
    torch.manual_seed(seed)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    model = nn.Sequential(nn.Linear(X.shape[1], 30), nn.ReLU(), nn.Linear(30, int(y.max()) + 1))
    torch_loop(model, X, y, epochs)
    prune.ln_structured(model[0], "weight", amount=30 - UNITS, n=2, dim=0)
    prune.custom_from_mask(model[0], "bias", model[0].weight_mask[:, 0])
    torch_loop(model, X, y, more)
    prune.remove(model[0], "weight")
    prune.remove(model[0], "bias")
    return model


PEERS: dict[str, Callable] = {
    "this package, C-APoZ": capoz,
    REFERENCE: reconstruction,
    "this package, around MLPClassifier": around_scikit_learn,
    "this package, CAPoZPrunerCV": pruner_cv,
    "scikit-learn, nine units from scratch": nine_units,
    "scikit-learn, GridSearchCV over widths": grid_search,
    "torch-pruning": torch_pruning,
    "torch.nn.utils.prune": torch_masks,
}
#: What a user of these writes beside.
LOOPS = dict.fromkeys(("torch-pruning", "torch.nn.utils.prune"), (torch_loop,))


def shape(model) -> tuple[int, int]:
    """Hidden units that are stored, and stored parameters."""
    if isinstance(model, nn.Module):
        return model[0].out_features, sum(p.numel() for p in model.parameters())
    model = getattr(model, "best_estimator_", model)
    model = getattr(model, "estimator_", model)
    if isinstance(model, MLPClassifier):
        sizes = [array.size for array in (*model.coefs_, *model.intercepts_)]
        return model.coefs_[0].shape[1], sum(sizes)
    return model.network_.widths[0], model.network_.n_parameters


def predict(model, X: np.ndarray) -> np.ndarray:
    """Labels by a model of either kind."""
    if not isinstance(model, nn.Module):
        return model.predict(X)
    with torch.no_grad():
        return model(torch.from_numpy(X)).argmax(dim=1).numpy()


def row_of(name: str, task: Task, seed: int, budget: tuple[int, int]) -> dict:
    """Let one peer train, and measure what it made."""
    # Peers set aside what they need of all labelled samples.
    X = np.concatenate([task.X, task.X_val])
    y = np.concatenate([task.y, task.y_val])
    start = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = PEERS[name](X, y, seed, *budget)
    seconds = perf_counter() - start
    units, parameters = shape(model)
    found = predict(model, task.X_test)
    return {
        "seed": seed,
        "method": name,
        "units": units,
        "parameters": parameters,
        "accuracy": accuracy_score(task.y_test, found),
        "balanced_accuracy": balanced_accuracy_score(task.y_test, found),
        "seconds": seconds,
    }


def measure_all(options: Options) -> pd.DataFrame:
    """All peers take turns in one process and one thread, seed after seed."""
    names = [name for name in PEERS if name != "torch-pruning" or find_spec("torch_pruning")]
    budget = (2, 1) if options.quick else (EPOCHS, RETRAIN_EPOCHS)
    rows, n_threads = [], torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1), torch.random.fork_rng():
            for name in names:  # compiles and imports
                row_of(name, usgs_mixtures(0, options.quick), 0, (1, 1))
            for seed in range(options.seeds):
                task = usgs_mixtures(seed, options.quick)
                rows += [row_of(name, task, seed, budget) for name in names]
    finally:
        torch.set_num_threads(n_threads)
    return pd.DataFrame(rows)


def run(options: Options, report: Report) -> None:
    """Measure, and write a table."""
    table = measure_all(options)
    report.text(
        "USGS mixtures; 1,400 labelled spectra, of which each peer sets aside what it needs, 2,320 "
        f"to test. {EPOCHS} epochs, one cut from 30 to {UNITS} units, {RETRAIN_EPOCHS} epochs "
        "more; Adam, batches of 200, one thread, all in one process in turns. The two searches "
        f"choose a width from {', '.join(map(str, WIDTHS))} by five folds, with {EPOCHS} epochs, "
        "and 100 after a cut; GridSearchCV takes the best, CAPoZPrunerCV the smallest within one "
        "standard error. Lines: of the function in `benchmarks/peers.py`."
    )
    groups = table.groupby("method", sort=False)
    found = pd.DataFrame(
        {
            "accuracy": groups["accuracy"].agg(mean_std),
            "balanced accuracy": groups["balanced_accuracy"].agg(mean_std),
            "units stored": groups["units"].agg(mean_std, 1),
            "parameters stored": groups["parameters"].mean().round().astype(int),
            "bytes": (4 * groups["parameters"].mean()).round().astype(int),
            "seconds": groups["seconds"].median().map("{:.3f}".format),
            "lines": [lines_of(PEERS[name], *LOOPS.get(name, ())) for name in groups.groups],
        }
    )
    report.table(found.reset_index())
    report.text("Seconds: median. `torch.nn.utils.prune` sets weights to zero and stores them all.")
    others = [name for name in groups.groups if name != REFERENCE]
    same = table.assign(units=0)
    comparison = compare(same, [(REFERENCE, name) for name in others], [0])
    report.table(differences(comparison).drop(columns="units"))
    if "torch-pruning" not in groups.groups:
        report.text("torch-pruning is not installed and was left out.")
    report.csv(summary(table, ("method",)))
