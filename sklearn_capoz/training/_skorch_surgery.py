"""Dynamic network surgery in skorch's loop; see `_surgery`."""

from __future__ import annotations

import numpy as np
import torch

from ..networks._connections import connected_layers
from ._surgery import chance_of, largest, revise
from ._task import SurgeryRule
from ._zeros import ZerosStay

__all__ = ["Surgery"]


class Surgery(ZerosStay):
    """Let connections come back for some epochs, and keep zeros from then on.

    Parameters
    ----------
    rule : SurgeryRule
    """

    def __init__(self, rule: SurgeryRule):
        self.rule = rule

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        super().on_train_begin(net)
        self.epoch_, self.is_over_ = -1, False
        self.random_ = np.random.RandomState(0)
        # Parameter, all its weights, and which take part.
        self.layers_ = [
            (layer.weight, layer.weight.detach().clone(), layer.weight.detach() != 0)
            for layer in connected_layers(net.module_)
        ]
        self.counts_ = [int(there.sum()) for _, _, there in self.layers_]

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.epoch_ += 1

    def on_grad_computed(self, net, named_parameters, X=None, y=None, training=False, **kwargs):
        if self.is_over_:
            super().on_grad_computed(net, named_parameters)

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if self.is_over_ or not training:
            super().on_batch_end(net, batch, training and self.is_over_)
            return
        asks = self.random_.uniform() < chance_of(self.epoch_, self.rule.epochs)
        with torch.no_grad():
            for (weight, every, there), count in zip(self.layers_, self.counts_, strict=True):
                every += weight - torch.where(there, every, 0)
                if asks:
                    flat, before = _flat(every), _flat(there)
                    found = revise(flat, before, count, self.rule.margin)
                    there.copy_(torch.from_numpy(found).reshape(there.shape))
                weight.copy_(torch.where(there, every, 0))

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        if not self.is_over_ and self.epoch_ >= self.rule.epochs - 1:
            self._settle(net)

    def on_train_end(self, net, X=None, y=None, **kwargs):
        if not self.is_over_:
            self._settle(net)
        self.layers_ = []
        super().on_train_end(net)

    def _settle(self, net) -> None:
        """Leave as many connections as there were, the largest."""
        with torch.no_grad():
            for (weight, every, _), count in zip(self.layers_, self.counts_, strict=True):
                there = torch.from_numpy(largest(_flat(every), count)).reshape(weight.shape)
                weight.copy_(torch.where(there.to(weight.device), every, 0))
        self.is_over_ = True
        super().on_train_begin(net)


def _flat(values: torch.Tensor) -> np.ndarray:
    return values.cpu().numpy().ravel()
