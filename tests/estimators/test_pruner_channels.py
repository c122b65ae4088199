"""CAPoZPruner around networks that convolve, branch and take several inputs."""

import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz import CAPoZPruner, CAPoZPrunerCV, pruning_path, sensitivity_curve
from sklearn_capoz.criteria import CRITERIA
from sklearn_capoz.exceptions import UnitsKeptWarning, UnsupportedNetworkError
from sklearn_capoz.networks import _tracing
from sklearn_capoz.networks._inputs import map_inputs, take
from sklearn_capoz.thresholds import Budget, Fraction, OverAll

Y = np.arange(120) % 3
NOISE = np.random.RandomState(0)


def signal(*shape):
    """Make samples that tell the classes apart, of any shape, in double precision."""
    pattern = NOISE.randn(3, *shape)
    return pattern[Y] + 0.5 * NOISE.randn(len(Y), *shape)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.body = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.down = nn.Conv2d(6, 8, 1, stride=2)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = F.relu(self.norm(self.stem(x)), inplace=True)
        y = self.body(x)
        y += x
        return self.head(F.relu(self.down(F.relu(y))).mean((2, 3)))


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.embed = nn.Conv1d(1, 6, 3), nn.Linear(6, 5)
        self.head = nn.Linear(10, 3)

    def forward(self, a, b):
        a, b = (self.embed(F.relu(self.conv(part)).amax(-1)) for part in (a, b))
        return self.head(torch.cat([(a - b).abs(), a * b], dim=1))


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.spectrum, self.patch = nn.Linear(7, 6), nn.Conv2d(2, 4, 2)
        self.head = nn.Linear(6 + 4 * 4, 3)

    def forward(self, x):
        spectrum, patch = x
        patch = F.relu(self.patch(patch)).flatten(1)
        return self.head(torch.cat([F.relu(self.spectrum(spectrum)), patch], 1))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.deep = nn.Conv2d(2, 5, 3, padding=1), nn.Conv2d(5, 6, 3, padding=1)
        self.up = nn.ConvTranspose2d(6, 5, 2, stride=2)
        self.leave, self.head = nn.Conv2d(10, 4, 1), nn.Linear(4, 3)

    def forward(self, x):
        a = F.relu(self.enter(x))
        b = F.relu(self.up(F.relu(self.deep(F.max_pool2d(a, 2)))))
        return self.head(F.relu(self.leave(torch.cat([a, b], 1))).mean((2, 3)))


def spectral():
    return nn.Sequential(
        nn.Conv1d(1, 8, 5), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(),
        nn.LazyLinear(10), nn.ReLU(), nn.Dropout(0.1), nn.Linear(10, 3),
    )  # fmt: skip


def volume():
    return nn.Sequential(
        nn.Conv3d(1, 4, (3, 2, 2)), nn.ReLU(), nn.Conv3d(4, 5, 2), nn.ReLU(), nn.Flatten(),
        nn.Linear(40, 3), nn.Softmax(dim=1),
    )  # fmt: skip


NETWORKS = {
    "spectral": (spectral, signal(1, 16)),
    "residual": (Residual, signal(2, 4, 4)),
    "volume": (volume, signal(1, 5, 4, 4)),
    "siamese": (Siamese, {"a": signal(1, 9), "b": signal(1, 9)}),
    "pair": (Pair, (signal(7), signal(2, 3, 3))),
    "u-net": (UNet, signal(2, 4, 4)),
}


def make_net(build, **given):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = build()
    criterion = nn.NLLLoss if build is volume else nn.CrossEntropyLoss
    quick = {"criterion": criterion, "optimizer": torch.optim.Adam, "max_epochs": 6, "lr": 0.02,
             "batch_size": 32, "train_split": None, "verbose": 0}  # fmt: skip
    return NeuralNetClassifier(module, **(quick | given))


def make_pruner(estimator, **given):
    quick = {"threshold": Fraction(0.3), "n_iterations": 2, "retrain_max_iter": 2, "keep": "last",
             "validation_fraction": 0.4, "random_state": 0}  # fmt: skip
    return CAPoZPruner(estimator, **(quick | given))


