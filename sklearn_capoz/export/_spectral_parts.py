"""A fitted network over spectra, taken apart for integers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..estimators import CAPoZPruner, PrunedCNNClassifier
from ..estimators._adapter import is_skorch_net
from ..exceptions import UnsupportedNetworkError
from ..integers import IntegerNetwork
from ._convolutional import steps_of
from ._parts import ModelParts, history_of, take_apart
from ._steps import affine_of

__all__ = ["convolves", "fold_scalers", "spectral_parts"]

#: Largest shift of a scaler, in units of its spread, that single precision can take: of its 24 bits
#: an input in integers has 14.
_LARGEST_SHIFT = 1000.0


def convolves(estimator) -> bool:
    """Whether a fitted model ends in a network of torch that has convolutions."""
    classifier = take_apart(estimator)[2]
    if isinstance(classifier, PrunedCNNClassifier):
        return True
    net = classifier.estimator_ if isinstance(classifier, CAPoZPruner) else classifier
    if not is_skorch_net(net) or not hasattr(net, "module_"):
        return False
    from ..pruning._skorch_model import has_convolutions  # imports torch

    return has_convolutions(net.module_)


def spectral_parts(estimator, sample_shape: tuple[int, ...]) -> ModelParts:
    """Take a model apart whose network convolves along the spectrum.

    Parameters
    ----------
    estimator : fitted classifier or Pipeline
    sample_shape : tuple of int
        Of what comes to the network; a skorch net need not know it.

    Raises
    ------
    UnsupportedNetworkError
        If the network is no chain of Conv1d and what belongs to it.
    """
    from ..networks._read_spectral import read_spectral  # imports torch

    check_is_fitted(estimator)
    steps, name, classifier = take_apart(estimator)
    shape: Any
    if isinstance(classifier, PrunedCNNClassifier):
        if classifier.kind != "1d":
            raise UnsupportedNetworkError(
                f"A network of kind {classifier.kind!r} has no form in integers here; those of "
                "spectra, '1d', have. to_onnx(model, path, X_calibration=X) writes it with 8 bits."
            )
        (steps, _), name = steps_of(estimator), "network"
        module, shape = classifier.module_, (classifier.n_channels_,)
    else:
        net = classifier.estimator_ if isinstance(classifier, CAPoZPruner) else classifier
        module, shape = net.module_, sample_shape
    network = read_spectral(module, shape)
    names = getattr(estimator, "feature_names_in_", None)
    return ModelParts(
        steps=steps,
        name=name,
        network=network,
        classes=np.asarray(classifier.classes_),
        n_features=steps[0][1].n_features_in_ if steps else network.n_features,
        feature_names=None if names is None else [str(name) for name in names],
        network_names=None,
        wavelengths=getattr(estimator, "wavelengths_", None),
        history=history_of(estimator, classifier),
        trust=getattr(estimator, "trust_", None),
    )


def fold_scalers(
    steps: list[tuple[str, Any]], network: IntegerNetwork
) -> tuple[list[tuple[str, Any]], IntegerNetwork]:
    """Let the rounding of the inputs do what scalers right before the network do.

    A kernel has the same weights at all positions and cannot do it, but each band may have an
    offset and a scale of its own where it becomes an integer.
    """
    remaining = list(steps)
    scale, offset = (
        part.astype(np.float64) for part in (network.input_scale, network.input_offset)
    )
    while remaining:
        affine = affine_of(remaining[-1][1])
        if affine is None or affine.matrix.ndim > 1 or not (affine.matrix > 0).all():
            break
        if np.max(np.abs(affine.shift) / affine.spread, initial=0.0) > _LARGEST_SHIFT:
            break
        # (x * m + s - o) * S = (x - (o - s) / m) * (S * m)
        offset, scale = (offset - affine.shift) / affine.matrix, scale * affine.matrix
        remaining.pop()
    if len(remaining) == len(steps):
        return steps, network
    return remaining, replace(
        network, input_scale=scale.astype(np.float32), input_offset=offset.astype(np.float32)
    )
