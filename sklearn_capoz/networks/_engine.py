"""Training of dense networks, many side by side, with MLPClassifier's meaning of every setting."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Event

import numpy as np
from scipy.special import expit, log_softmax, xlogy
from sklearn.utils import check_random_state
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

from ._engine_stopping import StoppingRule
from ._network import DenseNetwork
from ._optimizer import N_MOMENTS, OptimizerState, flatten, unflatten

__all__ = ["TrainingResult", "TrainingSettings", "TrainingTask", "initial_network", "train"]


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


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What training made of one task.

    Parameters
    ----------
    network : DenseNetwork
    optimizer : OptimizerState
        Of the same epoch as the network.
    loss_curve, validation_losses, validation_accuracies : tuple of float
        One per epoch; the validation ones are empty without a validation set.
    n_epochs : int
    converged : bool
        Whether the stopping rule ended the training, and not `max_iter`.
    """

    network: DenseNetwork
    optimizer: OptimizerState
    loss_curve: tuple[float, ...]
    validation_losses: tuple[float, ...]
    validation_accuracies: tuple[float, ...]
    n_epochs: int
    converged: bool


def initial_network(
    n_features: int,
    hidden_layer_sizes: Sequence[int],
    n_classes: int,
    activation: str,
    random_state: int | np.random.RandomState | None,
    dtype: np.dtype | type | str,
    output: str = "softmax",
) -> DenseNetwork:
    """Draw Glorot-uniform weights and biases in MLPClassifier's order of draws.

    The same seed gives MLPClassifier's own initial weights.

    Parameters
    ----------
    n_features : int
    hidden_layer_sizes : sequence of int
    n_classes : int
    activation : {"relu", "tanh", "logistic", "identity"}
        Of all hidden layers.
    random_state : int, RandomState or None
    dtype : dtype
        Numbers are drawn in float64 and rounded to it.
    output : {"softmax", "logistic"}
        "logistic" is one output unit, for two classes.

    Examples
    --------
    >>> from sklearn_capoz.networks import initial_network
    >>> initial_network(50, (30,), 7, "relu", 0, "float32").n_parameters
    1747
    """
    if output == "logistic" and n_classes != 2:
        raise ValueError(f"A logistic output is for 2 classes, got n_classes={n_classes}.")
    random = check_random_state(random_state)
    n_outputs = n_classes if output == "softmax" else 1
    widths = [n_features, *hidden_layer_sizes, n_outputs]
    weights, biases = [], []
    for n_in, n_out in pairwise(widths):
        bound = math.sqrt((2 if activation == "logistic" else 6) / (n_in + n_out))
        weights.append(random.uniform(-bound, bound, (n_in, n_out)).astype(dtype, copy=False))
        biases.append(random.uniform(-bound, bound, n_out).astype(dtype, copy=False))
    activations = (activation,) * len(hidden_layer_sizes)
    return DenseNetwork(tuple(weights), tuple(biases), activations, output)


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
            permutation = np.arange(self.order.size)
            self.random.shuffle(permutation)
            self.order = self.order[permutation]
        return self.order

    def draw_dropout(self) -> np.ndarray:
        """Which hidden activations stay in the next epoch; no rows without dropout."""
        n_units = sum(self.task.network.widths)
        if self.settings.dropout == 0:
            return np.empty((0, n_units), dtype=bool)
        draw = np.random.default_rng(self.random.randint(2**31))
        chance = draw.integers(0, 2**16, (self.order.size, n_units), dtype=np.uint16)
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


def train(
    tasks: Sequence[TrainingTask],
    settings: TrainingSettings,
    *,
    device: str = "cpu",
    on_epoch: Callable[[int], object] | None = None,
) -> list[TrainingResult]:
    """Train networks side by side, each to its own stopping rule.

    The results are those of one call for each task, up to rounding. On the CPU every network
    runs its epochs as compiled loops, several at once in the threads that OpenMP may use here
    (OMP_NUM_THREADS, threadpoolctl); on another device, networks of equal depth and equally
    many rows share batched matrix products.

    Parameters
    ----------
    tasks : sequence of TrainingTask
        Networks may differ in widths, and data in rows.
    settings : TrainingSettings
    device : str, default="cpu"
        Any device of torch: "cuda" is for many networks.
    on_epoch : callable, optional
        Called with the number of epochs just done, summed over networks: the `update` of a
        progress bar. It may be called from several threads.

    Returns
    -------
    list of TrainingResult
        In the order of the tasks.

    Raises
    ------
    ValueError
        If a task lacks what the settings need, if two tasks draw from one RandomState, or if
        weights end up not finite.

    Examples
    --------
    Three random restarts of a small network:

    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_capoz.networks import TrainingSettings, TrainingTask, initial_network, train
    >>> X, y = load_iris(return_X_y=True)
    >>> tasks = [
    ...     TrainingTask(
    ...         initial_network(4, (8,), 3, "relu", seed, X.dtype), X, y, random_state=seed
    ...     )
    ...     for seed in range(3)
    ... ]
    >>> results = train(tasks, TrainingSettings(max_iter=50, learning_rate_init=0.01))
    >>> [result.network.widths for result in results]
    [(8,), (8,), (8,)]
    >>> best = min(results, key=lambda result: result.loss_curve[-1]).network
    >>> bool((best.labels(best.forward(X)[-1]) == y).mean() > 0.9)
    True
    """
    generators = [
        id(task.random_state)
        for task in tasks
        if isinstance(task.random_state, np.random.RandomState)
    ]
    if len(set(generators)) < len(generators):
        raise ValueError(
            "Two tasks draw from the same RandomState, so that their results would depend on "
            "which is faster. Give each task a seed or a RandomState of its own."
        )
    trainees = [Trainee(task, settings) for task in tasks]
    report = on_epoch or (lambda n: None)
    if str(device) != "cpu":
        from ._engine_device import train_on_device

        train_on_device(trainees, settings, str(device), report)
    else:
        _train_in_threads(trainees, report)
    return [trainee.result() for trainee in trainees]


def _train_in_threads(trainees: list[Trainee], report: Callable[[int], object]) -> None:
    from ._engine_compiled import train_one

    n_threads = min(len(trainees), _openmp_effective_n_threads())
    cancelled = Event()
    if n_threads < 2:
        for trainee in trainees:
            train_one(trainee, report, cancelled)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for _ in pool.map(lambda t: train_one(t, report, cancelled), trainees):
                pass
        except BaseException:  # an interrupt must not wait for the other networks
            cancelled.set()
            raise
