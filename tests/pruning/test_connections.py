"""Single connections: what they score, how they go, and that they stay gone."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from small_channels import NETWORKS, make_model, seeded
from small_channels import make_samples as make_channel_samples
from small_models import as_skorch_model, dense_model, make_data, make_samples, trained
from torch import nn

from sklearn_capoz.criteria import (
    CRITERIA,
    CAPoZ,
    Connections,
    Gradient,
    Random,
    Reconstruction,
    Reversed,
    Taylor,
    WeightNorm,
    check_connection_criterion,
)
from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.pruning import Mask, PruningJob, PruningPlan, history_table, prune_together
from sklearn_capoz.pruning._granularity import GRANULARITIES
from sklearn_capoz.schedules import Gradual, Iterative, MultiPass, OneShot, Widths
from sklearn_capoz.thresholds import Budget, Count, FixedValue, Fraction, MeanStd, OverAll
from sklearn_capoz.training._samples import PruningData, Samples

CONNECTION = GRANULARITIES["connection"]
BOTH = frozenset({"gradients", "inputs"})
OF_WEIGHTS = {name: make for name, make in CRITERIA.items() if make().connection_needs is not None}


def look(model, samples, needs=BOTH):
    return model.observe_connections(samples, needs, np.random.RandomState(0))


def walk(model, data=None, criterion=None, threshold=None, schedule=None, n_iterations=3,
         min_units=1):  # fmt: skip
    model = replace(model, settings=replace(model.settings, zeros_stay=True))
    plan = PruningPlan(
        criterion or WeightNorm(), threshold or Fraction(0.3), schedule or MultiPass(),
        n_iterations, min_units, None, CONNECTION,
    )  # fmt: skip
    job = PruningJob(model, data or make_data(), plan, np.random.RandomState(0))
    return prune_together([job])[0]


def weights_of(model):
    return [own.weights for own in model.connections.values()]


def hand_model():
    network = DenseNetwork(
        (np.array([[1.0, -2.0]]), np.array([[3.0, 0.0], [0.5, 1.0]])),
        (np.zeros(2), np.zeros(2)),
        ("relu",),
    )
    return dense_model(network=network)


def test_values_by_hand():
    samples = Samples(np.array([[2.0], [-1.0]]), np.array([0, 1]), np.array([1.0, 3.0]))
    first, second = look(hand_model(), samples).values()
    # x is 2 and -1, hidden (2, 0) and (0, 2), with weights 1/4 and 3/4.
    assert first.input_squares.tolist() == [[1.75, 1.75]]
    assert second.input_squares.tolist() == [[1, 1], [3, 3]]
    # Logits (6, 0) and (1, 2); p - y of the two samples.
    p, q = 1 / (1 + np.exp(6)), 1 / (1 + np.exp(1))
    np.testing.assert_allclose(second.gradients, [[0.5 * p, 0.5 * p], [1.5 * q, 1.5 * q]])
    np.testing.assert_allclose(first.gradients, [[0.5 * 3 * p, 0.75 * 0.5 * q]])

    assert WeightNorm().score_connections(second).tolist() == [[3, 0], [0.5, 1]]
    np.testing.assert_allclose(Gradient().score_connections(second), second.gradients)
    np.testing.assert_allclose(
        Taylor().score_connections(second), [[1.5 * p, 0], [0.75 * q, 1.5 * q]]
    )
    # w^2 E[x^2] is 9, 0, 0.75 and 3: the order of |w| times the norm of its input.
    np.testing.assert_allclose(
        Reconstruction().score_connections(second),
        np.log10([[9 / 12.75, 1e-12], [0.75 / 12.75, 3 / 12.75]]),
    )


def test_the_reconstruction_score_is_what_the_sums_lose():
    model, samples = trained(dense_model()), make_samples()
    view = look(model, samples)["0"]
    scores = 10 ** Reconstruction().score_connections(view)
    weight, share = model.network.weights[0], samples.weight / samples.weight.sum()
    lost = np.empty_like(weight)
    for i, j in np.ndindex(*weight.shape):
        lost[i, j] = share @ (samples.X[:, i] * weight[i, j]) ** 2
    np.testing.assert_allclose(scores, lost / lost.sum())


def test_taylor_is_the_first_order_change_of_each_samples_loss():
    model, samples = trained(dense_model()), make_samples(30)
    scores = Taylor().score_connections(look(model, samples)["1"])
    network, step = model.network, 1e-6

    def losses(weight):
        logits = replace(network, weights=(network.weights[0], weight, network.weights[2])).forward(
            samples.X
        )[-1]
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return -log_p[np.arange(30), samples.y]

    share = samples.weight / samples.weight.sum()
    for i, j in [(0, 0), (2, 3), (5, 1)]:
        weight = network.weights[1].copy()
        weight[i, j] *= 1 - step
        change = share @ np.abs(losses(weight) - losses(network.weights[1])) / step
        np.testing.assert_allclose(scores[i, j], change, rtol=1e-4)


def test_both_models_see_the_same():
    model, samples = trained(dense_model()), make_samples()
    views = look(model, samples), look(as_skorch_model(model), samples)
    for dense, skorch in zip(*(view.values() for view in views), strict=True):
        for name in ("weights", "gradients", "input_squares"):
            np.testing.assert_allclose(
                getattr(dense, name), getattr(skorch, name).T, rtol=1e-9, atol=1e-12
            )


class Grouped(nn.Module):
    """Groups, a transposed convolution with groups and strides, a layer that runs twice."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(2, 4, 3, padding=1, padding_mode="reflect")
        self.grouped = nn.Conv1d(4, 6, 2, groups=2, stride=2, padding=1)
        self.up = nn.ConvTranspose1d(
            6, 4, 3, groups=2, stride=2, dilation=2, padding=1, output_padding=1
        )
        self.twice = nn.Linear(4, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = torch.relu(self.first(x))
        x = torch.relu_(self.grouped(x))
        x = torch.relu(self.up(x)).movedim(1, 2)
        x = torch.relu(self.twice(torch.relu(self.twice(x))))
        return self.head(x.mean(1))


ALL_NETWORKS = {name: (build, shape) for name, (build, shape) in NETWORKS.items()} | {
    "grouped": (Grouped, (2, 8))
}


@pytest.mark.parametrize("name", ALL_NETWORKS)
def test_gradients_of_any_module_are_those_of_each_sample_alone(name):
    build, shape = ALL_NETWORKS[name]
    model, samples = make_model(seeded(build), shape), make_channel_samples(shape, 12)
    module, share = model.net.module_.eval(), samples.weight / samples.weight.sum()
    expected = {}
    for row, y, weight in zip(samples.X, samples.y, share, strict=True):
        loss = nn.functional.cross_entropy(module(torch.tensor(row)[None]), torch.tensor([y]))
        layers = [module.get_submodule(name) for name in model.connections]
        for key, part in zip(
            model.connections,
            torch.autograd.grad(loss, [layer.weight for layer in layers]),
            strict=True,
        ):
            expected[key] = expected.get(key, 0) + weight * part.abs().numpy()
    views = look(model, samples)
    assert list(views) == list(model.connections)
    for key, view in views.items():
        np.testing.assert_allclose(view.gradients, expected[key], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", ALL_NETWORKS)
def test_input_squares_are_what_each_weight_is_multiplied_by(name):
    """A layer's sums with one weight alone are that weight times its inputs."""
    build, shape = ALL_NETWORKS[name]
    model, samples = make_model(seeded(build), shape), make_channel_samples(shape, 7)
    module, share = model.net.module_.eval(), samples.weight / samples.weight.sum()
    views, random = look(model, samples), np.random.RandomState(0)
    for key, own in model.connections.items():
        layer, seen = module.get_submodule(key), []
        handle = layer.register_forward_pre_hook(lambda _, args, seen=seen: seen.append(args[0]))
        with torch.no_grad():
            module(torch.tensor(samples.X))
        handle.remove()
        for flat in random.choice(own.weights.size, 3):
            place = np.unravel_index(flat, own.weights.shape)
            alone = torch.zeros_like(layer.weight)
            alone[place] = 1
            squares = []
            with torch.no_grad():
                for inputs in seen:
                    kept, layer.weight.data = layer.weight.data, alone
                    sums = layer(inputs) - layer(torch.zeros_like(inputs))
                    layer.weight.data = kept
                    axis = sums.dim() - 1 if isinstance(layer, nn.Linear) else 1
                    n_out = sums.shape[axis]
                    positions = sums.movedim(axis, -1).reshape(len(share), -1, n_out)
                    squares.append(share @ positions.square().sum(2).mean(1).numpy())
            np.testing.assert_allclose(
                views[key].input_squares[place], np.mean(squares), rtol=1e-9, atol=1e-14
            )


def test_many_samples_are_seen_in_batches(monkeypatch):
    from sklearn_capoz.pruning import _skorch_connections, _skorch_layers

    shape = (2, 8)
    model, samples = make_model(seeded(Grouped), shape), make_channel_samples(shape, 40)
    whole = look(model, samples)
    monkeypatch.setattr(_skorch_layers, "_BATCH_VALUES", 2000)
    monkeypatch.setattr(_skorch_connections, "_ROW_VALUES", 100)
    for one, other in zip(whole.values(), look(model, samples).values(), strict=True):
        np.testing.assert_allclose(one.gradients, other.gradients)
        np.testing.assert_allclose(one.input_squares, other.input_squares)


def test_magnitude_prunes_what_torchs_own_pruning_does():
    """`torch.nn.utils.prune` is the oracle, and nothing of it is used."""
    from torch.nn.utils import prune

    shape = (2, 8)
    model = make_model(seeded(Grouped), shape)
    theirs = seeded(Grouped).double()
    parts = [(theirs.get_submodule(name), "weight") for name in model.connections]
    data = PruningData(*(make_channel_samples(shape, 9, seed=seed) for seed in range(3)))
    model = replace(model, settings=replace(model.settings, max_iter=0))
    last = walk(model, data, threshold=Fraction(0.4), n_iterations=1)[-1].model
    for layer, name in parts:
        prune.l1_unstructured(layer, name, amount=int(0.4 * layer.weight.numel()))
    for (layer, _), own in zip(parts, weights_of(last), strict=True):
        np.testing.assert_array_equal(own, layer.weight.detach().numpy())

    together = seeded(Grouped).double()
    parts = [(together.get_submodule(name), "weight") for name in model.connections]
    n_weights = sum(own.size for own in weights_of(model))
    prune.global_unstructured(parts, prune.L1Unstructured, amount=int(0.7 * n_weights))
    last = walk(model, data, threshold=OverAll(Fraction(0.7)), n_iterations=1)[-1].model
    for (layer, _), own in zip(parts, weights_of(last), strict=True):
        np.testing.assert_array_equal(own, layer.weight.detach().numpy())


@pytest.mark.parametrize("make", [dense_model, lambda: as_skorch_model(dense_model())])
def test_a_mask_makes_a_new_model(make):
    model, samples = trained(make()), make_samples()
    before, name = weights_of(model), list(model.connections)[1]
    keep = np.random.RandomState(0).rand(*before[1].shape) < 0.5
    masked = model.apply(Mask(name, keep), None, samples)
    after = weights_of(masked)
    np.testing.assert_array_equal(after[1], np.where(keep, before[1], 0))
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_array_equal(weights_of(model)[1], before[1])
    assert masked.widths == model.widths
    for change, message in [
        (Mask("other", keep), "no layer 'other' with weights"),
        (Mask(name, keep[1:]), f"keep must be a boolean array of shape .* the layer {name!r}"),
        (Mask(name, keep.astype(int)), "keep must be a boolean array"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.apply(change, None, samples)


@pytest.mark.parametrize("make", [dense_model, lambda: as_skorch_model(dense_model())])
@pytest.mark.parametrize("name", OF_WEIGHTS)
@pytest.mark.parametrize("threshold", [Fraction(0.3), OverAll(Fraction(0.3)), MeanStd(0.2)])
def test_the_records_tell_what_is_left(make, name, threshold):
    records = walk(trained(make()), criterion=OF_WEIGHTS[name](), threshold=threshold)
    table = history_table(records, CONNECTION)
    for record, (_, row) in zip(records, table.iterrows(), strict=True):
        weights, support = weights_of(record.model), record.support
        for i, (own, there) in enumerate(zip(weights, support, strict=True)):
            np.testing.assert_array_equal(own != 0, there)
            assert row[f"n_connections_{i}"] == there.sum() == record.importances[i].size
        n_left = sum(there.sum() for there in support)
        assert row["n_connections"] == row["n_multiply_adds"] == n_left
        assert row["sparsity"] == pytest.approx(1 - n_left / 66)
        assert row["n_parameters"] == n_left + 13
        assert (row["n_units"], row["unit_ratio"]) == (10, 1)
        assert row["n_bytes"] <= 8 * 79
    for earlier, later in pairwise(records):
        for i in range(3):
            assert not (later.support[i] & ~earlier.support[i]).any()
            gone = int(earlier.support[i].sum() - later.support[i].sum())
            assert later.n_pruned[i] == gone
    assert table["n_connections"].is_monotonic_decreasing
    assert table["n_bytes"].iloc[-1] < table["n_bytes"].iloc[0]


def test_columns_are_plain_numbers():
    table = history_table(walk(trained(dense_model())), CONNECTION)
    assert list(table.columns) == [
        *("iteration", "n_units", "n_connections", "sparsity", "n_parameters", "n_bytes"),
        *("n_multiply_adds", "unit_ratio", "parameter_ratio", "bytes_ratio"),
        *(f"{what}_{i}" for i in range(3) for what in ("n_connections", "n_pruned", "threshold")),
        *("accuracy_before", "accuracy_after", "n_epochs", "seconds"),
    ]
    assert {kind.kind for kind in table.dtypes} == {"i", "f"}


def test_rules_and_schedules_count_connections():
    model = trained(dense_model())  # of 30, 24 and 12 connections

    def left(**how):
        return [tuple(int(s.sum()) for s in r.support) for r in walk(model, **how)]

    assert left(threshold=Count(4), n_iterations=2) == [(30, 24, 12), (26, 20, 8), (22, 16, 4)]
    assert left(schedule=OneShot(), threshold=Fraction(0.5)) == [(30, 24, 12), (15, 12, 6)]
    assert left(schedule=Gradual(0.9), n_iterations=3)[-1] == (3, 2, 1)
    assert left(schedule=Iterative(), threshold=Count(5), n_iterations=1)[-1] == (25, 19, 7)
    assert left(schedule=Widths([(9, 8, 7)]))[-1] == (9, 8, 7)
    assert left(threshold=FixedValue(1e9), min_units=3, n_iterations=1)[-1] == (3, 3, 3)
    macs = [sum(counts) for counts in left(threshold=Budget(0.4), n_iterations=2)]
    assert macs[-1] <= 0.4 * 66 < macs[-1] + 1


def test_the_other_side_and_chance():
    model = trained(dense_model())
    high, low = (
        walk(model, criterion=criterion, threshold=Count(1), n_iterations=1)[-1].support[0]
        for criterion in (Reversed(WeightNorm()), WeightNorm())
    )
    weights = np.abs(records_weights(model))
    assert weights[~high] == weights.max()
    assert weights[~low] == weights.min()
    chance = walk(model, criterion=Random(), threshold=Count(9), n_iterations=1)[-1].support[0]
    again = walk(model, criterion=Random(), threshold=Count(9), n_iterations=1)[-1].support[0]
    np.testing.assert_array_equal(chance, again)


def records_weights(model):
    return weights_of(model)[0]


def test_zeros_cost_nothing_in_bytes():
    network = hand_model().network
    wide = replace(
        network,
        weights=(np.where(np.arange(80) % 10, 0.0, 1.0).reshape(1, 80), np.zeros((80, 2))),
        biases=(np.zeros(80), np.zeros(2)),
    )
    size = CONNECTION.size(dense_model(network=wide))
    # Eight values with a byte each for the gaps before them, nothing of the second layer.
    assert size == (8 + 82, 8 * (1 + 8) + 8 * 82, 8)


def test_layers_are_counted_as_often_as_they_are_used():
    shape = (2, 8)
    model = make_model(seeded(Grouped), shape)
    uses = {name: own.n_uses for name, own in model.connections.items()}
    assert uses == {"first": 8, "grouped": 5, "up": 5, "twice": 24, "head": 1}
    assert (
        CONNECTION.size(model).n_multiply_adds
        == model.size.n_multiply_adds
        == sum(own.weights.size * own.n_uses for own in model.connections.values())
    )


@pytest.mark.parametrize("name", sorted(set(CRITERIA) - set(OF_WEIGHTS)))
def test_criteria_of_units_are_refused_by_name(name):
    criterion = CRITERIA[name]()
    with pytest.raises(ValueError, match=rf"{type(criterion).__name__} scores units; choose one"):
        check_connection_criterion(criterion)
    with pytest.raises(ValueError, match="Reversed scores units"):
        check_connection_criterion(Reversed(criterion))
    with pytest.raises(NotImplementedError, match="has no value per weight"):
        criterion.score_connections(None)


class Odd(WeightNorm):
    """Gives what it is told to."""

    def __init__(self, scores=None):
        self.scores = scores

    def score_connections(self, layer):
        return self.scores if np.ndim(self.scores) else np.full(layer.weights.shape, self.scores)


def test_scores_of_another_shape_or_no_numbers_are_refused():
    model = dense_model()
    with pytest.raises(ValueError, match=r"Odd.score_connections gave shape \(3,\), expected"):
        walk(model, criterion=Odd(np.ones(3)))
    with pytest.raises(ValueError, match=r"(?s)not finite.* though the layer's weights are finite"):
        walk(model, criterion=Odd(np.nan))
    asks = type("Asks", (CAPoZ,), {"connection_needs": frozenset({"dreams"})})()
    with pytest.raises(ValueError, match=r"Asks.connection_needs must be None or a frozenset of"):
        check_connection_criterion(asks)


def test_a_view_cannot_be_written_to():
    view = Connections(np.ones((2, 2)), np.random.RandomState(0))
    with pytest.raises(ValueError, match="read-only"):
        view.weights[0] = 3
