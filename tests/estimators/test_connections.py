"""granularity="connection": whole estimators, and that zeros stay in all that is done with them."""

import pickle
from copy import deepcopy

import joblib
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochScoring
from small_estimators import KINDS, X, Y, make_mlp, make_net, trained
from torch import nn

from sklearn_capoz import (
    CAPoZPruner,
    CAPoZPrunerCV,
    PrunedCNNClassifier,
    PrunedMLPClassifier,
    pruning_path,
)
from sklearn_capoz.criteria import CRITERIA, WeightNorm
from sklearn_capoz.deploy import compile_pipeline, load_model, quantize, save_model
from sklearn_capoz.exceptions import (
    PruningInterruptedWarning,
    PruningStalledWarning,
    UnsupportedNetworkError,
)
from sklearn_capoz.schedules import Gradual
from sklearn_capoz.thresholds import Budget, Count, FixedValue, Fraction, MeanStd, OverAll
from sklearn_capoz.training import ZerosStay

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

QUICK = {"granularity": "connection", "criterion": "l1", "threshold": Fraction(0.5),
         "n_iterations": 2, "retrain_max_iter": 3, "random_state": 0}  # fmt: skip


def own(**given):
    return PrunedMLPClassifier(
        (12,), **({"max_iter": 10, "learning_rate_init": 0.03} | QUICK | given)
    )


def pruner(estimator, **given):
    return CAPoZPruner(estimator, **(QUICK | given))


def zeros(network):
    return [weight == 0 for weight in network.weights]


