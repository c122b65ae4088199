"""A whole scene through networks of patches: in one sweep, patch by patch, in onnxruntime.

Run with `python -m benchmarks patch_scene --data-home FOLDER [--kinds 2d 3d] [--threads 2]
[--repeats 7]`: the nets of Indian Pines, 145 x 145 pixels, patches of 9 x 9 and 40 principal
components, dense and with half of every layer gone. The ways are timed in turn, since the speed of
a shared machine changes from one minute to the next; the smallest of the repetitions counts, of
wall time and of processor time. Patch by patch, each fifth row is run and its time taken five
times. The graph for onnxruntime is the fully convolutional network as one writes it by hand. On a
machine that others use too, set OMP_WAIT_POLICY=PASSIVE: threads that spin while they wait take
the time of those that work.

With `--memory 1000 4000`, ENVI files of so many rows of 1000 pixels are mapped in processes of
their own, and the most by which they grow is told (Linux only).
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from time import perf_counter, process_time

import joblib
import numpy as np
import pandas as pd
import torch
from torch import nn

from sklearn_capoz import PrunedCNNClassifier
from sklearn_capoz.datasets import ScenePixels, fetch_indian_pines, sample_pixels
from sklearn_capoz.deploy import predict_scene
from sklearn_capoz.estimators._cnn_inputs import channels_of_scene
from sklearn_capoz.networks._fully_convolutional import FullyConvolutional
from sklearn_capoz.scenes._patches import run_over
from sklearn_capoz.thresholds import Fraction

PATCH_SIZE = 9
#: Of the rows of patches, every how many are run.
EACH = 5
#: Scene of the memory test.
COLUMNS, BANDS = 1000, 50
HEADER = """ENVI
samples = {columns}
lines = {rows}
bands = {bands}
header offset = 0
file type = ENVI Standard
data type = 12
interleave = bip
byte order = 0
"""
MAP = """
import joblib, numpy as np, torch
from benchmarks._memory import growth
from sklearn_capoz.deploy import predict_scene
torch.set_num_threads({threads})
model = joblib.load("{model}")
first = np.fromfile("{scene}", np.uint16, 16 * {columns} * {bands})
predict_scene(model, first.reshape(16, {columns}, {bands}), scale=1)
print(growth(lambda: predict_scene(model, "{scene}.hdr", scale=1, output="{scene}.tif")))
"""


def by_hand(module: nn.Module) -> nn.Module:
    """Write a network down as a fully convolutional one, with weights of its own."""
    features, head = module.features, module.head
    *layers, pool = features
    size = (pool.kernel_size,) * 2 if isinstance(pool.kernel_size, int) else pool.kernel_size[-2:]
    stride = (1, 1) if isinstance(pool, nn.MaxPool2d) else (pool.kernel_size[0], 1, 1)
    over = type(pool)(pool.kernel_size, stride=stride)
    first, _, last = head
    side = (PATCH_SIZE - 4) // size[0]
    weight = first.weight.detach().reshape(first.out_features, -1, side, side)
    dense = nn.Conv2d(weight.shape[1], first.out_features, side, dilation=size[0])
    dense.weight.data, dense.bias.data = weight, first.bias.detach()
    outputs = nn.Conv2d(first.out_features, last.out_features, 1)
    outputs.weight.data = last.weight.detach()[:, :, None, None]
    outputs.bias.data = last.bias.detach()
    is_3d = isinstance(pool, nn.MaxPool3d)
    before = [nn.Unflatten(1, (1, -1))] if is_3d else []
    after = [nn.Flatten(1, 2)] if is_3d else []
    return nn.Sequential(*before, *layers, over, *after, dense, nn.ReLU(), outputs).eval()


def session(module: nn.Module, example: torch.Tensor, n_threads: int, any_batch: bool):
    """Return onnxruntime's session of a module."""
    import onnxruntime

    content = io.BytesIO()
    axes = {"X": {0: "n"}} if any_batch else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (example,), content, dynamo=False, input_names=["X"], dynamic_axes=axes
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    # Else its threads go on spinning when it is done, and take a core from whose turn is next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        content.getvalue(), options, providers=["CPUExecutionProvider"]
    )


def ways(model: PrunedCNNClassifier, cube: np.ndarray, n_threads: int) -> dict:
    """Return functions that give the labels of all pixels, or of each fifth row."""
    module, half = model.module_, PATCH_SIZE // 2
    image = channels_of_scene(model.bands_, cube, "float32")
    image = np.pad(image, ((half, half), (half, half), (0, 0)), mode="reflect")
    values = torch.from_numpy(image).unsqueeze(0).permute(0, 3, 1, 2)
    plain = values.contiguous()
    windows = plain[0].unfold(1, PATCH_SIZE, 1).unfold(2, PATCH_SIZE, 1).permute(1, 2, 0, 3, 4)
    rows = [windows[i].contiguous() for i in range(0, len(windows), EACH)]
    whole = FullyConvolutional(module, model.n_channels_, PATCH_SIZE)
    of_patches = session(module, rows[0][:2].contiguous(), n_threads, True)
    of_image = session(by_hand(module), plain, n_threads, False)
    shape = cube.shape[:2]

    return {
        "patches, torch": lambda: np.stack([module(p).numpy().argmax(1) for p in rows]),
        "patches, onnxruntime": lambda: np.stack(
            [of_patches.run(None, {"X": p.numpy()})[0].argmax(1) for p in rows]
        ),
        "image, onnxruntime": lambda: of_image.run(None, {"X": plain.numpy()})[0][0].argmax(0)[
            : shape[0], : shape[1]
        ],
        "image, here": lambda: run_over(whole, values, half).argmax(axis=2),
        "predict_scene, bands and all": lambda: predict_scene(model, cube, scale=1).codes - 1,
    }


