"""How CAPoZPruner reaches into the estimators that it prunes, and how a user adds a kind of them.

An adapter trains an estimator of one kind, shows its network as a prunable model, and puts the
pruned network back. Each kind has one, in a register; whoever comes last is asked first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from ..networks import DenseNetwork
from ..networks._predictor import Predictor
from ..pruning import PrunableModel
from ..training._samples import PruningData

__all__ = ["Adapter", "Description", "is_skorch_net"]


@dataclass(frozen=True, eq=False)
class Description:
    """What can be said of an estimator before anything is done with it.

    Parameters
    ----------
    widths : tuple of int or None, default=None
        Units of its hidden layers, where they are known.
    is_arrays : bool, default=False
        Whether its network under pruning is plain arrays, which any process can be sent.
    classes : ndarray of shape (n_classes,) or None, default=None
        Of a trained one: the labels, in the order of its codes. None says that it is not trained.
    n_features : int or None, default=None
        Of a trained one: the features that it expects. Where it cannot tell, a wrong number of
        columns is left to the estimator's own error.
    n_epochs : int, default=0
        Of a trained one: the epochs that training took.
    max_epochs : int or None, default=None
        Epochs that training takes at most; None where it cannot pause for a cut, see
        `Adapter.train_until`.
    """

    widths: tuple[int, ...] | None = None
    is_arrays: bool = False
    classes: np.ndarray | None = None
    n_features: int | None = None
    n_epochs: int = 0
    max_epochs: int | None = None


class Adapter(ABC):
    """What :class:`CAPoZPruner` asks of a kind of estimator.

    Six methods make an estimator prunable; the others have defaults that fit most. Register an
    object of the class with :func:`register_adapter`.

    See Also
    --------
    register_adapter : Make it known.
    """

    #: Whether samples may have more than one axis, and X may be several arrays.
    allow_nd = False

    @abstractmethod
    def handles(self, estimator) -> bool:
        """Return whether an estimator, trained or not, is of this kind."""

    @abstractmethod
    def describe(self, estimator) -> Description:
        """Say what is known of an estimator, trained or not."""

    @abstractmethod
    def fit(
        self, estimator, data: PruningData, classes: np.ndarray, random_state: np.random.RandomState
    ):
        """Train a clone on `data.train`, whose labels are `classes[data.train.y]`; return it.

        Parameters
        ----------
        estimator : estimator
            Stays as it was.
        data : PruningData
            `train` is trained on; `score` may end the training early, `select` must not be seen.
        classes : ndarray of shape (n_classes,)
            The labels, in the order of the codes in `data`.
        random_state : RandomState
            Where the estimator has no seed of its own.

        Returns
        -------
        fitted : estimator
        """

    @abstractmethod
    def model(self, fitted, random_state: np.random.RandomState | None) -> PrunableModel:
        """View a trained estimator's network, with the settings that it was trained with."""

    @abstractmethod
    def network(self, fitted) -> DenseNetwork:
        """Return a trained estimator's network as arrays, with the same outputs."""

    @abstractmethod
    def with_model(self, fitted, model: PrunableModel):
        """Return a copy of a trained estimator with another network."""

    def show_inputs(self, fitted, X) -> None:  # noqa: B027
        """Let a trained estimator, which came frozen, know the shape of the samples to come."""

    def begin(
        self, estimator, data: PruningData, classes: np.ndarray, random_state: np.random.RandomState
    ) -> PrunableModel | None:
        """Return the network before its training: a plan that does not suit it is refused then.

        None where that cannot be had, or is known without.
        """
        return None

    def untrained(
        self, estimator, data: PruningData, classes: np.ndarray, random_state: np.random.RandomState
    ) -> PrunableModel | None:
        """Return a network with new weights from `random_state`, to be trained as `fit` does.

        For teachers that train several, see `sklearn_capoz.teachers`; None where it cannot be had.
        """
        return self.begin(estimator, data, classes, random_state)

    def train_begun(
        self, begun: PrunableModel, data: PruningData, random_state: np.random.RandomState
    ):
        """Train what `begin` has returned, as `fit` would, and return the estimator.

        None where that cannot be, and `fit` is called.
        """
        return

    def copy(self, fitted):
        """Return a trained estimator that shares no weight with this one."""
        return deepcopy(fitted)

    def predictor(self, fitted):
        """Return what predicts: `labels(X, classes)` and `probabilities(X)`."""
        return Predictor(self.network(fitted))

    def weigh(self, estimator, data: PruningData, classes: np.ndarray) -> PruningData:
        """Fold the estimator's own class weights into those of the training samples."""
        return data

    def name_features(self, fitted, names: np.ndarray) -> None:
        """Let a trained estimator know its features by name, as a fit on a table does."""
        fitted.feature_names_in_ = names

    def train_network(
        self, estimator, data: PruningData, classes: np.ndarray, random_state: np.random.RandomState
    ) -> tuple[PrunableModel, int] | None:
        """Train the network that `fit` would, without an estimator around it, if that is faster.

        Returns it with the number of epochs; or None, and `fit` is called.
        """
        return None

    def train_until(
        self,
        estimator,
        data: PruningData,
        classes: np.ndarray,
        random_state: np.random.RandomState,
        epoch: int,
    ) -> tuple[PrunableModel, int]:
        """Train the network that `fit` would, up to an epoch; return it with the number of epochs.

        It is asked for by schedules that cut while a network is trained, of estimators whose
        description says `max_epochs`. The model then goes on from there by `train_together`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no train_until.")

    def finish(
        self,
        estimator,
        data: PruningData,
        classes: np.ndarray,
        random_state: np.random.RandomState,
        model: PrunableModel,
    ):
        """Return a clone of an estimator, fitted, around the network that `train_until` began."""
        raise NotImplementedError(f"{type(self).__name__} has no finish.")


def is_skorch_net(estimator) -> bool:
    """Whether an estimator is a skorch NeuralNetClassifier, told without importing skorch."""
    return any(
        kind.__name__ == "NeuralNetClassifier" and kind.__module__.startswith("skorch.")
        for kind in type(estimator).__mro__
    )