@pytest.fixture(params=NETWORKS)
def network(request):
    build, X = NETWORKS[request.param]
    return make_net(build), X


def test_what_is_learnt_fits_together(network):
    net, X = network
    model = make_pruner(net, criterion="taylor").fit(X, Y)
    table, inner = model.history_, model.estimator_
    assert (np.diff(table["n_units"]) < 0).all()
    assert (np.diff(table["n_multiply_adds"]) < 0).all()
    assert table["n_parameters"].iloc[-1] == sum(p.numel() for p in inner.module_.parameters())
    assert type(inner.module_) is type(net.module)
    assert {parameter.dtype for parameter in inner.module_.parameters()} == {torch.float32}
    assert [support.sum() for support in model.support_] == [
        table[f"n_units_{i}"].iloc[-1] for i in range(len(model.support_))
    ]
    assert model.score(X, Y) > 0.6
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, atol=1e-5)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    few = take(X, slice(5))
    np.testing.assert_allclose(model.predict_proba(few), model.predict_proba(X)[:5], atol=1e-5)
    assert not hasattr(net, "module_")


def test_a_frozen_net_stays_as_it_was_and_one_seed_gives_one_model(network):
    net, X = network
    single = map_inputs(lambda part: part.astype(np.float32), X)
    with torch.random.fork_rng():
        net.initialize().partial_fit(single, Y)
    before = {name: value.clone() for name, value in net.module_.state_dict().items()}
    state = torch.get_rng_state()
    models = [
        make_pruner(
            FrozenEstimator(net), criterion="reconstruction", compensation="least-squares"
        ).fit(X, Y)
        for _ in range(2)
    ]
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in net.module_.state_dict().items():
        assert torch.equal(value, before[name])
    np.testing.assert_array_equal(models[0].predict_proba(X), models[1].predict_proba(X))
    assert models[0].history_["n_units"].iloc[-1] < models[0].history_["n_units"].iloc[0]


@pytest.mark.filterwarnings("ignore::sklearn_capoz.exceptions.SmoothActivationWarning")
@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_prunes_channels(criterion):
    build, X = NETWORKS["spectral"]
    model = make_pruner(make_net(build), criterion=criterion, retrain_max_iter=1).fit(X, Y)
    assert model.history_["n_units_0"].tolist() == [8, 6, 5]
    assert all(np.isfinite(scores).all() for each in model.importances_ for scores in each)


@pytest.mark.parametrize("schedule", ["iterative", "one-shot", "gradual"])
def test_every_schedule_prunes_channels(schedule):
    build, X = NETWORKS["residual"]
    model = make_pruner(make_net(build), schedule=schedule, retrain_max_iter=1).fit(X, Y)
    assert model.history_["n_units"].iloc[-1] < 14


def test_budgets_and_thresholds_over_all_groups():
    build, X = NETWORKS["residual"]
    net = make_net(build, max_epochs=2)
    model = make_pruner(net, threshold=Budget(0.3), criterion="l1", retrain_max_iter=0).fit(X, Y)
    left = model.history_["n_multiply_adds"] / model.history_["n_multiply_adds"][0]
    assert 0.3**0.5 - 0.15 < left[1] <= 0.3**0.5
    assert 0.15 < left[2] <= 0.3
    model = make_pruner(net, threshold=OverAll(Fraction(0.25)), retrain_max_iter=0).fit(X, Y)
    assert model.history_["n_units"].tolist() == [14, 11, 9]


def test_adam_goes_on_with_the_moments_of_the_channels_that_stay():
    build, X = NETWORKS["spectral"]
    dense = make_pruner(make_net(build), n_iterations=0).fit(X, Y).estimator_
    model = make_pruner(make_net(build), n_iterations=1, retrain_max_iter=0).fit(X, Y)
    pruned, [channels, units] = model.estimator_, model.support_
    for name, kept in (("0.weight", channels), ("5.bias", units), ("1.weight", channels)):
        old, new = (dict(net.module_.named_parameters())[name] for net in (dense, pruned))
        np.testing.assert_array_equal(
            pruned.optimizer_.state[new]["exp_avg"], dense.optimizer_.state[old]["exp_avg"][kept]
        )


