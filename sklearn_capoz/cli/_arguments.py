"""Types of arguments that the commands share, and a library's words told as a command's options."""

from __future__ import annotations

import argparse
import glob
import math
import re
from collections.abc import Mapping
from pathlib import Path

__all__ = [
    "above_zero", "band_centres", "jobs", "nm_ranges", "number", "pair_of_names",
    "refuse_files_of", "share", "told_in_options", "words",
]  # fmt: skip

#: A text file of band centres is small: 10,000 numbers of 20 letters.
_MAX_FILE_BYTES = 200_000


def refuse_files_of(
    output: Path, inputs: Mapping[str, Path | None], own: str, option: str = "--output"
) -> None:
    """Raise where an output would replace a file that the run reads.

    A raster is several files, and readers find them by their names: data and header, class names,
    masks, overviews. So every file that begins as an input does is one of it, but for those with
    the suffix `own`, which the command itself writes. A link is what it leads to, and that is what
    would be replaced.
    """
    for what, path in inputs.items():
        if path is None or not output.exists():
            continue
        beside = path.parent.glob(f"{glob.escape(path.name.partition('.')[0])}.*")
        family = [file for file in beside if output.resolve().suffix.lower() != own]
        for file in (path, *family):
            if file.exists() and output.samefile(file):
                raise FileExistsError(
                    f"{option} {output} is the {what}, or one of its files, and is read by this "
                    "run; name another file."
                )


def number(kind, least, most=math.inf):
    """Type of an argument that is a number between two others, ends included."""

    def convert(text):
        value = kind(text)
        if not least <= value <= most:
            upper = "" if most == math.inf else f" and at most {most}"
            raise argparse.ArgumentTypeError(f"must be at least {least}{upper}, got {text}")
        return value

    convert.__name__ = kind.__name__  # argparse names it for what is no number
    return convert


def jobs(text: str) -> int:
    """Read a number of threads, or -1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value == 0:
        raise argparse.ArgumentTypeError(f"must be a number of threads or -1, got {text}")
    return value


def share(text: str) -> float:
    """Read a number between 0 and 1, neither of them."""
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1, got {text}")
    return value


def above_zero(text: str) -> float:
    """Read a number above 0."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text}")
    return value


def pair_of_names(text: str) -> tuple[str, str]:
    """Read a pair such as chlorite=Chlorite; nothing behind the sign leaves a class out."""
    old, sign, new = text.partition("=")
    if not (sign and old.strip()):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no pair of names such as chl=Chlorite, or chl= to leave it out"
        )
    return old.strip(), new.strip()


def words(text: str) -> list[str]:
    """Read names such as Alunite,Calcite."""
    return [name.strip() for name in text.split(",") if name.strip()]


def nm_ranges(text: str) -> list[tuple[float, float]]:
    """Read ranges such as 1340-1450,2005."""
    ranges = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        try:
            ends = float(low), float(high if dash else low)
        except ValueError:
            ends = math.nan, math.nan
        if not 0 < ends[0] <= ends[1] < math.inf:
            raise argparse.ArgumentTypeError(
                f"{part.strip()!r} is no wavelength in nm such as 2005, and no range of them such "
                "as 1340-1450"
            )
        ranges.append(ends)
    return ranges


def band_centres(text: str) -> list[float]:
    """Read band centres, from a list such as 1990,2000.5,2010 or from a text file that holds one.

    What separates the numbers of a file does not matter.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        path = Path(text)
    if not path.is_file() or path.stat().st_size > _MAX_FILE_BYTES:
        raise argparse.ArgumentTypeError(
            f"{text!r:.60} is no list of numbers such as 1990,2000.5,2010, and no text file of them"
        )
    try:
        return [float(part) for part in re.split(r"[\s,;]+", path.read_text("utf-8-sig").strip())]
    except ValueError as error:  # a text in another encoding is one as well
        raise argparse.ArgumentTypeError(f"{path} holds more than numbers: {error}") from None


def told_in_options(message: str, options: Mapping[str, str]) -> str:
    """Name the command's options where a message of the library names its parameters.

    Parameters
    ----------
    message : str
    options : dict
        Parameter -> what the command has for it. A parameter that is an everyday word, such as
        scale, is told from the word by what stands around it: "as scale", "scale=", "(scale)".
    """
    for name, option in options.items():
        if "_" in name:
            pattern = rf"\b{name}\b"
        else:
            before = "|".join(rf"(?<=\b{word} ){name}\b" for word in ("as", "give", "without"))
            pattern = rf"{before}|(?<=\(){name}(?=\))|\b{name}(?==)"
            pattern += rf"|^{name}(?= must\b| .+ (?:would|is a|is no)\b)"  # "output map.tif would"
        message = re.sub(rf"(?:{pattern})(?:=True\b)?", option, message)
    return message
