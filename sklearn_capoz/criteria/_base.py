"""What a criterion is, and the view of a group of units that it scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from .._sklearn import validate_parameter_constraints
from ._read_only import read_only

if TYPE_CHECKING:
    from ._connections import Connections

__all__ = [
    "NEEDS",
    "Criterion",
    "Inputs",
    "Layer",
    "StreamedCriterion",
    "score_batches",
    "unit_scores",
]

#: What a criterion may ask of the scoring samples.
NEEDS = frozenset({"activations", "gradients", "inputs"})


class Inputs(NamedTuple):
    """What one of the layers that use the units gets of them: rows that meet its weights.

    Behind a convolution's kernel or a Flatten a channel comes with several numbers, its taps, each
    of which has weights of its own. Of very many rows or taps some stand for all.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_units, n_taps)
    weight : ndarray of shape (n_rows,)
        That of the row's sample.
    outgoing : ndarray of shape (n_units, n_taps, n_out)
    """

    values: np.ndarray
    weight: np.ndarray
    outgoing: np.ndarray


@dataclass(frozen=True, eq=False)
class Layer:
    """A group of units, as a criterion sees it: the arrays are read-only views.

    A channel of a convolution has a value at each of many positions; a unit of a dense layer has
    one position. The same formula serves both if it leaves the positions to `mean`,
    `per_sample` and `centred`.

    Parameters
    ----------
    activations : ndarray of shape (n_samples, n_positions, n_units) or None
        Outputs of the activation function on the scoring samples; None where the criterion
        does not need them.
    activation : str
        Its name, "relu" for example.
    correct : ndarray of shape (n_samples,), bool, or None
        Where the network's label is right; None where the criterion needs nothing of the
        samples, and the network was not run.
    y : ndarray of shape (n_samples,), int
        Class codes.
    sample_weight : ndarray of shape (n_samples,)
    incoming : ndarray of shape (n_units, n_in)
        Weights into the units; kernels are flattened. An input of the network has none, and
        shows those that take it on.
    outgoing : ndarray of shape (n_units, n_taps, n_out)
        Weights from the units into those that use them; a dense layer behind dense units has
        one tap, one behind a Flatten has a tap for each position.
    random_state : RandomState
        For criteria that draw.
    gradients : ndarray of shape (n_samples, n_positions, n_units) or None, default=None
        Derivative of each sample's cross-entropy by the activations; None where the criterion
        does not need them.
    inputs : tuple of Inputs or None, default=None
        A set of rows for each layer that uses the units. None where the criterion does not need
        them, or where they are nothing but the activations.
    """

    activations: np.ndarray | None
    activation: str
    correct: np.ndarray | None
    y: np.ndarray
    sample_weight: np.ndarray
    incoming: np.ndarray
    outgoing: np.ndarray
    random_state: np.random.RandomState
    gradients: np.ndarray | None = None
    inputs: tuple[Inputs, ...] | None = None

    def __post_init__(self):
        values = vars(self)  # the class is frozen
        for name, value in values.items():
            if isinstance(value, np.ndarray):  # the network's own, which no score may change
                values[name] = read_only(value)

    @property
    def n_units(self) -> int:
        return len(self.incoming)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Weighted mean over samples and positions.

        Parameters
        ----------
        values : ndarray of shape (n_samples, n_positions, n_units)
            Of each sample the positions share its weight.

        Returns
        -------
        mean : ndarray of shape (n_units,)
        """
        sums = self.sample_weight @ self.per_sample(values)[:, 0]
        return sums / (values.shape[1] * self.sample_weight.sum())

    def per_sample(self, values: np.ndarray) -> np.ndarray:
        """Sum over the positions, where a formula takes a channel as a whole.

        Parameters
        ----------
        values : ndarray of shape (n_samples, n_positions, n_units)

        Returns
        -------
        sums : ndarray of shape (n_samples, 1, n_units)
            One value per sample, which `mean` takes.
        """
        # Of one position the sum is a view, not a copy.
        return values if values.shape[1] == 1 else values.sum(axis=1, keepdims=True)

    def at_positions(self, n_positions: int, seed: int = 0) -> Layer:
        """Leave positions out, where there are more than so many.

        Parameters
        ----------
        n_positions : int
        seed : int, default=0
            Picks them: the same of every sample and every batch.

        Returns
        -------
        layer : Layer
        """
        shown = self.activations if self.activations is not None else self.gradients
        if shown is None or shown.shape[1] <= n_positions:
            return self
        picked = _picked(shown.shape[1], n_positions, seed)
        values: dict[str, Any] = {
            name: None if value is None else value[:, picked]
            for name, value in (("activations", self.activations), ("gradients", self.gradients))
        }
        return replace(self, **values)

    def centred(self, mean: np.ndarray | None = None) -> np.ndarray:
        """Activations minus their mean, every row scaled by the root of its weight.

        Parameters
        ----------
        mean : ndarray of shape (n_units,), optional
            Theirs, where it is known.

        Returns
        -------
        rows : ndarray of shape (n_samples * n_positions, n_units)
            Their products sum to n_samples times the weighted covariances if no sample has a
            weight.
        """
        assert self.activations is not None, "needs"
        n_samples, n_positions, n_units = self.activations.shape
        weight = (self.sample_weight / n_positions) ** 0.5
        rows = self.activations.reshape(n_samples * n_positions, n_units)
        rows = rows - (self.mean(self.activations) if mean is None else mean)
        rows *= np.repeat(weight, n_positions)[:, None].astype(rows.dtype)
        return rows