def test_a_network_is_traced_before_training_and_once_for_all_that_follows(monkeypatch):
    calls, trace = [], _tracing.trace

    def count(module, samples):
        calls.append(module)
        return trace(module, samples)

    monkeypatch.setattr(_tracing, "trace", count)
    build, X = NETWORKS["spectral"]
    model = make_pruner(make_net(build)).fit(X, Y)
    assert len(calls) == 1
    model.predict(X)
    model.estimator_.predict(X.astype(np.float32))
    assert len(calls) == 1


def test_a_curve_for_each_group_and_all_jointly(network):
    net, X = network
    model = make_pruner(net, n_iterations=0, criterion="l1").fit(X, Y)
    curve = sensitivity_curve(model, X, Y, criterion="l1", random_state=0)
    widths = [len(support) for support in model.support_]
    counts = curve.groupby("layer", sort=False)["n_pruned"].max().tolist()
    alone = [width - 1 for width in widths]
    assert counts == (alone if len(widths) == 1 else [*alone, sum(alone)])


def test_a_pipeline_a_path_and_validation_data():
    build, X = NETWORKS["spectral"]
    table = X[:, 0]
    steps = (FunctionTransformer(lambda rows: rows[:, None]), make_pruner(make_net(build)))
    piped = make_pipeline(*steps).fit(table, Y)
    assert piped.score(table, Y) > 0.6
    path = pruning_path(make_pruner(make_net(build)), X, Y, X_val=X[:60], y_val=Y[:60])
    assert [len(path.estimators), path.history["n_units_0"].iloc[-1]] == [3, 5]
    weight = np.where(Y == 0, 0.0, 1.0)
    weighed = make_pruner(make_net(build), n_iterations=0).fit(X, Y, sample_weight=weight + 0.01)
    assert (weighed.predict(X) == 0).mean() < 0.34


def test_layers_that_stay_whole_are_told_once_and_the_rest_is_pruned():
    build = lambda: nn.Sequential(  # noqa: E731
        nn.Conv1d(1, 4, 5), nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv1d(4, 6, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(60, 3),
    )  # fmt: skip
    X = NETWORKS["spectral"][1]
    with pytest.warns(UnitsKeptWarning) as caught:
        model = make_pruner(make_net(build)).fit(X, Y)
    [message] = [str(warning.message) for warning in caught]
    assert message == (
        "The units of some layers all stay: those of '0', as GroupNorm '1' runs group_norm(), and "
        "it scales them by groups."
    )
    assert model.history_["n_units"].tolist() == [6, 5, 4]
    with torch.random.fork_rng():
        net = make_net(build).fit(X.astype(np.float32), Y)
    with pytest.warns(UnitsKeptWarning, match="those of '0', as GroupNorm '1'"):
        make_pruner(FrozenEstimator(net)).fit(X, Y)


@pytest.mark.parametrize("name", ["siamese", "pair"])
def test_a_search_over_several_inputs(name):
    build, X = NETWORKS[name]
    search = CAPoZPrunerCV(
        make_pruner(make_net(build), retrain_max_iter=1),
        criteria=["l1"],
        thresholds=["fraction"],
        max_iterations=1,
        cv=2,
    ).fit(X, Y, sample_weight=np.ones(120))
    assert len(search.cv_results_["params"]) == 2
    assert search.score(X, Y) > 0.4


def test_a_search_over_channels():
    build, X = NETWORKS["spectral"]
    search = CAPoZPrunerCV(
        make_pruner(make_net(build), retrain_max_iter=1),
        criteria=["l1", "taylor"],
        thresholds=["fraction"],
        max_iterations=2,
        cv=2,
    ).fit(X, Y)
    assert len(search.cv_results_["params"]) == 6
    assert search.score(X, Y) > 0.6


def test_a_trained_net_that_flattens_its_samples():
    X = NETWORKS["spectral"][1]
    net = make_net(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(16, 9), nn.ReLU(), nn.Linear(9, 3))
    )
    with torch.random.fork_rng():
        net.fit(X.astype(np.float32), Y)
    model = make_pruner(FrozenEstimator(net)).fit(X, Y)
    np.testing.assert_allclose(
        model.estimator_.predict_proba(X.astype(np.float32)), model.predict_proba(X), atol=1e-6
    )
    curve = sensitivity_curve(net, X, Y, random_state=0)
    assert len(curve) == 9
    # What a user does to his own net is seen the next time.
    net.module_[1], net.module_[3] = nn.Linear(16, 5), nn.Linear(5, 3)
    assert len(make_pruner(FrozenEstimator(net), n_iterations=0).fit(X, Y).support_[0]) == 5


