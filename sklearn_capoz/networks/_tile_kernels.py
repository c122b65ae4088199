"""The loops at the heart of the compiled forward pass, over a tile of rows and units.

They say how wide their vectors are. For Intel's processors LLVM takes 256 bits in plain loops where
the registers have 512, and numba could change that only for all that it compiles: softmax and
argmax, which are plain, lose half a nanosecond per row of thirty by it.
"""

from __future__ import annotations

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

from .._compile import ARM, MACHINE

__all__ = ["ROWS", "ROWS_OF_TWO", "VECTOR_BYTES", "one_vector", "turn", "two_vectors"]

# What numba compiles for: the machine it runs on, or what NUMBA_CPU_NAME and NUMBA_CPU_FEATURES
# say, by which machines that are not alike share one cache.
_FEATURES = config.CPU_FEATURES if config.CPU_FEATURES is not None else get_host_cpu_features()

#: Bytes of a register.
VECTOR_BYTES = 64 if "+avx512f" in _FEATURES else 32 if "+avx" in _FEATURES else 16

#: Rows of a tile of one vector of units: twelve sums in flight hide the latency of the
#: multiply-add, and fill the 16 registers of AVX2 with a vector of weights and an input.
ROWS = 12

#: Rows of a tile of two vectors, which loads each input once for both: AVX-512 and ARM have 32
#: registers for the sums.
ROWS_OF_TWO = ROWS if VECTOR_BYTES == 64 or MACHINE in ARM else ROWS // 2

#: How many tiles ahead rows are asked for: the processor by itself begins too late, as a tile takes
#: a microsecond. Into the second-level cache, since wide rows would drive weights out of the first.
_AHEAD = 2

_INDEX = ir.IntType(64)


def _tile(n_rows, n_vectors):
    """Make the loop over the inputs of a layer, for so many rows and vectors of units.

    It is written in LLVM's vectors because no compiler flag makes a plain loop keep all the sums
    in registers.
    """

    @intrinsic
    def tile(typing_context, x, rows, parameters, w, b, n_in, relu, out, to):
        """Set a tile of `out` to x @ weights + biases, with a ReLU if asked.

        All arrays are flat. `rows` and `to` say where the tile's rows begin in `x` and in `out`,
        and how far they are apart; `w` and `b` where its weights and biases begin.
        """
        signature = types.void(x, rows, parameters, w, b, n_in, relu, out, to)

        def emit(context, builder, signature, args):
            x, parameters, out = (
                context.make_array(signature.args[i])(context, builder, args[i]).data
                for i in (0, 2, 7)
            )
            first, row_step = cgutils.unpack_tuple(builder, args[1])
            first_out, out_step = cgutils.unpack_tuple(builder, args[8])
            w, b, n_in, relu = args[3:7]
            vectors = _Vectors(context, builder, signature.args[0].dtype)
            lanes = _INDEX(vectors.lanes)
            rows = _places(builder, x, first, row_step, n_rows)
            targets = _places(builder, out, first_out, out_step, n_rows)
            panels = _places(builder, parameters, w, builder.mul(n_in, lanes), n_vectors)
            biases = [vectors.load(b) for b in _places(builder, parameters, b, lanes, n_vectors)]
            sums = [[cgutils.alloca_once_value(builder, bias) for bias in biases] for _ in rows]
            with cgutils.for_range(builder, n_in) as loop:
                # Nothing, which may not be copied. Else LLVM unrolls the loop, loads the inputs
                # of all copies first, and has no registers left for the sums.
                nothing = builder.asm(ir.FunctionType(ir.VoidType(), []), "", "", [], True)
                nothing.attributes.add("convergent")
                # Rows lie behind each other: a tile's inputs, so many at a time, are all of the
                # one ahead. Of a hidden layer they are there already, and beyond the end of an
                # array it is no access.
                ahead = builder.add(builder.mul(n_in, _INDEX(_AHEAD)), loop.index)
                place = builder.add(first, builder.mul(ahead, _INDEX(n_rows)))
                vectors.prefetch(builder.gep(x, [place]))
                column = builder.mul(loop.index, lanes)
                weights = [vectors.load(builder.gep(panel, [column])) for panel in panels]
                for row, totals in zip(rows, sums, strict=True):
                    value = vectors.repeat(builder.load(builder.gep(row, [loop.index])))
                    for weight, total in zip(weights, totals, strict=True):
                        more = vectors.multiply_add(value, weight, builder.load(total))
                        builder.store(more, total)
            for target, totals in zip(targets, sums, strict=True):
                for v, total in enumerate(totals):
                    value = vectors.relu(builder.load(total), relu)
                    vectors.store(value, builder.gep(target, [_INDEX(v * vectors.lanes)]))
            return context.get_dummy_value()

        return signature, emit

    return tile


