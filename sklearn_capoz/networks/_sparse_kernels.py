"""The compiled forward pass of a network of zeros: no product but with a weight that is there.

Rows lie side by side, and each weight meets all rows of a block at once; so it does not matter to
the processor's vectors where the weights are. The arithmetic of a row is the same at any place.
"""

from __future__ import annotations

import numpy as np

from .._compile import flush_denormals, kernel, restore_denormals

__all__ = ["pack_sparse", "sparse_forward"]

#: Rows of a block: the sums of a hundred units stay in the first-level cache.
_ROWS = 64

# Columns of the `layers` table that `pack_sparse` makes.
_N_IN, _N_OUT, _INPUTS, _UNITS, _RELU = range(5)


def pack_sparse(weights, biases, activations):
    """Lay the weights that are not zero out, input by input.

    Returns values, the unit of each, where those of each input begin (one entry more than the
    inputs of all layers), biases, and a table with a row per layer: inputs, units, where its inputs
    and its units begin, and whether a ReLU follows.
    """
    inputs, units = [np.nonzero(weight) for weight in weights], 0
    relu = [*(name == "relu" for name in activations), False]
    counts, layers, n_inputs = [], [], 0
    for weight, (rows, _), has_relu in zip(weights, inputs, relu, strict=True):
        n_in, n_out = weight.shape
        counts.append(np.bincount(rows, minlength=n_in))
        layers.append((n_in, n_out, n_inputs, units, has_relu))
        n_inputs, units = n_inputs + n_in, units + n_out
    return (
        np.concatenate([weight[there] for weight, there in zip(weights, inputs, strict=True)]),
        np.concatenate([columns for _, columns in inputs]).astype(np.int64),
        np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64),
        np.concatenate(biases),
        np.array(layers, dtype=np.int64),
    )


@kernel
def sparse_forward(X, values, units, starts, biases, layers, logits):
    """Write the logits of X (C-contiguous, the parameters' dtype), whose numbers are finite.

    `logits` are those of `logits_for`: a row for each output.
    """
    n_samples, n_features = X.shape
    last = layers[len(layers) - 1]
    if n_features != layers[0, _N_IN] or logits.shape[1] < n_samples:
        raise ValueError("X does not have the columns that the network is made for")
    if logits.shape[0] != last[_N_OUT]:
        raise ValueError("logits do not have the shape of the network's output")
    widest = 0
    for i in range(len(layers)):
        widest = max(widest, layers[i, _N_OUT])
    scratch = np.empty((2, widest, _ROWS), X.dtype)
    column = np.empty(_ROWS, X.dtype)
    state = flush_denormals()
    for start in range(0, n_samples, _ROWS):
        n_rows = min(_ROWS, n_samples - start)
        for i in range(len(layers)):
            layer = layers[i]
            source, target = scratch[(i + 1) % 2], scratch[i % 2]
            for unit in range(layer[_N_OUT]):
                bias = biases[layer[_UNITS] + unit]
                for r in range(_ROWS):
                    target[unit, r] = bias
            for j in range(layer[_N_IN]):
                begin, end = starts[layer[_INPUTS] + j], starts[layer[_INPUTS] + j + 1]
                if begin == end:
                    continue
                if i == 0:
                    for r in range(n_rows):
                        column[r] = X[start + r, j]
                else:
                    for r in range(_ROWS):
                        value = source[j, r]
                        column[r] = 0 if value < 0 and layers[i - 1, _RELU] else value
                for k in range(begin, end):
                    value, sums = values[k], target[units[k]]
                    for r in range(_ROWS):
                        sums[r] += value * column[r]
        for j in range(logits.shape[0]):
            for r in range(n_rows):
                logits[j, start + r] = target[j, r]
    restore_denormals(state)
