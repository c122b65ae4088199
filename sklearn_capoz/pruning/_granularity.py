"""What goes when a network is pruned: units, each with all that it has, or single connections.

The loop asks a granularity how many there are of each group, what they score, and which change
takes them. So criterion, rule and schedule need not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from .._sklearn import InvalidParameterError
from .._validation import check_hidden_layers
from ..criteria import Connections, Criterion, check_connection_criterion
from ..criteria._connections import connection_scores
from ..exceptions import UnsupportedNetworkError
from ..networks._sparse import stored_bytes
from ..thresholds import Costs
from ..training._samples import Samples
from ..training._task import SurgeryRule
from ._changes import Change, Mask, Remove
from ._model import ModelSize, PrunableModel, costs_of, score_units

__all__ = ["GRANULARITIES", "Granularity"]


class Granularity(Protocol):
    """What the loop asks of what can go; a group is a group of units or the weights of a layer."""

    noun: str
    counts: str

    def names(self, model: PrunableModel) -> list[str]:
        """Name the groups, from the input on."""

    def widths(self, model: PrunableModel) -> tuple[int, ...]:
        """Count what is left of each group."""

    def size(self, model: PrunableModel) -> ModelSize:
        """Say how large the network is, as it is stored and predicts."""

    def costs(self, model: PrunableModel, dense: PrunableModel, progress: float) -> Costs | None:
        """Say what each costs, beside the unpruned network; None where that is not known."""

    def support(
        self, model: PrunableModel, before: Sequence[np.ndarray] | None = None
    ) -> tuple[np.ndarray, ...]:
        """Say of each group which of the dense network's are left: after a training, or at first.

        Parameters
        ----------
        model : PrunableModel
        before : sequence of ndarray of bool, optional
            What was left before the training; the dense network has none.
        """

    def change(
        self, name: str, keep: np.ndarray, support: np.ndarray, surgery: SurgeryRule | None
    ) -> Change:
        """Make the change that takes some of a group.

        Parameters
        ----------
        name : str
        keep : ndarray of bool
            Which stay of those that there are.
        support : ndarray of bool
            Which then are left of the dense network's.
        surgery : SurgeryRule or None
            Of the step; only of connections.
        """

    def exchanges(
        self, model: PrunableModel, names: Sequence[str], share: float, samples: Samples
    ) -> list[Mask]:
        """Let a share of some groups change places with as many that are gone."""

    def check(self, criterion: Criterion, compensation: str | None) -> None:
        """Raise where a plan asks for what cannot be."""

    def check_model(self, model: PrunableModel) -> None:
        """Raise UnsupportedNetworkError where a network has nothing that could go."""

    def score(
        self,
        model: PrunableModel,
        criterion: Criterion,
        samples: Samples,
        random_state: np.random.RandomState,
        names: Sequence[str],
    ) -> dict[str, np.ndarray]:
        """Score those that there are of some groups."""


class _Units:
    """Units, or channels, each cut out of all layers that hold it."""

    noun, counts = "unit", "widths"

    def names(self, model):
        return [group.name for group in model.groups]

    def widths(self, model):
        return model.widths

    def size(self, model):
        return model.size

    def costs(self, model, dense, progress):
        return costs_of(model, dense, progress)

    def support(self, model, before=None):
        if before is not None:
            return tuple(before)
        return tuple(np.ones(width, dtype=bool) for width in model.widths)

    def change(self, name, keep, support, surgery):
        return Remove(name, keep)

    def exchanges(self, model, names, share, samples):
        return []  # what is cut out does not come back

    def check(self, criterion, compensation):
        pass

    def check_model(self, model):
        if max(model.widths, default=0) < 2 and hasattr(model, "no_units"):
            raise UnsupportedNetworkError(model.no_units)
        check_hidden_layers(model.widths)

    def score(self, model, criterion, samples, random_state, names):
        return score_units(model, criterion, samples, random_state, names)


class _Connections:
    """Single weights, set to zero: a weight that is zero is a connection that is gone."""

    noun, counts = "connection", "numbers of connections"

    def names(self, model):
        return list(model.connections)

    def widths(self, model):
        return tuple(int(np.count_nonzero(own.weights)) for own in model.connections.values())

    def size(self, model):
        size, weights = model.size, [own.weights for own in model.connections.values()]
        zeros = [array.size - int(np.count_nonzero(array)) for array in weights]
        uses = [own.n_uses for own in model.connections.values()]
        return ModelSize(
            size.n_parameters - sum(zeros),
            size.n_bytes - sum(array.nbytes - stored_bytes(array) for array in weights),
            size.n_multiply_adds - sum(n * each for n, each in zip(zeros, uses, strict=True)),
        )

    def costs(self, model, dense, progress):
        uses = [own.n_uses for own in model.connections.values()]

        def multiply_adds(counts: Sequence[int]) -> int:
            return sum(n * each for n, each in zip(counts, uses, strict=True))

        return Costs(self.widths(model), multiply_adds, multiply_adds(self.widths(dense)), progress)

    def support(self, model, before=None):
        # The weights themselves tell: one may have become zero in training, too.
        return tuple(own.weights != 0 for own in model.connections.values())

    def change(self, name, keep, support, surgery):
        return Mask(name, support, surgery=surgery)

    def exchanges(self, model, names, share, samples):
        draws_nothing = np.random.RandomState(0)
        views = model.observe_connections(samples, frozenset({"gradients"}), draws_nothing)
        found = ((name, _exchange(views[name], share)) for name in names)
        return [Mask(name, keep, regrow=True) for name, keep in found]

    def check(self, criterion, compensation):
        check_connection_criterion(criterion)
        if compensation is not None:
            raise InvalidParameterError(
                f"compensation={compensation!r} makes up for units that go, and "
                "granularity='connection' takes single weights; take compensation=None."
            )

    def check_model(self, model):
        if not hasattr(model, "connections"):
            raise UnsupportedNetworkError(
                "granularity='connection' needs a model with `connections` and "
                f"`observe_connections`, which {type(model).__name__} has not; take "
                "granularity='unit'."
            )
        if not model.connections:
            raise UnsupportedNetworkError(
                "The network has no Linear and no convolution, and so no connections."
            )

    def score(self, model, criterion, samples, random_state, names):
        needs = frozenset(criterion.connection_needs)
        views = model.observe_connections(samples, needs, random_state)
        return {name: connection_scores(criterion, views[name]) for name in names}


def _exchange(layer: Connections, share: float) -> np.ndarray:
    """Say which connections are there when the smallest have made room for the most wanted."""
    assert layer.gradients is not None
    keep, gradients = (layer.weights != 0).ravel(), layer.gradients.ravel()
    there, gone = np.flatnonzero(keep), np.flatnonzero(~keep & (gradients > 0))
    n = min(round(share * there.size), gone.size)
    smallest = np.argsort(np.abs(layer.weights.ravel()[there]), kind="stable")[:n]
    wanted = np.argsort(-gradients[gone], kind="stable")[:n]
    keep[there[smallest]], keep[gone[wanted]] = False, True
    return keep.reshape(layer.weights.shape)


#: Name -> what goes.
GRANULARITIES: dict[str, Granularity] = {"unit": _Units(), "connection": _Connections()}
