"""The compiled forward pass: all layers of a block of rows while they are in the cache.

BLAS is made for large matrices; the layers here have 9, 30, sometimes 512 units. So the whole
network runs as one function: a tile of twelve rows meets one vector of units at a time, with
the sums in registers, and neither a hidden layer nor a thread pool is left behind. A row's
result depends on that row alone: not on its place, the block or the thread.
"""

# mypy: disable-error-code="call-arg, var-annotated"
# (numba gives intrinsics their typing context)

from __future__ import annotations

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .._compile import flush_denormals, kernel, restore_denormals

__all__ = ["ROWS", "argmax", "flush", "forward", "pack", "restore"]

#: Rows of a tile: twelve sums, a weight vector and an input fill the 16 registers of AVX2,
#: and twelve sums in flight hide the latency of the multiply-add.
ROWS = 12

#: Bytes of a register. Numba compiles for the machine it runs on, and so does this.
_FEATURES = llvm.get_host_cpu_features()
_VECTOR_BYTES = 64 if _FEATURES.get("avx512f") else 32 if _FEATURES.get("avx") else 16

# Columns of the `layers` table that `pack` makes.
_N_IN, _N_OUT, _N_VECTORS, _WEIGHTS, _BIASES, _RELU = range(6)


def pack(weights, biases, relu):
    """Lay the parameters of a network out in the order in which `forward` reads them.

    Returns the parameters as one array, and a table with a row per layer: inputs, units,
    vectors of units, where its weights and its biases begin, and whether a ReLU follows.

    The first layer has at least one spare unit, whose weights are zero. Its output is zero, and
    NaN where an input is NaN or infinite: that costs nothing, and a look at each input would
    take as long as the layer.
    """
    lanes = _VECTOR_BYTES // weights[0].itemsize
    parts: list[np.ndarray] = []
    layers: list[tuple] = []
    start = 0
    for weight, bias, has_relu in zip(weights, biases, relu, strict=True):
        n_in, n_out = weight.shape
        n_vectors = -(-n_out // lanes) if layers else n_out // lanes + 1
        panels = np.zeros((n_in, n_vectors * lanes), weight.dtype)
        panels[:, :n_out] = weight
        panels = panels.reshape(n_in, n_vectors, lanes).swapaxes(0, 1).ravel()
        padded = np.zeros(n_vectors * lanes, weight.dtype)
        padded[:n_out] = bias
        parts += [panels, padded]
        layers.append((n_in, n_out, n_vectors, start, start + panels.size, has_relu))
        start += panels.size + padded.size
    return np.concatenate(parts), np.array(layers, dtype=np.int64)


@intrinsic
def _tile(typing_context, x, x_stride, w, b, out, out_stride, n_in, relu):
    """out[:ROWS, :lanes] = x[:ROWS, :n_in] @ w[:n_in, :lanes] + b[:lanes], ReLU if asked.

    All arrays are flat, the strides count elements. It is written in LLVM's vectors because
    no compiler flag makes a plain loop keep the twelve sums in registers.
    """
    signature = types.void(x, x_stride, w, b, out, out_stride, n_in, relu)
    number = x.dtype
    lanes = _VECTOR_BYTES * 8 // number.bitwidth

    def emit(context, builder, signature, args):
        vector = ir.VectorType(context.get_value_type(number), lanes)
        index = ir.IntType(64)
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), lanes), None)
        undefined = ir.Constant(vector, ir.Undefined)
        fma = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(vector, [vector] * 3),
            f"llvm.fmuladd.v{lanes}f{number.bitwidth}",
        )
        x, w, b, out = (
            context.make_array(signature.args[i])(context, builder, args[i]).data
            for i in (0, 2, 3, 4)
        )
        x_stride, out_stride, n_in, relu = (args[i] for i in (1, 5, 6, 7))

        def row(start, stride, r):
            return builder.gep(start, [builder.mul(stride, index(r))])

        def as_vector(pointer):
            return builder.bitcast(pointer, vector.as_pointer())

        align = number.bitwidth // 8
        bias = builder.load(as_vector(b), align=align)
        sums = [cgutils.alloca_once_value(builder, bias) for _ in range(ROWS)]
        rows = [row(x, x_stride, r) for r in range(ROWS)]
        with cgutils.for_range(builder, n_in) as loop:
            weight = builder.gep(w, [builder.mul(loop.index, index(lanes))])
            weight = builder.load(as_vector(weight), align=align)
            for start, total in zip(rows, sums, strict=True):
                value = builder.load(builder.gep(start, [loop.index]))
                value = builder.insert_element(undefined, value, ir.IntType(32)(0))
                value = builder.shuffle_vector(value, undefined, everywhere)
                builder.store(builder.call(fma, [value, weight, builder.load(total)]), total)
        zero = ir.Constant(vector, None)
        for r, total in enumerate(sums):
            value = builder.load(total)
            positive = builder.select(builder.fcmp_ordered("<", value, zero), zero, value)
            value = builder.select(relu, positive, value)
            builder.store(value, as_vector(row(out, out_stride, r)), align=align)
        return context.get_dummy_value()

    return signature, emit


