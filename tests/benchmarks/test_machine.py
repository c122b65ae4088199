"""Limits by hand: what is moved or what is computed, whichever takes longer."""

import numpy as np
import pytest

from benchmarks._machine import Machine


@pytest.mark.parametrize("n_threads", [1, 2])
def test_limits_are_of_bytes_or_of_arithmetic(n_threads):
    machine = Machine(n_threads)
    per_second = machine.rates({"copy": 1.0, "multiply-add": 1.0, "exp": 1.0})
    seconds = {"copy": 0.1, "multiply-add": 0.2, "exp": 0.5}
    rates = machine.rates(seconds)
    assert rates["copy"] == pytest.approx(10 * per_second["copy"])
    assert rates["exp"] == pytest.approx(2 * per_second["exp"])
    moved, added, raised = 3 * rates["copy"], 2 * rates["multiply-add"], 4 * rates["exp"]
    assert machine.least_seconds(seconds, moved) == pytest.approx(3)
    assert machine.least_seconds(seconds, moved, added) == pytest.approx(3)
    assert machine.least_seconds(seconds, moved, added, raised) == pytest.approx(6)
    assert f"threads {n_threads}, float32" in machine.describe(seconds)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_job_runs(dtype, monkeypatch):
    monkeypatch.setattr("benchmarks._machine._ROUNDS", 10)
    machine = Machine(2, dtype)
    for job in machine.jobs.values():
        job()
