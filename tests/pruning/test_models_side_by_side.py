"""Models that are trained side by side, and what they say of themselves."""

import pickle
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from skorch import NeuralNetClassifier
from small_models import (
    KEEP,
    NORM_AFTER,
    as_skorch_model,
    cut_first,
    dense_model,
    look,
    make_data,
    make_samples,
    own_model,
    trained,
)
from torch import nn

from sklearn_capoz.criteria import WeightNorm
from sklearn_capoz.criteria._base import NEEDS
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.networks._groups import Member, UnitGroup
from sklearn_capoz.pruning import Remove
from sklearn_capoz.pruning._dense_model import DenseModel
from sklearn_capoz.pruning._skorch_model import SkorchModel
from sklearn_capoz.training import TrainingSettings, train
from sklearn_capoz.training._samples import PruningData, Samples


def test_networks_side_by_side_are_trained_as_one_by_one():
    models = [dense_model(random_state=np.random.RandomState(seed)) for seed in (0, 1)]
    data = [make_data(), make_data()]
    together = DenseModel.train_together(models, data)
    models = [dense_model(random_state=np.random.RandomState(seed)) for seed in (0, 1)]
    for (a, n_epochs), model, part in zip(together, models, data, strict=True):
        [(b, _)] = DenseModel.train_together([model], [part])
        assert n_epochs == len(a.loss_curve) == 3
        for first, second in zip(a.network.weights, b.network.weights, strict=True):
            np.testing.assert_array_equal(first, second)


class NoBias(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3, bias=False))

    def forward(self, X):
        return self.layers(X)


def test_each_network_has_its_own_settings():
    models = [
        dense_model(max_iter=epochs, random_state=np.random.RandomState(seed))
        for seed, epochs in enumerate([3, 9, 0, 3])
    ]
    data = make_data()
    results = DenseModel.train_together(models, [data] * 4)
    assert [n_epochs for _, n_epochs in results] == [3, 9, 0, 3]
    assert results[2][0] is models[2]
    for model, (trained_model, _) in zip(models, results, strict=True):
        assert trained_model.settings is model.settings
        [(alone, _)] = DenseModel.train_together([model], [data])
        for first, second in zip(trained_model.network.weights, alone.network.weights, strict=True):
            np.testing.assert_array_equal(first, second)


def test_each_net_has_its_own_settings():
    nets = [as_skorch_model(dense_model(max_iter=epochs)) for epochs in (3, 0, 5)]
    results = SkorchModel.train_together(nets, [make_data()] * 3)
    assert [n_epochs for _, n_epochs in results] == [3, 0, 5]
    assert results[1][0] is nets[1]


def with_other_labels(samples):
    return replace(samples, y=(samples.y + 1) % 3)


@pytest.mark.parametrize("kind", [lambda model: model, lambda model: as_skorch_model(model)])
def test_early_stopping_watches_the_scoring_samples_and_never_those_to_choose_on(kind):
    settings = TrainingSettings(
        early_stopping=True, n_iter_no_change=8, max_iter=40, learning_rate_init=0.05
    )
    model = kind(dense_model(settings=settings))
    # Labels that can be learnt, so that epochs differ in accuracy.
    data = PruningData(
        *(
            replace(part, y=part.X[:, :3].argmax(axis=1))
            for part in (make_samples(60), make_samples(20, seed=1), make_samples(20, seed=2))
        )
    )
    X = data.train.X

    def outputs(data):
        [(trained_model, _)] = type(model).train_together([model], [data])
        return trained_model.logits(X)

    plain = outputs(data)
    other = outputs(replace(data, select=with_other_labels(data.select)))
    np.testing.assert_array_equal(other, plain)
    assert not np.array_equal(outputs(replace(data, score=with_other_labels(data.score))), plain)
    if isinstance(model, DenseModel):
        # What weighs nothing is not watched; skorch's own valid_acc knows no weights.
        weight = data.score.weight * (np.arange(20) < 10)
        weighted = outputs(replace(data, score=replace(data.score, weight=weight)))
        left_out = outputs(replace(data, score=data.score[weight > 0]))
        np.testing.assert_array_equal(weighted, left_out)


@pytest.mark.parametrize("make", [dense_model, lambda: as_skorch_model(dense_model())])
def test_training_draws_from_a_copy_of_the_generator(make):
    model, data = make(), make_data()
    before = pickle.dumps(model.random_state.get_state())
    [(first, _)] = type(model).train_together([model], [data])
    assert pickle.dumps(model.random_state.get_state()) == before
    assert pickle.dumps(first.random_state.get_state()) != before
    [(again, _)] = type(model).train_together([model], [data])
    np.testing.assert_array_equal(first.logits(data.train.X), again.logits(data.train.X))
    [(further, _)] = type(model).train_together([first], [data])
    assert pickle.dumps(further.random_state.get_state()) not in {
        before,
        pickle.dumps(first.random_state.get_state()),
    }


