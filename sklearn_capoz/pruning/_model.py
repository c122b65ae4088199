"""What the loop and the estimators ask of a network, whatever it is made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol, Self

import numpy as np

from ..criteria import Connections, Criterion, Layer
from ..criteria._base import score_batches
from ..networks._groups import UnitGroup
from ..thresholds import Costs
from ..training import TrainingSettings
from ..training._samples import PruningData, Samples
from ._changes import Change

__all__ = [
    "LayerWeights",
    "ModelSize",
    "PrunableModel",
    "accuracy",
    "copy_generator",
    "costs_of",
    "score_units",
]


class ModelSize(NamedTuple):
    """How large a network is: what it stores, and what a prediction takes.

    Parameters
    ----------
    n_parameters : int
        Weights and biases.
    n_bytes : int
        What they take in their own dtype.
    n_multiply_adds : int
        Of the prediction of one sample.
    """

    n_parameters: int
    n_bytes: int
    n_multiply_adds: int


class LayerWeights(NamedTuple):
    """The weights of one layer: its connections.

    Parameters
    ----------
    weights : ndarray
        Zero where a connection is gone.
    n_uses : int
        Multiply-adds that each weight takes in the prediction of one sample.
    """

    weights: np.ndarray
    n_uses: int


class PrunableModel(Protocol):
    """A trained network that can be scored, cut and trained further.

    It never changes: a cut, a training or other settings make a new one, and whatever
    interrupts them leaves the old one whole. That includes its random state, which training
    draws from a copy of; the trained model goes on with the copy.

    See Also
    --------
    sklearn_capoz.estimators.Adapter : What shows an estimator's network as such a model.
    """

    @property
    def groups(self) -> tuple[UnitGroup, ...]:
        """The units that can be cut, from the input on."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of each group."""

    @property
    def size(self) -> ModelSize: ...

    @property
    def settings(self) -> TrainingSettings:
        """How `train_together` trains it; `max_iter=0` leaves it as it is."""

    @property
    def loss_curve(self) -> Sequence[float]:
        """Training loss in each epoch of the last training."""

    def observe(
        self, samples: Samples, needs: frozenset[str], random_state: np.random.RandomState
    ) -> dict[str, Layer]:
        """View every group, by its name: weights, and of the samples what `Criterion.needs`.

        Nothing needed takes no forward pass.

        Parameters
        ----------
        samples : Samples
        needs : frozenset of {"activations", "gradients", "inputs"}
        random_state : RandomState
            For criteria that draw.

        Returns
        -------
        layers : dict of str to Layer
        """

    # Some may be missing: `multiply_adds`, for which `Budget` alone asks, `connections` and
    # `observe_connections` where only units go, `until`, which schedules need that cut while a
    # network is trained, and `stream`, which has the parameters of `observe` and yields the same of
    # one batch of samples after the other. It is for models whose values are too many to see at
    # once, and not named here.

    @property
    def connections(self) -> Mapping[str, LayerWeights]:
        """The weights that can be masked, by the name of their layer, from the input on."""

    def observe_connections(
        self, samples: Samples, needs: frozenset[str], random_state: np.random.RandomState
    ) -> dict[str, Connections]:
        """View the weights of every layer, as `observe` does its groups of units.

        Parameters
        ----------
        samples : Samples
        needs : frozenset of {"gradients", "inputs"}
        random_state : RandomState
        """

    def multiply_adds(self, widths: Sequence[int]) -> int:
        """Count those of a prediction, were the groups of these widths.

        Parameters
        ----------
        widths : sequence of int
            One for each group; the network itself is not changed.
        """

    def apply(self, change: Change, compensation: str | None, samples: Samples) -> Self:
        """Return the changed network; those who use the units make up for them by the samples.

        Parameters
        ----------
        change : Change
        compensation : {None, "bias", "least-squares"}
            Of units that are removed.
        samples : Samples
            Compensation looks at what the units did on them.

        Raises
        ------
        ValueError
            If the change names no group or layer of this network, or has not its number of units
            or weights.
        """

    def logits(self, X: np.ndarray) -> np.ndarray:
        """Return the outputs before the softmax, or the logarithms of the probabilities.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)

        Returns
        -------
        logits : ndarray of shape (n_samples, n_outputs)
        """

    def labels(self, X: np.ndarray) -> np.ndarray:
        """Class codes.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)

        Returns
        -------
        codes : ndarray of shape (n_samples,), int
        """

    def configured(self, settings: TrainingSettings, teacher: np.ndarray | None) -> Self:
        """Return the same network with other settings, and logits to learn from.

        Parameters
        ----------
        settings : TrainingSettings
        teacher : ndarray of shape (n_samples, n_outputs) or None
            What a teacher says of the training samples: what `logits` of a network gives, or
            logarithms of probabilities.
        """

    def until(self, epoch: int | None) -> Self:
        """Return the same network, whose training pauses after an epoch, or goes on to its end.

        A training that has paused is gone on with by `train_together`: with the same moments,
        draws, learning rates and stopping rule, unless the network was cut, with which the rule
        begins to count anew, or `configured` for another training.

        Parameters
        ----------
        epoch : int or None
            Counted from the training's begin.
        """

    @classmethod
    def train_together(
        cls, models: Sequence[Self], data: Sequence[PruningData]
    ) -> list[tuple[Self, int]]:
        """Train each by its own settings and on its own data; return them with their epochs.

        Parameters
        ----------
        models : sequence of PrunableModel
            Of this class.
        data : sequence of PruningData
            One for each model; `train` is trained on, and `score` ends the training early.

        Returns
        -------
        trained : list of (PrunableModel, int)
        """


