"""Where the files of the fetchers lie, whether they are the right ones, and what to do if not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from ..exceptions import DataFormatError

__all__ = ["DataFile", "describe", "embedded_spectra", "find_file", "tabular"]


@dataclass(frozen=True)
class DataFile:
    """One file of a data set.

    Parameters
    ----------
    path : str
        Folder and name below `data_home`.
    sha256 : tuple of str
        Of the file as this package knows it; a download has the last one. Empty where no copy
        could be summed up: its reader then checks what is in it.
    origin : str
        Who publishes it, for the message when it is missing.
    url : str, default=None
        Only where the address is stable and the terms allow it.
    package : (str, str), default=None
        An installed package that holds the same file, and the path inside.
    """

    path: str
    sha256: tuple[str, ...]
    origin: str
    url: str | None = None
    package: tuple[str, str] | None = None


def find_file(file: DataFile, data_home=None, download_if_missing: bool = True) -> Path:
    """Return the path of a checked file: in `data_home`, in a package, or downloaded.

    Raises
    ------
    FileNotFoundError
        If it is nowhere; the message says what to put where.
    DataFormatError
        If it is another file than the one this package knows.
    """
    pooch = _pooch()
    home = _data_home(data_home)
    path = home / file.path
    if not path.is_file():
        path = _in_package(file) or path
    if not path.is_file():
        if file.url is None or not download_if_missing:
            raise FileNotFoundError(_what_to_do(file, home))
        fetched = pooch.retrieve(
            file.url, known_hash=file.sha256[-1], fname=path.name, path=path.parent
        )
        return Path(fetched)
    found = pooch.file_hash(str(path), alg="sha256")
    if file.sha256 and found not in file.sha256:
        raise DataFormatError(
            f"{path} has sha256 {found}, expected {' or '.join(file.sha256)}: replace it by the "
            f"file from {file.origin}."
        )
    return path


def describe(name: str) -> str:
    """Read a data set's description, data/<name>.rst."""
    return (files(__package__) / "data" / f"{name}.rst").read_text(encoding="utf-8")


def embedded_spectra(name: str, label: str, *, return_X_y: bool, as_frame: bool):
    """Load data/<name>.csv: the columns `label` and record, and one for each wavelength in nm."""
    with (files(__package__) / "data" / f"{name}.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file)
    reflectance = table.drop(columns=[label, "record"]).astype(float)
    target_names, target = np.unique(table[label].to_numpy(str), return_inverse=True)
    return tabular(
        reflectance.to_numpy(),
        target,
        list(reflectance.columns),
        return_X_y=return_X_y,
        as_frame=as_frame,
        target_names=target_names,
        spectrum_names=table["record"].to_numpy(str),
        wavelengths=reflectance.columns.to_numpy(float),
        DESCR=describe(name),
    )


def tabular(
    data: np.ndarray,
    target: np.ndarray,
    feature_names: list[str],
    *,
    return_X_y: bool,
    as_frame: bool,
    **more,
):
    """Return scikit-learn's usual answer: a Bunch with data, target and frame, or (data, target).

    A target of two dimensions has one column per name in ``more["target_names"]``.
    """
    frame = None
    X: np.ndarray | pd.DataFrame = data
    y: np.ndarray | pd.DataFrame | pd.Series = target
    if as_frame:
        X = pd.DataFrame(data, columns=feature_names)
        columns = ["target"] if target.ndim == 1 else list(more["target_names"])
        y = pd.DataFrame(target, columns=columns)
        frame = pd.concat([X, y], axis=1)
        y = y["target"] if target.ndim == 1 else y
    if return_X_y:
        return X, y
    return Bunch(data=X, target=y, feature_names=feature_names, frame=frame, **more)


def _data_home(data_home) -> Path:
    """Return a folder of our own in scikit-learn's data folder, unless told otherwise."""
    if data_home is not None:
        return Path(data_home).expanduser()
    home = Path(os.environ.get("SCIKIT_LEARN_DATA", "~/scikit_learn_data"))
    return home.expanduser() / "sklearn_capoz"


def _in_package(file: DataFile) -> Path | None:
    if file.package is None:
        return None
    name, inside = file.package
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / inside


def _what_to_do(file: DataFile, home: Path) -> str:
    known = f" (sha256 {file.sha256[-1]})" if file.sha256 else ""
    lines = [f"{file.path}{known} is not in {home}."]
    if file.url is not None:
        lines.append(f"It is downloaded from {file.url} with download_if_missing=True.")
    if file.package is not None:
        lines.append(f"pip install {file.package[0]} brings it.")
    lines.append(f"Or put it there as {home / file.path}. It comes from {file.origin}.")
    if file.url is None:
        lines.append("No lawful and stable address is known, so it is not downloaded.")
    return " ".join(lines)


def _pooch():
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            "The fetch functions need pooch: pip install 'sklearn-capoz[data]'."
        ) from error
    return pooch
