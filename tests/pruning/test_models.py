"""DenseModel and SkorchModel: one network seen twice, and what the pruning loop asks of it."""

import pickle
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz.criteria import CRITERIA, WeightNorm
from sklearn_capoz.criteria._base import NEEDS
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.networks._groups import Member, UnitGroup
from sklearn_capoz.pruning import Remove
from sklearn_capoz.pruning._dense_model import DenseModel
from sklearn_capoz.pruning._skorch_model import SkorchModel, SkorchPredictor
from sklearn_capoz.training import TrainingSettings, initial_network, net_from_training, train
from sklearn_capoz.training._samples import PruningData, Samples

KEEP = np.array([True, False, True, True, False, True])


def make_samples(n_samples=40, dtype=np.float64, seed=0):
    random = np.random.RandomState(seed)
    X = random.randn(n_samples, 5).astype(dtype)
    return Samples(X, random.randint(3, size=n_samples), random.uniform(0.5, 2, n_samples))


def make_data():
    return PruningData(make_samples(60), make_samples(20, seed=1), make_samples(20, seed=2))


def dense_model(solver="adam", max_iter=3, **given):
    network = initial_network(5, (6, 4), 3, "relu", 0, np.float64)
    settings = TrainingSettings(solver=solver, max_iter=max_iter, batch_size=16)
    model = DenseModel(network, None, settings, "cpu", np.random.RandomState(0))
    return replace(model, **given)


def trained(model, data=None):
    return type(model).train_together([model], [data or make_data()])[0][0]


def as_skorch_model(model):
    net = net_from_training(model.network, model.settings, optimizer=model.optimizer)
    return SkorchModel(net, model.settings, np.random.RandomState(0))