def test_tables_for_a_module_that_makes_channels_of_them():
    module = nn.Sequential(nn.Unflatten(1, (1, 16)), *spectral())
    X = NETWORKS["spectral"][1][:, 0]
    model = make_pruner(make_net(lambda: module)).fit(X, Y)
    assert (model.n_features_in_, model.history_["n_units_0"].iloc[-1]) == (16, 5)
    with pytest.raises(ValueError, match="X has 9 features, but CAPoZPruner is expecting 16"):
        model.predict(X[:, :9])


def test_samples_of_another_shape_are_refused():
    build, X = NETWORKS["spectral"]
    model = make_pruner(make_net(build)).fit(X, Y)
    message = r"X holds samples of shape \(1, 9\), and the network takes \(1, 16\)"
    with pytest.raises(ValueError, match=message):
        model.predict(X[:, :, :9])
    with pytest.raises(ValueError, match="NaN"):
        model.predict(np.where(np.arange(16) == 3, np.nan, X))
    with pytest.raises(ValueError, match=r"X_val holds samples of shape \(1, 9\), X of shape"):
        make_pruner(make_net(build)).fit(X, Y, X_val=X[:, :, :9], y_val=Y)
    build, X = NETWORKS["siamese"]
    model = make_pruner(make_net(build), criterion="l1").fit(X, Y)
    with pytest.raises(ValueError, match=r"shape a \(1, 9\), and the network takes a \(1, 9\), b"):
        model.predict({"a": X["a"]})
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        make_pruner(make_net(build)).fit(X | {"a": X["a"][:7]}, Y)


def test_samples_may_lie_backwards_in_memory():
    build, X = NETWORKS["spectral"]
    backwards = X[:, :, ::-1]
    model = make_pruner(make_net(build)).fit(backwards, Y)
    same = make_pruner(make_net(build)).fit(backwards.copy(), Y)
    np.testing.assert_array_equal(model.predict_proba(backwards), same.predict_proba(backwards))


def test_a_batch_larger_than_all_samples_cannot_be_left_out():
    build, X = NETWORKS["spectral"]
    net = make_net(build, batch_size=500, iterator_train__drop_last=True)
    with pytest.raises(ValueError, match="no batch to train on: batch_size=500 is more than"):
        make_pruner(net).fit(X, Y)


