"""SkorchModel on convolutions and branches: what is scored, and what is made up for."""

import copy
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz.criteria import CRITERIA, Criterion, Reconstruction
from sklearn_capoz.criteria._base import NEEDS
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.networks._layers import dimension_of
from sklearn_capoz.pruning import Remove, _skorch_compensation
from sklearn_capoz.pruning import _skorch_layers as layers_file
from sklearn_capoz.pruning._model import score_units
from sklearn_capoz.pruning._skorch_model import SkorchModel
from sklearn_capoz.training import TrainingSettings
from sklearn_capoz.training._samples import Samples

VALUES = frozenset({"activations", "gradients"})


def make_model(module, shape, dtype=torch.float64, **kwargs):
    net = NeuralNetClassifier(module.to(dtype), criterion=nn.CrossEntropyLoss, verbose=0, **kwargs)
    with torch.random.fork_rng():
        net.initialize()
    net.input_shape_ = shape
    return SkorchModel(net, TrainingSettings(max_iter=1), np.random.RandomState(0))


def seeded(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = build()
        with torch.no_grad():
            for part in module.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    nn.init.normal_(part.running_mean)
                    nn.init.uniform_(part.running_var, 0.5, 2)
        return module.eval()


def make_samples(shape, n_samples=40, n_classes=3, seed=0):
    random = np.random.RandomState(seed)
    X = random.randn(n_samples, *shape)
    return Samples(X, random.randint(n_classes, size=n_samples), random.uniform(0.5, 2, n_samples))


def small_conv():
    """One channel that copies its input, one that is minus half of it; both behind a ReLU."""
    module = nn.Sequential(
        nn.Conv1d(1, 2, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(6, 2, bias=False)
    )
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[[1.0]], [[-0.5]]]))
        module[3].weight.copy_(torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 2]]))
    return module


