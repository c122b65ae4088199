"""Training of dense networks, many side by side, with MLPClassifier's meaning of every setting."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Event

import numpy as np
from sklearn.utils import check_random_state

from .._sklearn import effective_n_threads
from ..networks._activations import ACTIVATIONS
from ..networks._dense import DenseNetwork
from ._cpu import train_one
from ._task import TrainingResult, TrainingSettings, TrainingTask
from ._trainee import Trainee

__all__ = ["TrainingResult", "TrainingSettings", "TrainingTask", "initial_network", "train"]


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
        bound = math.sqrt(ACTIVATIONS[activation].glorot / (n_in + n_out))
        weights.append(random.uniform(-bound, bound, (n_in, n_out)).astype(dtype, copy=False))
        biases.append(random.uniform(-bound, bound, n_out).astype(dtype, copy=False))
    activations = (activation,) * len(hidden_layer_sizes)
    return DenseNetwork(tuple(weights), tuple(biases), activations, output)


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
        from ._device import train_on_device

        train_on_device(trainees, settings, str(device), report)
    else:
        _train_in_threads(trainees, report)
    return [trainee.result() for trainee in trainees]


def _train_in_threads(trainees: list[Trainee], report: Callable[[int], object]) -> None:
    n_threads = min(len(trainees), effective_n_threads())
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
