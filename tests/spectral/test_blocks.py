"""Threads that share rows: every row once, none waits for a slow one, errors come through."""

from threading import Event, get_ident

import numpy as np
import pytest

from sklearn_capoz.spectral._base import _BLOCK_BYTES, run_blocks

THREE_ROWS_A_BLOCK = _BLOCK_BYTES // 3


@pytest.mark.parametrize("n_rows", [0, 1, 3, 7, 100])
@pytest.mark.parametrize("n_jobs", [None, 1, 2, 5, -1])
def test_every_row_is_worked_on_once(n_rows, n_jobs):
    times = np.zeros(n_rows, dtype=int)

    def work(rows):
        times[rows] += 1

    run_blocks(work, n_rows, THREE_ROWS_A_BLOCK, n_jobs)
    np.testing.assert_array_equal(times, 1)


def test_blocks_hold_at_least_one_row():
    sizes = []
    run_blocks(lambda rows: sizes.append(rows.stop - rows.start), 4, 10 * _BLOCK_BYTES, 1)
    assert sizes == [1, 1, 1, 1]


@pytest.mark.parametrize("slow", [0, 59])
def test_who_is_done_takes_over_from_a_slow_thread(slow):
    done, rest_is_done = [], Event()

    def work(rows):
        if rows.start <= slow < rows.stop:
            assert rest_is_done.wait(timeout=30), "the other thread left blocks undone"
        done.append(rows)
        if len(done) == 19:
            rest_is_done.set()

    run_blocks(work, 60, THREE_ROWS_A_BLOCK, 2)
    assert len(done) == 20


def test_one_job_stays_in_the_thread_of_the_caller():
    threads = set()
    run_blocks(lambda rows: threads.add(get_ident()), 60, THREE_ROWS_A_BLOCK, 1)
    assert threads == {get_ident()}


@pytest.mark.parametrize("bad", [0, 59])
def test_an_error_in_any_thread_reaches_the_caller(bad):
    def work(rows):
        if rows.start <= bad < rows.stop:
            raise RuntimeError(f"row {bad}")

    with pytest.raises(RuntimeError, match=f"^row {bad}$"):
        run_blocks(work, 60, THREE_ROWS_A_BLOCK, 2)
