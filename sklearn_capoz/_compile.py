"""How the hot loops are compiled: without the GIL, and kept on disk where that can be.

Numba compiles a function together with all that it calls, and again with each of its callers: a
chain of four kernels is optimised four times. A `slot` ends that: it calls a kernel at an address
that is known only when the program runs, so that each kernel is compiled once, and one that a
network does not need, another solver's for example, is not compiled at all.
"""

from __future__ import annotations

import gc
import inspect
import pickle
import platform
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, from_dtype, njit, types
from numba.core import cgutils
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

__all__ = [
    "ARM",
    "MACHINE",
    "Loop",
    "flush_denormals",
    "inlined",
    "kernel",
    "loop",
    "matrix_view",
    "restore_denormals",
    "slot",
]

if config.DISABLE_JIT:
    raise ImportError(
        "sklearn_capoz runs code that numba compiles, and NUMBA_DISABLE_JIT forbids that: unset it."
    )


def kernel(function=None, *, fastmath=False, inline=False):
    """Compile a function on its first call for each dtype; threads may run it side by side.

    An `inline` one is copied into its callers: passing an array takes seven words, which counts
    where the work on it takes nanoseconds.
    """
    if function is None:
        return lambda function: kernel(function, fastmath=fastmath, inline=inline)
    return _compiled(function, fastmath=fastmath, forceinline=inline)


def inlined(function):
    """Let a function's lines stand for each call of it in a kernel: they are optimised once."""
    return njit(error_model="numpy", inline="always")(function)


def loop(arguments_for, *, sums=False):
    """Compile a function for a `slot` of these types, and for nothing else.

    Python cannot call it: what takes its arguments out of Python objects would be half of the
    work to compile a short one. Multiply and add may be one instruction, and with `sums` a sum
    may be several, one for each lane of a register.
    """
    fastmath = {"contract", "reassoc"} if sums else {"contract"}
    return lambda function: Loop(function, arguments_for, fastmath)


class Loop:
    """A function that fills a slot; `address` compiles it for a dtype and says where it is."""

    _compiled: Any

    def __init__(self, function, arguments_for, fastmath):
        self.function, self.arguments_for, self.fastmath = function, arguments_for, fastmath
        self._addresses = {}

    def address(self, dtype) -> int:
        dtype = np.dtype(dtype)
        # Without a lock, which an interrupt would leave closed: to compile twice does no harm.
        if dtype not in self._addresses:
            self._addresses[dtype] = self._compile(self.arguments_for(from_dtype(dtype)))
        return self._addresses[dtype]

    def _compile(self, arguments):
        if "_compiled" not in vars(self):
            made = _compiled(self.function, fastmath=self.fastmath, no_cpython_wrapper=True)
            # One for all threads: the machine code lives as long as this does.
            vars(self).setdefault("_compiled", made)
        self._compiled.compile(arguments)
        result = self._compiled.overloads[arguments]
        return result.library.get_pointer_to_function(result.fndesc.llvm_func_name)


def _compiled(function, **options):
    # The error model of numpy leaves out the test for division by zero, which blocks vector code.
    compiled = njit(nogil=True, error_model="numpy", **options)(function)
    compiled.compile = _undisturbed(compiled.compile)
    with suppress(RuntimeError, OSError):  # neither the package nor the home folder can be written
        compiled._cache = _Cache(function)
    return compiled


def _undisturbed(compile):
    """Compile without the collector of cyclic garbage, which takes a fifth of the time.

    It searches all objects again and again, while the compiler makes millions and drops few.
    """

    def undisturbed(*args, **kwargs):
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            return compile(*args, **kwargs)
        finally:
            if was_enabled:
                gc.enable()

    return undisturbed


class _Cache(FunctionCache):
    """Numba's cache, which a damaged file or a full disk leaves empty rather than broken."""

    def __init__(self, function):
        super().__init__(function)
        stamp = self._impl.locator.get_source_stamp(), _stamps_of_kernels(function)
        self._cache_file = _CheckedFiles(self._cache_path, self._impl.filename_base, stamp)

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever a strange file makes numba raise: compiling is always right
            return None

    def save_overload(self, sig, data):
        with suppress(OSError):  # full, read-only, or gone: the next process compiles again
            super().save_overload(sig, data)


def _stamps_of_kernels(function):
    """Say how the files are that a function's machine code may hold parts of, besides its own.

    Those are the kernels of its folder, and what is written here.
    """
    return _stamps(Path(inspect.getfile(function)).parent), _stamps(Path(__file__).parent)


@cache
def _stamps(folder):
    files = [*sorted(folder.glob("*_kernels.py")), *folder.glob("_compile.py")]
    return [(file.name, file.stat().st_mtime, file.stat().st_size) for file in files]


