"""Pixels per second of matching, beside the matrix product that it cannot do without.

Run with `python -m benchmarks.match_speed --data-home FOLDER [--jobs 2] [--rows 50000]`: 563 USGS
records in 50 bands, float32. The two are timed in turn, since the speed of a shared machine changes
from one minute to the next; the smallest of the repetitions counts.
"""

from __future__ import annotations

import argparse
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits

from sklearn_capoz.datasets import fetch_usgs_splib
from sklearn_capoz.spectral import SpectralMatcher

#: Rows of one product: its result stays in the second-level cache.
ROWS = 256
N_REPEATS = 15


def measure(data_home, n_rows: int, n_jobs: int) -> dict[str, float]:
    """Return seconds for each way, BLAS on one thread throughout."""
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

    ways = {"product alone, 1 thread": product}
    for label, settings in (
        ("reflectance", {"continuum": None}),
        ("hull quotients", {}),
        ("features", {"metric": "features"}),
    ):
        matcher = SpectralMatcher(wavelengths=nm, n_jobs=n_jobs, **settings).fit(records, names)
        part = X[: n_rows // 20] if label == "features" else X
        ways[label] = lambda matcher=matcher, part=part: matcher.predict(part)
    seconds = dict.fromkeys(ways, np.inf)
    with threadpool_limits(1, "blas"):
        for way in ways.values():
            way()
        for _ in range(N_REPEATS):
            for label, way in ways.items():
                start = perf_counter()
                way()
                seconds[label] = min(seconds[label], perf_counter() - start)
    seconds["features"] *= 20
    return seconds


def main() -> None:
    """Print pixels per second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", required=True, help="folder of the data sets")
    parser.add_argument("--jobs", type=int, default=1, help="threads of the matcher")
    parser.add_argument("--rows", type=int, default=50_000, help="pixels")
    arguments = parser.parse_args()
    for label, seconds in measure(arguments.data_home, arguments.rows, arguments.jobs).items():
        print(f"{label:26}{arguments.rows / seconds / 1e6:8.3f} M pixels/s")


if __name__ == "__main__":
    main()
