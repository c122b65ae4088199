"""Three small convolutional networks of the field: over the spectrum, over the patch, over both.

Each is the shortest of its kind: convolutions, one pooling, one hidden dense layer. A forward asks
its data for sizes and never a number written in, so that it still runs after units were cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..exceptions import UnsupportedNetworkError

__all__ = ["KINDS", "SpatialCNN2D", "SpectralCNN1D", "SpectralSpatialCNN3D", "sizes_of"]


class SpectralCNN1D(nn.Module):
    """Convolution along the spectrum, pooling, one hidden layer; the output are logits.

    Parameters
    ----------
    n_bands : int
    n_classes : int
    channels : int, default=20
        Kernels of the convolution.
    kernel_size : int, default=24
        Bands that a kernel spans; all of them where there are fewer.
    pool_size : int, default=5
        Positions that are pooled to one; all of them where there are fewer.
    hidden : int, default=100
        Units of the dense layer.

    References
    ----------
    Hu, Huang, Wei, Zhang and Li, Journal of Sensors, 2015, DOI 10.1155/2015/258619; with ReLU in
    place of tanh.

    Examples
    --------
    >>> import torch
    >>> from sklearn_capoz.networks import SpectralCNN1D
    >>> SpectralCNN1D(n_bands=200, n_classes=16)(torch.zeros(3, 200)).shape
    torch.Size([3, 16])
    """

    def __init__(
        self,
        n_bands: int,
        n_classes: int,
        channels: int = 20,
        kernel_size: int = 24,
        pool_size: int = 5,
        hidden: int = 100,
    ):
        super().__init__()
        _check_sizes(channels=channels, kernel_size=kernel_size, pool_size=pool_size, hidden=hidden)
        kernel_size = min(kernel_size, n_bands)
        n_positions = n_bands - kernel_size + 1
        pool_size = min(pool_size, n_positions)
        self.features = nn.Sequential(
            _SpectrumConvolution(1, channels, kernel_size), nn.ReLU(), _SpectrumPool(pool_size)
        )
        self.head = _head(channels * (n_positions // pool_size), hidden, n_classes)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Logits of spectra, (n_samples, n_bands) -> (n_samples, n_classes)."""
        return self.head(self.features(X.unsqueeze(1)).flatten(1))


