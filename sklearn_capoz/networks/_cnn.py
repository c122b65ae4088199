"""Convolutional networks for pixels and patches of imaging spectroscopy, as torch modules."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

__all__ = ["SpatialCNN2D", "SpectralCNN1D", "SpectralSpatialCNN3D"]


class SpectralCNN1D(nn.Module):
    """Convolution along the bands of a spectrum, pooling, a hidden layer; the output are logits.

    Parameters
    ----------
    n_bands : int
    n_classes : int
    n_channels : int, default=20
    kernel_size : int, default=24
        Bands that a channel sees at once.
    pool_size : int, default=5
    n_hidden : int, default=100

    See Also
    --------
    SpatialCNN2D, SpectralSpatialCNN3D : For patches.

    References
    ----------
    After Hu et al., Deep convolutional neural networks for hyperspectral image classification,
    2015, DOI 10.1155/2015/258619.

    Examples
    --------
    >>> import torch
    >>> from sklearn_capoz.networks import SpectralCNN1D
    >>> SpectralCNN1D(n_bands=200, n_classes=16)(torch.zeros(5, 200)).shape
    torch.Size([5, 16])
    """

    def __init__(
        self, n_bands, n_classes, n_channels=20, kernel_size=24, pool_size=5, n_hidden=100
    ):
        super().__init__()
        n_left = (n_bands - kernel_size + 1) // pool_size
        _check_size(n_left, f"n_bands={n_bands}", f"kernel_size={kernel_size}, {pool_size=}")
        self.spectral = nn.Sequential(
            nn.Conv1d(1, n_channels, kernel_size), nn.ReLU(), nn.MaxPool1d(pool_size), nn.Flatten()
        )
        self.classifier = _classifier(n_channels * n_left, n_hidden, n_classes)

    def forward(self, X):
        """Give the logits of spectra.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_bands) or (n_samples, 1, n_bands)

        Returns
        -------
        logits : Tensor of shape (n_samples, n_classes)
        """
        if X.dim() == 2:
            X = X[:, None]
        return self.classifier(self.spectral(X))


class SpatialCNN2D(nn.Module):
    """Two convolutions over a patch, of which bands are the channels; the output are logits.

    Parameters
    ----------
    n_bands : int
        Often of principal components.
    n_classes : int
    patch_size : int, default=9
        Pixels along a side, an odd number: the pixel in the middle is the one that is labelled.
    n_channels : sequence of int, default=(50, 100)
        Of the two convolutions.
    kernel_size : int, default=3
    n_hidden : int, default=100

    See Also
    --------
    SpectralCNN1D : For single pixels.
    SpectralSpatialCNN3D : Convolutions along the bands as well.

    Examples
    --------
    >>> import torch
    >>> from sklearn_capoz.networks import SpatialCNN2D
    >>> SpatialCNN2D(n_bands=40, n_classes=16)(torch.zeros(5, 40, 9, 9)).shape
    torch.Size([5, 16])
    """

    def __init__(
        self,
        n_bands,
        n_classes,
        patch_size=9,
        n_channels: Sequence[int] = (50, 100),
        kernel_size=3,
        n_hidden=100,
    ):
        super().__init__()
        n_left = patch_size - 2 * (kernel_size - 1)
        _check_patch(patch_size)
        _check_size(n_left, f"patch_size={patch_size}", f"kernel_size={kernel_size}")
        first, second = n_channels
        self.spatial = nn.Sequential(
            nn.Conv2d(n_bands, first, kernel_size),
            nn.ReLU(),
            nn.Conv2d(first, second, kernel_size),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.classifier = _classifier(second * n_left**2, n_hidden, n_classes)

    def forward(self, X):
        """Give the logits of patches.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_bands, patch_size, patch_size)

        Returns
        -------
        logits : Tensor of shape (n_samples, n_classes)
        """
        return self.classifier(self.spatial(X))


class SpectralSpatialCNN3D(nn.Module):
    """Two convolutions over the bands and the patch at once; the output are logits.

    Parameters
    ----------
    n_bands : int
        Often of principal components.
    n_classes : int
    patch_size : int, default=9
        Pixels along a side, an odd number: the pixel in the middle is the one that is labelled.
    n_channels : sequence of int, default=(16, 32)
        Of the two convolutions.
    kernel_sizes : sequence of int, default=(7, 5)
        Bands that a channel sees at once, in the two convolutions; over the patch they are 3 wide.
    pool_size : int, default=3
        Along the bands, behind the convolutions.
    n_hidden : int, default=128

    See Also
    --------
    SpatialCNN2D : Convolutions over the patch alone, and much faster.

    Examples
    --------
    >>> import torch
    >>> from sklearn_capoz.networks import SpectralSpatialCNN3D
    >>> SpectralSpatialCNN3D(n_bands=40, n_classes=16)(torch.zeros(5, 40, 9, 9)).shape
    torch.Size([5, 16])
    """

    def __init__(
        self,
        n_bands,
        n_classes,
        patch_size=9,
        n_channels: Sequence[int] = (16, 32),
        kernel_sizes: Sequence[int] = (7, 5),
        pool_size=3,
        n_hidden=128,
    ):
        super().__init__()
        _check_patch(patch_size)
        n_left = (n_bands - sum(kernel_sizes) + 2) // pool_size
        _check_size(n_left, f"n_bands={n_bands}", f"kernel_sizes={kernel_sizes}, {pool_size=}")
        _check_size(patch_size - 4, f"patch_size={patch_size}", "two kernels of 3")
        (first, second), (deep, deeper) = n_channels, kernel_sizes
        self.volume = nn.Sequential(
            nn.Conv3d(1, first, (deep, 3, 3)),
            nn.ReLU(),
            nn.Conv3d(first, second, (deeper, 3, 3)),
            nn.ReLU(),
            nn.MaxPool3d((pool_size, 1, 1)),
            nn.Flatten(),
        )
        self.classifier = _classifier(second * n_left * (patch_size - 4) ** 2, n_hidden, n_classes)

    def forward(self, X):
        """Give the logits of patches.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_bands, patch_size, patch_size)

        Returns
        -------
        logits : Tensor of shape (n_samples, n_classes)
        """
        return self.classifier(self.volume(X[:, None]))


def _classifier(n_inputs: int, n_hidden: int, n_classes: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_inputs, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_classes))


def _check_patch(patch_size: int) -> None:
    if patch_size % 2 == 0:
        raise ValueError(
            f"patch_size={patch_size} is even, and such a patch has no pixel in its middle; take "
            f"{patch_size - 1} or {patch_size + 1}."
        )


def _check_size(n_left: int, what: str, takes: str) -> None:
    if n_left < 1:
        raise ValueError(f"{what} is too small: {takes} leave nothing of it.")
