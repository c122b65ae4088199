"""Means, spreads and paired tests over seeds, and sentences that say no more than these show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import linregress

from sklearn_capoz.model_selection import holm, paired_p, paired_tests

__all__ = ["LEVEL", "compare", "differences", "exponent", "holm", "mean_std", "paired_p", "verdict"]

#: Level of every test, after Holm's correction within its table.
LEVEL = 0.05


def compare(
    table: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    units: Sequence[int],
    value: str = "accuracy",
) -> pd.DataFrame:
    """Differences of pairs of methods at matched size, tested over seeds.

    Parameters
    ----------
    table : DataFrame
        Columns `seed`, `method`, `units` and `value` (0 to 1).
    pairs : sequence of (method, against)
    units : sequence of int

    Returns
    -------
    DataFrame
        Columns units, method, against, difference and std (percentage points), p, p_holm; Holm's
        correction is over all rows.
    """
    renamed = table.rename(columns={"seed": "repeat", value: "score"})
    found = paired_tests(renamed, pairs, size="units", sizes=units)
    found[["difference", "std"]] *= 100
    return found.drop(columns="n_repeats")


def mean_std(values: pd.Series, scale: float = 100.0, digits: int = 1) -> str:
    """Mean ± standard deviation, of shares in percent."""
    spread = values.std() if len(values) > 1 else 0.0
    return f"{scale * values.mean():.{digits}f} ± {scale * spread:.{digits}f}"


def differences(comparison: pd.DataFrame) -> pd.DataFrame:
    """Format a comparison as a table, differences in percentage points."""
    found = comparison
    return pd.DataFrame(
        {
            "units": found["units"],
            "method": found["method"],
            "against": found["against"],
            "difference / points": [
                f"{d:+.2f} ± {s:.2f}"
                for d, s in zip(found["difference"], found["std"], strict=True)
            ],
            "p": [_p(p) for p in found["p"]],
            "p (Holm)": [_p(p) for p in found["p_holm"]],
            "": [
                ("higher" if d > 0 else "lower") if p < LEVEL else "not significant"
                for d, p in zip(found["difference"], found["p_holm"], strict=True)
            ],
        }
    )


def verdict(comparison: pd.DataFrame) -> str:
    """Say in words which differences are significant and which are not."""
    significant = comparison["p_holm"] < LEVEL
    parts = {
        "significantly higher": comparison[significant & (comparison["difference"] > 0)],
        "significantly lower": comparison[significant & (comparison["difference"] < 0)],
        "no significant difference": comparison[~significant],
    }
    sentences = []
    for name, rows in parts.items():
        groups = [
            f"{method} against " + ", ".join(_against(found))
            for method, found in rows.groupby("method", sort=False)
        ]
        listed = "; ".join(groups) if groups else "none"
        sentences.append(f"- {name[0].upper()}{name[1:]}: {listed}.")
    head = f"Paired Wilcoxon test over seeds, Holm's correction over {len(comparison)} tests, 5 %:"
    return "\n".join([head, "", *sentences])


def _against(rows: pd.DataFrame) -> list[str]:
    """Name what one method was compared with, and the difference at every size."""
    return [
        f"{against} ("
        + ", ".join(
            f"{units} units: {difference:+.2f}"
            for units, difference in zip(found["units"], found["difference"], strict=True)
        )
        + ")"
        for against, found in rows.groupby("against", sort=False)
    ]


def _p(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else "< 0.0001"


def exponent(n: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """Return the slope of the larger half of a curve in logarithms, and its standard error."""
    half = slice(-max(3, len(n) // 2 + 1), None)
    line = linregress(np.log(np.asarray(n)[half]), np.log(np.asarray(seconds)[half]))
    return float(line.slope), float(line.stderr)