class _CheckedFiles(IndexDataCacheFile):
    """An index and its files of machine code, each behind its checksum.

    Numba runs what it finds there. A file that was cut off or changed counts as absent, and is
    replaced by the next that is saved.
    """

    def _load_index(self):
        try:
            version, stamp, overloads = self._load(self._index_path)
        except (OSError, ValueError):
            return {}
        return overloads if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads):
        self._save(self._index_path, (self._version, self._source_stamp, overloads))

    def _load_data(self, name):
        return self._load(self._data_path(name))

    def _save_data(self, name, data):
        self._save(self._data_path(name), data)

    def _load(self, path):
        with open(path, "rb") as file:
            checksum, data = file.read(32), file.read()
        if sha256(data).digest() != checksum:
            raise OSError(f"{path} is damaged")
        return pickle.loads(data)

    def _save(self, path, content):
        data = self._dump(content)
        with self._open_for_write(path) as file:
            file.write(sha256(data).digest() + data)


def slot(arguments_for):
    """Make a function `call(address, arguments)` for kernels that return nothing.

    `arguments_for` gives the types of their arguments, for the dtype of the first one's numbers.
    A caller that holds others is refused when it is compiled, and cannot crash when it runs.
    """

    @intrinsic
    def call(typing_context, address, arguments):
        given = tuple(arguments)
        expected = arguments_for(given[0].dtype)
        if len(given) != len(expected) or any(
            typing_context.can_convert(one, other) is None
            for one, other in zip(given, expected, strict=True)
        ):
            raise TypingError(f"A kernel for {expected} is called with {given}.")

        def emit(context, builder, signature, args):
            function_type = context.call_conv.get_function_type(types.none, expected)
            target = builder.inttoptr(args[0], function_type.as_pointer())
            values = [
                context.cast(builder, value, one, other)
                for value, one, other in zip(
                    cgutils.unpack_tuple(builder, args[1]), given, expected, strict=True
                )
            ]
            status, _ = context.call_conv.call_function(
                builder, target, types.none, expected, values
            )
            with cgutils.if_unlikely(builder, status.is_error):
                context.call_conv.return_status_propagate(builder, status)
            return context.get_dummy_value()

        return types.none(types.intp, arguments), emit

    return call


@intrinsic
def matrix_view(typing_context, vector, start, n_rows, n_columns):
    """View a part of a vector as a matrix, which must not outlive it nor reach beyond it.

    A slice that is reshaped is the same, but asks of each whether it can be: that takes longer
    than the work on a small layer, and longer to compile than most loops.
    """
    matrix = types.Array(vector.dtype, 2, "C")

    def emit(context, builder, signature, args):
        source = context.make_array(signature.args[0])(context, builder, args[0])
        view = context.make_array(matrix)(context, builder)
        size = source.itemsize
        populate_array(
            view,
            data=builder.gep(source.data, [args[1]]),
            shape=[args[2], args[3]],
            strides=[builder.mul(args[3], size), size],
            itemsize=size,
            meminfo=None,
        )
        return view._getvalue()

    return matrix(vector, types.intp, types.intp, types.intp), emit


@intrinsic
def flush_denormals(typing_context):
    """Let this thread take numbers below the smallest normal one for zero; return what was so.

    A processor needs a hundred times as long for them, and nothing here could tell one from zero.
    It is a property of the thread, which `restore_denormals` gives back.
    """

    def emit(context, builder, signature, args):
        state = _float_state(builder)
        # x86: flush to zero (bit 15) and denormals are zero (bit 6); ARM: flush to zero (bit 24).
        flush = 0x8040 if MACHINE in _X86 else 1 << 24
        _set_float_state(builder, builder.or_(state, ir.Constant(state.type, flush)))
        return state

    return types.int64(), emit


@intrinsic
def restore_denormals(typing_context, state):
    """Undo `flush_denormals`, which returned `state`."""

    def emit(context, builder, signature, args):
        _set_float_state(builder, args[0])
        return context.get_dummy_value()

    return types.none(types.int64), emit


MACHINE = platform.machine().lower()
_X86, ARM = {"x86_64", "amd64"}, {"aarch64", "arm64"}
_I64, _I32, _POINTER = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()


def _float_state(builder):
    """Read the register that says how a thread computes; on other machines there is none to set."""
    if MACHINE in _X86:
        place = cgutils.alloca_once(builder, _I32)
        _call_llvm(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), builder.bitcast(place, _POINTER))
        return builder.zext(builder.load(place), _I64)
    if MACHINE in ARM:
        return _call_llvm(builder, "llvm.aarch64.get.fpcr", _I64)
    return ir.Constant(_I64, 0)


def _set_float_state(builder, state):
    if MACHINE in _X86:
        place = cgutils.alloca_once_value(builder, builder.trunc(state, _I32))
        _call_llvm(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), builder.bitcast(place, _POINTER))
    elif MACHINE in ARM:
        _call_llvm(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), state)


def _call_llvm(builder, name, result, *args):
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)
