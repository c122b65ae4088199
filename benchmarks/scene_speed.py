"""From disk to map: pixels per second, memory, a cluster beside threads, and growth with size.

Run with ``python -m benchmarks.scene_speed``: two free cores, 3 GB of disk, about five minutes.

The peer reads the file with ``spectral`` and calls the Pipeline, which computes the same features
on one thread. The machine's limit is what it takes to copy the file out of the page cache.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import spectral
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._machine import Machine
from benchmarks._memory import in_process
from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.datasets import CUPRITE_MINERALS, load_usgs_minerals, make_mineral_scene
from sklearn_capoz.deploy import predict_scene
from sklearn_capoz.spectral import AbsorptionFeatures

N_BANDS, N_COLUMNS = 224, 1000
#: The embedded laboratory spectra begin at 1300 nm, and so does this scene.
WAVELENGTHS = np.linspace(1310.0, 2490.0, N_BANDS)
#: Four features, of which AbsorptionFeatures measures seven parameters each.
FEATURES = {
    "oh_1410": (1350, 1450),
    "al_oh_2200": (2120, 2280),
    "co3_2340": (2220, 2400),
    "water_1910": (1850, 2100),
}
#: Data segment of the process that maps a file larger than that.
LIMIT_MB = 800
#: Resident memory of `map`, libraries included.
MAP_MB = 500
REPEATS = 5
#: Least ratio to reading with spectral and calling the Pipeline.
OVER_PEER = 3.0


def write_scene(folder: Path, n_rows: int, interleave: str) -> Path:
    """Write an ENVI file of float32 reflectance, a tile at a time."""
    path = folder / f"{n_rows}_{interleave}.hdr"
    shape = {
        "bip": (n_rows, N_COLUMNS, N_BANDS),
        "bil": (n_rows, N_BANDS, N_COLUMNS),
        "bsq": (N_BANDS, n_rows, N_COLUMNS),
    }[interleave]
    stored = np.memmap(path.with_suffix(".img"), "<f4", "w+", shape=shape)
    cube = stored.transpose({"bip": (0, 1, 2), "bil": (0, 2, 1), "bsq": (1, 2, 0)}[interleave])
    for start in range(0, n_rows, len(tile())):
        cube[start : start + len(tile())] = tile()[: n_rows - start]
    stored.flush()
    wavelengths = ", ".join(f"{w:.4f}" for w in WAVELENGTHS)
    path.write_text(
        f"ENVI\nlines = {n_rows}\nsamples = {N_COLUMNS}\nbands = {N_BANDS}\ndata type = 4\n"
        f"interleave = {interleave}\nbyte order = 0\nheader offset = 0\n"
        f"wavelength units = Nanometers\nwavelength = {{{wavelengths}}}\n"
    )
    return path


_TILES: list[np.ndarray] = []


def tile() -> np.ndarray:
    """Fifty rows of a made scene, which are repeated: the clock does not mind."""
    if not _TILES:
        scene = make_mineral_scene((50, N_COLUMNS), wavelengths=WAVELENGTHS, random_state=0)
        _TILES.append(scene.cube)
    return _TILES[0]


def fit_model():
    """Fit a pruned network on 28 absorption features."""
    scene = make_mineral_scene((60, 60), wavelengths=WAVELENGTHS, random_state=1)
    pipeline = make_pipeline(
        AbsorptionFeatures(WAVELENGTHS, features=FEATURES),
        StandardScaler(),
        PrunedMLPClassifier((30,), max_iter=60, retrain_max_iter=20, keep="last", random_state=0),
    )
    return pipeline.fit(scene.cube.reshape(-1, N_BANDS), scene.target_names[scene.labels.ravel()])


def interleaved(jobs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each job; the repeats take turns, so that a busy machine hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(REPEATS):
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def print_table(title: str, header: tuple, rows: list[tuple]) -> None:
    """Print columns as wide as their widest entry."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    print(f"\n{title}")
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


