"""What a net's iterators go through: its own datasets, with weights and teacher beside each row.

The net's callbacks see the batches that they know, (X, y): what travels beside the labels is
taken out for the criterion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
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
from ..networks._inputs import leaves, map_inputs
from ._side_loss import SideLoss

__all__ = ["EngineOrder", "SideLoader", "beside", "check_rows"]


def beside(rows: Any, side: dict[str, np.ndarray]) -> Any:
    """Put beside the rows of a dataset what else belongs to them.

    Parameters
    ----------
    rows : Dataset
        The net's own.
    side : dict of str to ndarray
        Sample weights and teacher's logits, of as many rows; the dataset itself if there are none.
    """
    return _SideDataset(rows, side) if side else rows


def check_rows(net: NeuralNetClassifier, X: Any, y: np.ndarray) -> None:
    """Raise unless a net's dataset hands rows on as they are, and to predictions as well.

    A pruned network is scored, compiled and exported as it takes X itself; what a dataset or the
    collate_fn of `iterator_valid` do to the numbers would be left out. That of `iterator_train`
    may do what it likes: it is used as it is.

    Raises
    ------
    UnsupportedNetworkError
        Naming which of the two does not, and where the work belongs instead.
    """
    name = type(net).__name__
    # torch warns of read-only memory, which a table's columns can be
    X, y = (
        map_inputs(lambda part: part if part.flags.writeable else part.copy(), array)
        for array in (X, y)
    )
    rows = net.get_dataset(X, y)
    if len(rows) != len(y):
        raise UnsupportedNetworkError(
            f"The dataset of {name} has {len(rows)} rows where it was given {len(y)}: pruning "
            "splits the samples itself. Give it a class that takes X and y, not one that holds "
            "data of its own."
        )
    first = [rows[i] for i in range(min(2, len(y)))]
    collate = net.get_params_for("iterator_valid").get("collate_fn") or default_collate
    for what, seen in (
        ("dataset", lambda: default_collate(first)),
        ("collate_fn", lambda: collate(first)),
    ):
        try:
            batch = seen()
            is_same = np.array_equal(np.asarray(batch[1]), y[: len(first)]) and all(
                np.array_equal(np.asarray(one), other[: len(first)])
                for one, other in zip(_parts(batch[0]), leaves(X), strict=True)
            )
        except (TypeError, ValueError, LookupError):
            is_same = False
        if not is_same:
            raise UnsupportedNetworkError(
                f"The {what} of {name} changes its rows, which predictions of the pruned network "
                "would miss; put that work into a transformer before the net, in a Pipeline, or in "
                "the module."
            )


def _parts(batch) -> Iterator:
    """Go through the arrays of a batch, in which a tuple has become a list."""
    return leaves(tuple(batch) if isinstance(batch, list) else batch)


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
        n_rows, n_batches = len(self.sampler), super().__len__()  # type: ignore[arg-type]
        return n_batches - (self.batch_size == 2 and n_rows % 2 == 1 and n_batches > 1)


class _Batches(Dataset):
    """Arrays of which an index takes a whole batch, without skorch's question what they are."""

    def __init__(self, X: np.ndarray, y: np.ndarray):
        self.X, self.y = X, y

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        where = np.asarray(rows)
        return torch.from_numpy(self.X[where]), torch.from_numpy(self.y[where])


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
        elif self._takes_lists(dataset, kwargs):
            kwargs, dataset = _batch_by_batch(dataset, kwargs), _Batches(dataset.X, dataset.y)
        return _SideBatches(self.make(dataset, **kwargs), self.criterion)

    def _takes_lists(self, dataset, kwargs: dict) -> bool:
        """Whether rows of arrays of numbers are all, which one index can take at once."""
        own = {"sampler", "shuffle", "generator", "batch_size", "drop_last", "num_workers"}
        return (
            self.make is DataLoader
            and type(dataset) is SkorchDataset
            and all(
                isinstance(part, np.ndarray) and part.dtype.kind in "biuf"
                for part in (dataset.X, dataset.y)
            )
            and kwargs.keys() <= own
            and (kwargs.get("batch_size") or 0) > 0
        )

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
    kwargs, sampler, size, _ = _order_of(dataset, kwargs)
    return kwargs | {"batch_sampler": _NoRowAlone(sampler, size, drop_last=False)}


def _batch_by_batch(dataset, kwargs: dict) -> dict:
    """Draw the same batches, but index for each once: row by row takes a tenth of an epoch."""
    kwargs, sampler, size, drop_last = _order_of(dataset, kwargs)
    return kwargs | {"batch_size": None, "sampler": BatchSampler(sampler, size, drop_last)}


def _order_of(dataset, kwargs: dict) -> tuple[dict, Sampler, int, bool]:
    """Take the order of rows, the size of a batch and `drop_last` out of a loader's arguments."""
    kwargs = dict(kwargs)
    size, sampler = kwargs.pop("batch_size"), kwargs.pop("sampler", None)
    drop_last = kwargs.pop("drop_last", False)
    if kwargs.pop("shuffle", False):
        sampler = RandomSampler(dataset, generator=kwargs.get("generator"))
    sampler = SequentialSampler(dataset) if sampler is None else sampler
    return kwargs, sampler, size, drop_last


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
