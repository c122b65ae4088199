"""Scenes in arrays: numpy, memmap, dask."""

from __future__ import annotations

import mmap
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sklearn_capoz._compile import kernel
from sklearn_capoz.exceptions import DataFormatError

from ._source import Source, take_bands

__all__ = ["is_array", "is_dask", "is_mapped", "open_array", "open_dask", "open_mapped"]

#: Rows of a mapped file whose numbers are part of its identity: a change of the mapping reaches
#: the file's time stamp late, and to read all of a large file twice more would cost too much.
N_ROWS_SAMPLED = 64


@dataclass(frozen=True, eq=False, kw_only=True)
class ArraySource(Source):
    """A cube in memory, rows first and bands last; it may be masked."""

    cube: np.ndarray

    # An array travels in the message, which should not be large.
    blocks_per_task: ClassVar[int] = 1

    def read(self, start, stop, bands, scratch):
        block = take_bands(self.cube[start:stop], bands)
        return block if isinstance(block, np.ma.MaskedArray) else np.asarray(block)

    def to_worker(self, client, task, bands):
        return [self.read(start, stop, bands, None) for start, stop in task]

    def identity(self):
        """Checksum of every number: an array can change in any place, and says nothing of it.

        So a change of any single one is found, at the end of a run and before it goes on; to
        read all of them twice takes a hundredth or two of the time of the map.
        """
        checksum = 0
        for row in self.cube:
            data = np.ascontiguousarray(np.ma.getdata(row)).reshape(-1).view(np.uint8)
            checksum = _checksum_of(data, checksum)
            if isinstance(row, np.ma.MaskedArray):
                checksum = _checksum_of(
                    np.ma.getmaskarray(row).reshape(-1).view(np.uint8), checksum
                )
        return f"array {self.shape} {self.dtype} {checksum:016x}"


@dataclass(frozen=True, eq=False, kw_only=True)
class MappedSource(Source):
    """A cube in a memmap, read from its file and not through the mapping.

    A mapping of a file that was cut meanwhile ends the process with SIGBUS, which nothing can
    catch; a read of it says that it is short.

    Parameters
    ----------
    cube : memmap
    first : int
        Where in the file the cube's first number is.
    """

    cube: np.ndarray
    first: int

    def read(self, start, stop, bands, scratch):
        with open(self.files[0], "rb") as file:
            rows = self._rows(file, start, stop)
        return take_bands(rows, bands)

    def _rows(self, file, start: int, stop: int) -> np.ndarray:
        """Rows as an array of the same memory order, whose gaps between numbers are read as well.

        Axes on which a step is longer than a row's, such as the bands of a bsq file, are gone
        through one by one: what lies between their parts are the other rows.
        """
        shape, strides = (stop - start, *self.shape[1:]), self.cube.strides
        outer = [axis for axis in (1, 2) if abs(strides[axis]) > abs(strides[0])]
        inner = [axis for axis in range(3) if axis not in outer]
        span_shape = [shape[axis] for axis in inner]
        span_strides = [strides[axis] for axis in inner]
        reach = [(n - 1) * step for n, step in zip(span_shape, span_strides, strict=True)]
        below = sum(min(0, r) for r in reach)
        n_bytes = sum(map(abs, reach)) + self.dtype.itemsize
        rows = np.empty([*(shape[a] for a in outer), *span_shape], dtype=self.dtype)
        for place in np.ndindex(*(shape[axis] for axis in outer)):
            steps = sum(i * strides[axis] for i, axis in zip(place, outer, strict=True))
            position = self.first + start * strides[0] + steps + below
            file.seek(position)
            data = file.read(n_bytes)
            if len(data) < n_bytes:
                raise DataFormatError(f"{self.files[0]} became shorter while it was read.")
            rows[place] = np.ndarray(
                span_shape, self.dtype, buffer=data, offset=-below, strides=span_strides
            )
        return rows.transpose(np.argsort([*outer, *inner]))

    def identity(self):
        if isinstance(mapped := _mapping(self.cube), np.memmap) and mapped.mode != "r":
            mapped.flush()  # else a later change of the same page would not move the time stamp
        checksum, n_rows = 0, self.shape[0]
        with open(self.files[0], "rb") as file:
            for row in np.unique(np.linspace(0, n_rows - 1, N_ROWS_SAMPLED).astype(int)).tolist():
                data = np.ascontiguousarray(self._rows(file, row, row + 1))
                checksum = _checksum_of(data.reshape(-1).view(np.uint8), checksum)
        return f"{super().identity()} {self.shape} {self.dtype} {self.first} {checksum:016x}"


