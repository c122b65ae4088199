"""What is rejected by default, and what keeps its name: real pixels and measured materials.

Run with `python -m benchmarks field_trust --data-home FOLDER --seeds 5`. `train --scene` as in
`field_map`; its model is asked about the pixels of Cuprite that USGS Tetracorder names, made
spectra without absorptions, and the records of the ECOSTRESS library in the scene's bands, minerals
of the table left out. Nothing may be chosen by these.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from sklearn_capoz.datasets import CUPRITE_MINERALS
from sklearn_capoz.deploy import load_model
from sklearn_capoz.formats._ecostress import read_ecostress
from sklearn_capoz.spectral import SensorResampler

from ._cuprite_field import Cuprite, map_scene, trained, write_cuprite
from ._protocol import Options
from ._report import Report

TITLE = "Field: what is rejected by default, and what keeps its name"

#: Spectra of each made kind.
N_MADE = 400

#: Names of ECOSTRESS for the kinds of the library's files.
KINDS = {
    "mineral": "other minerals",
    "vegetation": "vegetation",
    "nonphotosyntheticvegetation": "bark, litter",
    "water": "water, snow",
    "rock": "rock",
    "soil": "soil",
    "manmade": "manmade",
}


def measured_materials(data_home: Path, nm: np.ndarray, fwhm: float) -> dict[str, np.ndarray]:
    """Read ECOSTRESS records in the bands, kind by kind, minerals of the table left out."""
    found: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS.values()}
    for path in sorted((data_home / "ecostress").glob("*.txt")):
        record = read_ecostress(path)
        kind = KINDS.get(path.name.split(".")[0])
        if kind is None or any(name in record.name for name in CUPRITE_MINERALS):
            continue
        X = SensorResampler(
            nm, fwhm=fwhm, wavelengths=record.wavelengths, on_missing="nan"
        ).fit_transform(record.data[None])
        if np.isfinite(X).all():
            found[kind].append(X[0])
    return {kind: np.array(spectra) for kind, spectra in found.items()}


def made_materials(n_bands: int, rng) -> dict[str, np.ndarray]:
    """Make ground without absorptions, at three noises each, and dark noise."""
    noise = rng.choice([0.005, 0.01, 0.02], (N_MADE, 1)) * rng.standard_normal((N_MADE, n_bands))
    along = np.linspace(0, 1, n_bands)
    ends = rng.uniform(0.05, 0.6, (2, N_MADE, 1))
    return {
        "flat": 0.3 * (1 + noise),
        "sloped": (ends[0] + (ends[1] - ends[0]) * along) * (1 + noise),
        "dark noise": 0.004 * rng.standard_normal((N_MADE, n_bands)),
    }


def judge(model, cuprite: Cuprite, kept: np.ndarray, others: dict[str, np.ndarray]) -> dict:
    """Return the part of known pixels that is kept, of others that is rejected, and the AUC."""
    known = cuprite.y[cuprite.is_named]
    row = {"kept": kept.mean(), "kept balanced": pd.Series(kept).groupby(known).mean().mean()}
    row |= {f"kept {name}": kept[known == name].mean() for name in np.unique(known)}
    likeness = {kind: model.trust_.likeness(X) for kind, X in others.items()}
    least = model.trust_.least_likeness
    row |= {f"rejected {kind}": (values < least).mean() for kind, values in likeness.items()}
    there = model.trust_.likeness(cuprite.X[cuprite.is_named])
    for kind in ("other minerals", "rock", "soil"):
        is_known = np.arange(len(there) + len(likeness[kind])) < len(there)
        row[f"AUC {kind}"] = roc_auc_score(is_known, np.r_[there, likeness[kind]])
    return row


def measure(data_home: Path, folder: Path, n_seeds: int) -> pd.DataFrame:
    """Return a row for each figure: of how many spectra it is, and its value for each seed."""
    cuprite = write_cuprite(data_home, folder)
    nm = pd.read_csv(cuprite.table, nrows=0).columns[2:].astype(float).to_numpy()
    others = measured_materials(data_home, nm, fwhm=10.0)
    others |= made_materials(len(nm), np.random.RandomState(0))
    columns = {}
    for seed in range(n_seeds):
        file = trained(cuprite, folder, seed, with_scene=True)
        named = map_scene(cuprite, file, folder / "trust.tif")
        kept = (named != "rejected")[cuprite.is_named]
        columns[f"seed{seed}"] = judge(load_model(file), cuprite, kept, others)
    table = pd.DataFrame(columns)
    table.insert(0, "n", [_size(what, cuprite, others) for what in table.index])
    return table.rename_axis("figure").reset_index()


def run(options: Options, report: Report) -> None:
    """Measure, and write each figure with its spread over the trainings."""
    if options.data_home is None or not (options.data_home / "ecostress").is_dir():
        raise SystemExit("field_trust needs Cuprite, the USGS and the ECOSTRESS library: give "
                         "--data-home FOLDER")  # fmt: skip
    with TemporaryDirectory() as folder:
        table = measure(options.data_home, Path(folder), options.seeds)
    report.text(
        "`train --scene` as in the part before, and its model by default: the part of the 452 "
        "named pixels that keep a name, and the part of what the table lacks that is rejected: "
        "spectra without absorptions, made with noise, and records of the ECOSTRESS library in "
        "the scene's bands. AUC: of the likeness, known pixels against that kind. Percent."
    )
    seeds = 100 * table.filter(like="seed")
    cells = {"figure": table["figure"], "n": table["n"]}
    cells |= {name: seeds.agg(name, axis=1).round(1) for name in ("mean", "min", "max")}
    report.table(pd.DataFrame(cells))
    report.csv(table)


def _size(what: str, cuprite: Cuprite, others: dict[str, np.ndarray]) -> int:
    """How many spectra a figure is of."""
    of_mineral = (cuprite.y == what.removeprefix("kept ")).sum()
    kind = what.removeprefix("rejected ").removeprefix("AUC ")
    return len(others[kind]) if kind in others else int(of_mineral or cuprite.is_named.sum())
