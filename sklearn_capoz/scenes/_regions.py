"""Training from regions of a scene: the spectra of the pixels whose class is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state, check_scalar

from .._warn import warn
from ..exceptions import DataFormatError
from ._bands import BandMatch, calibrated
from ._check import take_first_look
from ._good_bands import good_bands
from ._grid import Grid
from ._open import open_source
from ._places import Places
from ._scratch import Scratch
from ._source import Source
from ._truth import read_truth, renamed

__all__ = ["RegionSamples", "sample_regions"]

#: Bytes of the scene that are read at a time.
BLOCK_BYTES = 32_000_000


@dataclass(frozen=True, eq=False)
class RegionSamples:
    """Labelled spectra of a scene.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_bands), reflectance
    y : ndarray of shape (n_samples,), str
    coordinates : ndarray of shape (n_samples, 2) or (n_samples, 3), int
        Row and column of each pixel and, where there are polygons, the number of its polygon: what
        `SpatialKFold` takes as `groups`.
    wavelengths : ndarray of shape (n_bands,), nm, or None
        Ascending; None where the scene does not say.
    notes : tuple of str
        What was left out or brought over.
    """

    X: np.ndarray
    y: np.ndarray
    coordinates: np.ndarray
    wavelengths: np.ndarray | None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say in one line what there is."""
        polygons = np.unique(self.coordinates[:, 2:])
        inside = f" in {len(polygons)} polygons" if len(polygons) else ""
        return (
            f"RegionSamples({len(self.y):,} pixels of {len(np.unique(self.y))} classes{inside}, "
            f"{self.X.shape[1]} bands)"
        )


def sample_regions(
    scene,
    truth,
    *,
    label: str = "label",
    names=None,
    crs=None,
    max_per_class: int | None = None,
    nodata: float | None = None,
    scale: float | None = None,
    wavelengths=None,
    bad_bands=None,
    random_state=None,
) -> RegionSamples:
    """Read the spectra of a scene where its class is known, to train on them.

    Only rows with such pixels are read, a few at a time, and only these pixels are kept.

    Parameters
    ----------
    scene : path, ndarray, DataArray or dask array
        As `predict_scene` takes it.
    truth : path, GeoDataFrame, DataFrame, ClassMap or SceneMap
        As `assess` takes it: polygons or points, a raster of classes in the scene's grid, a table
        of points.
    label : str, default="label"
        Column of polygons or points that holds the class.
    names : dict of str -> str, or path, default=None
        Another name for a name of the truth; "" leaves its pixels out. A path is that of a CSV
        table with the columns old and new.
    crs : str, default=None
        Coordinate system of polygons or points, above what they say.
    max_per_class : int, default=None
        Of a class with more pixels, that many are drawn; None takes all.
    nodata, scale, wavelengths, bad_bands : default=None
        What is known of the scene beside what its file says, as for `predict_scene`.
    random_state : int, RandomState or None, default=None
        Draws pixels for `max_per_class`.

    Returns
    -------
    samples : RegionSamples

    Raises
    ------
    DataFormatError
        If a file is not what it should be, nothing overlaps, one side has no coordinate system,
        polygons cross themselves, or no pixel of the regions has data.

    Warns
    -----
    UserWarning
        If bands hold no signal and are left out, or polygons contradict each other.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sklearn_capoz.scenes import sample_regions
    >>> cube = np.random.default_rng(0).uniform(0.2, 0.4, (20, 30, 5))
    >>> points = pd.DataFrame({"row": [3, 17], "column": [4, 28], "label": ["alunite", "calcite"]})
    >>> samples = sample_regions(cube, points, wavelengths=[2100, 2150, 2200, 2250, 2300])
    >>> samples
    RegionSamples(2 pixels of 2 classes, 5 bands)
    >>> np.array_equal(samples.X[1], cube[17, 28])
    True
    """
    if max_per_class is not None:
        check_scalar(max_per_class, "max_per_class", Integral, min_val=1)
    source = open_source(scene).as_told(
        nodata=nodata, scale=scale, wavelengths=wavelengths, bad_bands=bad_bands
    )
    source.check_size()
    name = str(source.files[0]) if source.files else "the scene"
    grid = Grid.of(source.shape, source.georeference, name)
    places = renamed(read_truth(truth, grid, label=label, crs=crs), names, None).whole()
    bands = _bands(source, name, scale_told=scale is not None)
    if max_per_class is not None:
        places = places.where(_drawn(places.codes, max_per_class, random_state))
    X, known = _read(source, bands, places)
    notes = list(places.notes)
    if n_blank := int((~known).sum()):
        notes.append(f"left out: {n_blank:,} pixels where the scene has no data")
    if not known.any():
        raise DataFormatError(f"no pixel of {places.name} has data in {name}.")
    kept = places.where(known)
    columns = [kept.rows, kept.columns, *([] if kept.polygons is None else [kept.polygons])]
    return RegionSamples(
        X=X[known],
        y=kept.labels,
        coordinates=np.stack(columns, axis=1),
        wavelengths=None if source.wavelengths is None else source.wavelengths[bands],
        notes=tuple(notes),
    )


