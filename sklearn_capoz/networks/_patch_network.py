"""A network of patches that gathers them itself: its samples are pixels of an image it looks at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .._sklearn import InvalidParameterError

__all__ = ["PaddedImage", "PatchNetwork", "build_network"]


class PaddedImage:
    """The image that patches are cut from, mirrored beyond its edges.

    Parameters
    ----------
    image : ndarray of shape (n_rows, n_columns, n_channels)
    patch_size : int
        An odd number, not larger than the image.
    """

    def __init__(self, image: np.ndarray, patch_size: int):
        margin = patch_size // 2
        padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
        self.patch_size, self.shape = patch_size, image.shape[:2]
        self.n_columns, self.n_channels = padded.shape[1:]
        self._tables = {torch.device("cpu"): torch.from_numpy(padded).flatten(0, 1)}
        inside = np.arange(patch_size)
        self._offsets = torch.from_numpy((inside[:, None] * self.n_columns + inside).ravel())

    def __deepcopy__(self, memo):
        # Every iteration of a pruning keeps a copy of the network; the image is one for all.
        return self

    def patches(self, positions: torch.Tensor) -> torch.Tensor:
        """Gather the patches around pixels, on the device of their positions.

        Parameters
        ----------
        positions : tensor of shape (n_samples, 2)
            Row and column, counted from 0. What lies outside is taken from the edge: a look at
            the network may come with numbers that are no pixels.

        Returns
        -------
        patches : tensor of shape (n_samples, n_channels, patch_size, patch_size)
        """
        rows, columns = (
            positions[:, axis].clamp(0, size - 1).long() for axis, size in enumerate(self.shape)
        )
        first = (rows * self.n_columns + columns).unsqueeze(1)
        found = F.embedding(first + self._offsets.to(first.device), self._table(first.device))
        return found.unflatten(1, (self.patch_size, self.patch_size)).permute(0, 3, 1, 2)

    def _table(self, device: torch.device) -> torch.Tensor:
        if device not in self._tables:
            self._tables[device] = self._tables[torch.device("cpu")].to(device)
        return self._tables[device]


class PatchNetwork(nn.Module):
    """A network behind the patches of an image.

    A batch is gathered when it is its turn, in one step: patches are never there all at once, as
    they would take as many times the image's memory as they have pixels.

    Parameters
    ----------
    image : PaddedImage
    network : torch.nn.Module
    """

    def __init__(self, image: PaddedImage, network: nn.Module):
        super().__init__()
        self.image = image
        self.network = network

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Logits of pixels, (n_samples, 2) -> (n_samples, n_classes)."""
        return self.network(self.image.patches(X))


def build_network(
    network: Callable[..., nn.Module],
    dtype: torch.dtype,
    image: PaddedImage | None = None,
    **sizes,
) -> nn.Module:
    """Make a network of these sizes, behind the patches of an image where one is given.

    Raises
    ------
    InvalidParameterError
        If the network cannot be made of them.
    """
    try:
        module = network(**sizes).to(dtype)
    except (TypeError, ValueError, RuntimeError) as error:  # torch names none of the parameters
        name = getattr(network, "__name__", repr(network))
        given = ", ".join(f"{key}={value!r}" for key, value in sizes.items())
        raise InvalidParameterError(
            f"{name}({given}) cannot be made: {str(error).rstrip('.')}."
        ) from error
    return module if image is None else PatchNetwork(image, module)
