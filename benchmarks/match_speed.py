"""Pixels per second of matching, beside the matrix product that it cannot do without.

Run with `python -m benchmarks.match_speed --data-home FOLDER [--jobs 2] [--rows 50000]`: 563 USGS
records in 50 bands, float32, and a network of nine units that names the same classes, alone and
with the hull quotients that it is trained on. All are timed in turn, since the speed of a shared
machine changes from one minute to the next; the smallest of the repetitions counts. Pixels per
second of the processor's time say what a machine that does nothing else would reach on one core.
"""

from __future__ import annotations

import argparse
from time import perf_counter, process_time

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.datasets import fetch_usgs_splib
from sklearn_capoz.deploy import compile_pipeline
from sklearn_capoz.spectral import ContinuumRemoval, SpectralMatcher, SpectrumStandardizer

#: Rows of one product: its result stays in the second-level cache.
ROWS = 256
N_REPEATS = 15

#: One row in so many is matched by features, which takes long.
FEWER = 20


def ways_of(data_home, n_rows: int, n_jobs: int) -> dict:
    """Return what is timed: a call, and how many pixels it names."""
    library = fetch_usgs_splib(data_home=data_home)
    bands = library.cuprite_bands
    records = library.data[:, bands].astype(np.float32)
    names = library.target_names[library.target]
    nm = library.wavelengths[bands]
    rng = np.random.RandomState(0)
    X = records[rng.randint(len(records), size=n_rows)] * rng.uniform(0.5, 1, (n_rows, 1))
    X = (X * (1 + 0.01 * rng.standard_normal(X.shape))).astype(np.float32)
    out = np.empty((len(records), ROWS), dtype=np.float32)

    def product():
        for start in range(0, n_rows - ROWS + 1, ROWS):
            np.matmul(records, X[start : start + ROWS].T, out=out)

    ways: dict = {"product alone, 1 thread": (product, n_rows)}
    for label, settings in (
        ("reflectance", {"continuum": None}),
        ("hull quotients", {}),
        ("features", {"metric": "features"}),
    ):
        matcher = SpectralMatcher(wavelengths=nm, n_jobs=n_jobs, **settings).fit(records, names)
        part = X[: n_rows // FEWER] if label == "features" else X
        ways[f"matching: {label}"] = (lambda m=matcher, part=part: m.predict(part), len(part))
    # What it has learnt does not matter to its speed.
    steps = [StandardScaler(), PrunedMLPClassifier((9,), n_iterations=0, max_iter=1)]
    hull = [ContinuumRemoval(nm.tolist()), SpectrumStandardizer()]
    for label, before in (("alone", []), ("with its hull quotients", hull)):
        pipeline = make_pipeline(*before, *steps).fit(records, names)
        network = compile_pipeline(pipeline)
        ways[f"9 units {label}"] = (lambda network=network: network.predict(X), n_rows)
    return ways


def measure(data_home, n_rows: int, n_jobs: int) -> dict[str, tuple[float, float]]:
    """Return pixels per second of each way, of a clock and of the processor's time."""
    ways = ways_of(data_home, n_rows, n_jobs)
    best = dict.fromkeys(ways, (np.inf, np.inf))
    with threadpool_limits(1, "blas"):  # the threads are the matcher's
        for call, _ in ways.values():
            call()
        for _ in range(N_REPEATS):
            for label, (call, _) in ways.items():
                start = perf_counter(), process_time()
                call()
                took = perf_counter() - start[0], process_time() - start[1]
                best[label] = min(best[label][0], took[0]), min(best[label][1], took[1])
    return {label: (ways[label][1] / wall, ways[label][1] / cpu)
            for label, (wall, cpu) in best.items()}  # fmt: skip


def main() -> None:
    """Print pixels per second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", required=True, help="folder of the data sets")
    parser.add_argument("--jobs", type=int, default=1, help="threads of the matcher")
    parser.add_argument("--rows", type=int, default=50_000, help="pixels")
    arguments = parser.parse_args()
    print(f"{'million pixels':32}{'per s':>8}{'per s of the processor':>26}")
    for label, (wall, cpu) in measure(arguments.data_home, arguments.rows, arguments.jobs).items():
        print(f"{label:32}{wall / 1e6:8.2f}{cpu / 1e6:26.2f}")


if __name__ == "__main__":
    main()
