"""How work grows with its size: exponents of time, and memory, for each size that a user may raise.

Run with `python -m benchmarks growth --seeds 3`. Each curve doubles one size and leaves the others;
the seeds are repeats, of which the fastest counts. The exponent is the slope of the straight line
through the larger half of the points, logarithms against each other: 1 is proportional, 2 squares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
import pandas as pd
from spectral.io import envi
from threadpoolctl import threadpool_limits

from sklearn_capoz import FieldTrainedClassifier, PrunedCNNClassifier, PrunedMLPClassifier
from sklearn_capoz.deploy import predict_scene
from sklearn_capoz.spectral import AbsorptionFeatures, ContinuumRemoval, SpectralMatcher
from sklearn_capoz.training import TrainingSettings, TrainingTask, initial_network, train

from ._memory import growth as memory_growth
from ._protocol import NEVER, Options
from ._report import Report
from ._statistics import exponent

TITLE = "Growth: what each size costs"

N_CLASSES = 7
EPOCHS = 20
#: Rows whose hulls, features and matches are timed.
N_ROWS = 20_000


@dataclass(frozen=True)
class Curve:
    """One size that grows.

    Parameters
    ----------
    work, size : str
        What is done, and what is doubled.
    sizes : sequence of int
    prepare : callable
        From a size and a folder to the work itself, as a call.
    """

    work: str
    size: str
    sizes: Sequence[int]
    prepare: Callable[[int, Path], Callable[[], object]]


def spectra(n: int, n_bands: int) -> tuple[np.ndarray, np.ndarray]:
    """Make reflectance with an absorption per class: enough for the work, not for an accuracy."""
    random = np.random.RandomState(0)
    y = np.arange(n) % N_CLASSES
    places = np.linspace(0.2, 0.8, N_CLASSES)[y][:, None]
    along = np.linspace(0, 1, n_bands)
    X = 0.5 - 0.2 * np.exp(-(((along - places) / 0.05) ** 2))
    return (X + 0.01 * random.standard_normal(X.shape)).astype(np.float32), y


def wavelengths(n_bands: int) -> np.ndarray:
    return np.linspace(400, 2500, n_bands)


def training(n: int, folder: Path, *, n_bands=50, width=30, n_networks=1):
    X, y = spectra(n, n_bands)
    tasks = []
    for seed in range(n_networks):
        random = np.random.RandomState(seed)
        network = initial_network(n_bands, (width,), N_CLASSES, "relu", random, X.dtype)
        tasks.append(TrainingTask(network, X, y, random_state=random))
    settings = TrainingSettings(max_iter=EPOCHS, n_iter_no_change=NEVER)
    return partial(train, tasks, settings)


def pruning(width: int, folder: Path, *, criterion: str):
    """Score once and cut, without retraining: what the criterion costs."""
    X, y = spectra(1400, 50)
    model = PrunedMLPClassifier(
        (width,), criterion=criterion, threshold="fraction", n_iterations=1, keep="last",
        max_iter=1, retrain_max_iter=0, n_iter_no_change=NEVER, random_state=0,
    )  # fmt: skip
    return partial(model.fit, X, y)


def channels(side: int, folder: Path):
    """Train over patches: positions are the square of their side."""
    X, y = spectra(140 * side * side, 12)
    X = X.reshape(140, side, side, 12).transpose(0, 3, 1, 2)
    model = PrunedCNNClassifier(
        "2d", patch_size=side, n_iterations=1, max_iter=1, retrain_max_iter=1, random_state=0
    )
    return partial(model.fit, np.ascontiguousarray(X), y[:140])


def fitted(n_bands: int) -> PrunedMLPClassifier:
    return PrunedMLPClassifier((9,), n_iterations=0, max_iter=2, random_state=0).fit(
        *spectra(700, n_bands)
    )


def prediction(n: int, folder: Path):
    return partial(fitted(50).predict, spectra(n, 50)[0])


def hull(n_bands: int, folder: Path, *, step=ContinuumRemoval):
    X, _ = spectra(N_ROWS, n_bands)
    return partial(step(wavelengths(n_bands)).fit(X).transform, X)


def matching(n_records: int, folder: Path):
    X, y = spectra(n_records, 50)
    return partial(
        SpectralMatcher(wavelengths=wavelengths(50)).fit(X, y).predict, spectra(N_ROWS, 50)[0]
    )


@lru_cache(maxsize=1)
def for_the_field() -> FieldTrainedClassifier:
    """Train as the command `train` does by default, in 200 bands."""
    return FieldTrainedClassifier(wavelengths=wavelengths(200), cv=2, random_state=0).fit(
        *spectra(70, 200)
    )


def mapping(n_rows: int, folder: Path, *, trust: bool = False):
    """Map a file of 500 columns into a file."""
    n_bands = 200 if trust else 50
    X, _ = spectra(500 * n_rows, n_bands)
    header = {"wavelength": wavelengths(n_bands).tolist(), "wavelength units": "Nanometers"}
    path = folder / "scene.hdr"
    envi.save_image(str(path), X.reshape(n_rows, 500, n_bands), metadata=header, force=True)
    model, maps = for_the_field() if trust else fitted(n_bands), count()

    def work():
        target = folder / f"map{next(maps)}.tif"
        predict_scene(model, path, output=target, n_jobs=1, trust=trust)

    return work


CURVES = (
    Curve("training", "spectra", (700, 1400, 2800, 5600, 11200, 22400), training),
    Curve("training", "bands", (25, 50, 100, 200, 400, 800),
          lambda n, folder: training(1400, folder, n_bands=n)),
    Curve("training", "hidden units", (8, 16, 32, 64, 128, 256, 512),
          lambda n, folder: training(1400, folder, width=n)),
    Curve("training", "networks side by side", (1, 2, 4, 8, 16, 32),
          lambda n, folder: training(700, folder, n_networks=n)),
    Curve("one cut by C-APoZ", "hidden units", (32, 64, 128, 256, 512),
          partial(pruning, criterion="c-apoz")),
    Curve("one cut by reconstruction", "hidden units", (32, 64, 128, 256, 512),
          partial(pruning, criterion="reconstruction")),
    Curve("CNN2D, two epochs and a cut", "side of a patch", (5, 9, 17, 33), channels),
    Curve("labels", "spectra", (80_000, 160_000, 320_000, 640_000, 1_280_000), prediction),
    Curve("hull quotients", "bands", (50, 100, 200, 400, 800), hull),
    Curve("absorption features", "bands", (50, 100, 200, 400, 800),
          partial(hull, step=AbsorptionFeatures)),
    Curve("matching", "records", (100, 200, 400, 800, 1600, 3200), matching),
    Curve("map of a file", "rows of 500 pixels", (200, 400, 800, 1600, 3200), mapping),
    Curve("map with trust, 200 bands", "rows of 500 pixels", (100, 200, 400, 800),
          partial(mapping, trust=True)),
)  # fmt: skip


def measure(curve: Curve, repeats: int, n_points: int) -> pd.DataFrame:
    """Return the seconds and the memory of each size."""
    rows = []
    for size in curve.sizes[:n_points]:
        with TemporaryDirectory() as folder, threadpool_limits(1):
            work = curve.prepare(size, Path(folder))
            work()  # compiles, and fills caches
            seconds = []
            for _ in range(repeats):
                start = process_time()
                work()
                seconds.append(process_time() - start)
            held = memory_growth(work)
        row = {"work": curve.work, "size": curve.size, "n": size}
        rows.append(row | {"seconds": min(seconds), "megabytes": held})
    return pd.DataFrame(rows)


def run(options: Options, report: Report) -> None:
    """Measure every curve, and write a row for each."""
    parts = [measure(curve, options.seeds, 3 if options.quick else 99) for curve in CURVES]
    report.text(
        f"One thread, spectra of {N_CLASSES} classes in 50 bands where nothing else is said, "
        f"{EPOCHS} epochs of training. Seconds are the processor's, the fewest of {options.seeds} "
        "runs after one that is not counted. The exponent is the slope of the larger sizes in "
        "logarithms, with its standard error; what costs the same at every size, such as a first "
        "look at the data, makes it smaller than the formula says. Memory is what the work came to "
        "hold beyond its data."
    )
    cells = []
    for part in parts:
        slope, error = exponent(part["n"], part["seconds"])
        first, last = part.iloc[0], part.iloc[-1]
        cells.append(
            {
                "work": first["work"],
                "against": first["size"],
                "from, to": f"{first['n']:,}, {last['n']:,}",
                "seconds": f"{first['seconds']:.3g}, {last['seconds']:.3g}",
                "exponent": f"{slope:.2f} ± {error:.2f}",
                "MB": f"{first['megabytes']:.0f}, {last['megabytes']:.0f}",
            }
        )
    report.table(pd.DataFrame(cells))
    report.csv(pd.concat(parts))
