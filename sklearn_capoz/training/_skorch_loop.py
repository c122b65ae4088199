"""skorch's own training loop with a teacher, sample weights and the engine's rules.

Used where the engine cannot go: callbacks, custom modules, other optimizers. Weights and
teacher travel beside the labels in every batch and are handed to the criterion, so that the
net's callbacks see the batches that they know.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils import check_random_state
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import nn

from ..exceptions import UnsupportedNetworkError
from ._stopping import StoppingRule
from ._task import TrainingSettings

__all__ = ["train_with_skorch"]


def train_with_skorch(
    net: NeuralNetClassifier,
    X: np.ndarray,
    y: np.ndarray,
    settings: TrainingSettings,
    *,
    sample_weight: np.ndarray | None = None,
    X_val: np.ndarray | None = None,
    y_val: np.ndarray | None = None,
    sample_weight_val: np.ndarray | None = None,
    teacher: np.ndarray | None = None,
    random_state: int | np.random.RandomState | None = None,
    engine_order: bool = False,
) -> NeuralNetClassifier:
    """Go on training a net in place, with its own optimizer, iterators and callbacks.

    Parameters
    ----------
    net : NeuralNetClassifier
        Initialised or not. Its criterion is CrossEntropyLoss on logits or skorch's NLLLoss
        on probabilities where there are weights or a teacher.
    X, y : ndarray of shape (n_samples, ...) and (n_samples,)
    settings : TrainingSettings
        Of it count max_iter, learning_rate ("cosine" starts from the optimizer's own rate),
        tol, n_iter_no_change, early_stopping, distillation and temperature; the rest is
        the net's.
    sample_weight, X_val, y_val, sample_weight_val, teacher
        As in `TrainingTask`. The teacher's logits have the shape of the net's output. The
        net's own `train_split` is used when there is no validation set.
    random_state : int or RandomState, optional
        Seeds torch while the loop runs; the caller's generators stay as they were.
    engine_order : bool, default=False
        Whether batches are drawn as the engine draws them, and not by the net's iterator.

    Returns
    -------
    NeuralNetClassifier
        The same net.

    Raises
    ------
    UnsupportedNetworkError
        If the net's loss has no place for weights or a teacher.
    """
    random = check_random_state(random_state)
    if settings.distillation > 0 and teacher is None:
        raise ValueError(
            f"distillation={settings.distillation} needs the teacher's logits: give teacher."
        )
    side = {}
    if settings.distillation > 0:
        side["teacher"] = _two_columns(np.asarray(teacher))
    if sample_weight is not None:
        side["sample_weight"] = np.asarray(sample_weight)
        used = side["sample_weight"] != 0
        X, y, side = X[used], y[used], {name: array[used] for name, array in side.items()}
    side_val = {} if sample_weight_val is None else {"sample_weight": sample_weight_val}
    sampler = _EngineOrder(len(y), settings.shuffle, random) if engine_order else None
    # the engine's first draw is the first order of the rows, so the seed must not be one
    seed = (deepcopy(random) if engine_order else random).randint(2**31)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if not net.initialized_:
            net.initialize()
        criterion = _side_criterion(net, settings) if side or side_val else None
        with _borrowed(net, criterion, sampler), _rules(net, settings):
            if X_val is not None:
                net.train_split = predefined_split(_SideDataset(X_val, y_val, side_val))
            net.partial_fit(_SideDataset(X, y, side), y)
    return net


def _two_columns(teacher: np.ndarray) -> np.ndarray:
    """Logits of both classes where the teacher has one logistic output."""
    if teacher.shape[1] > 1:
        return teacher
    return np.hstack([np.zeros_like(teacher), teacher])


class _SideDataset(Dataset):
    """Rows with what else belongs to them: sample weight, teacher's logits."""

    def __init__(self, X, y, side: dict[str, np.ndarray]):
        super().__init__(X, y)
        self.side = side

    def __getitem__(self, i):
        X, y = super().__getitem__(i)
        return X, y, {name: array[i] for name, array in self.side.items()}


class _EngineOrder(torch.utils.data.Sampler):
    """Order of the rows, drawn anew for every epoch as the engine draws it."""

    def __init__(self, n_rows: int, shuffle: bool, random: np.random.RandomState):
        self.order = np.arange(n_rows)
        self.shuffle = shuffle
        self.random = random

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[int]:
        if self.shuffle:
            permutation = np.arange(len(self.order))
            self.random.shuffle(permutation)
            self.order = self.order[permutation]
        return iter(self.order.tolist())


class _SideLoss(nn.Module):
    """Mean over the batch with sample weights and a teacher's share, where the batch has them."""

    reduction: str
    weight: torch.Tensor | None

    def __init__(self, settings: TrainingSettings, **kwargs):
        super().__init__(reduction="none", **kwargs)
        self.share = settings.distillation
        self.temperature = settings.temperature
        self.side: dict[str, torch.Tensor] = {}
        self.side_is_used = True
        self.total_weight = 0.0

    def forward(self, logits, target):
        side, self.side_is_used = self.side, True
        losses = super().forward(logits, target)
        rows = torch.ones_like(losses) if self.weight is None else self.weight[target]
        if "sample_weight" in side:
            sample_weight = side["sample_weight"].to(losses)
            losses, rows = losses * sample_weight, rows * sample_weight
        if "teacher" in side:
            divergence = F.kl_div(
                torch.log_softmax(logits / self.temperature, dim=1),
                torch.log_softmax(side["teacher"].to(losses) / self.temperature, dim=1),
                reduction="none",
                log_target=True,
            ).sum(dim=1)
            soft = rows * self.temperature**2 * divergence
            losses = (1 - self.share) * losses + self.share * soft
        self.total_weight = float(rows.detach().sum())
        return losses.sum() / self.total_weight


class _SideCrossEntropy(_SideLoss, nn.CrossEntropyLoss):
    """On logits."""


class _SideNLL(_SideLoss, nn.NLLLoss):
    """On log-probabilities, which skorch makes of the module's probabilities."""


def _side_criterion(net: NeuralNetClassifier, settings: TrainingSettings) -> _SideLoss:
    """Make the net's criterion one with room for weights and a teacher."""
    old = net.criterion_
    if type(old) not in {nn.CrossEntropyLoss, nn.NLLLoss} or old.reduction != "mean":
        raise UnsupportedNetworkError(
            "Distillation and sample weights need a net whose criterion is CrossEntropyLoss on "
            "logits or NLLLoss on probabilities with reduction='mean', got "
            f"{type(old).__name__}. Train without them, or give the net such a criterion."
        )
    kwargs = {"weight": old.weight, "ignore_index": old.ignore_index}
    if isinstance(old, nn.CrossEntropyLoss):
        return _SideCrossEntropy(settings, label_smoothing=old.label_smoothing, **kwargs)
    return _SideNLL(settings, **kwargs)


class _SideLoader:
    """An iterator factory that takes the side data out of the batches for the criterion."""

    def __init__(self, make, criterion: _SideLoss | None, sampler: _EngineOrder | None = None):
        self.make = make
        self.criterion = criterion
        self.sampler = sampler

    def __call__(self, dataset, **kwargs):
        if self.sampler is not None:
            kwargs |= {"shuffle": False, "sampler": self.sampler}
        return _SideBatches(self.make(dataset, **kwargs), self.criterion)


class _SideBatches:
    """The batches as the net knows them, (X, y)."""

    def __init__(self, batches, criterion: _SideLoss | None):
        self.batches = batches
        self.criterion = criterion

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self):
        for X, y, *side in self.batches:
            if self.criterion is not None and side:
                self.criterion.side = side[0]
                self.criterion.side_is_used = not self.criterion.training
            yield X, y
            if self.criterion is not None and not self.criterion.side_is_used:
                raise UnsupportedNetworkError(
                    "The net's get_loss does not call its criterion_, so sample weights and "
                    "distillation would be ignored. Call super().get_loss in it."
                )


