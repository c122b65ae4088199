"""Training convolutional networks, beside a bare torch loop: seconds of an epoch.

Run with `python -m benchmarks cnn_speed [--kinds 1d 2d 3d] [--epochs 3] [--repeats 3]`: the nets of
Indian Pines in batches of `--batch-size`, on pixels of a made scene of as many bands, of which
`PrunedCNNClassifier` gathers the patches batch by batch. The bare loop has them all beforehand. The
ways take turns; an epoch is the difference of two trainings, and the smallest processor time of
each counts. In bfloat16 where `mixed_precision` is asked for, on a processor that has it.
"""

from __future__ import annotations

import argparse
import warnings
from time import perf_counter, process_time

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import cross_entropy

from sklearn_capoz import PrunedCNNClassifier
from sklearn_capoz.datasets import ScenePixels
from sklearn_capoz.networks._cnn import KINDS

N_CLASSES, N_BANDS, SIDE, PATCH_SIZE = 16, 200, 145, 9
#: Of the network over spectrum and patch, which takes longest, fewer.
N_SAMPLES = {"1d": 5_528, "2d": 5_528, "3d": 1_100}


def make_samples(kind: str) -> tuple:
    """Make pixels of a scene of random numbers, or their spectra, and labels."""
    random = np.random.RandomState(0)
    cube = random.standard_normal((SIDE, SIDE, N_BANDS)).astype(np.float32)
    positions = random.randint(SIDE, size=(N_SAMPLES[kind], 2))
    y = np.arange(len(positions)) % N_CLASSES
    pixels = ScenePixels(cube, positions)
    return (np.asarray(pixels) if kind == "1d" else pixels), y


def make_model(kind: str, batch_size: int, **changes) -> PrunedCNNClassifier:
    return PrunedCNNClassifier(
        kind, n_iterations=0, criterion="l1", validation_fraction=0.01, random_state=0,
        batch_size=batch_size, **changes,
    )  # fmt: skip


def train_bare(kind: str, X: torch.Tensor, y: torch.Tensor, batch_size: int, epochs: int) -> None:
    """Train as one writes it by hand."""
    torch.manual_seed(0)
    module = KINDS[kind](X.shape[1], N_CLASSES)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    for _ in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(X)).split(batch_size):
            optimizer.zero_grad()
            loss = cross_entropy(module(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item()


def measure(kind: str, batch_size: int, epochs: int, repeats: int) -> pd.DataFrame:
    """Take turns, and count the smallest time of an epoch."""
    X, y = make_samples(kind)
    fitted = make_model(kind, batch_size, max_iter=1).fit(X, y)
    inputs = np.asarray(X)
    if kind != "1d":
        image = fitted.bands_.transform(X.cube.reshape(-1, N_BANDS)).reshape(SIDE, SIDE, -1)
        inputs = ScenePixels(image, X.positions).patches(PATCH_SIZE)
    inputs = torch.from_numpy(np.ascontiguousarray(inputs, dtype=np.float32))
    labels = torch.from_numpy(y)
    ways = {
        "bare torch": lambda n: train_bare(kind, inputs, labels, batch_size, n),
        "here": lambda n: make_model(kind, batch_size, max_iter=n).fit(X, y),
        "here, mixed_precision": lambda n: make_model(
            kind, batch_size, max_iter=n, mixed_precision=True
        ).fit(X, y),
    }
    seconds = {name: np.full(2, np.inf) for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            spent = []
            for n in (1, 1 + epochs):
                start, began = perf_counter(), process_time()
                way(n)
                spent.append([perf_counter() - start, process_time() - began])
            each = (np.array(spent[1]) - spent[0]) / epochs
            seconds[name] = np.minimum(seconds[name], each)
    bare = seconds["bare torch"]
    return pd.DataFrame(
        [
            {
                "network": kind,
                "way": name,
                "wall s an epoch": spent[0],
                "processor s": spent[1],
                "times faster, processor": bare[1] / spent[1],
            }
            for name, spent in seconds.items()
        ]
    )


def main() -> None:
    """Measure, and print a table for each network."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks cnn_speed", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--kinds", nargs="+", default=list(N_SAMPLES), choices=list(N_SAMPLES))
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    pd.set_option("display.width", 160, "display.precision", 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind in given.kinds:
            found = measure(kind, given.batch_size, given.epochs, given.repeats)
            print(found.to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