class _NoSeed(np.random.bit_generator.ISeedSequence):
    """Zeros: a generator whose state is replaced at once needs no well mixed seed."""

    def generate_state(self, n_words, dtype=np.uint32):
        return np.zeros(n_words, dtype)


def copy_generator(random_state: np.random.RandomState) -> np.random.RandomState:
    """Copy a generator, in a third of the time that `deepcopy` takes: a short training notices."""
    # numpy takes any ISeedSequence, of which its stubs do not know.
    copy = np.random.RandomState(np.random.MT19937(_NoSeed()))  # type: ignore[arg-type]
    copy.set_state(random_state.get_state(legacy=False))
    return copy


def accuracy(model: PrunableModel, samples: Samples) -> float:
    """Weighted share of the samples that the network labels right.

    Parameters
    ----------
    model : PrunableModel
    samples : Samples
        Features, class codes and weights.

    Returns
    -------
    accuracy : float
        0..1.
    """
    right = model.labels(samples.X) == samples.y
    return float(np.average(right, weights=samples.weight))


def costs_of(model: PrunableModel, dense: PrunableModel, progress: float) -> Costs | None:
    """Say what a network's units cost, beside the unpruned one; None where it cannot tell."""
    if not hasattr(model, "multiply_adds"):
        return None
    return Costs(model.widths, model.multiply_adds, dense.multiply_adds(dense.widths), progress)


def score_units(
    model: PrunableModel,
    criterion: Criterion,
    samples: Samples,
    random_state: np.random.RandomState,
    groups: Collection[str],
) -> dict[str, np.ndarray]:
    """Score the units of some groups, batch by batch where model and criterion can.

    Parameters
    ----------
    model : PrunableModel
    criterion : Criterion
    samples : Samples
    random_state : RandomState
        For criteria that draw.
    groups : collection of str

    Returns
    -------
    scores : dict of str to ndarray of shape (n_units,)
    """
    stream = getattr(model, "stream", None)
    asked = samples, criterion.needs, random_state
    if stream is None or criterion.streamed is None:
        batches = iter([model.observe(*asked)])
    else:
        batches = stream(*asked)
    return score_batches(criterion, batches, groups)
