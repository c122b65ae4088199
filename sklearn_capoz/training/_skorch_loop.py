"""skorch's own training loop with a teacher, sample weights and the engine's rules.

Used where the engine cannot go: callbacks, custom modules, other optimizers. Weights and
teacher travel beside the labels in every batch and are handed to the criterion, so that the
net's callbacks see the batches that they know.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from skorch.helper import predefined_split

from ..exceptions import UnsupportedNetworkError
from ..networks._inputs import take
from ._pause import Pause
from ._side_loss import SideLoss, side_criterion
from ._skorch_anew import begun_anew, gone_on
from ._skorch_data import EngineOrder, SideLoader, beside
from ._skorch_surgery import Surgery
from ._stopping import StoppingRule
from ._task import TrainingSettings
from ._zeros import ZerosStay

__all__ = ["train_with_skorch"]


def train_with_skorch(
    net: NeuralNetClassifier,
    X: Any,
    y: np.ndarray,
    settings: TrainingSettings,
    *,
    sample_weight: np.ndarray | None = None,
    X_val: Any = None,
    y_val: np.ndarray | None = None,
    sample_weight_val: np.ndarray | None = None,
    teacher: np.ndarray | None = None,
    random_state: int | np.random.RandomState | None = None,
    engine_order: bool = False,
    begun: Pause | None = None,
) -> tuple[int, Pause | None]:
    """Go on training a net in place, with its own optimizer, iterators and callbacks.

    Parameters
    ----------
    net : NeuralNetClassifier
        Initialised or not. Its criterion is CrossEntropyLoss on logits or skorch's NLLLoss
        on probabilities where there are weights or a teacher.
    X, y : ndarray of shape (n_samples, ...) and (n_samples,)
        X may be a dict or tuple of arrays, as the net's module takes them.
    settings : TrainingSettings
        Of it count max_iter, pause_at, learning_rate ("cosine" starts from the optimizer's own
        rate), tol, n_iter_no_change, early_stopping, distillation, temperature and zeros_stay; the
        rest is the net's. A callback that ends the training ends it before `pause_at`, too.
    sample_weight, X_val, y_val, sample_weight_val, teacher
        As in `TrainingTask`. The teacher's logits have the shape of the net's output. The
        net's own `train_split` is used when there is no validation set.
    random_state : int or RandomState, optional
        Seeds torch while the loop runs; the caller's generators stay as they were.
    engine_order : bool, default=False
        Whether batches are drawn as the engine draws them, and not by the net's iterator.
    begun : Pause, optional
        Where an earlier call has paused this training. Learning rate schedules go on from there;
        the other callbacks begin anew.

    Returns
    -------
    n_epochs : int
        Of this call.
    paused : Pause or None
        Where it has paused, as `pause_at` says.

    Raises
    ------
    UnsupportedNetworkError
        If the net's loss has no place for weights or a teacher, or a callback puts another module
        in the place of the net's.
    KeyboardInterrupt
        On Ctrl-C, which skorch by itself takes as the end of the training.
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
        X, y, side = take(X, used), y[used], {name: array[used] for name, array in side.items()}
    side_val = {} if sample_weight_val is None else {"sample_weight": sample_weight_val}
    sampler = EngineOrder(len(y), settings.shuffle, random) if engine_order else None
    # the engine's first draw is the first order of the rows, so the seed must not be one
    seed = (deepcopy(random) if engine_order else random).randint(2**31)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if begun is not None:
            torch.set_rng_state(torch.from_numpy(begun.draws.copy()))
        if not net.initialized_:
            net.initialize()
        criterion = side_criterion(net, settings) if side or side_val else None
        with (
            _borrowed(net, criterion, sampler, X, side),
            _rules(net, settings, begun) as rules,
            begun_anew(net, settings) if begun is None else gone_on(net),
            interrupts() as interrupted,
        ):
            if X_val is not None:
                net.train_split = predefined_split(beside(net.get_dataset(X_val, y_val), side_val))
            net.partial_fit(X, y)
            # skorch takes it as the end of this training, but the user wants all to end.
            if interrupted:
                raise KeyboardInterrupt
        if settings.pause_at is None:
            return rules.n_epochs, None
        n_before, state = rules.n_before, torch.get_rng_state().numpy()
    return rules.n_epochs, Pause(n_before + rules.n_epochs, rules.rule, state, rules.best)


def _two_columns(teacher: np.ndarray) -> np.ndarray:
    """Logits of both classes where the teacher has one logistic output."""
    if teacher.shape[1] > 1:
        return teacher
    return np.hstack([np.zeros_like(teacher), teacher])


@contextmanager
def _borrowed(
    net: NeuralNetClassifier,
    criterion: SideLoss | None,
    sampler: EngineOrder | None,
    X: Any,
    side: dict[str, np.ndarray],
) -> Iterator[None]:
    """Let a net train on `_SideDataset`s; it has its own parts back in the end."""
    own = {
        name: getattr(net, name)
        for name in ("criterion_", "iterator_train", "iterator_valid", "train_split")
    }
    try:
        if criterion is not None:
            net.criterion_ = criterion
        if side:  # callbacks see X itself
            net.get_dataset = partial(_dataset_beside, net, X, side)
        net.iterator_train = SideLoader(net, net.iterator_train, criterion, sampler, True)
        net.iterator_valid = SideLoader(net, net.iterator_valid, criterion)
        yield
    finally:
        vars(net).pop("get_dataset", None)
        for name, value in own.items():
            setattr(net, name, value)


