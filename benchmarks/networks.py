"""Convolutional networks pruned in every way, on random and on disjoint pixels of scenes.

Run with `python -m benchmarks networks --data-home FOLDER --seeds 5 --jobs 1`. Networks over the
spectrum, the patch and both, each of their hidden layers cut by half and to a quarter, at once,
layer by layer and in three passes, by each criterion; beside small networks from scratch, with and
without the dense one as teacher. What is done is kept in the output folder's `.networks`, so that a
run that was interrupted goes on where it was.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import process_time

import joblib
import numpy as np
import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, balanced_accuracy_score, cohen_kappa_score
from skorch import NeuralNetClassifier
from threadpoolctl import threadpool_limits

from sklearn_capoz import CAPoZPruner
from sklearn_capoz.pruning._skorch_model import SkorchModel
from sklearn_capoz.thresholds import Fraction
from sklearn_capoz.training import TrainingSettings
from sklearn_capoz.training._skorch_loop import train_with_skorch

from ._memory import growth, in_process
from ._network_tasks import BATCH_SIZE, Setting, make_net, make_task, read_scene
from ._protocol import DISTILLATION, Options, over_seeds
from ._report import Report
from ._statistics import mean_std

TITLE = "Networks: convolutions, pruned in every way"

SCENES = ("indian_pines", "pavia_university")
SPLITS = ("disjoint", "random")
RATIOS = (0.75, 0.5)
EPOCHS = 10
#: Of a path's retraining, shared out over its cuts.
RETRAINING = 6
N_PASSES = 3
METHODS = {
    "reconstruction": ("reconstruction", "least-squares"),
    "C-APoZ": ("c-apoz", None),
    "L1": ("l1", None),
    "mean activation": ("mean-activation", None),
    "Taylor": ("taylor", None),
    "random": ("random", None),
}
#: The other schedules take as long again.
SCHEDULED = ("reconstruction", "C-APoZ", "L1")
#: Seeds that run everything, on both splits. The others cut to a quarter on the disjoint split, and
#: without the network over both spectrum and patch, which takes longest and is cut at once alone.
FULL_SEEDS = 1
METRICS = ("overall", "average", "kappa")
#: Samples that a network is timed on, a batch of them at a time.
TIMED, TIMED_AT_ONCE = 1024, 512


def train_dense(setting: Setting) -> NeuralNetClassifier:
    """Train the network that is to be pruned."""
    task = make_task(setting)
    return make_net(setting, task, setting.epochs).fit(task.X, task.y)


def score(estimator, task) -> dict:
    """Overall and average accuracy and kappa on the test pixels."""
    found, y = estimator.predict(task.X_test), task.y_test
    return {
        "overall": accuracy_score(y, found),
        "average": balanced_accuracy_score(y, found),
        "kappa": cohen_kappa_score(y, found),
    }


def size_of(net: NeuralNetClassifier, task) -> dict:
    """Parameters, bytes and multiply-adds of one sample."""
    net.input_shape_, net.n_features_in_ = task.X.shape[1:], task.X.shape[1]
    size = SkorchModel(net, TrainingSettings(), np.random.RandomState(0)).size
    return {
        "parameters": size.n_parameters,
        "multiply_adds": size.n_multiply_adds,
        "bytes": size.n_bytes,
    }


def how_to_cut(schedule: str, ratio: float, setting: Setting, epochs: int) -> dict:
    """Return a schedule's parameters; each has as many epochs of retraining in all."""
    if schedule == "multi-pass":
        share = 1 - (1 - ratio) ** (1 / N_PASSES)
        cut = {"threshold": Fraction(share), "n_iterations": N_PASSES}
        return cut | {"schedule": schedule, "retrain_max_iter": epochs // N_PASSES}
    n_layers = 2 if setting.kind == "1d" else 3
    each = epochs // n_layers if schedule == "iterative" else epochs
    cut = {"threshold": Fraction(ratio), "n_iterations": 1}
    return cut | {"schedule": schedule, "retrain_max_iter": each}


def prune(
    setting: Setting,
    method: str,
    schedule: str,
    ratio: float,
    epochs: int,
    dense: Callable[[Setting], NeuralNetClassifier],
) -> dict:
    """Prune a dense network; units are ranked on training pixels."""
    task = make_task(setting)
    criterion, compensation = METHODS[method]
    start = process_time()
    pruner = CAPoZPruner(
        FrozenEstimator(dense(setting)),
        criterion=criterion,
        compensation=compensation,
        keep="last",
        random_state=setting.seed,
        **how_to_cut(schedule, ratio, setting, epochs),
    ).fit(task.X, task.y, X_val=task.X, y_val=task.y)
    row = {"epochs": epochs, "seconds": process_time() - start, **score(pruner, task)}
    if schedule == "one-shot":
        pruner.set_params(retrain_max_iter=0).fit(task.X, task.y, X_val=task.X, y_val=task.y)
        row |= {f"{name}_before": value for name, value in score(pruner, task).items()}
    last = pruner.history_.iloc[-1]
    sizes = ("parameters", "multiply_adds", "bytes")
    return row | {name: int(last[f"n_{name}"]) for name in sizes}


def train_small(
    setting: Setting, ratio: float, epochs: int, with_teacher: bool, dense: Callable
) -> dict:
    """Train a network that is narrow from the start, with the dense one as teacher or without.

    No estimator distils into a network that was never pruned, so that the loop is called itself.
    """
    task = make_task(setting)
    net = make_net(setting, task, epochs, ratio).initialize()
    start, teacher = process_time(), None
    if with_teacher:
        teacher = dense(setting).forward(task.X).numpy()
    settings = TrainingSettings(
        max_iter=epochs,
        n_iter_no_change=10**9,
        distillation=DISTILLATION["distillation"] if with_teacher else 0.0,
        temperature=DISTILLATION["temperature"],
    )
    train_with_skorch(net, task.X, task.y, settings, teacher=teacher, random_state=setting.seed)
    row = {"epochs": epochs, "seconds": process_time() - start}
    return row | score(net, task) | size_of(net, task)


def train_longer(setting: Setting, epochs: int, dense: Callable) -> dict:
    """Go on with the dense network for as long as the pruned ones are retrained."""
    task, net = make_task(setting), dense(setting)
    start = process_time()
    with torch.random.fork_rng():
        torch.manual_seed(setting.seed)
        net.set_params(max_epochs=epochs).partial_fit(task.X, task.y)
    row = {"epochs": epochs, "seconds": process_time() - start}
    return row | score(net, task) | size_of(net, task)


def settings_of(options: Options, seed: int) -> Iterator[Setting]:
    """Go through scenes that are there, splits and networks, for one seed."""
    is_full = seed < FULL_SEEDS
    small = {"epochs": 2, "share": 0.05} if options.quick else {"epochs": EPOCHS}
    for scene in SCENES:
        if is_there(scene, options):
            for split in SPLITS if is_full else SPLITS[:1]:
                for kind in ("1d", "2d", "3d") if is_full else ("1d", "2d"):
                    yield Setting(options.data_home, scene, split, kind, seed, **small)


def ways_of(setting: Setting) -> Iterator[tuple[str, str, float]]:
    """Go through the networks that a seed prunes: method, schedule and ratio."""
    is_full = setting.seed < FULL_SEEDS and setting.kind != "3d"
    for ratio in RATIOS if is_full else RATIOS[:1]:
        for method in METHODS:
            yield method, "one-shot", ratio
            if setting.kind != "3d" and method in SCHEDULED:
                yield method, "iterative", ratio
                yield method, "multi-pass", ratio


def is_there(scene: str, options: Options) -> bool:
    """Whether a scene's file is at hand."""
    try:
        read_scene(scene, options.data_home)
    except FileNotFoundError:
        return False
    return True


def run_seed(options: Options, folder: Path, seed: int) -> list[dict]:
    """Dense, pruned and small networks; what was done before is read."""
    torch.set_num_threads(1)
    memory = joblib.Memory(folder, verbose=0)
    more = N_PASSES if options.quick else RETRAINING
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            {"scene": setting.scene, "split": setting.split, "network": setting.kind} | row
            for setting in settings_of(options, seed)
            for row in run_setting(setting, more, memory)
        ]


