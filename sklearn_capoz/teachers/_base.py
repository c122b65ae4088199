"""What a fit asks of a teacher, and what a teacher is given to work with."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from scipy.special import log_softmax, logsumexp
from sklearn.base import BaseEstimator

from .._sklearn import validate_parameter_constraints
from ..pruning import PrunableModel
from ..training._samples import PruningData, Samples

__all__ = ["Classroom", "Lesson", "NetworksLesson", "Teacher"]


class Lesson(Protocol):
    """What is taught: logits for any of the samples that `fit` was given."""

    def logits(self, samples: Samples) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class NetworksLesson:
    """The mean of the probabilities of trained networks."""

    networks: tuple[PrunableModel, ...]

    def logits(self, samples: Samples) -> np.ndarray:
        """Return the logarithm of the mean, or the logits themselves of one network."""
        found = [network.logits(samples.X) for network in self.networks]
        if len(found) == 1:
            return found[0]
        return logsumexp([_log_probabilities(logits) for logits in found], axis=0) - np.log(
            len(found)
        )


def _log_probabilities(logits: np.ndarray) -> np.ndarray:
    if logits.shape[1] == 1:  # a logistic output
        logits = np.hstack([np.zeros_like(logits), logits])
    return log_softmax(logits, axis=1)


@dataclass(frozen=True, eq=False)
class Classroom:
    """Where teachers that are networks come from.

    Parameters
    ----------
    data : PruningData
    untrained : callable of RandomState
        Makes a network like the student's, with new weights and the settings of its training.
    random_state : RandomState
        Of the teachers' weights and of the order of their rows.
    lessons : ndarray of shape (n_samples, n_classes) or None
        What a fitted classifier says of all samples.
    share, temperature : float
        Of what is taught in the loss.
    """

    data: PruningData
    untrained: Callable[[np.random.RandomState], PrunableModel]
    random_state: np.random.RandomState
    lessons: np.ndarray | None
    share: float
    temperature: float

    def new_networks(self, count: int) -> list[PrunableModel]:
        seeds = self.random_state.randint(2**31 - 1, size=count)
        return [self.untrained(np.random.RandomState(seed)) for seed in seeds]

    def trained(self, models: Sequence[Any]) -> list[Any]:
        """Train networks side by side."""
        if not models:
            return []
        found = type(models[0]).train_together(models, [self.data] * len(models))
        return [model for model, _ in found]

    def taught(self, model: Any, lesson: Lesson | None = None) -> Any:
        """Give a network the settings of one that is taught."""
        settings = replace(model.settings, distillation=self.share, temperature=self.temperature)
        logits = None if lesson is None else lesson.logits(self.data.train)
        return model.configured(settings, logits)


class Teacher(BaseEstimator, ABC):
    """Base of all teachers: a subclass says in `after` who teaches.

    A teacher may also act on X before any training, in `look_at`, and on untrained networks, in
    `before`, which only PrunedMLPClassifier has.

    Examples
    --------
    Let the dense network teach, twice as sure as it is:

    >>> from sklearn_capoz import PrunedMLPClassifier
    >>> from sklearn_capoz.teachers import Teacher
    >>> class Lesson:
    ...     def __init__(self, model):
    ...         self.model = model
    ...
    ...     def logits(self, samples):
    ...         return 2 * self.model.logits(samples.X)
    >>> class Surer(Teacher):
    ...     def after(self, model, room):
    ...         return model, Lesson(model)
    >>> model = PrunedMLPClassifier(teacher=Surer(), distillation=0.5)
    """

    _parameter_constraints: dict = {}

    #: Whether it trains networks like the student's.
    trains_networks = False
    #: Whether student and teachers learn in one loop, which only the compiled engine has.
    needs_engine = False

    def check(self) -> None:
        """Raise InvalidParameterError for parameters outside their range."""
        validate_parameter_constraints(
            self._parameter_constraints, self.get_params(deep=False), type(self).__name__
        )

    def look_at(self, X: Any, classes: np.ndarray) -> np.ndarray | None:
        """Say what is known of samples before any training; None where that is nothing.

        Parameters
        ----------
        X : array-like
            As `fit` is given it.
        classes : ndarray of shape (n_classes,)

        Returns
        -------
        lessons : ndarray of shape (n_samples, n_classes) or None
            Logarithms of probabilities; become `room.lessons`.
        """
        return None

    def before(self, models: list, room: Classroom) -> list:
        """Return untrained students, ready for a first training in which they may be taught.

        Parameters
        ----------
        models : list of PrunableModel
            The restarts.
        room : Classroom
            As in `after`.
        """
        return models

    def after(self, model: PrunableModel, room: Classroom) -> tuple[PrunableModel, Lesson | None]:
        """Return the network to prune, and the lesson of its retraining.

        Parameters
        ----------
        model : PrunableModel
            The dense network, after its first training.
        room : Classroom
            `room.data` has the samples, `room.new_networks(n)` makes untrained networks like the
            dense one, `room.trained` trains them side by side, and `room.taught` gives one a
            lesson before its training.

        Returns
        -------
        model : PrunableModel
        lesson : Lesson or None
            Has `logits(samples)`, of shape (n_samples, n_classes); None where there is nothing to
            say.
        """
        return model, NetworksLesson((model,))


class Unpruned(Teacher):
    """The dense network teaches what is left of it: what `teacher=None` means."""
