"""Map real pixels of Cuprite by the two commands, beside matching with the library.

Run with `python -m benchmarks field_map --data-home FOLDER --seeds 5`. `train` gets the USGS
records of seven minerals as a table, with and without the scene, all else by default; `map` names
712 AVIRIS pixels, of which USGS Tetracorder names 452. Nothing may be chosen by these pixels: 14 of
them, of two minerals, make a third of the balanced accuracy.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, recall_score

from sklearn_capoz.spectral import SpectralMatcher

from ._cuprite_field import Cuprite, map_scene, trained, write_cuprite
from ._protocol import Options
from ._report import Report
from ._statistics import mean_std

TITLE = "Field: from a library of the laboratory to real pixels"

ROADS = ("train --scene", "train")
#: Between carbon dioxide and water vapour, nm.
WINDOW = (2080, 2420)


def accuracies(y: np.ndarray, named: np.ndarray) -> dict[str, float]:
    """Overall, balanced over the minerals that y has, and their mean."""
    overall = float(accuracy_score(y, named))
    balanced = float(recall_score(y, named, labels=np.unique(y), average="macro"))
    return {"overall": overall, "balanced": balanced, "mean": (overall + balanced) / 2}


def matching(cuprite: Cuprite) -> list[dict]:
    """Return the accuracies of the nearest record, in all bands and without their ends."""
    table = pd.read_csv(cuprite.table)
    nm = table.columns[2:].astype(float).tolist()
    rows = []
    for name, ranges in (("all bands", None), ("2080 to 2420 nm", [WINDOW])):
        matcher = SpectralMatcher(wavelengths=nm, ranges=ranges)
        named = matcher.fit(table.iloc[:, 2:].to_numpy(), table["mineral"]).predict(cuprite.X)
        found = accuracies(cuprite.y[cuprite.is_named], named[cuprite.is_named])
        rows.append({"road": f"matching, {name}"} | found)
    return rows


def measure(data_home: Path, folder: Path, n_seeds: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a row for each training and for matching, and the recalls of each mineral."""
    cuprite = write_cuprite(data_home, folder)
    known = cuprite.y[cuprite.is_named]
    rows, recalls = [], []
    for road in ROADS:
        for seed in range(n_seeds):
            begun = process_time()
            model = trained(cuprite, folder, seed, with_scene=road == ROADS[0])
            seconds = process_time() - begun
            named = map_scene(cuprite, model, folder / "map.tif", "--reject", "none")
            found = named[cuprite.is_named]
            row = {"road": road, "seed": seed} | accuracies(known, found)
            rows.append(row | {"processor_seconds": seconds})
            recalls.append(pd.Series(found == known).groupby(known).mean().rename(road))
    return pd.DataFrame(rows + matching(cuprite)), pd.concat(recalls, axis=1)


def run(options: Options, report: Report) -> None:
    """Measure, and write what both roads and matching get."""
    if options.data_home is None:
        raise SystemExit("field_map needs the USGS library and Cuprite: give --data-home FOLDER")
    with TemporaryDirectory() as folder:
        table, recalls = measure(options.data_home, Path(folder), options.seeds)
    report.text(
        "The USGS records of seven minerals are the table that `train` gets, with and without "
        "`--scene`, all else by default; `map --reject none` names 712 AVIRIS pixels, of which "
        "USGS Tetracorder names 452. Matching names each by the record of the largest correlation "
        "of hull quotients. Balanced: the mean of the minerals' recalls; 14 pixels of two minerals "
        "make a third of it. Nothing was chosen by these pixels but what the changelog names."
    )
    figures = ("overall", "balanced", "mean")
    cells = [
        {"road": road} | {figure: mean_std(rows[figure]) for figure in figures}
        for road, rows in table.groupby("road", sort=False)
    ]
    report.table(pd.DataFrame(cells))
    report.heading("Recalls", 4)
    recalls = 100 * recalls.T.groupby(level=0, sort=False).mean().T
    report.table(recalls.round(0).astype(int).rename_axis("mineral").reset_index())
    report.csv(table)
