"""Compiled loops: their cache where files are damaged or cannot be written, and their slots."""

import gc
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from numba import types
from numba.core.errors import TypingError

import sklearn_capoz
from sklearn_capoz import _compile
from sklearn_capoz._compile import kernel, loop, slot


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a kernel as a new process would, from its file; return how often the cache served."""
    source = tmp_path / "loops.py"
    source.write_text("def double(x):\n    for i in range(x.size):\n        x[i] *= 2\n")

    def start(cache):
        monkeypatch.setattr(numba.config, "CACHE_DIR", str(cache))
        _compile._stamps.cache_clear()  # a new process looks at the files anew
        spec = importlib.util.spec_from_file_location("loops", source)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        double, x = kernel(module.double), np.ones(3)
        double(x)
        np.testing.assert_array_equal(x, 2)
        return sum(double.stats.cache_hits.values())

    return start


def damage(path, how):
    whole = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "cut off":
        path.write_bytes(whole[: len(whole) // 2])
    elif how == "one byte changed":
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    elif how == "garbled":
        path.write_bytes(b"\x80\x04garbage" * 99)
    else:
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("how", ["empty", "cut off", "one byte changed", "garbled"])
def test_damaged_files_are_replaced(run, tmp_path, how):
    cache = tmp_path / "cache"
    assert run(cache) == 0
    assert run(cache) == 1
    files = [*cache.rglob("loops.*.nbi"), *cache.rglob("loops.*.nbc")]
    assert len(files) == 2
    for path in files:
        damage(path, how)
    assert run(cache) == 0
    assert run(cache) == 1


def test_a_change_of_the_kernels_beside_it_counts(run, tmp_path):
    """Machine code holds what a function calls, and numba looks at its own file only."""
    called, other = tmp_path / "called_kernels.py", tmp_path / "plain.py"
    for path in (called, other):
        path.write_text("x = 1\n")
    assert [run(tmp_path / "cache") for _ in range(2)] == [0, 1]
    other.write_text("x = 1234\n")
    assert run(tmp_path / "cache") == 1
    called.write_text("x = 1234\n")
    assert [run(tmp_path / "cache") for _ in range(2)] == [0, 1]


def test_folders_in_place_of_files_do_no_harm(run, tmp_path):
    cache = tmp_path / "cache"
    run(cache)
    for path in [*cache.rglob("loops.*.nbi"), *cache.rglob("loops.*.nbc")]:
        damage(path, "folder")
    assert run(cache) == 0


def test_a_full_disk_leaves_the_kernel_compiled(monkeypatch, tmp_path):
    def full(self, path):
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr(_compile._CheckedFiles, "_open_for_write", full)
    twice = kernel(lambda x: 2 * x)
    assert twice(3) == 6


def test_without_a_folder_for_the_cache_kernels_still_compile(monkeypatch):
    def nowhere(self, function):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(_compile._Cache, "__init__", nowhere)
    double = _compile.kernel(lambda x: 2 * x)
    assert double(3) == 6
    half = _compile.kernel(fastmath={"contract"})(lambda x: 0.5 * x)
    assert half(3) == pytest.approx(1.5)


def test_where_numba_is_told_not_to_compile_an_import_says_so():
    found = subprocess.run(
        [sys.executable, "-c", "from sklearn_capoz import PrunedMLPClassifier"],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert found.stderr.endswith("and NUMBA_DISABLE_JIT forbids that: unset it.\n")


def test_kernels_release_the_gil():
    assert _compile.kernel(lambda x: x).targetoptions["nogil"]


def test_no_loop_is_compiled_in_another_way():
    folder = Path(sklearn_capoz.__file__).parent
    direct = [p.name for p in folder.rglob("*.py") if "njit" in p.read_text("utf-8")]
    assert direct == ["_compile.py"]


def _types(number):
    return number[::1], types.intp


_call_multiply = slot(_types)


@loop(_types)
def _multiply(x, factor):
    for i in range(x.size):
        x[i] *= factor


@loop(_types)
def _divide(x, divisor):
    if divisor == 0:
        raise ValueError("nothing is divided by zero")
    for i in range(x.size):
        x[i] /= divisor


@kernel
def _apply(address, x, number):
    _call_multiply(address, (x, number))


def test_a_slot_takes_any_loop_of_its_types():
    x = np.ones(3)
    _apply(_multiply.address("float64"), x, 6)
    _apply(_divide.address("float64"), x, 2)
    np.testing.assert_array_equal(x, 3)


def test_a_loop_is_compiled_once_for_each_dtype():
    addresses = [_multiply.address(d) for d in ("float32", np.float64, np.dtype("f8"), "float32")]
    assert addresses[0] == addresses[3] != addresses[1] == addresses[2]


def test_an_error_comes_out_of_a_slot():
    with pytest.raises(ValueError, match="divided by zero"):
        _apply(_divide.address("float64"), np.ones(3), 0)


@pytest.mark.parametrize(("x", "number"), [(np.ones((2, 2)), 1), (np.ones(4)[::2], 1)])
def test_a_slot_refuses_other_types_before_it_runs(x, number):
    with pytest.raises(TypingError, match="is called with"):
        _apply(_multiply.address("float64"), x, number)


@pytest.mark.parametrize("enabled", [True, False])
def test_compiling_leaves_the_garbage_collector_as_it_was(enabled):
    def refused(x):
        return x.no_such_attribute

    try:
        gc.enable() if enabled else gc.disable()
        kernel(lambda x: 2 * x)(3)
        assert gc.isenabled() == enabled
        with pytest.raises(TypingError):
            kernel(refused)(3)
        assert gc.isenabled() == enabled
    finally:
        gc.enable()


def test_denormals_are_zero_only_between_flush_and_restore():
    @kernel
    def halve(x):
        state = _compile.flush_denormals()
        for i in range(x.size):
            x[i] *= 0.5
        _compile.restore_denormals(state)

    x = np.array([1e-310, 1.0])
    halve(x)
    assert x[1] == 0.5
    assert x[0] in (0.0, 5e-311)  # the latter on a machine that has no such setting
    assert np.float64(1e-310) * np.float64(0.5) == 5e-311
