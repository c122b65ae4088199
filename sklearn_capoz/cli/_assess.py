"""Command `assess`: how right a map is, by places whose class is known.

It is thin: what it computes is `scenes.assess`, which is imported when the command runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ._arguments import number, pair_of_names, refuse_files_of, share

__all__ = ["add_assess_parser"]

OPTIONS = {
    "confidence": "--confidence",
    "output": "--output",
    "names": "--rename",
    "label": "--label",
    "crs": "--crs",
    "training": "--training",
}


def add_assess_parser(subparsers) -> None:
    """Add the command that assesses a map.

    Parameters
    ----------
    subparsers : argparse's subparsers
        Of the program's parser; the command's function is `run` in the parsed arguments.
    """
    parser = subparsers.add_parser(
        "assess",
        help="tell how right a map is, by places that are known",
        description="Compare a map of `map` with labelled places, and tell accuracies and areas "
        "with their intervals (Olofsson et al. 2014). They are as good as the places: these should "
        "be drawn at random within each class of the map, and none may have been trained on.",
    )
    parser.add_argument("map", type=Path, help="class map of `map`: GeoTIFF, or ENVI header")
    parser.add_argument(
        "--truth", required=True, type=Path,
        help="polygons or points as GeoJSON, Shapefile or GeoPackage; classes of the same grid as "
        "GeoTIFF or ENVI file, 0 where nothing is known; or a CSV table of points with columns row "
        "and column, counted from 0, or x and y in the coordinates of the map, or lon and lat",
    )  # fmt: skip
    parser.add_argument(
        "--label", default="label", help="column of polygons or points with the class (label)"
    )
    parser.add_argument(
        "--rename", type=pair_of_names, action="append", default=[], metavar="OLD=NEW",
        help="take a class of the truth for one of the map; OLD= leaves its places out, and "
        "OLD=OLD keeps a class that the map has not. May be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--names", type=Path, metavar="CSV", help="the same for many: a table, columns old and new"
    )
    parser.add_argument(
        "--crs", help="coordinate system of polygons or points, such as EPSG:32611 (what they say)"
    )
    parser.add_argument(
        "--training", type=Path,
        help="regions that the model was trained on, in a file as that of --truth: places that "
        "touch them or lie near are told apart",
    )  # fmt: skip
    parser.add_argument(
        "--training-distance", type=number(float, 0), default=10.0, metavar="PIXELS",
        help="what is near (10)",
    )  # fmt: skip
    parser.add_argument("--confidence", type=share, default=0.95, help="of the intervals (0.95)")
    parser.add_argument(
        "--output", type=Path, help="file to write the table to: .csv, or .tex for LaTeX"
    )
    parser.set_defaults(run=_assess, options=OPTIONS)


def _assess(arguments: argparse.Namespace) -> None:
    from ..formats._atomic import check_target, write_atomically
    from ..scenes import assess
    from ..scenes._truth import read_names

    output = arguments.output
    if output is not None:
        if output.suffix.lower() not in (".csv", ".tex"):
            raise ValueError(f"--output must end in .csv or .tex, got {output}.")
        check_target(output)
        inputs = {"map": arguments.map, "truth": arguments.truth}
        inputs |= {"table of names": arguments.names, "training regions": arguments.training}
        refuse_files_of(output, inputs, own=output.suffix.lower())
    found = assess(
        arguments.map,
        arguments.truth,
        label=arguments.label,
        names=read_names(arguments.names) | dict(arguments.rename),
        crs=arguments.crs,
        training=arguments.training,
        training_distance=arguments.training_distance,
        confidence=arguments.confidence,
    )
    print(found)
    if output is not None:
        text = found.to_latex() if output.suffix.lower() == ".tex" else found.to_frame().to_csv()
        with write_atomically(output) as temporary:
            Path(temporary).write_text(text, encoding="utf-8")
        print(f"written: {output}")
