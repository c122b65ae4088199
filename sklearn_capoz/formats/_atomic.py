"""Writing a file whole or not at all, and reading only what is a file."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from ..exceptions import DataFormatError

__all__ = ["check_folder", "check_regular_file", "check_target", "write_atomically"]

_KINDS = {
    stat.S_IFDIR: "folder",
    stat.S_IFIFO: "pipe",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "disk",
    stat.S_IFSOCK: "socket",
}


def check_regular_file(path) -> None:
    """Refuse what is no file, before it is opened: a pipe may be silent and a device has no end.

    What does not exist passes: opening it says so.

    Raises
    ------
    DataFormatError
        If the path is a folder, a pipe, a device or a socket, or a link to one.
    """
    kind = _kind(path)
    if kind == "folder":
        raise DataFormatError(f"{path} is a folder; give the name of a file.")
    if kind is not None:
        raise DataFormatError(
            f"{path} is a {kind}, and what is read must be a file: copy what comes from it to one."
        )


def check_target(path) -> None:
    """See that a file may be written there, before any work that would be lost.

    Raises
    ------
    FileNotFoundError
        If the folder is not there.
    IsADirectoryError, PermissionError, OSError
        If there is a folder, a file without write permission, or what only `dd` should write to.
    """
    target, kind = Path(path).resolve(), _kind(path)
    if kind == "folder":
        raise IsADirectoryError(f"{path} is a folder; give the name of a file.")
    if kind in ("disk", "socket"):
        raise OSError(f"{path} is a {kind}; give the name of a file.")
    if kind is not None:
        return
    if not target.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {target.parent} to write {target.name} into.")
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(f"{path} is write-protected; give another name, or unprotect it.")
    check_folder(target.parent)


def check_folder(folder: Path) -> None:
    """See that a folder takes a new file, which its mode alone does not say.

    Raises
    ------
    OSError
        If it does not.
    """
    try:
        descriptor, temporary = _create(_temporary_name(folder))
    except OSError as error:
        raise type(error)(f"No file can be made in {folder}: {error.strerror}.") from error
    os.close(descriptor)
    if temporary.parent == folder:  # else it has no name, and is gone
        temporary.unlink()


@contextmanager
def write_atomically(path) -> Iterator[Path]:
    """Yield the path of a temporary file, which takes the place of `path` if the block ends well.

    After an error or an interruption of any kind the old file, if there was one, is still there
    and the temporary one is gone. Links are followed, the mode of an old file is kept, and a new
    one gets what the umask leaves. Devices and pipes, such as /dev/null and /dev/stdout, are
    written to when the block has ended well: they have no place that a file could take.
    """
    check_target(path)
    if _kind(path) is not None:
        with TemporaryDirectory() as folder:
            temporary = Path(folder) / "whole"
            yield temporary
            _copy_into(temporary, path)
        return
    target = Path(path).resolve()
    named = _temporary_name(target.parent)
    descriptor, temporary = _create(named)
    try:
        try:
            if target.exists():  # before there is anything to read in it
                os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
            yield temporary
            os.fsync(descriptor)
            if temporary != named:
                # Older Pythons follow the link in /proc only with a folder's descriptor, which an
                # absolute path makes no use of.
                os.link(temporary, named, src_dir_fd=descriptor, follow_symlinks=True)
        finally:
            os.close(descriptor)  # what is open cannot be renamed everywhere
        os.replace(named, target)
    finally:
        named.unlink(missing_ok=True)


def _temporary_name(folder: Path) -> Path:
    # Short, since a name that is as long as names may be leaves no room for more of it.
    return folder / f".capoz-{uuid4().hex[:16]}.partial"


def _create(named: Path) -> tuple[int, Path]:
    """Open a temporary file; return its descriptor and a path to write to.

    Linux makes files without a name (O_TMPFILE), which vanish even with a process that is killed.
    Elsewhere, and on file systems that know none, the file has its name from the beginning, and a
    killed process leaves it.
    """
    if hasattr(os, "O_TMPFILE"):
        try:
            descriptor = os.open(named.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
        except OSError:  # the file system's answers differ
            pass
        else:
            if (unnamed := Path(f"/proc/self/fd/{descriptor}")).exists():
                return descriptor, unnamed
            os.close(descriptor)  # no /proc, as in some jails
    return os.open(named, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666), named


def _copy_into(source: Path, target) -> None:
    """Write a whole file to a device or pipe."""
    # Opening a pipe that nobody reads would wait for ever; like this it is an error.
    descriptor = os.open(target, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    with open(source, "rb") as whole, open(descriptor, "wb") as sink:
        os.set_blocking(descriptor, True)
        shutil.copyfileobj(whole, sink)


def _kind(path) -> str | None:
    """Return what is at the end of a path if it is no file; None for a file, and for nothing."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "thing of its own kind")
