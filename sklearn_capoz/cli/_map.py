"""Command `map`: from a saved model and a scene to a map.

It is thin: what it does is a few calls of the public API. That is imported when the command runs,
so that a wrong call is answered at once.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ._arguments import band_centres, jobs, nm_ranges, pair_of_names

__all__ = ["add_map_parser"]

#: What `predict_scene` calls by a parameter and the command by an option.
OPTIONS = {
    "wavelengths": "--wavelengths",
    "bad_bands": "--bad-bands",
    "max_band_gap": "--max-band-gap",
    "reject_below": "--reject-below",
    "reject": "--reject",
    "trust": "--trust",
    "colors": "--color",
    "n_jobs": "--jobs",
    "scale": "--scale",
    "nodata": "--nodata",
    "resume": "--resume",
    "output": "--output",
}


def add_map_parser(subparsers) -> None:
    """Add the command that maps a scene with a saved model.

    Parameters
    ----------
    subparsers : argparse's subparsers
        Of the program's parser; the command's function is `run` in the parsed arguments.
    """
    parser = subparsers.add_parser(
        "map",
        help="map a scene with a saved model",
        description="Classify every pixel of an ENVI file or GeoTIFF of any size.",
    )
    parser.add_argument("scene", type=Path, help="ENVI header or data file, or GeoTIFF")
    parser.add_argument("--model", required=True, type=Path, help="model file of `train`")
    parser.add_argument(
        "--output", required=True, type=Path, help=".tif writes a GeoTIFF, .hdr an ENVI file"
    )
    parser.add_argument("--proba", action="store_true", help="also write class probabilities")
    parser.add_argument(
        "--features", nargs="?", const="model", choices=["model", "absorption"],
        help="also write the model's features; or, with 'absorption', where the absorptions of "
        "common minerals lie in nm and how deep they are",
    )  # fmt: skip
    parser.add_argument(
        "--picture", type=Path, metavar="PNG", help="also draw the map as a picture"
    )
    parser.add_argument(
        "--trust", action="store_true",
        help="also write how far to trust each pixel's name: probability, margin, agreement with "
        "matching, and likeness to the library",
    )  # fmt: skip
    parser.add_argument(
        "--reject", choices=["default", "none"], default="default",
        help="'default' rejects pixels that are unlike everything in the library, where the model "
        "has learnt that; 'none' names every pixel",
    )  # fmt: skip
    parser.add_argument(
        "--color", type=pair_of_names, action="append", default=[], metavar="NAME=#RRGGBB",
        help="colour of a class, such as Alunite=#d55e00, in all files and pictures of the map "
        "(each mineral has one of its own). May be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--reject-below", type=float, metavar="P", help="reject pixels less probable than P"
    )
    parser.add_argument("--nodata", type=float, help="stored number for no data (the file's)")
    parser.add_argument("--scale", type=float, help="stored number for reflectance 1 (the file's)")
    parser.add_argument(
        "--wavelengths", type=band_centres, metavar="NM",
        help="band centres of the scene in nm or um, a list such as 1990,2000.5,2010 or a text "
        "file of them (the file's)",
    )  # fmt: skip
    parser.add_argument(
        "--bad-bands", type=nm_ranges, metavar="NM",
        help="wavelengths to leave out beside the file's bad bands, such as 1340-1450,2005",
    )  # fmt: skip
    parser.add_argument(
        "--max-band-gap", type=float, default=20.0, metavar="NM",
        help="largest distance from a band of the model to one of the scene (20 nm)",
    )  # fmt: skip
    parser.add_argument("--jobs", type=jobs, default=-1, help="threads; -1 is every core (-1)")
    parser.add_argument("--resume", action="store_true", help="go on where a run was interrupted")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    parser.set_defaults(run=_map, options=OPTIONS)


def _map(arguments: argparse.Namespace) -> None:
    from ..deploy import load_model, predict_scene
    from ..scenes._model import SceneModel
    from ..scenes._output import refuse_inputs, work_path
    from ._map_picture import absorption_features, check_picture, draw_picture
    from ._scene_bands import mask_of_bad_bands

    refuse_inputs(arguments.output, [arguments.model])
    if arguments.picture is not None:
        check_picture(arguments)
    model = load_model(arguments.model)
    _check_colored([name for name, _ in arguments.color], SceneModel.of(model).classifier.classes_)
    absorption = arguments.features == "absorption"
    try:
        found = predict_scene(
            model,
            arguments.scene,
            output=arguments.output,
            proba=arguments.proba,
            features=absorption_features(model) if absorption else arguments.features,
            trust=arguments.trust,
            reject=None if arguments.reject == "none" else arguments.reject,
            reject_below=arguments.reject_below,
            colors=dict(arguments.color),
            nodata=arguments.nodata,
            scale=arguments.scale,
            wavelengths=arguments.wavelengths,
            bad_bands=mask_of_bad_bands(
                arguments.scene, arguments.bad_bands, arguments.wavelengths
            ),
            max_band_gap=arguments.max_band_gap,
            n_jobs=arguments.jobs,
            resume=arguments.resume,
            verbose=not arguments.quiet,
        )
    except KeyboardInterrupt:
        if work_path(arguments.output).exists():
            print("\nThe finished part is kept: go on with --resume.", file=sys.stderr)
        raise
    encoding = sys.stdout.encoding or "utf-8"  # which may lack a name's letters
    names = [name.encode(encoding, "replace").decode(encoding) for name in found.class_names]
    width = max(map(len, names))
    for name, count in zip(names, found.counts, strict=True):
        print(f"{name:<{width}}  {count:>12,} pixels  {count / found.counts.sum():7.2%}")
    files = list(found.files)
    if arguments.picture is not None:
        draw_picture(files[0], arguments.picture)
        files.append(arguments.picture)
    print("written:", *map(str, files))


def _check_colored(names: list[str], classes) -> None:
    """Refuse the colour of a class that the map will not have: a slip of the pen as a rule."""
    known = [*map(str, classes), "rejected", "no data"]
    found = {name.casefold() for name in known}  # as colours are looked up
    if odd := [name for name in names if name.casefold() not in found]:
        raise ValueError(
            f"--color {odd[0]}: the map has no such class; it has {', '.join(known)[:300]}."
        )
