"""Two versions of the library on the same jobs, in one interleaved run.

Run with `python -m benchmarks against FOLDER`, a checkout of the other version (by
`git worktree add FOLDER REVISION`). Each version runs in a process of its own, which makes its
data and compiles first; then the two take turns, so that what else the machine does hits both
alike. Only public names are used, and every setting is named: defaults differ between versions.
A ratio is the other version's seconds over this one's, above 1 where this one is faster. The last
column compares the processor's time, which a machine that others use at the time hardly changes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[1]
PRUNING = {"criterion": "c-apoz", "keep": "last", "random_state": 0}


def main() -> None:
    """Print a ratio for each job."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="checkout of the other version")
    parser.add_argument("--jobs", nargs="+", choices=sorted(JOBS), default=list(JOBS))
    parser.add_argument("--repeats", type=int, default=15)
    given = parser.parse_args()
    print(f"{'job':<34} {'other ms':>9} {'this ms':>9} {'ratio':>6} {'of minima':>9} {'of CPU':>6}")
    for job in given.jobs:
        other, this = compare(job, given.folder, given.repeats)
        (seconds, cpu), (own_seconds, own_cpu) = zip(*other, strict=True), zip(*this, strict=True)
        ratios = (
            median(seconds) / median(own_seconds),
            min(seconds) / min(own_seconds),
            median(cpu) / median(own_cpu),
        )
        print(
            f"{job:<34} {1e3 * median(seconds):9.2f} {1e3 * median(own_seconds):9.2f} "
            f"{ratios[0]:6.2f} {ratios[1]:9.2f} {ratios[2]:6.2f}",
            flush=True,
        )


Times = list[tuple[float, float]]


def compare(job: str, folder: Path, repeats: int) -> tuple[Times, Times]:
    """Seconds of a job, and of the processor, in the other version and in this one, in turns."""
    workers = [Worker(job, tree) for tree in (folder, ROOT)]
    try:
        times: tuple[Times, Times] = ([], [])
        for turn in range(repeats):
            # Each goes first every other time: the second of two finds the machine warm.
            for which in (0, 1) if turn % 2 else (1, 0):
                times[which].append(workers[which].seconds())
        return times
    finally:
        for worker in workers:
            worker.stop()


