"""A network of patches, run over a whole image at once.

Neighbouring patches share nearly all of their pixels, and a network that is run patch by patch
does the same arithmetic again for each. Run over the image, a convolution does it once. What
moves by more than one pixel (pooling, strides) is made to move by one, and whatever comes later
leaves as many pixels out between its taps; a dense layer behind a flatten is a convolution that
spans what is left of the patch. The weights are the network's own.

The module is not rebuilt: its forward runs on the image, and a TorchFunctionMode puts in place of
each call the one that does the same for all patches. What it does not know, it refuses by name.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from ..exceptions import UnsupportedNetworkError
from ._label_rules import tensors_in
from ._labels import call_name
from ._patch_rules import QUESTIONS, RULES, Patch

__all__ = ["FullyConvolutional", "PatchByPatch"]

#: Largest difference of an output, beside the largest output, that counts as rounding.
TOLERANCE = 1e-4


class FullyConvolutional(nn.Module):
    """A network of patches as a network of images: one answer for every patch of an image.

    Parameters
    ----------
    module : torch.nn.Module
        Takes (n_samples, n_bands, patch_size, patch_size) and gives (n_samples, n_outputs). It is
        held as it is, and should be in evaluation mode.
    n_bands : int
    patch_size : int

    Attributes
    ----------
    n_values : int
        The most numbers that one pixel of the image is made into between two layers.

    Raises
    ------
    UnsupportedNetworkError
        If it does what cannot be done for all patches at once, or if the answers for some made
        patches differ from the module's own; with the reason.

    Examples
    --------
    >>> import torch
    >>> from sklearn_capoz.networks import SpatialCNN2D
    >>> from sklearn_capoz.networks._fully_convolutional import FullyConvolutional
    >>> module = SpatialCNN2D(n_bands=3, n_classes=2, patch_size=5, channels=(4,)).eval()
    >>> FullyConvolutional(module, 3, 5)(torch.zeros(1, 3, 20, 10)).shape
    torch.Size([1, 2, 16, 6])
    """

    def __init__(self, module: nn.Module, n_bands: int, patch_size: int):
        super().__init__()
        self.module, self.patch_size = module, patch_size
        self._check(n_bands)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Answers for all patches, by their first pixel.

        Parameters
        ----------
        image : tensor of shape (n_images, n_bands, n_rows, n_columns)

        Returns
        -------
        outputs : tensor of shape (n_images, n_outputs, n_rows - p + 1, n_columns - p + 1)
        """
        n_rows, n_columns = (size - self.patch_size + 1 for size in image.shape[2:])
        mode = _AllPatches(self.module, image, self.patch_size)
        with mode:
            output = self.module(image)
        self.n_values = mode.n_values
        # A pooling may leave the last rows of a patch out, and there is room for more patches.
        return mode.finished(output)[..., :n_rows, :n_columns]

    def _check(self, n_bands: int) -> None:
        parameter, size = next(self.module.parameters(), torch.empty(0)), self.patch_size + 3
        draws = torch.Generator().manual_seed(0)
        image = torch.randn(1, n_bands, size, size + 1, generator=draws).to(parameter)
        with torch.no_grad():
            patches = image[0].unfold(1, self.patch_size, 1).unfold(2, self.patch_size, 1)
            patches = patches.permute(1, 2, 0, 3, 4)
            what = f"takes no patches of {n_bands} bands and {size - 3} x {size - 3} pixels"
            try:
                expected = self.module(patches.flatten(0, 1).contiguous())
                what = "cannot run over an image"
                found = self(image)[0].flatten(1).T
            except UnsupportedNetworkError:
                raise
            except Exception as error:  # whatever a module raises that was made for patches
                name = type(self.module).__name__
                raise UnsupportedNetworkError(f"{name} {what}: {error}") from error
        if found.shape != expected.shape or not torch.isfinite(found).all():
            difference = math.inf
        else:
            difference = float((found - expected).abs().max() / expected.abs().max().clamp_min(1))
        if difference > TOLERANCE:
            raise UnsupportedNetworkError(
                f"{type(self.module).__name__} gives other answers when it runs over an image than "
                f"patch by patch: they differ by {difference:.2g} of the largest."
            )


class PatchByPatch(nn.Module):
    """The same answers, one patch after the other, for what cannot run over an image.

    Parameters
    ----------
    module : torch.nn.Module
    patch_size : int
    """

    #: A row of patches fits whatever it is made into.
    n_values = math.inf

    def __init__(self, module: nn.Module, patch_size: int):
        super().__init__()
        self.module, self.patch_size = module, patch_size

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Answers for all patches, by their first pixel, a row of patches at a time.

        Parameters
        ----------
        image : tensor of shape (n_images, n_bands, n_rows, n_columns)

        Returns
        -------
        outputs : tensor of shape (n_images, n_outputs, n_rows - p + 1, n_columns - p + 1)
        """
        size, n_images = self.patch_size, image.shape[0]
        rows = []
        for start in range(image.shape[2] - size + 1):
            patches = image[:, :, start : start + size].unfold(3, size, 1).permute(0, 3, 1, 2, 4)
            rows.append(
                self.module(patches.flatten(0, 1).contiguous()).unflatten(0, (n_images, -1))
            )
        return torch.stack(rows, dim=2).permute(0, 3, 2, 1)


class _AllPatches(TorchFunctionMode):
    """Does for all patches of an image what the module says of one."""

    def __init__(self, module: nn.Module, image: torch.Tensor, patch_size: int):
        super().__init__()
        self.module, self.n_values = module, int(image.shape[1])
        # Weakly: what the module has let go of must not stay in memory.
        self._known = WeakTensorKeyDictionary({image: Patch((patch_size, patch_size))})

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Put in place of one call the one for all patches."""
        kwargs = kwargs or {}
        if not any(t in self._known for t in tensors_in((args, kwargs))):
            return func(*args, **kwargs)
        name = call_name(func)
        if name in QUESTIONS:
            return QUESTIONS[name](self, *args, **kwargs)
        if name not in RULES:
            self.refuse(name, "it is not known what that is for all patches at once")
        value, patch = RULES[name](self, func, *args, **kwargs)
        if isinstance(value, torch.Tensor):
            self._known[value] = patch
            self.n_values = max(self.n_values, math.prod(value.shape[1:-2]))
        return value

    def patch(self, value: torch.Tensor) -> Patch | None:
        """Say what of a patch a value holds; None for a constant."""
        return self._known.get(value)

    def virtual_shape(self, value: torch.Tensor) -> torch.Size:
        """Shape that the value would have for one patch, which is the one the module asks for."""
        patch = self._known[value]
        *sizes, _, _ = (int(size) for size in value.shape)  # an export has tensors here
        if patch.is_flat:
            return torch.Size((sizes[0], sizes[1] * math.prod(patch.size)))
        return torch.Size((*sizes, *patch.size))

    def finished(self, output: Any) -> torch.Tensor:
        """Return the answers of a forward, once it is known that each is one patch's."""
        patch = self._known.get(output) if isinstance(output, torch.Tensor) else None
        if patch is None or not (patch.is_flat and patch.is_one):
            self.refuse("forward", "its output is no row of numbers for each patch")
        return output

    def refuse(self, name: str, why: str):
        raise UnsupportedNetworkError(
            f"{type(self.module).__name__} cannot run over an image: of {name}(), {why}."
        )
