"""`write_report`: a map, its scene and its model as one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from .._warn import warn
from ..exceptions import DataFormatError
from ..formats._atomic import write_atomically
from ..scenes import Assessment, ClassMap, read_class_map
from ..scenes._open import open_source
from ..scenes._source import Source
from ._checks import (
    check_map,
    check_model,
    check_output,
    named_otherwise,
    shown_bands,
)
from ._coding import StoredSpectra, store_spectra
from ._library import library_of
from ._packing import palette_png
from ._page import import_jinja, render
from ._scene_spectra import SceneSpectra, class_spectra
from ._sections import assessment_of, classes_of, colors_of, numbers, place_of, pruning_of
from ._thinning import Thinning
from ._trust import describe_trust, open_trust

__all__ = ["write_report"]

#: Bytes of pictures and packed numbers; as base64 and with the rest of a page they are below 5 MB.
ROOM = 3_400_000

#: What spectra have at least, however large the map is.
LEAST_ROOM = 1_000_000


def write_report(
    output,
    mapped,
    scene,
    *,
    model=None,
    assessment: Assessment | None = None,
    title: str | None = None,
    notes: Iterable[str] = (),
    colors: Mapping | None = None,
    nodata: float | None = None,
    scale: float | None = None,
    wavelengths=None,
    bad_bands=None,
    verbose: bool = False,
) -> Path:
    """Write one page that shows a map, the spectra behind it, and how far to believe it.

    The page is one HTML file that asks nothing of the network: it can be mailed and kept. Its map
    is zoomed and dragged; a click shows the pixel's spectrum beside its class's mean and the
    library, and its trust values. Below are the spectra of all classes with their spread, the
    trust values by class, the assessment and the pruning of the network, and what was warned.

    Parameters
    ----------
    output : path
        Ends in ``.html``. An earlier report is replaced, and nothing else.
    mapped : path, SceneMap or ClassMap
        What `predict_scene` gives, or a file of it. Its trust layers are shown, whether they are in
        memory or in a file beside the map, as ``trust=True`` and `map --trust` write it.
    scene : path, ndarray, DataArray or dask array
        What was mapped, as `predict_scene` takes it.
    model : fitted classifier, default=None
        What made the map: shows the pruning path, and is asked about some pixels again.
    assessment : Assessment, default=None
        What `sklearn_capoz.scenes.assess` found.
    title : str, default=None
        None names the files.
    notes : iterable of str, default=()
        Lines to stand first among those that a reader should know, such as what was warned when
        the map was made.
    colors : mapping of name -> "#rrggbb" or (red, green, blue), default=None
        Colours of your own for classes; they come before those of the map's file.
    nodata, scale, wavelengths, bad_bands : default=None
        Of the scene, as `predict_scene` takes them; None takes what the file says.
    verbose : bool, default=False
        Show progress bars.

    Returns
    -------
    path : Path
        The page.

    Raises
    ------
    DataFormatError
        If the map is not of this scene: other rows and columns, or another place; or if the scene
        changes while it is read.
    ValueError
        If the model has other classes than the map, or its bands are not in the scene.
    FileExistsError
        If there is a file of that name that is no report, or is read.
    ImportError
        If jinja2 is not installed.

    Notes
    -----
    The scene is read twice, block by block. For a map of up to 1000 x 1000 pixels the page is below
    5 MB. Where all spectra fit they are there to 1/65,536 of their range. Else those of each class
    are told by their mean and main directions (PCA), in steps as fine as there is room for, and the
    page says what that took from them; of more than 1.2 million pixels every second, third, ... in
    rows and columns has its own, and a click shows the nearest.

    The library beside a class is what the model keeps of its own; of a model that keeps none, the
    embedded USGS table, by the class's name. Records are interpolated to the bands of the scene.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn_capoz.datasets import make_mineral_scene
    >>> from sklearn_capoz.reports import write_report
    >>> from sklearn_capoz.scenes import predict_scene
    >>> scene = make_mineral_scene((12, 10), minerals=["Alunite", "Calcite"], random_state=0)
    >>> X, y = scene.cube.reshape(-1, 50), scene.target_names[scene.labels.ravel()]
    >>> found = predict_scene(GaussianNB().fit(X, y), scene.cube)
    >>> with TemporaryDirectory() as folder:
    ...     page = write_report(
    ...         Path(folder) / "map.html", found, scene.cube, wavelengths=scene.wavelengths
    ...     )
    ...     page.name, page.stat().st_size < 100_000
    ('map.html', True)
    """
    import_jinja()
    class_map = read_class_map(mapped)
    source = open_source(scene).as_told(
        nodata=nodata, scale=scale, wavelengths=wavelengths, bad_bands=bad_bands
    )
    source.check_size()
    trust = open_trust(mapped, class_map)
    path = check_output(output, _files(class_map, source, trust))
    check_map(class_map, source)
    shown_colors, began = colors_of(class_map, colors), source.state()
    bands, warned = shown_bands(source, scale_told=scale is not None)
    if model is not None:
        check_model(model, class_map, source)
        if doubt := named_otherwise(model, class_map, source):
            warn(doubt)
            warned.append(doubt)
    spectra = SceneSpectra(source, bands)
    parts = _gather(class_map, spectra, trust, model, shown_colors, verbose)
    if source.state() != began:
        raise DataFormatError(
            f"{source.files[0] if source.files else 'the array'} changed while it was read: write "
            "the report again when nothing writes to it any more."
        )
    parts["notes"] = [*notes, *warned, *parts["notes"]]
    page = render(
        title=title or _title(class_map, source),
        assessment=None if assessment is None else assessment_of(assessment),
        **parts,
    )
    with write_atomically(path) as temporary:
        Path(temporary).write_text(page, encoding="utf-8")
    return path


def _gather(
    mapped: ClassMap, spectra: SceneSpectra, trust: Source | None, model, colors, verbose: bool
) -> dict[str, Any]:
    """Go through the scene, and return what the page shows by its name in the template."""
    thinning = Thinning.of(mapped.shape)
    found = class_spectra(spectra, mapped.codes, len(mapped.named()), verbose)
    library = library_of(model, mapped.named(), spectra.wavelengths)
    picture = _picture(mapped, colors, thinning)
    layers = None if trust is None else describe_trust(trust, mapped, len(colors), thinning)
    used = len(picture) + (0 if layers is None else len(layers["values"]) * 3 // 4)
    room = max(LEAST_ROOM, ROOM - used)
    with threadpool_limits(1, "blas"):  # small products, which more threads only delay
        stored = store_spectra(spectra, found, mapped.codes, thinning, room, verbose)
    nm = spectra.wavelengths
    data = {
        "rows": mapped.shape[0],
        "columns": mapped.shape[1],
        "thinning": {"picture": thinning.picture, "stored": thinning.stored,
                     "first": thinning.first},
        "classes": classes_of(mapped, found, library, colors),
        "wavelengths": None if nm is None else numbers(nm),
        "bands": spectra.bands.tolist(),
        "spectra": {**stored.content, "rms_error": stored.rms_error},
        "trust": layers,
        "place": place_of(mapped),
        "pruning": None if model is None else pruning_of(model),
    }  # fmt: skip
    return {
        "picture": picture,
        "data": data,
        "library": library.origin,
        "facts": _facts(mapped, spectra, stored, thinning),
        "notes": _about_pixels(found.counts, stored.n_beyond, mapped),
    }


def _files(mapped: ClassMap, scene: Source, trust: Source | None) -> list[Path]:
    """Every file that the run reads."""
    files = [*scene.files, *(trust.files if trust is not None else ())]
    if mapped.path is not None:
        path = Path(mapped.path)
        files += [path, path.with_name(f"{path.name}.aux.xml"), *open_source(path).files]
    return files


def _title(mapped: ClassMap, scene: Source) -> str:
    of_scene = f" of {scene.files[0].name}" if scene.files else ""
    return f"{mapped.path.name if mapped.path is not None else 'Class map'}{of_scene}"


def _picture(mapped: ClassMap, colors: list[str], thinning: Thinning) -> bytes:
    rgb = np.array([list(bytes.fromhex(color[1:])) for color in colors], dtype=np.uint8)
    step = thinning.picture
    return palette_png(mapped.codes[::step, ::step].astype(np.uint8), rgb)


def _facts(
    mapped: ClassMap, spectra: SceneSpectra, stored: StoredSpectra, thinning: Thinning
) -> list[tuple[str, str]]:
    """Say what was read, and how spectra are kept in the page."""
    scene, nm = spectra.scene, spectra.wavelengths
    shown = f"{len(spectra.bands)} of {scene.shape[2]} bands"
    if nm is not None:
        shown += f", {nm[0]:.5g} to {nm[-1]:.5g} nm"
    return [
        ("Map", "in memory" if mapped.path is None else Path(mapped.path).name),
        ("Scene", scene.files[0].name if scene.files else "in memory"),
        ("Size", f"{mapped.shape[0]:,} rows of {mapped.shape[1]:,} pixels"),
        ("Shown", shown),
        ("Spectra of pixels", _kept_how(stored, thinning)),
    ]


def _kept_how(stored: StoredSpectra, thinning: Thinning) -> str:
    """Say whether a click shows what was measured, or how near it is to that."""
    which = "Of every classified pixel. It"
    if (step := thinning.stored) > 1:
        which = f"One in {step} x {step} pixels: a click shows the nearest of these. It"
    if stored.content["kind"] == "exact":
        return f"{which} is kept as measured, rounded to {stored.content['step']:.1g}."
    return (
        f"{which} is kept as its class's mean and main directions (PCA), rounded: what is shown "
        f"differs from what was measured by {stored.rms_error:.2g} in reflectance (root mean "
        f"square), and in 99 of 100 pixels by less than {stored.largest_error:.2g} in every band."
    )


def _about_pixels(n_spectra: np.ndarray, n_beyond: int, mapped: ClassMap) -> list[str]:
    """Pixels that have a class and no whole spectrum, and those without a class."""
    n_named = int((mapped.codes > 0).sum())
    notes = []
    if n_blank := mapped.codes.size - n_named:
        notes.append(f"{n_blank:,} pixels have no data ({n_blank / mapped.codes.size:.1%}).")
    if n_without := n_named - int(n_spectra.sum()):
        notes.append(
            f"{n_without:,} classified pixels lack a number in some band that the model does not "
            "need; of these no spectrum is shown."
        )
    if n_beyond:
        notes.append(
            f"{n_beyond:,} pixels are far brighter or darker than all others; of these no spectrum "
            "is shown."
        )
    return notes