def _dataset_beside(net: NeuralNetClassifier, X: Any, side: dict, given, y=None):
    """Make the net's own dataset of what is given; the training samples' has side data."""
    return beside(type(net).get_dataset(net, given, y), side if given is X else {})


_REMEDY = (
    "finite: it diverges. Take a smaller learning rate, lr of a skorch net or learning_rate_init, "
    "or scale the features, by StandardScaler for example."
)


class _EngineRules(Callback):
    """The engine's learning rate, stopping rule and choice of the best epoch."""

    def __init__(self, settings: TrainingSettings, module: torch.nn.Module, begun: Pause | None):
        self.settings = settings
        self.module = module
        self.begun = begun
        self.n_before = 0 if begun is None else begun.n_epochs

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        settings = self.settings
        if net.module_ is not self.module:
            raise UnsupportedNetworkError(
                "A callback made the net's module anew as training began, by set_params in "
                "on_train_begin for example: a pruned module would be lost. Give the net its "
                "parameters before."
            )
        self.n_epochs = 0
        self.rates = [group["lr"] for group in net.optimizer_.param_groups]
        rule = StoppingRule(settings.tol, settings.n_iter_no_change, settings.early_stopping)
        self.rule = rule if self.begun is None else self.begun.begin()
        self.best: tuple | None = None if self.begun is None else self.begun.best

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        if self.settings.learning_rate == "cosine":
            rate = self.settings.learning_rate_at(self.n_before + self.n_epochs)
            share = rate / self.settings.learning_rate_init
            for group, first in zip(net.optimizer_.param_groups, self.rates, strict=True):
                group["lr"] = share * first
        if isinstance(net.criterion_, SideLoss):
            net.criterion_.forget()
        self.n_epochs += 1  # here, as other callbacks may end the training before this one's turn

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        epoch = net.history[-1]
        early_stopping = self.settings.early_stopping
        if early_stopping and "valid_acc" not in epoch:
            raise ValueError(
                "early_stopping=True watches 'valid_acc' in the net's history, which is not "
                "there: give a validation set and keep the net's own valid_acc callback."
            )
        batches = [batch for batch in epoch["batches"] if "train_loss" in batch]
        if not batches:
            raise ValueError(
                f"The net had no batch to train on: batch_size={net.batch_size} is more than there "
                "are samples, and drop_last leaves out what does not fill a batch. Take a smaller "
                "batch_size, or drop_last=False."
            )
        loss = np.average(
            [batch["train_loss"] for batch in batches],
            weights=[batch["train_batch_size"] for batch in batches],
        )
        # No later epoch brings the weights back; early stopping has an earlier one's to give.
        if not np.isfinite(loss) and self.best is None:
            raise ValueError(
                f"The training loss is {loss} in epoch {self.n_epochs} of this training, not "
                f"{_REMEDY}"
            )
        # The net's own callback knows of no weights, and the history keeps what that has measured.
        weighted = getattr(net.criterion_, "validation_accuracy", None)
        accuracy = epoch.get("valid_acc") if weighted is None else weighted
        is_best = self.rule.update(float(loss), accuracy)
        if is_best and early_stopping:
            parts = (net.module_, net.optimizer_)
            self.best = tuple(deepcopy(part.state_dict()) for part in parts)
        if self.rule.should_stop and self.settings.pause_at is None:
            raise KeyboardInterrupt  # skorch's way to end a fit, as in its EarlyStopping

    def finish(self, net: NeuralNetClassifier) -> None:
        """Bring back the best epoch and the learning rate; see that the weights are numbers."""
        if self.best is not None and self.settings.pause_at is None:
            net.module_.load_state_dict(self.best[0])
            net.optimizer_.load_state_dict(self.best[1])
        # A loss is measured before its step: the last step's weights are in none.
        if not all(torch.isfinite(parameter).all() for parameter in net.module_.parameters()):
            raise ValueError(f"The last step of the training gave weights that are not {_REMEDY}")
        if self.settings.learning_rate == "cosine":
            for group, rate in zip(net.optimizer_.param_groups, self.rates, strict=True):
                group["lr"] = rate


@contextmanager
def _rules(
    net: NeuralNetClassifier, settings: TrainingSettings, begun: Pause | None
) -> Iterator[_EngineRules]:
    """Train by the engine's rules for as long as the context lasts."""
    rules = _EngineRules(settings, net.module_, begun)
    callbacks, max_epochs = net.callbacks_, net.max_epochs
    net.callbacks_ = [*callbacks, ("engine_rules", rules)]
    if settings.zeros_stay:
        rule = settings.surgery
        zeros = ZerosStay() if rule is None else Surgery(rule)
        net.callbacks_.insert(0, ("zeros_stay", zeros.initialize()))
    last = settings.max_iter if settings.pause_at is None else settings.pause_at
    net.max_epochs = max(last - rules.n_before, 0)
    try:
        yield rules
        rules.finish(net)
    finally:
        net.callbacks_, net.max_epochs = callbacks, max_epochs


@contextmanager
def interrupts() -> Iterator[list]:
    """Note Ctrl-C, which alone comes as a signal.

    A KeyboardInterrupt does not tell: skorch's callbacks raise it to end a training. Python gives
    signals to the main thread, so there is nothing to note in others.

    Yields
    ------
    noted : list
        The signals so far.
    """
    noted: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield noted
        return

    def note(number, frame):
        noted.append(number)
        return handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, handler)
