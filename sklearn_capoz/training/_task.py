"""What the engine is asked and what it answers: settings, a task, a result."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..networks._dense import DenseNetwork
from ._optimizer import OptimizerState
from ._pause import Pause

__all__ = ["SurgeryRule", "TrainingResult", "TrainingSettings", "TrainingTask"]


@dataclass(frozen=True)
class SurgeryRule:
    """How connections come back after a cut: dynamic network surgery.

    Parameters
    ----------
    epochs : int
        Of the training that follows the cut.
    margin : float
        How far the thresholds to go and to come back are from what the cut has left, as a share.
    """

    epochs: int
    margin: float


@dataclass(frozen=True)
class TrainingSettings:
    """How to train: MLPClassifier's names, meanings and defaults, and what it lacks.

    Parameters
    ----------
    solver : {"adam", "sgd"}
    alpha : float
        L2 penalty, 0.5 * alpha * ||W||^2 / (summed sample weight of the batch); biases are free.
    batch_size : int or "auto"
        "auto" is min(200, n_samples).
    learning_rate_init : float
    learning_rate : {"constant", "cosine"}
        "cosine" falls along half a cosine over `max_iter` epochs.
    max_iter : int
        Epochs.
    tol, n_iter_no_change, early_stopping
        See `StoppingRule`. With `early_stopping` the weights of the epoch with the best
        validation accuracy are given back.
    dropout : float
        Share of hidden activations set to zero; the rest are divided by 1 - dropout.
    shuffle : bool
        New order of the rows for every epoch.
    momentum, nesterovs_momentum, beta_1, beta_2, epsilon
        As in MLPClassifier.
    distillation : float
        Weight l of the teacher in (1 - l) * CE + l * T^2 * KL(teacher_T || network_T).
    temperature : float
        T: both softmaxes take their logits divided by it.
    zeros_stay : bool
        Whether weights that are zero as the training begins are connections that are gone: they
        stay exactly zero, and what an optimiser remembers of them is forgotten. Biases are free.
    pause_at : int or None
        Training pauses after this epoch, to go on later, and no stopping rule ends it before.
    surgery : SurgeryRule or None
        How others take the place of some of them at first.
    """

    solver: str = "adam"
    alpha: float = 1e-4
    batch_size: int | str = "auto"
    learning_rate_init: float = 1e-3
    learning_rate: str = "constant"
    max_iter: int = 200
    tol: float = 1e-4
    n_iter_no_change: int = 10
    early_stopping: bool = False
    dropout: float = 0.0
    shuffle: bool = True
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    distillation: float = 0.0
    temperature: float = 2.0
    zeros_stay: bool = False
    pause_at: int | None = None
    surgery: SurgeryRule | None = None

    def learning_rate_at(self, epoch: int) -> float:
        """Learning rate of an epoch; the first is 0."""
        if self.learning_rate == "constant":
            return self.learning_rate_init
        return self.learning_rate_init * (1 + math.cos(math.pi * epoch / self.max_iter)) / 2

    def batch_rows(self, n_samples: int) -> int:
        """Rows of a full batch."""
        size = 200 if self.batch_size == "auto" else int(self.batch_size)
        return min(size, n_samples)


@dataclass(eq=False)
class TrainingTask:
    """One network and what it is to learn.

    Parameters
    ----------
    network : DenseNetwork
        Initial weights; never changed.
    X : ndarray of shape (n_samples, n_features)
        Used in the dtype of the network.
    y : ndarray of shape (n_samples,)
        Index of each sample's class.
    sample_weight : ndarray of shape (n_samples,), optional
        Samples of weight zero are left out.
    X_val, y_val, sample_weight_val : ndarray, optional
        Validation set; loss and accuracy on it are recorded after every epoch.
    teacher : ndarray of shape (n_samples, n_outputs), optional
        The teacher's logits, for distillation.
    optimizer : OptimizerState, optional
        Moments to go on with; zero when not given.
    random_state : int or RandomState, optional
        Draws the order of the rows (as MLPClassifier does) and the dropout.
    begun : Pause, optional
        Where an earlier call has paused this training.
    """

    network: DenseNetwork
    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray | None = None
    X_val: np.ndarray | None = None
    y_val: np.ndarray | None = None
    sample_weight_val: np.ndarray | None = None
    teacher: np.ndarray | None = None
    optimizer: OptimizerState | None = None
    random_state: int | np.random.RandomState | None = None
    begun: Pause | None = None


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What training made of one task.

    Parameters
    ----------
    network : DenseNetwork
    optimizer : OptimizerState
        Of the same epoch as the network.
    loss_curve, validation_losses, validation_accuracies : tuple of float
        One per epoch of this call; the validation ones are empty without a validation set.
    n_epochs : int
    converged : bool
        Whether the stopping rule ended the training, and not `max_iter`.
    paused : Pause or None
        Where it has paused, as `pause_at` says.
    """

    network: DenseNetwork
    optimizer: OptimizerState
    loss_curve: tuple[float, ...]
    validation_losses: tuple[float, ...]
    validation_accuracies: tuple[float, ...]
    n_epochs: int
    converged: bool
    paused: Pause | None = None