@kernel
def _zeros(size, like):
    """Make a vector of zeros; numpy's function takes longer to compile than all the rest."""
    values = np.empty(size, like.dtype)
    for i in range(size):
        values[i] = 0
    return values


@kernel
def forward(X, parameters, layers, block, logits):
    """Write the logits of X (C-contiguous, the parameters' dtype), `block` rows at a time.

    Returns whether all rows are finite. The logits of one that is not are NaN; those of the
    others are what they are without it.
    """
    n_samples, n_features = X.shape
    lanes = _VECTOR_BYTES // X.itemsize
    last = layers[len(layers) - 1]
    end = last[_BIASES] + last[_N_VECTORS] * lanes
    if n_features != layers[0, _N_IN] or end > parameters.size or block % ROWS or block < ROWS:
        raise ValueError("X does not have the columns that the network is made for")
    if logits.shape[0] != n_samples or logits.shape[1] != last[_N_OUT]:
        raise ValueError("logits do not have the shape of the network's output")
    widest = 0
    for i in range(len(layers)):
        widest = max(widest, layers[i, _N_VECTORS])
    scratch = np.empty((2, block * lanes * widest), X.dtype)
    flat = X.reshape(X.size)
    state, finite = flush_denormals(), True
    for start in range(0, n_samples, block):
        n_rows = min(block, n_samples - start)
        source = flat[start * n_features : (start + n_rows) * n_features]
        if n_rows % ROWS:  # the last tile reads whole rows, so give it some
            whole = _zeros((n_rows // ROWS + 1) * ROWS * n_features, X)
            for k in range(source.size):
                whole[k] = source[k]
            source = whole
        stride = n_features
        for i in range(len(layers)):
            layer = layers[i]
            target = scratch[i % 2]
            width = layer[_N_VECTORS] * lanes
            for v in range(layer[_N_VECTORS]):
                weights = parameters[layer[_WEIGHTS] + v * layer[_N_IN] * lanes :]
                biases = parameters[layer[_BIASES] + v * lanes :]
                for r in range(0, n_rows, ROWS):
                    _tile(
                        source[r * stride :],
                        stride,
                        weights,
                        biases,
                        target[r * width + v * lanes :],
                        width,
                        layer[_N_IN],
                        layer[_RELU] != 0,
                    )
            source, stride = target, width
            if i == 0:
                for r in range(n_rows):
                    # The spare unit, see `pack`: zero, or NaN.
                    finite = finite and source[r * width + layer[_N_OUT]] == 0
        for r in range(n_rows):
            for j in range(logits.shape[1]):
                logits[start + r, j] = source[r * stride + j]
    restore_denormals(state)
    return finite


@kernel
def flush():
    """Take denormal numbers for zero in this thread, until `restore` is given what this returns."""
    return flush_denormals()


@kernel
def restore(state):
    restore_denormals(state)


@kernel
def argmax(logits, labels):
    """Column of the first largest logit of each row, without a branch that could go wrong."""
    if logits.shape[0] != labels.size or logits.shape[1] == 0:
        raise ValueError("labels must be one for each row of logits")
    for r in range(len(logits)):
        best, label = logits[r, 0], 0
        for j in range(1, logits.shape[1]):
            larger = logits[r, j] > best
            best = max(best, logits[r, j])
            label = j * larger + label * (1 - larger)
        labels[r] = label
