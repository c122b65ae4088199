"""Rows of what meets a layer's weights for some units; where there are many, a seed draws some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from ..networks._layers import TRANSPOSED
from ..networks._tracing import Trace
from ..networks._windows import entry_weights, input_windows, n_taps

__all__ = ["Rows", "readers"]


@dataclass(eq=False)
class Rows:
    """Rows of inputs that meet a layer's weights for a group's units, drawn where there are many.

    Parameters
    ----------
    module : str
        Name of the layer.
    layer : Module
    positions : ndarray of shape (n_units, n_entries), int
        The units' inputs of the layer.
    n_samples : int
        Of all batches together.
    max_values : int
    max_columns : int or None
        Of more, the taps are drawn; None takes all.
    seed : int
    """

    module: str
    layer: Any
    positions: np.ndarray
    n_samples: int
    max_values: int
    max_columns: int | None
    seed: int
    random: np.random.RandomState = field(init=False)
    entries: torch.Tensor = field(init=False)
    taps: np.ndarray | None = field(init=False, default=None)

    def __post_init__(self):
        self.random = np.random.RandomState(self.seed)
        device = self.layer.weight.device
        self.entries = torch.as_tensor(self.positions.ravel(), device=device)
        n_units, n_each = self.positions.shape
        n_all = n_each * n_taps(self.layer)
        if self.max_columns is not None and n_units * n_all > self.max_columns:
            n_taken = max(self.max_columns // n_units, 1)
            taps = np.sort(self.random.choice(n_all, n_taken, replace=False))
            if n_all > n_each:  # a kernel has several for each input
                self.taps = taps
            else:
                self.entries = self.entries.reshape(n_units, n_each)[:, taps].ravel()

    def read(self, inputs: torch.Tensor, n_samples: int) -> tuple[torch.Tensor, np.ndarray]:
        """Copy rows of a batch.

        Parameters
        ----------
        inputs : Tensor
            Of the layer, on the batch.
        n_samples : int
            Of the batch.

        Returns
        -------
        rows : Tensor of shape (n_rows, n_units, n_taps)
        sample : ndarray of shape (n_rows,), int
            Which sample of the batch each row is of.
        """
        windows, n_axes = input_windows(self.layer, inputs.detach(), self.entries)
        shape = windows.shape[:n_axes]
        n_windows = int(np.prod(shape))
        n_columns = len(self.entries) * n_taps(self.layer)
        if self.taps is not None:
            n_columns = len(self.positions) * len(self.taps)
        share = self.max_values / n_columns / (n_windows / n_samples * self.n_samples)
        picked = np.arange(n_windows)
        if share < 1:
            n_picked = max(round(share * n_windows), 1)
            picked = np.sort(self.random.choice(n_windows, n_picked, replace=False))
            windows = windows[tuple(torch.from_numpy(i) for i in np.unravel_index(picked, shape))]
        rows = windows.reshape(len(picked), len(self.positions), -1)
        if self.taps is not None:
            rows = rows[..., torch.as_tensor(self.taps, device=rows.device)]
        return rows, picked * n_samples // n_windows

    def read_means(self, inputs: torch.Tensor, n_samples: int) -> tuple[torch.Tensor, np.ndarray]:
        """Copy the mean over positions of what each unit is; around a padded border there are none.

        As `read`, with one row for each sample or part of it that the layer takes by itself.
        """
        inputs = inputs.detach()
        if isinstance(self.layer, torch.nn.Linear):
            rows = inputs[..., self.entries].flatten(0, -2)
        else:
            rows = inputs[:, self.entries].flatten(2).mean(2)
            if isinstance(self.layer, TRANSPOSED):  # between its inputs are zeros
                rows = rows / int(np.prod(self.layer.stride))
        rows = rows.repeat_interleave(n_taps(self.layer), 1)
        sample = np.arange(len(rows)) * n_samples // len(rows)
        return rows.reshape(len(rows), len(self.positions), -1), sample

    def outgoing(self) -> torch.Tensor:
        """Return the layer's weights for the rows, of shape (n_units, n_taps, n_out)."""
        weights = entry_weights(self.layer, self.entries)
        weights = weights.reshape(len(self.positions), -1, weights.shape[2])
        return weights if self.taps is None else weights[:, torch.as_tensor(self.taps)]


def readers(
    trace: Trace, wanted: Sequence[Rows], n_samples: int, means_only: bool = False
) -> dict[int, Callable[[torch.Tensor], list[tuple]]]:
    """Say for a recorder what to read of the inputs of which calls.

    Parameters
    ----------
    trace : Trace
    wanted : sequence of Rows
    n_samples : int
        Of the batch.
    means_only : bool, default=False
        Whether `Rows.read_means` is meant.
    """

    def read(each: Sequence[Rows], inputs: torch.Tensor) -> list[tuple]:
        if means_only:
            return [(rows, *rows.read_means(inputs, n_samples)) for rows in each]
        return [(rows, *rows.read(inputs, n_samples)) for rows in each]

    by_call = {
        operation.call: [rows for rows in wanted if rows.module == operation.module]
        for operation in trace.operations
        if operation.has_weights
    }
    return {call: partial(read, each) for call, each in by_call.items() if each}
