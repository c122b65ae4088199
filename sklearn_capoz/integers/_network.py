"""A network in integers: what files, ONNX and C hold of a quantized one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import expit, softmax

from ._arithmetic import requantize, round_half_away
from ._layers import CODE_LIMIT, IntegerConvolution, IntegerLayer

__all__ = ["INPUT_LIMIT", "IntegerNetwork"]

#: Inputs are int16, and as large with either sign.
INPUT_LIMIT = 2**15 - 1
_ACCUMULATOR_LIMIT = 2**31 - 1
#: Multiply-adds that are computed at a time.
_BLOCK = 20_000_000


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    r"""Dense layers whose numbers are integers, and whose arithmetic is exact.

    A layer sums int8 weights times integer inputs in an int32 accumulator, and hands on

    ``clip(accumulator * multiplier / 2^shift, 0, 255)``

    rounded half away from zero, with one multiplier per unit. Where a code is 0 lies in the bias,
    so that a ReLU is the clip at 0 and no zero point is stored. For tanh and the logistic function
    what is rescaled is a place on a curve instead, of which 33 points are stored. The last layer
    hands on int32 logits, which are not clipped.

    Parameters
    ----------
    layers : tuple of IntegerLayer or IntegerConvolution
        Input first, dense ones last.
    bits : {8, 4}
        Of a weight; 4-bit weights lie between -7 and 7.
    output : {"softmax", "logistic"}
        As in :class:`~sklearn_capoz.networks.DenseNetwork`.
    input_scale, input_offset : ndarray of shape (1,) or (n_features,), float32
        An input is ``(x - input_offset) * input_scale``, rounded half away from zero.
    input_limit : int
        Inputs are clipped to this size, at most 32767.
    logit_scale : float
        Logit that one unit of the integer logits stands for.
    dtype : dtype
        float32 or float64: of the network that was quantized, and of the probabilities.

    Notes
    -----
    No accumulator can overflow: for every unit, ``sum_j |weight_j| * limit + |bias| < 2^31``,
    where the limit is `input_limit` in the first layer and 255 behind it. That holds for each
    partial sum as well, in any order. `check` refuses what does not.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_capoz.integers import IntegerLayer, IntegerNetwork
    >>> layer = IntegerLayer(
    ...     weights=np.array([[100, -100]], np.int8),
    ...     biases=np.array([7, 0], np.int32),
    ...     multipliers=np.array([16384, 16384], np.int16),
    ...     shifts=np.array([15, 15], np.uint8),
    ... )
    >>> one = np.ones(1, np.float32)
    >>> network = IntegerNetwork((layer,), 8, "softmax", 10000 * one, 0 * one, 32767, 0.001, "f4")
    >>> codes = network.quantize_input(np.array([[0.0033]]))
    >>> network.accumulators(codes)[0], network.logits(codes)
    (array([[ 3307, -3300]], dtype=int32), array([[ 1654, -1650]], dtype=int32))
    """

    layers: tuple[IntegerLayer, ...]
    bits: int
    output: str
    input_scale: np.ndarray
    input_offset: np.ndarray
    input_limit: int
    logit_scale: float
    dtype: np.dtype

    def __repr__(self) -> str:
        widths = "-".join(map(str, (self.n_features, *(len(a.biases) for a in self.layers))))
        return f"IntegerNetwork({widths}, {self.bits} bits, {self.output})"

    @property
    def n_features(self) -> int:
        return self.layers[0].n_inputs

    @property
    def n_classes(self) -> int:
        return 2 if self.output == "logistic" else len(self.layers[-1].biases)

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return tuple(len(layer.biases) for layer in self.layers[:-1])

    @property
    def n_parameters(self) -> int:
        return sum(layer.weights.size + layer.biases.size for layer in self.layers)

    @property
    def n_multiply_adds(self) -> int:
        """Multiply-adds for one sample; the one per unit that rescales is not counted."""
        return sum(layer.n_multiply_adds for layer in self.layers)

    @property
    def n_bytes(self) -> int:
        """Bytes of the constants, as files and C hold them."""
        return sum(
            (layer.weights.size * self.bits + 7) // 8
            + sum(part.nbytes for part in (layer.biases, layer.multipliers, layer.shifts))
            + (0 if layer.curve is None else layer.curve.nbytes)
            for layer in self.layers
        )

    def quantize_input(self, X: np.ndarray) -> np.ndarray:
        """Return the integer inputs of samples, int16 of the shape of X, which must be finite."""
        values = (X.astype(np.float64) - self.input_offset) * self.input_scale
        limit = self.input_limit
        return np.clip(round_half_away(values), -limit, limit).astype(np.int16)

    def accumulators(self, codes: np.ndarray) -> list[np.ndarray]:
        """Return the int32 sums of every layer for integer inputs of (n_samples, n_features).

        Those of a convolution have the shape (n_samples, n_positions, n_units).
        """
        return [sums.astype(np.int32) for sums in self._sums(codes)]

    def logits(self, codes: np.ndarray) -> np.ndarray:
        """Return the int32 logits of integer inputs of (n_samples, n_features)."""
        last = self.layers[-1]
        logits = np.empty((len(codes), len(last.biases)), dtype=np.int32)
        step = max(1, _BLOCK // self.n_multiply_adds)
        for start in range(0, len(codes), step):
            rows = slice(start, start + step)
            *_, sums = self._sums(codes[rows])
            logits[rows] = requantize(sums, last.multipliers, last.shifts)
        return logits

    def _sums(self, codes: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the sums of every layer."""
        codes = codes.astype(np.float64)
        for layer in self.layers:
            sums = layer.sums(codes)
            yield sums
            codes = layer.codes(sums)

    def labels(self, logits: np.ndarray) -> np.ndarray:
        """Index of the most likely class of each sample; the lower index on ties."""
        if self.output == "logistic":
            return (logits[:, 0] > 0).astype(np.intp)
        return logits.argmax(axis=1)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Class probabilities of shape (n_samples, n_classes) from the integer logits."""
        values = logits * self.logit_scale
        if self.output == "softmax":
            return softmax(values, axis=1).astype(self.dtype)
        positive = expit(values)
        return np.hstack([1 - positive, positive]).astype(self.dtype)

    def check(self) -> None:
        """Raise ValueError where parts do not fit together, or an accumulator could overflow."""
        if self.bits not in (8, 4):
            raise ValueError(f"Weights have 8 or 4 bits, got bits={self.bits!r}.")
        if self.output not in ("softmax", "logistic") or not self.layers:
            raise ValueError(f"The output must be 'softmax' or 'logistic', got {self.output!r}.")
        if not (0 < self.input_limit <= INPUT_LIMIT):
            raise ValueError(
                f"input_limit must lie between 1 and {INPUT_LIMIT}, got {self.input_limit}."
            )
        for i, layer in enumerate(self.layers):
            layer.check(2 ** (self.bits - 1) - 1, f"layer {i}")
        for a, b in pairwise(self.layers):
            if a.n_outputs != b.n_inputs:
                raise ValueError(
                    f"A layer of {a.n_outputs} units does not fit to the next one's "
                    f"{b.n_inputs} inputs."
                )
        last = self.layers[-1]
        if isinstance(last, IntegerConvolution):
            raise ValueError("The last layer must be a dense one.")
        if self.output == "logistic" and len(last.biases) != 1:
            raise ValueError(f"A logistic output is one unit, found {len(last.biases)}.")
        if last.curve is not None or (last.multipliers > 2.0**last.shifts).any():
            raise ValueError("The logits must be rescaled by at most 1, and by no curve.")
        self._check_input()
        self._check_overflow()

    def _check_input(self) -> None:
        shapes = {self.input_scale.shape, self.input_offset.shape}
        values = np.r_[self.input_scale, self.input_offset, self.logit_scale]
        if len(shapes) != 1 or not shapes <= {(1,), (self.n_features,)}:
            raise ValueError(
                "input_scale and input_offset must have one entry or one per feature "
                f"({self.n_features}), found {self.input_scale.shape} and "
                f"{self.input_offset.shape}."
            )
        if not np.isfinite(values).all() or not (self.input_scale > 0).all():
            raise ValueError("input_scale, input_offset and logit_scale must be finite numbers.")
        if not self.logit_scale > 0 or np.dtype(self.dtype) not in (np.float32, np.float64):
            raise ValueError("logit_scale must be above 0 and dtype float32 or float64.")

    def _check_overflow(self) -> None:
        for i, layer in enumerate(self.layers):
            limit = CODE_LIMIT if i else self.input_limit
            sums = np.abs(layer.weights.astype(np.int64)).sum(axis=0) * limit
            largest = int((sums + np.abs(layer.biases.astype(np.int64))).max())
            if largest > _ACCUMULATOR_LIMIT:
                raise ValueError(
                    f"Layer {i} could sum up to {largest:,}, and an int32 accumulator holds "
                    f"{_ACCUMULATOR_LIMIT:,}."
                )
