"""Run a scene's blocks, a few at a time: on threads or on a dask cluster."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np
from joblib import effective_n_jobs
from threadpoolctl import ThreadpoolController, threadpool_limits
from tqdm.auto import tqdm

from ._arrays import ArraySource, DaskSource
from ._pixels import PixelClassifier
from ._scratch import Scratch
from ._source import Source
from ._work import Store

__all__ = ["current_client", "on_cluster", "on_threads", "run_blocks"]

#: Blocks that a cluster gets as one task: a message costs it some milliseconds, as a block does.
BLOCKS_PER_TASK = 8

#: Bytes of results that a task may send at once.
MESSAGE_BYTES = 8_000_000

#: Bytes of a model that still travels with every task. A future of it would draw the first tasks
#: to the worker that holds it, while the others wait.
SMALL_MODEL = 1_000_000

_SCRATCH = Scratch()

Rows = tuple[int, int]


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
    """

    submit: Callable[[list[Rows]], Future]
    n_tasks: int
    n_blocks: int


def run_blocks(store: Store, workers: Workers, verbose: bool) -> None:
    """Do every block that the store lacks; memory holds only those under way."""
    n_rows, n_columns = store.shape
    blocks = [(start, store.stop(start)) for start in store.starts()]
    size = _blocks_per_task(store, workers, len(blocks))
    todo = iter(blocks)
    pending: dict[Future, list[Rows]] = {}
    left = sum(stop - start for start, stop in blocks)
    bar = tqdm(
        total=n_rows * n_columns, initial=(n_rows - left) * n_columns, unit="px", unit_scale=True,
        disable=not verbose,
    )  # fmt: skip
    with bar:
        try:
            while True:
                while len(pending) < workers.n_tasks and (task := list(islice(todo, size))):
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


def _blocks_per_task(store: Store, workers: Workers, n_left: int) -> int:
    """Make few messages, small ones, and enough for all workers."""
    per_pixel = sum(len(layer.bands) * np.dtype(layer.dtype).itemsize for layer in store.layers)
    block_bytes = store.block_rows * store.shape[1] * per_pixel
    return max(1, min(workers.n_blocks, n_left // workers.n_tasks, MESSAGE_BYTES // block_bytes))


@contextmanager
def on_threads(source: Source, classify: PixelClassifier, n_jobs: int | None) -> Iterator[Workers]:
    """Threads share the blocks; BLAS has one thread meanwhile, or the two would fight for cores."""
    n_threads = effective_n_jobs(n_jobs)

    def submit(task: list[Rows]) -> Future:
        return pool.submit(_read_and_classify, classify, source, task)

    with (
        source.reading(),
        warnings.catch_warnings(),
        threadpool_limits(1, "blas"),
        ThreadPoolExecutor(n_threads) as pool,
    ):
        # A cube has no column names, whatever the model was trained on.
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        yield Workers(submit, 2 * n_threads, 1)


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

    def submit(task: list[Rows]) -> Future:
        if isinstance(source, DaskSource):
            blocks = client.compute([source.lazy(*rows, bands) for rows in task])
            return executor.submit(_classify_there, model, blocks)
        if isinstance(source, ArraySource):
            blocks = [source.read(*rows, bands, _SCRATCH) for rows in task]
            return executor.submit(_classify_there, model, blocks)
        return executor.submit(_read_there, model, source, task)

    # An array travels in the message, which should not be large.
    n_blocks = 1 if isinstance(source, ArraySource) else BLOCKS_PER_TASK
    try:
        yield Workers(submit, 2 * n_threads, n_blocks)
    finally:
        executor.shutdown(wait=False)


def current_client(source: Source):
    """Find the active client for a dask array, as dask itself does."""
    if not isinstance(source, DaskSource):
        return None
    try:
        from distributed import default_client

        return default_client()
    except (ImportError, ValueError):
        return None


@cache
def _thread_pools() -> ThreadpoolController:
    """Find the BLAS libraries once: it takes 5 ms, a block takes 15."""
    return ThreadpoolController()


def _read_there(
    model: bytes | PixelClassifier, source: Source, task: list[Rows]
) -> list[list[np.ndarray]]:
    with _thread_pools().limit(limits=1, user_api="blas"):
        return _read_and_classify(_unpacked(model), source, task)


def _classify_there(
    model: bytes | PixelClassifier, blocks: list[np.ndarray]
) -> list[list[np.ndarray]]:
    classify = _unpacked(model)
    with _thread_pools().limit(limits=1, user_api="blas"):
        return [classify(block, _SCRATCH) for block in blocks]


def _unpacked(model: bytes | PixelClassifier) -> PixelClassifier:
    return pickle.loads(model) if isinstance(model, bytes) else model


def _read_and_classify(
    classify: PixelClassifier, source: Source, task: list[Rows]
) -> list[list[np.ndarray]]:
    bands = classify.match.bands
    return [classify(source.read(*rows, bands, _SCRATCH), _SCRATCH) for rows in task]
