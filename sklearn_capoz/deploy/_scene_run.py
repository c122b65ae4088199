"""Run a scene's blocks, a few at a time: on threads or on a dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from threadpoolctl import ThreadpoolController, threadpool_limits
from tqdm.auto import tqdm

from ._scene_arrays import ArraySource, DaskSource
from ._scene_pixels import PixelClassifier
from ._scene_source import Source
from ._scene_work import Store

__all__ = ["current_client", "on_cluster", "on_threads", "run_blocks"]

#: From first row and last row + 1 to the results that will come, and how many may be under way.
Workers = tuple[Callable[[int, int], Future], int]


def run_blocks(store: Store, workers: Workers, verbose: bool) -> None:
    """Do every block that the store lacks; memory holds only those under way."""
    submit, ahead = workers
    n_rows, n_columns = store.shape
    starts = store.starts()
    todo = iter(starts)
    pending: dict[Future, int] = {}
    left = sum(store.stop(start) - start for start in starts)
    bar = tqdm(
        total=n_rows * n_columns, initial=(n_rows - left) * n_columns, unit="px", unit_scale=True,
        disable=not verbose,
    )  # fmt: skip
    with bar:
        try:
            while True:
                for start in islice(todo, ahead - len(pending)):
                    pending[submit(start, store.stop(start))] = start
                if not pending:
                    return
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    start = pending.pop(future)
                    store.write(start, future.result())
                    bar.update((store.stop(start) - start) * n_columns)
        finally:
            for future in pending:
                future.cancel()


@contextmanager
def on_threads(source: Source, classify: PixelClassifier, n_jobs: int | None) -> Iterator[Workers]:
    """Threads share the blocks; BLAS has one thread meanwhile, or the two would fight for cores."""
    n_threads = effective_n_jobs(n_jobs)

    def work(start: int, stop: int) -> list[np.ndarray]:
        return classify(source.read(start, stop, classify.match.bands))

    with source.reading(), threadpool_limits(1, "blas"), ThreadPoolExecutor(n_threads) as pool:
        yield lambda start, stop: pool.submit(work, start, stop), 2 * n_threads


@contextmanager
def on_cluster(source: Source, classify: PixelClassifier, client) -> Iterator[Workers]:
    """Workers of a dask cluster share the blocks.

    Nothing is scattered: what a dead worker held is computed again from the scheduler's graph.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError("a cluster needs dask: pip install 'sklearn-capoz[cluster]'") from error
    if not isinstance(client, Client):
        raise TypeError(f"client must be a dask.distributed.Client, got {type(client).__name__}.")
    n_threads = sum(client.ncores().values())
    if not n_threads:
        raise ValueError("client has no workers: start some, or client.wait_for_workers(1) first.")
    executor = client.get_executor(pure=False)
    model = client.submit(_itself, classify, pure=False)

    def submit(start: int, stop: int) -> Future:
        block: Any = source
        if isinstance(source, DaskSource):
            block = client.compute(source.lazy(start, stop, classify.match.bands))
        elif isinstance(source, ArraySource):
            block = source.read(start, stop, classify.match.bands)
        return executor.submit(_work_there, model, block, start, stop)

    try:
        yield submit, 2 * n_threads
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
    """Find the BLAS libraries once: it takes 5 ms, a block takes 10."""
    return ThreadpoolController()


def _itself(value):
    return value


def _work_there(classify: PixelClassifier, block, start: int, stop: int) -> list[np.ndarray]:
    if isinstance(block, Source):
        block = block.read(start, stop, classify.match.bands)
    with _thread_pools().limit(limits=1, user_api="blas"):
        return classify(block)
