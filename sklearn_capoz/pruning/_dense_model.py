"""A dense network that can be pruned: arrays, their optimiser and how they are retrained."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from ..criteria import Connections, Layer
from ..networks._dense import DenseNetwork
from ..networks._groups import INPUTS, Member, UnitGroup
from ..training._engine import TrainingResult, TrainingSettings, TrainingTask, train
from ..training._mutual import train_mutually
from ..training._optimizer import OptimizerState
from ..training._pause import Pause
from ..training._samples import PruningData, Samples
from ._changes import Change, Mask, find_group, find_weights
from ._compensation import fold
from ._model import LayerWeights, ModelSize, copy_generator

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
        Draws the order of the rows in retraining, which goes on with a copy of it.
    teacher : ndarray of shape (n_train, n_outputs) or None
        The teacher's logits on the training samples, for distillation.
    loss_curve : tuple of float
        Training loss in each epoch of the last training.
    inputs : ndarray of shape (n_features,), bool, or None
        Which columns of the samples the network takes; None is all.
    prunes_inputs : bool
        Whether the inputs are a group of units that can go.
    begun : Pause or None
        Where that training has paused, to go on.
    peers : tuple of DenseModel or None
        Networks that learn with it and that it learns from, in place of a teacher.
    """

    network: DenseNetwork
    optimizer: OptimizerState | None
    settings: TrainingSettings
    device: str
    random_state: np.random.RandomState
    teacher: np.ndarray | None = None
    loss_curve: tuple[float, ...] = ()
    inputs: np.ndarray | None = None
    prunes_inputs: bool = False
    begun: Pause | None = None
    peers: tuple[DenseModel, ...] | None = None

    @property
    def widths(self) -> tuple[int, ...]:
        hidden = self.network.widths
        return (self.network.n_features, *hidden) if self.prunes_inputs else hidden

    @property
    def groups(self) -> tuple[UnitGroup, ...]:
        """A group for each hidden layer; layer i makes its units, the next one uses them.

        Before them the inputs, which nothing makes, where they are pruned too.
        """
        layers = zip(self.network.widths, self.network.activations, strict=True)
        hidden = tuple(
            UnitGroup(str(i), n_units, name, (Member(str(i), "out"), Member(str(i + 1), "in")))
            for i, (n_units, name) in enumerate(layers)
        )
        if not self.prunes_inputs:
            return hidden
        n_inputs = self.network.n_features
        return (UnitGroup(INPUTS, n_inputs, INPUTS, (Member("0", "in"),)), *hidden)

    def with_inputs(self) -> DenseModel:
        """Return the same network, whose inputs can be cut as well."""
        inputs = self.inputs
        if inputs is None:
            inputs = np.ones(self.network.n_features, dtype=bool)
        return replace(self, inputs=inputs, prunes_inputs=True)

    @property
    def size(self) -> ModelSize:
        network = self.network
        return ModelSize(network.n_parameters, network.n_bytes, network.n_multiply_adds)

    def multiply_adds(self, widths: Sequence[int]) -> int:
        first = () if self.prunes_inputs else (self.network.n_features,)
        sizes = (*first, *widths, self.network.weights[-1].shape[1])
        return sum(n_in * n_out for n_in, n_out in pairwise(sizes))

    def logits(self, X: np.ndarray) -> np.ndarray:
        return self.network.forward(self._taken(X))[-1]

    def labels(self, X: np.ndarray) -> np.ndarray:
        return self.network.labels(self.logits(X))

    def configured(self, settings: TrainingSettings, teacher: np.ndarray | None) -> DenseModel:
        peers = self.peers if settings.distillation > 0 else None
        return replace(self, settings=settings, teacher=teacher, peers=peers, begun=None)

    def until(self, epoch: int | None) -> DenseModel:
        return replace(self, settings=replace(self.settings, pause_at=epoch))

    def observe(
        self, samples: Samples, needs: frozenset[str], random_state: np.random.RandomState
    ) -> dict[str, Layer]:
        """View every group, after one forward pass (and one backward, if asked for)."""
        network, groups = self.network, self.groups
        by_inputs = self.prunes_inputs
        values: list = [None] * len(groups)
        gradients: list = [None] * len(groups)
        correct = None
        if needs:
            X = self._taken(samples.X)
            *hidden, logits = network.forward(X)
            values = [X, *hidden] if by_inputs else hidden
            correct = network.labels(logits) == samples.y
        if "gradients" in needs:
            gradients = network.backward(hidden, logits, samples.y, by_inputs=by_inputs)
        outgoing = network.weights[not by_inputs :]
        # No weight makes an input: its own are those that take it on.
        incoming = [weight.T for weight in network.weights[:-1]]
        if by_inputs:
            incoming.insert(0, network.weights[0])
        return {
            group.name: Layer(
                activations=_one_position(values[i]) if "activations" in needs else None,
                activation=group.activation,
                correct=correct,
                y=samples.y,
                sample_weight=samples.weight,
                incoming=incoming[i],
                outgoing=outgoing[i][:, None, :],
                random_state=random_state,
                gradients=_one_position(gradients[i]),
            )
            for i, group in enumerate(groups)
        }

    @property
    def connections(self) -> dict[str, LayerWeights]:
        """Weights of every layer, (n_in, n_out); each is used once for a sample."""
        return {str(i): LayerWeights(w, 1) for i, w in enumerate(self.network.weights)}

    def observe_connections(
        self, samples: Samples, needs: frozenset[str], random_state: np.random.RandomState
    ) -> dict[str, Connections]:
        """View the weights of every layer, after a forward pass (and one back, if asked for)."""
        network, n_layers = self.network, len(self.network.weights)
        squares: list = [None] * n_layers
        gradients: list = [None] * n_layers
        if needs:
            X = self._taken(samples.X)
            *hidden, logits = network.forward(X)
            inputs = [X, *hidden]
            share = samples.weight / samples.weight.sum()
        if "inputs" in needs:
            squares = [
                np.broadcast_to((share @ values**2)[:, None], weights.shape)
                for values, weights in zip(inputs, network.weights, strict=True)
            ]
        if "gradients" in needs:
            _, deltas = network.derivatives(hidden, logits, samples.y)
            # Of each sample the derivative is one product, whose absolute value is that of both.
            gradients = [
                (np.abs(values) * share[:, None]).T @ np.abs(delta)
                for values, delta in zip(inputs, deltas, strict=True)
            ]
        return {
            str(i): Connections(weights, random_state, gradients[i], squares[i])
            for i, weights in enumerate(network.weights)
        }

    def apply(self, change: Change, compensation: str | None, samples: Samples) -> DenseModel:
        """Mask weights; or remove units of one group, and let the next layer make up for them."""
        begun = None if self.begun is None else self.begun.after_cut()
        if isinstance(change, Mask):
            return replace(self._masked(change), begun=begun)
        position, keep = find_group(self.groups, change), change.keep
        user = position + (not self.prunes_inputs)  # the layer that uses them
        cut = partial(_cut, user, keep)
        network = cut(self.network)
        if compensation is not None:
            X = self._taken(samples.X)
            weights: list[Any] = list(network.weights)
            biases: list[Any] = list(network.biases)
            weights[user], biases[user] = fold(
                X if user == 0 else self.network.forward(X)[user - 1],
                keep,
                self.network.weights[user],
                self.network.biases[user],
                samples.weight,
                compensation,
            )
            network = replace(network, weights=tuple(weights), biases=tuple(biases))
        optimizer = None if self.optimizer is None else cut(self.optimizer)
        inputs = self.inputs
        if inputs is not None and user == 0:
            inputs = inputs.copy()
            inputs[inputs] = keep
        return replace(self, network=network, optimizer=optimizer, inputs=inputs, begun=begun)

    def _masked(self, change: Mask) -> DenseModel:
        weights = dict(zip(self.connections, self.network.weights, strict=True))
        old = find_weights(weights, change)
        weights[change.layer] = change.masked(old)
        network = replace(self.network, weights=tuple(weights.values()))
        settings = replace(self.settings, zeros_stay=True, surgery=change.surgery)
        return replace(self, network=network, settings=settings)

    @classmethod
    def train_together(
        cls, models: Sequence[DenseModel], data: Sequence[PruningData]
    ) -> list[tuple[DenseModel, int]]:
        """Train networks side by side, each by its own settings.

        Equal ones, as two criteria leave them that agree on a cut, are trained once.
        """
        trained = [(model, 0) for model in models]
        # What the engine trains in one call has the settings and the device in common.
        calls: dict[tuple, dict[tuple, list[int]]] = {}
        for i, (model, part) in enumerate(zip(models, data, strict=True)):
            if model.settings.max_iter > 0 and model.peers is not None:
                trained[i] = model._trained_with_peers(part)
            elif model.settings.max_iter > 0:
                equals = calls.setdefault((model.settings, model.device), {})
                # One alone has no equal, and the fingerprint takes as long as some epochs.
                key = (id(part), model._fingerprint()) if len(models) > 1 else ()
                equals.setdefault(key, []).append(i)
        for (settings, device), equals in calls.items():
            members = list(equals.values())
            tasks = [models[first]._task(data[first]) for first, *_ in members]
            results = train(tasks, settings, device=device)
            for numbers, task, result in zip(members, tasks, results, strict=True):
                for i in numbers:
                    trained[i] = models[i]._trained(task, result), result.n_epochs
        return trained

    def _trained_with_peers(self, data: PruningData) -> tuple[DenseModel, int]:
        assert self.peers is not None
        members = [self, *self.peers]
        tasks = [model._task(data) for model in members]
        results = train_mutually(tasks, self.settings)
        student, *peers = (
            model._trained(task, result)
            for model, task, result in zip(members, tasks, results, strict=True)
        )
        return replace(student, peers=tuple(peers)), results[0].n_epochs

    def _fingerprint(self) -> tuple:
        """Return what training depends on beside the samples, the settings and the device."""
        networks = [self.network]
        if self.optimizer is not None:
            networks.extend(self.optimizer.moments)
        arrays = [array for net in networks for array in (*net.weights, *net.biases)]
        arrays += [array for array in (self.teacher, self.inputs) if array is not None]
        return (
            self.network.activations,
            None if self.optimizer is None else self.optimizer.n_steps,
            *(array.tobytes() for array in arrays),
            pickle.dumps((self.random_state.get_state(), self.begun)),
        )

    def _task(self, data: PruningData) -> TrainingTask:
        # Early stopping watches the samples that units are scored on, never
        # those that the iteration is chosen on.
        watched = data.score if self.settings.early_stopping else None
        return TrainingTask(
            self.network,
            self._taken(data.train.X),
            data.train.y,
            sample_weight=data.train.weight,
            X_val=None if watched is None else self._taken(watched.X),
            y_val=None if watched is None else watched.y,
            sample_weight_val=None if watched is None else watched.weight,
            teacher=self.teacher,
            optimizer=self.optimizer,
            random_state=copy_generator(self.random_state),
            begun=self.begun,
        )

    def _taken(self, X: np.ndarray) -> np.ndarray:
        """Return the columns that the network takes."""
        return X if self.inputs is None or self.inputs.all() else X[:, self.inputs]

    def _trained(self, task: TrainingTask, result: TrainingResult) -> DenseModel:
        """Return the model after a training, with the generator that it has drawn from."""
        assert isinstance(task.random_state, np.random.RandomState)
        return replace(
            self,
            network=result.network,
            optimizer=result.optimizer,
            loss_curve=(() if self.begun is None else self.loss_curve) + result.loss_curve,
            random_state=task.random_state,
            begun=result.paused,
        )


def _cut(user: int, keep: np.ndarray, part: Any) -> Any:
    """Cut what the layer `user` takes out of a network, or out of what its optimiser holds."""
    return part.cut_inputs(keep) if user == 0 else part.cut(user - 1, keep)


def _one_position(values: np.ndarray | None) -> np.ndarray | None:
    """View the values of a dense layer's units, which are channels of one position."""
    return None if values is None else values[:, None, :]