def run_setting(setting: Setting, more: int, memory: joblib.Memory) -> Iterator[dict]:
    """Go through the networks of one scene, split and kind, with `more` epochs of retraining."""
    dense = memory.cache(train_dense)
    cut, small, longer = (
        memory.cache(call, ignore=["dense"]) for call in (prune, train_small, train_longer)
    )
    task, found = make_task(setting), dense(setting)
    yield {"method": "dense"} | score(found, task) | size_of(found, task)
    for method, schedule, ratio in ways_of(setting):
        row = cut(setting, method, schedule, ratio, more, dense=dense)
        yield {"method": method, "schedule": schedule, "ratio": ratio} | row
    for ratio in sorted({ratio for *_, ratio in ways_of(setting)}, reverse=True):
        row = small(setting, ratio, setting.epochs + more, False, dense=dense)
        yield {"method": "from scratch", "ratio": ratio} | row
        if setting.seed < FULL_SEEDS:
            row = small(setting, ratio, setting.epochs + more, True, dense=dense)
            yield {"method": "from scratch, with teacher", "ratio": ratio} | row
    if setting.seed < FULL_SEEDS:
        yield {"method": "dense, trained on"} | longer(setting, more, dense=dense)


def cost_of(options: Options, kind: str, ratio: float) -> dict:
    """Processor time of a prediction, patch by patch, and what it takes of memory."""
    net, X = _untrained(options, kind, ratio)
    seconds = []
    for _ in range(7):
        start = process_time()
        _predict(net, X)
        seconds.append(process_time() - start)
    home = options.data_home
    return {
        "network": kind,
        "cut": f"{ratio:.0%}",
        "us a sample": round(1e6 * min(seconds[1:]) / len(X), 1),
        "MB while predicting": round(
            in_process("benchmarks.networks", "print_growth", home, kind, ratio), 1
        ),
    }


