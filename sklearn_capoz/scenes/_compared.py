"""A map and its truth side by side: how often each says what of the same places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from .._warn import warn
from ._class_map import ClassMap, read_class_map
from ._grid import Grid
from ._pixels import NO_DATA
from ._places import KnownRaster, Places, Truth
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
    # No ground is of the classes "no data" and "rejected".
    classes = [n for code, n in enumerate(known) if code and code not in mapped.rejected]
    places = read_truth(truth, grid, label=label, crs=crs, code_names=known)
    places = renamed(places, names, tuple(classes))
    trained = None
    if training is not None:
        told = read_truth(training, grid, label=label, crs=crs, code_names=known).whole()
        trained = _Trained(told.tree(), training_distance)
    both = np.unique([*known, *places.classes.tolist()])
    counts, n_blank = _counted(mapped, places, both, trained)
    if not n_blank and not counts.any():
        raise ValueError(f"names leave no place of {places.name} to assess {mapped} by.")
    if not counts.any():
        raise ValueError(f"no labelled place of {places.name} lies where {mapped} has a class.")
    notes, areas = list(places.notes), mapped.areas
    if isinstance(places, KnownRaster):
        _refuse_itself(mapped, places.name, counts, sum(areas.get(name, 0) for name in classes))
    if n_blank:
        notes.append(f"left out: {n_blank:,} labelled places where the map has no data")
    if trained is not None:
        trained.warn()
    occurs = counts.any(axis=0) | counts.any(axis=1)
    hectares = grid.hectares()
    return Compared(
        labels=both[occurs],
        counts=counts[np.ix_(occurs, occurs)],
        areas=_areas(areas, both[counts.any(axis=1)], 1.0 if hectares is None else hectares),
        area_unit="pixels" if hectares is None else "ha",
        notes=tuple(notes),
    )


def _counted(
    mapped: ClassMap, truth: Truth, both: np.ndarray, trained: _Trained | None
) -> tuple[np.ndarray, int]:
    """Count places by what the map and the truth say, and those where the map says nothing."""
    n, n_blank = len(both), 0
    counts = np.zeros(n * n, dtype=np.int64)
    of_map = np.searchsorted(both, mapped.named()).astype(np.int32)
    of_truth = np.searchsorted(both, truth.classes).astype(np.int32)
    for places in truth.pieces():
        codes = mapped.codes[places.rows, places.columns]
        if blank := int((codes == NO_DATA).sum()):
            n_blank += blank
            places, codes = places.where(codes != NO_DATA), codes[codes != NO_DATA]
        said, true = of_map[codes], of_truth[places.codes]
        counts += np.bincount(said * n + true, minlength=n * n)
        if trained is not None:
            trained.count(places, said == true)
    return counts.reshape(n, n), n_blank


def _refuse_itself(mapped: ClassMap, name: str, counts: np.ndarray, n_named: int) -> None:
    """Refuse a map, or a copy of it, as its own truth: nobody knows every pixel of the ground."""
    if np.trace(counts) == counts.sum() == n_named:
        raise ValueError(
            f"{name} says of all {n_named:,} classified pixels what {mapped} says: it is the map "
            "itself, or a copy of it, and tells nothing about the ground. Give places whose class "
            "is known otherwise."
        )


def _areas(pixels: dict[str, int], there, of_pixel: float) -> dict[str, float]:
    """Area of the classes that have a place; a warning names the others."""
    there, total = set(there.tolist()), sum(pixels.values())
    without = [f"{name} ({n / total:.1%})" for name, n in pixels.items() if name not in there]
    if without:
        warn(
            f"no labelled place lies where the map has {', '.join(without)[:300]}: the figures are "
            "about the rest."
        )
    return {name: n * of_pixel for name, n in pixels.items() if name in there}


class _Trained:
    """Where a model was trained, and how right it is there, near to it, and elsewhere."""

    def __init__(self, tree: KDTree, near: float):
        self._tree, self._near = tree, near
        self._counts = np.zeros((3, 2), dtype=np.int64)  # trained on, near, far; wrong, right

    def count(self, places: Places, right: np.ndarray) -> None:
        distance = places.distance_to(self._tree)
        where = (distance > 0).astype(np.intp) + (distance > self._near)
        self._counts += np.bincount(2 * where + right, minlength=6).reshape(3, 2)

    def warn(self) -> None:
        """Say how many places the model was trained on or near, and how right the rest is."""
        known, beside, far = self._counts.sum(axis=1).tolist()
        if not known + beside:
            return
        right = self._counts[:, 1]
        others = (
            f"there {right[:2].sum() / (known + beside):.3f} are right, at the {far:,} others "
            f"{right[2] / far:.3f}: believe the latter, and leave the near ones out"
            if far
            else "no place is farther away, so that nothing here says how right the map is "
            "elsewhere"
        )
        warn(
            f"of {known + beside + far:,} places, {known:,} were trained on and {beside:,} more "
            f"touch the training regions or lie within {self._near:g} pixels of them, where the "
            f"ground is as a rule the same: {others}."
        )
