"""DenseModel and SkorchModel: one network seen twice, and what the pruning loop asks of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
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

from sklearn_capoz.criteria import CRITERIA
from sklearn_capoz.networks import DenseNetwork
from sklearn_capoz.pruning import Remove
from sklearn_capoz.pruning._skorch_model import SkorchPredictor
from sklearn_capoz.training._samples import Samples


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
