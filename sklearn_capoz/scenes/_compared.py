"""A map and its truth side by side: how often each says what of the same places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._warn import warn
from ._class_map import ClassMap, read_class_map
from ._grid import Grid
from ._places import Places
from ._truth import read_truth, renamed

__all__ = ["Compared", "compare"]


@dataclass(frozen=True, eq=False)
class Compared:
    """How many places map and truth call what, and how much of the map each class covers.

    Parameters
    ----------
    labels : ndarray of shape (n_classes,), str
        Classes that one of them names at some place, sorted.
    counts : ndarray of shape (n_classes, n_classes), int
        Places by class of the map (rows) and of the truth (columns).
    areas : dict of class -> float
        Of the classes of the map that have a place.
    area_unit : str
    notes : tuple of str
    """

    labels: np.ndarray
    counts: np.ndarray
    areas: dict[str, float]
    area_unit: str
    notes: tuple[str, ...]


def compare(
    source, truth, *, label: str, names, crs, training, training_distance: float
) -> Compared:
    """Look up the classes of a map at the places of a truth; parameters as those of `assess`."""
    mapped = read_class_map(source)
    known = mapped.named()
    grid = Grid(mapped.shape, mapped.crs, mapped.transform, str(mapped))
    places = read_truth(truth, grid, label=label, crs=crs, code_names=known)
    # No ground is of the classes "no data" and "rejected".
    classes = [n for code, n in enumerate(known) if code and code not in mapped.rejected]
    places = renamed(places, names, tuple(classes))
    codes = mapped.codes[places.rows, places.columns]
    notes = list(places.notes)
    if n_blank := int((codes == 0).sum()):
        notes.append(f"left out: {n_blank:,} labelled places where the map has no data")
        if n_blank == len(codes):
            raise ValueError(f"no labelled place of {places.name} lies where {mapped} has a class.")
        places, codes = places.where(codes > 0), codes[codes > 0]
    if not len(places):
        raise ValueError(f"names leave no place of {places.name} to assess {mapped} by.")
    both = np.unique([*known, *places.classes.tolist()])
    said = np.searchsorted(both, known).astype(np.int32)[codes]
    true = np.searchsorted(both, places.classes).astype(np.int32)[places.codes]
    n = len(both)
    counts = np.bincount(said * n + true, minlength=n * n).reshape(n, n)
    if training is not None:
        trained = read_truth(training, grid, label=label, crs=crs, code_names=known)
        _warn_of_training(places, said == true, trained, training_distance)
    occurs = counts.any(axis=0) | counts.any(axis=1)
    hectares = grid.hectares()
    return Compared(
        labels=both[occurs],
        counts=counts[np.ix_(occurs, occurs)],
        areas=_areas(mapped, both[counts.any(axis=1)], 1.0 if hectares is None else hectares),
        area_unit="pixels" if hectares is None else "ha",
        notes=tuple(notes),
    )


def _areas(mapped: ClassMap, there, of_pixel: float) -> dict[str, float]:
    """Area of the classes that have a place; a warning names the others."""
    pixels, there = mapped.areas, set(there.tolist())
    total = sum(pixels.values())
    without = [f"{name} ({n / total:.1%})" for name, n in pixels.items() if name not in there]
    if without:
        warn(
            f"no labelled place lies where the map has {', '.join(without)[:300]}: the figures are "
            "about the rest."
        )
    return {name: n * of_pixel for name, n in pixels.items() if name in there}


def _warn_of_training(places: Places, right: np.ndarray, trained: Places, near: float) -> None:
    """Say how many places the model was trained on or near, and how right the rest is."""
    distance = places.distance_to(trained)
    known, beside = distance == 0, (distance > 0) & (distance <= near)
    if not (known | beside).any():
        return
    far = ~(known | beside)
    others = (
        f"there {right[~far].mean():.3f} are right, at the {far.sum():,} others "
        f"{right[far].mean():.3f}: believe the latter, and leave the near ones out"
        if far.any()
        else "no place is farther away, so that nothing here says how right the map is elsewhere"
    )
    warn(
        f"of {len(places):,} places, {known.sum():,} were trained on and {beside.sum():,} more "
        f"touch the training regions or lie within {near:g} pixels of them, where the ground is as "
        f"a rule the same: {others}."
    )
