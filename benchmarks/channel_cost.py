"""What it costs to score channels, beside a forward pass of the same network: time and memory.

Run with `python -m benchmarks channel_cost [--kinds 1d 2d 3d] [--repeats 5] [--threads 1]`: the
nets of Indian Pines on random numbers, 5,528 spectra or patches of 9 x 9 pixels (1,100 for the
network over both). All criteria and the passes take turns; the smallest processor time of each
counts. A forward pass has the batches that the network is fastest with. A criterion that asks for
derivatives needs a pass back as well, and is beside a forward and a backward pass for one loss:
that of the activations, not of the weights. Memory is the most that a process of its own comes to
hold beyond what it held before, of which the kernel is asked anew (Linux only), beside that of the
pass.
"""

from __future__ import annotations

import argparse
from time import process_time

import numpy as np
import pandas as pd
import torch
from skorch import NeuralNetClassifier
from threadpoolctl import threadpool_limits

from sklearn_capoz.criteria import CRITERIA
from sklearn_capoz.networks._cnn import KINDS
from sklearn_capoz.pruning._model import score_units
from sklearn_capoz.pruning._skorch_model import SkorchModel
from sklearn_capoz.training import TrainingSettings
from sklearn_capoz.training._samples import Samples

from ._memory import growth, in_process

N_CLASSES = 16
#: Kind -> how many samples, and the shape of one.
DATA = {"1d": (5_528, (200,)), "2d": (5_528, (40, 9, 9)), "3d": (1_100, (40, 9, 9))}
BATCHES = (64, 128, 256, 512, 1024)
SCORED = ("c-apoz", "mean-activation", "gradient", "taylor", "correlation", "reconstruction")


def make_model(kind: str) -> tuple[SkorchModel, Samples]:
    """Make an untrained network, and samples for it."""
    n_samples, shape = DATA[kind]
    random = np.random.RandomState(0)
    X = random.standard_normal((n_samples, *shape)).astype(np.float32)
    torch.manual_seed(0)
    net = NeuralNetClassifier(KINDS[kind](shape[0], N_CLASSES), train_split=None).initialize()
    net.input_shape_, net.n_features_in_ = shape, shape[0]
    model = SkorchModel(net, TrainingSettings(), random)
    # An untrained network is right as often as a trained one on labels of its own.
    return model, Samples(X, model.labels(X), np.ones(n_samples))


def run_forward(model: SkorchModel, samples: Samples, size: int) -> None:
    """Run a forward pass, and nothing else."""
    module = model.net.module_.eval()
    with torch.inference_mode():
        for part in torch.from_numpy(samples.X).split(size):
            module(part)


def run_backward(model: SkorchModel, samples: Samples, size: int) -> None:
    """Run a forward pass, and one back to the activations."""
    module, kept = model.net.module_.eval(), []
    relus = [part for part in module.modules() if isinstance(part, torch.nn.ReLU)]
    hooks = [relu.register_forward_hook(lambda _, __, out: kept.append(out)) for relu in relus]
    y = torch.from_numpy(samples.y)
    for part, own in zip(torch.from_numpy(samples.X).split(size), y.split(size), strict=True):
        loss = torch.nn.functional.cross_entropy(module(part), own, reduction="sum")
        torch.autograd.grad(loss, kept)
        kept.clear()
    for hook in hooks:
        hook.remove()


def run_criterion(model: SkorchModel, samples: Samples, name: str) -> None:
    """Score all channels and units."""
    criterion, groups = CRITERIA[name](), [group.name for group in model.groups]
    score_units(model, criterion, samples, np.random.RandomState(0), groups)


def measure(kind: str, repeats: int) -> pd.DataFrame:
    """Take turns, and count the smallest processor time of each."""
    model, samples = make_model(kind)
    calls = {("forward", size): (run_forward, size) for size in BATCHES}
    calls |= {("backward", size): (run_backward, size) for size in BATCHES}
    calls |= {("score", name): (run_criterion, name) for name in SCORED}
    seconds = dict.fromkeys(calls, np.inf)
    for repeat in range(repeats + 1):
        for key, (run, what) in calls.items():
            start = process_time()
            run(model, samples, what)
            if repeat:  # the first compiles
                seconds[key] = min(seconds[key], process_time() - start)
    passes = {
        what: min((spent, size) for (name, size), spent in seconds.items() if name == what)
        for what in ("forward", "backward")
    }
    rows = [
        {
            "network": kind,
            "what": f"{what}, {size} at a time",
            "processor ms": 1e3 * spent,
            "MB": peak_memory(kind, what, size),
        }
        for what, (spent, size) in passes.items()
    ]
    for name in SCORED:
        beside = "backward" if "gradients" in CRITERIA[name]().needs else "forward"
        spent = seconds["score", name]
        rows.append(
            {
                "network": kind,
                "what": name,
                "processor ms": 1e3 * spent,
                "beside": beside,
                "times": spent / passes[beside][0],
                "times forward": spent / passes["forward"][0],
                "MB": peak_memory(kind, name),
            }
        )
    return pd.DataFrame(rows)


def peak_memory(kind: str, what: str, size: int = 0) -> float:
    """Return by how much a process of its own grows, in MB."""
    return in_process("benchmarks.channel_cost", "print_growth", kind, what, size)


def print_growth(kind: str, what: str, size: str) -> None:
    """Print by how much this process grows."""
    torch.set_num_threads(1)
    model, samples = make_model(kind)
    passes = {"forward": run_forward, "backward": run_backward}
    run, how = (passes[what], int(size)) if what in passes else (run_criterion, what)
    run(model, Samples(samples.X[:8], samples.y[:8], samples.weight[:8]), how)  # compiles
    print(growth(lambda: run(model, samples, how)))


def main() -> None:
    """Measure, and print a table for each network."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks channel_cost", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--kinds", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    pd.set_option("display.width", 160, "display.precision", 3)
    with threadpool_limits(given.threads):
        for kind in given.kinds:
            print(measure(kind, given.repeats).to_string(index=False, na_rep=""), flush=True)


if __name__ == "__main__":
    main()
