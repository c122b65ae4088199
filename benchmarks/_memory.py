"""How much a piece of work makes a process grow; Linux only, as it asks the kernel."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["growth", "in_process"]


def in_process(module: str, function: str, *arguments) -> float:
    """Call a function that prints a number in a process of its own, and return that."""
    code = f"import sys; from {module} import {function} as call; call(*sys.argv[1:])"
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def growth(call: Callable[[], object]) -> float:
    """Return the most memory that a call comes to hold beyond what was held before, in MB."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the highest so far
    before = _memory("VmRSS")
    call()
    return _memory("VmHWM") - before


def _memory(name: str) -> float:
    status = Path("/proc/self/status").read_text().split()
    return int(status[status.index(f"{name}:") + 1]) / 1024