def _bands(source: Source, name: str, *, scale_told: bool) -> np.ndarray:
    """Find the bands that are good and hold something, ascending in wavelength where that is known.

    The same look and the same bands as for a map, or a model would be trained on what it never
    gets.
    """
    usable = source.usable().copy()
    dead = take_first_look(source, scale_told=scale_told).dead_bands()
    if dead.size:
        warn(
            f"{dead.size} bands of {name} hold no signal (numbers "
            f"{', '.join(map(str, dead[:10]))}, counted from 0) and are left out."
        )
        usable[dead] = False
    return (
        np.flatnonzero(usable) if source.wavelengths is None else good_bands(source, usable, name)
    )


def _drawn(codes: np.ndarray, most: int, random_state) -> np.ndarray:
    """Draw places of the classes that have too many, in their old order."""
    random = check_random_state(random_state)
    drawn = []
    for code in np.unique(codes):
        there = np.flatnonzero(codes == code)
        drawn.append(there if len(there) <= most else random.choice(there, most, replace=False))
    return np.sort(np.concatenate(drawn))


def _read(source: Source, bands: np.ndarray, places: Places) -> tuple[np.ndarray, np.ndarray]:
    """Reflectance at places, and whether there is any."""
    dtype = np.float64 if source.dtype.newbyteorder("=") == np.float64 else np.float32
    X = np.zeros((len(places), len(bands)), dtype=dtype)
    known = np.zeros(len(places), dtype=bool)
    # Files are read in the order that their bands lie in.
    stored = np.sort(bands)
    order = np.searchsorted(stored, bands)
    match = BandMatch(stored, order, order, np.zeros(len(bands)))
    scale, scratch = 1.0 if source.scale is None else source.scale, Scratch()
    with source.reading():
        for start, stop, here in _strips(source, places.rows):
            block = source.read(start, stop, stored, scratch)
            pixels = block[places.rows[here] - start, places.columns[here]][None]
            nodata = source.nodata
            if source.gain is not None and source.offset is not None:
                pixels = calibrated(pixels, nodata, source.gain[stored], source.offset[stored])
                nodata = None
            spectra, valid = match.spectra(pixels, scale, nodata, np.dtype(dtype), scratch)
            known[here] = valid[0]
            X[here[valid[0]]] = spectra
    return X, known


def _strips(source: Source, rows: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """First row, the one after the last, and numbers of the places in these rows."""
    _, n_columns, n_bands = source.shape
    step = max(1, BLOCK_BYTES // (n_columns * n_bands * source.dtype.itemsize))
    # Whole pieces of the file, or some would be unpacked once more for each strip.
    step = max(1, step // source.rows_together) * source.rows_together
    order = np.argsort(rows, kind="stable")
    strip = rows[order] // step
    starts = np.flatnonzero(np.diff(strip, prepend=-1))
    for here in np.split(order, starts[1:]):
        first, last = int(rows[here[0]]), int(rows[here[-1]])
        yield first, last + 1, here
