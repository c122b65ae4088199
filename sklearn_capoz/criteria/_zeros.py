"""Criteria that count zeros: APoZ, C-APoZ and what misidentified samples add."""

from __future__ import annotations

from numbers import Real

import numpy as np

from .._compile import kernel
from .._sklearn import Interval
from .._warn import warn
from ..exceptions import NoCorrectSampleError, SmoothActivationWarning
from ..networks._activations import has_exact_zeros
from ..networks._groups import INPUTS
from ._base import Criterion, Layer, StreamedCriterion
from ._read_only import read_only

#: Values of a sample up to which several are looked at together.
_FEW = 128


class _ZeroCounting(StreamedCriterion):
    """Shared by the criteria that count how often a unit is zero.

    Their summary is of one or more sets of samples: the weight of each, and of the samples, and of
    their positions, on which each unit is zero.
    """

    _parameter_constraints = {"tolerance": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, tolerance=0.0):
        self.tolerance = tolerance

    def _weigh_zeros(self, layer: Layer, weight: np.ndarray) -> tuple[float, np.ndarray]:
        """Weight of a set of samples, and of its zeros for each unit."""
        activations = layer.activations
        assert activations is not None, "needs"
        n_positions = activations.shape[1]
        by_unit = activations.transpose(0, 2, 1)
        # As a convolution leaves them, the positions of a channel lie side by side.
        lies_by_unit = n_positions > 1 and by_unit.flags.c_contiguous
        add = _add_zeros_by_unit if lies_by_unit else _add_zeros
        # Read-only all, or the kernel would be compiled for each mixture of those and others.
        values = read_only(np.ascontiguousarray(by_unit if lies_by_unit else activations))
        zeros = np.zeros(activations.shape[2])
        add(values, read_only(weight), values.dtype.type(self.tolerance), zeros)
        return weight.sum(), zeros / n_positions

    def score_summary(self, summary, layer):
        scores = self._rate(summary)
        is_smooth = layer.activation != INPUTS and not has_exact_zeros(layer.activation)
        if self.tolerance == 0 and is_smooth:
            warn(
                f"{type(self).__name__} counts exact zeros, and only ReLU has them; this layer is "
                f"{layer.activation}. Give the criterion a tolerance, "
                f"{type(self).__name__}(tolerance=0.1) for example, or take another criterion.",
                SmoothActivationWarning,
            )
        return scores

    def _rate(self, summary):
        _, weight, zeros = summary
        return zeros / weight


def counts_exact_zeros(criterion: Criterion) -> bool:
    """Whether a criterion, or the one that it turns round, takes nothing but 0 for silence."""
    counting = criterion.streamed
    return isinstance(counting, _ZeroCounting) and counting.tolerance == 0


@kernel
def _add_zeros(activations, weight, tolerance, total):
    """Sum the weights of the samples on which each unit is zero; read the activations once."""
    n_samples, n_positions, n_units = activations.shape
    # Four samples at a time: each sum goes to memory and back once for all. Where a sample fills
    # pages of memory, it is those that take the time, one after the other being best.
    whole = n_samples - n_samples % 4 if n_positions * n_units <= _FEW else 0
    for k in range(0, whole, 4):
        # Outside: the compiler cannot know that `total` is other memory.
        own, second, third, fourth = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
        for p in range(n_positions):
            for i in range(n_units):
                zeros = own if abs(activations[k, p, i]) <= tolerance else 0.0
                zeros += second if abs(activations[k + 1, p, i]) <= tolerance else 0.0
                zeros += third if abs(activations[k + 2, p, i]) <= tolerance else 0.0
                zeros += fourth if abs(activations[k + 3, p, i]) <= tolerance else 0.0
                total[i] += zeros
    for k in range(whole, n_samples):
        own = weight[k]
        for p in range(n_positions):
            for i in range(n_units):
                total[i] += own if abs(activations[k, p, i]) <= tolerance else 0.0


@kernel
def _add_zeros_by_unit(activations, weight, tolerance, total):
    """Do the same for activations of shape (n_samples, n_units, n_positions)."""
    n_samples, n_units, n_positions = activations.shape
    for k in range(n_samples):
        own = weight[k]
        for i in range(n_units):
            n_zeros = 0
            for p in range(n_positions):
                n_zeros += 1 if abs(activations[k, i, p]) <= tolerance else 0
            total[i] += own * n_zeros


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

    def summary(self, layer):
        return len(layer.y), *self._weigh_zeros(layer, layer.sample_weight)


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

    def summary(self, layer):
        weight = layer.sample_weight * layer.correct
        return len(layer.y), *self._weigh_zeros(layer, weight)

    def _rate(self, summary):
        n_samples, weight, zeros = summary
        _check_correct(n_samples, weight)
        return zeros / weight


def _check_correct(n_samples: int, weight: float) -> None:
    if weight == 0:
        raise NoCorrectSampleError(
            f"The network labels none of the {n_samples} scoring samples right, so "
            "C-APoZ, which looks at those alone, has no value. Train the network longer, check "
            'that the validation labels belong to the samples, or use criterion="apoz".'
        )


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

    def summary(self, layer):
        right = self._weigh_zeros(layer, layer.sample_weight * layer.correct)
        wrong = self._weigh_zeros(layer, layer.sample_weight * ~layer.correct)
        return len(layer.y), *right, *wrong

    def _rate(self, summary):
        n_samples, right, zeros, wrong, zeros_of_wrong = summary
        _check_correct(n_samples, right)
        if wrong == 0:
            return zeros / right
        return zeros / right - self.weight * zeros_of_wrong / wrong


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

    def summary(self, layer):
        right = layer.sample_weight * layer.correct
        members = {c: layer.y == c for c in np.unique(layer.y)}
        return {
            c: (own.sum(), *self._weigh_zeros(layer, right * own)) for c, own in members.items()
        }

    def merge(self, first, second):
        both = {c: super(ClassCAPoZ, self).merge(first[c], second[c]) for c in first if c in second}
        return first | second | both

    def score_summary(self, summary, layer):
        return super().score_summary(list(summary.values()), layer)

    def _rate(self, summary):
        _check_correct(sum(n for n, *_ in summary), sum(weight for _, weight, _ in summary))
        return np.min([zeros / weight for _, weight, zeros in summary if weight > 0], axis=0)
