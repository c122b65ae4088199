"""What has to be right before a report is worked on: map, scene and model belong together."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .._warn import warn
from ..exceptions import DataFormatError
from ..formats._atomic import check_target
from ..scenes import ClassMap, predict_scene, read_class_map
from ..scenes._bands import calibrated, match_bands
from ..scenes._check import take_first_look
from ..scenes._grid import Grid
from ..scenes._model import SceneModel
from ..scenes._scratch import Scratch
from ..scenes._source import Source
from ..scenes._writers import plain

__all__ = ["MARKER", "check_map", "check_model", "check_output", "named_otherwise", "shown_bands"]

#: Stands near the beginning of every page, so that no other page is replaced.
MARKER = '<meta name="generator" content="sklearn_capoz report">'

#: Codes that a picture with a palette can have.
MOST_CODES = 256

#: Rows that the model is asked about again, and a share of other names that is worth a word.
N_ROWS, OTHERWISE = 8, 0.01

#: Largest distance of a band of the model from the scene's, as `predict_scene` has it.
MAX_BAND_GAP = 20.0


def check_output(output, inputs: Iterable[Path]) -> Path:
    """See that a page may be written there: over nothing but an earlier one.

    Raises
    ------
    ValueError
        If the name is not that of a page.
    FileExistsError
        If there is a file that is no report, or one that is read.
    """
    path = Path(output)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"output must end in .html, got {path}.")
    check_target(path)
    if path.exists():
        if any(file.exists() and path.samefile(file) for file in inputs):
            raise FileExistsError(f"output {path} is read by this run: choose another name.")
        with open(path, "rb") as file:
            if MARKER.encode() not in file.read(4096):
                raise FileExistsError(
                    f"output {path} is there, and is no report of this program: choose another "
                    "name, or remove it."
                )
    return path


def check_map(mapped: ClassMap, scene: Source) -> None:
    """See that a map is one of this scene, and can be shown.

    Raises
    ------
    DataFormatError
        If rows, columns or places differ, or there are too many classes.
    """
    name = str(scene.files[0]) if scene.files else "the scene"
    here = Grid.of(scene.shape, scene.georeference, name)
    try:
        here.check_same(Grid(mapped.shape, mapped.crs, mapped.transform, str(mapped)))
    except DataFormatError as error:
        # The remedy of a truth in another grid is none here.
        what = str(error).partition(": bring it")[0]
        raise DataFormatError(
            f"this is no map of this scene: {what}. Give the scene that it was made of."
        ) from error
    if len(mapped.named()) > MOST_CODES:
        raise DataFormatError(
            f"{mapped} has {len(mapped.named()):,} classes; a page shows {MOST_CODES - 2} at most."
        )
    if not (mapped.codes > 0).any():
        raise DataFormatError(f"{mapped} has no pixel with a class: there is nothing to report.")


def check_model(model, mapped: ClassMap, scene: Source) -> None:
    """See that a model names the classes of the map and finds its bands in the scene.

    Raises
    ------
    ValueError
        If it does not.
    """
    found = SceneModel.of(model)
    # Letters that a header cannot hold were changed in the map.
    named = {plain(str(name)) for name in found.classifier.classes_}
    codes = range(1, len(mapped.named()))
    in_map = {plain(mapped.named()[code]) for code in codes if code not in mapped.rejected}
    if named != in_map:
        raise ValueError(
            f"the model has other classes than {mapped}. Of the model only: "
            f"{_listed(named - in_map)}; of the map only: {_listed(in_map - named)}. Give the "
            "model that made the map."
        )
    match_bands(scene.wavelengths, scene.usable(), found.n_bands, found.wavelengths, MAX_BAND_GAP)


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))[:200] or "none"


def shown_bands(scene: Source, *, scale_told: bool) -> tuple[np.ndarray, list[str]]:
    """Bands that hold a signal, by wavelength, and what is to be said of the scene.

    Warns
    -----
    SceneLayoutWarning, UserWarning
        What a first look at the scene finds; the page says the same.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dead = take_first_look(scene, scale_told=scale_told).dead_bands()
        if dead.size:
            numbers = ", ".join(map(str, dead[:20])) + (", ..." if dead.size > 20 else "")
            warn(f"{dead.size} bands hold no signal and are left out: {numbers}, from 0.")
    notes = [str(warning.message) for warning in caught]
    for warning in caught:
        warn(str(warning.message), warning.category)
    good = scene.usable().copy()
    if left_out := int((~good).sum()):
        notes.append(f"{left_out} of {len(good)} bands are left out: a list calls them bad.")
    good[dead] = False
    bands = np.flatnonzero(good)
    if scene.wavelengths is not None:
        bands = bands[np.isfinite(scene.wavelengths[bands])]
        bands = bands[np.argsort(scene.wavelengths[bands], kind="stable")]
    if len(bands) < 2:
        raise DataFormatError(f"the scene has {len(bands)} bands with a signal; 2 are needed.")
    return bands, notes


def named_otherwise(model, mapped: ClassMap, scene: Source) -> str:
    """Ask the model about some rows again; say so if it gives pixels another name, or return ""."""
    rows = np.unique(np.linspace(0, mapped.shape[0] - 1, N_ROWS).astype(int))
    every, nodata = np.arange(scene.shape[2]), scene.nodata
    with scene.reading():
        blocks = [scene.read(row, row + 1, every, Scratch()) for row in rows.tolist()]
    if scene.gain is not None and scene.offset is not None:
        blocks = [calibrated(block, nodata, scene.gain, scene.offset) for block in blocks]
        nodata = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # all of it was said of the whole scene
        try:
            found = predict_scene(
                model,
                np.ma.concatenate(blocks),
                wavelengths=scene.wavelengths,
                bad_bands=~scene.usable(),
                nodata=nodata,
                scale=scene.scale or 1.0,
            )
        except DataFormatError:  # no pixel of these rows has data
            return ""
    assert found.codes is not None
    codes = mapped.codes[rows]
    asked = (codes > 0) & (found.codes > 0) & ~np.isin(codes, mapped.rejected)
    asked &= ~np.isin(found.codes, read_class_map(found).rejected)
    said, named = (
        np.array([plain(name) for name in names])[values[asked]]
        for names, values in ((found.class_names, found.codes), (mapped.named(), codes))
    )
    n_other = int((said != named).sum())
    if n_other <= OTHERWISE * len(said):
        return ""
    return (
        f"the model names {n_other / len(said):.0%} of {len(said):,} pixels otherwise than the map "
        "does: it may not be the model, the scene or the settings that made it."
    )
