"""From a dense network and samples of its inputs to an integer network."""

from __future__ import annotations

from dataclasses import fields
from typing import NamedTuple

import numpy as np

from ..networks import ACTIVATIONS, DenseNetwork
from ..networks._spectral_network import SpectralConvolution, SpectralNetwork
from ._arithmetic import as_multipliers, round_half_away, short_ratios
from ._curve import curve_of, is_curve
from ._layers import CODE_LIMIT, IntegerConvolution, IntegerLayer
from ._network import INPUT_LIMIT, IntegerNetwork
from ._rounding import DAMPING, damped, round_weights

__all__ = ["input_limit", "integer_network"]

#: Parts of a unit's range to try: what lies outside is clipped for finer steps within.
_RANGES = np.linspace(1.0, 0.5, 11)
#: An input's standard deviation in integers, and the room in which its samples must lie.
_SPREAD, _ROOM = 2.0**10, 2.0**14
#: Samples that convolutions are calibrated by: each is as many rows as it has positions.
_CONVOLVED_SAMPLES = 2000
#: Damping of what makes up for layers before, per input and sample.
_CAUTION = 0.2
#: Largest bias: it leaves half of the accumulator to the sum.
_BIAS_LIMIT = 2.0**30


class _Codes(NamedTuple):
    """What integers stand for: value = low + step * code."""

    codes: np.ndarray  # (n_samples, n), of the calibration samples
    low: np.ndarray  # (n,)
    step: np.ndarray  # (n,)


