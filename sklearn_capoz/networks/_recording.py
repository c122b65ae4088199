"""Keeping the values of some function calls of a forward pass, without a hook left behind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
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
    uses : collection of int, default=()
        Calls of which to keep what goes in first, apart from what others get of it: the derivative
        by it is that of this use alone.
    with_gradients : bool, default=False
        Whether derivatives by the values are wanted: also where all weights before are frozen.

    Attributes
    ----------
    values : dict of int to Tensor
    inputs : dict of int to object
    uses : dict of int to Tensor
    n_calls : int
        Of torch functions so far: as many as in tracing, or others than meant were kept.
    """

    def __init__(
        self,
        values: Mapping[int, bool] | None = None,
        inputs: Mapping[int, Callable[[torch.Tensor], Any]] | None = None,
        uses: Collection[int] = (),
        with_gradients: bool = False,
    ):
        super().__init__()
        self.values: dict[int, torch.Tensor] = {}
        self.inputs: dict[int, Any] = {}
        self.uses: dict[int, torch.Tensor] = {}
        self._values, self._inputs, self._uses = values or {}, inputs or {}, uses
        self._with_gradients = with_gradients
        self.n_calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Run one call."""
        call, self.n_calls = self.n_calls, self.n_calls + 1
        if call in self._inputs:
            self.inputs[call] = self._inputs[call](args[0])
        if call in self._uses:
            self.uses[call] = self._with_gradient(args[0].view_as(args[0]))
            args = (self.uses[call], *args[1:])
        value = func(*args, **(kwargs or {}))
        if call in self._values:
            value = self._with_gradient(value)
            self.values[call] = value
            if self._values[call]:
                value = value.clone()
        return value

    def _with_gradient(self, value: torch.Tensor) -> torch.Tensor:
        if self._with_gradients and not value.requires_grad:
            return value.detach().requires_grad_()
        return value
