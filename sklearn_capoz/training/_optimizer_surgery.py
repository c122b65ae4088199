"""A net's optimizer after surgery: the new parameters, and what is left of the old moments."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import nn

from ._skorch_net import copy_net

__all__ = ["rebuild_optimizer"]


def rebuild_optimizer(
    net: NeuralNetClassifier,
    new_module: nn.Module,
    kept: Mapping[str, tuple[np.ndarray | None, ...]],
) -> NeuralNetClassifier:
    """Return a copy of a net around the module that surgery left.

    An optimizer holds on to the parameters it was made for: after surgery it would go on
    moving those of the old module. The copy's optimizer has the new parameters, with what
    survives of the old moments, and the learning rates of the moment.

    Parameters
    ----------
    net : NeuralNetClassifier
        Initialised; it stays as it was.
    new_module : torch.nn.Module
        With parameters of the same names as the old one.
    kept : mapping of str to tuple
        Name of a parameter -> for each of its dimensions the indices that survive, or None
        where all do. Names left out keep their shape.
    """
    new = copy_net(net)
    old_parameters = dict(new.get_all_learnable_params())
    old_groups, old_state = new.optimizer_.param_groups, new.optimizer_.state
    new.module_ = new_module.to(new.device)
    new.initialize_optimizer()
    for old_group, group in zip(old_groups, new.optimizer_.param_groups, strict=True):
        group.update({key: value for key, value in old_group.items() if key != "params"})
    for name, parameter in new.get_all_learnable_params():
        old = old_parameters[name]
        state = old_state.get(old, {})
        if all(_goes_along(value, old) for value in state.values()):
            new.optimizer_.state[parameter].update(
                {
                    key: _take(value, kept.get(name, ()))
                    if torch.is_tensor(value) and value.shape == old.shape
                    else deepcopy(value)
                    for key, value in state.items()
                }
            )
    return new


def _goes_along(value, parameter: torch.Tensor) -> bool:
    """Whether what an optimizer remembers of a parameter can be cut as the parameter is.

    What LBFGS remembers of all parameters at once cannot, nor Adafactor's sums of rows and columns:
    there the optimizer starts afresh.
    """
    if torch.is_tensor(value):
        return value.ndim == 0 or value.shape == parameter.shape
    return not isinstance(value, list)


def _take(values: torch.Tensor, indices: tuple[np.ndarray | None, ...]) -> torch.Tensor:
    for dimension, index in enumerate(indices):
        if index is not None:
            rows = torch.as_tensor(index, device=values.device)
            values = values.index_select(dimension, rows)
    return values.clone()
