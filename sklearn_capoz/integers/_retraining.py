"""Retraining in integers: what rounding lost, learnt back with the rounding in the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ._arithmetic import round_half_away
from ._curve import CURVE_MIDDLE, N_BETWEEN, N_POINTS, PLACE_LIMIT
from ._layers import CODE_LIMIT, IntegerConvolution, IntegerLayer
from ._network import IntegerNetwork

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["retrain"]

#: Adam's first step, as a part of the largest weight, of the range of a code or of a logit of 1.
_LEARNING_RATE = 2e-3
_BATCH, _LEAST_BATCHES = 100, 10


def retrain(
    network: IntegerNetwork,
    codes: np.ndarray,
    targets: np.ndarray,
    *,
    epochs: int,
    random_state: np.random.RandomState,
    there: Sequence[np.ndarray] | None = None,
) -> IntegerNetwork:
    """Train an integer network further, its weights and activations rounded in every step.

    Real numbers are kept beside the integers that they round to. The forward pass takes the
    integers; the gradient passes the rounding as if it were not there (the straight-through
    estimator [1]_), and stops where a code or a weight is clipped. Multipliers, shifts and curves
    stay. So the integers themselves are learnt, and nothing is lost in the end. Those of the epoch
    with the least loss are returned, or the network as it was.

    Parameters
    ----------
    network : IntegerNetwork
        Stays as it was.
    codes : ndarray of shape (n_samples, n_features), int16
        Inputs, as `quantize_input` gives them.
    targets : ndarray of shape (n_samples, n_classes)
        Probabilities to learn.
    epochs : int
    random_state : RandomState
        Shuffles the samples. torch's generator is not used.
    there : sequence of ndarray of bool or None, default=None
        Per layer, of the shape of its weights: which of them may be other than zero.

    Returns
    -------
    retrained : IntegerNetwork
        Not checked: sums of the first layer may have become larger.

    References
    ----------
    .. [1] Bengio, Y., Leonard, N. & Courville, A. (2013). Estimating or propagating gradients
       through stochastic neurons for conditional computation. :doi:`10.48550/arXiv.1308.3432`
    """
    import torch

    student = _Student(network, there)
    n_batches = max(_LEAST_BATCHES, len(codes) // _BATCH)
    optimizer = torch.optim.Adam([*student.weights, *student.biases], lr=_LEARNING_RATE)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * n_batches)
    X, y = (torch.as_tensor(array.astype(np.float32)) for array in (codes, targets))
    least, best = student.loss(X, y).item(), network
    for _ in range(epochs):
        for rows in np.array_split(random_state.permutation(len(codes)), n_batches):
            loss = student.loss(X[rows], y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            decay.step()
            student.clip()
        with torch.no_grad():
            loss = student.loss(X, y)
        if loss.item() < least:
            least, best = loss.item(), student.network()
    return best


class _Student:
    """An integer network whose integers are rounded from tensors that can be trained.

    Weights are kept as parts of the largest, biases as parts of the range of a code or, in the
    last layer, of a logit of 1, so that one learning rate suits all.
    """

    def __init__(self, network: IntegerNetwork, there: Sequence[np.ndarray] | None = None):
        import torch

        def trained(values: np.ndarray):
            return torch.tensor(values.astype(np.float32), requires_grad=True)

        self._start = network
        self._largest = 2 ** (network.bits - 1) - 1
        layers = network.layers
        ranges = [CODE_LIMIT if a.curve is None else 2.0 * PLACE_LIMIT for a in layers[:-1]]
        self._units = [*ranges, 1 / network.logit_scale]
        ratios = [layer.multipliers / 2.0**layer.shifts for layer in layers]
        self._ratios = [torch.tensor(ratio, dtype=torch.float32) for ratio in ratios]
        self.weights = [trained(layer.weights / self._largest) for layer in layers]
        self._gone = [] if there is None else [torch.as_tensor(~each) for each in there]
        self.biases = [
            trained(layer.biases * ratio / unit)
            for layer, ratio, unit in zip(layers, ratios, self._units, strict=True)
        ]
        self._curves = [
            None if layer.curve is None else torch.tensor(layer.curve, dtype=torch.float32)
            for layer in layers
        ]

    def loss(self, x: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy to the targets."""
        from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            layer = self._start.layers[i]
            sums = _windows(layer, x) @ _rounded(weight * self._largest)
            x = sums * self._ratios[i] + bias * self._units[i]
            if i < last:
                x = _pooled(layer, _activated(x, self._curves[i]))
        logits = x * self._start.logit_scale
        if self._start.output == "logistic":
            return binary_cross_entropy_with_logits(logits[:, 0], targets[:, 1])
        return cross_entropy(logits, targets)

    def clip(self) -> None:
        """Keep the weights within their bits, and zeros zero."""
        for weight in self.weights:
            weight.data.clamp_(-1, 1)
        for weight, gone in zip(self.weights, self._gone, strict=False):
            weight.data[gone] = 0

    def network(self) -> IntegerNetwork:
        """Return the network of the integers."""
        layers = []
        for i, layer in enumerate(self._start.layers):
            weights = self.weights[i].detach().numpy().astype(np.float64) * self._largest
            biases = self.biases[i].detach().numpy().astype(np.float64) * self._units[i]
            # A unit that nothing rescales hands on nothing, whatever its bias.
            ratios = np.maximum(layer.multipliers, 1) / 2.0**layer.shifts
            biases = np.clip(round_half_away(biases / ratios), -(2**30), 2**30)
            layers.append(
                replace(
                    layer,
                    weights=round_half_away(weights).astype(np.int8),
                    biases=biases.astype(np.int32),
                )
            )
        return replace(self._start, layers=tuple(layers))


def _windows(layer: IntegerLayer, x: Tensor) -> Tensor:
    """Do what `IntegerConvolution.windows` does; a dense layer sees all at once."""
    if not isinstance(layer, IntegerConvolution):
        return x
    channels = x.reshape(len(x), layer.n_channels, layer.n_positions)
    n_windows = layer.n_pooled * layer.pool_size
    found = channels.unfold(2, layer.kernel_size, layer.stride)[:, :, :n_windows]
    return found.permute(0, 2, 1, 3).flatten(2)


def _pooled(layer: IntegerLayer, codes: Tensor) -> Tensor:
    """Do what `IntegerConvolution.pooled` does, and let the gradient pass."""
    if not isinstance(layer, IntegerConvolution):
        return codes
    pools = codes.unflatten(1, (layer.n_pooled, layer.pool_size))
    found = pools.amax(2) if layer.pool == "max" else _rounded(pools.mean(2))
    return found.transpose(1, 2).flatten(1)


def _rounded(values: Tensor) -> Tensor:
    """Round, and let the gradient pass."""
    return values + (values.round() - values).detach()


def _activated(sums: Tensor, curve: Tensor | None) -> Tensor:
    """Clip and round to codes, or do what `curve_codes` does, whose slope the gradient takes."""
    if curve is None:
        return _rounded(sums.clamp(0, CODE_LIMIT))
    places = _rounded(sums.clamp(-PLACE_LIMIT, PLACE_LIMIT))
    size = places.abs() / N_BETWEEN
    below = size.detach().long().clamp(max=N_POINTS - 2)
    height = curve[below] + (curve[below + 1] - curve[below]) * (size - below)
    return CURVE_MIDDLE + places.detach().sign() * _rounded(height / 2)
