"""How much sooner CAPoZPrunerCV is done than a grid search over the same candidates.

    python -m benchmarks.search_speed [--jobs 2] [--repeats 3] [--quick]

Five folds, two criteria, three rules, iteration counts 1 to 7. Both search
CAPoZPruner(MLPClassifier) with the same splits; a grid search with an empty
memory to fill is a third. They take turns; seconds are medians. The winners are
compared on 2,320 samples of their own.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from statistics import median
from time import perf_counter

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from sklearn_capoz import CAPoZPruner, CAPoZPrunerCV
from sklearn_capoz.datasets import make_mineral_spectra
from sklearn_capoz.exceptions import PruningStalledWarning
from sklearn_capoz.thresholds import Fraction, MeanStd, Percentile

CRITERIA = ["c-apoz", "apoz"]
THRESHOLDS = [MeanStd(), Fraction(0.2), Percentile(30)]


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="two folds, two iteration counts")
    arguments = parser.parse_args(argv)
    n_folds, n_iterations = (2, 2) if arguments.quick else (5, 7)

    X, y = make_mineral_spectra(700, random_state=0)
    X_test, y_test = make_mineral_spectra((400, 240, 240, 400, 400, 400, 240), random_state=1)
    scaler = StandardScaler()
    X, X_test = scaler.fit_transform(X), scaler.transform(X_test)
    pruner = CAPoZPruner(MLPClassifier((30,), random_state=0), keep="last", random_state=0)
    cv = StratifiedKFold(n_folds, shuffle=True, random_state=0)
    grid = {
        "criterion": CRITERIA,
        "threshold": THRESHOLDS,
        "n_iterations": list(range(1, n_iterations + 1)),
    }

    def cross_validated():
        return CAPoZPrunerCV(
            pruner,
            criteria=CRITERIA,
            thresholds=THRESHOLDS,
            max_iterations=n_iterations,
            cv=cv,
            n_jobs=arguments.jobs,
        )

    def grid_search(memory):
        model = CAPoZPruner(pruner.estimator, keep="last", random_state=0, memory=memory)
        return GridSearchCV(model, grid, cv=cv, n_jobs=arguments.jobs)

    # Worker processes are started, and compiled code is loaded, before the clock runs.
    cross_validated().set_params(max_iterations=1).fit(X, y)
    seconds: dict[str, list[float]] = {}
    for _ in range(arguments.repeats):
        with tempfile.TemporaryDirectory() as folder:
            searches = {
                "CAPoZPrunerCV": cross_validated(),
                "GridSearchCV, memory": grid_search(memory=folder),
                "GridSearchCV": grid_search(memory=None),
            }
            for name, search in searches.items():
                start = perf_counter()
                search.fit(X, y)
                seconds.setdefault(name, []).append(perf_counter() - start)
    print(
        f"{n_folds} folds, {len(CRITERIA)} criteria x {len(THRESHOLDS)} rules x {n_iterations} "
        f"iteration counts, {arguments.jobs} jobs\n"
    )
    print_table(searches, seconds, X_test, y_test)


def print_table(searches, seconds, X_test, y_test) -> None:
    print(f"{'':22s} {'seconds':>8s} {'ratio':>6s} {'cv score':>9s} {'test':>7s}  chosen")
    for name, search in searches.items():
        ratio = median(seconds["GridSearchCV"]) / median(seconds[name])
        score = search.best_estimator_.score(X_test, y_test)
        print(
            f"{name:22s} {median(seconds[name]):8.2f} {ratio:5.1f}x {search.best_score_:9.4f} "
            f"{score:7.4f}  {search.best_params_}"
        )
    standard_error = np.sqrt(score * (1 - score) / len(y_test))
    print(f"\nstandard error of a test accuracy: {standard_error:.4f}")


if __name__ == "__main__":
    for category in (ConvergenceWarning, PruningStalledWarning):
        warnings.simplefilter("ignore", category)
    main()
