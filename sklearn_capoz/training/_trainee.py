"""A task on its way through the engine, whichever machine runs its epochs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit, log_softmax, xlogy
from sklearn.utils import check_random_state

from ..networks._dense import DenseNetwork, without_denormals
from ._optimizer import N_MOMENTS, OptimizerState, flatten, unflatten
from ._pause import Pause
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
        if settings.zeros_stay:
            self.moments[:, ~self.moves] = 0  # an old one would go on moving its weight
        self.random = check_random_state(task.random_state)
        self.no_dropout = np.empty((0, sum(network.widths)), dtype=bool)
        rule = StoppingRule(settings.tol, settings.n_iter_no_change, settings.early_stopping)
        begun = task.begun or Pause(0, rule, np.arange(len(self.rows.y)))
        self.n_before, self.order, self.rule = begun.n_epochs, begun.draws, begun.begin()
        self.best = begun.best or (self.parameters.copy(), self.moments.copy(), self.n_steps)
        self.losses: list[float] = []
        self.validation_losses: list[float] = []
        self.validation_accuracies: list[float] = []

    @property
    def moves(self) -> np.ndarray:
        """Which parameters training moves: none of the weights that are gone."""
        network, moves = self.task.network, np.ones(self.parameters.size, dtype=bool)
        if self.settings.zeros_stay:
            n_weights = sum(weight.size for weight in network.weights)
            moves[:n_weights] = flatten(network)[:n_weights] != 0
        return moves

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
        if not np.isfinite(loss) and not self.settings.early_stopping:
            raise self._divergence(f"The training loss is {loss} in epoch {self.n_epochs + 1}")
        self.losses.append(loss)
        accuracy = None
        if validation is not None:
            self.validation_losses.append(validation[0])
            self.validation_accuracies.append(accuracy := validation[1])
        return self.rule.update(loss, accuracy) and self.settings.early_stopping

    @property
    def n_epochs(self) -> int:
        """Epochs of the whole training, those before a pause included."""
        return self.n_before + len(self.losses)

    @property
    def finished(self) -> bool:
        return self.certain_epochs <= 0

    @property
    def certain_epochs(self) -> int:
        """Epochs that are still run whatever they bring."""
        if self.settings.pause_at is not None:
            return self.settings.pause_at - self.n_epochs
        return min(self.settings.max_iter - self.n_epochs, self.rule.n_until_stop)

    def result(self) -> TrainingResult:
        paused = None
        if self.settings.pause_at is not None:
            best = self.best if self.settings.early_stopping else None
            paused = Pause(self.n_epochs, self.rule, self.order, best)
        elif self.settings.early_stopping:
            self.parameters, self.moments, self.n_steps = self.best
        network = unflatten(self.parameters, self.task.network)
        if not _has_finite_outputs(network, self.rows.X):
            raise self._divergence("Training ended in outputs that are not finite")
        moments = tuple(unflatten(moment, network) for moment in self.moments)
        return TrainingResult(
            network,
            OptimizerState(moments, self.n_steps),
            tuple(self.losses),
            tuple(self.validation_losses),
            tuple(self.validation_accuracies),
            len(self.losses),
            self.rule.should_stop,
            paused,
        )

    def _divergence(self, what: str) -> ValueError:
        """Return the error, which names the cause."""
        if not np.isfinite(self.rows.X).all():
            return ValueError(f"{what}, as X holds NaN or infinity. Leave those rows out.")
        return ValueError(
            f"{what}: not finite, so nothing was learnt. Standardise X, or lower "
            f"learning_rate_init (it was {self.settings.learning_rate_init})."
        )


@np.errstate(all="ignore")
def _has_finite_outputs(network: DenseNetwork, X: np.ndarray) -> bool:
    """Whether the network names a class for every row it has learnt from.

    Weights may be finite, 1e157 for example, and their products not.
    """
    if _bound(network, X) < np.finfo(network.dtype).max / 4:
        return True
    return all(
        np.isfinite(network.forward(X[start : start + 1024])[-1]).all()
        for start in range(0, len(X), 1024)
    )


@np.errstate(all="ignore")
def _bound(network: DenseNetwork, X: np.ndarray) -> float:
    """Return a size that no value within the network exceeds, in whatever order sums are taken.

    It takes a hundredth of the time of those values, and is NaN or infinite where X or a weight is.
    """
    bound = highest = np.maximum(X.max(), -X.min()).astype(np.float64)
    for weight, bias in zip(network.weights, network.biases, strict=True):
        # No activation's value is larger than both its argument and 1.
        bound = np.maximum(bound, 1.0) * np.abs(weight).sum(axis=0).max() + np.abs(bias).max()
        highest = np.maximum(highest, bound)
    return float(highest)


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
    X = without_denormals(np.ascontiguousarray(X, dtype=dtype))
    y = np.asarray(y)
    weight = np.ones(len(y), dtype) if sample_weight is None else np.array(sample_weight, dtype)
    _check_rows(network, X, y, weight)
    y = y.astype(np.intp)
    soft = np.empty((0, network.biases[-1].size), dtype)
    soft_entropy = np.empty(0, dtype)
    if settings is not None and settings.distillation > 0:
        soft, soft_entropy = _soften(np.asarray(teacher), settings.temperature, network)
        if len(soft) != len(y):
            raise ValueError(f"The teacher's logits have {len(soft)} rows, X has {len(y)}.")
    used = weight != 0
    if not used.all():
        if not used.any():
            raise ValueError("All sample weights are zero: nothing is left to train on.")
        X, y, weight = X[used], y[used], weight[used]
        soft, soft_entropy = (a[used] if len(a) else a for a in (soft, soft_entropy))
    return Rows(X, y, weight, soft, soft_entropy)


def _check_rows(network: DenseNetwork, X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> None:
    """Refuse rows that do not fit the network: compiled loops would read beyond them."""
    if X.ndim != 2 or X.shape[1] != network.n_features:
        raise ValueError(
            f"X must have {network.n_features} columns for this network, got shape {X.shape}."
        )
    for name, array in (("y", y), ("sample_weight", weight)):
        if array.shape != X.shape[:1]:
            raise ValueError(
                f"{name} must have one value for each of the {len(X)} rows of X, got shape "
                f"{array.shape}."
            )
    n_classes = 2 if network.output == "logistic" else network.biases[-1].size
    if len(y) and not (y.min() >= 0 and y.max() < n_classes and (y == y.astype(np.intp)).all()):
        raise ValueError(
            f"y must hold the index of a class, 0 to {n_classes - 1}, for each row; it reaches "
            f"from {y.min()} to {y.max()}."
        )
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise ValueError("sample_weight must be finite and not negative.")


def _soften(
    teacher: np.ndarray, temperature: float, network: DenseNetwork
) -> tuple[np.ndarray, np.ndarray]:
    """Teacher's probabilities at a temperature, and per row the sum of p * log(p)."""
    n_outputs = network.biases[-1].size
    if network.output == "logistic" and teacher.ndim == 2 and teacher.shape[1] == 2:
        teacher = teacher[:, 1:] - teacher[:, :1]  # the teacher has an output for each class
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