@cache
def _picked(n_all: int, n_positions: int, seed: int) -> np.ndarray:
    """Draw positions; once, as a generator takes longer to make than some batches to score."""
    random = np.random.RandomState(seed)
    return read_only(np.sort(random.choice(n_all, n_positions, replace=False)))


class Criterion(BaseEstimator, ABC):
    """Base of all criteria: a subclass says in `score` how redundant each unit is.

    Three class attributes say the rest: `name`, what tables and pictures call the scores;
    `prune_high`, whether high ones mark redundant units (else low ones do); and `needs`, what is
    to be computed of the scoring samples beforehand, a frozenset of "activations", "gradients" and
    "inputs". A criterion that looks at weights alone needs nothing, and takes no forward pass.

    A criterion that has a value per weight says in `score_connections` how redundant each weight
    of a layer is, and in `connection_needs` what that takes.

    `score` sees all samples at once. Where the values of channels are too many for that, it sees
    positions that a seed picks; a `StreamedCriterion` sees all of them, batch by batch.

    Examples
    --------
    >>> from sklearn_capoz.criteria import Criterion
    >>> class Largest(Criterion):
    ...     prune_high = False
    ...
    ...     def score(self, layer):
    ...         return layer.activations.max(axis=(0, 1))
    """

    #: What the scores are, for tables and the axes of pictures.
    name = "importance"
    #: High scores mark redundant units.
    prune_high = True
    #: What the layer view must hold.
    needs: frozenset[str] = frozenset({"activations"})
    #: What the view of a layer's connections must hold, of "gradients" and "inputs"; None where
    #: the criterion has no value per weight.
    connection_needs: frozenset[str] | None = None

    _parameter_constraints: dict = {}

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        # The way of version 0.1.0 to ask for gradients; unread, they would silently be missing.
        if vars(cls).get("needs_gradients"):
            cls.needs = frozenset({"activations", "gradients"})

    @property
    def streamed(self) -> StreamedCriterion | None:
        """What gives the scores batch by batch, or None."""
        return None

    def check(self) -> None:
        """Raise InvalidParameterError for parameters outside their range."""
        validate_parameter_constraints(
            self._parameter_constraints, self.get_params(deep=False), type(self).__name__
        )

    @abstractmethod
    def score(self, layer: Layer) -> np.ndarray:
        """Score every unit of a group.

        Parameters
        ----------
        layer : Layer

        Returns
        -------
        scores : ndarray of shape (n_units,)
            Finite numbers.
        """

    def score_connections(self, layer: Connections) -> np.ndarray:
        """Score every weight of a layer; only where `connection_needs` is not None.

        Parameters
        ----------
        layer : Connections

        Returns
        -------
        scores : ndarray of the shape of `layer.weights`
            Finite numbers; those of weights that are zero are not looked at.
        """
        raise NotImplementedError(f"{type(self).__name__} has no value per weight.")


