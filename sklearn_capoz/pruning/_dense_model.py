"""A dense network that can be pruned: arrays, their optimiser and how they are retrained."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..criteria import Layer
from ..networks._dense import DenseNetwork
from ..training._engine import TrainingSettings, TrainingTask, train
from ..training._optimizer import OptimizerState
from ..training._samples import PruningData, Samples
from ._compensation import fold

__all__ = ["DenseModel"]


@dataclass(frozen=True, eq=False)
class DenseModel:
    """A dense network under pruning.

    Parameters
    ----------
    network : DenseNetwork
    optimizer : OptimizerState or None
        Goes on in retraining, cut with the weights.
    settings : TrainingSettings
        Of the retraining; `max_iter=0` prunes without retraining.
    device : str
    random_state : RandomState
        Draws the order of the rows in retraining.
    teacher : ndarray of shape (n_train, n_outputs) or None
        Logits of the dense network on the training samples, for distillation.
    loss_curve : tuple of float
        Training loss in each epoch of the last training.
    """

    network: DenseNetwork
    optimizer: OptimizerState | None
    settings: TrainingSettings
    device: str
    random_state: np.random.RandomState
    teacher: np.ndarray | None = None
    loss_curve: tuple[float, ...] = ()

    @property
    def widths(self) -> tuple[int, ...]:
        return self.network.widths

    @property
    def n_parameters(self) -> int:
        return self.network.n_parameters

    @property
    def n_bytes(self) -> int:
        return self.network.n_bytes

    def logits(self, X: np.ndarray) -> np.ndarray:
        return self.network.forward(X)[-1]

    def predicted_codes(self, X: np.ndarray) -> np.ndarray:
        return self.network.labels(self.logits(X))

    def layers(
        self, samples: Samples, gradients: bool, random_state: np.random.RandomState
    ) -> list[Layer]:
        """View every hidden layer, after one forward pass (and one backward, if asked for)."""
        network = self.network
        *hidden, logits = network.forward(samples.X)
        correct = network.labels(logits) == samples.y
        by_unit = network.backward(hidden, logits, samples.y) if gradients else [None] * len(hidden)
        return [
            Layer(
                activations=hidden[i],
                activation=network.activations[i],
                correct=correct,
                y=samples.y,
                sample_weight=samples.weight,
                incoming=network.weights[i],
                outgoing=network.weights[i + 1],
                random_state=random_state,
                gradients=by_unit[i],
            )
            for i in range(len(hidden))
        ]

    def cut(
        self, layer: int, keep: np.ndarray, compensation: str | None, samples: Samples
    ) -> DenseModel:
        """Remove units of one hidden layer, and let the next layer make up for them."""
        network = self.network.cut(layer, keep)
        if compensation is not None:
            weights, biases = list(network.weights), list(network.biases)
            weights[layer + 1], biases[layer + 1] = fold(
                self.network.forward(samples.X)[layer],
                keep,
                self.network.weights[layer + 1],
                self.network.biases[layer + 1],
                samples.weight,
                compensation,
            )
            network = replace(network, weights=tuple(weights), biases=tuple(biases))
        optimizer = None if self.optimizer is None else self.optimizer.cut(layer, keep)
        return replace(self, network=network, optimizer=optimizer)

    @classmethod
    def retrain_together(
        cls, models: Sequence[DenseModel], data: Sequence[PruningData]
    ) -> list[tuple[DenseModel, int]]:
        """Train networks side by side; they share the settings of the first.

        Equal ones, as two criteria leave them that agree on a cut, are trained once.
        """
        settings = models[0].settings
        if settings.max_iter == 0:
            return [(model, 0) for model in models]
        pairs = list(zip(models, data, strict=True))
        keys = [(id(part), model._fingerprint()) for model, part in pairs]
        leaders = dict(zip(reversed(keys), reversed(pairs), strict=True))  # the first of equals
        tasks = [model._task(part) for model, part in leaders.values()]
        results = dict(zip(leaders, train(tasks, settings, device=models[0].device), strict=True))
        trained = []
        for model, key in zip(models, keys, strict=True):
            result = results[key]
            # The leader's generator has been drawn from; the others' are to follow.
            model.random_state.set_state(leaders[key][0].random_state.get_state())
            new = replace(
                model,
                network=result.network,
                optimizer=result.optimizer,
                loss_curve=result.loss_curve,
            )
            trained.append((new, result.n_epochs))
        return trained

    def _fingerprint(self) -> tuple:
        """Return what training depends on beside the samples."""
        networks = [self.network]
        if self.optimizer is not None:
            networks.extend(self.optimizer.moments)
        arrays = [array for net in networks for array in (*net.weights, *net.biases)]
        if self.teacher is not None:
            arrays.append(self.teacher)
        return (
            self.network.activations,
            None if self.optimizer is None else self.optimizer.n_steps,
            *(array.tobytes() for array in arrays),
            pickle.dumps(self.random_state.get_state()),
        )

    def _task(self, data: PruningData) -> TrainingTask:
        # Early stopping watches the samples that units are scored on, never
        # those that the iteration is chosen on.
        watched = data.score if self.settings.early_stopping else None
        return TrainingTask(
            self.network,
            data.train.X,
            data.train.y,
            sample_weight=data.train.weight,
            X_val=None if watched is None else watched.X,
            y_val=None if watched is None else watched.y,
            sample_weight_val=None if watched is None else watched.weight,
            teacher=self.teacher,
            optimizer=self.optimizer,
            random_state=self.random_state,
        )