class SpatialCNN2D(nn.Module):
    """Convolutions over a patch, whose bands are the channels; the output are logits.

    Parameters
    ----------
    n_bands : int
        As a rule principal components.
    n_classes : int
    patch_size : int, default=9
        Rows and columns of a patch.
    channels : sequence of int, default=(50, 100)
        Kernels of each convolution.
    kernel_size : int, default=3
        Rows and columns that a kernel spans.
    pool_size : int, default=2
        Rows and columns that are pooled to one behind the last convolution; as many as there are
        where there are fewer.
    hidden : int, default=100
        Units of the dense layer.

    Raises
    ------
    UnsupportedNetworkError
        If the convolutions leave nothing of a patch.

    Examples
    --------
    >>> import torch
    >>> from sklearn_capoz.networks import SpatialCNN2D
    >>> SpatialCNN2D(n_bands=40, n_classes=16)(torch.zeros(3, 40, 9, 9)).shape
    torch.Size([3, 16])
    """

    def __init__(
        self,
        n_bands: int,
        n_classes: int,
        patch_size: int = 9,
        channels: Sequence[int] = (50, 100),
        kernel_size: int = 3,
        pool_size: int = 2,
        hidden: int = 100,
    ):
        super().__init__()
        _check_sizes(kernel_size=kernel_size, pool_size=pool_size, hidden=hidden)
        _check_channels(channels)
        side = _side(patch_size, kernel_size, len(channels))
        pool_size = min(pool_size, side)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise((n_bands, *channels)):
            layers += [nn.Conv2d(n_in, n_out, kernel_size), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.MaxPool2d(pool_size))
        self.head = _head(channels[-1] * (side // pool_size) ** 2, hidden, n_classes)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Logits of patches, (n_samples, n_bands, rows, columns) -> (n_samples, n_classes)."""
        return self.head(self.features(X).flatten(1))


class SpectralSpatialCNN3D(nn.Module):
    """Convolutions over bands, rows and columns of a patch at once; the output are logits.

    Parameters
    ----------
    n_bands : int
        As a rule principal components.
    n_classes : int
    patch_size : int, default=9
        Rows and columns of a patch.
    channels : sequence of int, default=(16, 32)
        Kernels of each convolution.
    kernel_size : int, default=3
        Rows and columns that a kernel spans.
    band_kernel_size : int, default=7
        Bands that a kernel spans; no more than there are.
    pool_size : int, default=2
        Bands, rows and columns that are pooled to one behind the last convolution; as many as
        there are where there are fewer.
    hidden : int, default=128
        Units of the dense layer.

    Raises
    ------
    UnsupportedNetworkError
        If the convolutions leave nothing of a patch.

    References
    ----------
    Chen, Jiang, Li, Jia and Ghamisi, IEEE Transactions on Geoscience and Remote Sensing, 2016, DOI
    10.1109/TGRS.2016.2584107.

    Examples
    --------
    >>> import torch
    >>> from sklearn_capoz.networks import SpectralSpatialCNN3D
    >>> SpectralSpatialCNN3D(n_bands=40, n_classes=16)(torch.zeros(3, 40, 9, 9)).shape
    torch.Size([3, 16])
    """

    def __init__(
        self,
        n_bands: int,
        n_classes: int,
        patch_size: int = 9,
        channels: Sequence[int] = (16, 32),
        kernel_size: int = 3,
        band_kernel_size: int = 7,
        pool_size: int = 2,
        hidden: int = 128,
    ):
        super().__init__()
        _check_sizes(kernel_size=kernel_size, band_kernel_size=band_kernel_size)
        _check_sizes(pool_size=pool_size, hidden=hidden)
        _check_channels(channels)
        side, depth = _side(patch_size, kernel_size, len(channels)), n_bands
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise((1, *channels)):
            span = min(band_kernel_size, depth)
            layers += [nn.Conv3d(n_in, n_out, (span, kernel_size, kernel_size)), nn.ReLU()]
            depth -= span - 1
        pool = tuple(min(pool_size, size) for size in (depth, side, side))
        self.features = nn.Sequential(*layers, nn.MaxPool3d(pool))
        n_positions = (depth // pool[0]) * (side // pool[1]) ** 2
        self.head = _head(channels[-1] * n_positions, hidden, n_classes)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Logits of patches, (n_samples, n_bands, rows, columns) -> (n_samples, n_classes)."""
        return self.head(self.features(X.unsqueeze(1)).flatten(1))


class _SpectrumConvolution(nn.Conv1d):
    """Convolution of spectra, which are images of a single row while the network is trained.

    The result is the same but for rounding. When it needs derivatives, torch pools spectra channel
    by channel, which takes as long as all else of a forward pass. Images it pools in vectors where
    channels come last, as they do behind a convolution of such images; in single precision alone.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training or input.dtype != torch.float32:
            return super().forward(input)
        rows = input.unsqueeze(3).permute(0, 3, 1, 2)  # channels last, which the strides must say
        return F.conv2d(rows, self.weight.unsqueeze(2), self.bias).squeeze(2)


class _SpectrumPool(nn.MaxPool1d):
    """Pooling behind such a convolution."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training or input.dtype == torch.float64:
            return super().forward(input)
        size: Any = self.kernel_size  # a number: it is given one
        return F.max_pool2d(input.unsqueeze(2), (1, size)).squeeze(2)


def _check_sizes(**sizes: Any) -> None:
    for name, size in sizes.items():
        if not (isinstance(size, Integral) and int(size) >= 1):
            raise ValueError(f"{name} must be a whole number of at least 1, got {size!r}.")


def _check_channels(channels: Any) -> None:
    """Raise unless there is a number of kernels for each of one or more convolutions."""
    if not isinstance(channels, Iterable) or not len([*channels]):
        raise ValueError(
            "channels must hold the number of kernels of each convolution, (50, 100) for example, "
            f"got {channels!r}."
        )
    _check_sizes(**{f"channels[{i}]": size for i, size in enumerate(channels)})


def _head(n_features: int, hidden: int, n_classes: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_features, hidden), nn.ReLU(), nn.Linear(hidden, n_classes))


def _side(patch_size: int, kernel_size: int, n_convolutions: int) -> int:
    """Rows that convolutions leave of a patch."""
    side = patch_size - n_convolutions * (kernel_size - 1)
    if side < 1:
        raise UnsupportedNetworkError(
            f"{n_convolutions} convolutions of {kernel_size} x {kernel_size} leave nothing of a "
            f"patch of {patch_size} x {patch_size} pixels; it must have at least "
            f"{patch_size - side + 1} rows, or the kernels be smaller."
        )
    return side


#: What the estimators call them.
KINDS: dict[str, type[nn.Module]] = {
    "1d": SpectralCNN1D,
    "2d": SpatialCNN2D,
    "3d": SpectralSpatialCNN3D,
}


def sizes_of(module: SpectralCNN1D | SpatialCNN2D | SpectralSpatialCNN3D) -> dict:
    """Return the arguments that make a network of the sizes that one of these has by now."""
    *layers, pool = list[Any](module.features)
    convolutions, hidden = layers[::2], next(iter(module.head))
    channels = [convolution.out_channels for convolution in convolutions]
    pool_size = pool.kernel_size
    sizes = {
        "channels": channels[0] if isinstance(module, SpectralCNN1D) else channels,
        "kernel_size": convolutions[0].kernel_size[-1],
        # Of what was cut to the data's size, the largest was not, or is cut again to the same.
        "pool_size": max(pool_size) if isinstance(pool_size, tuple) else pool_size,
        "hidden": hidden.out_features,
    }
    if isinstance(module, SpectralSpatialCNN3D):
        sizes["band_kernel_size"] = convolutions[0].kernel_size[0]
    return sizes
