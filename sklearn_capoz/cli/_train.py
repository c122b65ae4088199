"""Command `train`: from a table of spectra to a model file.

It is thin: what it does is a few calls of the public API. That is imported when the command runs,
so that a wrong call is answered at once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ._arguments import above_zero, nm_ranges, number, refuse_files_of, share

__all__ = ["add_train_parser"]

#: What the library calls by a parameter, and the command by an option or a word of its own.
OPTIONS = {
    "bad_bands": "--bad-bands",
    "n_iterations": "--iterations",
    "hidden_layer_sizes": "--units",
    "random_state": "--seed",
    "tolerance": "--tolerance",
    "criterion": "--criterion",
    "threshold": "--threshold",
    "n_samples": "--field-spectra",
    "X_val": "the spectra to validate on",
    "y_val": "the labels to validate on",
}

_DESCRIPTION = (
    "Train on a CSV file with a spectrum in each row: a column for each band, named by its "
    "wavelength in nm or um such as 2205.3, R2205 or '2.205 um', and a column with the label. "
    "Other columns are ignored. The table is taken for a library of laboratory spectra: the model "
    "is trained on spectra that are made of it as the field may show them, and what is printed is "
    "what to expect there, beside matching with the library. A table of field spectra is trained "
    "on as it is with --as-measured."
)


def add_train_parser(subparsers) -> None:
    """Add the command that trains a pruned model on a table of spectra.

    Parameters
    ----------
    subparsers : argparse's subparsers
        Of the program's parser; the command's function is `run` in the parsed arguments.
    """
    parser = subparsers.add_parser(
        "train", help="train a pruned model on a CSV table of spectra", description=_DESCRIPTION
    )
    parser.add_argument("spectra", type=Path, help="CSV file in UTF-8; commas, semicolons or tabs")
    parser.add_argument("--label", required=True, help="name of the column with the labels")
    parser.add_argument("--output", required=True, type=Path, help="model file, by custom .capoz")
    parser.add_argument(
        "--group", metavar="COLUMN",
        help="column that names the physical sample of each spectrum: repeated spectra of a sample "
        "then stay together, and are never on both sides of a test (without it, every spectrum is "
        "a sample of its own, and repeats flatter the test)",
    )  # fmt: skip
    _add_spectra_options(parser)
    _add_network_options(parser)
    parser.add_argument(
        "--seed", type=number(int, 0, 2**32 - 1), default=0, help="seed of everything random (0)"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    parser.set_defaults(run=_train, options=OPTIONS)


def _add_spectra_options(parser) -> None:
    spectra = parser.add_argument_group("spectra")
    spectra.add_argument(
        "--scene", type=Path,
        help="ENVI header or data file, or GeoTIFF, to be mapped: the spectra are brought to its "
        "bands, and the model is trained in them",
    )  # fmt: skip
    spectra.add_argument(
        "--as-measured", action="store_true",
        help="train on the table as it is, which holds field spectra already; a part of it is held "
        "out to test the model",
    )  # fmt: skip
    spectra.add_argument(
        "--bad-bands", type=nm_ranges, default=(), metavar="NM",
        help="wavelengths to leave out, such as 1340-1450,1790-1960,2005",
    )  # fmt: skip
    spectra.add_argument(
        "--scale", type=above_zero, default=1.0, help="the table's number for reflectance 1 (1)"
    )
    spectra.add_argument(
        "--field-spectra", type=number(int, 1), metavar="N",
        help="spectra made to train on (4,000 for each label, from 8,000 to 40,000)",
    )  # fmt: skip
    spectra.add_argument(
        "--test-fraction", type=share, default=0.2, help="share held out by --as-measured (0.2)"
    )


def _add_network_options(parser) -> None:
    network = parser.add_argument_group("network")
    network.add_argument(
        "--features", choices=["hull", "index"],
        help="what the network sees of a spectrum: its hull quotient, standardised, or its "
        "spectral absorption index (hull; index with --as-measured)",
    )  # fmt: skip
    network.add_argument(
        "--units", type=number(int, 1), help="hidden units at first (120; 30 with --as-measured)"
    )
    network.add_argument(
        "--keep-units", type=number(int, 1), default=9, metavar="N",
        help="hidden units in the end (9); a --threshold decides in its stead, as it does with "
        "--as-measured",
    )  # fmt: skip
    network.add_argument(
        "--iterations", type=number(int, 0), help="rounds of pruning (3; 5 with --as-measured)"
    )
    network.add_argument("--criterion", default="c-apoz", help="what scores units (c-apoz)")
    network.add_argument(
        "--threshold", help="rule for the scores of units that go (mean+std with --as-measured)"
    )
    network.add_argument(
        "--tolerance", type=number(float, 0, 1), default=0.01,
        help="validation accuracy that a smaller network may give up, under a --threshold (0.01)",
    )  # fmt: skip


def _train(arguments: argparse.Namespace) -> None:
    from ..criteria import check_criterion
    from ..deploy import save_model
    from ..formats._atomic import check_target
    from ..formats._csv_table import MIN_PER_CLASS, check_reflectance, read_spectra
    from ..spectral import SpectralAbsorptionIndex
    from ..thresholds import check_threshold
    from ._scene_bands import in_scene_bands
    from ._train_field import train_for_the_field
    from ._train_measured import train_as_measured

    output = arguments.output
    try:
        check_target(output)  # hours of training are not to end at a name
    except OSError as error:
        raise type(error)(f"--output {output}: no file can be written there. {error}") from error
    inputs = {"table of spectra": arguments.spectra, "scene": arguments.scene}
    refuse_files_of(output, inputs, own=".capoz")
    check_criterion(arguments.criterion)
    if arguments.threshold is not None:
        check_threshold(arguments.threshold)
    table = read_spectra(
        arguments.spectra,
        arguments.label,
        arguments.group,
        arguments.bad_bands,
        scale=arguments.scale,
        least=MIN_PER_CLASS if arguments.as_measured else 1,
    )
    print(table)
    index = SpectralAbsorptionIndex(table.wavelengths.tolist())
    check_reflectance(arguments.spectra, table, index.fit_transform(table.X))
    fwhm = None
    if arguments.scene is not None:
        table, fwhm = in_scene_bands(table, arguments.scene, arguments.bad_bands)
    train = train_as_measured if arguments.as_measured else train_for_the_field
    save_model(train(table, fwhm, arguments), output)
    print(f"model: {output}")