def speed(folder: Path, model) -> None:
    """Time threads, interleaves and the naive way on 1000 x 1000 x 224 pixels."""
    scenes = {i: write_scene(folder, 1000, i) for i in ("bip", "bil", "bsq")}
    output, codes = folder / "map.tif", folder / "codes.img"

    def write_codes(X):
        found = np.unique(model.predict(X), return_inverse=True)[1]
        found.astype(np.uint8).tofile(codes)

    def naive():
        write_codes(np.fromfile(scenes["bip"].with_suffix(".img"), "<f4").reshape(-1, N_BANDS))

    def peer():
        cube = spectral.envi.open(scenes["bip"]).load()
        write_codes(np.asarray(cube).reshape(-1, N_BANDS))

    machine = Machine(2)
    features = clone(model[0]).set_params(n_jobs=2).fit(tile()[0])
    in_memory = np.fromfile(scenes["bip"].with_suffix(".img"), "<f4").reshape(-1, N_BANDS)
    jobs: dict[str, Callable[[], object]] = {
        "2 threads, bip": lambda: predict_scene(model, scenes["bip"], output=output, n_jobs=2),
        "2 threads, bil": lambda: predict_scene(model, scenes["bil"], output=output, n_jobs=2),
        "2 threads, bsq": lambda: predict_scene(model, scenes["bsq"], output=output, n_jobs=2),
        "1 thread, bip": lambda: predict_scene(model, scenes["bip"], output=output),
        "2 threads, with probabilities": lambda: predict_scene(
            model, scenes["bip"], output=output, n_jobs=2, proba=True
        ),
        "whole file in memory, pipeline.predict": naive,
        "spectral reads, pipeline.predict": peer,
        "features alone, in memory, 2 threads": lambda: features.transform(in_memory),
    }
    jobs["2 threads, bip"]()  # compiles
    found = interleaved(jobs | machine.jobs)
    seconds = {name: found[name] for name in jobs}
    rows = [(name, f"{s:.2f}", f"{1e3 / s:.0f} k") for name, s in seconds.items()]
    print_table(
        "1000 x 1000 pixels, 224 bands float32, 28 features, pruned network; target 350 k pixels/s",
        ("how", "s", "pixels/s"),
        rows,
    )
    ours = seconds["2 threads, bip"]
    ratio = seconds["spectral reads, pipeline.predict"] / ours
    reached = "yes" if ratio >= OVER_PEER else "NO"
    print(f"{ratio:.2f} x spectral and the Pipeline (>= {OVER_PEER:g}: {reached})")
    limit = machine.least_seconds(found, 2 * in_memory.nbytes)
    of_features = seconds["features alone, in memory, 2 threads"] / ours
    print(f"{limit / ours:.2f} of the limit; the features alone take {of_features:.2f} of the time")
    print(machine.describe(found))


def growth(folder: Path, model) -> None:
    """Time scenes of growing size: cost per pixel should stay."""
    scenes = {n: write_scene(folder, n, "bip") for n in (250, 500, 1000, 2000)}
    output = folder / "map.tif"
    jobs = {
        str(n): lambda scene=scene: predict_scene(model, scene, output=output, n_jobs=2)
        for n, scene in scenes.items()
    }
    seconds = interleaved(jobs)
    print_table(
        "2 threads, rows of 1000 pixels; cost should be linear",
        ("rows", "s", "us/pixel"),
        [(n, f"{s:.2f}", f"{s / int(n) * 1e3:.2f}") for n, s in seconds.items()],
    )


def cluster(folder: Path, model) -> None:
    """Compare two dask workers with two threads."""
    from distributed import Client, LocalCluster

    scene, output = folder / "1000_bip.hdr", folder / "map.tif"
    here = "127.0.0.1:0"
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=here,
                     worker_dashboard_address=here) as local,
        Client(local) as client,
    ):  # fmt: skip
        jobs: dict[str, Callable[[], object]] = {
            "2 threads": lambda: predict_scene(model, scene, output=output, n_jobs=2),
            "2 dask workers": lambda: predict_scene(model, scene, output=output, client=client),
        }
        for job in jobs.values():  # both sides import and load compiled code before the clock runs
            job()
        seconds = interleaved(jobs)
    ratio = seconds["2 dask workers"] / seconds["2 threads"]
    print_table(
        "1000 x 1000 pixels on a cluster, started and warm as the threads are; target at most "
        "1.2 times the threads' time",
        ("how", "s", "ratio"),
        [("2 threads", f"{seconds['2 threads']:.2f}", "1"),
         ("2 dask workers", f"{seconds['2 dask workers']:.2f}", f"{ratio:.2f}")],
    )  # fmt: skip


