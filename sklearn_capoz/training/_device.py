"""Many networks as one batched matrix product per layer: for devices that like large work.

All arrays have a leading axis, one entry per network: parameters (K, P), rows (K, n, d).
Narrower networks are padded to the widest of their group. A padded unit's parameters start at
zero and their gradient is masked, so they stay there and nothing flows through them, whatever
the activation makes of a zero. So it is with connections that are gone.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F

from ..networks._activations import ACTIVATIONS
from ._task import TrainingSettings
from ._trainee import Rows, Trainee


def train_on_device(
    trainees: list[Trainee],
    settings: TrainingSettings,
    device: str,
    report: Callable[[int], object],
) -> None:
    """Train in groups that can share an array; see `train`."""
    groups: dict[tuple, list[Trainee]] = {}
    for trainee in trainees:
        groups.setdefault(_kind(trainee), []).append(trainee)
    for group in groups.values():
        networks = SideBySide(group, settings, device)
        while networks.trainees:
            n_networks = len(networks.trainees)
            networks.run_epoch()
            report(n_networks)


def _kind(trainee: Trainee) -> tuple:
    network, validation = trainee.task.network, trainee.validation
    return (
        network.activations,
        network.output,
        network.dtype,
        network.biases[-1].size,
        trainee.rows.X.shape,
        None if validation is None else validation.X.shape,
        trainee.n_epochs,  # the learning rate is that of an epoch
    )


class _DeviceRows:
    """Rows of all networks on the device; data sets that are one and the same are kept once."""

    def __init__(self, rows: list[Rows], device: str):
        sets = {id(r.X): r.X for r in rows}
        place = {key: i for i, key in enumerate(sets)}
        self.X = torch.from_numpy(np.stack(list(sets.values()))).to(device)
        self.which = torch.tensor([[place[id(r.X)]] for r in rows], device=device)
        self.y, self.weight, self.soft, self.soft_entropy = (
            torch.from_numpy(np.stack([getattr(r, name) for r in rows])).to(device)
            for name in ("y", "weight", "soft", "soft_entropy")
        )

    def select(self, networks: torch.Tensor) -> None:
        """Keep the rows of some networks only."""
        for name in ("which", "y", "weight", "soft", "soft_entropy"):
            setattr(self, name, getattr(self, name)[networks])


class SideBySide:
    """Networks of one group, their parameters and moments along a leading axis."""

    def __init__(self, trainees: list[Trainee], settings: TrainingSettings, device: str):
        self.trainees, self.settings, self.device = trainees, settings, device
        network = trainees[0].task.network
        self.activations, self.softmax = network.activations, network.output == "softmax"
        hidden = np.max([trainee.task.network.widths for trainee in trainees], axis=0)
        self.widths = [network.n_features, *map(int, hidden), network.biases[-1].size]
        self.positions = [self._positions(trainee.task.network.widths) for trainee in trainees]
        self.parameters = self._padded([trainee.parameters for trainee in trainees])
        self.mask = self._padded(
            [trainee.moves.astype(trainee.parameters.dtype) for trainee in trainees]
        )
        n_moments = len(trainees[0].moments)
        self.moments = [
            self._padded([trainee.moments[i] for trainee in trainees]) for i in range(n_moments)
        ]
        self.n_steps = torch.tensor(
            [[float(trainee.n_steps)] for trainee in trainees], dtype=torch.float64, device=device
        )
        self.rows = _DeviceRows([trainee.rows for trainee in trainees], device)
        validation = [t.validation for t in trainees if t.validation is not None]
        self.validation = _DeviceRows(validation, device) if validation else None
        self._leave()

    @property
    def n_weights(self) -> int:
        return sum(n_in * n_out for n_in, n_out in pairwise(self.widths))

    def _positions(self, hidden: tuple[int, ...]) -> np.ndarray:
        """Where a narrower network's flat parameters are among the padded ones."""
        own = [self.widths[0], *hidden, self.widths[-1]]
        places, start = [], 0
        for layer, (n_in, n_out) in enumerate(pairwise(self.widths)):
            block = np.arange(start, start + n_in * n_out).reshape(n_in, n_out)
            places.append(block[: own[layer], : own[layer + 1]].ravel())
            start += n_in * n_out
        for layer, n_out in enumerate(self.widths[1:]):
            places.append(np.arange(start, start + own[layer + 1]))
            start += n_out
        return np.concatenate(places)

    def _padded(self, vectors: list[np.ndarray]) -> torch.Tensor:
        padded = np.zeros((len(vectors), self.n_weights + sum(self.widths[1:])), vectors[0].dtype)
        for row, positions, vector in zip(padded, self.positions, vectors, strict=True):
            row[positions] = vector
        return torch.from_numpy(padded).to(self.device)

    def _layers(self, flat: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return views of flat parameters: weights (K, n_in, n_out), biases (K, 1, n_out)."""
        weights, biases, start, bias_start = [], [], 0, self.n_weights
        for n_in, n_out in pairwise(self.widths):
            weights.append(flat[:, start : start + n_in * n_out].unflatten(1, (n_in, n_out)))
            biases.append(flat[:, None, bias_start : bias_start + n_out])
            start += n_in * n_out
            bias_start += n_out
        return list(zip(weights, biases, strict=True))

    def run_epoch(self) -> None:
        """Run once through all rows, take note, and let go of the networks that are done."""
        settings = self.settings
        order = np.stack([trainee.draw_order() for trainee in self.trainees])
        keep = self._draw_dropout()
        rate = settings.learning_rate_at(self.trainees[0].n_epochs)
        n_rows, size = order.shape[1], self.trainees[0].batch_rows
        device_order = torch.from_numpy(order).to(self.device)
        loss = torch.zeros(len(self.trainees), dtype=torch.float64, device=self.device)
        for start in range(0, n_rows, size):
            part = slice(start, start + size)
            kept = [mask[:, part] for mask in keep]
            loss += self._train_batch(device_order[:, part], kept, rate)
        scores = self._validate()
        for i, mean_loss in enumerate((loss / n_rows).tolist()):
            trainee = self.trainees[i]
            if trainee.record(mean_loss, None if scores is None else scores[i]):
                trainee.best = self._own_state(i)
        self._leave()

    def _draw_dropout(self) -> list[torch.Tensor]:
        """For each hidden layer the factors (K, n, h) of the activations; none without."""
        dropout = self.settings.dropout
        if dropout == 0:
            return []
        draws = [trainee.draw_dropout() for trainee in self.trainees]
        factors, starts = [], [0] * len(draws)
        for layer, n_units in enumerate(self.widths[1:-1]):
            factor = np.zeros((len(draws), draws[0].shape[0], n_units), dtype=bool)
            for i, trainee in enumerate(self.trainees):
                own = trainee.task.network.widths[layer]
                factor[i, :, :own] = draws[i][:, starts[i] : starts[i] + own]
                starts[i] += own
            kept = torch.from_numpy(factor).to(self.device)
            factors.append(kept.to(self.parameters.dtype) / (1 - dropout))
        return factors

    def _forward(self, X: torch.Tensor, keep: list[torch.Tensor]) -> list[torch.Tensor]:
        """Input of every layer, then the logits; dropout is applied to the inputs."""
        outputs = [X]
        for layer, (weight, bias) in enumerate(self._layers(self.parameters)):
            Z = torch.baddbmm(bias, outputs[-1], weight)
            if layer < len(self.activations):
                function = ACTIVATIONS[self.activations[layer]].torch_function
                if function:
                    getattr(torch, f"{function}_")(Z)
                if keep:
                    Z *= keep[layer]
            outputs.append(Z)
        return outputs

    def _train_batch(
        self, order: torch.Tensor, keep: list[torch.Tensor], rate: float
    ) -> torch.Tensor:
        """Take one step on one batch; return each network's loss times the batch's rows."""
        rows, alpha = self.rows, self.settings.alpha
        outputs = self._forward(rows.X[rows.which, order], keep)
        weight = rows.weight.gather(1, order)
        loss, delta = self._loss(outputs.pop(), rows.y.gather(1, order), order)
        total_weight = weight.sum(1, keepdim=True)
        delta *= weight[..., None]
        weights = self.parameters[:, : self.n_weights]
        penalty = 0.5 * alpha * weights.square().sum(1)
        loss = ((loss * weight).sum(1) + penalty) / total_weight[:, 0]
        gradient = self._backward(outputs, delta, keep)
        gradient[:, : self.n_weights].add_(weights, alpha=alpha)
        gradient.div_(total_weight).mul_(self.mask)
        self._step(gradient, rate)
        return loss.double() * order.shape[1]

    def _loss(
        self, logits: torch.Tensor, y: torch.Tensor, order: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss (K, n) of every row, without its weight, and its gradient in the logits.

        Without `order` it is the plain cross-entropy of a validation set.
        """
        share = self.settings.distillation if order is not None else 0.0
        loss, gradient = self._cross_entropy(logits, y)
        if share == 0 or order is None:
            return loss, gradient
        T, index = self.settings.temperature, order[..., None]
        soft = self.rows.soft.gather(1, index.expand(-1, -1, logits.shape[2]))
        scaled = logits / T
        if self.softmax:
            log_p = torch.log_softmax(scaled, 2)
            divergence = -(soft * log_p).sum(2)
            pull = log_p.exp() - soft
        else:
            divergence = (F.softplus(scaled) - soft * scaled)[..., 0]
            pull = torch.sigmoid(scaled) - soft
        divergence = divergence + self.rows.soft_entropy.gather(1, order)
        loss = (1 - share) * loss + share * T**2 * divergence
        return loss, (1 - share) * gradient + share * T * pull

    def _cross_entropy(
        self, logits: torch.Tensor, y: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.softmax:
            target = y[..., None].to(logits.dtype)
            loss = F.softplus(logits) - target * logits
            return loss[..., 0], torch.sigmoid(logits) - target
        log_p = torch.log_softmax(logits, 2)
        loss = -log_p.gather(2, y[..., None])[..., 0]
        gradient = log_p.exp()
        gradient.scatter_add_(2, y[..., None], -torch.ones_like(loss)[..., None])
        return loss, gradient

    def _backward(
        self, inputs: list[torch.Tensor], delta: torch.Tensor, keep: list[torch.Tensor]
    ) -> torch.Tensor:
        gradient = torch.empty_like(self.parameters)
        layers, gradients = self._layers(self.parameters), self._layers(gradient)
        for layer in reversed(range(len(layers))):
            weight_gradient, bias_gradient = gradients[layer]
            weight_gradient.copy_(torch.bmm(inputs[layer].mT, delta))
            bias_gradient.copy_(delta.sum(1, keepdim=True))
            if layer > 0:
                delta = torch.bmm(delta, layers[layer][0].mT)
                A = inputs[layer]
                if keep:
                    delta *= keep[layer - 1]
                    A = A * (1 - self.settings.dropout)
                delta *= ACTIVATIONS[self.activations[layer - 1]].derivative(A)
        return gradient

    def _step(self, gradient: torch.Tensor, rate: float) -> None:
        settings = self.settings
        self.n_steps += 1
        first = self.moments[0]
        if settings.solver == "sgd":
            first.mul_(settings.momentum).add_(gradient)
            step = first
            if settings.nesterovs_momentum:
                step = gradient.add(first, alpha=settings.momentum)
            self.parameters.sub_(step, alpha=rate)
            return
        second = self.moments[1]
        first.lerp_(gradient, 1 - settings.beta_1)
        second.mul_(settings.beta_2).addcmul_(gradient, gradient, value=1 - settings.beta_2)
        size = rate * torch.sqrt(1 - settings.beta_2**self.n_steps)
        size = (size / (1 - settings.beta_1**self.n_steps)).to(first.dtype)
        self.parameters.sub_(size * first / second.sqrt().add_(settings.epsilon))

    def _validate(self) -> list[tuple[float, float]] | None:
        rows = self.validation
        if rows is None:
            return None
        logits = self._forward(rows.X[rows.which[:, 0]], [])[-1]
        loss, _ = self._loss(logits, rows.y, None)
        labels = logits.argmax(2) if self.softmax else (logits[..., 0] > 0).long()
        weight = rows.weight / rows.weight.sum(1, keepdim=True)
        loss, accuracy = (weight * loss).sum(1), (weight * (labels == rows.y)).sum(1)
        return list(zip(loss.tolist(), accuracy.tolist(), strict=True))

    def _own_state(self, i: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Return one network's parameters, moments and steps, without the padding."""
        places = torch.from_numpy(self.positions[i]).to(self.device)
        moments = torch.stack([moment[i, places] for moment in self.moments])
        parameters = self.parameters[i, places].cpu().numpy()
        return parameters, moments.cpu().numpy(), int(self.n_steps[i])

    def _leave(self) -> None:
        """Hand back the networks that have finished; the others close ranks."""
        stay = [i for i, trainee in enumerate(self.trainees) if not trainee.finished]
        if len(stay) == len(self.trainees):
            return
        for i in sorted(set(range(len(self.trainees))) - set(stay)):
            trainee = self.trainees[i]
            trainee.parameters, trainee.moments, trainee.n_steps = self._own_state(i)
        self.trainees = [self.trainees[i] for i in stay]
        self.positions = [self.positions[i] for i in stay]
        rest = torch.tensor(stay, dtype=torch.long, device=self.device)
        self.parameters, self.mask = self.parameters[rest], self.mask[rest]
        self.moments = [moment[rest] for moment in self.moments]
        self.n_steps = self.n_steps[rest]
        for rows in (self.rows, self.validation):
            if rows is not None:
                rows.select(rest)