class Named(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.conv, self.head, self.function = nn.Conv1d(1, 4, 3), nn.Linear(56, 3), forward

    def forward(self, x):
        return self.function(self, F.relu(self.conv(x)))


def looks(module, x):
    return module.head(x.flatten(1) if x[0, 0, 0] > 0 else 2 * x.flatten(1))


REFUSED = {
    "attention": (
        lambda: Named(lambda m, x: m.head((x @ x.mT @ x).flatten(1))),
        r"Named has no units that could go: those of 'conv', as Named runs matmul\(\), and each of",
    ),
    "data-dependent": (lambda: Named(looks), r"Named cannot be traced: bool\(\) looks at the val"),
    "size written in": (
        lambda: Named(lambda m, x: m.head(x.view(-1, 56))),
        "those of 'conv', as the forward names their number or places itself: without some of the",
    ),
    "wrong input": (
        lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.Flatten(), nn.LazyLinear(3)),
        r"Sequential fails on X with samples of shape \(1, 16\); its first convolution, Conv1d '0'"
        r", takes X of shape \(n_samples, 2, positions\)\. It says: Given groups=1",
    ),
    "an axis too few": (
        lambda: nn.Sequential(
            nn.Unflatten(1, (1, 1)), nn.Conv2d(1, 4, 3), nn.Flatten(), nn.LazyLinear(3)
        ),
        r"Conv2d '1', takes X of shape \(n_samples, 1, rows, columns\)\. X\[:, np\.newaxis\] has",
    ),
    "samples for channels": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, (1, 3)), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(3)
        ),
        r"takes X of shape \(n_samples, 2, rows, columns\)\. It gives 4 rows for 2 samples",
    ),
    "one unit": (
        lambda: nn.Sequential(nn.Conv1d(1, 1, 3), nn.Flatten(), nn.Linear(14, 3)),
        "Sequential has no units that could go: each of its layers makes a single one",
    ),
    "two outputs": (
        lambda: Named(lambda m, x: (m.head(x.flatten(1)), x)),
        r"The module gives a tuple for 2 samples; pruning needs one tensor of shape \(n_samples,",
    ),
    "a map of scores": (
        lambda: nn.Sequential(nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Conv1d(4, 3, 1)),
        r"The module gives a tensor of shape \(2, 3, 14\) for 2 samples",
    ),
    "coarse weights": (
        lambda: nn.Sequential(nn.Conv1d(1, 3, 16), nn.Flatten()).bfloat16(),
        r"Sequential holds its weights in torch\.bfloat16, too coarse .* give it in torch\.float32",
    ),
    "nothing to cut": (
        lambda: nn.Sequential(nn.Conv1d(1, 3, 16), nn.Flatten()),
        "Sequential has no units that could go: those of '0', as they are the network's outputs",
    ),
}


@pytest.fixture
def no_training(monkeypatch):
    def trained(*args, **kwargs):
        raise AssertionError("trained before all was checked")

    monkeypatch.setattr(NeuralNetClassifier, "partial_fit", trained)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_pruned_is_said_before_any_training(no_training, name):
    build, message = REFUSED[name]
    with pytest.raises((UnsupportedNetworkError, ValueError), match=message):
        make_pruner(make_net(build)).fit(NETWORKS["spectral"][1], Y)


def test_a_large_batch_that_runs_otherwise_gives_no_wrong_scores():
    def forward(m, x):
        x = x * 1.0 if len(x) > 6 else x
        return m.head(x.flatten(1))

    with pytest.raises(UnsupportedNetworkError, match="runs other operations on 24 samples"):
        make_pruner(make_net(lambda: Named(forward))).fit(NETWORKS["spectral"][1], Y)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"threshold": Budget(0.01)},
            r"Budget\(macs=0.01\) cannot be reached: with min_units=1 of each of the 2 groups of "
            r"units, 0\.0697 of the 990 multiply-adds are left",
        ),
        ({"threshold": Budget(), "schedule": "iterative"}, "take schedule='multi-pass' or 'one"),
        ({"estimator__compile": True}, r"NeuralNetClassifier\(compile=True\) hides the layers"),
        (
            {"estimator__criterion": nn.MultiMarginLoss, "distillation": 0.5},
            "Distillation and sample weights need a net whose criterion is CrossEntropyLoss on",
        ),
        (
            {"teacher": LogisticRegression().fit(np.zeros((120, 16)), Y), "distillation": 0.5},
            "LogisticRegression does not take the samples that this estimator is given; it must .*"
            "Found array with dim 3",
        ),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused_before_any_training(
    no_training, given, message
):
    with pytest.raises((UnsupportedNetworkError, ValueError), match=message):
        make_pruner(make_net(spectral)).set_params(**given).fit(NETWORKS["spectral"][1], Y)


def test_ctrl_c_keeps_the_iterations_that_are_done():
    build, X = NETWORKS["spectral"]
    cuts = []

    class Interrupting(Fraction):
        def prune(self, redundancy):
            cuts.append(redundancy)
            if len(cuts) == 3:  # two groups in the first iteration
                raise KeyboardInterrupt
            return super().prune(redundancy)

    model = make_pruner(make_net(build), threshold=Interrupting(0.3))
    with pytest.warns(UserWarning, match="Pruning was interrupted; the iterations that were done"):
        model.fit(X, Y)
    assert model.history_["n_units_0"].tolist() == [8, 6]
    assert model.score(X, Y) > 0.5
    assert clone(model).n_iterations == 2
