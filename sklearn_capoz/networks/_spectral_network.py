"""A network that convolves along the spectrum, as plain arrays: what integers are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ._activations import ACTIVATIONS
from ._dense import DenseNetwork

__all__ = ["SpectralConvolution", "SpectralNetwork", "spectral_windows"]


def spectral_windows(
    values: np.ndarray, n_channels: int, kernel_size: int, stride: int, n_windows: int
) -> np.ndarray:
    """Return what a kernel sees at each position, its span of each channel side by side.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_channels * n_positions)
        Flat, channel by channel.
    n_channels, kernel_size, stride : int
    n_windows : int
        So many positions are looked at, from the first on.

    Returns
    -------
    windows : ndarray of shape (n_samples, n_windows, n_channels * kernel_size)
    """
    channels = values.reshape(len(values), n_channels, -1)
    found = np.lib.stride_tricks.sliding_window_view(channels, kernel_size, axis=2)
    found = found[:, :, ::stride][:, :, :n_windows].transpose(0, 2, 1, 3)
    return found.reshape(len(values), n_windows, n_channels * kernel_size)


@dataclass(frozen=True, eq=False)
class SpectralConvolution:
    """A convolution without padding, its activation, and the pooling behind it.

    Parameters
    ----------
    weight : ndarray of shape (n_out, n_in, kernel_size)
    bias : ndarray of shape (n_out,)
    activation : str
        A key of `ACTIVATIONS`.
    stride : int
    pool : {"max", "average"}
    pool_size : int
        Of 1 nothing is pooled; positions that fill no pool are left out.
    n_positions : int
        Of the input.
    """

    weight: np.ndarray
    bias: np.ndarray
    activation: str
    stride: int
    pool: str
    pool_size: int
    n_positions: int

    @property
    def n_pooled(self) -> int:
        n_windows = (self.n_positions - self.weight.shape[2]) // self.stride + 1
        return n_windows // self.pool_size

    def windows(self, values: np.ndarray) -> np.ndarray:
        """Return what the kernel sees of flat values, (n_samples, n_windows, n_in * taps)."""
        _, n_in, kernel_size = self.weight.shape
        n_windows = self.n_pooled * self.pool_size
        return spectral_windows(values, n_in, kernel_size, self.stride, n_windows)

    def sums(self, windows: np.ndarray) -> np.ndarray:
        """Return what goes into the activation, (n_samples, n_windows, n_out)."""
        return windows @ self.weight.reshape(len(self.weight), -1).T + self.bias

    def pooled(self, values: np.ndarray) -> np.ndarray:
        """Pool what the activation gives, and lay it flat, channel by channel."""
        pools = values.reshape(len(values), self.n_pooled, self.pool_size, -1)
        found = pools.max(axis=2) if self.pool == "max" else pools.mean(axis=2)
        return found.transpose(0, 2, 1).reshape(len(values), -1)


@dataclass(frozen=True, eq=False)
class SpectralNetwork:
    """Convolutions along the spectrum, and a dense network behind them.

    Parameters
    ----------
    convolutions : tuple of SpectralConvolution
    dense : DenseNetwork
        Takes what the last one gives, channel by channel.
    """

    convolutions: tuple[SpectralConvolution, ...]
    dense: DenseNetwork

    @property
    def n_features(self) -> int:
        first = self.convolutions[0]
        return first.weight.shape[1] * first.n_positions

    @property
    def output(self) -> str:
        return self.dense.output

    @property
    def n_classes(self) -> int:
        return self.dense.n_classes

    @property
    def dtype(self) -> np.dtype:
        return self.dense.dtype

    @property
    def n_bytes(self) -> int:
        """Bytes of the stored parameters."""
        own = sum(each.weight.nbytes + each.bias.nbytes for each in self.convolutions)
        return own + self.dense.n_bytes

    def forward(self, X: np.ndarray) -> list[np.ndarray]:
        """Return what every layer gives of flat spectra; the last are the logits."""
        *found, values = [*self._convolved(X)] or [X]
        return [*found, values, *self.dense.forward(values)]

    def _convolved(self, X: np.ndarray) -> Iterator[np.ndarray]:
        for each in self.convolutions:
            sums = each.sums(each.windows(X))
            ACTIVATIONS[each.activation].apply(sums)
            X = each.pooled(sums)
            yield X

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Class probabilities of shape (n_samples, n_classes) from the logits."""
        return self.dense.probabilities(logits)
