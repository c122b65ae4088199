"""The compiled forward pass: all layers of a block of rows while they are in the cache.

BLAS is made for large matrices; the layers here have 9, 30, sometimes 512 units. So the whole
network runs as one function: a tile of rows meets two vectors of units at a time, with the sums
in registers, and neither a hidden layer nor a thread pool is left behind. A row's result
depends on that row alone: not on its place, the block or the thread.
"""

# mypy: disable-error-code="call-arg"
# (numba gives intrinsics their typing context)

from __future__ import annotations

import numpy as np

from .._compile import flush_denormals, kernel, restore_denormals
from .._exp_kernels import exp, logistic, tanh
from ._tile_kernels import ROWS, ROWS_OF_TWO, VECTOR_BYTES, one_vector, turn, two_vectors

__all__ = ["ROWS", "argmax", "forward", "logits_for", "pack", "softmax"]

# Columns of the `layers` table that `pack` makes.
_N_IN, _N_OUT, _N_VECTORS, _WEIGHTS, _BIASES, _ACTIVATION = range(6)

# The last of them; what follows a layer in the loop below.
_CODES = {"identity": 0, "relu": 1, "tanh": 2, "logistic": 3}
_RELU, _TANH, _LOGISTIC = (_CODES[name] for name in ("relu", "tanh", "logistic"))

#: Rows whose probabilities are computed side by side, in the first-level cache.
_SIDE_BY_SIDE = 256


def pack(weights, biases, activations):
    """Lay the parameters of a network out in the order in which `forward` reads them.

    Returns the parameters as one array, and a table with a row per layer: inputs, units,
    vectors of units, where its weights and its biases begin, and the code of its activation.

    The first layer has at least one spare unit, whose weights are zero. Its output is zero, and
    NaN where an input is NaN or infinite: that costs nothing, and a look at each input would
    take as long as the layer.
    """
    lanes = VECTOR_BYTES // weights[0].itemsize
    parts: list[np.ndarray] = []
    layers: list[tuple] = []
    start = 0
    for weight, bias, name in zip(weights, biases, [*activations, "identity"], strict=True):
        n_in, n_out = weight.shape
        n_vectors = -(-n_out // lanes) if layers else n_out // lanes + 1
        panels = np.zeros((n_in, n_vectors * lanes), weight.dtype)
        panels[:, :n_out] = weight
        panels = panels.reshape(n_in, n_vectors, lanes).swapaxes(0, 1).ravel()
        padded = np.zeros(n_vectors * lanes, weight.dtype)
        padded[:n_out] = bias
        parts += [panels, padded]
        layers.append((n_in, n_out, n_vectors, start, start + panels.size, _CODES[name]))
        start += panels.size + padded.size
    # A vector across two lines of the cache takes as long as two.
    room = np.empty(start + lanes, weights[0].dtype)
    first = -room.ctypes.data % VECTOR_BYTES // room.itemsize
    parameters = room[first : first + start]
    np.concatenate(parts, out=parameters)
    return parameters, np.array(layers, dtype=np.int64)


def logits_for(n_samples, n_outputs, dtype):
    """Make the room that `forward` fills: a row for each output, and more than needed of each."""
    return np.empty((n_outputs, n_samples + VECTOR_BYTES // dtype.itemsize), dtype)


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

    A row of `logits_for` holds those of one output: whoever compares the outputs of samples
    does so for as many at once as a register holds. What is behind the samples is undefined.

    Returns whether all rows are finite. The logits of one that is not are NaN; those of the
    others are what they are without it.
    """
    n_samples, n_features = X.shape
    lanes = VECTOR_BYTES // X.itemsize
    last = layers[len(layers) - 1]
    end = last[_BIASES] + last[_N_VECTORS] * lanes
    if n_features != layers[0, _N_IN] or end > parameters.size or block % ROWS or block < ROWS:
        raise ValueError("X does not have the columns that the network is made for")
    if logits.shape[0] != last[_N_OUT] or logits.shape[1] < n_samples + lanes:
        raise ValueError("logits do not have the shape of the network's output")
    widest = 0
    for i in range(len(layers)):
        widest = max(widest, layers[i, _N_VECTORS])
    scratch = np.empty((2, (block + lanes) * lanes * widest), X.dtype)
    turned = logits.reshape(logits.size)
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
            n_in, relu = layer[_N_IN], layer[_ACTIVATION] == _RELU
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
            if layer[_ACTIVATION] == _TANH:
                for k in range(n_rows * width):
                    source[k] = tanh(source[k])
            elif layer[_ACTIVATION] == _LOGISTIC:
                for k in range(n_rows * width):
                    source[k] = logistic(source[k])
        for r in range(0, n_rows, lanes):
            for v in range(last[_N_VECTORS]):
                rows = (r * stride + v * lanes, stride)
                to = (v * lanes * logits.shape[1] + start + r, logits.shape[1])
                turn(source, rows, min(lanes, last[_N_OUT] - v * lanes), turned, to)
    restore_denormals(state)
    return finite


@kernel
def argmax(logits, labels):
    """Row of the first largest logit of each column, without a branch that could go wrong."""
    if logits.shape[1] < labels.size or logits.shape[0] == 0:
        raise ValueError("labels must be one for each column of logits")
    best, code = np.empty(_SIDE_BY_SIDE, logits.dtype), np.empty(_SIDE_BY_SIDE, np.int32)
    for start in range(0, labels.size, _SIDE_BY_SIDE):
        found = labels[start : start + _SIDE_BY_SIDE]
        first = logits[0][start : start + found.size]
        for r in range(found.size):
            best[r], code[r] = first[r], 0
        for j in range(1, logits.shape[0]):
            others, j_code = logits[j][start : start + found.size], np.int32(j)
            for r in range(found.size):
                value, highest, label = others[r], best[r], code[r]
                code[r] = j_code if value > highest else label
                best[r] = value if value > highest else highest
        for r in range(found.size):
            found[r] = code[r]


@kernel(fastmath={"contract"})
def softmax(logits, probabilities):
    """Write the probabilities (n_samples, n_outputs) of logits (n_outputs, ...), which are lost."""
    n_outputs, n_samples = logits.shape[0], len(probabilities)
    if logits.shape[1] < n_samples or probabilities.shape[1] != n_outputs or n_outputs == 0:
        raise ValueError("probabilities must have a row for each column of logits")
    top, total = np.empty(_SIDE_BY_SIDE, logits.dtype), np.empty(_SIDE_BY_SIDE, logits.dtype)
    one, zero = logits.dtype.type(1), logits.dtype.type(0)
    for start in range(0, n_samples, _SIDE_BY_SIDE):
        shares = probabilities[start : start + _SIDE_BY_SIDE]
        n = len(shares)
        first = logits[0][start : start + n]
        for r in range(n):
            top[r], total[r] = first[r], zero
        for j in range(1, n_outputs):
            values = logits[j][start : start + n]
            for r in range(n):
                value, highest = values[r], top[r]
                top[r] = value if value > highest else highest
        for j in range(n_outputs):
            values = logits[j][start : start + n]
            for r in range(n):
                value = exp(values[r] - top[r])
                values[r] = value
                total[r] += value
        for r in range(n):
            total[r] = one / total[r]
        for j in range(n_outputs):
            values = logits[j][start : start + n]
            for r in range(n):
                shares[r, j] = values[r] * total[r]
