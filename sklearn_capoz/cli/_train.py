"""Command `train`: from a library of spectra, or regions of a scene, to a model file.

It is thin: what it does is a few calls of the public API. That is imported when the command runs,
so that a wrong call is answered at once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ._arguments import (
    above_zero,
    nm_ranges,
    number,
    pair_of_names,
    refuse_files_of,
    share,
    words,
)

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
    "names": "--rename",
    "label": "--label",
    "crs": "--crs",
    "scale": "--scale",
    "nodata": "of its header",
    "block_size": "--block-size",
    "X_val": "the spectra to validate on",
    "y_val": "the labels to validate on",
}

_DESCRIPTION = (
    "Train on a library of laboratory spectra, or on regions of a scene (--truth). A library is a "
    "CSV file with a spectrum in each row: a column for each band, named by its wavelength in nm "
    "or um such as 2205.3, R2205 or '2.205 um', and a column with the label; or an ENVI spectral "
    "library (.sli with its .hdr), or texts of the ECOSTRESS library, or a folder of these. The "
    "model is trained on spectra that are made of it as the field may show them, and what is "
    "printed is what to expect there, beside matching with the library. A table of field spectra "
    "is trained on as it is with --as-measured."
)

#: As `spectral.SENSORS` has them, which is imported when the command runs.
SENSORS = ["aviris", "aviris-ng", "desis", "emit", "enmap", "hymap", "hyperion", "prisma"]


def add_train_parser(subparsers) -> None:
    """Add the command that trains a pruned model on spectra.

    Parameters
    ----------
    subparsers : argparse's subparsers
        Of the program's parser; the command's function is `run` in the parsed arguments.
    """
    parser = subparsers.add_parser(
        "train",
        help="train a pruned model on a library of spectra, or on regions of a scene",
        description=_DESCRIPTION,
    )
    parser.add_argument(
        "spectra", type=Path, nargs="+",
        help="CSV file in UTF-8 (commas, semicolons or tabs), ENVI library, or ECOSTRESS texts or "
        "their folder; with --truth, a scene",
    )  # fmt: skip
    parser.add_argument("--output", required=True, type=Path, help="model file, by custom .capoz")
    _add_label_options(parser)
    _add_spectra_options(parser)
    _add_region_options(parser)
    _add_network_options(parser)
    parser.add_argument(
        "--seed", type=number(int, 0, 2**32 - 1), default=0, help="seed of everything random (0)"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    parser.set_defaults(run=_train, options=OPTIONS)


def _add_label_options(parser) -> None:
    labels = parser.add_argument_group("labels")
    labels.add_argument(
        "--label",
        help="column with the labels; of ECOSTRESS texts a field of the header, such as class (the "
        "mineral's name); an ENVI library has the first word of each spectrum's name",
    )  # fmt: skip
    labels.add_argument(
        "--group", metavar="COLUMN",
        help="column that names the physical sample of each spectrum: repeated spectra of a sample "
        "then stay together, and are never on both sides of a test (without it, every spectrum of "
        "a table is a sample of its own, and repeats flatter the test; libraries name theirs)",
    )  # fmt: skip
    labels.add_argument(
        "--only", type=words, metavar="NAMES", help="labels to train on, such as Alunite,Calcite"
    )
    labels.add_argument(
        "--rename", type=pair_of_names, action="append", default=[], metavar="OLD=NEW",
        help="another name for a label, or for one record of a library; OLD= leaves it out. May be "
        "given several times",
    )  # fmt: skip
    labels.add_argument(
        "--names", type=Path, metavar="CSV", help="the same for many: a table, columns old and new"
    )


def _add_spectra_options(parser) -> None:
    spectra = parser.add_argument_group("spectra")
    bands = spectra.add_mutually_exclusive_group()
    bands.add_argument(
        "--scene", type=Path,
        help="ENVI header or data file, or GeoTIFF, to be mapped: the spectra are brought to its "
        "bands, and the model is trained in them",
    )  # fmt: skip
    bands.add_argument(
        "--sensor", choices=SENSORS, help="the same for the nominal bands of a sensor"
    )
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
        "--scale", type=above_zero,
        help="the table's number for reflectance 1 (1), or the scene's with --truth (the file's)",
    )  # fmt: skip
    spectra.add_argument(
        "--field-spectra", type=number(int, 1), metavar="N",
        help="spectra made to train on (4,000 for each label, from 8,000 to 40,000)",
    )  # fmt: skip
    spectra.add_argument(
        "--test-fraction", type=share, default=0.2, help="share held out by --as-measured (0.2)"
    )


def _add_region_options(parser) -> None:
    regions = parser.add_argument_group("regions of a scene")
    regions.add_argument(
        "--truth", type=Path,
        help="what is known of the scene: polygons or points as GeoJSON, Shapefile or GeoPackage, "
        "a raster of classes in its grid, or a CSV table of points",
    )  # fmt: skip
    regions.add_argument(
        "--crs", help="coordinate system of polygons or points, such as EPSG:32611 (what they say)"
    )
    regions.add_argument(
        "--max-pixels", type=number(int, 20), default=2000, metavar="N",
        help="of a class with more pixels, that many are drawn (2000)",
    )  # fmt: skip
    regions.add_argument(
        "--block-size", type=number(int, 1), default=20, metavar="PIXELS",
        help="side of the blocks that are held out whole (20)",
    )  # fmt: skip


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
        "--keep-units", type=number(int, 1), metavar="N",
        help="hidden units in the end (9), unless a --threshold is given; with --as-measured and "
        "--truth a threshold decides",
    )  # fmt: skip
    network.add_argument(
        "--iterations", type=number(int, 0), help="rounds of pruning (3; 5 with --as-measured)"
    )
    network.add_argument("--criterion", default="c-apoz", help="what scores units (c-apoz)")
    network.add_argument(
        "--threshold",
        help="rule for the scores of units that go (mean+std with --as-measured and --truth)",
    )
    network.add_argument(
        "--tolerance", type=number(float, 0, 1), default=0.01,
        help="validation accuracy that a smaller network may give up, under a --threshold (0.01)",
    )  # fmt: skip


def _train(arguments: argparse.Namespace) -> None:
    from ..deploy import save_model
    from ..formats._atomic import check_target
    from ._train_network import check_network

    output = arguments.output
    try:
        check_target(output)  # hours of training are not to end at a name
    except OSError as error:
        raise type(error)(f"--output {output}: no file can be written there. {error}") from error
    files = [f for p in arguments.spectra for f in (p.glob("*.txt") if p.is_dir() else [p])]
    inputs = {f"file of spectra {path.name}": path for path in files} | {
        "scene": arguments.scene,
        "truth": arguments.truth,
        "table of names": arguments.names,
    }
    refuse_files_of(output, inputs, own=".capoz")
    for path in arguments.spectra:
        if not path.exists():
            raise FileNotFoundError(f"There is no {path}.")
    check_network(arguments)
    save_model(_trained(arguments), output)
    print(f"model: {output}")


def _trained(arguments: argparse.Namespace):
    from ._train_field import train_for_the_field
    from ._train_measured import train_as_measured
    from ._train_regions import train_on_regions
    from ._train_spectra import read_training_spectra

    if arguments.truth is not None:
        _refuse_beside_truth(arguments)
        return train_on_regions(arguments)
    table, fwhm = read_training_spectra(arguments)
    train = train_as_measured if arguments.as_measured else train_for_the_field
    return train(table, fwhm, arguments)


def _refuse_beside_truth(arguments: argparse.Namespace) -> None:
    """Say which options mean nothing where a scene is trained on."""
    given = {
        "--scene": arguments.scene, "--sensor": arguments.sensor, "--group": arguments.group,
        "--as-measured": arguments.as_measured, "--only": arguments.only,
        "--field-spectra": arguments.field_spectra,
    }  # fmt: skip
    if odd := [name for name, value in given.items() if value]:
        raise ValueError(f"{odd[0]} is for libraries and tables, and --truth for a scene.")
    if len(arguments.spectra) != 1:
        raise ValueError(f"--truth needs one scene, got {len(arguments.spectra)} files.")
