"""Weights of 8 and 4 bits: accuracy, agreement and bytes beside the network in floats.

Run with `python -m benchmarks integers --data-home FOLDER --seeds 10`. Every network is quantized
by its training samples. What retraining adds is told from more training by a control that trains
the network in floats for the same epochs on the same targets, and rounds it then.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_capoz import PrunedCNNClassifier, PrunedMLPClassifier
from sklearn_capoz.datasets import (
    CUPRITE_WAVELENGTHS,
    ScenePixels,
    fetch_indian_pines,
    make_mineral_spectra,
)
from sklearn_capoz.deploy import CompiledClassifier, device_report, quantize, to_onnx
from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.schedules import Widths
from sklearn_capoz.spectral import AbsorptionFeatures, ContinuumRemoval, SpectralAbsorptionIndex
from sklearn_capoz.training import TrainingSettings, TrainingTask, initial_network, train

from ._data import Task, indian_pines, usgs_mixtures
from ._protocol import NEVER, Budget, Options, over_seeds, summary, train_dense, walk
from ._report import Report
from ._statistics import compare, differences, mean_std
from .channels import EPOCHS as CHANNEL_EPOCHS
from .channels import load, make_net
from .paper import BEST, DENSE

TITLE = "Integers: weights of 8 and 4 bits"

WIDTHS = (22, 17, 13, 11, 9)
#: Epochs of retraining, and of its control.
EPOCHS = 30
FLOAT, LONGER = "float", "float, trained further"
PINES = (60, 30)
SPECTRAL = "Indian Pines, disjoint fields, CNN1D"
#: Networks of patches, which are integers in ONNX alone: the kind -> rows and columns of a patch,
#: pixels to train with, epochs. That over spectrum and patch takes longest, and is small.
GRAPHS = {"2d": (9, 2_500, 6), "3d": (7, 1_000, 4)}
#: Pixels that a graph is tested on.
N_TESTED = 2_000


def networks(options: Options, seed: int):
    """Yield name, task and trained network."""
    budget = Budget(6, 3) if options.quick else Budget()
    task = usgs_mixtures(seed, options.quick)
    dense = train_dense(task, (DENSE,), seed, budget)
    yield f"minerals, {DENSE} units", task, dense.network_
    path = walk(dense, task, BEST, seed, budget, Widths(WIDTHS), len(WIDTHS))
    pruned = path.estimators[-1].estimator_.network_
    yield f"minerals, pruned to {sum(pruned.widths)}", task, pruned
    yield f"minerals, {DENSE} units of tanh", task, trained_tanh(task, budget, seed)
    if options.data_home is not None:
        task = indian_pines(seed, options.data_home, options.quick)
        dense = train_dense(task, PINES, seed, budget)
        yield f"Indian Pines, {'-'.join(map(str, PINES))}", task, dense.network_


def trained_tanh(task: Task, budget: Budget, seed: int) -> DenseNetwork:
    """Train a network whose activation is a table in integers."""
    random = np.random.RandomState(seed)
    start = initial_network(task.X.shape[1], (DENSE,), task.n_classes, "tanh", random, task.X.dtype)
    settings = TrainingSettings(
        max_iter=budget.epochs, batch_size=budget.batch_size, n_iter_no_change=NEVER
    )
    return train([TrainingTask(start, task.X, task.y, random_state=random)], settings)[0].network


def nearest(weights, moment, bits, least_step):
    """Round each weight to the nearest step, as the control of `round_weights`."""
    largest = 2 ** (bits - 1) - 1
    step = np.maximum(np.abs(weights).max(axis=0) / largest, least_step)
    return np.rint(weights / step).astype(np.int8), step


def trained_further(network: DenseNetwork, task: Task, epochs: int, seed: int) -> DenseNetwork:
    """Train in floats, on the labels and the network's own probabilities in equal parts."""
    settings = TrainingSettings(
        max_iter=epochs,
        batch_size=100,
        n_iter_no_change=NEVER,
        learning_rate="cosine",
        distillation=0.5,
        temperature=1.0,
    )
    random = np.random.RandomState(seed)
    teacher = network.forward(task.X)[-1]
    job = TrainingTask(network, task.X, task.y, teacher=teacher, random_state=random)
    return train([job], settings)[0].network


