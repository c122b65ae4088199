"""Run a scene's blocks, a few at a time: on threads or on a dask cluster."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import groupby, islice

import numpy as np
from joblib import effective_n_jobs
from threadpoolctl import ThreadpoolController, threadpool_limits
from tqdm.auto import tqdm

from ._pixels import PixelClassifier
from ._scratch import Scratch
from ._source import RowRange, Source
from ._work import Store

__all__ = ["on_cluster", "on_threads", "run_blocks", "workers"]

#: Bytes of results that a task may send at once.
MESSAGE_BYTES = 8_000_000

#: Bytes of a model that still travels with every task. A future of it would draw the first tasks
#: to the worker that holds it, while the others wait.
SMALL_MODEL = 1_000_000

_SCRATCH = Scratch()


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    Parameters
    ----------
    submit : callable
        From a list of (first row, last row + 1) to the future list of the blocks' results.
    n_tasks : int
        How many may be under way.
    n_blocks : int
        How many blocks to submit as one task, at most.
    rows_together : int
        Rows that the scene's file stores as one piece: where blocks are smaller, those of a
        piece are one task, so that it is unpacked once.
    """

    submit: Callable[[list[RowRange]], Future]
    n_tasks: int
    n_blocks: int
    rows_together: int = 1


def run_blocks(store: Store, workers: Workers, verbose: bool) -> None:
    """Do every block that the store lacks; memory holds only those under way."""
    n_rows, n_columns = store.shape
    blocks = [(start, store.stop(start)) for start in store.starts()]
    size = _blocks_per_task(store, workers, len(blocks))
    todo = _tasks(blocks, size, workers.rows_together)
    pending: dict[Future, list[RowRange]] = {}
    left = sum(stop - start for start, stop in blocks)
    bar = tqdm(
        total=n_rows * n_columns, initial=(n_rows - left) * n_columns, unit="px", unit_scale=True,
        disable=not verbose,
    )  # fmt: skip
    with bar:
        try:
            while True:
                while len(pending) < workers.n_tasks and (task := next(todo, None)):
                    pending[workers.submit(task)] = task
                if not pending:
                    return
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    task = pending.pop(future)
                    for (start, stop), results in zip(task, future.result(), strict=True):
                        store.write(start, results)
                        bar.update((stop - start) * n_columns)
        finally:
            for future in pending:
                future.cancel()


def _tasks(blocks: list[RowRange], size: int, rows_together: int) -> Iterator[list[RowRange]]:
    """Share out the blocks, `size` to a task; or those in one piece of the file, if larger."""
    if any(stop - start < rows_together for start, stop in blocks[:1]):
        for _, piece in groupby(blocks, key=lambda block: block[0] // rows_together):
            yield list(piece)
        return
    todo = iter(blocks)
    while task := list(islice(todo, size)):
        yield task


def _blocks_per_task(store: Store, workers: Workers, n_left: int) -> int:
    """Make few messages, small ones, and enough for all workers."""
    per_pixel = sum(len(layer.bands) * np.dtype(layer.dtype).itemsize for layer in store.layers)
    block_bytes = store.block_rows * store.shape[1] * per_pixel
    return max(1, min(workers.n_blocks, n_left // workers.n_tasks, MESSAGE_BYTES // block_bytes))


def workers(source: Source, classify: PixelClassifier, n_jobs: int | None, client):
    """Take the cluster that was given, or that the scene is meant for; else threads."""
    client = source.active_client() if client is None else client
    if client is None:
        return on_threads(source, classify, n_jobs)
    return on_cluster(source, classify, client)


@contextmanager
def on_threads(source: Source, classify: PixelClassifier, n_jobs: int | None) -> Iterator[Workers]:
    """Threads share the blocks; BLAS has one thread meanwhile, or the two would fight for cores."""
    n_threads = effective_n_jobs(n_jobs)

    def submit(task: list[RowRange]) -> Future:
        return pool.submit(_read_and_classify, classify, source, task)

    with (
        source.reading(),
        warnings.catch_warnings(),
        threadpool_limits(1, "blas"),
        ThreadPoolExecutor(n_threads) as pool,
    ):
        # A cube has no column names, whatever the model was trained on.
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        yield Workers(submit, 2 * n_threads, 1, source.rows_together)


@contextmanager
def on_cluster(source: Source, classify: PixelClassifier, client) -> Iterator[Workers]:
    """Workers of a dask cluster share the blocks.

    Nothing is scattered: what a dead worker held is computed again from the scheduler's graph.
    """
    try:
        import cloudpickle
        from distributed import Client
    except ImportError as error:
        raise ImportError("a cluster needs dask: pip install 'sklearn-capoz[cluster]'") from error
    if not isinstance(client, Client):
        raise TypeError(f"client must be a dask.distributed.Client, got {type(client).__name__}.")
    n_threads = sum(client.ncores().values())
    if not n_threads:
        raise ValueError("client has no workers: start some, or client.wait_for_workers(1) first.")
    executor = client.get_executor(pure=False)
    # As bytes: dask would send every array of it as a frame of its own, with every task.
    model = cloudpickle.dumps(classify)
    if len(model) > SMALL_MODEL:
        model = client.submit(pickle.loads, model, pure=False)
    bands = classify.match.bands

    def submit(task: list[RowRange]) -> Future:
        wide, margins = _with_halo(task, classify.halo, source.shape[0])
        return executor.submit(
            _classify_there, model, source.to_worker(client, wide, bands), margins
        )

    try:
        yield Workers(submit, 2 * n_threads, source.blocks_per_task, source.rows_together)
    finally:
        executor.shutdown(wait=False)


@cache
def _thread_pools() -> ThreadpoolController:
    """Find the BLAS libraries once: it takes 5 ms, a block takes 15."""
    return ThreadpoolController()


def _with_halo(
    task: list[RowRange], halo: int, n_rows: int
) -> tuple[list[RowRange], list[RowRange]]:
    """Widen each block by the rows that it depends on; and say how many came above and below."""
    wide = [(max(0, start - halo), min(n_rows, stop + halo)) for start, stop in task]
    margins = [(a - c, d - b) for (a, b), (c, d) in zip(task, wide, strict=True)]
    return wide, margins


def _classify_there(
    model: bytes | PixelClassifier, blocks, margins: list[RowRange]
) -> list[list[np.ndarray]]:
    """Classify what `Source.to_worker` sent: blocks, or the way to read them."""
    classify = _unpacked(model)
    with _thread_pools().limit(limits=1, user_api="blas"):
        found = blocks(_SCRATCH) if callable(blocks) else blocks
        return [classify(block, _SCRATCH, *m) for block, m in zip(found, margins, strict=True)]


def _unpacked(model: bytes | PixelClassifier) -> PixelClassifier:
    return pickle.loads(model) if isinstance(model, bytes) else model


def _read_and_classify(
    classify: PixelClassifier, source: Source, task: list[RowRange]
) -> list[list[np.ndarray]]:
    wide, margins = _with_halo(task, classify.halo, source.shape[0])
    blocks = source.blocks(wide, classify.match.bands, _SCRATCH)
    return [classify(block, _SCRATCH, *m) for block, m in zip(blocks, margins, strict=True)]
