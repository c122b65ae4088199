"""A task on its way through the engine, whichever machine runs its epochs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit, log_softmax, xlogy
from sklearn.utils import check_random_state

from ..networks._dense import DenseNetwork
from ._optimizer import N_MOMENTS, OptimizerState, flatten, unflatten
from ._stopping import StoppingRule
from ._task import TrainingResult, TrainingSettings, TrainingTask

__all__ = ["Rows", "Trainee"]


@dataclass(eq=False)
class Rows:
    """Checked rows in the network's dtype, without those of weight zero."""

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    soft: np.ndarray  # the teacher's softened probabilities, no rows without a teacher
    soft_entropy: np.ndarray  # their negative entropy


@dataclass(eq=False)
class Trainee:
    """A task on its way: flat parameters and moments, its record and its stopping rule."""

    task: TrainingTask
    settings: TrainingSettings
    rows: Rows = field(init=False)
    validation: Rows | None = field(init=False)

    def __post_init__(self) -> None:
        task, settings = self.task, self.settings
        _check(task, settings)
        network = task.network
        self.rows = _rows(network, task.X, task.y, task.sample_weight, task.teacher, settings)
        self.validation = None
        if task.X_val is not None and task.y_val is not None:
            self.validation = _rows(network, task.X_val, task.y_val, task.sample_weight_val)
        state = task.optimizer or OptimizerState.zeros(network, settings.solver)
        self.parameters = flatten(network)
        self.moments = np.stack([flatten(moment) for moment in state.moments])
        self.n_steps = state.n_steps
        self.random = check_random_state(task.random_state)
        self.order = np.arange(len(self.rows.y))
        self.no_dropout = np.empty((0, sum(network.widths)), dtype=bool)
        self.rule = StoppingRule(settings.tol, settings.n_iter_no_change, settings.early_stopping)
        self.best = (self.parameters.copy(), self.moments.copy(), self.n_steps)
        self.losses: list[float] = []
        self.validation_losses: list[float] = []
        self.validation_accuracies: list[float] = []

    @property
    def batch_rows(self) -> int:
        return self.settings.batch_rows(len(self.rows.y))

    def draw_order(self) -> np.ndarray:
        """Order of the rows for the next epoch: the same draws as sklearn.utils.shuffle."""
        if self.settings.shuffle:
            self.order = self.order.copy()
            self.random.shuffle(self.order)
        return self.order

    def draw_dropout(self) -> np.ndarray:
        """Which hidden activations stay in the next epoch; no rows without dropout."""
        if self.settings.dropout == 0:
            return self.no_dropout
        draw = np.random.default_rng(self.random.randint(2**31))
        shape = (self.order.size, self.no_dropout.shape[1])
        chance = draw.integers(0, 2**16, shape, dtype=np.uint16)
        return chance >= round(self.settings.dropout * 2**16)

    def record(self, loss: float, validation: tuple[float, float] | None) -> bool:
        """Take note of an epoch; return whether the network is to be kept as the best."""
        self.losses.append(loss)
        accuracy = None
        if validation is not None:
            self.validation_losses.append(validation[0])
            self.validation_accuracies.append(accuracy := validation[1])
        return self.rule.update(loss, accuracy) and self.settings.early_stopping

    @property
    def finished(self) -> bool:
        return self.rule.should_stop or len(self.losses) >= self.settings.max_iter

    @property
    def certain_epochs(self) -> int:
        """Epochs that are still run whatever they bring."""
        return min(self.settings.max_iter - len(self.losses), self.rule.n_until_stop)

    def result(self) -> TrainingResult:
        if self.settings.early_stopping:
            self.parameters, self.moments, self.n_steps = self.best
        if not np.isfinite(self.parameters).all():
            raise ValueError(
                "Training ended in weights that are not finite. Standardise X, or lower "
                f"learning_rate_init (it was {self.settings.learning_rate_init})."
            )
        network = self.task.network
        moments = tuple(unflatten(moment, network) for moment in self.moments)
        return TrainingResult(
            unflatten(self.parameters, network),
            OptimizerState(moments, self.n_steps),
            tuple(self.losses),
            tuple(self.validation_losses),
            tuple(self.validation_accuracies),
            len(self.losses),
            self.rule.should_stop,
        )


def _check(task: TrainingTask, settings: TrainingSettings) -> None:
    if settings.early_stopping and task.X_val is None:
        raise ValueError("early_stopping=True watches a validation set: give X_val and y_val.")
    if settings.distillation > 0 and task.teacher is None:
        raise ValueError(
            f"distillation={settings.distillation} needs the teacher's logits: give teacher."
        )
    if task.optimizer is None:
        return
    if len(task.optimizer.moments) != N_MOMENTS[settings.solver]:
        raise ValueError(
            f"solver={settings.solver!r} keeps {N_MOMENTS[settings.solver]} moments, the given "
            f"optimizer state has {len(task.optimizer.moments)}: it belongs to another solver."
        )
    for moment in task.optimizer.moments:
        if moment.widths != task.network.widths or moment.n_features != task.network.n_features:
            raise ValueError(
                f"The network has hidden widths {task.network.widths}, its optimizer state "
                f"{moment.widths}: moments of another shape. Cut both with the same `keep`."
            )


def _rows(
    network: DenseNetwork,
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray | None,
    teacher: np.ndarray | None = None,
    settings: TrainingSettings | None = None,
) -> Rows:
    """Bring rows into the network's dtype and drop those that weigh nothing."""
    dtype = network.dtype
    X = np.ascontiguousarray(X, dtype=dtype)
    y = np.asarray(y).astype(np.int64)
    weight = np.ones(len(y), dtype) if sample_weight is None else np.array(sample_weight, dtype)
    soft = np.empty((0, network.biases[-1].size), dtype)
    soft_entropy = np.empty(0, dtype)
    if settings is not None and settings.distillation > 0:
        soft, soft_entropy = _soften(np.asarray(teacher), settings.temperature, network)
    used = weight != 0
    if not used.all():
        if not used.any():
            raise ValueError("All sample weights are zero: nothing is left to train on.")
        X, y, weight = X[used], y[used], weight[used]
        soft, soft_entropy = (a[used] if len(a) else a for a in (soft, soft_entropy))
    return Rows(X, y, weight, soft, soft_entropy)


def _soften(
    teacher: np.ndarray, temperature: float, network: DenseNetwork
) -> tuple[np.ndarray, np.ndarray]:
    """Teacher's probabilities at a temperature, and per row the sum of p * log(p)."""
    n_outputs = network.biases[-1].size
    if teacher.ndim != 2 or teacher.shape[1] != n_outputs:
        raise ValueError(
            f"The teacher's logits must have one column for each of the {n_outputs} outputs, "
            f"got shape {teacher.shape}."
        )
    if network.output == "softmax":
        soft = np.exp(log_softmax(teacher / temperature, axis=1))
        entropy = xlogy(soft, soft).sum(axis=1)
    else:
        soft = expit(teacher / temperature)
        entropy = (xlogy(soft, soft) + xlogy(1 - soft, 1 - soft))[:, 0]
    return soft.astype(network.dtype), entropy.astype(network.dtype)
