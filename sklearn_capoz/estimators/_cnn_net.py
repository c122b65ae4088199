"""The skorch net inside a PrunedCNNClassifier, and what it is trained on."""

from __future__ import annotations

import numpy as np

from .._sklearn import InvalidParameterError
from ..datasets import ScenePixels
from ._cnn_inputs import channels, channels_of_scene

__all__ = ["make_net", "network_samples"]


#: Parameters of a network that are no choice of the user's beside those of the estimator.
OWN = {"n_bands", "n_classes", "patch_size", "network", "dtype", "image"}


def network_samples(estimator, bands, X) -> np.ndarray:
    """Return what the network takes: positions in the scene that it holds, or channels."""
    if isinstance(X, ScenePixels):
        return X.positions.astype(estimator.dtype)
    return channels(bands, X)


def make_net(estimator, bands, X, samples: np.ndarray, n_classes: int):
    """Make the net of a kind; of pixels of a scene it holds the scene's channels."""
    import torch

    from ..networks._cnn import KINDS
    from ..networks._patch_network import PaddedImage, build_network
    from ..training._mixed_precision import ConvolutionalNet

    given = estimator.network_params or {}
    if own := sorted(OWN & given.keys()):
        raise InvalidParameterError(
            f"network_params={given} names {', '.join(own)}, which the network is told by X, y and "
            "the estimator's own parameters; leave it out."
        )
    size = 1 if estimator.kind == "1d" else estimator.patch_size
    image, n_bands = None, samples.shape[1]
    if isinstance(X, ScenePixels):
        image = PaddedImage(channels_of_scene(bands, X.cube, estimator.dtype), size)
        n_bands = image.n_channels
    sizes = {"n_bands": n_bands, "n_classes": n_classes, **given}
    if size > 1:
        sizes["patch_size"] = size
    return ConvolutionalNet(
        build_network,
        mixed_precision=estimator.mixed_precision,
        class_weight=estimator.class_weight,
        module__network=KINDS.get(estimator.kind, estimator.kind),
        module__dtype=getattr(torch, estimator.dtype),
        module__image=image,
        **{f"module__{name}": value for name, value in sizes.items()},
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        # Parameter by parameter, a step of Adam takes a tenth of the time of a small network's.
        optimizer__fused=str(estimator.device).startswith(("cpu", "cuda")),
        lr=estimator.learning_rate_init,
        batch_size=estimator.batch_size,
        max_epochs=estimator.max_iter,
        train_split=None,
        iterator_train__shuffle=True,
        device=estimator.device,
        verbose=0,
    )