@contextmanager
def _borrowed(
    net: NeuralNetClassifier, criterion: _SideLoss | None, sampler: _EngineOrder | None
) -> Iterator[None]:
    """Let a net train on `_SideDataset`s; it has its own parts back in the end."""
    own = {
        name: getattr(net, name)
        for name in ("criterion_", "iterator_train", "iterator_valid", "train_split")
    }
    try:
        if criterion is not None:
            net.criterion_ = criterion
        net.iterator_train = _SideLoader(net.iterator_train, criterion, sampler)
        net.iterator_valid = _SideLoader(net.iterator_valid, criterion)
        yield
    finally:
        for name, value in own.items():
            setattr(net, name, value)


class _EngineRules(Callback):
    """The engine's learning rate, stopping rule and choice of the best epoch."""

    def __init__(self, settings: TrainingSettings):
        self.settings = settings

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        settings = self.settings
        self.n_epochs = 0
        self.best: tuple | None = None
        self.rates = [group["lr"] for group in net.optimizer_.param_groups]
        self.rule = StoppingRule(settings.tol, settings.n_iter_no_change, settings.early_stopping)

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        if self.settings.learning_rate == "cosine":
            share = self.settings.learning_rate_at(self.n_epochs) / self.settings.learning_rate_init
            for group, rate in zip(net.optimizer_.param_groups, self.rates, strict=True):
                group["lr"] = share * rate

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.n_epochs += 1
        epoch = net.history[-1]
        early_stopping = self.settings.early_stopping
        if early_stopping and "valid_acc" not in epoch:
            raise ValueError(
                "early_stopping=True watches 'valid_acc' in the net's history, which is not "
                "there: give a validation set and keep the net's own valid_acc callback."
            )
        batches = [batch for batch in epoch["batches"] if "train_loss" in batch]
        loss = np.average(
            [batch["train_loss"] for batch in batches],
            weights=[batch["train_batch_size"] for batch in batches],
        )
        is_best = self.rule.update(float(loss), epoch.get("valid_acc"))
        if is_best and early_stopping:
            parts = (net.module_, net.optimizer_)
            self.best = tuple(deepcopy(part.state_dict()) for part in parts)
        if self.rule.should_stop:
            raise KeyboardInterrupt  # skorch's way to end a fit, as in its EarlyStopping

    def finish(self, net: NeuralNetClassifier) -> None:
        """Bring back the best epoch and the learning rate."""
        if self.best is not None:
            net.module_.load_state_dict(self.best[0])
            net.optimizer_.load_state_dict(self.best[1])
        if self.settings.learning_rate == "cosine":
            for group, rate in zip(net.optimizer_.param_groups, self.rates, strict=True):
                group["lr"] = rate


@contextmanager
def _rules(net: NeuralNetClassifier, settings: TrainingSettings) -> Iterator[None]:
    """Train by the engine's rules for as long as the context lasts."""
    rules = _EngineRules(settings)
    callbacks, max_epochs = net.callbacks_, net.max_epochs
    net.callbacks_ = [*callbacks, ("engine_rules", rules)]
    net.max_epochs = settings.max_iter
    try:
        yield
        rules.finish(net)
    finally:
        net.callbacks_, net.max_epochs = callbacks, max_epochs