def assert_zeros_of_support(model):
    for weight, support in zip(model.network_.weights, model.support_, strict=True):
        there = weight != 0 if model.callbacks is None else (weight != 0).T  # torch's order
        np.testing.assert_array_equal(there, support)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    criterion=st.sampled_from(["l1", "l2", "gradient", "taylor", "reconstruction", "random"]),
    threshold=st.sampled_from(
        ["fraction", "mean+std", "percentile", Count(9), OverAll(MeanStd(0.3)), Budget(0.3)]
    ),
    schedule=st.sampled_from(["multi-pass", "iterative", "one-shot", Gradual(0.9)]),
    keep=st.sampled_from(["last", "best", "smallest"]),
    solver=st.sampled_from(["adam", "sgd"]),
    alpha=st.sampled_from([0.0, 0.5]),
    n_restarts=st.sampled_from([1, 2]),
    early_stopping=st.booleans(),
    dropout=st.sampled_from([0.0, 0.3]),
    distillation=st.sampled_from([None, 0.5]),
    retrain_max_iter=st.sampled_from([0, 3]),
    callbacks=st.sampled_from([None, None, []]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@pytest.mark.filterwarnings("ignore::sklearn_capoz.exceptions.PruningStalledWarning")
def test_zeros_stay_through_every_fit_and_what_follows(tmp_path, dtype, **given):
    if given["schedule"] == "iterative" and isinstance(given["threshold"], Budget):
        given["threshold"] = "fraction"  # which weighs all layers at once
    x = X.astype(dtype)
    model = own(tolerance=0.3, **given).fit(x, Y)
    table, iteration = model.history_, model.best_iteration_
    assert_zeros_of_support(model)
    n_left = sum(int((~there).sum()) for there in zeros(model.network_))
    assert table["n_connections"].iloc[iteration] == n_left
    assert table["n_connections"].is_monotonic_decreasing

    gone = zeros(model.network_)
    path = tmp_path / "model.sct"
    save_model(model, path)
    for other in (
        pickle.loads(pickle.dumps(model)),
        deepcopy(model),
        load_model(path),
        compile_pipeline(model),
        pickle.loads(pickle.dumps(compile_pipeline(model))),
    ):
        for a, b in zip(other.network_.weights, model.network_.weights, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(other.predict(x), model.predict(x))
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    net = loaded.net_
    with torch.random.fork_rng():
        net.partial_fit(x, Y)  # the skorch net that it hands out keeps them, too
    layers = [part for part in net.module_.modules() if isinstance(part, nn.Linear)]
    for layer, where in zip(layers, gone, strict=True):
        np.testing.assert_array_equal(layer.weight.detach().numpy().T == 0, where)
    again = clone(model).fit(x, Y)
    for a, b in zip(again.network_.weights, model.network_.weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("labels", [None, Y])
def test_zeros_stay_in_integers_also_where_these_are_retrained(bits, labels):
    model = own(n_iterations=3, keep="last").fit(X, Y)
    assert min(where.mean() for where in zeros(model.network_)) > 0.8  # or there is nothing to see
    quantized = quantize(model, X, labels, bits=bits, random_state=0, epochs=3)
    # Units without use are left out and the others sorted, so that weights are counted.
    for layer, where in zip(quantized.network_.layers, zeros(model.network_), strict=True):
        assert 0 < np.count_nonzero(layer.weights) <= (~where).sum()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_pruned(kind):
    model = pruner(KINDS[kind](), keep="best").fit(X, Y)
    network = model._network
    assert [int((w != 0).sum()) for w in network.weights] == [
        int(there.sum()) for there in model.support_
    ]
    assert model.history_["sparsity"].iloc[-1] == pytest.approx(0.75, abs=0.01)
    assert model.score(X, Y) > 0.5
    # The estimator that comes out holds the same zeros.
    inner = model.estimator_
    if isinstance(inner, MLPClassifier):
        assert all(((w != 0) == s).all() for w, s in zip(inner.coefs_, model.support_, strict=True))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_an_mlp_of_any_solver_keeps_its_zeros(solver):
    model = pruner(make_mlp(solver=solver, max_iter=30), keep="best").fit(X, Y)
    for weight, support in zip(model.estimator_.coefs_, model.support_, strict=True):
        np.testing.assert_array_equal(weight != 0, support)


def conv_net(**given):
    parts = (
        nn.Unflatten(1, (1, 8)), nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4), nn.ReLU(),
        nn.ConvTranspose1d(4, 4, 2, groups=2, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3),
    )  # fmt: skip
    return make_net(*parts, **({"optimizer": torch.optim.AdamW} | given))


@pytest.mark.parametrize("criterion", ["l1", "taylor", "gradient", "reconstruction", "random"])
def test_convolutions_are_pruned_in_their_kernels(criterion):
    model = pruner(conv_net(lr=0.01), criterion=criterion, keep="best").fit(X, Y)
    layers = [model.estimator_.module_[i] for i in (1, 4, 7)]
    shapes = [(4, 1, 3), (4, 2, 2), (3, 48)]
    for layer, support, shape in zip(layers, model.support_, shapes, strict=True):
        assert support.shape == shape
        np.testing.assert_array_equal(layer.weight.detach().numpy() != 0, support)
    joined = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(joined.predict(X), model.predict(X))
    # An estimator taken further keeps them where it is told to.
    net = model.estimator_
    net.callbacks_.append(("zeros_stay", ZerosStay()))
    with torch.random.fork_rng():
        net.partial_fit(X.astype(np.float32), Y)
    for i, support in zip((1, 4, 7), model.support_, strict=True):
        np.testing.assert_array_equal(net.module_[i].weight.detach().numpy() != 0, support)


def test_a_network_without_a_unit_that_could_go_has_connections():
    net = make_net(nn.Linear(8, 3))
    model = pruner(net).fit(X, Y)
    assert model.history_["n_connections"].tolist() == [24, 12, 6]
    with pytest.raises(UnsupportedNetworkError, match="no units that could go"):
        pruner(net, granularity="unit").fit(X, Y)


def test_a_convolutional_classifier():
    model = PrunedCNNClassifier(
        network_params={"channels": 4, "hidden": 8}, max_iter=3,
        **(QUICK | {"retrain_max_iter": 1}),
    )  # fmt: skip
    rows = np.repeat(X, 4, axis=1)
    model.fit(rows, Y)
    weights = [
        part.weight.detach().numpy()
        for part in model.module_.modules()
        if isinstance(part, (nn.Linear, nn.Conv1d))
    ]
    for weight, support in zip(weights, model.support_, strict=True):
        np.testing.assert_array_equal(weight != 0, support)


def test_a_frozen_estimator_is_pruned_and_stays_as_it_was():
    for make in KINDS.values():
        fitted = trained(make())
        before = deepcopy(fitted)
        model = pruner(FrozenEstimator(fitted), keep="last").fit(X.astype(np.float32), Y)
        assert 0.7 < model.history_["sparsity"].iloc[-1] < 0.8
        np.testing.assert_array_equal(
            fitted.predict(X.astype(np.float32)), before.predict(X.astype(np.float32))
        )


def test_a_path_and_a_search():
    path = pruning_path(own(), X, Y)
    left = [sum(int((w != 0).sum()) for w in e.network_.weights) for e in path.estimators]
    assert left == path.history["n_connections"].tolist() == [132, 66, 33]
    search = CAPoZPrunerCV(
        own(criterion="c-apoz"), criteria=["l1", "taylor"], thresholds=[Fraction(0.5)],
        max_iterations=2, cv=2,
    ).fit(X, Y)  # fmt: skip
    # The parameters that are left, and units, of which none goes.
    assert search.cv_results_["mean_n_parameters"].tolist()[:3] == [147, 81, 48]
    assert set(search.cv_results_["mean_n_units"]) == {12}
    assert_zeros_of_support(search.best_estimator_)
    with pytest.raises(ValueError, match="CAPoZ scores units"):
        CAPoZPrunerCV(own(), criteria=["l1", "c-apoz"]).fit(X, Y)


def test_a_memory_gives_the_same(tmp_path):
    first = pruner(make_mlp(), memory=str(tmp_path)).fit(X, Y)
    second = pruner(make_mlp(), memory=str(tmp_path)).fit(X, Y)
    for a, b in zip(first._network.weights, second._network.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_callbacks_are_the_users_and_zeros_stay():
    model = own(
        callbacks=[EpochScoring("accuracy", name="acc", lower_is_better=False, on_train=True)]
    ).fit(X, Y)
    assert_zeros_of_support(model)
    assert "acc" in model.net_.history[-1]


def test_a_scaler_in_a_pipeline_is_folded_in_and_zeros_stay():
    pipeline = make_pipeline(StandardScaler(), own()).fit(X, Y)
    compiled = compile_pipeline(pipeline)
    for weight, where in zip(compiled.network_.weights, zeros(pipeline[-1].network_), strict=True):
        np.testing.assert_array_equal(weight == 0, where)


@pytest.fixture
def no_training(monkeypatch):
    def trained(*args, **kwargs):
        raise AssertionError("trained before all was checked")

    monkeypatch.setattr("sklearn_capoz.pruning._dense_model.train", trained)
    monkeypatch.setattr(NeuralNetClassifier, "partial_fit", trained)
    monkeypatch.setattr(MLPClassifier, "fit", trained)


OF_UNITS = sorted(name for name, make in CRITERIA.items() if make().connection_needs is None)


@pytest.mark.parametrize("name", OF_UNITS)
@pytest.mark.parametrize("make", [own, lambda **g: pruner(make_net(), **g)])
def test_criteria_of_units_are_refused_before_any_training(no_training, name, make):
    message = (
        rf"granularity='connection' needs .* {type(CRITERIA[name]()).__name__} scores units; "
        r"choose one of \['l1', 'l2', 'gradient', 'taylor', 'reconstruction', 'random'\]"
    )
    with pytest.raises(ValueError, match=message):
        make(criterion=name).fit(X, Y)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"granularity": "weight"}, "The 'granularity' parameter"),
        ({"compensation": "bias"}, "compensation='bias' makes up for units that go"),
        (
            {"threshold": Budget(0.01), "min_units": 5},
            "cannot be reached: with min_units=5 of each of the 2 groups",
        ),
        ({"schedule": Gradual(1.5)}, "Gradual"),
    ],
)
@pytest.mark.parametrize("make", [own, lambda **g: pruner(make_mlp(), **g)])
def test_what_cannot_be_is_refused_before_any_training(no_training, given, message, make):
    with pytest.raises(ValueError, match=message):
        make(**given).fit(X, Y)
    with pytest.raises(NotFittedError):
        make(**given).predict(X)


