"""Keeping the values of some function calls of a forward pass, without a hook left behind."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["Recorder"]


class Recorder(TorchFunctionMode):
    """Counts the calls of torch functions as tracing did, in this thread alone.

    Parameters
    ----------
    values, inputs : iterable of int
        Calls of which to keep what comes out, and what goes in first.

    Attributes
    ----------
    values, inputs : dict of int to Tensor
    """

    def __init__(self, values: Iterable[int] = (), inputs: Iterable[int] = ()):
        super().__init__()
        self.values: dict[int, torch.Tensor] = {}
        self.inputs: dict[int, torch.Tensor] = {}
        self._values, self._inputs = frozenset(values), frozenset(inputs)
        self._n_calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Run one call."""
        call, self._n_calls = self._n_calls, self._n_calls + 1
        if call in self._inputs:
            self.inputs[call] = args[0]
        value = func(*args, **(kwargs or {}))
        if call in self._values:
            self.values[call] = value
        return value
