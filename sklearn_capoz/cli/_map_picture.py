"""A picture of a map, and where its absorptions lie and how deep they are."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..displays import MineralMapDisplay
from ..displays._style import pyplot
from ..formats._atomic import check_target, write_atomically
from ..scenes import read_class_map
from ..scenes._model import SceneModel
from ..spectral import AbsorptionFeatures
from ._arguments import refuse_files_of

__all__ = ["absorption_features", "check_picture", "draw_picture"]

#: Pixels of the map that are drawn at most: matplotlib takes some 90 bytes for each, and nobody
#: sees more of them.
MOST_PIXELS = 1_000_000

#: Pixels of the picture per inch, so that each drawn pixel of a map of that width gets one.
LEAST_DPI, INCHES = 150, 4.7


def absorption_features(model) -> AbsorptionFeatures:
    """Position and depth of the absorptions of common minerals, in the bands of a model.

    Raises
    ------
    ValueError
        If the model does not know its wavelengths.
    """
    taken = SceneModel.of(model)
    if taken.wavelengths is None:
        raise ValueError(
            "--features absorption needs the wavelengths of the model's bands, which it does not "
            "know: train it on spectra whose bands have wavelengths."
        )
    features = AbsorptionFeatures(
        taken.wavelengths.tolist(), parameters=("position", "depth"), on_missing="nan"
    )
    return features.fit(np.zeros((1, taken.n_bands)))


def check_picture(arguments: argparse.Namespace) -> None:
    """See that a picture can be drawn and written, before hours of mapping."""
    picture = arguments.picture
    if picture.suffix.lower() != ".png":
        raise ValueError(f"--picture must end in .png, got {picture}.")
    check_target(picture)
    pyplot()  # or say what to install
    inputs = {"scene": arguments.scene, "model": arguments.model}
    refuse_files_of(picture, inputs, own=".png", option="--picture")


def draw_picture(path: Path, picture: Path) -> None:
    """Draw a map in a file, of a large one every so many pixels."""
    found = read_class_map(path)
    step = math.ceil(math.sqrt(found.codes.size / MOST_PIXELS))
    drawn = replace(found, codes=found.codes[::step, ::step])
    n_rows, n_columns = found.shape
    # The axes count the pixels of the map, not those that are drawn.
    extent = (-0.5, n_columns - 0.5, n_rows - 0.5, -0.5)
    figure = MineralMapDisplay.from_map(drawn, extent=extent).figure_
    dpi = max(LEAST_DPI, drawn.codes.shape[1] / INCHES)
    with write_atomically(picture) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi, bbox_inches="tight")
    pyplot().close(figure)
