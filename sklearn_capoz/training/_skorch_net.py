"""The dense network as a skorch net."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import nn

from ..networks._dense import DenseNetwork
from ..networks._module import MLPModule, load_network, module_arguments
from ._mlp_adam import MLPAdam
from ._optimizer import OptimizerState
from ._task import TrainingSettings

__all__ = [
    "MLPAdam",
    "MLPNet",
    "check_device",
    "copy_net",
    "net_from_training",
]


class MLPNet(NeuralNetClassifier):
    """skorch net of an `MLPModule`, trained with MLPClassifier's loss.

    Parameters
    ----------
    module : type, default=MLPModule
    criterion : type, default=CrossEntropyLoss
    optimizer : type, default=MLPAdam
        torch's Adam with the rounding of MLPClassifier's.
    lr : float, default=1e-3
        Learning rate.
    batch_size : int, default=200
    max_epochs : int, default=200
    train_split : callable or None, default=None
        What sets samples aside to validate on.
    verbose : int, default=0
        1 prints a line for each epoch.
    alpha : float, default=1e-4
        L2 penalty, 0.5 * alpha * ||W||^2 / n_samples of the batch; biases are free.
    **kwargs
        Of `skorch.NeuralNetClassifier`, whose own defaults differ in all of the above.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_capoz.training import MLPNet
    >>> X, y = load_iris(return_X_y=True)
    >>> shape = {"n_features": 4, "hidden_layer_sizes": (8,), "n_classes": 3}
    >>> net = MLPNet(max_epochs=2, **{f"module__{name}": size for name, size in shape.items()})
    >>> net.fit(X.astype("float32"), y).predict_proba(X[:5].astype("float32")).shape
    (5, 3)
    """

    def __init__(
        self,
        module=MLPModule,
        *,
        criterion=nn.CrossEntropyLoss,
        optimizer=MLPAdam,
        lr=1e-3,
        batch_size=200,
        max_epochs=200,
        train_split=None,
        verbose=0,
        alpha=1e-4,
        **kwargs,
    ):
        super().__init__(
            module,
            criterion=criterion,
            optimizer=optimizer,
            lr=lr,
            batch_size=batch_size,
            max_epochs=max_epochs,
            train_split=train_split,
            verbose=verbose,
            **kwargs,
        )
        self.alpha = alpha

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Cross-entropy, and in training the L2 penalty of the weights."""
        loss = super().get_loss(y_pred, y_true, X=X, training=training)
        if training and self.alpha:
            # a criterion with sample weights knows what the batch weighs
            total = getattr(self.criterion_, "total_weight", None) or len(y_pred)
            weights = [p for p in self.module_.parameters() if p.ndim == 2]
            loss = loss + 0.5 * self.alpha / total * sum((w * w).sum() for w in weights)
        return loss

    def predict(self, X):
        """Index of the most likely class; the caller's torch generator stays as it was.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            float32, or what the module was brought to.

        Returns
        -------
        codes : ndarray of shape (n_samples,), int
        """
        with torch.random.fork_rng(devices=[]):  # a DataLoader draws a seed
            return super().predict(X)

    def predict_proba(self, X):
        """Class probabilities; the caller's torch generator stays as it was.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            float32, or what the module was brought to.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        with torch.random.fork_rng(devices=[]):
            return super().predict_proba(X)


def net_from_training(
    network: DenseNetwork,
    settings: TrainingSettings,
    *,
    optimizer: OptimizerState | None = None,
    loss_curve: Sequence[float] = (),
    validation_losses: Sequence[float] = (),
    validation_accuracies: Sequence[float] = (),
    **kwargs,
) -> MLPNet:
    """Make the working skorch net of a network that the engine trained.

    Parameters
    ----------
    network : DenseNetwork
    settings : TrainingSettings
        How it was trained; `partial_fit` and a clone's `fit` go on like this.
    optimizer : OptimizerState, optional
        Moments for `partial_fit` to go on with.
    loss_curve, validation_losses, validation_accuracies : sequence of float
        Become train_loss, valid_loss and valid_acc of `history`.
    **kwargs
        More parameters of the net, such as callbacks.

    Returns
    -------
    MLPNet
        Initialised; its `module__` parameters are the network's own widths, so that a
        clone has the same shape.
    """
    arguments = module_arguments(network, settings.dropout)
    net = MLPNet(
        **{f"module__{name}": value for name, value in arguments.items()},
        **_optimizer_arguments(settings),
        batch_size=200 if settings.batch_size == "auto" else int(settings.batch_size),
        max_epochs=settings.max_iter,
        alpha=settings.alpha,
        iterator_train__shuffle=settings.shuffle,
        **kwargs,
    )
    with torch.random.fork_rng(devices=[]):
        net.initialize()
    net.classes_inferred_ = np.arange(arguments["n_classes"])
    load_network(net.module_, network)
    if optimizer is not None:
        _load_moments(net, optimizer)
    columns = {
        "train_loss": loss_curve,
        "valid_loss": validation_losses,
        "valid_acc": validation_accuracies,
    }
    for epoch in range(len(loss_curve)):
        net.history.new_epoch()
        net.history.record("epoch", epoch + 1)
        for name, values in columns.items():
            if len(values):
                net.history.record(name, float(values[epoch]))
    return net


def _optimizer_arguments(settings: TrainingSettings) -> dict:
    if settings.solver == "adam":
        return {
            "optimizer": MLPAdam,
            "lr": settings.learning_rate_init,
            "optimizer__betas": (settings.beta_1, settings.beta_2),
            "optimizer__eps": settings.epsilon,
        }
    return {
        "optimizer": torch.optim.SGD,
        "lr": settings.learning_rate_init,
        "optimizer__momentum": settings.momentum,
        "optimizer__nesterov": settings.nesterovs_momentum and settings.momentum > 0,
    }


def _load_moments(net: MLPNet, state: OptimizerState) -> None:
    """Give torch's optimizer the engine's moments."""
    names = ("exp_avg", "exp_avg_sq") if len(state.moments) == 2 else ("momentum_buffer",)
    parameters = list(net.module_.parameters())  # weight, bias, weight, bias, ...
    for name, moment in zip(names, state.moments, strict=True):
        pairs = zip(moment.weights, moment.biases, strict=True)
        arrays = [array for weight, bias in pairs for array in (weight.T.copy(), bias.copy())]
        for parameter, array in zip(parameters, arrays, strict=True):
            net.optimizer_.state[parameter][name] = torch.from_numpy(array).to(parameter.device)
    if len(state.moments) == 2:
        for parameter in parameters:
            net.optimizer_.state[parameter]["step"] = torch.tensor(float(state.n_steps))


def copy_net(net: NeuralNetClassifier) -> NeuralNetClassifier:
    """Copy a net with all that it holds.

    `deepcopy` goes through pickle, which a module class of the user's script does not survive in
    another process.
    """
    new = object.__new__(type(net))
    new.__dict__.update(deepcopy(net.__dict__))
    optimizer = getattr(new, "optimizer_", None)
    if isinstance(optimizer, torch.optim.LBFGS):  # whose copies forget what they work on
        optimizer._params, optimizer._numel_cache = optimizer.param_groups[0]["params"], None
    return new


def check_device(device: str | torch.device) -> None:
    """Raise ValueError where torch knows no such device, or sees none of this number."""
    try:
        known = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device={device!r} is none of torch's: {error}") from error
    n_devices = torch.cuda.device_count() if known.type == "cuda" else None
    if n_devices == 0:
        raise ValueError(f"device={device!r}: torch finds no CUDA device here; use device='cpu'.")
    if n_devices is not None and (known.index or 0) >= n_devices:
        raise ValueError(
            f"device={device!r}: torch finds {n_devices} CUDA devices here, counted from 0."
        )