def integer_network(
    network: DenseNetwork | SpectralNetwork,
    X: np.ndarray,
    *,
    bits: int = 8,
    input_scale: float | None = None,
) -> IntegerNetwork:
    """Quantize a dense or spectral network by samples of its inputs.

    Layer by layer, on what the integer layers before it hand on: weights make up for what those
    have lost, by damped least squares, and `round_weights` rounds them; the bias makes the mean of
    every unit's sum on the samples what it was, and every unit gets the range of activations whose
    clipping and rounding cost the least squared error.

    Parameters
    ----------
    network : DenseNetwork or SpectralNetwork
        Behind convolutions, a subset of the samples is taken at even distances, where they are
        many.
    X : ndarray of shape (n_samples, n_features)
        Finite.
    bits : {8, 4}
        Of a weight.
    input_scale : float or None, default=None
        Number that stands for an input of 1. None gives every feature an offset and a scale of
        its own; those of a spectral network have one scale in common.

    Returns
    -------
    quantized : IntegerNetwork

    Raises
    ------
    ValueError
        If an accumulator could overflow, or the inputs of the samples do not fit into int16.
    """
    X = X.astype(np.float64)
    convolutions: tuple[SpectralConvolution, ...] = ()
    if isinstance(network, SpectralNetwork):
        X = X[:: -(-len(X) // _CONVOLVED_SAMPLES)]
        convolutions, dense = network.convolutions, network.dense
        scale, offset = _common_units(X, input_scale)
    else:
        dense = network
        scale, offset = _input_units(X, input_scale)
    inputs = round_half_away((X - offset) * scale)
    found = _Codes(inputs, np.broadcast_to(offset, X.shape[1:]), 1 / (scale * np.ones(X.shape[1])))
    layers: list[IntegerLayer] = []
    values = X
    for each in convolutions:
        convolved, found, values = _quantize_convolution(each, found, values, bits)
        layers.append(convolved)
    for i, (weight, bias) in enumerate(zip(dense.weights, dense.biases, strict=True)):
        values = values @ weight.astype(np.float64) + bias
        activation = dense.activations[i] if i < len(dense.activations) else None
        layer, found = _quantize_layer(weight, found, values, activation, bits)
        layers.append(layer)
        if activation is not None:
            ACTIVATIONS[activation].apply(values)
    quantized = IntegerNetwork(
        layers=tuple(layers),
        bits=bits,
        output=network.output,
        input_scale=scale,
        input_offset=offset,
        input_limit=input_limit(layers[0], np.abs(inputs).max(), input_scale),
        logit_scale=float(found.step[0]),
        dtype=network.dtype,
    )
    quantized.check()
    return quantized


def _quantize_convolution(
    convolution: SpectralConvolution, inputs: _Codes, values: np.ndarray, bits: int
) -> tuple[IntegerConvolution, _Codes, np.ndarray]:
    """Quantize a convolution: at each position it is a dense layer of what the kernel sees."""
    n_out, n_in, kernel_size = convolution.weight.shape
    sums = convolution.sums(convolution.windows(values)).astype(np.float64)
    seen = _Codes(
        *(
            convolution.windows(np.atleast_2d(part)).reshape(-1, n_in * kernel_size)
            for part in inputs
        )
    )
    # Of one channel all positions have the same low and step.
    seen = _Codes(seen.codes, seen.low[0], seen.step[0])
    weight = convolution.weight.reshape(n_out, -1).T
    dense, codes = _quantize_layer(
        weight, seen, sums.reshape(-1, n_out), convolution.activation, bits
    )
    layer = IntegerConvolution(
        **{field.name: getattr(dense, field.name) for field in fields(dense)},
        n_channels=n_in,
        n_positions=convolution.n_positions,
        kernel_size=kernel_size,
        stride=convolution.stride,
        pool=convolution.pool,
        pool_size=convolution.pool_size,
    )
    ACTIVATIONS[convolution.activation].apply(sums)
    low, step = (np.repeat(part, layer.n_pooled) for part in (codes.low, codes.step))
    flat = layer.pooled(codes.codes.reshape(sums.shape))
    return layer, _Codes(flat, low, step), convolution.pooled(sums)


def _common_units(X: np.ndarray, input_scale: float | None) -> tuple[np.ndarray, np.ndarray]:
    """One scale for all bands, as a kernel's weights are for all positions; no offset."""
    if input_scale is None:
        reach, spread = np.abs(X).max(), X.std()
        input_scale = min(_SPREAD / spread, _ROOM / reach)
    return np.array([input_scale], np.float32), np.zeros(1, np.float32)


def _input_units(X: np.ndarray, input_scale: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset of the inputs, as float32."""
    if input_scale is not None:
        return np.array([input_scale], np.float32), np.zeros(1, np.float32)
    offset = X.mean(axis=0).astype(np.float32)
    spread, reach = X.std(axis=0), np.abs(X - offset).max(axis=0)
    spread[spread == 0] = X.std()  # what never changes here may elsewhere
    reach = np.maximum(reach, spread)
    return np.minimum(_SPREAD / spread, _ROOM / reach).astype(np.float32), offset


def input_limit(layer: IntegerLayer, reach: float, input_scale: float | None) -> int:
    """Largest input for which no sum of the first layer can overflow."""
    weights = np.abs(layer.weights.astype(np.int64)).sum(axis=0)
    room = 2**31 - 1 - np.abs(layer.biases.astype(np.int64))
    limit = min(INPUT_LIMIT, int((room // np.maximum(weights, 1)).min()))
    if limit >= reach:
        return limit
    what = (
        f"are up to {reach:,.0f} with input_scale={input_scale:g}; pass an input_scale of at most "
        f"{input_scale * limit / reach:.3g}"
        if input_scale is not None
        else f"are up to {reach:,.0f}; select fewer features"
    )
    raise ValueError(
        f"The first layer sums {len(layer.weights)} features, and takes integers up to {limit:,}: "
        f"those of the samples {what}."
    )


def _quantize_layer(
    weight: np.ndarray, inputs: _Codes, target: np.ndarray, activation: str | None, bits: int
) -> tuple[IntegerLayer, _Codes]:
    """Quantize the layer whose sums should be `target`; None as activation is the last one."""
    mean = inputs.codes.mean(axis=0)
    centred = inputs.codes - mean
    moment = centred.T @ centred / len(centred)
    low, step, curve = _output_units(target, activation)
    # A unit without weights would have no step; and a bias must fit into its integer.
    least = np.abs(target).max(axis=0) + np.abs(low) + step
    wanted = inputs.step[:, None] * weight.astype(np.float64)
    wanted += _making_up(centred, moment, target, wanted) * (wanted != 0)
    rounded, unit = round_weights(wanted, moment, bits, least / _BIAS_LIMIT)
    if activation is not None and curve is None:  # a wider step clips nothing more
        step = unit / short_ratios(unit / step)
    sums = centred @ (rounded * unit)
    bias = round_half_away((target.mean(axis=0) - low) / unit - mean @ rounded)
    if np.abs(bias).max() > 2 * _BIAS_LIMIT - 1:
        raise ValueError(
            f"A bias would be {np.abs(bias).max():,.0f} and does not fit into int32: the mean of "
            "the features is too large beside their spread. Standardise them before the network."
        )
    if activation is None:
        step = np.full(len(unit), unit.max())  # no rescaling above 1: no logit overflows
    multipliers, shifts = as_multipliers(unit / step)
    points = None if curve is None else curve.points
    layer = IntegerLayer(rounded, bias.astype(np.int32), multipliers, shifts, points)
    if activation is None:
        return layer, _Codes(sums, low, step)
    if curve is not None:
        low, step = curve.low + 0 * low, curve.step + 0 * step
    return layer, _Codes(layer.codes(layer.sums(inputs.codes)), low, step)


def _making_up(
    centred: np.ndarray, moment: np.ndarray, target: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Return what weights change by to make up for what the layers before have lost.

    Least squares of what is missing in the sums, by the inputs as the integers hand them on.
    """
    missing = target - target.mean(axis=0) - centred @ weight
    # The fewer the samples, the less of what they say holds for others.
    share = max(DAMPING, _CAUTION * len(moment) / len(centred))
    return np.linalg.solve(damped(moment, share), centred.T @ missing / len(centred))


def _output_units(target: np.ndarray, activation: str | None):
    """Return low and step of what a layer hands on, or where it has a curve of the places on it."""
    n_out = target.shape[1]
    if activation is None:
        return np.zeros(n_out), np.ones(n_out), None
    if is_curve(activation):
        curve = curve_of(target, activation)
        return np.zeros(n_out), np.full(n_out, curve.place), curve
    low, high = target.min(axis=0), target.max(axis=0)
    if activation == "relu":
        low, high = np.zeros(n_out), np.maximum(high, 0)
    width = high - low
    # A unit that is the same for all samples may be another elsewhere: as wide as the widest.
    width[width == 0] = width.max() if width.max() > 0 else 1.0
    low, step = _best_range(np.maximum(target, low), low, width)
    return low, step, None


def _best_range(values: np.ndarray, low: np.ndarray, width: np.ndarray):
    """Range of each unit that costs the least squared error, clipping and rounding together."""
    best, found = np.full(len(low), np.inf), (low, width / CODE_LIMIT)
    for part in _RANGES:
        # A ReLU's range ends at 0, whatever is clipped; others lose as much on both sides.
        start = np.where(low == 0, 0, low + (1 - part) / 2 * width)
        step = part * width / CODE_LIMIT
        codes = np.clip(round_half_away((values - start) / step), 0, CODE_LIMIT)
        error = ((start + step * codes - values) ** 2).mean(axis=0)
        better = error < best
        best = np.where(better, error, best)
        found = np.where(better, start, found[0]), np.where(better, step, found[1])
    return found
