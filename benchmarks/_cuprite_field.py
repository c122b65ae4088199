"""Cuprite as the command line meets it: a table of library spectra, and a scene of real pixels."""

from __future__ import annotations

from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
from spectral.io import envi

from sklearn_capoz.__main__ import main
from sklearn_capoz.datasets import CUPRITE_MINERALS, fetch_cuprite_pixels, fetch_usgs_splib
from sklearn_capoz.scenes import read_class_map

#: Pixels in a row of the scene that is made of the 712; their places in Cuprite play no part.
N_COLUMNS = 89


@dataclass(frozen=True, eq=False)
class Cuprite:
    """Files of a table and a scene, and the answers.

    Parameters
    ----------
    table, scene : Path
    X : ndarray of shape (n_pixels, 50), reflectance
        Row by row.
    y : ndarray of shape (n_pixels,), str
        What USGS Tetracorder names them; "" is another mineral or a mixture.
    """

    table: Path
    scene: Path
    X: np.ndarray
    y: np.ndarray

    @property
    def is_named(self) -> np.ndarray:
        return self.y != ""


def write_cuprite(data_home: Path, folder: Path) -> Cuprite:
    """Write the seven minerals as a table and all 712 pixels as a scene, in 50 bands."""
    folder.mkdir(parents=True, exist_ok=True)
    library = fetch_usgs_splib(data_home=data_home)
    minerals = library.target_names[library.target]
    seven = np.isin(minerals, CUPRITE_MINERALS)
    pixels = fetch_cuprite_pixels(data_home=data_home)
    columns = [f"{nm:.3f}" for nm in pixels.wavelengths]
    table = pd.DataFrame(library.data[seven][:, library.cuprite_bands], columns=columns)
    table.insert(0, "mineral", minerals[seven])
    table.insert(1, "sample", library.samples[seven])
    table.to_csv(folder / "library.csv", index=False)

    X = pixels.data.astype(np.float32)
    header = {
        "wavelength": columns,
        "wavelength units": "Nanometers",
        "fwhm": library.fwhm[library.cuprite_bands].tolist(),
    }
    cube = X.reshape(-1, N_COLUMNS, X.shape[1])
    envi.save_image(str(folder / "scene.hdr"), cube, metadata=header, force=True)
    names = np.append(pixels.target_names, "")  # -1 is the last
    return Cuprite(folder / "library.csv", folder / "scene.hdr", X, names[pixels.target])


def trained(cuprite: Cuprite, folder: Path, seed: int, *, with_scene: bool) -> Path:
    """Run `train`, unless the folder has that model already, and return its file."""
    model = folder / f"{'scene' if with_scene else 'alone'}{seed}.capoz"
    if not model.exists():
        scene = ["--scene", cuprite.scene] if with_scene else []
        _run(
            *("train", cuprite.table, "--label", "mineral", "--group", "sample", *scene),
            *("--output", model, "--seed", seed, "--quiet"),
        )
    return model


def map_scene(cuprite: Cuprite, model: Path, output: Path, *options: str) -> np.ndarray:
    """Run the command and return the name of every pixel."""
    _run("map", cuprite.scene, "--model", model, "--output", output, "--quiet", *options)
    found = read_class_map(output)
    return np.array(found.named())[found.codes.ravel()]


def _run(*arguments) -> None:
    said = StringIO()
    with redirect_stdout(said):
        code = main([str(argument) for argument in arguments])
    if code:
        raise RuntimeError(f"{arguments[0]} ended with {code}: {said.getvalue()}")