@pytest.mark.parametrize("make", [dense_model, lambda: as_skorch_model(dense_model())])
def test_what_is_not_needed_is_not_computed(make, monkeypatch):
    model, samples = make(), make_samples()
    for layer in look(model, samples, {"gradients"}):
        assert layer.activations is None
        assert layer.gradients.shape == (40, 1, layer.n_units)
    for layer in look(model, samples, {"activations"}):
        assert layer.gradients is None
        assert layer.activations.shape == (40, 1, layer.n_units)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DenseNetwork, "forward", None)  # a forward pass would fail
        patch.setattr(SkorchModel, "_run", None)
        weights_only = look(model, samples, ())
    for layer in weights_only:
        assert layer.activations is layer.gradients is layer.correct is None
        assert WeightNorm().score(layer).shape == (layer.n_units,)


@pytest.mark.parametrize("make", [dense_model, lambda: as_skorch_model(dense_model())])
def test_a_layer_is_a_view_not_a_copy(make):
    model = make()
    for layer in look(model, make_samples()):
        for array in (layer.activations, layer.gradients, layer.incoming, layer.outgoing):
            assert not array.flags.owndata
            assert not array.flags.writeable
    assert np.shares_memory(
        look(model, make_samples())[0].incoming, look(model, make_samples())[0].incoming
    )


@pytest.mark.parametrize("make", [dense_model, lambda: as_skorch_model(dense_model())])
def test_groups_say_where_their_units_are(make):
    model = make()
    assert [(g.n_units, g.activation) for g in model.groups] == [(6, "relu"), (4, "relu")]
    first, second = model.groups
    for group, following in ((first, second), (second, None)):
        made, used = group.members
        assert (made.axis, used.axis, made.taps, used.taps) == ("out", "in", 1, 1)
        assert group.name == made.module  # called after who makes the units
        if following is not None:
            assert used.module == following.members[0].module
    assert list(model.observe(make_samples(), NEEDS, None)) == [first.name, second.name]


def test_norms_are_members_of_a_group():
    [group] = own_model(*NORM_AFTER).groups
    assert group == UnitGroup(
        "0", 6, "relu", (Member("0", "out"), Member("2", "out"), Member("4", "in"))
    )


def test_a_network_with_other_settings_is_another_one():
    model, teacher = dense_model(), np.zeros((60, 3))
    settings = replace(model.settings, distillation=0.5)
    other = model.configured(settings, teacher)
    assert (other.settings, other.network) == (settings, model.network)
    assert other.teacher is teacher
    assert model.teacher is None
    assert model.settings.distillation == 0


@pytest.mark.parametrize("make", [dense_model, lambda: as_skorch_model(dense_model())])
def test_a_change_that_does_not_fit_is_refused(make):
    model, samples = make(), make_samples()
    name = model.groups[0].name
    with pytest.raises(ValueError, match=r"has no group 'other', its groups are \['"):
        model.apply(Remove("other", KEEP), None, samples)
    message = rf"shape \(6,\) with one True at least, .* of the group '{name}'; got array"
    for keep in (KEEP[:5], np.zeros(6, dtype=bool), np.array([0, 2, 3]), KEEP.astype(int)):
        with pytest.raises(ValueError, match=message):
            model.apply(Remove(name, keep), None, samples)


def test_equal_networks_are_trained_once(monkeypatch):
    data, other = make_data(), make_data()
    alone = trained(dense_model(), data)
    after = deepcopy(alone.random_state).randint(10**6)

    seen = []

    def count(tasks, *args, **kwargs):
        seen.append(len(tasks))
        return train(tasks, *args, **kwargs)

    monkeypatch.setattr("sklearn_capoz.pruning._dense_model.train", count)
    twins = [dense_model() for _ in range(3)]
    seeded = dense_model(random_state=np.random.RandomState(1))
    results = DenseModel.train_together([*twins, seeded, dense_model()], [data] * 4 + [other])
    assert seen == [3]  # the twins, another seed, other samples
    for model, n_epochs in results[:3]:
        assert n_epochs == 3
        np.testing.assert_array_equal(model.network.weights[0], alone.network.weights[0])
    assert not np.array_equal(results[3][0].network.weights[0], alone.network.weights[0])
    # What any of them draws next is what it would have drawn after a training of its own.
    assert [deepcopy(model.random_state).randint(10**6) for model, _ in results[:3]] == [after] * 3


def test_compensation_needs_a_bias_to_put_the_mean_in():
    net = NeuralNetClassifier(NoBias, criterion=nn.CrossEntropyLoss, verbose=0).initialize()
    model = SkorchModel(net, TrainingSettings(), np.random.RandomState(0))
    samples = Samples(np.ones((6, 4), np.float32), np.zeros(6, int), np.ones(6))
    keep = np.arange(5) > 1
    assert cut_first(model, keep, None, samples).widths == (3,)
    with pytest.raises(UnsupportedNetworkError, match="needs a bias in the layer"):
        cut_first(model, keep, "bias", samples)
