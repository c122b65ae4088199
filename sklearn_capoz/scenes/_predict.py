"""`predict_scene`: a class map of a whole scene, block by block, on threads or on a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.utils import check_scalar

from sklearn_capoz._colors import mineral_colors
from sklearn_capoz.exceptions import DataFormatError

from ._fingerprint import fingerprint
from ._match import match_scene
from ._model import SceneModel
from ._open import open_source
from ._output import check_files, check_output, publish
from ._patches import of_patches
from ._pixels import NO_DATA, PixelClassifier, map_layers
from ._run import Workers, run_blocks, workers
from ._source import Source
from ._work import MemoryStore, Store, WorkFolder, check_work_path
from ._writers import Legend, write_layers

__all__ = ["SceneMap", "predict_scene"]

#: Bytes of reflectance per block: small enough for a cluster's messages, and above the 4 MiB from
#: which numpy asks for huge pages, without which a fresh array costs as much as what is done to it.
BLOCK_BYTES = 8_000_000

#: Classes that a printed map names.
N_LISTED = 8


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
    crs : str or None
        Coordinate system of the scene as WKT.
    transform : tuple of 6 float or None
        Affine: x = t0 * column + t1 * row + t2, y = t3 * column + t4 * row + t5.
    trust : ndarray of shape (n_rows, n_columns, 4), float32, or None
        Probability, margin, agreement and likeness; NaN where there is no data.
    """

    class_names: tuple[str, ...]
    class_colors: tuple[tuple[int, int, int], ...]
    counts: np.ndarray
    codes: np.ndarray | None = None
    probability: np.ndarray | None = None
    features: np.ndarray | None = None
    files: tuple[Path, ...] = ()
    crs: str | None = None
    transform: tuple[float, ...] | None = None
    trust: np.ndarray | None = None

    def __repr__(self) -> str:
        """Say in one glance what was found: the arrays themselves would fill the screen."""
        # Not from the codes, which a map in a file does not have.
        n_pixels = int(self.counts.sum())
        found = [(n, c) for n, c in zip(self.class_names, self.counts.tolist(), strict=True) if c]
        listed = ", ".join(f"{n:.30}: {c:,}" for n, c in found[:N_LISTED])
        more = f", and {len(found) - N_LISTED} more" if len(found) > N_LISTED else ""
        shape = "" if self.codes is None else f"{self.codes.shape[0]} x {self.codes.shape[1]}, "
        layers = [n for n in ("probability", "features", "trust") if getattr(self, n) is not None]
        parts = [f"{shape}{n_pixels:,} pixels", f"{listed}{more}"]
        parts += [f"with {' and '.join(layers)}"] if layers else []
        parts += ["in " + ", ".join(file.name for file in self.files)] if self.files else []
        return f"SceneMap({'; '.join(parts)})"


