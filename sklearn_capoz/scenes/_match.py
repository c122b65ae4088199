"""The scene's bands for the model's, found before any pixel is named."""

from __future__ import annotations

import numpy as np

from sklearn_capoz._warn import warn

from ._bands import BandMatch, match_bands
from ._check import take_first_look
from ._model import SceneModel
from ._source import Source

__all__ = ["match_scene"]


def match_scene(scene: Source, model: SceneModel, max_gap: float, *, scale_told: bool) -> BandMatch:
    """Find the scene's bands for the model's, without those that hold nothing."""

    def of(good: np.ndarray) -> BandMatch:
        match = match_bands(scene.wavelengths, good, model.n_bands, model.wavelengths, max_gap)
        return match.restricted(model.needed)

    match = of(scene.usable())
    by_position = scene.wavelengths is None or model.wavelengths is None
    if (model.wavelengths is None) != (scene.wavelengths is None):
        warn(
            f"bands were matched by position, the {len(match.bands)} of the scene to those of the "
            f"model: the {'model' if model.wavelengths is None else 'scene'} does not say its "
            "wavelengths. See that they are the same bands in the same order."
        )
    look = take_first_look(scene, scale_told=scale_told)
    if (fill := look.fill()) is not None:
        warn(
            f"some pixels of the scene hold {fill:.9g} in every band. If that means 'no data', "
            "give it as nodata, or they are named like any other."
        )
    dead = np.intersect1d(look.dead_bands(), match.bands)
    if not dead.size:
        return match
    if by_position:
        warn(
            f"the scene has no signal in {_named(dead, scene)}, and matched by position no band "
            "can be left out: the map is right only if the model was trained on such bands."
        )
        return match
    warn(
        f"the scene has no signal (nothing, or one number everywhere) in {_named(dead, scene)}: "
        "left out. Name what is bad in bad_bands, and nothing is guessed."
    )
    alive = scene.usable().copy()
    alive[dead] = False
    return of(alive)


def _named(bands: np.ndarray, scene: Source) -> str:
    """Numbers of bands, from 0, and their wavelengths."""
    if scene.wavelengths is None:
        names = [str(band) for band in bands]
    else:
        names = [f"{band} ({scene.wavelengths[band]:.5g} nm)" for band in bands]
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"band {listed}" if len(names) == 1 else f"{len(names)} bands, {listed}"
