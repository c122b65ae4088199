"""`predict_scene`: a class map of a whole scene, block by block, on threads or on a cluster."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from sklearn_capoz.displays import class_colors
from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.spectral._wavelengths import bad_band_mask

from ._arrays import DaskSource
from ._bands import match_bands, model_wavelengths, n_model_bands, scene_wavelengths
from ._check import check_content
from ._open import open_source
from ._output import check_files, check_output, publish
from ._pixels import NO_DATA, PixelClassifier, scene_layers
from ._run import current_client, on_cluster, on_threads, run_blocks
from ._source import Source
from ._work import MemoryStore, Store, WorkFolder
from ._writers import Legend, write_layers

__all__ = ["SceneMap", "predict_scene"]

#: Bytes of reflectance per block: small enough for a cluster's messages, and above the 4 MiB from
#: which numpy asks for huge pages, without which a fresh array costs as much as what is done to it.
BLOCK_BYTES = 8_000_000

REJECTED_COLOR = (128, 128, 128)


@dataclass(frozen=True, eq=False)
class SceneMap:
    """What `predict_scene` found.

    Parameters
    ----------
    class_names : tuple of str
        Name of every code: "no data" is 0, then the classes in the order of `classes_`, then
        "rejected".
    class_colors : tuple of (red, green, blue), 0 to 255
    counts : ndarray of shape (n_codes,), int
        Pixels of every code.
    codes : ndarray of shape (n_rows, n_columns), uint8 or uint16, or None
        The map; None if it was written to a file.
    probability : ndarray of shape (n_rows, n_columns, n_classes), float32, or None
        NaN where there is no data.
    features : ndarray of shape (n_rows, n_columns, n_features), float32, or None
    files : tuple of Path
        What was written, the map first.
    """

    class_names: tuple[str, ...]
    class_colors: tuple[tuple[int, int, int], ...]
    counts: np.ndarray
    codes: np.ndarray | None = None
    probability: np.ndarray | None = None
    features: np.ndarray | None = None
    files: tuple[Path, ...] = ()


def predict_scene(
    estimator,
    source,
    *,
    output=None,
    proba: bool = False,
    features=None,
    reject_below: float | None = None,
    nodata: float | None = None,
    scale: float | None = None,
    wavelengths=None,
    bad_bands=None,
    max_band_gap: float = 20.0,
    block_rows: int | None = None,
    n_jobs: int | None = None,
    client=None,
    resume: bool = False,
    verbose: bool = False,
) -> SceneMap:
    """Classify every pixel of a scene of any size.

    The scene is read, classified and written a few rows at a time, so memory does not grow with
    it. Its bands are matched to the model's by wavelength. A file appears under its name only
    when it is whole; until then the results are in a folder ``<output>.partial``, from which an
    interrupted run can go on.

    Parameters
    ----------
    estimator : fitted classifier
        Any with `predict` and `classes_`, as a rule a Pipeline that begins with reflectance. If
        it, or its first step, has `wavelengths_` (nm), the scene's bands are matched to them.
    source : path, ndarray, DataArray or dask array
        An ENVI header or data file (bip, bil, bsq), a GeoTIFF, or a cube of shape
        (n_rows, n_columns, n_bands), which may be a memmap; the dimensions of an
        `xarray.DataArray` are told by their names.
    output : path, default=None
        ``.tif`` writes a GeoTIFF with colour table, and class names in its ``.aux.xml``;
        ``.hdr`` writes an ENVI classification. Coordinates are kept. None returns arrays. Files
        of an earlier map under this name are replaced; layers that the new one lacks are removed.
    proba : bool, default=False
        Also give the probability of each class, in a file ``<output>_probability``.
    features : fitted transformer, "model" or None, default=None
        Also give its output, such as that of `AbsorptionFeatures`, in a file
        ``<output>_features``. It takes the bands that the model takes; "model" is the first
        step of the pipeline.
    reject_below : float in (0, 1], default=None
        Pixels whose most likely class has a smaller probability are "rejected".
    nodata : float, default=None
        The stored number that says "not measured". None takes the file's. NaN and infinite
        values always say so, and so does the mask of a masked array. A pixel has no data if any
        number that it needs is missing, if all of them are exactly 0, as beside an image or in
        the dark, or if the steps before the classifier give NaN for it.
    scale : float, default=None
        The stored number that stands for reflectance 1. None takes the file's, and 1 for
        floating-point numbers without one.
    wavelengths : array-like of shape (n_bands,), nm or um, default=None
        The scene's band centres. None takes the file's. If only the model or only the scene
        knows them, bands are matched by position, with a warning.
    bad_bands : array-like, default=None
        Bands to leave out: a boolean mask, True for bad, or band numbers from 0. None takes the
        file's bad-band list.
    max_band_gap : float, nm, default=20.0
        Largest distance from a band of the model to the nearest good band of the scene. In
        between, reflectance is interpolated linearly; beyond the scene's last band, within this
        distance, that band is taken.
    block_rows : int, default=None
        Rows per block. None gives blocks of about 8 MB, and at least one row.
    n_jobs : int, default=None
        Threads. None is 1, -1 is every core. The result does not depend on it.
    client : dask.distributed.Client, default=None
        Where to run the blocks instead. Workers read files themselves, so they must see the same
        path. A dask array goes to the active client, if there is one.
    resume : bool, default=False
        Go on where an interrupted run with the same model, source, settings and output
        stopped; the result is the same to the byte. If there is none, start.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    SceneMap

    Raises
    ------
    DataFormatError
        If a file is not what its header says, or no pixel has data.
    ValueError
        If the bands do not match, a parameter is out of range, `resume` finds another run, or
        the result would take the place of a file that is read.
    OSError
        If the result cannot be written; finished blocks are kept.

    Notes
    -----
    At most 2 n_jobs blocks are held at a time. BLAS runs on one thread per block, and as before
    when the call ends. Pixels without data have code 0 and NaN in the other layers.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn_capoz.datasets import make_mineral_scene
    >>> from sklearn_capoz.deploy import predict_scene
    >>> scene = make_mineral_scene((12, 10), minerals=["Alunite", "Calcite"], random_state=0)
    >>> X, y = scene.cube.reshape(-1, 50), scene.target_names[scene.labels.ravel()]
    >>> found = predict_scene(GaussianNB().fit(X, y), scene.cube, reject_below=0.6)
    >>> found.class_names
    ('no data', 'Alunite', 'Calcite', 'rejected')
    >>> found.codes.shape, int(found.counts.sum())
    ((12, 10), 120)
    """
    _check_estimator(estimator, proba=proba, reject_below=reject_below)
    path = None if output is None else check_output(output)
    if resume and path is None:
        raise ValueError("resume=True needs an output: without one nothing is kept to resume.")
    check_scalar(max_band_gap, "max_band_gap", Real)
    if not max_band_gap >= 0:
        raise ValueError(f"max_band_gap must be at least 0 nm, got {max_band_gap}.")
    opened = _settled(
        open_source(source), nodata=nodata, scale=scale, wavelengths=wavelengths,
        bad_bands=bad_bands,
    )  # fmt: skip
    classify = _classifier(
        estimator, opened, proba=proba, features=features, reject_below=reject_below,
        max_band_gap=max_band_gap,
    )  # fmt: skip
    if path is not None:
        check_files(path, [layer.name for layer in classify.layers], opened.files)
    if not isinstance(opened, DaskSource):  # a few rows of which may cost as much as all
        check_content(opened, classify.scale, check_range=scale is None)
    rows = _block_rows(opened, len(classify.match.bands), block_rows)
    legend = _legend(estimator.classes_, rejects=reject_below is not None)
    client = current_client(opened) if client is None else client
    workers = (
        on_threads(opened, classify, n_jobs)
        if client is None
        else on_cluster(opened, classify, client)
    )
    shape = opened.shape[:2]
    if path is None:
        with workers as team:
            memory = MemoryStore(classify.layers, shape, rows)
            run_blocks(memory, team, verbose)
        return SceneMap(
            legend.names,
            legend.colors,
            _count(memory, len(legend.names)),
            codes=memory.arrays["classes"][..., 0],
            probability=memory.arrays.get("probability"),
            features=memory.arrays.get("features"),
        )
    request = _request(classify, opened)
    with (
        workers as team,
        WorkFolder(path, classify.layers, shape, rows, request, resume=resume) as work,
    ):
        try:
            run_blocks(work, team, verbose)
            counts = _count(work, len(legend.names))
            files = publish(write_layers(work, path, legend, opened.georeference), path)
        except DataFormatError:
            work.remove()  # a scene that cannot be mapped leaves nothing to go on with
            raise
        work.remove()
    return SceneMap(legend.names, legend.colors, counts, files=files)


def _check_estimator(estimator, *, proba: bool, reject_below: float | None) -> None:
    for name in ("predict", "predict_proba"):
        if not hasattr(estimator, name) and (
            name == "predict" or proba or reject_below is not None
        ):
            raise TypeError(
                f"{type(estimator).__name__} has no {name}: predict_scene needs a classifier, and "
                "predict_proba for proba=True and reject_below."
            )
    check_is_fitted(estimator)
    if not hasattr(estimator, "classes_"):
        raise TypeError(f"{type(estimator).__name__} has no classes_: it is no classifier.")
    if reject_below is not None:
        check_scalar(reject_below, "reject_below", Real)
        if not 0 < reject_below <= 1:
            raise ValueError(f"reject_below must be above 0 and at most 1, got {reject_below}.")


def _settled(source: Source, *, nodata, scale, wavelengths, bad_bands) -> Source:
    """Put what the caller says about bands and numbers above what the file says."""
    said: dict[str, Any] = {}
    n_bands = source.shape[2]
    if wavelengths is not None:
        said["wavelengths"] = scene_wavelengths(wavelengths, n_bands)
    if bad_bands is not None:
        said["good"] = ~bad_band_mask(bad_bands, n_bands)
    if nodata is not None:
        said["nodata"] = float(nodata)
    scale = source.scale if scale is None else scale
    if scale is None and source.dtype.kind in "iu":
        raise ValueError(
            f"the scene holds integers ({source.dtype}) and does not say which stands for "
            "reflectance 1: give it as scale, such as 10000 (1 if the model was trained on such "
            "integers)."
        )
    if scale is not None:
        said["scale"] = scale = float(scale)
        if not (np.isfinite(scale) and scale > 0):
            raise ValueError(f"scale must be a number above 0, got {scale!r}.")
    return replace(source, **said)


def _classifier(
    estimator, source: Source, *, proba, features, reject_below, max_band_gap
) -> PixelClassifier:
    """Settle what the scene and the model say about bands and layers."""
    if isinstance(features, str) and features == "model":
        features = estimator[0] if hasattr(estimator, "steps") else features
    if features is not None and not hasattr(features, "get_feature_names_out"):
        raise TypeError(
            "features must be a fitted transformer with get_feature_names_out, or 'model' for the "
            f"first step of a Pipeline; got {features!r}."
        )
    good = np.ones(source.shape[2], dtype=bool) if source.good is None else source.good
    wanted = model_wavelengths(estimator)
    match = match_bands(source.wavelengths, good, n_model_bands(estimator), wanted, max_band_gap)
    if (wanted is None) != (source.wavelengths is None):
        warnings.warn(
            f"bands were matched by position, the {len(match.bands)} of the scene to those of the "
            f"model: the {'model' if wanted is None else 'scene'} does not say its wavelengths. "
            "See that they are the same bands in the same order.",
            stacklevel=3,
        )
    return PixelClassifier(
        estimator=estimator,
        match=match,
        layers=scene_layers(estimator, proba=proba, features=features),
        features=features,
        scale=1.0 if source.scale is None else source.scale,
        nodata=source.nodata,
        reject_below=reject_below,
    )


def _block_rows(source: Source, n_bands: int, block_rows: int | None) -> int:
    if block_rows is not None:
        check_scalar(block_rows, "block_rows", Integral, min_val=1)
        return int(block_rows)
    itemsize = max(4, source.dtype.itemsize)
    return max(1, BLOCK_BYTES // (source.shape[1] * n_bands * itemsize))


def _legend(classes, *, rejects: bool) -> Legend:
    colors = [(int(r), int(g), int(b)) for r, g, b in class_colors(len(classes))]
    names = ["no data", *map(str, classes)]
    if rejects:
        return Legend((*names, "rejected"), ((0, 0, 0), *colors, REJECTED_COLOR))
    return Legend(tuple(names), ((0, 0, 0), *colors))


def _request(classify: PixelClassifier, source: Source) -> dict[str, str]:
    """Fingerprint what must be the same for a run to be continued."""
    match = classify.match
    return {
        "model": joblib.hash([classify.estimator, classify.features]),
        "scene": source.identity,
        "bands": joblib.hash([match.bands, match.lower, match.upper, match.weight]),
        "layers": ", ".join(layer.name for layer in classify.layers),
        "scale": repr(classify.scale),
        "nodata": repr(classify.nodata),
        "reject_below": repr(classify.reject_below),
    }


def _count(store: Store, n_codes: int) -> np.ndarray:
    """Count the pixels of every code; a scene without data is an error."""
    counts = np.zeros(n_codes, dtype=np.int64)
    for _, strip in store.strips(store.layers[0], n_rows=store.block_rows):
        counts += np.bincount(strip.ravel(), minlength=n_codes)
    if counts[NO_DATA] == counts.sum():
        raise DataFormatError(
            "no pixel of the scene has data in all the bands that the model needs: every one "
            "holds NaN, infinity or the no-data value somewhere, or 0 everywhere. If single bands "
            "are to blame, the file's bad-band list or bad_bands has to name them; if the no-data "
            "value is, give the right one as nodata."
        )
    return counts