def measure(model, cube, n_threads: int, n_repeats: int) -> pd.DataFrame:
    """Time each way, smallest of the repetitions, and compare its labels."""
    found, seconds = {}, {}
    choices = ways(model, cube, n_threads)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for repeat in range(n_repeats):
            for name, way in choices.items():
                is_part = name.startswith("patches")
                if is_part and repeat > 2:
                    continue
                start, began = perf_counter(), process_time()
                labels = way()
                spent = np.array([perf_counter() - start, process_time() - began])
                seconds[name] = np.minimum(seconds.get(name, np.inf), spent * EACH**is_part)
                found[name] = labels if is_part else labels[::EACH]
    first = "patches, torch"
    return pd.DataFrame(
        [
            {
                "way": name,
                "wall ms": 1e3 * spent[0],
                "processor ms": 1e3 * spent[1],
                "times faster": seconds[first][0] / spent[0],
                "by processor time": seconds[first][1] / spent[1],
                "same labels": np.mean(found[name] == found[first]),
            }
            for name, spent in seconds.items()
        ]
    )


def train(kind: str, scene, n_iterations: int) -> PrunedCNNClassifier:
    """Train on some pixels; the labels that come out need not be good."""
    X, _, y, _ = sample_pixels(
        scene.cube, scene.ground_truth, train_size=20, patch_size=PATCH_SIZE, random_state=0
    )
    return PrunedCNNClassifier(
        kind, patch_size=PATCH_SIZE, criterion="l1", compensation=None, threshold=Fraction(0.5),
        n_iterations=n_iterations, keep="last", max_iter=3, retrain_max_iter=2, random_state=0,
    ).fit(X, y)  # fmt: skip


def memory(kinds: list[str], sizes: list[int], n_threads: int) -> pd.DataFrame:
    """Peak memory of mapping files of two sizes, each in a process of its own."""
    random, rows = np.random.RandomState(0), []
    for kind in kinds:
        cube = random.randint(1, 10_000, size=(60, COLUMNS, BANDS)).astype(np.uint16)
        positions = random.randint(60, size=(64, 2))
        model = PrunedCNNClassifier(
            kind, patch_size=PATCH_SIZE, n_iterations=0, max_iter=1, criterion="l1"
        )
        model.fit(ScenePixels(cube, positions), np.arange(64) % 16)
        for n_rows in sizes:
            with tempfile.TemporaryDirectory() as folder:
                scene, stored = Path(folder) / "scene.raw", Path(folder) / "model"
                joblib.dump(model, stored)
                with open(scene, "wb") as file:
                    for _ in range(n_rows // 20):
                        file.write(cube[:20].tobytes())
                sizes_of = {"rows": n_rows, "columns": COLUMNS, "bands": BANDS}
                Path(f"{scene}.hdr").write_text(HEADER.format(**sizes_of), encoding="ascii")
                code = MAP.format(scene=scene, model=stored, threads=n_threads, **sizes_of)
                start = perf_counter()
                told = subprocess.run(
                    [sys.executable, "-W", "ignore", "-c", code],
                    check=True, capture_output=True, text=True,
                ).stdout  # fmt: skip
            rows.append(
                {
                    "network": kind,
                    "scene": f"{n_rows} x {COLUMNS} x {BANDS}",
                    "MB more at most": float(told),
                    "seconds": perf_counter() - start,
                }
            )
    return pd.DataFrame(rows)


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", default=["2d", "3d"], choices=["2d", "3d"])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument(
        "--memory", type=int, nargs="+", metavar="ROWS", help="map scenes of so many rows"
    )
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    pd.set_option("display.width", 160, "display.precision", 4)
    if given.memory:
        print(memory(given.kinds, given.memory, given.threads).to_string(index=False))
        return
    scene = fetch_indian_pines(data_home=given.data_home)
    print(f"{given.threads} threads, {scene.cube.shape}")
    for kind in given.kinds:
        for n_iterations, name in ((0, "dense"), (1, "cut by half")):
            model = train(kind, scene, n_iterations)
            print(f"\nCNN{kind.upper()}, {name}")
            print(
                measure(model, scene.cube, given.threads, given.repeats).to_string(index=False),
                flush=True,
            )


if __name__ == "__main__":
    main()
