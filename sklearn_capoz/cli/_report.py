"""Command `report`: one page to look at, of a map and the scene behind it.

It is thin: what it does is `reports.write_report`, which is imported when the command runs.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from ._arguments import band_centres, nm_ranges, pair_of_names, refuse_files_of

__all__ = ["add_report_parser"]

#: What the library calls by a parameter and the command by an option.
OPTIONS = {
    "wavelengths": "--wavelengths",
    "bad_bands": "--bad-bands",
    "scale": "--scale",
    "nodata": "--nodata",
    "output": "--output",
    "names": "--rename",
    "label": "--label",
    "crs": "--crs",
}


def add_report_parser(subparsers) -> None:
    """Add the command that writes a page about a map.

    Parameters
    ----------
    subparsers : argparse's subparsers
        Of the program's parser; the command's function is `run` in the parsed arguments.
    """
    parser = subparsers.add_parser(
        "report",
        help="write one page that shows a map and the spectra behind it",
        description="Write one HTML file that shows a map of `map`: zoom it, click a pixel for its "
        "spectrum and trust, compare classes with the library, see the assessment and what was "
        "warned. It needs no network, and can be mailed.",
    )
    parser.add_argument(
        "map", type=Path,
        help="class map of `map`: GeoTIFF, or ENVI header; layers that --trust wrote beside it are "
        "shown",
    )  # fmt: skip
    parser.add_argument("--scene", required=True, type=Path, help="the scene that was mapped")
    parser.add_argument(
        "--model", type=Path, help="model file that made the map: shows its pruning and its library"
    )
    parser.add_argument(
        "--truth", type=Path, help="places whose class is known, as `assess` takes them"
    )
    parser.add_argument("--label", default="label", help="column of the truth's class (label)")
    parser.add_argument(
        "--rename", type=pair_of_names, action="append", default=[], metavar="OLD=NEW",
        help="take a class of the truth for one of the map, as `assess` does",
    )  # fmt: skip
    parser.add_argument("--crs", help="coordinate system of the truth, such as EPSG:32611")
    parser.add_argument("--output", required=True, type=Path, help="the page, NAME.html")
    parser.add_argument("--title", help="heading of the page (the names of the files)")
    parser.add_argument("--nodata", type=float, help="stored number for no data (the file's)")
    parser.add_argument("--scale", type=float, help="stored number for reflectance 1 (the file's)")
    parser.add_argument(
        "--wavelengths", type=band_centres, metavar="NM",
        help="band centres of the scene in nm or um, a list or a text file of them (the file's)",
    )  # fmt: skip
    parser.add_argument(
        "--bad-bands", type=nm_ranges, metavar="NM",
        help="wavelengths to leave out beside the file's bad bands, such as 1340-1450,2005",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    parser.set_defaults(run=_report, options=OPTIONS)


def _report(arguments: argparse.Namespace) -> None:
    from ..deploy import load_model
    from ..reports import write_report
    from ._scene_bands import mask_of_bad_bands

    output = arguments.output
    inputs = {"map": arguments.map, "scene": arguments.scene}
    inputs |= {"model": arguments.model, "truth": arguments.truth}
    refuse_files_of(output, inputs, own=".html")
    assessment, notes = _assessed(arguments)
    write_report(
        output,
        arguments.map,
        arguments.scene,
        model=None if arguments.model is None else load_model(arguments.model),
        assessment=assessment,
        title=arguments.title,
        notes=notes,
        nodata=arguments.nodata,
        scale=arguments.scale,
        wavelengths=arguments.wavelengths,
        bad_bands=mask_of_bad_bands(arguments.scene, arguments.bad_bands, arguments.wavelengths),
        verbose=not arguments.quiet,
    )
    print(f"written: {output}, {output.stat().st_size / 1e6:.1f} MB; open it in a browser")


def _assessed(arguments: argparse.Namespace):
    """Assess the map where there is a truth; what that warns of belongs on the page as well."""
    from .._warn import warn
    from ..scenes import assess

    if arguments.truth is None:
        return None, []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = assess(
            arguments.map,
            arguments.truth,
            label=arguments.label,
            names=dict(arguments.rename),
            crs=arguments.crs,
        )
    for warning in caught:
        warn(str(warning.message), warning.category)
    return found, [str(warning.message) for warning in caught]
