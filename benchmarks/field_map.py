"""Map real pixels of Cuprite by the two commands, beside matching with the library.

Run with `python -m benchmarks field_map --data-home FOLDER [--seeds 5]`. `train` gets the USGS
records of seven minerals as a table, with and without the scene, all else by default; `map` names
712 AVIRIS pixels, of which USGS Tetracorder names 452. Nothing may be chosen by these pixels: 14 of
them, of two minerals, make a third of the balanced accuracy.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, recall_score

from benchmarks._cuprite_field import Cuprite, map_scene, trained, write_cuprite
from sklearn_capoz.spectral import SpectralMatcher

#: Between carbon dioxide and water vapour, nm.
WINDOW = (2080, 2420)


def accuracies(y: np.ndarray, named: np.ndarray) -> dict[str, float]:
    """Overall, balanced over the minerals that y has, and their mean."""
    overall = float(accuracy_score(y, named))
    balanced = float(recall_score(y, named, labels=np.unique(y), average="macro"))
    return {"overall": overall, "balanced": balanced, "mean": (overall + balanced) / 2}


def matching(cuprite: Cuprite) -> pd.DataFrame:
    """Return the accuracies of the nearest record, in all bands and without their ends."""
    table = pd.read_csv(cuprite.table)
    rows = {}
    for name, ranges in (("all bands", None), ("2080 to 2420 nm", [WINDOW])):
        nm = table.columns[2:].astype(float)
        matcher = SpectralMatcher(wavelengths=nm.tolist(), ranges=ranges)
        named = matcher.fit(table.iloc[:, 2:].to_numpy(), table["mineral"]).predict(cuprite.X)
        rows[f"matching, {name}"] = accuracies(cuprite.y[cuprite.is_named], named[cuprite.is_named])
    return pd.DataFrame.from_dict(rows, orient="index")


def measure(data_home: Path, folder: Path, n_seeds: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a row for each training, and the recalls of each mineral."""
    rows, recalls = [], []
    cuprite = write_cuprite(data_home, folder)
    known = cuprite.y[cuprite.is_named]
    print(matching(cuprite).round(3).to_string(), flush=True)
    for road in ("train --scene", "train"):
        for seed in range(n_seeds):
            start, busy = perf_counter(), process_time()
            model = trained(cuprite, folder, seed, with_scene=road != "train")
            seconds = {"s": perf_counter() - start, "CPU s": process_time() - busy}
            named = map_scene(cuprite, model, folder / "map.tif", "--reject", "none")
            found = named[cuprite.is_named]
            rows.append({"road": road, "seed": seed, **accuracies(known, found), **seconds})
            recalls.append(pd.Series(found == known).groupby(known).mean().rename(road))
            print(pd.DataFrame(rows[-1:]).round(3).to_string(header=False), flush=True)
    return pd.DataFrame(rows), pd.concat(recalls, axis=1)


def main() -> None:
    """Print accuracies, seed by seed and in the mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", required=True, type=Path, help="folder of the data sets")
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each road")
    parser.add_argument("--models", type=Path, help="folder of models, to be used again")
    arguments = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = arguments.models or Path(name)
        rows, recalls = measure(arguments.data_home, folder, arguments.seeds)
    figures = ["overall", "balanced", "mean", "s", "CPU s"]
    print(rows.groupby("road")[figures].agg(["mean", "std"]).round(3).to_string())
    print(recalls.T.groupby(level=0).mean().T.round(2).to_string())


if __name__ == "__main__":
    main()
