"""An assessment as one table, as text, and as LaTeX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from ._assessment import Assessment

__all__ = ["as_frame", "as_latex", "as_text"]

#: What LaTeX reads as more than a letter.
SPECIAL = {c: rf"\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


def as_frame(found: Assessment) -> pd.DataFrame:
    """All figures in one table, the last row of which is about the whole map."""
    frame = found.classes.join(found.counts.add_prefix("truth: "))
    whole = frame.sum()
    whole[["user", "producer"]] = found.overall
    whole[["user_margin", "producer_margin"]] = found.overall_margin
    whole["area_margin"] = np.nan
    frame.loc["overall"] = whole
    counted = [name for name in frame.columns if name.startswith("truth: ")]
    frame[counted] = frame[counted].astype(int)
    frame["kappa"] = pd.Series({"overall": found.kappa})
    return frame.rename_axis("class")


def as_text(found: Assessment) -> str:
    """Confusion of places, overall figures, and the classes."""
    counts = found.counts.to_numpy()
    right, of_class = counts.diagonal(), counts.sum(axis=0)
    recall = right[of_class > 0] / of_class[of_class > 0]
    unit = f", areas in {found.area_unit}" if found.area_unit else ""
    parts = [
        *found.notes,
        f"{counts.sum():,} places: {right.sum() / counts.sum():.3f} of them right, balanced "
        f"{recall.mean():.3f}",
        "\nplaces, map in rows and truth in columns:",
        found.counts.to_string(),
        f"\nof the map's area: overall {found.overall:.3f} +- {found.overall_margin:.3f}, kappa "
        f"{found.kappa:.3f}",
        f"\nby class{unit}, with {found.confidence:.0%} intervals (user: part of the mapped class "
        "that\nis it; producer: part of the class that is mapped as it):",
        found.classes.round(3).to_string(),
    ]
    few = found.counts.index[counts.sum(axis=1) == 1]
    if len(few):
        parts.append(
            f"\nof {', '.join(map(str, few))} a single mapped place is labelled, which says "
            "nothing of the spread:\nmargins are nan. Label more places there."
        )
    return "\n".join(parts)


def as_latex(found: Assessment, caption: str | None, label: str | None) -> str:
    """Confusion matrix with the accuracies at its sides, as papers print it."""
    names = [_escaped(str(name)) for name in found.counts.columns]
    counts, classes = found.counts.to_numpy(), found.classes
    digits = 0 if classes["area"].sum() >= 1000 else 3

    def line(*cells: str) -> str:
        return " & ".join(cells) + r" \\"

    def sided(column: str, digits: int = 2) -> list[str]:
        pairs = zip(classes[column], classes[f"{column}_margin"], strict=True)
        return [_plus_minus(value, margin, digits) for value, margin in pairs]

    unit = f" / {found.area_unit}" if found.area_unit else ""
    overall = _plus_minus(found.overall, found.overall_margin, 2)
    rows = [
        line("", *names, "total", "user's"),
        r"\midrule",
        *(
            line(name, *map(str, row), str(row.sum()), user)
            for name, row, user in zip(names, counts, sided("user"), strict=True)
        ),
        r"\midrule",
        line("total", *map(str, counts.sum(axis=0)), str(counts.sum()), ""),
        line("producer's", *sided("producer"), "", overall),
        line(f"area{unit}", *sided("area", digits), f"{classes['area'].sum():.{digits}f}", ""),
    ]
    columns = "l" + "r" * (len(names) + 2)
    table = [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if caption is not None or label is not None:
        table = [
            r"\begin{table}",
            r"\centering",
            *([rf"\caption{{{caption}}}"] if caption is not None else []),
            *([rf"\label{{{label}}}"] if label is not None else []),
            *table,
            r"\end{table}",
        ]
    return "\n".join(table) + "\n"


def _plus_minus(value: float, margin: float, digits: int) -> str:
    """Write a value with its margin; a dash where there is none."""
    if np.isnan(value):
        return "--"
    shown = f"{value:.{digits}f}"
    return shown if np.isnan(margin) else rf"${shown} \pm {margin:.{digits}f}$"


def _escaped(name: str) -> str:
    return "".join(SPECIAL.get(letter, letter) for letter in name)
