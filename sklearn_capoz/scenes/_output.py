"""Which files make a map: settled before any work, and renamed into place all at once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..formats._atomic import check_folder
from ..formats._envi_header import import_envi, read_header
from ._raster import import_rasterio, quiet

__all__ = [
    "LAYER_TAG", "PROGRAM", "check_files", "check_output", "layer_label", "layer_path", "publish",
    "refuse_inputs", "work_path",
]  # fmt: skip

#: Stands in every file, so that none of another origin is taken for an old part of a map.
PROGRAM = "sklearn_capoz"

#: The tag of a GeoTIFF that says of which map it is a layer.
LAYER_TAG = "SKLEARN_CAPOZ_LAYER"

#: Layers beside the class map.
FURTHER_LAYERS = ("probability", "features", "trust")


def check_output(output, *, resume: bool = False) -> Path | None:
    """Tell the format from the suffix, before any work, and see that its writer is there."""
    if output is None:
        if resume:
            raise ValueError("resume=True needs an output: without one nothing is kept to resume.")
        return None
    path = Path(output)
    suffix = path.suffix.lower()
    if suffix in (".tif", ".tiff"):
        import_rasterio()
    elif suffix == ".hdr":
        import_envi()
    else:
        raise ValueError(f"output must end in .tif or .tiff (GeoTIFF) or .hdr (ENVI), got {path}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"output {path}: there is no folder {path.parent}.")
    check_folder(path.parent)
    return path


def layer_path(output: Path, layer: str) -> Path:
    """Name a layer's main file: the class map's is the output."""
    return output if layer == "classes" else output.with_stem(f"{output.stem}_{layer}")


def layer_label(output: Path, layer: str) -> str:
    """Say in a layer's file to which map it belongs: a name alone may be another map's.

    The map itself says only what it is, so that it is the same under any name.
    """
    name = "".join(c if c.isprintable() and c not in "{}" else "_" for c in output.name)
    return layer if layer == "classes" else f"{layer} of {name}"


def work_path(output: Path) -> Path:
    """Name the folder in which the files are put together."""
    return output.with_name(f"{output.name}.partial")


def refuse_inputs(output: Path, inputs: Iterable[Path]) -> None:
    """See that no file that a map replaces or removes is one that the run reads."""
    read = [path for path in inputs if path.exists()]
    for layer in ("classes", *FURTHER_LAYERS):
        for file in _files(output, layer):
            if any(file.exists() and file.samefile(path) for path in read):
                raise ValueError(
                    f"output {output} would replace or remove {file}, which this run reads: "
                    "choose another name or folder."
                )


def check_files(output: Path, layers: Iterable[str], inputs: Iterable[Path]) -> None:
    """See that the files that a run will write may be written, before any work.

    Raises
    ------
    ValueError
        If one of them is an input, half of an ENVI pair, or there and no map or layer of ours.
    IsADirectoryError
        If one of them is a folder.
    OSError
        If one of them is a link, a pipe or a device, whose place a file would take.
    """
    refuse_inputs(output, inputs)
    for layer in layers:
        files = _files(output, layer)
        for file in files:
            _check_kind(file)
        if files[0].exists() and not _is_layer(output, layer):
            what = "map of this program" if layer == "classes" else "layer of that map"
            raise ValueError(
                f"output {output} would replace {files[0]}, which is no {what}: choose another "
                "name, or rename or remove it."
            )
        if output.suffix.lower() != ".hdr" or work_path(output).exists():
            continue  # an interruption may have left a part of a map: it is known by its folder
        there, missing = sorted(files, key=Path.exists, reverse=True)
        if there.exists() and not missing.exists():
            raise ValueError(
                f"output {output} would replace {there}, which belongs to something else: there "
                f"is no {missing.name} beside it. Choose another name, or remove it."
            )


def publish(files: list[Path], output: Path) -> tuple[Path, ...]:
    """Rename finished files into place, so that at no time an old and a new part stand together.

    The main file goes first and comes back last: in between there is no map, and never half of
    one. The layers of an earlier map that this one lacks go as well.
    """
    for file in files:
        with open(file, "rb") as handle:
            os.fsync(handle.fileno())
    names = {file.name for file in files}
    old = [
        path
        for layer in FURTHER_LAYERS
        if layer_path(output, layer).name not in names and _is_layer(output, layer)
        for path in _files(output, layer)
    ]
    if len(files) + len(old) > 1:
        output.unlink(missing_ok=True)
    for path in reversed(old):  # the file that says that it is ours goes last
        path.unlink(missing_ok=True)
    for file in files:
        os.replace(file, output.parent / file.name)
    return tuple(output.parent / file.name for file in reversed(files))


def _check_kind(file: Path) -> None:
    """See that what has a result's name, if anything, is a file: a rename takes any place."""
    if file.is_dir():
        raise IsADirectoryError(f"output {file} is a folder.")
    if file.is_symlink():
        raise OSError(
            f"output {file} is a link to {os.readlink(file)}: give the name of a file itself, or "
            "remove the link."
        )
    if file.exists() and not file.is_file():
        raise OSError(f"output {file} is a pipe or a device: give the name of a file.")


def _files(output: Path, layer: str) -> list[Path]:
    """Every file of a layer, the main one first."""
    path = layer_path(output, layer)
    if path.suffix.lower() == ".hdr":
        return [path, path.with_suffix(".img")]
    return [path, path.with_name(f"{path.name}.aux.xml")] if layer == "classes" else [path]


def _is_layer(output: Path, layer: str) -> bool:
    """Whether a file is that layer of this very map; one that cannot be read is none."""
    path, label = layer_path(output, layer), layer_label(output, layer)
    if not path.is_file():
        return False
    try:
        if path.suffix.lower() == ".hdr":
            return read_header(path).get("description") == f"{label} by {PROGRAM}"
        with quiet(), import_rasterio().open(path, driver="GTiff") as dataset:
            return dataset.tags().get(LAYER_TAG) == label
    except (ValueError, OSError):
        return False
