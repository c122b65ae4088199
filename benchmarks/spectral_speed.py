"""Spectra per second, by compiled kernel and public ``transform``, beside the peers.

Run with ``python -m benchmarks.spectral_speed``. Spectra are smooth, with slopes, absorptions and
1 % noise. "kernel" is the compiled loop alone; "transform" is what a user calls, with validation.
Every figure is the median of repeats in turn, so that a busy moment hits all alike. The peers
compute the hull quotient only, and in float64; hylite ignores the wavelengths.

The machine's limit is what it takes to move the spectra and the results, at the copy rate of the
same run; "of it" is the share that the transform reaches. "cached" is the kernel on spectra that
stay in the cache: where it is no faster than the kernel, arithmetic holds the rest and not
memory. That of the hull is comparisons, each of which waits for those before it.

Two threads are compared on whole transforms, and on two jobs without any of our code that say what
the machine gives. Where the same work takes more core time on two threads than on one, the cores
are not two whole ones: hyperthreads, guests of a shared host, or one path to memory.
"""

import platform
from importlib.metadata import version
from os import cpu_count
from time import perf_counter, process_time

import numpy as np
from sklearn.base import clone

from benchmarks._machine import Machine
from benchmarks.spectral_exactness import random_spectra
from sklearn_capoz._compile import kernel
from sklearn_capoz.spectral import (
    AbsorptionFeature,
    AbsorptionFeatures,
    ContinuumRemoval,
    SpectralAbsorptionIndex,
    _base,
    _kernels,
    _local_index,
)
from sklearn_capoz.spectral._base import run_blocks

REPEATS = 9
GRIDS = {50: (1990, 2480), 224: (380, 2510), 2151: (350, 2500)}
ROWS = {50: 100_000, 224: 25_000, 2151: 2_500}
HULL_TARGETS = {50: 2.0e6, 224: 500e3, 2151: 70e3}
PEER_ROWS = {50: 1_000, 224: 500, 2151: 50}
#: Bytes of spectra that stay in the second-level cache, with their results.
CACHED_BYTES = 200_000


MACHINE = Machine()


def rates(jobs, repeats=REPEATS):
    """Spectra per second of every job, a dict name -> (function, number of spectra)."""
    for function, _ in jobs.values():
        function()  # compiles
    seconds = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, (function, _) in jobs.items():
            start = perf_counter()
            function()
            seconds[name].append(perf_counter() - start)
    return {name: n / np.median(seconds[name]) for name, (_, n) in jobs.items()}


def share_of_limit(found, n_bytes):
    """Share of the copy rate that a transform of so many bytes per spectrum reaches."""
    seconds = {name: 1 / found[name] for name in MACHINE.jobs}
    return found["transform"] * MACHINE.least_seconds(seconds, n_bytes)


def machine_jobs():
    return {name: (job, 1) for name, job in MACHINE.jobs.items()}


def kernel_jobs(kernel_on, X, out):
    """Run a kernel, a function of X and out, on all spectra and on few again and again."""
    n = CACHED_BYTES // X[0].nbytes
    times = len(X) // n

    def cached():
        for _ in range(times):
            kernel_on(X[:n], out[:n])

    return {"kernel": (lambda: kernel_on(X, out), len(X)), "cached": (cached, times * n)}


def spectra(n_bands, dtype=np.float32):
    """Wavelengths in nm and spectra for one row of the table."""
    nm = np.linspace(*GRIDS[n_bands], n_bands)
    return nm, random_spectra(nm, ROWS[n_bands], random_state=0).astype(dtype)


def peer_hull_quotients(nm, quiet=False):
    """Hull quotients of the packages that are installed: name -> function of X."""
    makers = {
        "spectral": _spectral_python,
        "hylite": _hylite,
        "chemotools": _chemotools,
        "pysptools": _pysptools,
    }
    found = {}
    for name, make in makers.items():
        try:
            found[name] = make(nm)
        except ImportError as error:
            if not quiet:
                print(f"  without {name}: {error}")
    return found


def _spectral_python(nm):
    from spectral import remove_continuum

    return lambda X: remove_continuum(X.astype(np.float64), nm)


