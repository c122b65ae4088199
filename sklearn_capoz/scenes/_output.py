"""Which files make a map: settled before any work, and renamed into place all at once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..formats._envi_header import import_envi, read_header
from ._raster import import_rasterio, quiet

__all__ = [
    "PROGRAM", "check_files", "check_output", "layer_path", "publish", "refuse_inputs",
    "work_path",
]  # fmt: skip

#: Stands in every file, so that none of another origin is taken for an old part of a map.
PROGRAM = "sklearn_capoz"

#: Layers beside the class map.
FURTHER_LAYERS = ("probability", "features")


def check_output(output) -> Path:
    """Tell the format from the suffix, before any work, and see that its writer is there."""
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
    return path


def layer_path(output: Path, layer: str) -> Path:
    """Name a layer's main file: the class map's is the output."""
    return output if layer == "classes" else output.with_stem(f"{output.stem}_{layer}")


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
        If one of them is an input, or half of an ENVI pair that this package did not write.
    IsADirectoryError
        If one of them is a folder.
    """
    refuse_inputs(output, inputs)
    for layer in layers:
        files = _files(output, layer)
        for file in files:
            if file.is_dir():
                raise IsADirectoryError(f"output {file} is a folder.")
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
        if layer_path(output, layer).name not in names and _is_ours(layer_path(output, layer))
        for path in _files(output, layer)
    ]
    if len(files) + len(old) > 1:
        output.unlink(missing_ok=True)
    for path in reversed(old):  # the file that says that it is ours goes last
        path.unlink(missing_ok=True)
    for file in files:
        os.replace(file, output.parent / file.name)
    return tuple(output.parent / file.name for file in reversed(files))


def _files(output: Path, layer: str) -> list[Path]:
    """Every file of a layer, the main one first."""
    path = layer_path(output, layer)
    if path.suffix.lower() == ".hdr":
        return [path, path.with_suffix(".img")]
    return [path, path.with_name(f"{path.name}.aux.xml")] if layer == "classes" else [path]


def _is_ours(path: Path) -> bool:
    """Whether this package wrote a file; one that cannot be read is none of ours."""
    if not path.is_file():
        return False
    try:
        if path.suffix.lower() == ".hdr":
            return str(read_header(path).get("description", "")).endswith(f"by {PROGRAM}")
        with quiet(), import_rasterio().open(path) as dataset:
            return dataset.tags().get("TIFFTAG_SOFTWARE") == PROGRAM
    except (ValueError, OSError):
        return False