def print_growth(data_home: str, kind: str, ratio: str) -> None:
    """Print by how much this process grows while it predicts."""
    torch.set_num_threads(1)
    net, X = _untrained(Options(Path(data_home)), kind, float(ratio))
    _predict(net, X[:2])
    print(growth(lambda: _predict(net, X)))


def _untrained(options: Options, kind: str, ratio: float) -> tuple[NeuralNetClassifier, np.ndarray]:
    setting = Setting(options.data_home, SCENES[0], SPLITS[0], kind, 0, 1)
    task = make_task(setting)
    net = make_net(setting, task, 1, ratio).initialize()
    return net, np.resize(task.X, (TIMED, *task.X.shape[1:]))


def _predict(net: NeuralNetClassifier, X: np.ndarray) -> None:
    module = net.module_.eval()
    with torch.inference_mode():
        for part in torch.from_numpy(X).split(TIMED_AT_ONCE):
            module(part).argmax(1)


def table_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracies of one scene, split and network: a line for each way."""
    cells = []
    for (method, schedule), group in rows.groupby(["method", "schedule"], sort=False, dropna=False):
        cell = {"method": method, "schedule": schedule if isinstance(schedule, str) else ""}
        for ratio, part in group.groupby("ratio", sort=False, dropna=False):
            gone = f"{ratio:.0%} gone" if ratio == ratio else f"{RATIOS[0]:.0%} gone"
            for name in METRICS:
                cell[f"{gone}: {name}"] = _shown(part[name])
            if part["overall_before"].notna().any():
                cell[f"{gone}: before retraining"] = _shown(part["overall_before"])
        cells.append(cell)
    order = [
        f"{ratio:.0%} gone: {name}" for ratio in RATIOS for name in ("before retraining", *METRICS)
    ]
    return pd.DataFrame(cells).reindex(columns=["method", "schedule", *order])


def _shown(values: pd.Series) -> str:
    """Return mean and standard deviation in percent, or the one seed's value."""
    return mean_std(values) if len(values) > 1 else f"{100 * values.iloc[0]:.1f}"


