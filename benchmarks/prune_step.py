"""Cost of scoring against a forward pass, and of a pruning step against torch-pruning.

Run with `python -m benchmarks.prune_step`. Medians of repeats in turn, in one process, with two
threads. Scoring is one forward pass that keeps every layer, and C-APoZ of each. A step scores the
layers at hand, decides and cuts both hidden layers; torch-pruning's is `MagnitudePruner.step` on
the same network, its graph traced beforehand. Every step starts from the whole network.

The machine's limit of scoring is that of its multiply-adds, and of C-APoZ in a step that of reading
the activations once: the rest of such a step is surgery and what Python does between.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median

import numpy as np
import torch
import torch_pruning
from threadpoolctl import threadpool_limits

from benchmarks._machine import Machine
from sklearn_capoz.criteria import CAPoZ, WeightNorm
from sklearn_capoz.networks._module import module_from_network
from sklearn_capoz.pruning import Remove
from sklearn_capoz.pruning._dense_model import DenseModel
from sklearn_capoz.thresholds import Fraction
from sklearn_capoz.training import TrainingSettings, initial_network
from sklearn_capoz.training._samples import Samples

N_THREADS = 2
N_SAMPLES = 10_000
#: Inputs, hidden units and classes -> how many forward passes scoring may cost; a pruned
#: network's pass takes so little that looking at the labels weighs in it.
NETWORKS = {(50, 30, 7): 1.2, (50, 9, 7): None, (200, 512, 512, 16): 1.2}
#: Of torch-pruning's step.
STEP = 1.0


def dense_model(sizes: tuple[int, ...]) -> DenseModel:
    n_features, *widths, n_classes = sizes
    network = initial_network(n_features, widths, n_classes, "relu", 0, np.float32)
    return DenseModel(network, None, TrainingSettings(), "cpu", np.random.RandomState(0))


def random_samples(n_features: int, n_classes: int, weighted: bool = False) -> Samples:
    random = np.random.RandomState(1)
    X = random.standard_normal((N_SAMPLES, n_features)).astype(np.float32)
    weight = random.uniform(0.5, 2, N_SAMPLES) if weighted else np.ones(N_SAMPLES)
    return Samples(X, random.randint(n_classes, size=N_SAMPLES), weight)


def in_turn(calls: dict[str, tuple[Callable, Callable]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each call; of a pair the first prepares, untimed."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, (prepare, call) in calls.items():
            prepared = prepare()
            start = time.perf_counter()
            call(prepared)
            if turn:  # the first round warms up
                times[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in times.items()}


def scoring(repeats: int = 50) -> None:
    machine = Machine(N_THREADS)
    print(f"{N_SAMPLES} samples, float32, ms  forward  scoring  ratio (target), share of the limit")
    for sizes, target in NETWORKS.items():
        for weighted in (False, True):
            model, samples = dense_model(sizes), random_samples(sizes[0], sizes[-1], weighted)

            def score(_, model=model, samples=samples):
                layers = model.observe(samples, CAPoZ.needs, model.random_state)
                for layer in layers.values():
                    CAPoZ().score(layer)

            def forward(_, model=model, samples=samples):
                model.network.forward(samples.X)

            jobs = {name: (int, lambda _, job=job: job()) for name, job in machine.jobs.items()}
            found = in_turn({"forward": (int, forward), "scoring": (int, score), **jobs}, repeats)
            n_added = N_SAMPLES * sum(a * b for a, b in pairwise(sizes))
            share = machine.least_seconds(found, samples.X.nbytes, n_added) / found["scoring"]
            ratio = found["scoring"] / found["forward"]
            name = "-".join(map(str, sizes)) + (" weighted" if weighted else "")
            verdict = "" if target is None else f"(<= {target}: {_yes(ratio <= target)})"
            print(
                f"{name:27} {1e3 * found['forward']:8.2f} {1e3 * found['scoring']:8.2f} "
                f"{ratio:6.2f} {verdict:14} {share:.2f}",
                flush=True,
            )


def our_step(model: DenseModel, samples: Samples, layers, criterion) -> DenseModel:
    """Score the layers at hand, decide and cut a quarter of every hidden layer."""
    for group, layer in layers.items():
        keep = Fraction(0.25).decide(criterion.score(layer), prune_high=criterion.prune_high).keep
        model = model.apply(Remove(group, keep), None, samples)
    return model


def magnitude_pruner(module: torch.nn.Module, sizes: tuple[int, ...]):
    last = [part for part in module.modules() if isinstance(part, torch.nn.Linear)][-1]
    return torch_pruning.pruner.MagnitudePruner(
        module,
        torch.zeros(1, sizes[0]),
        importance=torch_pruning.importance.MagnitudeImportance(p=1),
        pruning_ratio=0.25,
        ignored_layers=[last],
    )


def step(repeats: int = 25) -> None:
    sizes = (200, 512, 512, 16)
    model, samples = dense_model(sizes), random_samples(sizes[0], sizes[-1])
    layers = model.observe(samples, CAPoZ.needs, model.random_state)
    # The same loss of a quarter of the units, so that the narrower networks are as large.
    assert our_step(model, samples, layers, CAPoZ()).widths == (384, 384)
    pruned = module_from_network(model.network)
    magnitude_pruner(pruned, sizes).step()
    assert [p.shape[0] for p in pruned.parameters()] == [384, 384, 384, 384, 16, 16]

    machine = Machine()  # whose one thread counts the zeros
    jobs = {name: (int, lambda _, job=job: job()) for name, job in machine.jobs.items()}
    found = in_turn(
        {
            "torch-pruning, l1": (
                lambda: magnitude_pruner(module_from_network(model.network), sizes),
                lambda pruner: pruner.step(),
            ),
            "ours, l1": (int, lambda _: our_step(model, samples, layers, WeightNorm(1))),
            "ours, c-apoz": (int, lambda _: our_step(model, samples, layers, CAPoZ())),
            **jobs,
        },
        repeats,
    )
    shown = {name: seconds for name, seconds in found.items() if name not in jobs}
    theirs = found["torch-pruning, l1"]
    print(f"\none step on {'-'.join(map(str, sizes))}, ms, ratio (target)")
    for name, seconds in shown.items():
        ratio = seconds / theirs
        verdict = "" if name.startswith("torch") else f"(< {STEP:g}: {_yes(ratio < STEP)})"
        print(f"{name:27} {1e3 * seconds:8.2f} {ratio:6.2f} {verdict}")
    n_bytes = sum(layer.activations.nbytes for layer in layers.values())
    reading = machine.least_seconds(found, n_bytes)
    print(
        f"reading {n_bytes / 1e6:.0f} MB of activations takes {1e3 * reading:.2f} ms at the least, "
        f"{reading / found['ours, c-apoz']:.2f} of the C-APoZ step"
    )


def _yes(reached: bool) -> str:
    return "yes" if reached else "NO"


def main() -> None:
    """Print both tables."""
    torch.set_num_threads(N_THREADS)
    with threadpool_limits(N_THREADS):
        scoring()
        step()


if __name__ == "__main__":
    main()
