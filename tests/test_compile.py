"""Compiled loops where nothing can be written to disk."""

from pathlib import Path

import numba
import pytest

import sklearn_capoz
from sklearn_capoz import _compile


def test_without_a_folder_for_the_cache_kernels_still_compile(monkeypatch):
    def njit(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return numba.njit(**options)

    monkeypatch.setattr(_compile, "njit", njit)
    double = _compile.kernel(lambda x: 2 * x)
    assert double(3) == 6
    half = _compile.kernel(fastmath={"contract"})(lambda x: 0.5 * x)
    assert half(3) == pytest.approx(1.5)


def test_kernels_release_the_gil():
    assert _compile.kernel(lambda x: x).targetoptions["nogil"]


def test_no_loop_is_compiled_in_another_way():
    folder = Path(sklearn_capoz.__file__).parent
    direct = [p.name for p in folder.rglob("*.py") if "njit" in p.read_text("utf-8")]
    assert direct == ["_compile.py"]