def targets(rows: pd.DataFrame) -> pd.DataFrame:
    """Three quarters gone on disjoint fields: what reconstruction is beside the others."""
    part = rows[(rows["split"] == "disjoint") & (rows["ratio"] == RATIOS[0])]
    small = part[part["method"] == "from scratch"].groupby(["scene", "network"])["overall"].median()
    cells = []
    for (scene, kind, schedule), group in part.groupby(
        ["scene", "network", "schedule"], sort=False
    ):
        middle = group.groupby("method")[["overall_before", "overall", "average"]].median()
        if not {"reconstruction", "C-APoZ", "L1"} <= set(middle.index):
            continue
        ours, counted = (middle.loc[name] for name in ("reconstruction", "C-APoZ"))
        before = ours["overall_before"] / counted["overall_before"]
        cells.append(
            {
                "scene": scene,
                "network": kind,
                "schedule": schedule,
                "seeds": group["seed"].nunique(),
                "before, times C-APoZ (>= 3)": "" if np.isnan(before) else f"{before:.2f}",
                "overall, less from scratch (>= 0)": round(ours["overall"] - small[scene, kind], 3),
                "average, less L1 (>= 0.10)": round(
                    ours["average"] - middle.loc["L1", "average"], 3
                ),
            }
        )
    return pd.DataFrame(cells)


def run(options: Options, report: Report) -> None:
    """Measure, and write the tables."""
    if options.data_home is None:
        raise SystemExit("networks needs scenes: give --data-home FOLDER.")
    folder = report.folder / ".networks"
    rows = over_seeds(partial(run_seed, options, folder), options, "networks")
    n_samples = {
        kind: len(make_task(Setting(options.data_home, SCENES[0], SPLITS[0], kind, 0)).y)
        for kind in ("1d", "3d")
    }
    report.text(
        f"Indian Pines, {n_samples['1d']} pixels to train with, {n_samples['3d']} for the network "
        "over both spectrum and patch (`3d`), which has one seed; the same number of each class in "
        "both splits. `1d`: 200 bands; `2d` and `3d`: 40 principal components, 9 x 9 pixels. "
        f"{EPOCHS} epochs of Adam in batches of {BATCH_SIZE}, and {RETRAINING} of retraining, in "
        f"all: after one cut, {RETRAINING // 2} or {RETRAINING // 3} after each hidden layer, or "
        f"{RETRAINING // N_PASSES} after each of {N_PASSES} passes. From scratch: "
        f"{EPOCHS + RETRAINING} epochs at the pruned widths. Channels are ranked on training "
        "pixels; reconstruction comes with the least-squares refit. Mean ± standard deviation in "
        "percent, kappa times 100; a number alone is that of one seed. What an earlier run had "
        "done was in its cache: the seconds above are those of the rest."
    )
    for scene in SCENES:
        if not is_there(scene, options):
            report.text(f"No file of {scene} is at hand: left out.")
    report.heading("What was to be shown")
    report.text("Medians over seeds.")
    report.table(targets(rows))
    for (scene, split, kind), group in rows.groupby(["scene", "split", "network"], sort=False):
        report.heading(f"{scene}, {split}, {kind}, seeds: {group['seed'].nunique()}", 4)
        report.table(table_of(group))
    report.heading("Size, time, memory")
    sizes = rows[rows["schedule"].isna() | (rows["schedule"] == "one-shot")]
    sizes = sizes.assign(cut=sizes["ratio"].fillna(0).map("{:.0%}".format))
    by = ["network", "cut"]
    sizes = sizes.groupby(by, sort=False)[["parameters", "multiply_adds", "bytes"]].first()
    with threadpool_limits(1):
        costs = [
            cost_of(options, kind, ratio) for kind in ("1d", "2d", "3d") for ratio in (0, *RATIOS)
        ]
    report.table(sizes.reset_index().merge(pd.DataFrame(costs), on=by))
    report.text(
        f"Processor time and memory of {TIMED} samples, {TIMED_AT_ONCE} at a time, one thread."
    )
    report.csv(rows)
