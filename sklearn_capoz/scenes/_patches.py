"""From a block and its neighbours to the answers of a network that looks at patches."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin

from sklearn_capoz._warn import warn
from sklearn_capoz.datasets._scene_pixels import check_patch_size
from sklearn_capoz.exceptions import UnsupportedNetworkError

from ._pixels import PixelClassifier
from ._scratch import Scratch

__all__ = ["PatchClassifier", "of_patches", "run_over"]

#: Pixels of an image that a network runs over at once: so many that what its widest layer gives has
#: about a million numbers, which stay in the cache, but not so few that neighbours are the most.
TILE_VALUES, LEAST_PIXELS = 1_100_000, 5_400


class Outputs(ClassifierMixin, BaseEstimator):
    """Classifier of a network's outputs, the last step behind the network.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    """

    def __init__(self, classes):
        self.classes_ = classes

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the label of each row's largest output."""
        return self.classes_.take(X.argmax(axis=1))

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities of each row's outputs."""
        return softmax(X, axis=1)


@dataclass(frozen=True, eq=False)
class PatchClassifier(PixelClassifier):
    """Runs a network of patches over a whole block; what comes behind it is as for pixels.

    Beyond the scene's edges patches see it mirrored, as in training. A patch with a missing pixel
    has no answer.

    Parameters
    ----------
    network : torch.nn.Module
        From an image to the outputs of all its patches.
    patch_size : int
    """

    network: Any = None
    patch_size: int = 1

    @property
    def halo(self) -> int:  # type: ignore[override]
        return self.patch_size // 2

    def __call__(
        self, block: np.ndarray, scratch: Scratch, above: int = 0, below: int = 0
    ) -> list[np.ndarray]:
        """One array (n_rows, n_columns, n_bands) per layer, without the neighbours' rows."""
        X, inputs, quotients, valid = self._inputs(block, scratch)
        inner = slice(above, len(valid) - below)
        margins = ((self.halo - above, self.halo - below), (self.halo, self.halo))
        whole = ndimage.minimum_filter(
            np.pad(valid, margins, mode="reflect"), self.patch_size, mode="constant"
        )[self.halo : -self.halo, self.halo : -self.halo]
        if not whole.any():
            return self._answers(X[:0], inputs[:0], None, whole)
        outputs = self._outputs(np.asarray(inputs), valid, margins)
        place = np.zeros(valid.shape, dtype=np.intp)
        place[valid] = np.arange(len(X))
        own = place[inner][whole]
        quotients = None if quotients is None else quotients[own]
        return self._answers(X[own], outputs[whole], quotients, whole)

    def _outputs(self, inputs: np.ndarray, valid: np.ndarray, margins) -> np.ndarray:
        """Return the outputs for all pixels but the neighbours', (n_rows, n_columns, n_classes)."""
        import torch

        dtype = next(self.network.parameters()).dtype
        image = np.zeros((*valid.shape, inputs.shape[1]), str(dtype).removeprefix("torch."))
        image[valid] = inputs
        image = np.pad(image, (*margins, (0, 0)), mode="reflect")
        # In this order of axes it is "channels last", in which convolutions run fastest. Torch asks
        # for the stride of the one image as well: its axis comes first, and then they are moved.
        values = torch.from_numpy(image).unsqueeze(0).permute(0, 3, 1, 2)
        with torch.inference_mode():
            return run_over(self.network, values, self.halo)


def run_over(network, image, halo: int) -> np.ndarray:
    """Run a network over an image, a tile at a time, (n_rows, n_columns, n_outputs).

    Parameters
    ----------
    network : torch.nn.Module
        From an image to the outputs of all its patches.
    image : tensor of shape (1, n_channels, n_rows + 2 * halo, n_columns + 2 * halo)
    halo : int
    """
    n_rows, n_columns = (size - 2 * halo for size in image.shape[2:])
    n_pixels = int(max(LEAST_PIXELS, TILE_VALUES // network.n_values))
    columns = _parts(n_columns, max(1, int(n_pixels**0.5)))
    widest = max(part.stop - part.start for part in columns)
    strips = []
    for rows in _parts(n_rows, max(1, n_pixels // widest)):
        tiles = [
            network(image[:, :, _wider(rows, halo), _wider(part, halo)])[0].permute(1, 2, 0).numpy()
            for part in columns
        ]
        strips.append(np.concatenate(tiles, axis=1))
    return np.concatenate(strips)


def _parts(size: int, most: int) -> list[slice]:
    """Cut rows or columns into equal parts: a narrow one at the end would be halo above all."""
    n_parts = -(-size // most)
    ends = [size * i // n_parts for i in range(n_parts + 1)]
    return [slice(*pair) for pair in pairwise(ends)]


def _wider(part: slice, halo: int) -> slice:
    return slice(part.start, part.stop + 2 * halo)


def of_patches(classify: PixelClassifier, shape: tuple[int, int]) -> PixelClassifier:
    """Return what classifies blocks of a scene where the model looks at patches; else as it came.

    Parameters
    ----------
    classify : PixelClassifier
    shape : tuple of int, (n_rows, n_columns)

    Warns
    -----
    UserWarning
        If the network cannot run over a whole image, with the reason; it then runs patch by patch.
    """
    last = classify.model.classifier
    patch_size = getattr(last, "patch_size_", 1)
    if patch_size == 1:
        return classify
    from sklearn_capoz.networks._fully_convolutional import FullyConvolutional, PatchByPatch

    check_patch_size(patch_size, shape)
    network: Any
    try:
        network = FullyConvolutional(last.module_, last.n_channels_, patch_size)
    except UnsupportedNetworkError as error:
        warn(f"the scene is mapped patch by patch, which takes many times as long: {error}")
        network = PatchByPatch(last.module_, patch_size)
    model = replace(
        classify.model,
        steps=(*classify.model.steps, last.bands_),
        classifier=Outputs(last.classes_),
    )
    own = {field.name: getattr(classify, field.name) for field in fields(classify)}
    return PatchClassifier(**(own | {"model": model}), network=network, patch_size=patch_size)
