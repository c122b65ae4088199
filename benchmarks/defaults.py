"""Whether PrunedMLPClassifier's defaults lose accuracy against MLPClassifier's.

    python -m benchmarks.defaults [--seeds 10] [--jobs 1]

Five-fold cross-validation, repeated with other folds and weights, both behind a StandardScaler and
with nothing set but the seed. The defaults were chosen on other data (iris, breast cancer,
made classifications and the mineral spectra); wine and digits are what they are checked on. The
test pairs the repeats; MLPClassifier has 100 units and trains on all samples of a fold.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz.exceptions import PruningStalledWarning, SmallDataWarning

from ._statistics import paired_p

MODELS = {
    "MLPClassifier": MLPClassifier,
    "PrunedMLPClassifier": PrunedMLPClassifier,
    "the paper's rule": lambda random_state: PrunedMLPClassifier(
        keep="last", random_state=random_state
    ),
}


def measure(X, y, n_seeds: int, n_jobs: int) -> pd.DataFrame:
    """Return accuracy, hidden units and seconds, with a row per model and seed."""
    rows = []
    for seed in range(n_seeds):
        cv = StratifiedKFold(5, shuffle=True, random_state=seed)
        for name, make in MODELS.items():
            model = make_pipeline(StandardScaler(), make(random_state=seed))
            found = cross_validate(model, X, y, cv=cv, n_jobs=n_jobs, return_estimator=True)
            units = [_n_units(fitted[-1]) for fitted in found["estimator"]]
            score, seconds = found["test_score"].mean(), found["fit_time"].mean()
            rows.append((name, seed, score, np.mean(units), seconds))
    return pd.DataFrame(rows, columns=["model", "seed", "accuracy", "units", "seconds"])


def _n_units(classifier) -> int:
    if isinstance(classifier, MLPClassifier):
        return sum(map(len, classifier.intercepts_[:-1]))
    return sum(classifier.network_.widths)


def main(argv=None) -> None:
    """Print a table for each data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args(argv)
    for load in (load_wine, load_digits):
        table = measure(*load(return_X_y=True), arguments.seeds, arguments.jobs)
        accuracy = table.pivot_table(index="seed", columns="model", values="accuracy")
        summary = table.groupby("model", sort=False)[["accuracy", "units", "seconds"]].mean()
        summary["spread"] = accuracy.std()
        theirs = accuracy["MLPClassifier"]
        summary["difference"] = accuracy.sub(theirs, axis=0).mean()
        summary["p"] = [paired_p(accuracy[name], theirs) for name in summary.index]
        print(f"\n{load.__name__}, {arguments.seeds} seeds\n{summary.round(4)}", flush=True)


if __name__ == "__main__":
    for category in (ConvergenceWarning, PruningStalledWarning, SmallDataWarning):
        warnings.simplefilter("ignore", category)
    main()
