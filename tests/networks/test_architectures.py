"""Tracing and surgery on networks of many kinds: every group, cut at random, equals the mask."""

import copy
import re

import numpy as np
import pytest
import torch
from architectures import ARCHITECTURES, Forward, make
from more_architectures import MORE
from torch import nn
from torch.nn import functional as F

from sklearn_capoz.networks._inputs import run_module, take
from sklearn_capoz.networks._labels import OUTPUTS
from sklearn_capoz.networks._surgery import cut_module, mask_module
from sklearn_capoz.networks._tracing import trace
from sklearn_capoz.networks._work import multiply_adds

ALL = ARCHITECTURES | MORE


@pytest.mark.parametrize("name", ALL)
def test_random_cuts_of_every_group_equal_the_masked_network(name):
    module, samples, n_groups = make(name, ALL)
    two = take(samples, slice(2))
    traced = trace(module, two)
    assert len(traced.groups) == n_groups
    random = np.random.RandomState(0)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    smaller, masked = module, module
    kept = {group.name: np.arange(group.n_units) for group in traced.groups}
    for _ in range(2):  # each group twice: units are counted anew after a cut
        for group in traced.groups:
            now = next(g for g in traced.groups if g.name == group.name)
            keep = random.uniform(size=now.n_units) < 0.7
            if now.n_units > 2:  # two stay, one goes
                keep[random.choice(now.n_units, 3, replace=False)] = [True, True, False]
            else:
                keep[:] = True
            smaller, _ = cut_module(smaller, traced.places[group.name], keep)
            traced = traced.cut(group.name, keep)
            kept[group.name] = kept[group.name][keep]
    original = trace(module, two)
    for group in original.groups:
        stays = np.isin(np.arange(group.n_units), kept[group.name])
        masked = mask_module(masked, original.places[group.name], stays)
    with torch.no_grad():
        torch.testing.assert_close(
            run_module(smaller, samples), run_module(masked, samples), rtol=1e-5, atol=1e-5
        )
    # Counting anew and tracing anew agree.
    again = trace(smaller, two)
    assert again.groups == traced.groups
    for group in again.groups:
        for one, other in zip(again.places[group.name], traced.places[group.name], strict=True):
            np.testing.assert_array_equal(one.positions, other.positions)
        for one, other in zip(again.sites[group.name], traced.sites[group.name], strict=True):
            assert (one.call, one.axis) == (other.call, other.axis)
            np.testing.assert_array_equal(one.group, other.group)
            np.testing.assert_array_equal(one.unit, other.unit)
    widths = {group.name: group.n_units for group in again.groups}
    counted = count_multiply_adds(smaller, two)
    assert multiply_adds(smaller, again.work, again.places, widths) == counted
    assert multiply_adds(module, original.work, original.places, widths) == counted
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key])


def count_multiply_adds(module, samples):
    """Count them with hooks, from the shapes of what layers take and give."""
    total = 0

    def count(layer, args, output):
        nonlocal total
        if isinstance(layer, nn.Linear):
            total += output.numel() * layer.in_features
        elif hasattr(layer, "output_padding") and layer.transposed:
            kernel = int(np.prod(layer.kernel_size))
            total += args[0].numel() * layer.out_channels // layer.groups * kernel
        elif hasattr(layer, "kernel_size") and hasattr(layer, "weight"):
            total += output.numel() * layer.weight[0].numel()

    hooks = [part.register_forward_hook(count) for part in module.modules()]
    run_module(module, take(samples, slice(1)))
    for hook in hooks:
        hook.remove()
    return total


@pytest.mark.parametrize("name", MORE)
def test_layers_that_stay_whole_are_named(name):
    module, samples, _ = make(name, MORE)
    kept = trace(module, samples[:2]).kept_whole
    assert {layer for layer, why in kept.items() if why != OUTPUTS} == MORE[name][3]


