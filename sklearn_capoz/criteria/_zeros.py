"""Criteria that count zeros: APoZ, C-APoZ and what misidentified samples add."""

from __future__ import annotations

from numbers import Real

import numpy as np

from .._compile import kernel
from .._sklearn import Interval
from .._warn import warn
from ..exceptions import NoCorrectSampleError, SmoothActivationWarning
from ..networks._activations import has_exact_zeros
from ._base import Criterion, Layer, read_only


class _ZeroCounting(Criterion):
    """Shared by the criteria that count how often a unit is zero."""

    _parameter_constraints = {"tolerance": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, tolerance=0.0):
        self.tolerance = tolerance

    def _zero_rate(self, layer: Layer, weight: np.ndarray) -> np.ndarray:
        """Weighted share of samples, and of their positions, on which each unit is zero."""
        if self.tolerance == 0 and not has_exact_zeros(layer.activation):
            warn(
                f"{type(self).__name__} counts exact zeros, and only ReLU has them; this layer is "
                f"{layer.activation}. Give the criterion a tolerance, "
                f"{type(self).__name__}(tolerance=0.1) for example, or take another criterion.",
                SmoothActivationWarning,
            )
        # Read-only all, or the kernel would be compiled for each mixture of those and others.
        activations = read_only(np.ascontiguousarray(layer.activations))
        tolerance = activations.dtype.type(self.tolerance)
        zeros = np.zeros(activations.shape[2])
        _add_zeros(activations, read_only(weight), tolerance, zeros)
        return zeros / (activations.shape[1] * weight.sum())


@kernel
def _add_zeros(activations, weight, tolerance, total):
    """Sum the weights of the samples on which each unit is zero; read the activations once."""
    n_samples, n_positions, n_units = activations.shape
    for k in range(n_samples):
        own = weight[k]  # outside: the compiler cannot know that `total` is other memory
        for p in range(n_positions):
            for i in range(n_units):
                total[i] += own if abs(activations[k, p, i]) <= tolerance else 0.0


class APoZ(_ZeroCounting):
    r"""Average percentage of zeros of each unit, over all scoring samples.

    :math:`\mathrm{APoZ}_i = \frac{1}{N} \sum_k f(x_i(k))`, f(v) = 1 where v is zero.

    Parameters
    ----------
    tolerance : float, default=0.0
        An activation counts as zero up to this absolute value. 0 suits ReLU.

    References
    ----------
    Hu, Peng, Tai and Tang, Network trimming, 2016, arXiv:1607.03250.
    """

    name = "APoZ"

    def score(self, layer):
        return self._zero_rate(layer, layer.sample_weight)


class CAPoZ(_ZeroCounting):
    r"""Average percentage of zeros over the scoring samples that the network labels right.

    :math:`\mathrm{C\text{-}APoZ}_i = \sum_k f(x_i(k))\, c_k / \sum_k c_k`, with
    :math:`c_k = 1` where the label of sample k is right.

    Parameters
    ----------
    tolerance : float, default=0.0
        An activation counts as zero up to this absolute value. 0 suits ReLU.

    References
    ----------
    Deng, Zhao, Li and Cai, Infrared and Laser Engineering, 2022,
    DOI 10.3788/IRLA20210252.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_capoz.criteria import CAPoZ, Layer
    >>> layer = Layer(
    ...     activations=np.array([[[0.0, 1.0]], [[0.0, 0.0]], [[2.0, 3.0]]]),
    ...     activation="relu",
    ...     correct=np.array([True, True, False]),
    ...     y=np.array([0, 1, 0]),
    ...     sample_weight=np.ones(3),
    ...     incoming=np.ones((2, 4)),
    ...     outgoing=np.ones((2, 1, 2)),
    ...     random_state=np.random.RandomState(0),
    ... )
    >>> CAPoZ().score(layer)
    array([1. , 0.5])
    """

    name = "C-APoZ"

    def score(self, layer):
        return self._zero_rate(layer, _correct_weight(layer))


def _correct_weight(layer: Layer) -> np.ndarray:
    weight = layer.sample_weight * layer.correct
    if weight.sum() == 0:
        raise NoCorrectSampleError(
            f"The network labels none of the {layer.y.size} scoring samples right, so "
            "C-APoZ, which looks at those alone, has no value. Train the network longer, check "
            'that the validation labels belong to the samples, or use criterion="apoz".'
        )
    return weight


class Contrast(_ZeroCounting):
    """C-APoZ minus a share of the zero rate on the samples that the network gets wrong.

    The C-APoZ paper asks what misidentified samples could say. A unit that is
    silent on right samples and active on wrong ones drives mistakes: its score
    stays at plain C-APoZ's, while that of a unit which is silent on wrong samples
    too falls below it. So among units of equal C-APoZ the first one goes sooner.

    Parameters
    ----------
    weight : float, default=0.5
        Of the zero rate on wrong samples; 0 is C-APoZ.
    tolerance : float, default=0.0
        An activation counts as zero up to this absolute value. 0 suits ReLU.
    """

    name = "contrast"
    _parameter_constraints = {
        **_ZeroCounting._parameter_constraints,
        "weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, weight=0.5, tolerance=0.0):
        super().__init__(tolerance)
        self.weight = weight

    def score(self, layer):
        right = self._zero_rate(layer, _correct_weight(layer))
        wrong = layer.sample_weight * ~layer.correct
        if wrong.sum() == 0:
            return right
        return right - self.weight * self._zero_rate(layer, wrong)


class ClassCAPoZ(_ZeroCounting):
    """Lowest C-APoZ over the classes: a unit that one class needs stays.

    Parameters
    ----------
    tolerance : float, default=0.0
        An activation counts as zero up to this absolute value. 0 suits ReLU.

    Notes
    -----
    A class without a right sample has no say.
    """

    name = "class C-APoZ"

    def score(self, layer):
        weight = _correct_weight(layer)
        per_class = [weight * (layer.y == c) for c in np.unique(layer.y)]
        return np.min([self._zero_rate(layer, w) for w in per_class if w.sum() > 0], axis=0)