class StreamedCriterion(Criterion):
    """Base of criteria that need not see all samples at once.

    A subclass makes a summary of each batch of samples, and scores of the summary of all. So
    channels of large patches and many samples take no more memory than one batch of them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_capoz.criteria import StreamedCriterion
    >>> class MeanSquare(StreamedCriterion):
    ...     prune_high = False
    ...
    ...     def summary(self, layer):
    ...         weight = layer.sample_weight.sum()
    ...         return weight, weight * layer.mean(layer.activations**2)
    ...
    ...     def score_summary(self, summary, layer):
    ...         weight, total = summary
    ...         return total / weight
    """

    @property
    def streamed(self):
        # A subclass may have a `score` of its own, which sees all samples at once.
        return self if type(self).score is StreamedCriterion.score else None

    @abstractmethod
    def summary(self, layer: Layer) -> Any:
        """Say of a batch of samples what the scores are made of.

        Parameters
        ----------
        layer : Layer
            Of the samples of the batch.

        Returns
        -------
        summary : tuple of ndarray or float
            Anything else, where `merge` knows it.
        """

    def merge(self, first: Any, second: Any) -> Any:
        """Return the summary of two batches; by default the sums of all they hold."""
        return tuple(a + b for a, b in zip(first, second, strict=True))

    @abstractmethod
    def score_summary(self, summary: Any, layer: Layer) -> np.ndarray:
        """Score every unit by the summary of all samples.

        Parameters
        ----------
        summary : tuple
        layer : Layer
            For the weights; of the samples it holds those of one batch.

        Returns
        -------
        scores : ndarray of shape (n_units,)
            Finite numbers.
        """

    def score(self, layer):
        return self.score_summary(self.summary(layer), layer)


def score_batches(
    criterion: Criterion, batches: Iterable[Mapping[str, Layer]], groups: Collection[str]
) -> dict[str, np.ndarray]:
    """Score groups of units, batch by batch where the criterion can.

    Parameters
    ----------
    criterion : Criterion
        One that does not stream is given one batch.
    batches : iterable of mapping of str to Layer
    groups : collection of str
        Whose scores are wanted.
    """
    streamed = criterion.streamed
    if streamed is None:
        [layers] = batches
        return {name: unit_scores(criterion, layers[name]) for name in groups}
    summaries: dict[str, Any] = {}
    shown: dict[str, Layer] = {}
    for layers in batches:
        for name in groups:
            new = streamed.summary(layers[name])
            summaries[name] = streamed.merge(summaries[name], new) if name in summaries else new
        # The first stands for all, so that each of the others gives its memory to the next.
        shown = shown or dict(layers)
        del layers
    return {
        name: check_scores(
            criterion, shown[name], streamed.score_summary(summaries[name], shown[name])
        )
        for name in groups
    }


def unit_scores(criterion: Criterion, layer: Layer) -> np.ndarray:
    """Score a layer, and raise ValueError where that is not one finite number per unit."""
    return check_scores(criterion, layer, criterion.score(layer))


def check_scores(criterion: Criterion, layer: Layer, scores) -> np.ndarray:
    """Raise ValueError unless there is one finite number per unit."""
    scores = np.asarray(scores)
    method, n_units = f"{type(criterion).__name__}.score", layer.n_units
    if scores.shape != (n_units,):
        raise ValueError(
            f"{method} gave shape {scores.shape}, expected ({n_units},): one score per unit. "
            "Activations and gradients have the shape (n_samples, n_positions, n_units)."
        )
    if not np.isfinite(scores).all():
        seen = (layer.activations, layer.incoming, layer.outgoing, layer.gradients)
        if all(np.isfinite(array).all() for array in seen if array is not None):
            why = "though the layer's activations and weights are finite."
        else:
            why = (
                "and the network's activations or weights have overflowed: train it with a "
                "smaller learning rate."
            )
        raise ValueError(f"{method} gave scores that are not finite, {scores}, {why}")
    return scores