@pytest.mark.parametrize(
    ("name", "layer", "why"),
    [
        ("cbam", "conv", r"Forward runs mean\(\), which takes several of them together"),
        ("one channel for a gate", "gate", r"mul\(\), which joins each of them with many others"),
        ("convnext", "stem", r"LayerNorm 'norm' runs layer_norm\(\), and it compares them"),
        ("convnext", "down", r"LayerNorm 'norm' runs layer_norm\(\), and it compares them"),
        ("resnext", "5.conv1", "the convolution '5.conv2' works on groups of them"),
        ("shufflenet", "stem", "'point1' takes some of them more often than others"),
        ("shufflenet", "point2", "names their number or places itself: without some of them its"),
        ("selective kernels", "weigh", r"softmax\(\), which compares them with each other"),
        ("einsum", "conv", r"einsum\(\), and each of its numbers is made of several of them"),
        ("vision transformer", "patches", r"'encoder.self_attn' runs multi_head_attention_forward"),
        ("recurrent", "second", r"GRU 'rnn' runs gru\(\), and recurrent layers are not cut"),
        ("a list of channels", "conv", "'line' takes some of them more often than others"),
        ("written into", "conv", r"setitem\(\), and it writes into a tensor"),
        ("size written in", "second", r"itself: without some of them it fails \(mat1 and mat2"),
    ],
)
def test_the_reason_is_the_layers_own(name, layer, why):
    module, samples, _ = make(name, MORE)
    assert re.search(why, trace(module, samples[:2]).kept_whole[layer])


def test_cuts_on_trial_see_what_the_numbers_do_not():
    # A branch whose last norm is zero at first tells nothing of who is where.
    module, samples, _ = make("shufflenet", MORE)
    with torch.no_grad():
        module.last.weight.zero_()
    assert "takes others in their places" in trace(module, samples[:2]).kept_whole["point2"]


def test_members_by_hand():
    module, samples, _ = make("cnn1d")
    conv, linear = trace(module, samples[:2]).groups
    assert (conv.name, conv.n_units, conv.activation) == ("0", 6, "relu")
    assert [(m.module, m.axis, m.taps) for m in conv.members] == [
        ("0", "out", 1), ("1", "out", 1), ("5", "in", 8)
    ]  # fmt: skip
    assert [(m.module, m.axis, m.taps) for m in linear.members] == [("5", "out", 1), ("8", "in", 1)]


def test_units_that_meet_in_a_sum_are_one_group():
    module, samples, _ = make("residual")
    [group] = trace(module, samples[:2]).groups
    assert [(m.module, m.axis) for m in group.members] == [
        ("stem", "out"), ("body", "in"), ("body", "out"), ("norm", "out"), ("head", "in")
    ]  # fmt: skip


def test_a_grouped_convolution_is_kept_whole_and_says_so():
    module, samples, _ = make("grouped")
    traced = trace(module, samples[:2])
    assert [group.name for group in traced.groups] == ["4"]
    assert set(traced.kept_whole) == {"0", "2", "7"}
    assert "the convolution '2' works on groups of them" in traced.kept_whole["0"]


def test_what_is_joined_to_the_input_stays_and_the_rest_can_go():
    module = Forward(
        lambda m, x: m.last(F.relu(m.second(x + F.relu(m.first(x))))),
        first=nn.Linear(5, 5), second=nn.Linear(5, 8), last=nn.Linear(8, 3),
    )  # fmt: skip
    traced = trace(module, torch.rand(2, 5))
    assert [group.name for group in traced.groups] == ["second"]
    assert "add(), which joins them with numbers" in traced.kept_whole["first"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    ["mlp", "cnn1d", "cnn3d", "residual", "siamese", "squeeze and excite", "hybrid",
     "bottleneck with downsample", "dense block", "hybrid sn", "u-net", "inverted residual",
     # It fails after some cuts of the others.
     *(name for name in MORE if name not in {"attention u-net", "res2net", "pixel shuffle",
                                          "gated linear units"})],
)  # fmt: skip
def test_torch_pruning_cuts_the_same_where_it_can(name):
    tp = pytest.importorskip("torch_pruning")
    module, samples, _ = make(name, ALL)
    traced = trace(module, samples[:2])
    for group in traced.groups:
        keep = np.arange(group.n_units) % 2 == 0
        ours, _ = cut_module(module, traced.places[group.name], keep)
        theirs = copy.deepcopy(module)
        graph = tp.DependencyGraph().build_dependency(theirs, example_inputs=samples[:2])
        layer = theirs.get_submodule(group.name)
        prune = (
            tp.prune_linear_out_channels
            if isinstance(layer, nn.Linear)
            else tp.prune_conv_out_channels
        )
        graph.get_pruning_group(layer, prune, idxs=np.flatnonzero(~keep).tolist()).prune()
        with torch.no_grad():
            torch.testing.assert_close(ours(samples), theirs(samples), rtol=1e-5, atol=1e-5)