class Breaks(WeightNorm):
    """Fails, or is interrupted, when it is asked for the second time."""

    def __init__(self, error=ValueError):
        super().__init__()
        self.error, self.asked = error, 0

    def score_connections(self, layer):
        self.asked += 1
        if self.asked > 3:
            raise self.error("enough")
        return super().score_connections(layer)


@pytest.mark.parametrize("make", [own, lambda **g: pruner(make_mlp(), **g)])
def test_a_fit_that_fails_keeps_what_was(make):
    model = make().fit(X, Y)
    before = dict(vars(model))
    model.set_params(criterion=Breaks())
    with pytest.raises(ValueError, match="enough"):
        model.fit(X[:, :5], Y)
    after = dict(vars(model))
    assert {**before, "criterion": None} == {**after, "criterion": None}
    fresh = make(criterion=Breaks())
    with pytest.raises(ValueError, match="enough"):
        fresh.fit(X, Y)
    assert not any(name.endswith("_") for name in vars(fresh))


def test_an_interrupt_keeps_the_iterations_that_are_done():
    with pytest.warns(PruningInterruptedWarning):
        model = own(criterion=Breaks(KeyboardInterrupt), n_iterations=3, keep="last").fit(X, Y)
    assert len(model.history_) == 2
    assert_zeros_of_support(model)


def test_one_connection_of_each_layer_stays():
    with pytest.warns(PruningStalledWarning, match="more than min_units=1 connections left; the "
                      r"numbers of connections are \(1, 1\)"):  # fmt: skip
        model = own(threshold=FixedValue(1e9), keep="last").fit(X, Y)
    assert model.history_["n_connections"].iloc[-1] == 2


def test_an_old_model_has_the_parameter(monkeypatch):
    model = own(granularity="unit").fit(X, Y)
    state = model.__getstate__()
    del state["granularity"]
    old = PrunedMLPClassifier.__new__(PrunedMLPClassifier)
    old.__setstate__(state)
    assert old.granularity == "unit"
    np.testing.assert_array_equal(clone(old).fit(X, Y).predict(X), model.predict(X))


def test_the_same_seed_gives_the_same_and_leaves_generators_alone():
    models = own(criterion="random"), own(), pruner(make_net()), pruner(conv_net())
    state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    for model in models:
        first, second = (clone(model).fit(X, Y).support_ for _ in range(2))
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    assert torch.equal(torch.get_rng_state(), torch_state)
