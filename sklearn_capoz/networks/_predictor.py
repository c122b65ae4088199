"""The compiled form of a dense network: what `predict` and `predict_proba` run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from sklearn.utils import assert_all_finite

from .._sklearn import effective_n_threads
from ._dense import DenseNetwork, without_denormals

__all__ = ["Predictor"]

#: Rows up to which numpy is as fast, and the compiled code need not be loaded.
_FEW_ROWS = 128
#: Multiply-adds from which a second thread pays: about a millisecond of work.
_MANY_MULTIPLY_ADDS = 50_000_000
#: Bytes of input, or of logits where these are more, that a thread takes at a time: it bounds every
#: copy, and outlasts by far the moment in which a thread waits for the interpreter lock.
_CHUNK_BYTES = 2_000_000
#: Rows that a thread takes at least: whole tiles and blocks, of which each kernel does all rows.
_LEAST_ROWS = 192
#: Bytes of a block of rows with its hidden layers: it stays in the second-level cache.
_BLOCK_BYTES = 250_000
#: What a weight that is found among zeros costs, and an input that is laid beside others, in
#: multiply-adds of whole layers; measured with AVX-512, in both precisions.
_SPARSE_WEIGHT, _SPARSE_INPUT = 6, 60


class Predictor:
    """A dense network compiled for prediction.

    Labels and probabilities of any number of rows, computed in the network's own dtype, with
    the output and about 3 MB per thread as memory, or 192 rows where these take more. The rows are
    split over Python threads, one per core that scikit-learn would use (`OMP_NUM_THREADS` counts),
    but stay in one where the caller is itself not the main thread: whoever made that thread already
    works side by side. BLAS has no part in it, and no global setting is touched.

    X is any array (n_samples, n_features) of real numbers; another shape is a ValueError, since
    compiled code would read beyond it. It need not have been searched for NaN and infinity, which
    raise scikit-learn's ValueError here at no cost; where `sklearn.config_context` says that all
    is finite, they spoil their own row and no other.

    Parameters
    ----------
    network : DenseNetwork
    support : ndarray of shape (n_features,), bool, or None, default=None
        Which columns of X the network takes; None takes all. What the others hold does not matter.
    """

    def __init__(self, network: DenseNetwork, support: np.ndarray | None = None):
        self.network = network
        self.support = support
        self._columns: np.ndarray | None = None
        if support is not None and not support.all():
            self._columns = np.flatnonzero(support)
        self.n_features = network.n_features if support is None else len(support)
        self._skips_zeros = _pays_to_skip_zeros(network)
        self._packed: tuple | None = None

    def labels(self, X: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Most likely one of the `classes` for each row of X; the first on ties."""
        self._check(X)
        if len(X) <= _FEW_ROWS:
            # As below: a logistic network that has seen one class may still name a second.
            return classes.take(self.network.labels(self._few_logits(X)), mode="clip")

        def write(chunk: np.ndarray, labels: np.ndarray) -> None:
            # "clip" writes straight into the output, where "raise" would buffer it.
            classes.take(self._codes(chunk), out=labels, mode="clip")

        labels = np.empty(len(X), dtype=classes.dtype)
        self._for_each_chunk(X, write, labels)
        return labels

    def probabilities(self, X: np.ndarray) -> np.ndarray:
        """Class probabilities (n_samples, n_classes) of the rows of X."""
        self._check(X)
        n_classes = 2 if self.network.output == "logistic" else self.network.weights[-1].shape[1]
        probabilities = np.empty((len(X), n_classes), dtype=self.network.dtype)
        if len(X) <= _FEW_ROWS:
            probabilities[:] = self.network.probabilities(self._few_logits(X))
        else:
            self._for_each_chunk(X, self._write_probabilities, probabilities)
        return probabilities

    def _check(self, X: np.ndarray) -> None:
        if X.ndim != 2 or X.shape[1] != self.n_features or X.dtype.kind not in "fiub":
            raise ValueError(
                f"X must be real numbers of shape (n_samples, {self.n_features}), got "
                f"{X.dtype} of shape {X.shape}."
            )

    def _for_each_chunk(self, X: np.ndarray, write: Callable, output: np.ndarray) -> None:
        """Call write(rows of X, rows of output) until all rows are done."""
        per_row = max(X.shape[1], self.network.weights[-1].shape[1])
        step = max(_LEAST_ROWS, _CHUNK_BYTES // (per_row * self.network.dtype.itemsize))
        starts = range(0, len(X), step)

        def run(part: range) -> None:
            for start in part:
                write(X[start : start + step], output[start : start + step])

        n_threads = 1
        if len(X) * self.network.n_multiply_adds >= _MANY_MULTIPLY_ADDS:
            n_threads = min(_n_threads(), len(starts))
        if n_threads == 1:
            run(starts)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                # More parts than threads, as one of them may be held up; interleaved, so that all
                # stay on neighbouring pages of a mapped file.
                n_parts = 4 * n_threads
                list(pool.map(run, (starts[i::n_parts] for i in range(n_parts))))

    def _codes(self, chunk: np.ndarray) -> np.ndarray:
        """Index of the most likely class of each row."""
        logits = self._logits(chunk)
        if self.network.output == "logistic":
            return self.network.labels(logits.T[: len(chunk)])
        from ._predictor_kernels import argmax

        codes = np.empty(len(chunk), dtype=np.intp)
        argmax(logits, codes)
        return codes

    def _write_probabilities(self, chunk: np.ndarray, probabilities: np.ndarray) -> None:
        """Write the probabilities of the classes for each row."""
        logits = self._logits(chunk)
        if self.network.output == "logistic":
            probabilities[:] = self.network.probabilities(logits.T[: len(chunk)])
            return
        from ._predictor_kernels import softmax

        softmax(logits, probabilities)

    def _few_logits(self, X: np.ndarray) -> np.ndarray:
        X = without_denormals(self._taken(X).astype(self.network.dtype, copy=False))
        if not np.isfinite(X).all():
            assert_all_finite(X, input_name="X")
        return self.network.forward(X)[-1]

    def _taken(self, X: np.ndarray) -> np.ndarray:
        """Return the columns that the network takes."""
        return X if self._columns is None else X.take(self._columns, axis=1)

    def _logits(self, chunk: np.ndarray) -> np.ndarray:
        """Logits of the rows: a row of the result for each output, longer than the chunk."""
        # A read-only array would make numba compile the kernel a second time.
        chunk = np.require(self._taken(chunk), dtype=self.network.dtype, requirements=["C", "W"])
        from ._predictor_kernels import forward, logits_for

        if self._packed is None:
            self._packed = self._pack()
        logits = logits_for(len(chunk), self.network.weights[-1].shape[1], chunk.dtype)
        if self._skips_zeros:
            from ._sparse_kernels import sparse_forward

            if not np.isfinite(chunk).all():
                assert_all_finite(chunk, input_name="X")
            sparse_forward(chunk, *self._packed, logits)
        elif not forward(chunk, *self._packed, logits):
            assert_all_finite(chunk, input_name="X")
        return logits

    def _pack(self) -> tuple:
        """Lay parameters and a table of layers out as the kernel takes them."""
        from ._predictor_kernels import ROWS, pack

        network = self.network
        if self._skips_zeros:
            from ._sparse_kernels import pack_sparse

            return pack_sparse(network.weights, network.biases, network.activations)
        values_per_row = network.n_features + 2 * max(w.shape[1] for w in network.weights)
        n_tiles = _BLOCK_BYTES // (values_per_row * network.dtype.itemsize * ROWS)
        packed = pack(network.weights, network.biases, network.activations)
        return *packed, max(1, n_tiles) * ROWS

    def __reduce__(self):
        return Predictor, (self.network, self.support)  # the packing is made for one machine


def _pays_to_skip_zeros(network: DenseNetwork) -> bool:
    """Whether so many weights are zero that it is faster to look for the others."""
    if not {"relu", "identity"}.issuperset(network.activations):
        return False  # exponentials cost more than what could be skipped
    n_there = sum(int(np.count_nonzero(weight)) for weight in network.weights)
    skipping = _SPARSE_WEIGHT * n_there + _SPARSE_INPUT * network.n_features
    return skipping < network.n_multiply_adds


def _n_threads() -> int:
    if threading.current_thread() is not threading.main_thread():
        return 1
    return effective_n_threads()
