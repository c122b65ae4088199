"""quantize: a fitted classifier in integers."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import assert_all_finite, check_array, check_random_state, column_or_1d

from .._sklearn import Interval, InvalidParameterError, validate_parameter_constraints
from ..exceptions import UnsupportedNetworkError
from ..integers import IntegerNetwork, integer_network, retrain, tidy_units
from ..integers._quantizing import input_limit
from ..networks import DenseNetwork
from ..networks._spectral_network import SpectralNetwork
from ._compiled import CompiledClassifier
from ._parts import ModelParts, parts_of
from ._pipeline import fold_linear_steps, joined
from ._quantized import QuantizedClassifier
from ._spectral_parts import convolves, fold_scalers, spectral_parts

__all__ = ["LEAST_SAMPLES", "check_spread", "quantize"]

#: Fewer samples say nothing of the range of an activation.
LEAST_SAMPLES = 20
#: Features that differ by less or more have a scale beyond single precision.
_LEAST_SPREAD, _MOST_SPREAD = 1e-30, 1e30

_CONSTRAINTS = {
    "input_scale": [Interval(Real, 0, None, closed="neither"), None],
    "epochs": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
}


def quantize(
    estimator,
    X_calibration,
    y=None,
    *,
    bits=8,
    input_scale=None,
    epochs=30,
    random_state=None,
):
    """Turn a fitted classifier into one that computes in integers.

    Weights get 8 or 4 bits, activations 8, and sums are int32: a quarter or an eighth of the
    bytes, and no floating point on the device. Scalers and PCA right before the network go into
    its first layer; other steps of a pipeline stay as they are before it.

    Parameters
    ----------
    estimator : fitted classifier or Pipeline
        A PrunedMLPClassifier, CAPoZPruner, MLPClassifier, skorch NeuralNetClassifier that is a
        chain of dense layers, or CompiledClassifier; or a Pipeline that ends in one. Or a
        PrunedCNNClassifier of kind "1d", or a skorch net, whose module is a chain of Conv1d,
        BatchNorm1d, activation, MaxPool1d or AvgPool1d, Flatten and Linear.
    X_calibration : array-like of shape (n_samples, n_features)
        Samples as the estimator takes them; the training set is a good choice, the test set is
        not. The ranges of all activations are taken from them, and how weights are rounded.
    y : array-like of shape (n_samples,) or None, default=None
        Labels of the calibration samples. With them, the network is retrained with its weights and
        activations rounded in every step: on the labels and, for the other half of the loss, the
        probabilities of the network in floats.
    bits : {8, 4}, default=8
        Of a weight.
    input_scale : float or None, default=None
        Number that stands for an input of 1: 10000 for a cube that stores reflectance times 10000
        as int16, whose numbers the C code then takes as they are. X is in the units of
        `estimator` in either case. None gives every feature an offset and a scale of its own,
        which suits features of different size, such as depths beside positions.
    epochs : int, default=30
        Of the retraining; not used without `y`.
    random_state : int, RandomState instance or None, default=None
        Shuffles the samples in the retraining.

    Returns
    -------
    quantized : QuantizedClassifier or Pipeline
        A Pipeline if steps remain that are not linear.

    Raises
    ------
    InvalidParameterError
        If `bits` or `input_scale` is none that is possible.
    ValueError
        If the calibration samples are fewer than 20, have other columns, hold NaN or are all the
        same, if `y` holds other classes, or if an int32 accumulator could overflow: the message
        says which `input_scale` fits.
    UnsupportedNetworkError
        If the last step holds no network that is known, or one that is quantized already.
    NotFittedError
        If a step has not been fitted.

    See Also
    --------
    to_c : Write integer-only C99.

    Notes
    -----
    What X holds is rounded to int16 and clipped to `network_.input_limit`, the largest number for
    which no accumulator can overflow. Weights are symmetric, with a step for each unit; the ranges
    of activations belong to units as well, but for tanh and the logistic function, whose units
    share a curve of 33 points. Hidden units of dense layers that no weight enters or leaves, as
    pruned connections may leave them, are left out, and the others are sorted by their biases, so
    that files pack better: no logit changes.

    A kernel has the same weights at all bands, which so have one scale in common: a scaler before
    it goes into the rounding of the inputs, unless there is an `input_scale`. Of more than 2,000
    calibration samples it takes some, at even distances. An `X_calibration` of more axes, such as
    (n_samples, 1, n_bands), is laid flat, and so is what the quantized classifier takes.

    What a FieldTrainedClassifier learnt of trust goes along, and its wavelengths with it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from sklearn_capoz.deploy import quantize
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((8,), tol=1e-2, random_state=0).fit(X, y)
    >>> quantized = quantize(mlp, X)
    >>> quantized
    QuantizedClassifier(IntegerNetwork(4-8-3, 8 bits, softmax), 3 classes)
    >>> bool((quantized.predict(X) == mlp.predict(X)).mean() > 0.98)
    True
    """
    if bits not in (8, 4):
        raise InvalidParameterError(f"bits must be 8 or 4, got {bits!r}.")
    given = {"input_scale": input_scale, "epochs": epochs, "random_state": random_state}
    validate_parameter_constraints(_CONSTRAINTS, given, caller_name="quantize")
    parts, steps, network = _take_apart(estimator, X_calibration)
    features = _calibration_features(parts, steps, network, X_calibration)
    check_spread(features, input_scale)
    targets = None if y is None else _targets(network, features, parts.classes, y)
    quantized = integer_network(network, features, bits=int(bits), input_scale=input_scale)
    if targets is not None:
        random_state = check_random_state(random_state)
        retraining = {"epochs": epochs, "random_state": random_state, "there": _there(network)}
        quantized = _retrained(quantized, features, targets, input_scale, **retraining)
    if isinstance(network, SpectralNetwork) and input_scale is None:
        steps, quantized = fold_scalers(steps, quantized)
    classifier = QuantizedClassifier(
        replace(tidy_units(quantized), dtype=parts.network.dtype),
        parts.classes,
        feature_names=None if steps else parts.feature_names,
        wavelengths=None if steps else parts.wavelengths,
        history=parts.history,
    )
    return joined(steps, parts, classifier)


def _take_apart(estimator, X) -> tuple[ModelParts, list, DenseNetwork | SpectralNetwork]:
    """Return a model's parts, and the steps and the network that are left after folding."""
    if convolves(estimator):
        parts = spectral_parts(estimator, np.shape(X)[1:])
        return parts, parts.steps, parts.network
    parts = parts_of(estimator)
    if not isinstance(parts.network, DenseNetwork):
        raise UnsupportedNetworkError("The classifier is quantized already; give the float one.")
    # In double precision every linear step can be folded.
    return parts, *fold_linear_steps(parts.steps, _as_float64(parts.network))