def _hylite(nm):
    import gfit  # noqa: F401  # hylite's hull lives there
    from hylite.correct.detrend import get_hull_corrected

    return lambda X: get_hull_corrected(X.astype(np.float64), vb=False)


def _chemotools(nm):
    from chemotools.baseline import RubberbandCorrection

    def quotient(X):
        below_hull = RubberbandCorrection().fit_transform(-X)
        return X / (X + below_hull)

    return quotient


def _pysptools(nm):
    from pysptools.spectro.hull_removal import convex_hull_removal

    return lambda X: np.array([convex_hull_removal(list(row), list(nm))[0] for row in X])


def hull_jobs(n_bands, dtype):
    """Convex hull quotient of one grid: kernel, transform, peers."""
    nm, X = spectra(n_bands, dtype)
    out, bounds = np.empty_like(X), np.array([0, n_bands], dtype=np.intp)
    removal = ContinuumRemoval(nm).fit(X)
    few = X[: PEER_ROWS[n_bands]]
    settings = nm, bounds, _kernels.CONVEX, _kernels.DIVIDE

    def remove(X, out):
        _kernels.remove_continuum(X, *settings, out)

    return (
        kernel_jobs(remove, X, out)
        | {"transform": (lambda: removal.transform(X), len(X))}
        | {
            name: (lambda quotient=quotient: quotient(few), len(few))
            for name, quotient in peer_hull_quotients(nm, quiet=True).items()
        }
    )


def window_jobs(feature, parameters, dtype):
    """One window of a 50-band spectrum: kernel and transform."""
    nm, X = spectra(50, dtype)
    finder = AbsorptionFeatures(nm, features=[feature], parameters=parameters).fit(X)
    out = finder.transform(X)
    settings = finder._axis.wavelengths, finder._windows, finder._selected
    shape = len(parameters) > 4

    def measure(X, out):
        _kernels.absorption_features(X, *settings, shape, 1e-6, out)

    return kernel_jobs(measure, X, out) | {"transform": (lambda: finder.transform(X), len(X))}


def index_jobs(half_widths, dtype):
    """Local SAI vector of 50 bands: kernel and transform."""
    nm, X = spectra(50, dtype)
    index = SpectralAbsorptionIndex(nm, half_widths=half_widths).fit(X)
    out = index.transform(X)

    def relate(X, out):
        _local_index.shoulder_index(X, index._shoulders, out)

    return kernel_jobs(relate, X, out) | {"transform": (lambda: index.transform(X), len(X))}


def thread_jobs():
    """Name -> function of n_jobs: the transforms, and what the machine gives without them."""
    nm, X = spectra(224)
    X = np.concatenate([X] * 4)  # long enough that starting threads does not count

    def transform(transformer):
        both = {n_jobs: clone(transformer).set_params(n_jobs=n_jobs).fit(X) for n_jobs in (1, 2)}
        return lambda n_jobs: both[n_jobs].transform(X)

    def copy(n_jobs):
        out = np.empty_like(X)
        run_blocks(lambda rows: np.copyto(out[rows], X[rows]), len(X), X[0].nbytes, n_jobs)

    def divide(n_jobs):
        run_blocks(lambda rows: _divide(np.ones(100), 30_000), 60, _base._BLOCK_BYTES, n_jobs)

    return {
        "hull, 224 bands": transform(ContinuumRemoval(nm)),
        "local SAI, 224 bands": transform(SpectralAbsorptionIndex(nm)),
        "swir features, 224 bands": transform(AbsorptionFeatures(nm)),
        "machine: divisions in cache": divide,
        "machine: copy to new memory": copy,
    }


@kernel
def _divide(values, times):
    for _ in range(times):
        for j in range(len(values)):
            values[j] = 1.0 / (1.0 + values[j])