one_vector, two_vectors = _tile(ROWS, 1), _tile(ROWS_OF_TWO, 2)


@intrinsic
def turn(typing_context, x, rows, n, out, columns):
    """Set the first `n` columns of a square tile, as wide as a register, to rows of `out`.

    `rows` and `columns` say where they begin, in `x` and in `out`, and how far they are apart.
    """
    signature = types.void(x, rows, n, out, columns)

    def emit(context, builder, signature, args):
        x, out = (
            context.make_array(signature.args[i])(context, builder, args[i]).data for i in (0, 3)
        )
        first, row_step = cgutils.unpack_tuple(builder, args[1])
        first_out, out_step = cgutils.unpack_tuple(builder, args[4])
        vectors = _Vectors(context, builder, signature.args[0].dtype)
        lanes = vectors.lanes
        tile = [vectors.load(row) for row in _places(builder, x, first, row_step, lanes)]
        # Each step interleaves the rows of one half with those of the other.
        for _ in range(lanes.bit_length() - 1):
            halves = zip(tile[: lanes // 2], tile[lanes // 2 :], strict=True)
            tile = [half for pair in halves for half in vectors.interleave(*pair)]
        places = _places(builder, out, first_out, out_step, lanes)
        for column, (value, place) in enumerate(zip(tile, places, strict=True)):
            with builder.if_then(builder.icmp_signed(">", args[2], _INDEX(column))):
                vectors.store(value, place)
        return context.get_dummy_value()

    return signature, emit


def _places(builder, array, start, step, count):
    """Pointers to elements of a flat array, `step` apart."""
    indices = (builder.add(start, builder.mul(step, _INDEX(i))) for i in range(count))
    return [builder.gep(array, [index]) for index in indices]


class _Vectors:
    """What a tile does with a register full of numbers."""

    def __init__(self, context, builder, number):
        self.builder, self.align = builder, number.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.align
        self.kind = ir.VectorType(context.get_value_type(number), self.lanes)
        name = f"llvm.fmuladd.v{self.lanes}f{number.bitwidth}"
        function = ir.FunctionType(self.kind, [self.kind] * 3)
        self._multiply_add = cgutils.get_or_insert_function(builder.module, function, name)

    def prefetch(self, place):
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = self.builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        reading, second_level, data = (number(value) for value in (0, 2, 1))
        place = self.builder.bitcast(place, byte)
        self.builder.call(function, [place, reading, second_level, data])

    def load(self, place):
        return self.builder.load(self._at(place), align=self.align)

    def store(self, value, place):
        self.builder.store(value, self._at(place), align=self.align)

    def _at(self, place):
        return self.builder.bitcast(place, self.kind.as_pointer())

    def repeat(self, value):
        undefined = ir.Constant(self.kind, ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.IntType(32)(0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None)
        return self.builder.shuffle_vector(first, undefined, everywhere)

    def interleave(self, a, b):
        """Take the elements of `a` and of `b` in turn: two vectors."""
        turns = [i // 2 + i % 2 * self.lanes for i in range(2 * self.lanes)]
        kind = ir.VectorType(ir.IntType(32), self.lanes)
        return [
            self.builder.shuffle_vector(a, b, ir.Constant(kind, half))
            for half in (turns[: self.lanes], turns[self.lanes :])
        ]

    def multiply_add(self, a, b, c):
        return self.builder.call(self._multiply_add, [a, b, c])

    def relu(self, value, asked):
        zero = ir.Constant(self.kind, None)
        negative = self.builder.fcmp_ordered("<", value, zero)  # NaN stays
        positive = self.builder.select(negative, zero, value)
        return self.builder.select(asked, positive, value)
