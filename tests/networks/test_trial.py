"""Cuts on trial: what a forward does that labels do not show is found out before training."""

import pytest
import torch
import torch.nn.functional as F
from architectures import Forward
from torch import nn

from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.networks._tracing import trace_shape


def stacked(m, x):
    return m.head(torch.stack([F.relu(m.one(x)), torch.tanh(m.other(x))], 2).flatten(1))


def shifted(m, x):
    first, second = F.relu(m.one(x)).chunk(2, 1)
    return m.head(F.relu(m.last(torch.cat([first.roll(1, 2), second.roll(-1, 2)], 1))).mean(2))


def looked_at(m, x):
    x = F.relu(m.one(x))
    return m.head(F.relu(m.last(x * m.one.weight.abs().mean())))


@pytest.mark.parametrize(
    ("forward", "sizes", "shape", "groups", "why"),
    [
        # Two layers must be as wide as each other, and no number of one meets one of the other.
        (stacked, {"one": (4, 6), "other": (4, 6), "head": (12, 3)}, (4,), set(), "it fails"),
        # After a cut some channels come into the other half, which is shifted the other way.
        (shifted, {"one": (1, 8, 3), "last": (8, 5, 3), "head": (5, 3)}, (1, 12), {"last"},
         "its outputs are others"),
        # All units are scaled by weights that a cut takes some of: a small change of each.
        (looked_at, {"one": (4, 30), "last": (30, 5), "head": (5, 3)}, (4,), {"last"},
         "its outputs are others"),
    ],
)  # fmt: skip
def test_what_labels_do_not_show_stays_whole(forward, sizes, shape, groups, why):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layers = {
            name: nn.Linear(*size) if len(size) == 2 else nn.Conv1d(*size)
            for name, size in sizes.items()
        }
    found = trace_shape(Forward(forward, **layers), shape)
    assert {group.name for group in found.groups} == groups
    assert why in found.kept_whole["one"]


def aided(m, x):
    x = F.relu(m.one(x))
    return m.head(F.relu(m.last(x))) + (m.aid(x) if m.training else 0)


def test_a_layer_that_runs_in_training_alone_is_no_surprise_in_the_retraining():
    module = Forward(
        aided, one=nn.Linear(4, 6), last=nn.Linear(6, 5), aid=nn.Linear(6, 3), head=nn.Linear(5, 3)
    )
    state = torch.get_rng_state()
    found = trace_shape(module, (4,))
    assert [group.name for group in found.groups] == ["last"]
    assert "it fails in training (mat1 and mat2" in found.kept_whole["one"]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("function", [torch.log, torch.sqrt, torch.rsqrt])
def test_a_module_may_take_positive_numbers_alone(function):
    module = Forward(
        lambda m, x: m.head(F.relu(m.line(function(x)))), line=nn.Linear(4, 6), head=nn.Linear(6, 3)
    )
    assert [group.name for group in trace_shape(module, (4,)).groups] == ["line"]


def test_a_module_may_take_numbers_of_words():
    module = Forward(
        lambda m, x: m.head(F.relu(m.line(m.words(x.long()).flatten(1)))),
        words=nn.Embedding(10, 5), line=nn.Linear(20, 6), head=nn.Linear(6, 3),
    )  # fmt: skip
    assert [group.name for group in trace_shape(module, (4,)).groups] == ["line"]


def test_weights_that_have_diverged_are_told():
    module = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    nn.init.constant_(module[0].weight, float("nan"))
    with pytest.raises(ValueError, match="its weights have diverged or are NaN"):
        trace_shape(module, (4,))


def test_a_mean_over_the_batch_is_seen_in_large_samples():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    module(torch.zeros(2, 3, 30, 30))
    mixed = Forward(lambda m, x: m.net(x - x.mean()), net=module)
    with pytest.raises(UnsupportedNetworkError, match="samples mix"):
        trace_shape(mixed, (3, 30, 30))
