"""Controls that every criterion has to beat."""

from __future__ import annotations

from ._base import Criterion


class Random(Criterion):
    """Uniform random scores: the control that every criterion has to beat."""

    name = "random"
    needs = frozenset()
    connection_needs = frozenset()

    def score(self, layer):
        return layer.random_state.uniform(size=layer.n_units)

    def score_connections(self, layer):
        return layer.random_state.uniform(size=layer.weights.shape)


class Reversed(Criterion):
    """Another criterion with its sides swapped: a sanity check that should do worst.

    Parameters
    ----------
    criterion : Criterion
        The one to turn round, `CAPoZ()` for example.
    """

    def __init__(self, criterion):
        self.criterion = criterion

    def check(self) -> None:
        if not isinstance(self.criterion, Criterion):
            raise TypeError(
                f"Reversed needs a criterion object, CAPoZ() for example, got {self.criterion!r}."
            )
        self.criterion.check()

    @property
    def name(self):  # type: ignore[override]
        return f"{self.criterion.name}, reversed"

    @property
    def prune_high(self):  # type: ignore[override]
        return not self.criterion.prune_high

    @property
    def needs(self):  # type: ignore[override]
        return self.criterion.needs

    @property
    def connection_needs(self):  # type: ignore[override]
        return self.criterion.connection_needs

    @property
    def streamed(self):
        return self.criterion.streamed

    def score(self, layer):
        return self.criterion.score(layer)

    def score_connections(self, layer):
        return self.criterion.score_connections(layer)