def predict_scene(
    estimator,
    source,
    *,
    output=None,
    proba: bool = False,
    features=None,
    trust: bool = False,
    reject: str | None = "default",
    reject_below: float | None = None,
    colors: Mapping | None = None,
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
        of an earlier map under this name are replaced, and nothing else; layers that the new one
        lacks are removed.
    proba : bool, default=False
        Also give the probability of each class, in a file ``<output>_probability``.
    features : fitted transformer, "model" or None, default=None
        Also give its output, such as that of `AbsorptionFeatures`, in a file
        ``<output>_features``. It takes the bands that the model takes; "model" is the first
        step of the pipeline.
    trust : bool, default=False
        Also give how far to trust the name of each pixel, in a file ``<output>_trust`` with the
        bands "probability", "margin", "agreement" and "likeness", see `FieldTrust`. The model has
        to be a `FieldTrainedClassifier`, or stored from one.
    reject : {"default", None}, default="default"
        "default" makes pixels "rejected" that are unlike everything in the library of the model,
        such as plants, water, clouds, noise and minerals that it lacks, if the model has learnt to
        tell; others name every pixel, as None does.
    reject_below : float in (0, 1], default=None
        Pixels whose most likely class has a smaller probability are "rejected".
    colors : mapping of name -> "#rrggbb" or (red, green, blue), default=None
        Colours of your own for classes, and for "rejected" and "no data". The others have those
        of `sklearn_capoz.displays.mineral_colors`: one mineral, one colour, in every map.
    nodata : float, default=None
        The stored number that says "not measured". None takes the file's. NaN and infinite
        values always say so, and so does the mask of a masked array. A pixel has no data if any
        number that it needs is missing, if all of them are exactly 0, as beside an image or in
        the dark, or if the steps before the classifier give NaN for it.
    scale : float, default=None
        The stored number that stands for reflectance 1. None takes the file's, and 1 for
        floating-point numbers without one. Given as 1, it says that the model takes the numbers
        as they are stored, whatever they are.
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
        If a file is not what its header says, or changes meanwhile, or no pixel has data.
    ValueError
        If the bands do not match, a parameter is out of range, `resume` finds another run, or
        the result would take the place of a file that is read, or of one that is no earlier map.
    OSError
        If a link or a pipe has the result's name, if it cannot be written, or is damaged before
        it is whole; what is right of the finished blocks is kept.
    FileExistsError
        If ``<output>.partial`` is a link, or a folder that no run of this function made.

    Warns
    -----
    SceneLayoutWarning
        If the bytes of an ENVI file look as if they were in another order than the header says.
    UserWarning
        If bands are matched by position, if some hold no signal and are left out, if the given
        `scale` makes no reflectance of the scene, or if coordinates cannot be kept.

    Notes
    -----
    A `PrunedCNNClassifier` that looks at patches runs over each block as a whole, which is read
    with the rows that its patches reach into; a patch with a pixel without data has none.

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
    _check_settings(reject, reject_below, max_band_gap, n_jobs)
    rejects_unlike = reject is not None and getattr(estimator, "trust_", None) is not None
    model = SceneModel.of(
        estimator,
        needs_probability=proba or reject_below is not None,
        needs_trust=trust,
        # Those of the spectrum as a whole look at bands that the classifier does without.
        needs_all_bands=features is not None or trust or rejects_unlike,
    )
    path = check_output(output, resume=resume)
    features = model.feature_step(features)
    layers = map_layers(model.classifier.classes_, proba=proba, features=features, trust=trust)
    scene = open_source(source).as_told(
        nodata=nodata, scale=scale, wavelengths=wavelengths, bad_bands=bad_bands
    )
    scene.check_size()
    if path is not None:
        check_files(path, [layer.name for layer in layers], scene.files)
        check_work_path(path)
    began = scene.state()
    match = match_scene(scene, model, max_band_gap, scale_told=scale is not None)
    classify = PixelClassifier.of(
        model, match, layers, features, scene, reject_below, rejects_unlike=rejects_unlike
    )
    classify = of_patches(classify, scene.shape[:2])
    rejects = rejects_unlike or reject_below is not None
    legend = _legend(model.classifier.classes_, colors, rejects=rejects)
    rows = _block_rows(scene, len(match.bands), block_rows, classify.halo)
    place = (layers, scene.shape[:2], rows)
    with workers(scene, classify, n_jobs, client) as team:
        if path is None:
            found = _to_memory(MemoryStore(*place), team, scene, began, legend, verbose)
        else:
            request = _request(estimator, classify, began[0])
            with WorkFolder(path, *place, request, resume=resume) as work:
                found = _to_files(work, path, team, scene, began, legend, verbose)
    where = scene.georeference
    return SceneMap(legend.names, legend.colors, **found, crs=where.crs, transform=where.transform)


def _check_settings(
    reject, reject_below: float | None, max_band_gap: float, n_jobs: int | None
) -> None:
    if reject not in ("default", None):
        raise ValueError(f"reject must be 'default' or None, got {reject!r}.")
    if reject_below is not None:
        check_scalar(reject_below, "reject_below", Real)
        if not 0 < reject_below <= 1:
            raise ValueError(f"reject_below must be above 0 and at most 1, got {reject_below}.")
    if n_jobs is not None:
        check_scalar(n_jobs, "n_jobs", Integral)
    check_scalar(max_band_gap, "max_band_gap", Real)
    if not max_band_gap >= 0:
        raise ValueError(f"max_band_gap must be at least 0 nm, got {max_band_gap}.")


def _to_memory(
    store: MemoryStore,
    team: Workers,
    scene: Source,
    began: tuple[str, ...],
    legend: Legend,
    verbose: bool,
) -> Mapping[str, Any]:
    run_blocks(store, team, verbose)
    _check_unchanged(scene, began)
    return {
        "counts": _count(store, len(legend.names)),
        "codes": store.arrays["classes"][..., 0],
        "probability": store.arrays.get("probability"),
        "features": store.arrays.get("features"),
        "trust": store.arrays.get("trust"),
    }


def _to_files(
    work: WorkFolder,
    path: Path,
    team: Workers,
    scene: Source,
    began: tuple[str, ...],
    legend: Legend,
    verbose: bool,
) -> Mapping[str, Any]:
    """Map the scene; nothing gets its name before all of it is known to be right."""
    try:
        run_blocks(work, team, verbose)
        _check_unchanged(scene, began)
        counts = _count(work, len(legend.names))
    except DataFormatError:
        work.remove()  # a scene that cannot be mapped leaves nothing to go on with
        raise
    files = write_layers(work, path, legend, scene.georeference)
    work.verify()
    written = publish(files, path)
    work.remove()
    return {"counts": counts, "files": written}


def _check_unchanged(scene: Source, began: tuple[str, ...]) -> None:
    """See that all blocks are of one scene, and not some of what took its place meanwhile."""
    try:
        unchanged = scene.state() == began
    except OSError:  # the file is gone
        unchanged = False
    if not unchanged:
        what = f"{scene.files[0]}" if scene.files else "the array"
        raise DataFormatError(
            f"{what} changed while it was mapped: the map would show parts of different scenes. "
            "Map it again when nothing writes to it any more."
        )


def _block_rows(source: Source, n_bands: int, block_rows: int | None, halo: int) -> int:
    if block_rows is not None:
        check_scalar(block_rows, "block_rows", Integral, min_val=1)
        return int(block_rows)
    itemsize = max(4, source.dtype.itemsize)
    # Rows of a halo are read twice: they should be few of a block's.
    rows = max(1, 8 * halo, BLOCK_BYTES // (source.shape[1] * n_bands * itemsize))
    # Whole pieces of the file where they fit, or some would be unpacked twice.
    return rows - rows % source.rows_together if source.rows_together <= rows else rows


def _legend(classes, colors: Mapping | None, *, rejects: bool) -> Legend:
    names = ("no data", *map(str, classes), *(("rejected",) if rejects else ()))
    found = mineral_colors(names, colors).tolist()
    return Legend(names, tuple((r, g, b) for r, g, b in found))


def _request(estimator, classify: PixelClassifier, identity: str) -> dict[str, str]:
    """Fingerprint what must be the same for a run to be continued."""
    match = classify.match
    return {
        "model": fingerprint([estimator, classify.features]),
        "scene": identity,
        "bands": joblib.hash([match.bands, match.lower, match.upper, match.weight]),
        "layers": ", ".join(layer.name for layer in classify.layers),
        "scale": repr(classify.scale) if classify.gain is None else "of each band",
        "nodata": repr(classify.nodata),
        "reject": "default" if classify.rejects_unlike else "None",
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
