"""Command `train`: from a table of spectra to a model file.

It is thin: what it does is a few calls of the public API. That is imported when the command runs,
so that a wrong call is answered at once.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from ._arguments import nm_ranges, number, share

__all__ = ["add_train_parser"]

#: What the library calls by a parameter, and the command by an option or a word of its own.
OPTIONS = {
    "bad_bands": "--bad-bands",
    "n_iterations": "--iterations",
    "hidden_layer_sizes": "--units",
    "random_state": "--seed",
    "tolerance": "--tolerance",
    "X_val": "the spectra to validate on",
    "y_val": "the labels to validate on",
}


def add_train_parser(subparsers) -> None:
    """Add the command that trains a pruned model on a table of spectra.

    Parameters
    ----------
    subparsers : argparse's subparsers
        Of the program's parser; the command's function is `run` in the parsed arguments.
    """
    parser = subparsers.add_parser(
        "train",
        help="train a pruned model on a CSV table of spectra",
        description="Train on a CSV file with a spectrum in each row: a column for each band, "
        "named by its wavelength in nm or um such as 2205.3, R2205 or '2.205 um', and a column "
        "with the label. Other columns are ignored. A part of the spectra is held out to test the "
        "model.",
    )
    parser.add_argument("spectra", type=Path, help="CSV file in UTF-8; commas, semicolons or tabs")
    parser.add_argument("--label", required=True, help="name of the column with the labels")
    parser.add_argument("--output", required=True, type=Path, help="model file, by custom .capoz")
    parser.add_argument(
        "--group",
        metavar="COLUMN",
        help="column that names the physical sample of each spectrum: repeated spectra of a sample "
        "then stay together, to train on, to validate on or to test on (without it, they are "
        "split at random, and repeats flatter the test)",
    )
    parser.add_argument(
        "--bad-bands",
        type=nm_ranges,
        default=(),
        metavar="NM",
        help="wavelengths to leave out, such as 1340-1450,1790-1960,2005",
    )
    parser.add_argument(
        "--units", type=number(int, 1), default=30, help="hidden units at first (30)"
    )
    parser.add_argument(
        "--iterations", type=number(int, 0), default=5, help="rounds of pruning (5)"
    )
    parser.add_argument(
        "--tolerance",
        type=number(float, 0, 1),
        default=0.01,
        help="validation accuracy that a smaller network may give up (0.01)",
    )
    parser.add_argument("--test-fraction", type=share, default=0.2, help="share held out (0.2)")
    parser.add_argument(
        "--seed", type=number(int, 0, 2**32 - 1), default=0, help="seed of everything random (0)"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    parser.set_defaults(run=_train, options=OPTIONS)


def _train(arguments: argparse.Namespace) -> None:
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from .. import PrunedMLPClassifier, SpectralAbsorptionIndex
    from ..deploy import save_model
    from ..formats._atomic import check_target
    from ..formats._csv_table import check_reflectance, read_spectra

    output = arguments.output
    try:
        check_target(output)  # hours of training are not to end at a name
    except OSError as error:
        raise type(error)(f"--output {output}: no file can be written there. {error}") from error
    if output.exists() and output.samefile(arguments.spectra):
        raise FileExistsError(f"--output {output} is the table of spectra; name another file.")
    table = read_spectra(arguments.spectra, arguments.label, arguments.group, arguments.bad_bands)
    X, y, groups = table.X, table.y, table.groups
    print(table)
    index, scaler = SpectralAbsorptionIndex(table.wavelengths.tolist()), StandardScaler()
    features = index.fit_transform(X)
    check_reflectance(arguments.spectra, table, features)
    train, validation, test = _split(y, groups, arguments.test_fraction, arguments.seed)
    network = PrunedMLPClassifier(
        (arguments.units,),
        n_iterations=arguments.iterations,
        keep="smallest",
        tolerance=arguments.tolerance,
        verbose=not arguments.quiet,
        random_state=arguments.seed,
    )
    prepared = scaler.fit_transform(features[train])
    own = {}
    if validation is not None:
        own["X_val"] = scaler.transform(features[validation])
        own["y_val"] = y[validation]
    network.fit(prepared, y[train], **own)
    model = make_pipeline(index, scaler, network)
    columns = ["n_units", "n_parameters", "parameter_ratio", "accuracy_before", "accuracy_after"]
    print(network.history_[columns].round(3).to_string())
    print(
        f"kept: iteration {network.best_iteration_}, "
        f"{network.history_['n_units'][network.best_iteration_]} of {arguments.units} units"
    )
    predicted = model.predict(X[test])
    samples = "" if groups is None else f" of {len(set(groups[test]))} samples"
    print(
        f"held-out spectra: {len(test)}{samples}, accuracy {(predicted == y[test]).mean():.3f}, "
        f"balanced accuracy {balanced_accuracy_score(y[test], predicted):.3f}"
    )
    save_model(model, output)
    print(f"model: {output}")


def _split(y, groups, test_fraction: float, seed: int):
    """Share out the spectra: row numbers to train on, to validate on, and to test on.

    Without groups there are none to validate on: the network takes some of the first.
    """
    import numpy as np
    from sklearn.model_selection import StratifiedGroupKFold, train_test_split

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
