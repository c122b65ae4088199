"""What the machine gives at most: jobs without our code, timed in turn with those they bound.

A job moves bytes, multiplies and adds, or raises to powers; the machine can do so much of each in
a second, with all its threads at once. No job takes less than its bytes, nor less than its
arithmetic; the rest of its time is what it does besides, or what it leaves undone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from sklearn_capoz.networks._tile_kernels import VECTOR_BYTES

__all__ = ["Machine"]

#: Bytes that a thread copies: more than fit into any cache that is its own.
_COPIED = 64_000_000
#: Rounds of multiply-adds in registers, and sums in flight in each.
_ROUNDS, _SUMS = 4_000_000, 12
#: Values in the first-level cache, and how often all are raised to powers.
_VALUES, _TIMES = 2_000, 2_000


class Machine:
    """Copy rate, multiply-add rate and exp rate of some threads.

    Parameters
    ----------
    n_threads : int, default=1
        Which the job has.
    dtype : dtype, default=np.float32
        In which it computes.
    """

    def __init__(self, n_threads: int = 1, dtype=np.float32):
        self.n_threads, self.dtype = n_threads, np.dtype(dtype)
        self._arrays = [
            (np.ones(_COPIED, np.uint8), np.empty(_COPIED, np.uint8)) for _ in range(n_threads)
        ]
        self._values = np.linspace(-20, 0, _VALUES, dtype=dtype)

    @property
    def jobs(self) -> dict[str, Callable[[], object]]:
        """Name -> call, to be timed in turn with the jobs whose limit is asked for."""
        return {
            "copy": lambda: self._by_all(
                lambda i: np.copyto(self._arrays[i][1], self._arrays[i][0])
            ),
            "multiply-add": lambda: self._by_all(lambda i: _multiply_add(self._values, _ROUNDS)),
            "exp": lambda: self._by_all(self._exp),
        }

    def rates(self, seconds: Mapping[str, float]) -> dict[str, float]:
        """Bytes moved, multiply-adds and exponentials per second, of the jobs' times."""
        lanes = VECTOR_BYTES // self.dtype.itemsize
        work = {
            "copy": 2 * _COPIED,
            "multiply-add": _ROUNDS * _SUMS * lanes,
            "exp": _VALUES * _TIMES,
        }
        return {name: self.n_threads * work[name] / seconds[name] for name in work}

    def least_seconds(
        self,
        seconds: Mapping[str, float],
        n_bytes: float,
        multiply_adds: float = 0,
        exps: float = 0,
    ) -> float:
        """Time below which no job that moves and computes so much can come."""
        rates = self.rates(seconds)
        arithmetic = multiply_adds / rates["multiply-add"] + exps / rates["exp"]
        return max(n_bytes / rates["copy"], arithmetic)

    def describe(self, seconds: Mapping[str, float]) -> str:
        """One line for the head of a table."""
        copied, added, raised = (rate / 1e9 for rate in self.rates(seconds).values())
        return (
            f"machine, threads {self.n_threads}, {self.dtype}: {copied:.0f} GB/s read and written, "
            f"{added:.0f} G multiply-adds/s, {raised:.1f} G exp/s"
        )

    def _by_all(self, work: Callable[[int], object]) -> None:
        if self.n_threads == 1:
            work(0)
            return
        with ThreadPoolExecutor(self.n_threads) as pool:
            list(pool.map(work, range(self.n_threads)))

    def _exp(self, i: int) -> None:
        out = np.empty_like(self._values)
        for _ in range(_TIMES):
            np.exp(self._values, out=out)


@intrinsic
def _rounds(typing_context, values, n):
    """Multiply and add in registers, `n` times as many as sums are in flight; return a sum."""

    def emit(context, builder, signature, args):
        number = signature.args[0].dtype
        lanes = VECTOR_BYTES * 8 // number.bitwidth
        kind = ir.VectorType(context.get_value_type(number), lanes)
        fma = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(kind, [kind] * 3),
            f"llvm.fmuladd.v{lanes}f{number.bitwidth}",
        )
        values = context.make_array(signature.args[0])(context, builder, args[0]).data
        value = builder.load(builder.bitcast(values, kind.as_pointer()), align=number.bitwidth // 8)
        sums = [cgutils.alloca_once_value(builder, value) for _ in range(_SUMS)]
        with cgutils.for_range(builder, args[1]):
            for total in sums:
                builder.store(builder.call(fma, [builder.load(total), value, value]), total)
        last = builder.load(sums[0])
        for total in sums[1:]:
            last = builder.fadd(last, builder.load(total))
        return builder.extract_element(last, ir.IntType(32)(0))

    return values.dtype(values, types.intp), emit


@njit(nogil=True)
def _multiply_add(values, n):
    return _rounds(values, n)
