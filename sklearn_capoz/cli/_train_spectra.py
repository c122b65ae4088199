"""What `train` is given: a table, an ENVI library or ECOSTRESS texts, and in whose bands."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..exceptions import DataFormatError
from ..formats._csv_table import (
    LARGEST_REFLECTANCE,
    MIN_PER_CLASS,
    SMALLEST_REFLECTANCE,
    SpectraTable,
    check_reflectance,
    read_spectra,
)
from ..formats._ecostress import is_ecostress, read_ecostress
from ..formats._envi_fields import find_header
from ..formats._envi_library import read_envi_library
from ..scenes._truth import read_names
from ..spectral import SpectralAbsorptionIndex
from ..spectral._wavelengths import bands_named
from ._scene_bands import Bands, bands_of, in_bands

__all__ = ["read_training_spectra"]

#: Of the bands that this share of the spectra cover, a spectrum needs as many, or it is left out;
#: of the others', the bands are.
SHARE = 0.5


@dataclass(frozen=True, eq=False)
class Library:
    """Spectra, each with wavelengths of its own, and what they are.

    Parameters
    ----------
    spectra : list of (wavelengths in nm, reflectance), ndarray of shape (n_bands,)
        NaN where a channel was deleted.
    names : list of str
        Of the records.
    classes, samples : ndarray of shape (n_spectra,), str
    path : Path
        What messages call it.
    """

    spectra: list[tuple[np.ndarray, np.ndarray]]
    names: list[str]
    classes: np.ndarray
    samples: np.ndarray
    path: Path

    def where(self, kept: np.ndarray) -> Library:
        """Take some of the spectra."""
        there = np.flatnonzero(kept).tolist()
        spectra, names = [self.spectra[i] for i in there], [self.names[i] for i in there]
        return Library(spectra, names, self.classes[kept], self.samples[kept], self.path)


def read_training_spectra(arguments: argparse.Namespace) -> tuple[SpectraTable, np.ndarray | None]:
    """Read the spectra in the bands to train in.

    Returns
    -------
    table : SpectraTable
    fwhm : ndarray of shape (n_bands,), nm, or None
        Of a scene or sensor, if one was asked for.

    Raises
    ------
    DataFormatError
        If a file is not what it should be, spectra are no reflectance from 0 to 1, or too few
        cover the bands.
    """
    paths = arguments.spectra
    readers: list[tuple[Callable[[Path], bool], Callable]] = [
        (lambda path: path.is_dir() or is_ecostress(path), _read_texts),
        (_is_library, _read_library),
    ]
    read = next((read for fits, read in readers if fits(paths[0])), None)
    if read is None:
        return _read_table(arguments)
    library = _chosen(read(paths, arguments), arguments)
    _check_level(library)
    bands = bands_of(arguments)
    table = _in_one_table(library, bands, arguments.bad_bands)
    assert table.groups is not None  # a library names its samples
    print(f"{table}\n{len(set(table.groups))} samples, as the library names them")
    alone = sum(np.unique(table.y, return_counts=True)[1] == 1)
    if alone:
        print(f"{alone} of {len(set(table.y))} classes have one spectrum, which is enough to train")
    index = SpectralAbsorptionIndex(table.wavelengths.tolist())
    check_reflectance(library.path, table, index.fit_transform(table.X))
    return table, None if bands is None else bands.fwhm_at(table.wavelengths)


def _read_table(arguments: argparse.Namespace):
    if len(arguments.spectra) > 1:
        raise ValueError(
            f"one table at a time: {len(arguments.spectra)} files were given. Several are taken of "
            "the ECOSTRESS library only."
        )
    (path,) = arguments.spectra
    if arguments.label is None:
        raise ValueError(f"--label must name the column of {path} that holds the labels.")
    table = read_spectra(
        path,
        arguments.label,
        arguments.group,
        arguments.bad_bands,
        scale=1.0 if arguments.scale is None else arguments.scale,
        least=MIN_PER_CLASS if arguments.as_measured else 1,
    )
    kept, y = _renamed(table.y, table.y, path, arguments)
    groups = None if table.groups is None else table.groups[kept]
    table = SpectraTable(table.X[kept], y, groups, table.wavelengths, table.columns)
    print(table)
    index = SpectralAbsorptionIndex(table.wavelengths.tolist())
    check_reflectance(path, table, index.fit_transform(table.X))
    bands = bands_of(arguments)
    return (table, None) if bands is None else in_bands(table, bands)


def _is_library(path: Path) -> bool:
    """Whether the name is that of an ENVI spectral library, or of its header."""
    if path.suffix.lower() == ".hdr":
        return True
    return path.suffix.lower() == ".sli" or (
        path.suffix.lower() not in (".csv", ".txt", ".tsv") and find_header(path) is not None
    )


def _read_library(paths: list[Path], arguments: argparse.Namespace) -> Library:
    """Read an ENVI library: the class is the first word of a name, the sample the second."""
    if len(paths) > 1:
        raise ValueError(f"one spectral library at a time: {len(paths)} files were given.")
    try:
        found = read_envi_library(paths[0])
    except DataFormatError as error:
        raise DataFormatError(f"{error} A scene is trained on with --truth.") from error
    if arguments.label is not None or arguments.group is not None:
        raise ValueError(
            f"--label and --group name columns, and {paths[0]} has none: the class of a spectrum "
            "is the first word of its name, its sample the second; --names translates them."
        )
    nm, order = found.wavelengths, np.argsort(found.wavelengths, kind="stable")
    order = order[np.isfinite(nm[order])]
    scale = 1.0 if arguments.scale is None else arguments.scale
    words = [name.split() for name in found.names.tolist()]
    # A letter behind the sample's number is a grain size of the same sample: GDS70.b.
    samples = [" ".join([*w[:1], *(re.sub(r"\.[a-z]$", "", s) for s in w[1:2])]) for w in words]
    return Library(
        spectra=[(nm[order], values[order] / scale) for values in found.data],
        names=found.names.tolist(),
        classes=np.array([w[0] if w else "" for w in words], dtype=str),
        samples=np.array(samples, dtype=str),
        path=paths[0],
    )


def _read_texts(paths: list[Path], arguments: argparse.Namespace) -> Library:
    """Read texts of the ECOSTRESS library: the class is the mineral, or a field of the header."""
    files = [f for p in paths for f in (sorted(p.glob("*.txt")) if p.is_dir() else [p])]
    # Spectra of the library come with a second text each, of another kind.
    files = [f for f in files if is_ecostress(f)]
    if not files:
        raise DataFormatError(f"{paths[0]} has no spectrum of the ECOSTRESS library (*.txt).")
    found = [read_ecostress(file) for file in files]

    def of(field: str | None, default: str) -> np.ndarray:
        if field is None or field.casefold() == default:
            return np.array([spectrum[default] for spectrum in found], dtype=str)
        values = [spectrum.metadata.get(field.casefold(), "") for spectrum in found]
        if "" in values:
            known = ", ".join(found[values.index("")].metadata)
            raise DataFormatError(
                f"{files[values.index('')]} has no field {field!r}; it has {known[:200]}."
            )
        return np.array(values, dtype=str)

    return Library(
        spectra=[(spectrum.wavelengths, spectrum.data) for spectrum in found],
        names=[file.name for file in files],
        classes=of(arguments.label, "name"),
        samples=of(arguments.group, "sample"),
        path=paths[0],
    )


def _renamed(y: np.ndarray, records, path: Path, arguments: argparse.Namespace):
    """Which spectra stay, and the names of their classes, by --names, --rename and --only."""
    pairs = read_names(arguments.names) | dict(arguments.rename)
    if pairs and not set(pairs) & {*y.tolist(), *records}:
        raise ValueError(
            f"{path} has none of the names that are to be translated, such as {next(iter(pairs))!r}"
        )
    named = zip(records, y.tolist(), strict=True)
    y = np.array([pairs.get(record, pairs.get(name, name)) for record, name in named], dtype=str)
    kept = y != ""
    if arguments.only:
        if absent := [name for name in arguments.only if name not in set(y.tolist())]:
            raise ValueError(
                f"--only {absent[0]}: {path} has no such class; it has "
                f"{', '.join(sorted(set(y.tolist()) - {''}))[:300]}."
            )
        kept &= np.isin(y, arguments.only)
    if len(set(y[kept].tolist())) < 2:
        raise DataFormatError(
            f"{path} must hold at least two classes; it has {len(y)} spectra, of which "
            f"{kept.sum()} stay, of {len(set(y[kept].tolist()))} classes."
        )
    return kept, y[kept]


def _chosen(library: Library, arguments: argparse.Namespace) -> Library:
    kept, y = _renamed(library.classes, library.names, library.path, arguments)
    library = library.where(kept)
    return Library(library.spectra, library.names, y, library.samples, library.path)


def _check_level(library: Library) -> None:
    """Refuse percent and the like."""
    level = np.array([np.nanmedian(values) if np.isfinite(values).any() else 0.0
                      for _, values in library.spectra])  # fmt: skip
    if (level > LARGEST_REFLECTANCE).any():
        raise DataFormatError(
            f"{library.path}: {(level > LARGEST_REFLECTANCE).sum()} of {len(level)} spectra have a "
            f"median of up to {level.max():g}, and reflectance is 0 to 1; give what stands for 1 "
            "as --scale, such as 100 for percent."
        )
    if np.median(level) < SMALLEST_REFLECTANCE:
        raise DataFormatError(
            f"{library.path}: half of the {len(level)} spectra have a median below "
            f"{SMALLEST_REFLECTANCE:g}, and reflectance is 0 to 1: --scale is too large, or the "
            "values are none."
        )


def _in_one_table(library: Library, bands: Bands | None, bad_bands) -> SpectraTable:
    """Bring the spectra to the same bands, without what too few of them cover."""
    path, spectra = library.path, library.spectra
    if bands is not None:
        nm, X = bands.nm, bands.resampled(spectra)
        where = f"of {bands.name}"
    else:
        nm, where = spectra[0][0], "of the library"
        if any(not np.array_equal(own, nm) for own, _ in spectra):
            raise DataFormatError(
                f"the spectra of {path} have different bands: say in whose to train, with --scene "
                "or --sensor."
            )
        X = np.array([values for _, values in spectra])
        good = ~bands_named(nm, bad_bands, "the library")
        nm, X = nm[good], X[:, good]
    missing = ~np.isfinite(X)
    common = missing.mean(axis=0) <= SHARE
    lacks = missing[:, common].mean(axis=1) > SHARE if common.any() else missing.any(axis=1)
    # A library is others' work, and its reader can't mend a spectrum: those without a value above
    # 0 in some band have no absorption index and no hull there, and stay out.
    dark = (X <= 0).any(axis=1)
    kept = ~(lacks | dark)
    whole = ~missing[kept].any(axis=0) if kept.any() else np.zeros(len(nm), dtype=bool)
    if whole.sum() < 3 or len(set(library.classes[kept].tolist())) < 2:
        raise DataFormatError(
            f"{path} does not cover the bands {where}, {nm[0]:g} to {nm[-1]:g} nm: {kept.sum()} of "
            f"{len(kept)} spectra have values above 0 in as many bands as the others, and all of "
            f"these have {whole.sum()}; at least 3 bands are needed, and two classes. Check the "
            "units of both."
        )
    if not kept.all():
        names = [name for name, stays in zip(library.names, kept, strict=True) if not stays]
        print(
            f"left out: {len(names)} spectra that lack more than half of the others' bands, or are "
            f"not above 0 in some ({dark.sum()}), such as {names[0]}"
        )
    if not whole.all():
        lost = nm[~whole]
        print(
            f"left out: {len(lost)} bands {where} that some spectrum lacks, between {lost[0]:g} "
            f"and {lost[-1]:g} nm"
        )
    columns = [f"{centre:g}" for centre in nm[whole]]
    X, y = X[kept][:, whole], library.classes[kept]
    return SpectraTable(X, y, library.samples[kept], nm[whole], columns)
