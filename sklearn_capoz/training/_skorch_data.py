"""What a net's iterators go through: its own datasets, with weights and teacher beside each row.

The net's callbacks see the batches that they know, (X, y): what travels beside the labels is
taken out for the criterion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from skorch import NeuralNetClassifier
from skorch.dataset import Dataset as SkorchDataset
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    default_collate,
)

from ..exceptions import UnsupportedNetworkError
from ._side_loss import SideLoss

__all__ = ["EngineOrder", "SideLoader", "net_dataset"]


def net_dataset(
    net: NeuralNetClassifier, X: np.ndarray, y: np.ndarray, side: dict[str, np.ndarray]
) -> Dataset:
    """Make the dataset that the net itself would, with what else belongs to the rows.

    Parameters
    ----------
    net : NeuralNetClassifier
    X, y : ndarray
    side : dict of str to ndarray
        Sample weights and teacher's logits, of as many rows.
    """
    rows = net.get_dataset(X, y)
    return _SideDataset(rows, side) if side else rows


class _SideDataset(SkorchDataset):
    """Rows with what else belongs to them: sample weight, teacher's logits.

    Scoring callbacks look for `X` and `y` in a dataset of skorch's class.
    """

    def __init__(self, rows: Any, side: dict[str, np.ndarray]):
        self.rows = rows
        self.side = side
        self.X, self.y = getattr(rows, "X", None), getattr(rows, "y", None)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i):
        return _Row(self.rows[i], {name: array[i] for name, array in self.side.items()})


class _Row(tuple):
    """One row as the net knows it, and what belongs to it."""

    def __new__(cls, row, side):
        return super().__new__(cls, (row, side))

    def __getnewargs__(self):
        return tuple(self)


class _SideCollate:
    """Joins rows as the net does, and beside them what belongs to them."""

    def __init__(self, collate: Callable):
        self.collate = collate

    def __call__(self, rows):
        if not isinstance(rows[0], _Row):
            return self.collate(rows)
        return _Row(self.collate([row for row, _ in rows]), default_collate([s for _, s in rows]))


class EngineOrder(Sampler):
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


class _NoRowAlone(BatchSampler):
    """Batches whose last two share their rows where the last would have one."""

    def __iter__(self):
        batches = list(super().__iter__())
        if len(batches) > 1 and len(batches[-1]) == 1:
            last = batches.pop(-2) + batches.pop(-1)
            half = len(last) - len(last) // 2 if len(last) > 3 else len(last)
            batches += [part for part in (last[:half], last[half:]) if part]
        return iter(batches)

    def __len__(self) -> int:
        n_rows, n_batches = len(self.sampler), super().__len__()
        return n_batches - (self.batch_size == 2 and n_rows % 2 == 1 and n_batches > 1)


class SideLoader:
    """An iterator factory that takes the side data out of the batches for the criterion.

    Parameters
    ----------
    net : NeuralNetClassifier
    make : callable
        The net's own factory.
    criterion : SideLoss or None
    sampler : Sampler, optional
        Instead of the net's own order.
    is_training : bool
    """

    def __init__(
        self,
        net: NeuralNetClassifier,
        make: Callable,
        criterion: SideLoss | None,
        sampler: Sampler | None = None,
        is_training: bool = False,
    ):
        self.net = net
        self.make = make
        self.criterion = criterion
        self.sampler = sampler
        self.is_training = is_training

    def __call__(self, dataset, **kwargs):
        if self.sampler is not None:
            kwargs |= {"shuffle": False, "sampler": self.sampler}
        if self.criterion is not None:
            kwargs["collate_fn"] = _SideCollate(kwargs.get("collate_fn") or default_collate)
        if self.is_training and self._leaves_one_row(dataset, kwargs):
            kwargs = _without_a_row_alone(dataset, kwargs)
        return _SideBatches(self.make(dataset, **kwargs), self.criterion)

    def _leaves_one_row(self, dataset, kwargs: dict) -> bool:
        """Whether the last batch has one row, of which a batch norm knows no variance."""
        size = kwargs.get("batch_size") or 1
        return (
            self.make is DataLoader
            and not {"batch_sampler"} & kwargs.keys()
            and not kwargs.get("drop_last")
            and any(isinstance(part, _BatchNorm) for part in self.net.module_.modules())
            and len(dataset) > size > 1
            and len(dataset) % size == 1
        )


def _without_a_row_alone(dataset, kwargs: dict) -> dict:
    """Draw the same order of rows, into batches that are large enough."""
    kwargs = dict(kwargs)
    size, sampler = kwargs.pop("batch_size"), kwargs.pop("sampler", None)
    kwargs.pop("drop_last", None)
    if kwargs.pop("shuffle", False):
        sampler = RandomSampler(dataset, generator=kwargs.get("generator"))
    sampler = SequentialSampler(dataset) if sampler is None else sampler
    return kwargs | {"batch_sampler": _NoRowAlone(sampler, size, drop_last=False)}


class _SideBatches:
    """The batches as the net knows them, (X, y)."""

    def __init__(self, batches, criterion: SideLoss | None):
        self.batches = batches
        self.criterion = criterion

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self):
        for batch in self.batches:
            if self.criterion is None:
                yield batch
                continue
            if not isinstance(batch, _Row):
                self.criterion.side, self.criterion.side_is_used = {}, True
                yield batch
                continue
            rows, self.criterion.side = batch
            self.criterion.side_is_used = not self.criterion.training
            yield rows
            if not self.criterion.side_is_used:
                raise UnsupportedNetworkError(
                    "The net's get_loss does not call its criterion_, so sample weights and "
                    "distillation would be ignored. Call super().get_loss in it."
                )
