"""What tests of claims need: stored numbers, texts, and whether the two agree."""

import re
from pathlib import Path

import pandas as pd

from benchmarks._in_short import Numbers

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"


def stored(name):
    return Numbers(pd.read_csv(RESULTS / f"{name}.csv"))


def text_of(file):
    """Return a file's text, a space for each run of white space."""
    return " ".join((ROOT / file).read_text("utf-8").split())


def agree(text, values):
    """Return whether the numbers of a text are these, rounded as they are printed.

    Stored are five digits, so that a half may be rounded up or down.
    """
    printed = re.findall(r"\d[\d,]*(?:\.\d+)?", text)
    return len(printed) == len(values) and all(
        abs(float(number.replace(",", "")) - value)
        <= 0.5 * 10.0 ** -len(number.partition(".")[2]) + 5e-5 * abs(value)
        for number, value in zip(printed, values, strict=True)
    )


def spread(of, **where):
    (row,) = of.rows(**where).to_dict("records")
    return [100 * row["accuracy"], 100 * row["accuracy_std"]]