def _as_float64(network: DenseNetwork) -> DenseNetwork:
    weights, biases = (
        tuple(array.astype(np.float64) for array in arrays)
        for arrays in (network.weights, network.biases)
    )
    return replace(network, weights=weights, biases=biases)


def _calibration_features(
    parts: ModelParts, steps: list, network: DenseNetwork | SpectralNetwork, X
) -> np.ndarray:
    """Return what reaches the folded network of the calibration samples, checked."""
    if steps:
        features = np.asarray(Pipeline(steps).transform(X))
        missing = ~np.isfinite(features).all(axis=1)
        if missing.any():
            raise ValueError(
                f"{missing.sum()} of {len(features)} calibration samples give features that are "
                f"NaN or infinite, the first is row {missing.argmax()}: leave them out."
            )
    elif isinstance(network, SpectralNetwork):
        features = np.asarray(check_array(X, allow_nd=True, dtype="numeric"))
        features = features.reshape(len(features), -1)
    else:
        # Its own checks of columns and names are those of the classifier.
        folded = CompiledClassifier(network, parts.classes, feature_names=parts.feature_names)
        features = folded._check_X(X)
        assert_all_finite(features, input_name="X_calibration")
    return features


def check_spread(features: np.ndarray, input_scale: float | None) -> None:
    """Refuse samples that say nothing of how large activations become."""
    if len(features) < LEAST_SAMPLES:
        raise ValueError(
            f"X_calibration has {len(features)} samples; at least {LEAST_SAMPLES} are needed to "
            "know the ranges of activations, and some hundreds are better."
        )
    if (features == features[0]).all():
        raise ValueError(
            "All samples of X_calibration are the same: the ranges of activations are not known. "
            "Pass samples of all classes, such as the training set."
        )
    spread = np.ptp(features / 2, axis=0).max() * 2  # no difference of finite numbers overflows
    if spread < _LEAST_SPREAD or spread > _MOST_SPREAD:
        raise ValueError(
            f"Features of X_calibration differ by up to {spread:.3g}, and integers need scales in "
            f"single precision, for {_LEAST_SPREAD:g} to {_MOST_SPREAD:g}; give X in other units "
            "to the classifier, reflectance for example."
        )
    if input_scale is not None and spread * input_scale < 1:
        raise ValueError(
            f"input_scale={input_scale:g} rounds all samples to the same integers; pass the number "
            "that stands for an input of 1, such as 10000 for reflectance."
        )


def _targets(network, features: np.ndarray, classes: np.ndarray, y) -> np.ndarray:
    """Return what to learn: the mean of the labels and of the float network's probabilities."""
    y = column_or_1d(y)
    if len(y) != len(features):
        raise ValueError(
            f"y has {len(y)} labels for {len(features)} calibration samples; give one for each."
        )
    unknown = ~np.isin(y, classes)
    if unknown.any():
        raise ValueError(
            f"y holds the label {str(y[unknown][0])!r}, which the classifier does not know; its "
            f"classes are {', '.join(map(str, classes[:20]))}."
        )
    probabilities = network.probabilities(network.forward(features)[-1])
    labels = np.eye(network.n_classes)[np.searchsorted(classes, y)]
    return (labels + probabilities) / 2


def _there(network: DenseNetwork | SpectralNetwork) -> list[np.ndarray]:
    """Tell connections that are there from zeros, per layer as integers have them."""
    if isinstance(network, SpectralNetwork):
        kernels = [c.weight.reshape(len(c.weight), -1).T for c in network.convolutions]
        return [weight != 0 for weight in (*kernels, *network.dense.weights)]
    return [weight != 0 for weight in network.weights]


def _retrained(
    network: IntegerNetwork,
    features: np.ndarray,
    targets: np.ndarray,
    input_scale: float | None,
    **retraining,
) -> IntegerNetwork:
    codes = network.quantize_input(features)
    found = retrain(network, codes, targets, **retraining)
    # Weights may have grown, and with them the largest sum.
    reach = np.abs(codes.astype(np.int32)).max()
    return replace(found, input_limit=input_limit(found.layers[0], reach, input_scale))
