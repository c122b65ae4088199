"""Training on regions of a scene: what `train scene.hdr --truth regions.geojson` does."""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from tqdm.auto import tqdm

from ..exceptions import PruningStalledWarning
from ..model_selection import SpatialKFold, spatial_blocks
from ..scenes import RegionSamples, sample_regions
from ..scenes._truth import read_names
from ._scene_bands import mask_of_bad_bands
from ._train_features import feature_steps
from ._train_network import measured_network

__all__ = ["train_on_regions"]

#: Folds that regions are held out in, at most.
N_FOLDS = 5

#: Pixels that a class needs to be split into folds, and these to train, score and choose on.
FEWEST = 20


def train_on_regions(arguments: argparse.Namespace) -> Pipeline:
    """Train on the pixels of regions, and print how right others are named, near and far."""
    (scene,) = arguments.spectra
    samples = sample_regions(
        scene,
        arguments.truth,
        label=arguments.label or "label",
        names=read_names(arguments.names) | dict(arguments.rename),
        crs=arguments.crs,
        max_per_class=arguments.max_pixels,
        scale=arguments.scale,
        bad_bands=mask_of_bad_bands(scene, arguments.bad_bands),
        random_state=arguments.seed,
    )
    _check(samples, arguments)
    for note in samples.notes:
        print(note)
    print(_counted(samples).to_string())
    model = make_pipeline(
        *feature_steps(arguments.features or "hull", samples.wavelengths),
        measured_network(arguments),
    )
    places, size = samples.coordinates, arguments.block_size
    polygons = places[:, 2] if places.shape[1] == 3 else None
    blocks = spatial_blocks(places[:, 0], places[:, 1], size, regions=polygons)
    _say_what_to_expect(model, samples, blocks, arguments)
    with warnings.catch_warnings():
        # The table above says what the regions tell, and what they do not.
        warnings.filterwarnings("ignore", message=".*groups leave none to validate on")
        _fit(model, samples.X, samples.y, blocks)
    network = model[-1]
    n_units = network.history_["n_units"]
    print(f"kept: {n_units[network.best_iteration_]} of {n_units.iloc[0]} units")
    return model


def _fit(model: Pipeline, X, y, blocks: np.ndarray) -> Pipeline:
    """Fit a model that scores and chooses by whole blocks: no neighbours of what it trained on."""
    return model.fit(X, y, **{f"{model.steps[-1][0]}__groups": blocks})


def _counted(samples: RegionSamples) -> pd.DataFrame:
    """Count pixels and, where there are any, polygons of each class."""
    frame = pd.DataFrame({"pixels": samples.y, "polygons": 0})
    if samples.coordinates.shape[1] == 2:
        return frame.groupby(samples.y)[["pixels"]].count()
    frame["polygons"] = samples.coordinates[:, 2]
    return frame.groupby(samples.y).agg({"pixels": "count", "polygons": "nunique"})


def _check(samples: RegionSamples, arguments: argparse.Namespace) -> None:
    (scene,) = arguments.spectra
    if samples.wavelengths is None:
        raise ValueError(
            f"{scene} does not say the wavelengths of its bands: write them into its header, or "
            "into one beside it."
        )
    classes, counts = np.unique(samples.y, return_counts=True)
    few = counts < FEWEST
    if few.any():
        found = zip(classes[few].tolist(), counts[few].tolist(), strict=True)
        raise ValueError(
            f"each class of {arguments.truth} needs {FEWEST} pixels with data, and "
            f"{', '.join(f'{name} has {n}' for name, n in found)[:300]}: draw more of it, or leave "
            f"it out with --rename '{classes[few][0]}='."
        )
    if len(classes) < 2:
        raise ValueError(f"{arguments.truth} must hold two classes at least; it has {classes[0]}.")


def _say_what_to_expect(
    model: Pipeline, samples: RegionSamples, blocks: np.ndarray, arguments: argparse.Namespace
) -> None:
    """Hold out whole blocks, and pixels at random, and say which of the two figures to believe."""
    size, seed = arguments.block_size, arguments.seed
    of_class = pd.Series(blocks).groupby(samples.y).nunique()
    n_folds = min(N_FOLDS, len(np.unique(blocks)))
    random = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    splits = list(random.split(samples.X, samples.y))
    name = "random pixels"
    held_out = {name: _predicted(model, samples, blocks, splits, name)}
    alone = of_class.index[of_class == 1].tolist()
    fair = ~np.isin(samples.y, alone)
    if n_folds > 1 and fair.any():
        spatial = SpatialKFold(n_folds, block_size=size, random_state=seed)
        name = "spatial blocks"
        with warnings.catch_warnings():
            # Said below, by class.
            warnings.filterwarnings("ignore", message=".*all pixels lie in one block")
            splits = list(spatial.split(samples.X, samples.y, blocks))
        held_out = {name: _predicted(model, samples, blocks, splits, name)} | held_out
    whole = " with their polygons" if samples.coordinates.shape[1] == 3 else ""
    print(
        f"\nheld out: whole blocks of {size} pixels{whole}, in {n_folds} folds, or pixels at "
        f"random, in {N_FOLDS}:"
        if len(held_out) > 1
        else f"\nheld out: pixels at random, in {N_FOLDS} folds:"
    )
    _print_figures(held_out, samples.y, fair)
    if alone:
        print(
            f"{', '.join(alone)}: all regions lie in one block, so that none can be held out. Draw "
            "some elsewhere; where they lie near to each other, try a smaller --block-size."
        )
    if "spatial blocks" in held_out:
        print(
            "Believe the spatial blocks: neighbouring pixels are nearly the same spectrum, and at "
            "random they\nare on both sides. Regions are as a rule purer than the rest of the "
            "scene, which no figure here shows."
        )
    else:
        print(
            "Nothing here says how right the map is away from the regions: the random figure is "
            "too good."
        )


def _predicted(
    model: Pipeline, samples: RegionSamples, blocks: np.ndarray, splits: list, what: str
) -> np.ndarray:
    """Label every pixel by a model that has not seen its fold."""
    X, y = samples.X, samples.y
    predicted = np.empty_like(y)
    silent = clone(model)
    silent[-1].set_params(verbose=False)  # one bar for all folds
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*groups leave none to validate on")
        # What stalls in a fold says nothing of the model that is kept.
        warnings.simplefilter("ignore", PruningStalledWarning)
        for train, test in tqdm(splits, desc=what, unit="fold", disable=not model[-1].verbose):
            fitted = _fit(clone(silent), X[train], y[train], blocks[train])
            predicted[test] = fitted.predict(X[test])
    return predicted


def _print_figures(held_out: dict[str, np.ndarray], y: np.ndarray, fair: np.ndarray) -> None:
    """Print accuracies and the part of each class that is named right; the fair first."""
    columns = {}
    for name, predicted in held_out.items():
        seen = fair if name == "spatial blocks" else np.ones(len(y), dtype=bool)
        right = pd.Series((predicted == y)[seen])
        recall = right.groupby(y[seen]).mean()
        overall = pd.Series({"overall": right.mean(), "balanced": recall.mean()})
        columns[name] = pd.concat([overall, recall.reindex(np.unique(y))])
    table = pd.DataFrame(columns)
    print(table.iloc[:2].round(3).to_string())
    print("\npart of each class that is named right:")
    print(table.iloc[2:].round(2).to_string(na_rep="-"))