def run_seed(options: Options, seed: int) -> list[dict]:
    """Every network in floats, and rounded in every way."""
    epochs = 2 if options.quick else EPOCHS
    rows = []
    for name, task, network in networks(options, seed):
        classes = np.arange(task.n_classes)
        models = {
            FLOAT: CompiledClassifier(network, classes),
            LONGER: CompiledClassifier(trained_further(network, task, epochs, seed), classes),
        }
        for bits in (8, 4):
            rounded = partial(quantize, X_calibration=task.X, bits=bits)
            with patch("sklearn_capoz.integers._quantizing.round_weights", nearest):
                models[f"{bits} bits, each weight alone"] = rounded(models[FLOAT])
            models[f"{bits} bits"] = rounded(models[FLOAT])
            models[f"{bits} bits, retrained"] = rounded(
                models[FLOAT], y=task.y, epochs=epochs, random_state=seed
            )
            models[f"{bits} bits of the one trained further"] = rounded(models[LONGER])
        expected = models[FLOAT].predict(task.X_test)
        for method, model in models.items():
            found = model.predict(task.X_test)
            rows.append(
                {
                    "task": name,
                    "method": method,
                    "units": sum(network.widths),
                    "bytes": model.network_.n_bytes,
                    "accuracy": accuracy_score(task.y_test, found),
                    "balanced_accuracy": balanced_accuracy_score(task.y_test, found),
                    "agreement": (found == expected).mean(),
                }
            )
    if options.data_home is None:
        return rows
    graphs = (graph_rows(options, seed, kind) for kind in GRAPHS)
    return rows + spectral_rows(options, seed) + [row for found in graphs for row in found]