def memory(folder: Path, model) -> None:
    """Map files in a process that may not hold them; the page cache is not the process's."""
    joblib.dump(model, folder / "model.joblib")
    rows: list[tuple] = []
    for n_rows in (250, 1000, 2000):
        scene = write_scene(folder, n_rows, "bip")
        command = [sys.executable, "-m", "benchmarks.scene_speed", str(scene)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            raise RuntimeError(run.stderr)
        found = json.loads(run.stdout)
        size = scene.with_suffix(".img").stat().st_size / 1e6
        rows.append((n_rows, f"{size:.0f}", f"{found['before']:.0f}", f"{found['peak']:.0f}"))
    print_table(
        f"MB of its own memory, libraries left out, data segment limited to {LIMIT_MB} MB; target "
        "peak 300 MB for any size",
        ("rows", "file", "after imports", "peak"),
        rows,
    )


def commands(folder: Path) -> None:
    """Peak memory of `map` with a model of `train`, as the system counts it, libraries included."""
    library, model = folder / "library.csv", folder / "trained.capoz"
    write_library(library)
    names = ("train", library, "--label", "mineral", "--output", model)
    in_process("benchmarks.scene_speed", "print_peak", *names)
    rows: list[tuple] = []
    for options in ((), ("--trust",)):
        for n_rows in (250, 2000):
            scene = write_scene(folder, n_rows, "bip")
            peaks = [
                in_process(
                    "benchmarks.scene_speed", "print_peak",
                    *("map", scene, "--model", model, "--output", folder / "trained.tif"),
                    *("--jobs", n_jobs), *options,
                )
                for n_jobs in (1, 2)
            ]  # fmt: skip
            rows.append((n_rows, " ".join(options), *(f"{most:.0f}" for most in peaks)))
    print_table(
        "MB of resident memory of `map`, libraries included, with a model of `train`; "
        f"target {MAP_MB} for any size",
        ("rows", "options", "1 thread", "2 threads"),
        rows,
    )


def write_library(path: Path) -> None:
    """Write seven embedded minerals as `train` reads them, where no record has a gap."""
    spectra = load_usgs_minerals()
    names = spectra.target_names[spectra.target]
    rows, bands = np.isin(names, CUPRITE_MINERALS), spectra.wavelengths > 1490
    columns = [f"{nm:.2f}" for nm in spectra.wavelengths[bands]]
    table = pd.DataFrame(spectra.data[np.ix_(rows, bands)], columns=columns)
    table.insert(0, "mineral", names[rows])
    table.to_csv(path, index=False)


def print_peak(*arguments: str) -> None:
    """Run a command in this process, and print its peak of resident memory in MB."""
    from sklearn_capoz.__main__ import main

    with redirect_stdout(sys.stderr):
        if main(list(arguments)):
            raise RuntimeError("the command failed")
    print(process_mb("VmHWM"))


def map_within_limit(scene: Path) -> None:
    """Map a scene in this process, with limited memory, and print how much it took."""
    import resource

    limit = LIMIT_MB * 10**6
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    model = joblib.load(scene.with_name("model.joblib"))
    before, most, done = process_mb("RssAnon"), 0.0, threading.Event()

    def watch():
        nonlocal most
        while not done.wait(0.002):
            most = max(most, process_mb("RssAnon"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    predict_scene(model, scene, output=scene.with_name("limited.tif"), n_jobs=2)
    done.set()
    watcher.join()
    print(json.dumps({"before": before, "peak": most}))


def process_mb(kind: str) -> float:
    """Memory of this process in MB: "VmHWM" is the peak of what is resident.

    "RssAnon" leaves out files, which the kernel may drop at any time.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("this needs /proc of Linux")


def main() -> None:
    """Print all tables."""
    model = fit_model()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for question in (speed, cluster, growth, memory):
            question(folder, model)
        commands(folder)


if __name__ == "__main__":
    map_within_limit(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
