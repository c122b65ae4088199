"""Public names whose module imports much, torch for example: imported when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from ._moved import MOVED_NAMES


def lazy_names(package: str, where: Mapping[str, str]) -> Callable[[str], object]:
    """Make the `__getattr__` of a package: name -> the module, as the package imports it."""
    where = {**MOVED_NAMES.get(package, {}), **where}

    def get(name: str):
        if name in where:
            return getattr(import_module(where[name], package), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get
