"""Command `assess`: how right a map is, by places whose class is known.

It is thin: what it computes is `scenes.assess`, which is imported when the command runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ._arguments import refuse_files_of, share

__all__ = ["add_assess_parser"]

OPTIONS = {"confidence": "--confidence", "output": "--output"}

#: What `map` calls pixels that it does not name; no truth has such a class.
REJECTED = "rejected"


def _rename(text: str) -> tuple[str, str]:
    """Read a pair such as chlorite=Chlorite; nothing behind the sign leaves a class out."""
    old, sign, new = text.partition("=")
    if not (sign and old.strip()):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no pair of names such as chl=Chlorite, or chl= to leave it out"
        )
    return old.strip(), new.strip()


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
        help="classes of the same grid as GeoTIFF or ENVI file, 0 where nothing is known; or a CSV "
        "table of points with columns row and column, counted from 0, and label",
    )  # fmt: skip
    parser.add_argument(
        "--label", default="label", help="column of the table that holds the class (label)"
    )
    parser.add_argument(
        "--rename", type=_rename, action="append", default=[], metavar="OLD=NEW",
        help="take a class of the truth for one of the map; OLD= leaves its places out, and "
        "OLD=OLD keeps a class that the map has not. May be given several times",
    )  # fmt: skip
    parser.add_argument("--confidence", type=share, default=0.95, help="of the intervals (0.95)")
    parser.add_argument("--output", type=Path, help="CSV file to write the table to")
    parser.set_defaults(run=_assess, options=OPTIONS)


def _assess(arguments: argparse.Namespace) -> None:
    import numpy as np

    from ..formats._atomic import check_target, write_atomically
    from ..scenes import assess, read_class_map

    output = arguments.output
    if output is not None:
        check_target(output)
        inputs = {"map": arguments.map, "truth": arguments.truth}
        refuse_files_of(output, inputs, own=".csv")
    mapped = read_class_map(arguments.map)
    names = np.array(mapped.named())
    codes, truth = _places(mapped, arguments)
    truth = _with_names_of_the_map(truth, mapped.named()[1:], arguments)
    there = (codes > 0) & (truth != "")
    if n_blank := int(((codes == 0) & (truth != "")).sum()):
        print(f"left out: {n_blank:,} labelled places where the map has no data")
    if not there.any():
        raise ValueError(
            f"no labelled place of {arguments.truth} lies where {arguments.map} has a class."
        )
    said, truth = names[codes[there]], truth[there]
    areas = mapped.areas
    without = {name: n for name, n in areas.items() if name not in set(said)}
    if without:
        n_pixels = sum(areas.values())
        shares = ", ".join(f"{name} ({n / n_pixels:.1%})" for name, n in without.items())
        print(f"no labelled place lies where the map has {shares}: what follows is about the rest")
    areas = {name: n for name, n in areas.items() if name not in without}
    found = assess(said, truth, areas=areas, confidence=arguments.confidence)
    _say(found, said, truth)
    if output is not None:
        table = found.classes.join(found.counts.add_prefix("truth: "))
        with write_atomically(output) as temporary:
            table.to_csv(temporary)
        print(f"written: {output}")


def _places(mapped, arguments):
    """Codes of the map and names of the truth ("" for none), of the same places."""
    import numpy as np

    from ..scenes import read_class_map
    from ..scenes._truth import check_grid, read_points

    if arguments.truth.suffix.lower() in (".csv", ".txt", ".tsv"):
        rows, columns, labels = read_points(arguments.truth, arguments.label, mapped.shape)
        return mapped.codes[rows, columns], labels
    truth = read_class_map(arguments.truth)
    check_grid(mapped, truth)
    names = truth.class_names
    if names is None:
        if truth.codes.max() >= len(mapped.named()):
            raise ValueError(
                f"{truth} has no class names, and holds the code {truth.codes.max()}, which the "
                f"map has not: its codes are {dict(enumerate(mapped.named()))}."
            )
        print(f"{truth} has no class names: its codes are taken for those of the map")
        names = mapped.named()
    labelled = truth.codes > 0
    return mapped.codes[labelled], np.array(names)[truth.codes[labelled]]


def _with_names_of_the_map(truth, classes, arguments):
    """Rename the truth's classes, and refuse those that only one side knows."""
    import numpy as np

    renamed = dict(arguments.rename)
    there = set(np.unique(truth).tolist())
    if absent := sorted(set(renamed) - there):
        raise ValueError(
            f"--rename {absent[0]}: {arguments.truth} has no such class; it has "
            f"{', '.join(sorted(there))[:200]}."
        )
    known = {name for name in classes if name != REJECTED} | set(renamed)
    if strange := sorted(there - known):
        raise ValueError(
            f"{arguments.truth} has {', '.join(strange)[:200]}, which the map has not; its classes "
            f"are {', '.join(classes)[:200]}. Say --rename '{strange[0]}=NAME' for one of these, "
            f"--rename '{strange[0]}=' to leave its places out, or --rename "
            f"'{strange[0]}={strange[0]}' where the map should have had it."
        )
    return np.array([renamed.get(name, name) for name in truth.tolist()])


def _say(found, said, truth) -> None:
    import numpy as np

    recalls = [np.mean(said[truth == name] == name) for name in np.unique(truth)]
    print(
        f"{len(said):,} places: {np.mean(said == truth):.3f} of them right, balanced "
        f"{np.mean(recalls):.3f}\n\nplaces, map in rows and truth in columns:"
    )
    print(found.counts.to_string())
    print(
        f"\nof the map's area: overall {found.overall:.3f} +- {found.overall_margin:.3f}, kappa "
        f"{found.kappa:.3f}\n\nby class, areas in pixels, with {found.confidence:.0%} intervals "
        "(user: part of the mapped class that\nis it; producer: part of the class that is mapped "
        "as it):"
    )
    print(found.classes.round(3).to_string())
    few = found.counts.index[found.counts.sum(axis=1) == 1]
    if len(few):
        print(
            f"\nof {', '.join(map(str, few))} a single mapped place is labelled, which says "
            "nothing of the spread:\nmargins are nan. Label more places there."
        )
