"""The compiled forward pass: all layers of a block of rows while they are in the cache.

BLAS is made for large matrices; the layers here have 9, 30, sometimes 512 units. So the whole
network runs as one function: a tile of rows meets two vectors of units at a time, with the sums
in registers, and neither a hidden layer nor a thread pool is left behind. A row's result
depends on that row alone: not on its place, the block or the thread.
"""

# mypy: disable-error-code="call-arg, var-annotated"
# (numba gives intrinsics their typing context)

from __future__ import annotations

import numpy as np

from .._compile import flush_denormals, kernel, restore_denormals
from ._tile_kernels import ROWS, ROWS_OF_TWO, VECTOR_BYTES, one_vector, two_vectors

__all__ = ["ROWS", "argmax", "flush", "forward", "pack", "restore"]

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
    lanes = VECTOR_BYTES // weights[0].itemsize
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
    # A vector across two lines of the cache takes as long as two.
    room = np.empty(start + lanes, weights[0].dtype)
    first = -room.ctypes.data % VECTOR_BYTES // room.itemsize
    parameters = room[first : first + start]
    np.concatenate(parts, out=parameters)
    return parameters, np.array(layers, dtype=np.int64)


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
    lanes = VECTOR_BYTES // X.itemsize
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
            n_in, relu = layer[_N_IN], layer[_RELU] != 0
            for v in range(0, layer[_N_VECTORS], 2):
                w, b = layer[_WEIGHTS] + v * n_in * lanes, layer[_BIASES] + v * lanes
                place = v * lanes
                if v + 1 < layer[_N_VECTORS]:
                    for r in range(0, n_rows, ROWS_OF_TWO):
                        rows, to = (r * stride, stride), (r * width + place, width)
                        two_vectors(source, rows, parameters, w, b, n_in, relu, target, to)
                else:
                    for r in range(0, n_rows, ROWS):
                        rows, to = (r * stride, stride), (r * width + place, width)
                        one_vector(source, rows, parameters, w, b, n_in, relu, target, to)
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
