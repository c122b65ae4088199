"""Speed of prediction, against MLPClassifier and onnxruntime, with the same weights.

Run with `python -m benchmarks.predict_speed`. All times are medians of repeats in turn, within
one process, through the public `predict`, input checks included; onnxruntime has none. Every
peer may use two threads. The labels of all peers are compared first.

The machine's limit is the greater of two times: what it takes to move X and the output, and what
the multiply-adds and exponentials take, at the rates that the same run finds. A network is padded
to whole vectors of units, and may wait for both in turn; the table of one thread says where the
time goes.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks._machine import Machine
from sklearn_capoz import PrunedMLPClassifier, SpectralAbsorptionIndex
from sklearn_capoz.datasets import CUPRITE_WAVELENGTHS, make_mineral_spectra
from sklearn_capoz.deploy import CompiledClassifier, compile_pipeline, to_onnx
from sklearn_capoz.estimators._convert import as_dense_network

N_THREADS = 2

#: Least share of the machine's limit that we ask for, and ratios of 50-30-7 to MLPClassifier.
OF_LIMIT, PREDICT, PROBABILITIES = 0.5, 7.0, 5.0

#: Widths -> rows, and the least ratio to MLPClassifier and to onnxruntime that we ask for.
JOBS: dict[tuple[int, ...], tuple[int, float | None, float | None]] = {
    (50, 30, 7): (2_000_000, PREDICT, 0.75),
    (50, 9, 7): (2_000_000, None, None),
    (200, 512, 512, 16): (40_000, None, 1.0),
}


def fitted_mlp(widths: tuple[int, ...], dtype=np.float32) -> MLPClassifier:
    """Return an MLPClassifier after one epoch: the time does not depend on what it learnt."""
    random = np.random.RandomState(0)
    X = random.standard_normal((20 * widths[-1], widths[0])).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mlp = MLPClassifier(widths[1:-1], max_iter=1, random_state=0)
        return mlp.fit(X, np.arange(len(X)) % widths[-1])


def compiled(mlp: MLPClassifier) -> CompiledClassifier:
    return CompiledClassifier(as_dense_network(mlp), mlp.classes_)


def onnx_session(mlp: MLPClassifier) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = N_THREADS
    # Else its threads go on spinning when it is done, and take a core from whose turn is next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mlp.onnx"
        to_onnx(mlp, path)
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def seconds(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Return the median time of every call; they take turns, after one round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in times.items()}


def n_multiply_adds(widths: tuple[int, ...]) -> int:
    """Multiply-adds for one row."""
    return sum(a * b for a, b in pairwise(widths))


def verdict(ratio: float, target: float | None) -> str:
    if target is None:
        return f"{ratio:.2f}"
    return f"{ratio:.2f} (>= {target:g}: {'yes' if ratio >= target else 'NO'})"


def many_rows() -> None:
    print(f"{'network':>16} {'rows':>9} | ms: MLPClassifier onnxruntime ours | ratios", flush=True)
    machine = Machine(N_THREADS)
    for widths, (n_rows, over_mlp, over_onnx) in JOBS.items():
        mlp = fitted_mlp(widths)
        model, session = compiled(mlp), onnx_session(mlp)
        X = np.random.RandomState(1).standard_normal((n_rows, widths[0])).astype(np.float32)
        expected = mlp.predict(X)
        assert (model.predict(X) == expected).all()
        differing = int((session.run(["label"], {"X": X})[0] != expected).sum())
        found = seconds(
            {
                "mlp": lambda mlp=mlp, X=X: mlp.predict(X),
                "onnx": lambda session=session, X=X: session.run(["label"], {"X": X}),
                "ours": lambda model=model, X=X: model.predict(X),
                **machine.jobs,
            },
            repeats=9,
        )
        n_bytes, n_added = X.nbytes + expected.nbytes, n_rows * n_multiply_adds(widths)
        share = machine.least_seconds(found, n_bytes, n_added) / found["ours"]
        of_limit = verdict(share, over_mlp and OF_LIMIT)
        to_mlp, to_onnx = (
            verdict(found[peer] / found["ours"], target)
            for peer, target in (("mlp", over_mlp), ("onnx", over_onnx))
        )
        name = "-".join(map(str, widths))
        times = " ".join(f"{1e3 * found[peer]:9.1f}" for peer in ("mlp", "onnx", "ours"))
        print(
            f"{name:>16} {n_rows:>9} | {times} | {to_mlp} x MLPClassifier, {to_onnx} x "
            f"onnxruntime, {of_limit} of the limit; onnxruntime differs in {differing} labels",
            flush=True,
        )
    print(machine.describe(found))


def pruned_against_dense() -> None:
    X = np.random.RandomState(1).standard_normal((2_000_000, 50)).astype(np.float32)
    dense, pruned = (compiled(fitted_mlp(widths)) for widths in ((50, 30, 7), (50, 9, 7)))
    found = seconds({"30": lambda: dense.predict(X), "9": lambda: pruned.predict(X)}, repeats=21)
    print(f"9 of 30 units against all 30: {verdict(found['30'] / found['9'], 1.3)} x")


def other_inputs() -> None:
    """Probabilities, float64, a column order that BLAS likes and we copy, and a scaler."""
    print("\nours against MLPClassifier, 50-30-7, 500,000 rows")
    targets = {"predict": PREDICT, "predict_proba": PROBABILITIES}
    for dtype in (np.float32, np.float64):
        machine = Machine(N_THREADS, dtype)
        mlp = fitted_mlp((50, 30, 7), dtype)
        model = compiled(mlp)
        X = np.random.RandomState(1).standard_normal((500_000, 50)).astype(dtype)
        scaler = StandardScaler().fit(X[:1000])
        pipeline = Pipeline([("scaler", scaler), ("mlp", mlp)])
        folded, columns = compile_pipeline(pipeline), np.asfortranarray(X)
        pairs = {
            "predict": (lambda m=mlp, X=X: m.predict(X), lambda m=model, X=X: m.predict(X)),
            "predict_proba": (
                lambda m=mlp, X=X: m.predict_proba(X),
                lambda m=model, X=X: m.predict_proba(X),
            ),
            "predict, Fortran order": (
                lambda m=mlp, X=columns: m.predict(X),
                lambda m=model, X=columns: m.predict(X),
            ),
            "predict, scaler folded": (
                lambda m=pipeline, X=X: m.predict(X),
                lambda m=folded, X=X: m.predict(X),
            ),
        }
        assert (folded.predict(X) == pipeline.predict(X)).mean() > 0.99999
        n_added = len(X) * n_multiply_adds((50, 30, 7))
        for name, (theirs, ours) in pairs.items():
            found = seconds({"theirs": theirs, "ours": ours, **machine.jobs}, repeats=9)
            ratio = verdict(found["theirs"] / found["ours"], targets.get(name))
            n_bytes, n_exp = X.nbytes + ours().nbytes, 7 * len(X) if "proba" in name else 0
            share = machine.least_seconds(found, n_bytes, n_added, n_exp) / found["ours"]
            of_limit = verdict(share, OF_LIMIT if name in targets else None)
            job = f"{np.dtype(dtype).name:>8} {name:24}"
            print(f"{job} {ratio} x MLPClassifier, {of_limit} of the limit", flush=True)
        print(machine.describe(found))


def where_the_time_goes(n_rows: int = 500_000) -> None:
    """One thread, in ns per row: the loops alone in the cache, and all of it."""
    from sklearn_capoz.networks._predictor_kernels import argmax, forward, logits_for, softmax

    mlp, machine = fitted_mlp((50, 30, 7)), Machine()
    model = compiled(mlp)
    X = np.random.RandomState(1).standard_normal((n_rows, 50)).astype(np.float32)
    few, packed = X[:5000], model._predictor._pack()
    logits, codes = logits_for(len(few), 7, X.dtype), np.empty(len(few), np.intp)
    turned, probabilities = logits.copy(), np.empty((len(few), 7), np.float32)

    def exponentials() -> None:
        np.copyto(turned, logits)
        softmax(turned, probabilities)

    with threadpool_limits(1):
        found = seconds(
            {
                "forward pass in the cache": lambda: forward(few, *packed, logits),
                "argmax": lambda: argmax(logits, codes),
                "softmax": exponentials,
                "predict": lambda: model.predict(X),
                "predict_proba": lambda: model.predict_proba(X),
                **machine.jobs,
            },
            repeats=25,
        )
    n_added, n_bytes = n_multiply_adds((50, 30, 7)), 50 * 4
    padded = 50 * 32 + 30 * 16
    limits = {
        "limit: moving a row of X": machine.least_seconds(found, n_bytes),
        "limit: multiply-adds": machine.least_seconds(found, 0, n_added),
        f"limit: padded to {padded} of {n_added} multiply-adds": machine.least_seconds(
            found, 0, padded
        ),
        "limit: exponentials": machine.least_seconds(found, 0, 0, 7),
    }
    print("\none thread, 50-30-7, float32, ns per row")
    for name, time_of_one in limits.items():
        print(f"  {name:52} {1e9 * time_of_one:6.2f}")
    for name in ("forward pass in the cache", "argmax", "softmax"):
        print(f"  {name:52} {1e9 * found[name] / len(few):6.2f}")
    for name in ("predict", "predict_proba"):
        print(f"  {name + ', all of it':52} {1e9 * found[name] / n_rows:6.2f}")


def one_row(n_calls: int = 2000) -> None:
    mlp = fitted_mlp((50, 30, 7))
    model, X = compiled(mlp), np.zeros((1, 50), np.float32)

    def often(predict: Callable) -> Callable[[], None]:
        def call() -> None:
            for _ in range(n_calls):
                predict(X)

        return call

    found = seconds({"mlp": often(mlp.predict), "ours": often(model.predict)}, repeats=7)
    mine, theirs = (1e6 * found[peer] / n_calls for peer in ("ours", "mlp"))
    within = "yes" if mine <= 0.65 * theirs else "NO"
    print(
        f"\none row: {mine:.0f} us, MLPClassifier {theirs:.0f} us, ratio {mine / theirs:.2f} "
        f"(<= 0.65: {within})"
    )


def one_spectrum(n_calls: int = 500) -> None:
    """From the reflectance of one spectrum to its label, features included."""
    X, y = make_mineral_spectra(700, random_state=0)
    settings: dict[str, Any] = {"max_iter": 5, "random_state": 0}
    pruned = PrunedMLPClassifier((30,), n_iterations=0, **settings)
    pipelines = {
        "mlp": make_pipeline(StandardScaler(), MLPClassifier((30,), **settings)),
        "ours": make_pipeline(
            SpectralAbsorptionIndex(CUPRITE_WAVELENGTHS), StandardScaler(), pruned
        ),
    }
    calls: dict[str, Callable[[], Any]] = {}
    for name, pipeline in pipelines.items():
        pipeline.fit(X, y)
        calls[name] = lambda p=pipeline: [p.predict(X[:1]) for _ in range(n_calls)]  # type: ignore[misc]
    found = seconds(calls, repeats=9)
    mine, theirs = (1e6 * found[peer] / n_calls for peer in ("ours", "mlp"))
    within = "yes" if mine <= theirs else "NO"
    print(
        f"one spectrum, index, scaler and network: {mine:.0f} us, StandardScaler and "
        f"MLPClassifier {theirs:.0f} us, ratio {mine / theirs:.2f} (<= 1: {within})"
    )


def peak_memory(n_rows: int = 10_000_000) -> None:
    """Resident memory above X and the output; Linux only."""
    if not Path("/proc/self/clear_refs").exists():
        return
    model = compiled(fitted_mlp((50, 30, 7)))
    X = np.empty((n_rows, 50), np.float32)
    for start in range(0, n_rows, 1_000_000):
        X[start : start + 1_000_000] = np.random.RandomState(0).standard_normal(50)
    model.predict(X[:100_000])
    for method in (model.predict, model.predict_proba):
        Path("/proc/self/clear_refs").write_text("5")  # sets the peak to the present
        before = _status("VmRSS")
        output = method(X)
        extra = (_status("VmHWM") - before - output.nbytes) / 1e6
        print(
            f"{method.__name__} of {n_rows} rows: {extra:.1f} MB beside the output "
            f"(<= 16: {'yes' if extra <= 16 else 'NO'})"
        )
        del output


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise LookupError(key)


def main() -> None:
    """Print all tables."""
    print(f"{os.cpu_count()} cores, onnxruntime {onnxruntime.__version__}")
    many_rows()
    pruned_against_dense()
    other_inputs()
    where_the_time_goes()
    one_row()
    one_spectrum()
    peak_memory()


if __name__ == "__main__":
    main()
