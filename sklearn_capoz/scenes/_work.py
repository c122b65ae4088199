"""The work folder: results block by block, and a journal that says which are whole.

An output is put together in `<output>.partial/`, out of which finished files are renamed at the
end. A folder cannot pass for a map, and what an interruption leaves there is enough to go on.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from ._output import work_path
from ._pixels import MapLayer

__all__ = ["MemoryStore", "Store", "WorkFolder", "check_work_path"]

#: Changes when the files in the folder do, so that an old folder is not continued by newer code.
FORMAT = 3

#: Parts of a request that are only fingerprints.
CHECKSUMS = ("model", "scene", "bands")


class Store:
    """Where results are put, block by block.

    Parameters
    ----------
    layers : tuple of MapLayer
    shape : tuple of int, (n_rows, n_columns)
    block_rows : int
    """

    def __init__(self, layers: tuple[MapLayer, ...], shape: tuple[int, int], block_rows: int):
        self.layers, self.shape, self.block_rows = layers, shape, block_rows

    def starts(self) -> list[int]:
        """First rows of the blocks that are still to be done."""
        return list(range(0, self.shape[0], self.block_rows))

    def stop(self, start: int) -> int:
        return min(start + self.block_rows, self.shape[0])

    def write(self, start: int, results: Iterable[np.ndarray]) -> None:
        raise NotImplementedError

    def read(self, layer: MapLayer, start: int, stop: int) -> np.ndarray:
        """Rows of a layer, (n_rows, n_columns, n_bands)."""
        raise NotImplementedError

    def strips(self, layer: MapLayer, n_rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """Go through a layer, `n_rows` at a time; with the first row of each strip."""
        for start in range(0, self.shape[0], n_rows):
            yield start, self.read(layer, start, min(start + n_rows, self.shape[0]))


class MemoryStore(Store):
    """Results as arrays."""

    def __init__(self, layers, shape, block_rows):
        super().__init__(layers, shape, block_rows)
        try:
            self.arrays = {
                layer.name: np.empty((*shape, len(layer.bands)), dtype=layer.dtype)
                for layer in layers
            }
        except (MemoryError, ValueError) as error:
            raise MemoryError(
                f"a map of {shape[0]:,} x {shape[1]:,} pixels with the layers "
                f"{', '.join(layer.name for layer in layers)} does not fit into memory: give an "
                "output, and it is written block by block."
            ) from error

    def write(self, start, results):
        for layer, result in zip(self.layers, results, strict=True):
            self.arrays[layer.name][start : self.stop(start)] = result

    def read(self, layer, start, stop):
        return self.arrays[layer.name][start:stop]


class WorkFolder(Store):
    """Raw results of each layer, rows one behind the other, and the journal of finished blocks.

    Every block's checksum is in the journal, so after a crash or a power cut a block counts as
    finished only if its bytes did reach the disk; nothing has to be forced there meanwhile.

    Parameters
    ----------
    output : Path
    layers : tuple of MapLayer
    shape : tuple of int, (n_rows, n_columns)
    block_rows : int
    request : dict of str to str
        What is being computed: the model, the source, each setting. A folder is continued only
        by the same request.
    resume : bool

    Raises
    ------
    ValueError
        If the folder was begun with another request.
    OSError
        If it cannot be written, or another run is at work in it: the two would mix their blocks.
    """

    def __init__(
        self,
        output: Path,
        layers: tuple[MapLayer, ...],
        shape: tuple[int, int],
        block_rows: int,
        request: dict[str, str],
        *,
        resume: bool,
    ):
        self.path = work_path(output)
        super().__init__(layers, shape, block_rows)
        self._head = {"format": str(FORMAT), "block_rows": str(block_rows), **request}
        check_work_path(output)
        self._make_room()
        self._lock = _locked(self.path)
        try:
            finished = self._read_journal() if resume and self._journal_path.is_file() else {}
            if not finished:
                for file in self.path.iterdir():
                    if file.name not in ("lock", "journal"):
                        file.unlink()
            self.finished = {s: c for s, c in finished.items() if self._checksum(s) == c}
            # Before any result: without a journal nobody could tell whose folder it is.
            self._rewrite_journal()
            for layer in layers:
                self.raw_path(layer).touch()
        except BaseException as error:
            self._lock.release()
            if isinstance(error, OSError):
                raise _explained(error, f"cannot write to {self.path}") from error
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._lock.release()

    @property
    def _journal_path(self) -> Path:
        return self.path / "journal"

    def starts(self):
        return [start for start in super().starts() if start not in self.finished]

    def write(self, start: int, results: Iterable[np.ndarray]) -> None:
        """Store one block; the journal gets its line when the data is written."""
        checksum = 0
        try:
            for layer, result in zip(self.layers, results, strict=True):
                data = np.ascontiguousarray(result).data.cast("B")
                checksum = zlib.crc32(data, checksum)
                # Unbuffered: an error of the disk comes with the write and not at some later time.
                with open(self.raw_path(layer), "r+b", buffering=0) as file:
                    file.seek(self._position(layer, start))
                    _write_all(file, data)
            with open(self._journal_path, "ab", buffering=0) as journal:
                _write_all(journal, _line({"start": start, "crc": checksum}))
        except OSError as error:
            raise _explained(
                error,
                f"cannot write to {self.path}; the finished blocks are kept there: make room and "
                "resume",
            ) from error
        self.finished[start] = checksum

    def read(self, layer, start, stop):
        shape = (stop - start, self.shape[1], len(layer.bands))
        with open(self.raw_path(layer), "rb") as file:
            file.seek(self._position(layer, start))
            return np.fromfile(file, dtype=layer.dtype, count=int(np.prod(shape))).reshape(shape)

    def verify(self) -> None:
        """See that the files were made of what was computed, whatever happened to it meanwhile.

        Raises
        ------
        OSError
            If a block is not the one whose checksum was noted.
        """
        if damaged := [s for s, known in self.finished.items() if self._checksum(s) != known]:
            raise OSError(
                errno.EIO,
                f"the results of {len(damaged)} of {len(self.finished)} blocks were changed or "
                "damaged after they were written; resume, and they are computed again",
                str(self.path),
            )

    def raw_path(self, layer: MapLayer) -> Path:
        return self.path / f"{layer.name}.raw"

    def remove(self) -> None:
        self._lock.release()  # what is open cannot be removed everywhere
        shutil.rmtree(self.path, ignore_errors=True)

    def _position(self, layer: MapLayer, row: int) -> int:
        return row * self.shape[1] * len(layer.bands) * np.dtype(layer.dtype).itemsize

    def _checksum(self, start: int) -> int | None:
        checksum = 0
        for layer in self.layers:
            try:
                block = self.read(layer, start, self.stop(start))
            except (ValueError, FileNotFoundError):  # the file ends before the block does
                return None
            checksum = zlib.crc32(block, checksum)
        return checksum

    def _make_room(self) -> None:
        """Refuse to start what cannot end: the raw results and the finished files fit, or not."""
        size = sum(self._position(layer, self.shape[0]) for layer in self.layers)
        try:
            free = shutil.disk_usage(self.path.parent).free
        except OSError as error:
            raise _explained(error, f"cannot write to {self.path.parent}") from error
        there = sum(f.stat().st_size for f in self.path.glob("*")) if self.path.is_dir() else 0
        if 2 * size > free + there:
            raise OSError(
                errno.ENOSPC,
                f"the results need up to {2 * size:,} bytes, and {free:,} are free",
                str(self.path.parent),
            )

    def _read_journal(self) -> dict[int, int]:
        """Finished blocks of the same request; a line cut by an interruption ends the list."""
        lines = self._journal_path.read_bytes().split(b"\n")
        finished: dict[int, int] = {}
        try:
            head = json.loads(lines[0])
            differs = [_change(k, head.get(k), now) for k, now in self._head.items()]
        except (ValueError, AttributeError, TypeError):
            return {}
        if any(differs):
            raise ValueError(
                f"cannot resume: {self.path} was begun with {', '.join(filter(None, differs))}. "
                "Use the same model, scene and settings, or start anew without resume."
            )
        for line in lines[1:]:
            try:
                entry = json.loads(line)
                finished[int(entry["start"])] = int(entry["crc"])
            except (ValueError, TypeError, KeyError):
                break
        return {start: finished[start] for start in super().starts() if start in finished}

    def _rewrite_journal(self) -> None:
        fresh = self.path / "journal.new"
        lines = [_line({"start": s, "crc": c}) for s, c in self.finished.items()]
        with open(fresh, "wb") as file:
            file.write(b"".join([_line(self._head), *lines]))
            file.flush()
            os.fsync(file.fileno())  # a power cut must not leave a folder that is nobody's
        os.replace(fresh, self._journal_path)


def check_work_path(output: Path) -> None:
    """See that the work folder of an output is not there yet, or is one of ours.

    Raises
    ------
    FileExistsError
        If it is a link, a file, or a folder without our journal: what is in it is not ours to
        remove.
    """
    path = work_path(output)
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_dir():
        what = "a link" if path.is_symlink() else "no folder"
    else:
        left = {p.name for p in path.iterdir()}
        # An interruption right at the start may leave no more than these.
        if left <= {"lock", "journal.new"} or _has_our_head(path / "journal"):
            return
        what = "a folder without the journal of an earlier run"
    raise FileExistsError(
        errno.EEXIST,
        f"{path.name} is {what}, and this is where the map would be put together: rename or "
        "remove it, or choose another output",
        str(path),
    )


def _has_our_head(journal: Path) -> bool:
    try:
        with open(journal, "rb") as file:
            head = json.loads(file.readline(1_000_000))
    except (OSError, ValueError):
        return False
    return isinstance(head, dict) and {"format", "block_rows", "layers"} <= head.keys()


def _locked(folder: Path) -> FileLock:
    """Make a folder this run's own, until the lock is released or the process ends."""
    lock = FileLock(folder / "lock")
    try:
        folder.mkdir(exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise BlockingIOError(
            errno.EBUSY, "another run is writing this output; wait for it", str(folder)
        ) from None
    except NotImplementedError:  # a file system without locks
        pass
    except OSError as error:
        raise _explained(error, f"cannot write to {folder.parent}") from error
    return lock


def _line(entry: Mapping) -> bytes:
    return json.dumps(entry).encode() + b"\n"


def _change(name: str, before: str | None, now: str) -> str:
    """Say how a request differs from the one before: a checksum's value tells a reader nothing."""
    if before == now:
        return ""
    if name in CHECKSUMS:
        return f"{'other' if name.endswith('s') else 'another'} {name}"
    return f"{name} = {before} (now {now})"


def _write_all(file, data) -> None:
    """Write every byte: on a disk that fills up, the first write is short, the next one fails."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _explained(error: OSError, what: str) -> OSError:
    """Say what was being done when the error came; its kind stays."""
    return OSError(error.errno, f"{error.strerror or error}: {what}", error.filename)