#: Channels (2, 0, 4) and (0, 1, 0); then (0, 0, 6) and (0.5, 0.5, 0). Logits (6, 1) and (6, 1).
X = np.array([[[2.0, -2.0, 4.0]], [[-1.0, -1.0, 6.0]]])
SMALL = Samples(X, np.array([0, 1]), np.array([1.0, 1.0]))
P = 1 / (1 + np.exp(5))  # probability of class 1
#: Derivatives of the losses by the logits are (-p, p) and (1 - p, p - 1); by the channels, the
#: weights (1, 1, 1) and (1, 1, 2) times these.
EXPECTED = {
    "apoz": [3 / 6, 3 / 6],
    "c-apoz": [1 / 3, 2 / 3],  # of the first sample, which alone is right
    "class-c-apoz": [1 / 3, 2 / 3],
    "contrast": [1 / 3 - 0.5 * 2 / 3, 2 / 3 - 0.5 * 1 / 3],
    "mean-activation": [12 / 6, 2 / 6],
    "l1": [1, 0.5],
    "l2": [1, 0.5],
    "geometric-median": [1.5, 1.5],
    "gradient": [(3 * P + 3 * (1 - P)) / 6, (4 * P + 4 * (1 - P)) / 6],
    "taylor": [(6 * P + 6 * (1 - P)) / 2, (1 * P + 1 * (1 - P)) / 2],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_scores_of_a_small_convolution_by_hand(name):
    model = make_model(small_conv(), (1, 3))
    criterion = CRITERIA[name]()
    scores = score_units(model, criterion, SMALL, np.random.RandomState(0), ["0"])
    np.testing.assert_allclose(scores["0"], EXPECTED[name], atol=1e-12)
    [layer] = model.observe(SMALL, criterion.needs, np.random.RandomState(0)).values()
    np.testing.assert_allclose(criterion.score(layer), EXPECTED[name], atol=1e-12)


def test_a_small_convolution_by_hand():
    model = make_model(small_conv(), (1, 3))
    [layer] = model.observe(SMALL, NEEDS, np.random.RandomState(0)).values()
    assert layer.activations.tolist() == [
        [[2, 0], [0, 1], [4, 0]], [[0, 0.5], [0, 0.5], [6, 0]]
    ]  # fmt: skip
    assert layer.incoming.tolist() == [[1], [-0.5]]
    assert layer.outgoing.tolist() == [[[1, 0]] * 3, [[0, 1], [0, 1], [0, 2]]]
    [inputs] = layer.inputs
    assert inputs.values.tolist() == [
        [[2, 0, 4], [0, 1, 0]], [[0, 0, 6], [0.5, 0.5, 0]]
    ]  # fmt: skip
    np.testing.assert_array_equal(inputs.outgoing, layer.outgoing)
    assert model.multiply_adds((2,)) == 2 * 3 + 2 * 3 * 2
    assert model.multiply_adds((1,)) == 3 + 3 * 2


class Branches(nn.Module):
    """A residual sum, a shared layer, a transposed convolution and a depthwise one."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 5, 3, padding=1)
        self.body = nn.Conv2d(5, 5, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(5)
        self.depth = nn.Conv2d(5, 5, 3, padding=1, groups=5)
        self.up = nn.ConvTranspose2d(5, 4, 2, stride=2)
        self.shared = nn.Linear(4, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = F.relu(self.stem(x), inplace=True)
        y = self.norm(self.body(x))
        y += x
        x = F.relu(self.depth(F.relu(y, inplace=True)))
        x = F.relu(self.up(x)).mean((2, 3))
        return self.head(F.relu(self.shared(x)) - F.relu(self.shared(0.5 * x)))


NETWORKS = {
    "branches": (Branches, (2, 4, 5)),
    "1d": (lambda: nn.Sequential(
        nn.Conv1d(1, 6, 3), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(6, 4, 2),
        nn.ReLU(), nn.Flatten(), nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, 3)), (1, 12)),
    "3d": (lambda: nn.Sequential(
        nn.Conv3d(1, 4, (3, 2, 2)), nn.ReLU(), nn.Conv3d(4, 3, 2), nn.ReLU(), nn.Flatten(),
        nn.Linear(48, 3)), (1, 7, 4, 4)),
}  # fmt: skip


@pytest.fixture(params=NETWORKS)
def network(request):
    build, shape = NETWORKS[request.param]
    return make_model(seeded(build), shape), make_samples(shape)


@pytest.mark.parametrize("name", CRITERIA)
def test_batch_by_batch_is_the_same_as_at_once(name, network, monkeypatch):
    model, samples = network
    names = [group.name for group in model.groups]
    whole = score_units(model, CRITERIA[name](), samples, np.random.RandomState(0), names)
    layers = model.observe(samples, CRITERIA[name]().needs, np.random.RandomState(0))
    monkeypatch.setattr(layers_file, "_BATCH_VALUES", 7 * model.trace.n_values)
    seen = list(model.stream(samples, frozenset({"activations"}), np.random.RandomState(0)))
    assert [len(next(iter(part.values())).y) for part in seen] == [7, 7, 7, 7, 7, 5]
    batches = score_units(model, CRITERIA[name](), samples, np.random.RandomState(0), names)
    again = model.observe(samples, CRITERIA[name]().needs, np.random.RandomState(0))
    for group in model.groups:
        assert whole[group.name].shape == (group.n_units,)
        assert np.isfinite(whole[group.name]).all()
        np.testing.assert_allclose(batches[group.name], whole[group.name], atol=1e-9)
        for field in VALUES:
            one, other = getattr(layers[group.name], field), getattr(again[group.name], field)
            if one is not None:
                np.testing.assert_allclose(one, other, atol=1e-12)


def scaled(model, group, unit, factor):
    """Scale a unit for all that use it."""
    module = copy.deepcopy(model.net.module_)
    for place in model.trace.places[group]:
        if place.axis == "in":
            layer = module.get_submodule(place.module)
            weight = layer.weight.detach()
            rows = weight.movedim(dimension_of(layer, "weight", "in"), 0)
            rows[place.positions[unit]] *= factor
    return module


def test_taylor_is_the_derivative_by_a_factor_of_the_unit(network):
    """In all branches that use it, and summed over positions before all else."""
    model, samples = network
    layers, step = model.observe(samples, VALUES, None), 1e-6
    for group in model.groups:
        if group.name == "stem":  # behind whose sum the unit is counted again
            continue
        layer = layers[group.name]
        found = layer.per_sample(layer.activations * layer.gradients)[:, 0]
        for unit in range(group.n_units):
            losses = []
            for factor in (1 + step, 1 - step):
                with torch.no_grad():
                    output = scaled(model, group.name, unit, factor)(torch.from_numpy(samples.X))
                target = torch.from_numpy(samples.y)
                losses.append(F.cross_entropy(output, target, reduction="none").numpy())
            expected = (losses[0] - losses[1]) / (2 * step)
            np.testing.assert_allclose(found[:, unit], expected, atol=1e-6)


def test_values_that_are_overwritten_later_are_seen_as_those_see_them_that_use_them():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            x = F.relu(self.a(x))
            x += self.b(x)
            return self.c(x)

    model, samples = make_model(seeded(InPlace), (3,)), make_samples((3,), n_classes=2)
    [layer] = model.observe(samples, frozenset({"activations"}), None).values()
    with torch.no_grad():
        a = F.relu(model.net.module_.a(torch.from_numpy(samples.X)))
        expected = np.stack([a.numpy(), (a + model.net.module_.b(a)).numpy()], axis=1)
    np.testing.assert_allclose(layer.activations, expected)


def test_a_branch_that_goes_nowhere_is_left_alone():
    class Auxiliary(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(4, 5), nn.Linear(4, 2)
            self.d = nn.Linear(5, 2)

        def forward(self, x):
            x = F.relu(self.a(x))
            self.d(F.relu(self.b(x)))
            return self.c(x)

    model, samples = make_model(seeded(Auxiliary), (3,)), make_samples((3,), n_classes=2)
    layers = model.observe(samples, NEEDS, np.random.RandomState(0))
    assert [(name, layer.n_units) for name, layer in layers.items()] == [("a", 4), ("b", 5)]
    assert (layers["b"].gradients == 0).all()
    cut = model.apply(Remove("a", np.arange(4) > 1), "least-squares", samples)
    assert cut.widths == (2, 5)


def test_frozen_weights_have_scores_too_and_stay_frozen():
    module = seeded(NETWORKS["1d"][0])
    module[:5].requires_grad_(False)
    model, samples = make_model(module, (1, 12)), make_samples((1, 12))
    free = make_model(seeded(NETWORKS["1d"][0]), (1, 12))
    for one, other in zip(
        model.observe(samples, VALUES, None).values(),
        free.observe(samples, VALUES, None).values(),
        strict=True,
    ):
        np.testing.assert_allclose(one.gradients, other.gradients, atol=1e-12)
    cut = model.apply(Remove("0", np.arange(6) > 2), "least-squares", samples)
    frozen = {name: p.requires_grad for name, p in cut.net.module_.named_parameters()}
    assert frozen == {name: p.requires_grad for name, p in module.named_parameters()}
    assert cut.net.module_[0].weight.shape == (3, 1, 3)


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