def thread_gains(jobs, repeats=15):
    """Yield name, two threads over one in wall time, cores in use, two over one in core time."""
    seconds = {(name, n_jobs): [] for name in jobs for n_jobs in (1, 2)}
    for function in jobs.values():
        function(1)  # compiles
    for _ in range(repeats):
        for (name, n_jobs), found in seconds.items():
            wall, core = perf_counter(), process_time()
            jobs[name](n_jobs)
            found.append((perf_counter() - wall, process_time() - core))
    for name in jobs:
        (wall, core), (wall_of_two, core_of_two) = (
            np.median(seconds[name, n_jobs], axis=0) for n_jobs in (1, 2)
        )
        yield name, wall / wall_of_two, core_of_two / wall_of_two, core_of_two / core


def first_call_seconds():
    """Seconds of the first transform in a new process without compiled kernels on disk."""
    import os
    import subprocess
    import sys
    from tempfile import TemporaryDirectory

    program = (
        "import time, numpy as np\n"
        "from sklearn_capoz.spectral import *\n"
        "nm = np.arange(2000, 2400, 10.); X = np.ones((5, 40), np.float32)\n"
        "for step in (ContinuumRemoval(nm), SpectralAbsorptionIndex(nm), AbsorptionFeatures(nm)):\n"
        "    start = time.perf_counter(); step.fit_transform(X)\n"
        "    print(f'{time.perf_counter() - start:.2f}', end=' ')\n"
    )
    with TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        for state in ("cold", "cached"):
            run = subprocess.run(
                [sys.executable, "-c", program], env=environment, capture_output=True, check=True
            )
            yield state, run.stdout.decode().strip()


def show(job, jobs, target, n_values):
    """Print one row of the table, for spectra of so many values, with those of the results."""
    found = rates(jobs | machine_jobs())
    of_limit = share_of_limit(found, n_values * np.dtype(job.split()[-1]).itemsize)
    ours = " ".join(f"{found[name] / 1e6:9.3f}" for name in ("cached", "kernel", "transform"))
    ours += f" {target / 1e6:8.3f} {of_limit:6.2f}"
    others = {"cached", "kernel", "transform", *MACHINE.jobs}
    peers = "  ".join(
        f"{name} {rate / 1e3:.1f} k ({found['transform'] / rate:.1f}x)"
        for name, rate in found.items()
        if name not in others
    )
    print(f"{job:<44} {ours}  {peers}")


def main():
    """Print the table."""
    print(
        f"{platform.processor() or platform.machine()}, {cpu_count()} cores, one thread unless said"
    )
    print(", ".join(f"{name} {version(name)}" for name in ("numba", "numpy", "scikit-learn")))
    peer_hull_quotients(np.arange(5.0))
    print(
        f"{'million spectra per second':<44} {'cached':>9} {'kernel':>9} {'transform':>9} "
        f"{'target':>8} {'of it':>6}  peers"
    )
    straight = AbsorptionFeature("al_oh_2200", 2120, 2280, left=2120, right=2280)
    hull = AbsorptionFeature("al_oh_2200", 2120, 2280)
    for dtype in (np.float32, np.float64):
        name = dtype.__name__
        for n_bands, target in HULL_TARGETS.items():
            job = f"hull quotient, {n_bands} bands, {name}"
            show(job, hull_jobs(n_bands, dtype), target, 2 * n_bands)
        four = ("position", "depth", "sai", "slope")
        job = f"one window, 4 parameters, line, {name}"
        show(job, window_jobs(straight, four, dtype), 20e6, 50 + 4)
        seven = _kernels.PARAMETERS
        job = f"one window, 7 parameters, hull, {name}"
        show(job, window_jobs(hull, seven, dtype), 3e6, 50 + 7)
        for half_widths in (60, (40, 60, 80)):
            job = f"local SAI, 50 bands, {half_widths} nm, {name}"
            n_indices = 50 * np.size(half_widths)
            show(job, index_jobs(half_widths, dtype), 2.5e6, 50 + n_indices)
    print("two threads over one (target 1.8), cores in use, core time for the same work")
    for name, gain, cores, core_time in thread_gains(thread_jobs()):
        print(f"  {name:<34} {gain:.2f} {cores:6.2f} {core_time:6.2f}x")
    print("first call in a new process, s: hull, SAI, features")
    for state, seconds in first_call_seconds():
        print(f"  {state:<10} {seconds}")


if __name__ == "__main__":
    main()