def own_model(*parts, dtype=torch.float64, lr=0.05, **kwargs):
    """Return a model of a user's net, trained a little so that norms have statistics."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kwargs = {"criterion": nn.CrossEntropyLoss, "train_split": None, "verbose": 0} | kwargs
        net = NeuralNetClassifier(nn.Sequential(*parts).to(dtype), lr=lr, max_epochs=3, **kwargs)
        net.initialize()
        samples = make_samples()
        net.partial_fit(torch.as_tensor(samples.X, dtype=dtype), samples.y)
    settings = TrainingSettings(max_iter=2, n_iter_no_change=10**9)
    return SkorchModel(net, settings, np.random.RandomState(0))


def look(model, samples, needs=NEEDS):
    """View the layers in order."""
    return list(model.observe(samples, frozenset(needs), np.random.RandomState(0)).values())


def cut_first(model, keep, compensation, samples):
    return model.apply(Remove(model.groups[0].name, keep), compensation, samples)


NORM_AFTER = (nn.Linear(5, 6), nn.ReLU(), nn.BatchNorm1d(6), nn.Dropout(), nn.Linear(6, 3))


def test_a_dense_layer_by_hand():
    network = DenseNetwork(
        (np.array([[1.0, -1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])),
        (np.zeros(2), np.array([0.0, 0.5])),
        ("relu",),
    )
    model = dense_model(network=network)
    samples = Samples(np.array([[2.0], [-3.0], [0.25]]), np.array([0, 0, 0]), np.array([1.0, 2, 3]))
    [layer] = look(model, samples, {"activations"})
    # Logits are (2, 0.5), (0, 3.5) and (0.25, 0.5).
    assert layer.activations.tolist() == [[[2, 0]], [[0, 3]], [[0.25, 0]]]
    assert layer.correct.tolist() == [True, False, False]
    assert layer.incoming.tolist() == [[1], [-1]]
    assert layer.outgoing.tolist() == [[[1, 0]], [[0, 1]]]
    assert layer.activation == "relu"
    assert layer.gradients is None
    assert layer.sample_weight.base is samples.weight
    assert model.labels(samples.X).tolist() == [0, 1, 1]
    assert (model.widths, model.size) == ((2,), (10, 80, 6))


def test_both_see_the_same_layers():
    model, samples = trained(dense_model()), make_samples()
    views = [look(m, samples)
             for m in (model, as_skorch_model(model))]  # fmt: skip
    for dense, skorch in zip(*views, strict=True):
        for name in ("activations", "correct", "y", "sample_weight", "incoming", "outgoing"):
            np.testing.assert_allclose(getattr(dense, name), getattr(skorch, name), atol=1e-12)
        np.testing.assert_allclose(dense.gradients, skorch.gradients, atol=1e-12)
        assert dense.activation == skorch.activation
        for criterion in CRITERIA.values():
            scores = [
                criterion().score(replace(layer, random_state=np.random.RandomState(0)))
                for layer in (dense, skorch)
            ]
            np.testing.assert_allclose(*scores, atol=1e-9)


def test_both_count_the_same():
    model = dense_model()
    skorch = as_skorch_model(model)
    for name in ("widths", "size"):
        assert getattr(model, name) == getattr(skorch, name)
    weights = 5 * 6 + 6 * 4 + 4 * 3
    assert model.size == (weights + 6 + 4 + 3, 8 * (weights + 6 + 4 + 3), weights)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("compensation", [None, "bias", "least-squares"])
def test_both_are_cut_alike(solver, compensation):
    model, samples = trained(dense_model(solver)), make_samples()
    cut = cut_first(model, KEEP, compensation, samples)
    skorch = cut_first(as_skorch_model(model), KEEP, compensation, samples)
    np.testing.assert_allclose(
        torch.log_softmax(torch.from_numpy(cut.logits(samples.X)), 1),
        skorch.logits(samples.X),
        atol=1e-10,
    )
    assert cut.widths == skorch.widths == (4, 4)
    # The moments of the survivors have come along, in both.
    names = ("exp_avg", "exp_avg_sq") if solver == "adam" else ("momentum_buffer",)
    linear = skorch.net.module_.layers[0]
    for name, old, new in zip(names, model.optimizer.moments, cut.optimizer.moments, strict=True):
        np.testing.assert_array_equal(new.weights[0], old.weights[0][:, KEEP])
        np.testing.assert_array_equal(new.biases[0], old.biases[0][KEEP])
        np.testing.assert_array_equal(new.weights[1], old.weights[1][KEEP])
        in_torch = skorch.net.optimizer_.state[linear.weight][name]
        np.testing.assert_array_equal(in_torch.numpy().T, new.weights[0])
    assert cut.optimizer.n_steps == model.optimizer.n_steps


@pytest.mark.parametrize("make", [dense_model, lambda: as_skorch_model(dense_model())])
def test_cutting_and_retraining_leave_the_old_model_as_it_was(make):
    model, samples, data = make(), make_samples(), make_data()
    before = model.logits(samples.X)
    torch_state = torch.get_rng_state()
    for compensation in (None, "bias", "least-squares"):
        smaller = model.apply(
            Remove(model.groups[1].name, np.array([True, False, True, True])), compensation, samples
        )
        again, n_epochs = type(model).train_together([smaller], [data])[0]
        assert n_epochs == 3
        assert not np.array_equal(again.logits(samples.X), smaller.logits(samples.X))
        np.testing.assert_array_equal(model.logits(samples.X), before)
        assert (model.widths, again.widths) == ((6, 4), (6, 3))
    assert torch.equal(torch.get_rng_state(), torch_state)


@pytest.mark.parametrize("make", [dense_model, lambda: as_skorch_model(dense_model())])
def test_no_epochs_leave_the_network_as_cut(make):
    model = make()
    model = replace(model, settings=replace(model.settings, max_iter=0))
    assert type(model).train_together([model], [make_data()]) == [(model, 0)]


def test_keeping_all_is_exact_even_with_a_refit():
    model, samples = trained(dense_model()), make_samples()
    for some in (model, as_skorch_model(model), own_model(*NORM_AFTER)):
        same = cut_first(some, np.ones(6, dtype=bool), "least-squares", samples)
        np.testing.assert_allclose(same.logits(samples.X), some.logits(samples.X), atol=1e-12)


def test_a_dead_unit_before_a_norm_is_a_constant_that_the_bias_takes():
    """The norm turns its zeros into another number; cutting alone changes the outputs."""
    model, samples = own_model(*NORM_AFTER), make_samples()
    with torch.no_grad():
        model.net.module_[0].bias[~KEEP] = -1e6
        nn.init.normal_(
            model.net.module_[2].bias, std=3.0, generator=torch.Generator().manual_seed(0)
        )
    before = model.logits(samples.X)
    for compensation in ("bias", "least-squares"):
        cut = cut_first(model, KEEP, compensation, samples)
        np.testing.assert_allclose(cut.logits(samples.X), before, atol=1e-9)
    assert np.abs(cut_first(model, KEEP, None, samples).logits(samples.X) - before).max() > 0.1


def test_units_are_scored_behind_the_activation_and_before_the_norm():
    model, samples = own_model(*NORM_AFTER), make_samples()
    [layer] = look(model, samples)
    module = model.net.module_.eval()
    with torch.no_grad():
        expected = module[1](module[0](torch.from_numpy(samples.X))).numpy()
    np.testing.assert_allclose(layer.activations[:, 0], expected)
    assert (layer.activations == 0).any()
    np.testing.assert_allclose(layer.outgoing[:, 0], module[4].weight.detach().numpy().T)


def test_gradients_of_a_users_net_are_per_sample():
    model, samples = own_model(*NORM_AFTER), make_samples()
    [layer] = look(model, samples)
    one = Samples(samples.X[7:8], samples.y[7:8], samples.weight[7:8])
    [alone] = look(model, one)
    np.testing.assert_allclose(layer.gradients[7], alone.gradients[0], atol=1e-12)


def test_looking_changes_neither_mode_nor_statistics():
    model, samples = own_model(*NORM_AFTER), make_samples()
    model.net.module_.train()
    before = {name: value.clone() for name, value in model.net.module_.state_dict().items()}
    look(model, samples)
    model.logits(samples.X)
    assert model.net.module_.training
    assert all(p.grad is None or not p.grad.requires_grad for p in model.net.module_.parameters())
    for name, value in model.net.module_.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize(
    ("last", "criterion"),
    [
        ((), nn.CrossEntropyLoss),
        ((nn.Softmax(dim=1),), nn.NLLLoss),
        ((nn.LogSoftmax(dim=1),), nn.CrossEntropyLoss),
    ],
)
def test_logits_are_log_probabilities_whatever_the_output_is(last, criterion):
    model = own_model(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3), *last, criterion=criterion)
    samples = make_samples()
    np.testing.assert_allclose(
        np.exp(model.logits(samples.X)), model.net.predict_proba(samples.X), atol=1e-12
    )
    np.testing.assert_array_equal(model.labels(samples.X), model.net.predict(samples.X))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("given", [np.float32, np.float64])
def test_data_of_the_other_precision(dtype, given):
    model = own_model(*NORM_AFTER, dtype=dtype)
    samples, data = make_samples(dtype=given), make_data()
    data = replace(data, train=replace(data.train, X=data.train.X.astype(given)))
    assert np.isfinite(model.logits(samples.X)).all()
    for compensation in (None, "bias", "least-squares"):
        cut = cut_first(model, KEEP, compensation, samples)
        assert {value.dtype for value in cut.net.module_.parameters()} == {dtype}
        assert len(look(cut, samples)) == 1
    assert trained(cut, data).widths == (4,)


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD])
def test_a_net_whose_units_are_cut_still_learns(optimizer):
    extra = {"optimizer__momentum": 0.9} if optimizer is torch.optim.SGD else {}
    model = own_model(*NORM_AFTER, optimizer=optimizer, **extra)
    cut = cut_first(model, KEEP, None, make_samples())
    old, new = (m.net.optimizer_.state[m.net.module_[0].weight] for m in (model, cut))
    for name in ("exp_avg", "exp_avg_sq") if not extra else ("momentum_buffer",):
        np.testing.assert_array_equal(new[name], old[name][KEEP])
    again = trained(cut)
    for part in (0, 2, 4):
        assert not torch.equal(again.net.module_[part].weight, cut.net.module_[part].weight)


def test_a_predictor_for_what_has_no_compiled_form():
    model = own_model(nn.Linear(5, 6), nn.GELU(), nn.Linear(6, 3), dtype=torch.float32)
    samples, predictor = make_samples(), SkorchPredictor(model.net)
    before = torch.get_rng_state()
    np.testing.assert_allclose(
        predictor.probabilities(samples.X), np.exp(model.logits(samples.X)), atol=1e-6
    )
    np.testing.assert_array_equal(
        predictor.labels(samples.X, np.arange(3)), model.labels(samples.X)
    )
    assert torch.equal(torch.get_rng_state(), before)


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
