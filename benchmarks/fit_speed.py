"""Speed of training, against MLPClassifier, skorch's loop and a bare torch loop.

Run with `OMP_NUM_THREADS=2 python -m benchmarks.fit_speed`. All figures are medians of repeats
in turn, within one process. The engine records training loss, validation loss and validation
accuracy in every epoch; MLPClassifier and the bare loop validate nothing, which favours them.

The machine's limit is that of the multiply-adds of an epoch, at the rate of the same run: a pass
forward, and back one for the weights and one for the layers below. What holds the rest of a small
network is all that is not a product: activations, losses, Adam, the order of the rows.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from statistics import median

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from threadpoolctl import threadpool_limits
from torch import nn

from benchmarks._machine import Machine
from sklearn_capoz.networks._module import MLPModule
from sklearn_capoz.training._engine import TrainingSettings, TrainingTask, initial_network, train

N_THREADS = 2


class Job:
    """Random data and a network of one size."""

    def __init__(self, n_samples=700, n_features=50, widths=(30,), n_classes=7, dtype=np.float32):
        random = np.random.RandomState(0)
        n_val = n_samples // 5
        X = random.standard_normal((n_samples + n_val, n_features)).astype(dtype)
        y = random.randint(0, n_classes, len(X))
        self.X, self.y, self.X_val, self.y_val = X[n_val:], y[n_val:], X[:n_val], y[:n_val]
        self.widths, self.n_classes, self.dtype = widths, n_classes, dtype

    def n_multiply_adds(self, *, validated: bool = True) -> int:
        """Multiply-adds of an epoch."""
        sizes = [a * b for a, b in pairwise((self.X.shape[1], *self.widths, self.n_classes))]
        forward = sum(sizes)
        n_added = len(self.X) * (3 * forward - sizes[0])  # no layer is below the first
        return n_added + len(self.X_val) * forward if validated else n_added

    def engine(
        self,
        batch: int,
        epochs: int,
        n_networks: int = 1,
        device: str = "cpu",
        validate: bool = True,
    ) -> None:
        tasks = []
        for seed in range(n_networks):
            random = np.random.RandomState(seed)
            network = initial_network(
                self.X.shape[1], self.widths, self.n_classes, "relu", random, self.dtype
            )
            validation = (self.X_val, self.y_val) if validate else (None, None)
            rows = (self.X, self.y, None, *validation)
            tasks.append(TrainingTask(network, *rows, random_state=random))
        settings = TrainingSettings(
            batch_size=batch, max_iter=epochs, tol=0, n_iter_no_change=10**9
        )
        train(tasks, settings, device=device)

    def mlpclassifier(self, batch: int, epochs: int) -> None:
        model = MLPClassifier(
            self.widths, batch_size=batch, max_iter=epochs, tol=0, n_iter_no_change=10**9,
            random_state=0,
        )  # fmt: skip
        model.fit(self.X, self.y)

    def module(self) -> MLPModule:
        dtype = torch.from_numpy(self.X).dtype
        return MLPModule(self.X.shape[1], self.widths, self.n_classes, dtype=dtype)

    def skorch(self, batch: int, epochs: int) -> None:
        net = NeuralNetClassifier(
            self.module(), criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=1e-3,
            max_epochs=epochs, batch_size=batch, iterator_train__shuffle=True, verbose=0,
            train_split=predefined_split(Dataset(self.X_val, self.y_val)),
        )  # fmt: skip
        net.fit(self.X, self.y)

    def torch_loop(self, batch: int, epochs: int) -> None:
        module, criterion = self.module(), nn.CrossEntropyLoss()
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)
        X, y = torch.from_numpy(self.X), torch.from_numpy(self.y)
        for _ in range(epochs):
            total = 0.0
            for rows in torch.randperm(len(y)).split(batch):
                optimizer.zero_grad()
                loss = criterion(module(X[rows]), y[rows])
                loss.backward()
                optimizer.step()
                total += loss.item() * len(rows)


def medians(contestants: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Seconds of each contestant, taking turns; the first turn is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for repeat in range(repeats + 1):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            if repeat:
                seconds[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in seconds.items()}


def row(
    name: str,
    seconds: dict[str, float],
    epochs: int,
    targets: dict[str, float],
    machine: Machine,
    n_added: int,
) -> None:
    """Print epochs per second of the engine, how many times it is as fast as each peer, its share.

    `n_added` are the multiply-adds of an epoch; the share is of the machine's limit.
    """
    ours = seconds["engine"]
    cells = [f"{name:<42} {epochs / ours:>9.1f} epochs/s"]
    for peer, target in targets.items():
        cells.append(f"{seconds[peer] / ours:6.2f}x {peer} (target {target:g}x)")
    least = machine.least_seconds(seconds, 0, epochs * n_added)
    cells.append(f"{least / ours:.2f} of the limit")
    print("  ".join(cells), flush=True)


def small_networks() -> None:
    print("\nThe paper's job: 700 x 50, 30 hidden units, 7 classes")
    for dtype in (np.float32, np.float64):
        job, epochs, machine = Job(dtype=dtype), 10, Machine(1, dtype)
        for batch in (32, 200, 700):
            seconds = medians(
                {
                    "engine": partial(job.engine, batch, epochs),
                    "MLPClassifier": partial(job.mlpclassifier, batch, epochs),
                    "skorch": partial(job.skorch, batch, epochs),
                    "torch loop": partial(job.torch_loop, batch, epochs),
                    **machine.jobs,
                },
                repeats=7,
            )
            targets = {"MLPClassifier": 2, "skorch": 10, "torch loop": 1}
            name = f"one network, {dtype.__name__}, batch {batch}"
            row(name, seconds, epochs, targets, machine, job.n_multiply_adds())


def side_by_side() -> None:
    print("\nSixteen networks of the paper's job side by side, for each network")
    for dtype in (np.float32, np.float64):
        job, epochs, n_networks = Job(dtype=dtype), 20, 16
        machine = Machine(N_THREADS, dtype)
        seconds = medians(
            {
                "engine": partial(job.engine, 32, epochs, n_networks),
                "MLPClassifier": partial(job.mlpclassifier, 32, epochs),
                **machine.jobs,
            },
            repeats=15,
        )
        seconds["engine"] /= n_networks
        name, targets = f"16 networks, {dtype.__name__}, batch 32", {"MLPClassifier": 6}
        row(name, seconds, epochs, targets, machine, job.n_multiply_adds())


def large_network() -> None:
    print("\n50,000 x 200, hidden 512-512, 16 classes")
    job, machine = Job(50_000, 200, (512, 512), 16), Machine(N_THREADS)
    seconds = medians(
        {
            "engine": partial(job.engine, 1024, 1, validate=False),
            "validated": partial(job.engine, 1024, 1),
            "MLPClassifier": partial(job.mlpclassifier, 1024, 1),
            "torch loop": partial(job.torch_loop, 1024, 1),
            **machine.jobs,
        },
        repeats=5,
    )
    targets = {"MLPClassifier": 1.5, "torch loop": 0.95}
    n_added = job.n_multiply_adds(validated=False)
    row("float32, batch 1024", seconds, 1, targets, machine, n_added)
    seconds["engine"] = seconds.pop("validated")
    name, n_added = "the engine validates, the others do not", job.n_multiply_adds()
    row(name, seconds, 1, targets, machine, n_added)


def growth() -> None:
    print("\nGrowth: milliseconds for an epoch of batch 32 as one size grows, the rest as above")
    sizes: dict[str, tuple[int, ...]] = {
        "n_samples": (700, 2800, 11200, 44800),
        "n_features": (50, 200, 800),
        "hidden units": (30, 120, 480),
        "networks": (1, 4, 16, 64),
    }
    for name, values in sizes.items():
        cells = []
        for value in values:
            changes = {name: value} if name.startswith("n_") else {}
            if name == "hidden units":
                changes["widths"] = (value,)
            job, n_networks = Job(**changes), value if name == "networks" else 1
            run = {"engine": partial(job.engine, 32, 20, n_networks)}
            cells.append((value, medians(run, repeats=5)["engine"] / 20 * 1e3))
        grown = np.polyfit(*np.log(np.array(cells)).T, 1)[0]
        times = "  ".join(f"{value}: {ms:.2f}" for value, ms in cells)
        print(f"{name:<14} {times}   (grows as its power {grown:.2f})", flush=True)


def gpu() -> None:
    print("\nGPU: 1,024 networks of the paper's job, 200 epochs of batch 32")
    if not torch.cuda.is_available():
        print("not run: no GPU here")
        return
    job, n_networks, epochs = Job(), 1024, 200
    seconds = medians({"engine": partial(job.engine, 32, epochs, n_networks, "cuda")}, repeats=3)
    with threadpool_limits(1):
        core = medians({"engine": partial(job.engine, 32, epochs, 4)}, repeats=3)["engine"] / 4
    rate = n_networks / seconds["engine"]
    print(f"{torch.cuda.get_device_name()}: {rate:.1f} networks/s, {rate * core:.1f}x one CPU core")


def main() -> None:
    """Print the tables."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(N_THREADS)
    with threadpool_limits(N_THREADS):
        small_networks()
        side_by_side()
        large_network()
        growth()
        gpu()


if __name__ == "__main__":
    main()