class Worker:
    """A process that runs one job of one version whenever it is asked to."""

    def __init__(self, job: str, tree: Path):
        environment = {**os.environ, "PYTHONPATH": str(tree.resolve())}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), job],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=tree,
        )  # fmt: skip

    def seconds(self) -> tuple[float, float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("a version could not run the job; its error is above")
        passed, of_processor = map(float, answer.split())
        return passed, of_processor

    def stop(self) -> None:
        self.process.communicate()


def serve(job: str) -> None:
    """Prepare a job, run it once, then time it for every line that comes in."""
    with TemporaryDirectory() as folder:
        call = JOBS[job](Path(folder))
        call()
        for _ in sys.stdin:
            start, before = time.perf_counter(), time.process_time()
            call()
            print(time.perf_counter() - start, time.process_time() - before, flush=True)


def spectra(n_samples: int, n_bands: int, dtype) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.RandomState(0)
    X = random.uniform(0.2, 0.6, (n_samples, n_bands)).astype(dtype)
    return X, np.argmax(X[:, :7] + random.uniform(0, 0.2, (n_samples, 7)), axis=1)


def fit_job(dtype, batch_size: int, epochs: int = 20, **settings) -> Callable:
    def prepare(folder: Path) -> Callable:
        from sklearn_capoz import PrunedMLPClassifier

        X, y = spectra(700, 50, dtype)
        model = PrunedMLPClassifier(
            (30,), n_iterations=0, max_iter=epochs, n_iter_no_change=epochs,
            batch_size=batch_size, **settings, **PRUNING,
        )  # fmt: skip
        return lambda: model.fit(X, y)

    return prepare


def large_fit(folder: Path) -> Callable:
    from sklearn_capoz import PrunedMLPClassifier

    X, y = spectra(10_000, 200, np.float32)
    model = PrunedMLPClassifier((512, 512), n_iterations=0, max_iter=1, **PRUNING)
    return lambda: model.fit(X, y)


def prune_step(folder: Path) -> Callable:
    """Score, decide and cut; the one epoch of training goes into both alike, as a tenth or so."""
    from sklearn_capoz import PrunedMLPClassifier

    X, y = spectra(5_000, 200, np.float32)
    model = PrunedMLPClassifier(
        (256, 256), n_iterations=20, threshold="count", retrain_max_iter=0, max_iter=1,
        validation_fraction=0.9, **PRUNING,
    )  # fmt: skip
    return lambda: model.fit(X, y)


def search(folder: Path) -> Callable:
    from sklearn_capoz import CAPoZPrunerCV, PrunedMLPClassifier

    X, y = spectra(700, 50, np.float64)
    model = PrunedMLPClassifier((30,), max_iter=30, retrain_max_iter=20, **PRUNING)
    search = CAPoZPrunerCV(
        model, criteria=["c-apoz", "taylor"], thresholds=["mean+std", "count"], max_iterations=5,
        cv=3, keep="best",
    )  # fmt: skip
    return lambda: search.fit(X, y)


def fitted(n_features: int, widths: tuple[int, ...], dtype):
    from sklearn_capoz import PrunedMLPClassifier

    X, y = spectra(700, n_features, dtype)
    return PrunedMLPClassifier(widths, n_iterations=0, max_iter=5, **PRUNING).fit(X, y)


def predict_job(method: str, n_rows: int, widths=(30,), calls: int = 1) -> Callable:
    def prepare(folder: Path) -> Callable:
        model = fitted(50, widths, np.float32)
        X = spectra(n_rows, 50, np.float32)[0]

        def call() -> None:
            for _ in range(calls):
                getattr(model, method)(X)

        return call

    return prepare


def scene_job(interleave: str | None) -> Callable:
    def prepare(folder: Path) -> Callable:
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        from sklearn_capoz import PrunedMLPClassifier, SpectralAbsorptionIndex
        from sklearn_capoz.datasets import CUPRITE_WAVELENGTHS, make_mineral_spectra
        from sklearn_capoz.deploy import predict_scene

        X, y = make_mineral_spectra(700, random_state=0)
        model = make_pipeline(
            SpectralAbsorptionIndex(CUPRITE_WAVELENGTHS), StandardScaler(),
            PrunedMLPClassifier((30,), n_iterations=0, max_iter=5, **PRUNING),
        ).fit(X, y)  # fmt: skip
        cube = np.tile(X, (400, 1)).astype(np.float32).reshape(400, 700, -1)
        if interleave is None:
            return lambda: predict_scene(model, cube, wavelengths=CUPRITE_WAVELENGTHS)
        import spectral

        path = folder / f"{interleave}.hdr"
        about = {"wavelength": list(CUPRITE_WAVELENGTHS), "wavelength units": "nm"}
        spectral.envi.save_image(str(path), cube, interleave=interleave, metadata=about)
        return lambda: predict_scene(model, path)

    return prepare


def spectral_job(name: str, n_bands: int, **settings) -> Callable:
    def prepare(folder: Path) -> Callable:
        import sklearn_capoz.spectral

        wavelengths = np.linspace(1990, 2480, n_bands)
        X = spectra(100_000, n_bands, np.float32)[0]
        transformer = getattr(sklearn_capoz.spectral, name)(wavelengths, **settings).fit(X[:10])
        return lambda: transformer.transform(X)

    return prepare


JOBS: dict[str, Callable[[Path], Callable]] = {
    "prune_step 200-256-256-7": prune_step,
    "fit_speed 50-30-7 batch 32 f32": fit_job(np.float32, 32),
    "fit_speed 50-30-7 batch 32 f64": fit_job(np.float64, 32),
    "fit_speed 50-30-7 batch 200 f32": fit_job(np.float32, 200),
    "fit_speed 50-30-7 whole f64": fit_job(np.float64, 560, 50),
    "fit_speed 16 side by side f32": fit_job(np.float32, 32, n_restarts=16),
    "fit_speed 200-512-512-7": large_fit,
    "search_speed": search,
    "predict_speed labels 500k": predict_job("predict", 500_000),
    "predict_speed proba 500k": predict_job("predict_proba", 500_000),
    "predict_speed 512-512 20k": predict_job("predict", 20_000, (512, 512)),
    "predict_speed one row x 1000": predict_job("predict", 1, calls=1000),
    "scene_speed array": scene_job(None),
    "scene_speed bip": scene_job("bip"),
    "scene_speed bsq": scene_job("bsq"),
    "spectral_speed hull 224": spectral_job("ContinuumRemoval", 224),
    "spectral_speed index 50": spectral_job("SpectralAbsorptionIndex", 50),
    "spectral_speed features 50": spectral_job("AbsorptionFeatures", 50),
}

if __name__ == "__main__":
    serve(sys.argv[1])
