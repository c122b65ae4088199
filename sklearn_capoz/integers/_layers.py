"""The layers of an integer network: dense ones, and convolutions along the spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..networks._spectral_network import spectral_windows
from ._arithmetic import MAX_SHIFT, requantize
from ._curve import LARGEST_POINT, N_POINTS, curve_codes

__all__ = ["CODE_LIMIT", "IntegerConvolution", "IntegerLayer"]

#: Activations are uint8.
CODE_LIMIT = 2**8 - 1


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """One dense layer in integers.

    Parameters
    ----------
    weights : ndarray of shape (n_in, n_out), int8
    biases : ndarray of shape (n_out,), int32
        In units of the accumulator. Offsets of the activations are in them.
    multipliers : ndarray of shape (n_out,), int16
    shifts : ndarray of shape (n_out,), uint8
        What is handed on is accumulator * multiplier / 2^shift.
    curve : ndarray of shape (33,), uint8, or None
        Half a smooth activation, twice its height in codes at every 32nd of the places that the
        rescaled accumulator then stands for, at most 254; straight between them.
    """

    weights: np.ndarray
    biases: np.ndarray
    multipliers: np.ndarray
    shifts: np.ndarray
    curve: np.ndarray | None = None

    @property
    def n_inputs(self) -> int:
        return self.weights.shape[0]

    @property
    def n_outputs(self) -> int:
        return self.weights.shape[1]

    @property
    def n_multiply_adds(self) -> int:
        return self.weights.size

    def sums(self, codes: np.ndarray) -> np.ndarray:
        """Return what accumulators hold, whole numbers below 2^31: in float64 BLAS is exact.

        Parameters
        ----------
        codes : ndarray of shape (n_samples, n_inputs), float64

        Returns
        -------
        sums : ndarray of shape (n_samples, n_out), float64
        """
        sums = codes @ self._weights
        sums += self.biases
        return sums

    def codes(self, sums: np.ndarray) -> np.ndarray:
        """Return what is handed on, (n_samples, n_outputs), float64."""
        rescaled = requantize(sums, self.multipliers, self.shifts)
        if self.curve is not None:
            return curve_codes(rescaled, self.curve)
        return rescaled.clip(0, CODE_LIMIT)

    @cached_property
    def _weights(self) -> np.ndarray:
        return self.weights.astype(np.float64)

    def __getstate__(self):
        return {key: value for key, value in vars(self).items() if key != "_weights"}

    def check(self, largest: int, where: str) -> None:
        """Raise ValueError where a part is not what it must be.

        Parameters
        ----------
        largest : int
            That a weight may be.
        where : str
            The layer, for messages.
        """
        _check_arrays(self, largest, where)


@dataclass(frozen=True, eq=False)
class IntegerConvolution(IntegerLayer):
    """A convolution along the spectrum in integers, with the pooling behind it.

    What goes in and comes out is flat, channel by channel. At each position it is a dense layer
    whose inputs are the kernel's span of each channel; positions that fill no pool are left out.

    Parameters
    ----------
    weights : ndarray of shape (n_channels * kernel_size, n_out), int8
    biases, multipliers, shifts, curve
        As of a dense layer.
    n_channels, n_positions : int
        Of the input.
    kernel_size, stride : int
        Without padding.
    pool : {"max", "average"}, default="max"
        What becomes of codes next to each other; an average is rounded half up.
    pool_size : int, default=1
        Of 1 nothing is pooled.
    """

    n_channels: int = 1
    n_positions: int = 1
    kernel_size: int = 1
    stride: int = 1
    pool: str = "max"
    pool_size: int = 1

    @property
    def n_inputs(self) -> int:
        return self.n_channels * self.n_positions

    @property
    def n_outputs(self) -> int:
        return self.weights.shape[1] * self.n_pooled

    @property
    def n_pooled(self) -> int:
        """Positions behind the pooling."""
        return ((self.n_positions - self.kernel_size) // self.stride + 1) // self.pool_size

    @property
    def n_multiply_adds(self) -> int:
        return self.weights.size * self.n_pooled * self.pool_size

    def windows(self, values: np.ndarray) -> np.ndarray:
        """Return what the kernel sees at each position, (n_samples, n_windows, n_in)."""
        n_windows = self.n_pooled * self.pool_size
        return spectral_windows(values, self.n_channels, self.kernel_size, self.stride, n_windows)

    def pooled(self, values: np.ndarray) -> np.ndarray:
        """Pool codes of each position, (n_samples, n_windows, n_out), and lay them flat."""
        n_samples, _, n_out = values.shape
        pools = values.reshape(n_samples, self.n_pooled, self.pool_size, n_out)
        if self.pool == "max":
            found = pools.max(axis=2)
        else:
            found = (2 * pools.sum(axis=2) + self.pool_size) // (2 * self.pool_size)
        return found.transpose(0, 2, 1).reshape(n_samples, -1)

    def sums(self, codes: np.ndarray) -> np.ndarray:
        """Return what accumulators hold.

        Parameters
        ----------
        codes : ndarray of shape (n_samples, n_inputs), float64

        Returns
        -------
        sums : ndarray of shape (n_samples, n_windows, n_out), float64
        """
        return super().sums(self.windows(codes))

    def codes(self, sums: np.ndarray) -> np.ndarray:
        """Return what is handed on, (n_samples, n_outputs), float64."""
        return self.pooled(super().codes(sums))

    def check(self, largest: int, where: str) -> None:
        """Raise ValueError where a part is not what it must be."""
        super().check(largest, where)
        sizes = (self.n_channels, self.n_positions, self.kernel_size, self.stride, self.pool_size)
        if min(sizes) < 1 or self.pool not in ("max", "average"):
            raise ValueError(
                f"{where}: sizes must be at least 1 and pool 'max' or 'average', found {sizes} "
                f"and {self.pool!r}."
            )
        if self.n_channels * self.kernel_size != len(self.weights):
            raise ValueError(
                f"{where}: {self.n_channels} channels of {self.kernel_size} taps do not fit to "
                f"{len(self.weights)} weights of a unit."
            )
        if self.kernel_size > self.n_positions or self.n_pooled < 1:
            raise ValueError(
                f"{where}: a kernel and a pool must fit into {self.n_positions} bands."
            )


def _check_arrays(layer: IntegerLayer, largest: int, where: str) -> None:
    dtypes = {"weights": "int8", "biases": "int32", "multipliers": "int16", "shifts": "uint8"}
    for name, dtype in dtypes.items():
        array = getattr(layer, name)
        if array.dtype != dtype:
            raise ValueError(f"{where}: {name} must be {dtype}, found {array.dtype}.")
    if layer.weights.ndim != 2 or 0 in layer.weights.shape:
        raise ValueError(f"{where}: weights must be (n_in, n_out), found {layer.weights.shape}.")
    n_out = layer.weights.shape[1]
    for name in ("biases", "multipliers", "shifts"):
        if getattr(layer, name).shape != (n_out,):
            raise ValueError(
                f"{where}: {name} must be ({n_out},), found {getattr(layer, name).shape}."
            )
    if np.abs(layer.weights.astype(np.int64)).max() > largest:
        raise ValueError(f"{where}: weights must lie between -{largest} and {largest}.")
    if (layer.multipliers < 0).any():
        raise ValueError(f"{where}: multipliers must not be negative.")
    if not ((layer.shifts >= 1) & (layer.shifts <= MAX_SHIFT)).all():
        raise ValueError(f"{where}: shifts must lie between 1 and {MAX_SHIFT}.")
    curve = layer.curve
    if curve is not None and (curve.dtype != np.uint8 or curve.shape != (N_POINTS,)):
        raise ValueError(
            f"{where}: a curve must be {N_POINTS} numbers of uint8, found {curve.dtype} of shape "
            f"{curve.shape}."
        )
    if curve is not None and curve.max() > LARGEST_POINT:
        raise ValueError(f"{where}: a curve goes up to {LARGEST_POINT}, found {curve.max()}.")
