"""What is left makes up for channels that are cut, and memory stays that of a batch."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_channels import NETWORKS, Branches, make_model, make_samples, seeded
from torch import nn

from sklearn_capoz.criteria import CRITERIA, Criterion, Reconstruction
from sklearn_capoz.criteria._base import NEEDS
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.pruning import Remove, _skorch_compensation
from sklearn_capoz.pruning import _skorch_layers as layers_file
from sklearn_capoz.pruning._model import score_units

CONSUMERS = {
    "linear behind flatten": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(54, 3)), 2),
    "convolution": (lambda: nn.Sequential(
        nn.Conv2d(6, 4, 2, dilation=2), nn.Flatten(), nn.Linear(4, 3)), 2),
    "padded": (lambda: nn.Sequential(
        nn.Conv2d(6, 4, 3, padding=1, padding_mode="replicate"), nn.Flatten(),
        nn.Linear(36, 3)), 2),
    "transposed": (lambda: nn.Sequential(
        nn.ConvTranspose2d(6, 4, 2, stride=2), nn.Flatten(), nn.Linear(144, 3)), 2),
    "1d": (lambda: nn.Sequential(nn.Conv1d(6, 4, 2, stride=2), nn.Flatten(), nn.Linear(4, 3)), 1),
    "3d": (lambda: nn.Sequential(nn.Conv3d(6, 4, 2), nn.Flatten(), nn.Linear(32, 3)), 3),
}  # fmt: skip


def with_consumer(name):
    build, n_axes = CONSUMERS[name]
    convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[n_axes - 1]
    return seeded(lambda: nn.Sequential(convolution(1, 6, 2), nn.ReLU(), *build())), (4,) * n_axes


@pytest.mark.parametrize("name", CONSUMERS)
def test_twins_cost_nothing_once_the_other_one_takes_over(name):
    module, shape = with_consumer(name)
    with torch.no_grad():
        for part in (module[0].weight, module[0].bias):
            part[3], part[5] = part[0], 2 * part[1]
    model, samples = make_model(module, (1, *shape)), make_samples((1, *shape), n_samples=300)
    criterion = Reconstruction(1e-9)
    scores = score_units(model, criterion, samples, np.random.RandomState(0), ["0"])["0"]
    first = set(np.argsort(scores)[:2])  # one of each pair of twins
    assert len(first & {0, 3}) == len(first & {1, 5}) == 1
    assert (np.sort(scores)[:2] < -4).all()
    assert (np.sort(scores)[2:] > -3).all()
    keep = np.array([True, True, True, False, True, False])
    before = model.logits(samples.X)
    cut = model.apply(Remove("0", keep), "least-squares", samples)
    alone = model.apply(Remove("0", keep), None, samples)
    assert np.abs(cut.logits(samples.X) - before).max() < 0.02
    assert np.abs(alone.logits(samples.X) - before).max() > 0.1
    same = model.apply(Remove("0", np.ones(6, dtype=bool)), "least-squares", samples)
    np.testing.assert_allclose(same.logits(samples.X), before, atol=1e-10)


@pytest.mark.parametrize("compensation", ["bias", "least-squares"])
@pytest.mark.parametrize("name", CONSUMERS)
def test_constant_channels_go_into_the_bias(name, compensation):
    module, shape = with_consumer(name)
    with torch.no_grad():
        module[0].weight[[1, 4]] = 0
        module[0].bias[[1, 4]] = torch.tensor([0.7, 1.3], dtype=module[0].bias.dtype)
    model, samples = make_model(module, (1, *shape)), make_samples((1, *shape))
    keep = np.array([True, False, True, True, False, True])
    cut = model.apply(Remove("0", keep), compensation, samples)
    if name == "transposed":  # where each output meets one of the weights: right in the mean
        with torch.no_grad():
            inputs = torch.from_numpy(samples.X)
            change = cut.net.module_[:3](inputs) - model.net.module_[:3](inputs)
        weight = torch.from_numpy(samples.weight)
        assert torch.einsum("n,nchw->c", weight, change).abs().max() < 1e-7
    else:
        np.testing.assert_allclose(cut.logits(samples.X), model.logits(samples.X), atol=1e-7)


def test_at_a_border_padded_with_zeros_a_constant_is_made_up_for_inside_alone():
    module = seeded(
        lambda: nn.Sequential(nn.Conv1d(1, 3, 1), nn.ReLU(), nn.Conv1d(3, 2, 3, padding=1),
                              nn.Flatten(), nn.Linear(12, 3))
    )  # fmt: skip
    with torch.no_grad():
        module[0].weight[1], module[0].bias[1] = 0, 1.5
    model, samples = make_model(module, (1, 6)), make_samples((1, 6))
    cut = model.apply(Remove("0", np.array([True, False, True])), "bias", samples)
    inputs = torch.from_numpy(samples.X)
    with torch.no_grad():
        change = (cut.net.module_[:3](inputs) - model.net.module_[:3](inputs)).abs()
    assert change[:, :, 1:-1].max() < 1e-12
    assert change[:, :, [0, -1]].min() > 1e-3


def test_all_layers_that_use_a_unit_make_up_for_it():
    model, samples = make_model(seeded(Branches), (2, 4, 5)), make_samples((2, 4, 5), 200)
    group = model.groups[0]
    assert [m.module for m in group.members if m.axis == "in"] == ["body", "up"]
    keep = np.array([True, True, False, True, True])
    before = model.logits(samples.X)
    cut = {how: model.apply(Remove("stem", keep), how, samples) for how in (None, "least-squares")}
    for name in ("body", "up"):  # both are other weights than a plain cut leaves, body has no bias
        one, other = (cut[how].net.module_.get_submodule(name).weight for how in cut)
        assert (one - other).abs().max() > 1e-3
    error = {how: np.abs(some.logits(samples.X) - before).mean() for how, some in cut.items()}
    assert error["least-squares"] < 0.8 * error[None]
    with pytest.raises(UnsupportedNetworkError, match=r"needs a bias .* 'body' has none; give it"):
        model.apply(Remove("stem", keep), "bias", samples)


def test_a_refit_looks_at_some_rows_where_there_are_many(monkeypatch):
    module, shape = with_consumer("convolution")
    model, samples = make_model(module, (1, *shape)), make_samples((1, *shape), 300)
    keep = np.array([True, False, True, True, False, True])
    before = model.logits(samples.X)
    monkeypatch.setattr(_skorch_compensation, "_ROW_VALUES", 24 * 150)  # of 300 rows the half
    first, again = (model.apply(Remove("0", keep), "least-squares", samples) for _ in range(2))
    assert torch.equal(first.net.module_[2].weight, again.net.module_[2].weight)
    alone = model.apply(Remove("0", keep), None, samples)
    error = [np.abs(some.logits(samples.X) - before).mean() for some in (first, alone)]
    assert error[0] < 0.7 * error[1]
    monkeypatch.setattr(_skorch_compensation, "_ROW_VALUES", 24 * 10)  # fewer rows than weights
    few = model.apply(Remove("0", keep), "least-squares", samples)
    assert np.isfinite(few.logits(samples.X)).all()


def test_of_many_inputs_some_taps_stand_for_all(monkeypatch):
    module, shape = with_consumer("linear behind flatten")
    model, samples = make_model(module, (1, *shape)), make_samples((1, *shape), 100)
    monkeypatch.setattr(layers_file, "_INPUT_COLUMNS", 24)
    [layer] = model.observe(samples, NEEDS, np.random.RandomState(0)).values()
    [inputs] = layer.inputs
    assert inputs.values.shape == (100, 6, 4)
    assert inputs.outgoing.shape == (6, 4, 3)
    with torch.no_grad():
        whole = model.net.module_[:2](torch.from_numpy(samples.X)).flatten(2).numpy()
    for unit, own in enumerate(inputs.outgoing):  # the same taps of values and weights
        taps = [np.flatnonzero((layer.outgoing[unit] == row).all(1)).item() for row in own]
        np.testing.assert_allclose(inputs.values[:, unit], whole[:, unit, taps])


def test_a_criterion_that_does_not_stream_sees_some_positions(monkeypatch):
    class Largest(Criterion):
        def score(self, layer):
            shapes.append(layer.activations.shape)
            return layer.activations.max(axis=(0, 1))

    model, samples = make_model(seeded(NETWORKS["1d"][0]), (1, 12)), make_samples((1, 12))
    shapes, names = [], [group.name for group in model.groups]
    whole = score_units(model, Largest(), samples, np.random.RandomState(0), names)
    monkeypatch.setattr(layers_file, "_WHOLE_VALUES", 40 * 6 * 3)
    some = score_units(model, Largest(), samples, np.random.RandomState(0), names)
    assert shapes == [(40, 10, 6), (40, 4, 4), (40, 1, 5), (40, 3, 6), (40, 4, 4), (40, 1, 5)]
    assert (some["0"] <= whole["0"]).all()
    np.testing.assert_array_equal(some["7"], whole["7"])


@pytest.mark.parametrize(
    "name", ["c-apoz", "mean-activation", "taylor", "correlation", "reconstruction"]
)
def test_memory_does_not_grow_with_samples(name, monkeypatch):
    """The share of numpy; torch's is that of the network's own forward pass over a batch."""
    module = seeded(
        lambda: nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3),
                              nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    )  # fmt: skip
    model = make_model(module, (1, 16, 16), torch.float32)
    monkeypatch.setattr(layers_file, "_BATCH_VALUES", 20 * model.trace.n_values)
    monkeypatch.setattr(layers_file, "_INPUT_VALUES", 2**16)
    names, peaks = [group.name for group in model.groups], []
    for n_samples in (100, 100, 400):  # the first compiles
        samples = make_samples((1, 16, 16), n_samples)
        samples = replace(samples, X=samples.X.astype(np.float32))
        tracemalloc.start()
        score_units(model, CRITERIA[name](), samples, np.random.RandomState(0), names)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    whole = 400 * 16 * 16 * 8 * 4
    assert peaks[2] < 1.3 * peaks[1] + 2**17
    assert peaks[2] < 0.4 * whole
