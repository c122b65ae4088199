"""SkorchModel on convolutions and branches: what is scored, and what is made up for."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_channels import NETWORKS, VALUES, make_model, make_samples, seeded
from torch import nn

from sklearn_capoz.criteria import CRITERIA
from sklearn_capoz.criteria._base import NEEDS
from sklearn_capoz.networks._layers import dimension_of
from sklearn_capoz.pruning import Remove
from sklearn_capoz.pruning import _skorch_layers as layers_file
from sklearn_capoz.pruning._model import score_units
from sklearn_capoz.training._samples import Samples


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
    monkeypatch.setattr(layers_file, "_BATCH_VALUES", 14 * model.trace.n_values)
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
