"""What the tracer refuses by name, and what it leaves alone meanwhile."""

import threading

import pytest
import torch
import torch.nn.functional as F
from architectures import Forward, make
from torch import nn

from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.networks._tracing import trace

REFUSALS = {
    "data-dependent": (lambda: Forward(
        lambda m, x: m.last(m.first(x) if x.mean() > 0 else x), first=nn.Linear(4, 4),
        last=nn.Linear(4, 3)), (4,), r"bool\(\) looks at the values of the data"),
    "samples mix": (lambda: Forward(
        lambda m, x: m.last(m.first(x) - m.first(x).mean(0)), first=nn.Linear(4, 5),
        last=nn.Linear(5, 3)), (4,), "samples of a batch meet"),
    "samples mix before": (lambda: Forward(
        lambda m, x: m.last(F.relu(m.first(x - x.mean(0)))), first=nn.Linear(4, 5),
        last=nn.Linear(5, 3)), (4,), "gives a sample another output when it comes with others"),
    "one sample after the other": (lambda: Forward(
        lambda m, x: m.last(F.relu(torch.cat([m.first(x[i : i + 1]) for i in range(len(x))]))),
        first=nn.Linear(4, 5), last=nn.Linear(5, 3)), (4,), "runs other operations on 5 samples"),
    "a size of the batch": (lambda: Forward(
        lambda m, x: m.last(F.relu(m.first(x)).view(2, 5)), first=nn.Linear(4, 5),
        last=nn.Linear(5, 3)), (4,), "fails on 5 samples of shape .* and not on 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_followed_is_refused_by_name(name):
    build, shape, message = REFUSALS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module, samples = build().eval(), torch.randn(2, *shape)
    with pytest.raises(UnsupportedNetworkError, match=message):
        trace(module, samples)


def test_tracing_touches_nothing_that_other_threads_run():
    call, errors, done = nn.Module.__call__, [], threading.Event()
    other = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    inputs, n_calls = torch.ones(2, 3), 0
    expected = other(inputs)

    def run():
        nonlocal n_calls
        while not done.is_set():
            n_calls += 1
            if nn.Module.__call__ is not call or not torch.equal(other(inputs), expected):
                errors.append(n_calls)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        module, samples, _ = make("cnn2d")
        for _ in range(20):
            trace(module, samples[:2])
    finally:
        done.set()
        thread.join()
    assert n_calls > 0
    assert errors == []
