"""Keeping the values of some function calls of a forward pass, without a hook left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["Recorder"]


class Recorder(TorchFunctionMode):
    """Counts the calls of torch functions as tracing did, in this thread alone.

    Parameters
    ----------
    values : mapping of int to bool, default={}
        Calls of which to keep what comes out, and whether a later call changes that in place: then
        the network goes on with a copy.
    inputs : mapping of int to callable, default={}
        Calls of which to keep something of what goes in first: what the function gives for it.
    with_gradients : bool, default=False
        Whether derivatives by the values are wanted: also where all weights before are frozen.

    Attributes
    ----------
    values : dict of int to Tensor
    inputs : dict of int to object
    """

    def __init__(
        self,
        values: Mapping[int, bool] | None = None,
        inputs: Mapping[int, Callable[[torch.Tensor], Any]] | None = None,
        with_gradients: bool = False,
    ):
        super().__init__()
        self.values: dict[int, torch.Tensor] = {}
        self.inputs: dict[int, Any] = {}
        self._values, self._inputs = values or {}, inputs or {}
        self._with_gradients = with_gradients
        self._n_calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Run one call."""
        call, self._n_calls = self._n_calls, self._n_calls + 1
        if call in self._inputs:
            self.inputs[call] = self._inputs[call](args[0])
        value = func(*args, **(kwargs or {}))
        if call in self._values:
            if self._with_gradients and not value.requires_grad:
                value = value.detach().requires_grad_()
            self.values[call] = value
            if self._values[call]:
                value = value.clone()
        return value