def spectral_rows(options: Options, seed: int) -> list[dict]:
    """Train the convolutional network of `channels` on disjoint fields, and round it."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    X, y, X_test, y_test = load(options.data_home, "1d")
    net = make_net("1d", len(np.unique(y)), 1 if options.quick else CHANNEL_EPOCHS).fit(X, y)
    size = sum(parameter.numel() * 4 for parameter in net.module_.parameters())
    models = {FLOAT: net} | {f"{bits} bits": quantize(net, X, bits=bits) for bits in (8, 4)}
    expected = net.predict(X_test)
    rows = []
    for method, model in models.items():
        found = model.predict(X_test)
        rows.append(
            {
                "task": SPECTRAL,
                "method": method,
                "units": 120,
                "bytes": size if model is net else model.network_.n_bytes,
                "accuracy": accuracy_score(y_test, found),
                "balanced_accuracy": balanced_accuracy_score(y_test, found),
                "agreement": (found == expected).mean(),
            }
        )
    return rows


def graph_rows(options: Options, seed: int, kind: str) -> list[dict]:
    """Train a network of patches on disjoint fields; compare its ONNX graphs, by their files."""
    from onnxruntime import InferenceSession

    patch_size, n_train, epochs = GRAPHS[kind]
    scene = fetch_indian_pines(data_home=options.data_home, download_if_missing=False)
    random = np.random.RandomState(seed)
    train, test = (
        random.permutation(np.flatnonzero(part))[: (200 if options.quick else n)]
        for part, n in ((scene.disjoint_train, n_train), (scene.disjoint_test, N_TESTED))
    )
    pixels = ScenePixels(np.asarray(scene.cube, np.float32), scene.positions[train])
    model = PrunedCNNClassifier(
        kind, patch_size=patch_size, n_iterations=0, max_iter=1 if options.quick else epochs,
        random_state=seed,
    )  # fmt: skip
    y = scene.target[train]
    model.fit(pixels, y, X_val=pixels, y_val=y)  # nothing is chosen by them
    X = ScenePixels(pixels.cube, scene.positions[test]).patches(patch_size)
    rows, labels = [], {}
    for method, given in ((FLOAT, {}), ("8 bits", {"X_calibration": pixels})):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "network.onnx"
            to_onnx(model, path, **given)
            session, size = InferenceSession(path), path.stat().st_size
        labels[method] = np.concatenate(
            [
                session.run(["label"], {"X": part})[0]
                for part in np.split(X, range(250, len(X), 250))
            ]
        )
        rows.append(
            {
                "task": f"Indian Pines, disjoint fields, CNN{kind.upper()}, file of ONNX",
                "method": method,
                "units": model.history_["n_units"].iloc[-1],
                "bytes": size,
                "accuracy": accuracy_score(scene.target[test], labels[method]),
                "balanced_accuracy": balanced_accuracy_score(scene.target[test], labels[method]),
                "agreement": (labels[method] == labels[FLOAT]).mean(),
            }
        )
    return rows


def steps() -> dict:
    """Name -> the spectral step of a pipeline from reflectance to label."""
    return {
        "hull quotients": ContinuumRemoval(CUPRITE_WAVELENGTHS),
        "absorption index, one half width": SpectralAbsorptionIndex(
            CUPRITE_WAVELENGTHS, half_widths=40
        ),
        "absorption features": AbsorptionFeatures(CUPRITE_WAVELENGTHS),
    }


def odd_spectra(n: int) -> np.ndarray:
    """Mixtures, a quarter with gaps, a fifth dark, some all zero or of a fill value."""
    rng = np.random.RandomState(1)
    X = make_mineral_spectra(n, random_state=1)[0].astype(np.float32)
    gaps = rng.uniform(size=X.shape) < rng.choice([0.02, 0.5, 0.97], (n, 1))
    X[gaps & (np.arange(n)[:, None] % 4 == 0)] = np.nan
    X[1::5] = rng.normal(0, 0.002, X[1::5].shape)
    X[2::40], X[3::40] = 0, -9999
    return X


def on_device(quick: bool) -> pd.DataFrame:
    """Bytes of whole pipelines, and how the compiled header agrees with Python."""
    X, y = make_mineral_spectra(350 if quick else 1400, random_state=0)
    X, odd = X.astype(np.float32), odd_spectra(1000 if quick else 10_000)
    rows = []
    for name, step in steps().items():
        network = PrunedMLPClassifier((9,), n_iterations=0, max_iter=200, random_state=0)
        model = make_pipeline(step, StandardScaler(), network).fit(X, y)
        for kind, estimator in {
            "float32": model,
            **{f"{bits}-bit weights": quantize(model, X, bits=bits) for bits in (8, 4)},
        }.items():
            found = device_report(estimator, odd)
            rows.append(
                {
                    "steps before 9 units": name,
                    "network": kind,
                    "constants": found.constants,
                    "RAM": found.ram,
                    "code, x86-64": found.code,
                    "stack, x86-64": found.stack,
                    "multiply-adds": found.multiply_adds,
                    "same labels": "not known" if found.agreement is None else found.agreement,
                }
            )
    return pd.DataFrame(rows)


def run(options: Options, report: Report) -> None:
    """Measure, and write a table per network."""
    table = over_seeds(partial(run_seed, options), options, "integers")
    report.text(
        "Networks are trained for 200 epochs (Indian Pines: pixels of a random split, 1024 to "
        "train) and quantized by their training samples; the CNN1D for 10, on disjoint fields, and "
        + ", ".join(
            f"the CNN{kind.upper()} for {epochs} on {n:,} patches of {size} x {size} pixels"
            for kind, (size, n, epochs) in GRAPHS.items()
        )
        + ". Bytes are those of the constants in C, of networks of patches of the whole ONNX file. "
        f"Retraining takes {EPOCHS} epochs on labels and the network's own probabilities; "
        f'"{LONGER}" takes as many in floats. Agreement is with the labels of "{FLOAT}".'
    )
    for name, found in table.groupby("task", sort=False):
        report.heading(name)
        floats = found.loc[found["method"] == FLOAT, "bytes"].mean()
        cells = []
        for method, rows in found.groupby("method", sort=False):
            cells.append(
                {
                    "method": method,
                    "bytes": f"{rows['bytes'].mean():,.0f}",
                    "of float": f"{rows['bytes'].mean() / floats:.3f}",
                    "accuracy": mean_std(rows["accuracy"], digits=2),
                    "balanced accuracy": mean_std(rows["balanced_accuracy"], digits=2),
                    "agreement": mean_std(rows["agreement"], digits=2),
                }
            )
        report.table(pd.DataFrame(cells))
        pairs = [(bits, FLOAT) for bits in ("8 bits", "4 bits") if bits in set(found["method"])]
        dense = "CNN" not in name  # of which there are no other ways to be rounded
        pairs += dense * [(f"{bits} bits", f"{bits} bits, each weight alone") for bits in (8, 4)]
        for bits in (8, 4) if dense else ():
            retrained = f"{bits} bits, retrained"
            pairs += [(retrained, f"{bits} bits")]
            pairs += [(retrained, f"{bits} bits of the one trained further")]
        same = found.assign(units=0)
        report.table(differences(compare(same, pairs, [0])).drop(columns="units"))
    report.heading("From reflectance to label in C")
    report.text(
        "Bytes of `device_report`, the input of 200 bytes not counted. Labels are compared with "
        "Python's on 10,000 spectra: mixtures, a quarter of them with gaps, a fifth dark, some all "
        "zero or of a fill value; where Python gives no label, C must give none."
    )
    report.table(on_device(options.quick))
    report.csv(summary(table, ("task", "method")))
