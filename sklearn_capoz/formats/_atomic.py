"""Writing a file whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

__all__ = ["write_atomically"]


@contextmanager
def write_atomically(path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its place if the block ends well.

    After an error or an interruption of any kind the old file, if there was one, is still there
    and the temporary one is gone.
    """
    target = Path(path).resolve()
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; give the name of a file.")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {target.parent} to write {target.name} into.")
    temporary = target.with_name(f".{target.name}.{uuid4().hex}.partial")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
