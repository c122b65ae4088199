"""Connections that are gone stay gone while a skorch net is trained."""

from __future__ import annotations

import torch
from skorch.callbacks import Callback
from torch import nn

from ..networks._connections import connected_layers

__all__ = ["ZerosStay"]


class ZerosStay(Callback):
    """Keep the weights of a net that are zero as its training begins exactly zero to its end.

    What goes on training a net whose connections are pruned needs it among the net's callbacks:
    weights of Linear layers and of convolutions count, biases and norms do not. Their gradients
    are zero as well, and what the optimizer remembered of them is forgotten, so that momentum
    does not move them either. `CAPoZPruner` uses it in retraining.

    A net that begins with layers of zeros, as some residual networks do, must not have it in its
    first training.

    Examples
    --------
    >>> import torch
    >>> from skorch import NeuralNetClassifier
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_capoz.training import ZerosStay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = NeuralNetClassifier(
    ...     torch.nn.Linear(4, 3), criterion=torch.nn.CrossEntropyLoss, verbose=0,
    ...     callbacks=[ZerosStay()],
    ... ).initialize()
    >>> with torch.no_grad():
    ...     net.module_.weight[0] = 0
    >>> net.partial_fit(X.astype("float32"), y).module_.weight[0].tolist()
    [0.0, 0.0, 0.0, 0.0]
    """

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Note where the zeros are, and forget their moments.

        Parameters
        ----------
        net : NeuralNet
        X, y : array-like, optional
            Of no use here.
        **kwargs
            Of later versions of skorch.
        """
        self.zeros_: list[tuple[nn.Parameter, torch.Tensor]] = []
        for layer in connected_layers(net.module_):
            zeros = layer.weight.detach() == 0
            if zeros.any():
                self.zeros_.append((layer.weight, zeros))
        for weight, zeros in self.zeros_:
            for value in net.optimizer_.state.get(weight, {}).values():
                if torch.is_tensor(value) and value.shape == weight.shape:
                    value[zeros] = 0

    def on_grad_computed(self, net, named_parameters, X=None, y=None, training=False, **kwargs):
        """Take the gradient from the zeros.

        Parameters
        ----------
        net : NeuralNet
        named_parameters : iterable
            Of no use here, as the others.
        X, y : array-like, optional
        training : bool, default=False
        **kwargs
            Of later versions of skorch.
        """
        for weight, zeros in self.zeros_:
            if weight.grad is not None:
                weight.grad[zeros] = 0

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        """Take back what an optimizer did that mixes the gradients of several weights.

        Parameters
        ----------
        net : NeuralNet
        batch : tuple, optional
        training : bool, default=False
            Whether the batch was trained on.
        **kwargs
            Of later versions of skorch.
        """
        if training:
            with torch.no_grad():
                for weight, zeros in self.zeros_:
                    weight[zeros] = 0

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Let go of the net's weights.

        Parameters
        ----------
        net : NeuralNet
        X, y : array-like, optional
        **kwargs
            Of later versions of skorch.
        """
        self.zeros_ = []