@dataclass(frozen=True, eq=False, kw_only=True)
class DaskSource(Source):
    """A dask array, rows first and bands last; only the chunks of the asked rows are computed."""

    array: Any

    # A few rows may cost as much as all.
    samples_cheaply: ClassVar[bool] = False

    def read(self, start, stop, bands, scratch):
        # The block already runs in one of our threads: dask need not start its own.
        return self._lazy(start, stop, bands).compute(scheduler="synchronous")

    def to_worker(self, client, task, bands):
        return client.compute([self._lazy(start, stop, bands) for start, stop in task])

    def active_client(self):
        """Find the active client, as dask itself does."""
        try:
            from distributed import default_client

            return default_client()
        except (ImportError, ValueError):
            return None

    def identity(self):
        return f"dask {self.shape} {self.dtype} {self.array.name} {super().identity()}"

    def _lazy(self, start: int, stop: int, bands: np.ndarray):
        return take_bands(self.array[start:stop], bands)


def is_dask(array) -> bool:
    """Whether it is a dask array; dask need not be installed to tell."""
    return f"{type(array).__module__}.".startswith("dask.array.")


def is_mapped(array) -> bool:
    """Whether an array is a view of a mapped file, and what it holds is what the file holds."""
    if type(array) not in (np.ndarray, np.memmap) or array.ndim != 3 or array.size == 0:
        return False
    mapped = _mapping(array)
    # In copy-on-write mode, what was changed is in memory alone.
    return isinstance(mapped, np.memmap) and mapped.mode != "c" and mapped.filename is not None


def is_array(array) -> bool:
    """Whether it is an array of numpy, masked ones included."""
    return isinstance(array, np.ndarray)


def open_dask(array) -> Source:
    """Wrap a dask cube (n_rows, n_columns, n_bands)."""
    _check_cube(array)
    return DaskSource(shape=array.shape, dtype=array.dtype, array=array)


def open_array(cube: np.ndarray) -> Source:
    """Wrap a cube (n_rows, n_columns, n_bands)."""
    _check_cube(cube)
    mapped = _mapping(cube)
    path = None if mapped is None else mapped.filename
    files = () if path is None else (Path(path),)
    return ArraySource(shape=cube.shape, dtype=cube.dtype, cube=cube, files=files)


def open_mapped(cube: np.ndarray) -> Source:
    """Wrap a memmap (n_rows, n_columns, n_bands), or any view of one."""
    _check_cube(cube)
    mapped = _mapping(cube)
    assert mapped is not None
    assert mapped.filename is not None
    # A view's offset is that of the whole array: where it begins, its address has to tell.
    begin = mapped.offset - mapped.offset % mmap.ALLOCATIONGRANULARITY
    # numpy keeps the mapping in a private attribute, and only there.
    pages = np.frombuffer(mapped._mmap, dtype=np.uint8)  # type: ignore[attr-defined]
    address = pages.__array_interface__["data"][0]
    first = begin + cube.__array_interface__["data"][0] - address
    path = Path(os.path.realpath(mapped.filename))
    return MappedSource(shape=cube.shape, dtype=cube.dtype, cube=cube, first=first, files=(path,))


def _mapping(array) -> np.memmap | None:
    """Find the memmap that an array is, or is a view of."""
    while isinstance(array, np.ndarray):
        # The result of arithmetic on a memmap is one as well, without a mapping.
        if isinstance(array, np.memmap) and getattr(array, "_mmap", None) is not None:
            return array
        array = array.data if isinstance(array, np.ma.MaskedArray) else array.base
    return None


def _check_cube(cube) -> None:
    if cube.ndim != 3 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in cube.shape):
        raise DataFormatError(
            f"a scene must be a cube (n_rows, n_columns, n_bands), none of them 0; got shape "
            f"{cube.shape}."
        )
    if cube.dtype.kind not in "iuf":
        raise DataFormatError(f"a scene must hold real numbers, got {cube.dtype}.")


def _checksum_of(data: np.ndarray, before: int) -> int:
    """Checksum of bytes that goes on from another one."""
    n = data.size - data.size % 32
    mixed = int(_mix(data[:n].view(np.uint64), np.uint64(before)))
    return mixed ^ (zlib.crc32(data[n:].data) << 7)


@kernel
def _mix(words, before):  # pragma: no cover
    """Checksum at the speed of memory, ten times that of `zlib.crc32`.

    A scene is gone through twice, so this must cost little beside the classification. Every step
    is one-to-one in the number and in what came before, so no single change can stay unseen; the
    rotation lets the highest bits, which a product only pushes out, have a part in the others.
    """
    prime = np.uint64(0x9E3779B97F4A7C15)
    a, b, c, d = before ^ np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    left, right = np.uint64(29), np.uint64(35)
    for i in range(0, words.size, 4):  # four chains, or each product would wait for the last one
        a, b, c, d = a ^ words[i], b ^ words[i + 1], c ^ words[i + 2], d ^ words[i + 3]
        a = ((a << left) | (a >> right)) * prime
        b = ((b << left) | (b >> right)) * prime
        c = ((c << left) | (c >> right)) * prime
        d = ((d << left) | (d >> right)) * prime
    for other in (b, c, d):
        a = (a ^ other) * prime
        a = (a << left) | (a >> right)
    return a
