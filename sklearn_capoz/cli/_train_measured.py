"""Training on a table as it is, with a part of it held out: what `train --as-measured` does."""

from __future__ import annotations

import argparse
import math

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support
from sklearn.model_selection import StratifiedGroupKFold, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline

from ..formats._csv_table import SpectraTable
from ._train_features import feature_steps
from ._train_network import measured_network

__all__ = ["train_as_measured"]


def train_as_measured(table: SpectraTable, fwhm, arguments: argparse.Namespace) -> Pipeline:
    """Train on a part of the table, prune, and print how right the rest of it is named."""
    X, y, groups = table.X, table.y, table.groups
    train, validation, test = _split(y, groups, arguments.test_fraction, arguments.seed)
    network = measured_network(arguments)
    features = make_pipeline(*feature_steps(arguments.features or "index", table.wavelengths))
    prepared = features.fit_transform(X[train])
    own = {}
    if validation is not None:
        own["X_val"] = features.transform(X[validation])
        own["y_val"] = y[validation]
    network.fit(prepared, y[train], **own)
    model = make_pipeline(*(step for _, step in features.steps), network)
    columns = ["n_units", "n_parameters", "parameter_ratio", "accuracy_before", "accuracy_after"]
    print(network.history_[columns].round(3).to_string())
    print(
        f"kept: iteration {network.best_iteration_}, "
        f"{network.history_['n_units'][network.best_iteration_]} of "
        f"{network.history_['n_units'].iloc[0]} units"
    )
    predicted = model.predict(X[test])
    samples = "" if groups is None else f" of {len(set(groups[test]))} samples"
    print(
        f"held-out spectra: {len(test)}{samples}, accuracy {(predicted == y[test]).mean():.3f}, "
        f"balanced accuracy {balanced_accuracy_score(y[test], predicted):.3f}"
    )
    print("\npart of each class that is named right, and of each name that is it:")
    print(_by_class(y[test], predicted).to_string())
    return model


def _by_class(y, predicted) -> pd.DataFrame:
    """Recall and precision of every class, and how many spectra say so."""
    classes = np.unique(y)
    precision, recall, _, n_spectra = precision_recall_fscore_support(
        y, predicted, labels=classes, zero_division=np.nan
    )
    columns = {"recall": recall.round(2), "precision": precision.round(2), "spectra": n_spectra}
    return pd.DataFrame(columns, index=classes)


def _split(y, groups, test_fraction: float, seed: int):
    """Share out the spectra: row numbers to train on, to validate on, and to test on.

    Without groups there are none to validate on: the network takes some of the first.
    """
    if groups is None:
        n_classes, n_test = len(set(y)), math.ceil(test_fraction * len(y))
        if min(n_test, len(y) - n_test) < n_classes:
            raise ValueError(
                f"--test-fraction {test_fraction:g} holds out {n_test} of {len(y)} spectra; "
                f"{n_classes} labels need {n_classes} to test on and {n_classes} to train on."
            )
        rows = np.arange(len(y))
        train, test = train_test_split(rows, test_size=test_fraction, stratify=y, random_state=seed)
        return train, None, test
    # One fold to test on, one to validate on, and at least one to train on.
    n_folds = max(3, round(1 / test_fraction))
    samples_of = {name: len(set(groups[y == name])) for name in np.unique(y)}
    rarest = min(samples_of, key=samples_of.__getitem__)
    if samples_of[rarest] < n_folds:
        raise ValueError(
            f"the label '{rarest}' has spectra of {samples_of[rarest]} samples; with "
            f"--test-fraction {test_fraction:g} and --group at least {n_folds} are needed, so that "
            "all parts of the data have some. A --test-fraction of 0.33 or more needs 3."
        )
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(y, y, groups)
    parts = [part for _, part in folds]
    return np.concatenate(parts[2:]), parts[1], parts[0]
