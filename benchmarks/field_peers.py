"""Libraries of the field on the same jobs: accuracy, seconds, and lines that a user writes.

Run with `python -m benchmarks field_peers --seeds 5`. Spectra named by a library, convex hulls
removed, channels of a convolutional network cut, a network brought to integers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from skorch import NeuralNetClassifier
from threadpoolctl import threadpool_limits
from torch import nn
from torch.nn.utils import prune

from sklearn_capoz import CAPoZPruner, FieldTrainedClassifier, PrunedMLPClassifier
from sklearn_capoz.datasets import (
    CUPRITE_MINERALS,
    CUPRITE_WAVELENGTHS,
    load_usgs_minerals,
    make_field_spectra,
)
from sklearn_capoz.deploy import quantize, save_model, to_onnx
from sklearn_capoz.networks import SpectralCNN1D
from sklearn_capoz.spectral import ContinuumRemoval, SpectralMatcher
from sklearn_capoz.thresholds import Fraction

from ._data import usgs_mixtures
from ._lines import lines_of
from ._protocol import Options
from ._report import Report
from ._statistics import mean_std
from .peers import torch_loop

TITLE = "Peers of the field: the same jobs by other libraries"

#: Share of channels that goes, epochs before and after, and samples of a batch.
CUT, EPOCHS, MORE, BATCH_SIZE = 0.75, 30, 6, 64


@dataclass(frozen=True)
class Peer:
    """A way to do a job.

    Parameters
    ----------
    job, name : str
    work : callable
        What a user writes.
    needs : str
        The package that it imports.
    helpers : tuple of callables
        What the user writes beside, counted with it.
    """

    job: str
    name: str
    work: Callable
    needs: str = "sklearn_capoz"
    helpers: tuple[Callable, ...] = field(default=())


def matcher(X, y, nm, pixels):
    """Name pixels by the best record."""
    return SpectralMatcher(wavelengths=nm).fit(X, y).predict(pixels)


def field_trained(X, y, nm, pixels):
    """Name pixels by a network that has seen field spectra."""
    model = FieldTrainedClassifier(wavelengths=nm, random_state=0, cv=2)
    return model.fit(X, y).predict(pixels)


def spectral_angles(X, y, nm, pixels):
    """Name pixels by the smallest spectral angle."""
    from spectral import spectral_angles

    return y[spectral_angles(pixels[None], X)[0].argmin(axis=1)]


def hull(nm, X):
    """Divide by the hull."""
    return ContinuumRemoval(nm).fit_transform(X)


def hull_of_spectral(nm, X):
    """Divide by the hull."""
    from spectral import remove_continuum

    return remove_continuum(X.astype(float), nm)


def hull_of_hylite(nm, X):
    """Divide by the hull."""
    from hylite.correct import get_hull_corrected

    return get_hull_corrected(X.astype(float), vb=False)


def hull_of_pysptools(nm, X):
    """Divide by the hull."""
    from pysptools.spectro.hull_removal import convex_hull_removal

    return np.array([convex_hull_removal(list(row), list(nm))[0] for row in X])


def channels(X, y, seed, epochs, more):
    """Prune the channels of any torch module."""
    torch.manual_seed(seed)
    net = NeuralNetClassifier(
        SpectralCNN1D(X.shape[1], int(y.max()) + 1), criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam, lr=1e-3, batch_size=BATCH_SIZE, max_epochs=epochs, verbose=0,
        iterator_train__shuffle=True,
    )  # fmt: skip
    model = CAPoZPruner(
        net, criterion="reconstruction", compensation="least-squares", threshold=Fraction(CUT),
        n_iterations=1, retrain_max_iter=more, keep="last", random_state=seed,
    )  # fmt: skip
    return model.fit(X, y)


def torch_pruning(X, y, seed, epochs, more):
    """Prune the channels by torch-pruning, L1 norm of groups."""
    import torch_pruning as tp

    torch.manual_seed(seed)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    model = SpectralCNN1D(X.shape[1], int(y.max()) + 1)
    torch_loop(model, X, y, epochs, BATCH_SIZE)
    last = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    pruner = tp.pruner.MagnitudePruner(
        model, X[:2], tp.importance.MagnitudeImportance(p=1), pruning_ratio=CUT,
        ignored_layers=[last],
    )  # fmt: skip
    pruner.step()
    torch_loop(model, X, y, more, BATCH_SIZE)
    return model


def torch_masks(X, y, seed, epochs, more):
    """Set channels to zero by torch.nn.utils.prune, L1 norm of their kernels."""
    torch.manual_seed(seed)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    model = SpectralCNN1D(X.shape[1], int(y.max()) + 1)
    torch_loop(model, X, y, epochs, BATCH_SIZE)
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv1d | nn.Linear)]
    for layer in layers[:-1]:
        prune.ln_structured(layer, "weight", amount=CUT, n=1, dim=0)
    torch_loop(model, X, y, more, BATCH_SIZE)
    for layer in layers[:-1]:
        prune.remove(layer, "weight")
    return model


def from_scratch(X, y, seed, epochs, more):
    """Train a quarter of the channels from the start, for as many epochs."""
    torch.manual_seed(seed)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    model = SpectralCNN1D(X.shape[1], int(y.max()) + 1, channels=5, hidden=25)
    torch_loop(model, X, y, epochs + more, BATCH_SIZE)
    return model


def integers(model, X, folder):
    """Bring a network to weights of 8 bits, and store it."""
    small = quantize(model, X)
    save_model(small, folder / "small.capoz")
    return small.predict, folder / "small.capoz"


def onnxruntime_integers(model, X, folder):
    """Bring a network to weights of 8 bits by onnxruntime, calibrated, and store it."""
    import onnxruntime as ort
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.rows = iter([{"X": X}])

        def get_next(self):
            return next(self.rows, None)

    to_onnx(model, folder / "model.onnx")
    quantize_static(folder / "model.onnx", folder / "small.onnx", Reader())
    session = ort.InferenceSession(folder / "small.onnx")
    return lambda rows: session.run(None, {"X": rows})[0], folder / "small.onnx"


NAMING, HULLS, CHANNELS, INTEGERS = "naming", "hulls", "channels", "integers"
PEERS = (
    Peer(NAMING, "this package, matching", matcher),
    Peer(NAMING, "this package, a network for the field", field_trained),
    Peer(NAMING, "spectral, angles", spectral_angles, "spectral"),
    Peer(HULLS, "this package", hull),
    Peer(HULLS, "hylite", hull_of_hylite, "hylite"),
    Peer(HULLS, "spectral", hull_of_spectral, "spectral"),
    Peer(HULLS, "pysptools", hull_of_pysptools, "pysptools"),
    Peer(CHANNELS, "this package", channels),
    Peer(CHANNELS, "torch-pruning", torch_pruning, "torch_pruning", (torch_loop,)),
    Peer(CHANNELS, "torch.nn.utils.prune", torch_masks, "torch", (torch_loop,)),
    Peer(CHANNELS, "from scratch", from_scratch, "torch", (torch_loop,)),
    Peer(INTEGERS, "this package", integers),
    Peer(INTEGERS, "onnxruntime", onnxruntime_integers, "onnxruntime"),
)


def naming(peer: Peer, seed: int, quick: bool) -> dict:
    """Let a peer name made field spectra of the embedded library."""
    library = load_usgs_minerals()
    names = library.target_names[library.target]
    seven = np.isin(names, CUPRITE_MINERALS)
    bands = np.isin(library.wavelengths, CUPRITE_WAVELENGTHS)
    X, y, nm = library.data[seven][:, bands], names[seven], library.wavelengths[bands]
    pixels, truth, _ = make_field_spectra(
        X, y, wavelengths=nm, n_samples=140 if quick else 2100, random_state=100 + seed
    )
    seconds, found = timed(lambda: peer.work(X, y, nm, pixels))
    return {"seconds": seconds} | scores(truth, found)


def hulls(peer: Peer, seed: int, quick: bool) -> dict:
    """Let a peer remove the hull of spectra of 224 bands."""
    random = np.random.RandomState(seed)
    nm = np.linspace(400, 2500, 224)
    X = random.uniform(0.2, 0.6, (20 if quick else 1000, 224)).astype(np.float32)
    peer.work(nm, X[:10])
    seconds, found = timed(lambda: peer.work(nm, X))
    return {"seconds": seconds, "accuracy": np.nan, "apart": abs(found - hull(nm, X)).max()}


def pruned_channels(peer: Peer, seed: int, quick: bool) -> dict:
    """Let a peer train and prune a convolutional network over spectra."""
    task = usgs_mixtures(seed, quick)
    X, y = np.concatenate([task.X, task.X_val]), np.concatenate([task.y, task.y_val])
    epochs, more = (1, 1) if quick else (EPOCHS, MORE)
    seconds, model = timed(lambda: peer.work(X, y, seed, epochs, more))
    if isinstance(model, nn.Module):
        with torch.no_grad():
            found = model.eval()(torch.from_numpy(task.X_test)).argmax(dim=1).numpy()
    else:
        found, model = model.predict(task.X_test), model.estimator_.module_
    stored = sum(parameter.numel() for parameter in model.parameters())
    return {"seconds": seconds, "bytes": 4 * stored} | scores(task.y_test, found)


def stored_integers(peer: Peer, seed: int, quick: bool) -> dict:
    """Let a peer quantize a pruned network of nine units."""
    task = usgs_mixtures(seed, quick)
    model = PrunedMLPClassifier(
        (30,), criterion="reconstruction", compensation="least-squares", keep="last",
        threshold=Fraction(0.7), n_iterations=1, max_iter=3 if quick else 200, random_state=seed,
    ).fit(task.X, task.y, task.X_val, task.y_val)  # fmt: skip
    with TemporaryDirectory() as folder:
        seconds, (predict, path) = timed(lambda: peer.work(model, task.X, Path(folder)))
        found = predict(task.X_test)
        alike = (found == model.predict(task.X_test)).mean()
        row = {"seconds": seconds, "bytes": path.stat().st_size, "alike": alike}
        return row | scores(task.y_test, found)


def timed(work: Callable) -> tuple[float, object]:
    """Return the seconds that a call takes, and what it gives."""
    start = perf_counter()
    found = work()
    return perf_counter() - start, found


def scores(truth, found) -> dict[str, float]:
    return {
        "accuracy": accuracy_score(truth, found),
        "balanced": balanced_accuracy_score(truth, found),
    }


#: What is done with a peer, and what is said of the job.
JOBS = {
    NAMING: (
        naming,
        'Made field spectra (shift "middle") of seven minerals in 50 bands, named by the 13 '
        "embedded records. The network has learnt from other spectra of the same simulation, which "
        "favours it; seconds include its training. hylite has no matching that we found; hklearn, "
        "which stands on it, regresses abundances on stacks of images; cramm's rules need spectra "
        "of the full range, from 350 nm on; pysptools' SAM fails with numpy 1.24 and "
        "later (`np.float`). None of them is here.",
    ),
    HULLS: (hulls, "1,000 spectra of 224 bands. Apart: the largest difference from this package."),
    CHANNELS: (
        pruned_channels,
        f"SpectralCNN1D on the USGS mixtures: {EPOCHS} epochs, {CUT:.0%} of the channels of every "
        f"hidden layer gone, {MORE} epochs more; from scratch all of them. This package uses "
        "reconstruction and least squares, the others the L1 norm. `torch.nn.utils.prune` sets "
        "weights to zero and stores them all.",
    ),
    INTEGERS: (
        stored_integers,
        "A network pruned to nine units, with weights of 8 bits, calibrated on its training "
        "samples. Bytes of the file; alike: labels that are those in floats.",
    ),
}


def measure(job: str, options: Options) -> pd.DataFrame:
    """Let all peers of a job take turns, seed after seed, in one process and thread."""
    peers = [peer for peer in PEERS if peer.job == job and find_spec(peer.needs)]
    work, _ = JOBS[job]
    rows = []
    with threadpool_limits(1), torch.random.fork_rng():
        for seed in range(options.seeds):
            for peer in peers:
                found = work(peer, seed, options.quick)
                rows.append({"job": job, "method": peer.name, "seed": seed} | found)
    return pd.DataFrame(rows)


def run(options: Options, report: Report) -> None:
    """Measure every job, and write a table of it."""
    report.text(
        "Peers take turns in one process and one thread; seconds are medians. Lines are those of "
        "the functions in `benchmarks/field_peers.py`, which are what a user writes; loops that a "
        "library leaves to its users are counted with it."
    )
    tables = []
    for job, (_, text) in JOBS.items():
        table = measure(job, options)
        report.heading(job.capitalize())
        report.text(text)
        cells = []
        for peer in PEERS:
            rows = table[table["method"] == peer.name]
            if peer.job != job or not len(rows):
                continue
            cell = {"peer": peer.name}
            for column in ("accuracy", "balanced", "alike"):
                if column in table and table[column].notna().any():
                    cell[f"{column} / %"] = mean_std(rows[column])
            if "bytes" in table:
                cell["bytes"] = f"{rows['bytes'].mean():,.0f}"
            if "apart" in table:
                cell["apart"] = f"{rows['apart'].max():.1e}"
            cell["seconds"] = f"{rows['seconds'].median():.3f}"
            cells.append(cell | {"lines": lines_of(peer.work, *peer.helpers)})
        report.table(pd.DataFrame(cells))
        tables.append(table)
    left = sorted({peer.needs for peer in PEERS if not find_spec(peer.needs)})
    if left:
        report.text(f"Not installed, and left out: {', '.join(left)} (the extra `bench` has them).")
    report.csv(pd.concat(tables))
