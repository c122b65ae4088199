"""CAPoZPruner around every kind of estimator, trained or not."""

import copy
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochScoring
from skorch.dataset import ValidSplit
from torch import nn

from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier
from sklearn_capoz.criteria import CAPoZ
from sklearn_capoz.estimators import _own_adapter
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.schedules import Widths
from sklearn_capoz.thresholds import Budget, Count

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = make_classification(
    240, 8, n_informative=6, n_redundant=0, n_classes=3, class_sep=2.0, random_state=0
)
NAMES = np.array(["kaolinite", "alunite", "calcite"])[Y]


def make_mlp(**parameters):
    quick = {"hidden_layer_sizes": (12,), "max_iter": 10, "learning_rate_init": 0.03}
    return MLPClassifier(random_state=0, **(quick | parameters))


def seeded(*parts):
    """Join layers to a module whose first weights are always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for part in parts:
            if isinstance(part, nn.Linear) and not isinstance(part, nn.LazyLinear):
                part.reset_parameters()
    return nn.Sequential(*parts)


def make_net(*parts, **parameters):
    parts = parts or (
        nn.Linear(8, 12), nn.ReLU(), nn.BatchNorm1d(12), nn.Dropout(0.1), nn.Linear(12, 3)
    )  # fmt: skip
    quick = {"criterion": nn.CrossEntropyLoss, "max_epochs": 4, "lr": 0.1, "batch_size": 32,
             "train_split": None, "verbose": 0, "iterator_train__shuffle": True}  # fmt: skip
    return NeuralNetClassifier(seeded(*parts), **(quick | parameters))


def make_own(**parameters):
    quick = {"hidden_layer_sizes": (12,), "max_iter": 10, "learning_rate_init": 0.03}
    return PrunedMLPClassifier(random_state=0, **(quick | {"n_iterations": 0} | parameters))


KINDS = {"mlp": make_mlp, "net": make_net, "own": make_own}


@pytest.fixture(params=KINDS)
def estimator(request):
    return KINDS[request.param]()


def pruner(estimator, **parameters):
    quick = {"threshold": Count(2), "n_iterations": 3, "retrain_max_iter": 3, "keep": "last",
             "random_state": 0}  # fmt: skip
    return CAPoZPruner(estimator, **(quick | parameters))


def trained(estimator):
    """Fit as a user would, a skorch net with codes."""
    if isinstance(estimator, NeuralNetClassifier):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return estimator.fit(X.astype(np.float32), Y)
    return estimator.fit(X, Y)


def arrays(estimator):
    """All trained numbers of an estimator, copied."""
    if isinstance(estimator, NeuralNetClassifier):
        return [value.numpy().copy() for value in estimator.module_.state_dict().values()]
    if isinstance(estimator, MLPClassifier):
        return [array.copy() for array in (*estimator.coefs_, *estimator.intercepts_)]
    return [array.copy() for array in (*estimator.network_.weights, *estimator.network_.biases)]


def assert_same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def history(model):
    return model.history_.drop(columns="seconds")


def widths(estimator):
    if isinstance(estimator, NeuralNetClassifier):
        return [part.out_features for part in estimator.module_ if isinstance(part, nn.Linear)][:-1]
    return [array.shape[1] for array in arrays(estimator) if array.ndim == 2][:-1]


def test_what_is_learned_fits_together(estimator):
    model = pruner(estimator).fit(X, NAMES)
    table = model.history_
    assert type(model.estimator_) is type(estimator)
    assert table["n_units"].tolist() == [12, 10, 8, 6]
    assert table["n_units_0"].tolist() == [12, 10, 8, 6]
    assert table["n_pruned_0"].tolist() == [0, 2, 2, 2]
    assert table["n_epochs"].tolist()[1:] == [3, 3, 3]
    assert table["n_epochs"][0] == (4 if isinstance(estimator, NeuralNetClassifier) else 10)
    np.testing.assert_allclose(table["unit_ratio"], 12 / table["n_units"])
    np.testing.assert_allclose(
        table["parameter_ratio"], table["n_parameters"][0] / table["n_parameters"]
    )
    assert widths(model.estimator_) == [6]
    assert [scores[0].size for scores in model.importances_] == [12, 10, 8, 6]
    assert model.support_[0].shape == (12,)
    assert model.support_[0].sum() == 6
    assert model.compression_rate_ == table["parameter_ratio"][3]
    assert model.best_iteration_ == 3
    assert isinstance(model.criterion_, CAPoZ)
    assert model.classes_.tolist() == sorted(set(NAMES))
    assert model.score(X, NAMES) > 0.6


def test_the_pruned_estimator_predicts_the_same(estimator):
    model = pruner(estimator).fit(X, NAMES)
    inner = model.estimator_
    np.testing.assert_allclose(inner.predict_proba(X), model.predict_proba(X), atol=1e-6)
    labels = inner.predict(X)
    if isinstance(inner, NeuralNetClassifier):  # which knows codes only
        labels = model.classes_[labels]
    np.testing.assert_array_equal(labels, model.predict(X))


def test_the_estimator_given_is_cloned(estimator):
    given = copy.deepcopy(estimator)
    pruner(estimator).fit(X, Y)
    assert repr(estimator) == repr(given)
    assert not hasattr(estimator, "classes_")
    assert not getattr(estimator, "initialized_", False)


@pytest.mark.parametrize("compensation", [None, "least-squares"])
def test_a_frozen_estimator_is_not_trained_and_stays_as_it_was(estimator, compensation):
    trained(estimator)
    before = arrays(estimator)
    probabilities = estimator.predict_proba(X.astype(np.float32))
    frozen = FrozenEstimator(estimator)
    model = pruner(frozen, compensation=compensation).fit(X, Y)
    assert_same(arrays(estimator), before)
    np.testing.assert_array_equal(estimator.predict_proba(X.astype(np.float32)), probabilities)
    assert widths(model.estimator_) == [6]
    assert type(model.estimator_) is type(estimator)
    assert model.score(X, Y) > 0.6
    as_it_is = pruner(frozen, n_iterations=0).fit(X, Y)
    np.testing.assert_allclose(as_it_is.predict_proba(X), probabilities, atol=1e-5)
    assert_same(arrays(as_it_is.estimator_), before)


def test_what_is_frozen_must_be_trained(estimator):
    with pytest.raises(NotFittedError):
        pruner(FrozenEstimator(estimator)).fit(X, Y)


def test_what_is_frozen_must_know_the_labels_and_the_features(estimator):
    trained(estimator)
    with pytest.raises(ValueError, match=r"y holds labels that .*\[3\]"):
        pruner(FrozenEstimator(estimator)).fit(X, Y + 1)
    with pytest.raises(ValueError, match=r"X has 5 features, but .* is expecting 8 feat"):
        pruner(FrozenEstimator(estimator)).fit(X[:, :5], Y)


@pytest.mark.parametrize("make", [make_mlp, make_own])
def test_what_is_frozen_asks_for_its_columns_by_name(make):
    table = pd.DataFrame(X, columns=[f"{1300 + 10 * i} nm" for i in range(8)])
    estimator = make().fit(table, Y)
    model = pruner(FrozenEstimator(estimator))
    with pytest.raises(ValueError, match=r"feature names should match .*\n.*in the same order"):
        model.fit(table[table.columns[::-1]], Y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.fit(table.rename(columns={"1300 nm": "1400 nm"}), Y)
    assert model.fit(table, Y).feature_names_in_.tolist() == list(table.columns)
    assert not hasattr(model.fit(X, Y), "feature_names_in_")  # plain columns have no order to check


def test_a_frozen_estimator_may_see_some_of_its_classes_only(estimator):
    trained(estimator)
    rows = Y < 2
    model = pruner(FrozenEstimator(estimator), n_iterations=1).fit(X[rows], Y[rows])
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.predict_proba(X).shape == (240, 3)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_zero_iterations_are_mlpclassifier(n_classes, early_stopping):
    rows = n_classes > Y
    labels = Y if early_stopping else NAMES  # scikit-learn < 1.9 fails on names
    mlp = make_mlp(early_stopping=early_stopping)
    model = pruner(mlp, n_iterations=0).fit(X[rows], labels[rows], X[rows], labels[rows])
    expected = clone(mlp).fit(X[rows], labels[rows])
    assert_same(arrays(model.estimator_), arrays(expected))
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-12)


def test_zero_iterations_on_the_training_share_of_the_rows(monkeypatch):
    fit, seen = MLPClassifier.fit, []

    def spy(self, X, y):
        seen.append((X, y))
        return fit(self, X, y)

    monkeypatch.setattr(MLPClassifier, "fit", spy)
    model = pruner(make_mlp(), n_iterations=0).fit(X, NAMES)
    [(rows, labels)] = seen
    assert rows.shape == (192, 8)
    assert_same(arrays(model.estimator_), arrays(fit(make_mlp(), rows, labels)))


def test_no_retraining_only_cuts(estimator):
    dense = pruner(estimator, n_iterations=0).fit(X, Y)
    model = pruner(estimator, retrain_max_iter=0).fit(X, Y)
    table = model.history_
    assert table["n_epochs"].tolist()[1:] == [0, 0, 0]
    np.testing.assert_array_equal(table["accuracy_before"], table["accuracy_after"])
    first, cut = arrays(dense.estimator_)[0], arrays(model.estimator_)[0]
    [kept] = model.support_
    axis = 0 if isinstance(estimator, NeuralNetClassifier) else 1
    np.testing.assert_array_equal(cut, first.compress(kept, axis=axis))


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_partial_fit_goes_on_after_pruning(solver, n_classes):
    rows = n_classes > Y
    mlp = make_mlp(solver=solver, hidden_layer_sizes=(12, 7))
    dense = pruner(mlp, n_iterations=0).fit(X[rows], Y[rows]).estimator_
    model = pruner(mlp, retrain_max_iter=0).fit(X[rows], Y[rows])
    pruned = model.estimator_
    assert pruned.hidden_layer_sizes == (6, 1)
    old, new = (
        (e._optimizer.ms, e._optimizer.vs) if solver == "adam" else (e._optimizer.velocities,)
        for e in (dense, pruned)
    )
    for before, after in zip(old, new, strict=True):
        assert [m.shape for m in after] == [
            array.shape for array in (*pruned.coefs_, *pruned.intercepts_)
        ]
        np.testing.assert_array_equal(after[0], before[0][:, model.support_[0]])
        np.testing.assert_array_equal(after[1], before[1][np.ix_(*model.support_)])
    if solver == "adam":
        assert pruned._optimizer.t == dense._optimizer.t > 0
    before = arrays(pruned)
    pruned.partial_fit(X[rows], Y[rows])
    assert all(not np.array_equal(a, b) for a, b in zip(before, arrays(pruned), strict=True))
    assert pruned.predict_proba(X).shape == (240, n_classes)


def test_partial_fit_of_an_unpruned_estimator_is_unchanged():
    """The moments are handed over whole: going on from the pruner is going on from the fit."""
    inner = pruner(make_mlp(), n_iterations=0).fit(X, Y, X, Y).estimator_
    alone = make_mlp().fit(X, Y)
    assert_same(arrays(inner.partial_fit(X, Y)), arrays(alone.partial_fit(X, Y)))


def test_what_lbfgs_has_trained_is_retrained_by_adam():
    model = pruner(make_mlp(solver="lbfgs", max_iter=60)).fit(X, NAMES)
    assert widths(model.estimator_) == [6]
    assert model.history_["n_epochs"].tolist()[1:] == [3, 3, 3]


def test_a_pruned_estimator_can_be_fitted_again():
    """Its parameters are those of the smaller network."""
    inner = pruner(make_mlp()).fit(X, NAMES).estimator_
    assert inner.get_params()["hidden_layer_sizes"] == (6,)
    assert clone(inner).fit(X, NAMES).coefs_[0].shape == (8, 6)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_warm_start_of_a_pruned_estimator_begins_anew(early_stopping):
    """The dense network's best score and loss are out of reach, and its weights do not fit."""
    mlp = make_mlp(early_stopping=early_stopping, warm_start=True)
    inner = pruner(mlp, retrain_max_iter=0).fit(X, Y).estimator_
    before = arrays(inner)
    inner.set_params(learning_rate_init=1e-12, n_iter_no_change=3).fit(X, Y)
    for a, b in zip(before, arrays(inner), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)
    if early_stopping:
        assert inner.best_validation_score_ == max(inner.validation_scores_[-inner.n_iter_ :])
    else:
        assert inner.best_loss_ == min(inner.loss_curve_[-inner.n_iter_ :])
    assert inner.n_iter_ == 5  # the first epoch counts as progress, then none does


@pytest.mark.parametrize(("before", "after"), [("adam", "sgd"), ("sgd", "adam")])
def test_what_has_trained_an_mlpclassifier_retrains_it(before, after):
    mlp = make_mlp(solver=before).fit(X, Y)
    expected = pruner(FrozenEstimator(mlp)).fit(X, Y)
    model = pruner(FrozenEstimator(mlp.set_params(solver=after))).fit(X, Y)
    assert_same(arrays(model.estimator_), arrays(expected.estimator_))
    model.estimator_.partial_fit(X, Y)


@pytest.mark.parametrize("make", [make_mlp, make_own])
def test_the_pruned_estimator_knows_the_features_by_name(make):
    table = pd.DataFrame(X, columns=[f"{1300 + 10 * i} nm" for i in range(8)])
    inner = pruner(make(), n_iterations=1).fit(table, Y).estimator_
    assert set(inner.predict(table)) <= set(Y)  # without a warning
    with pytest.raises(ValueError, match="feature names should match"):
        inner.predict(table[table.columns[::-1]])
    assert not hasattr(pruner(make(), n_iterations=1).fit(X, Y).estimator_, "feature_names_in_")


def test_one_class_in_an_mlpclassifier():
    mlp = make_mlp(max_iter=1, learning_rate_init=1e-6).fit(X, np.zeros(240, dtype=int))
    model = pruner(FrozenEstimator(mlp), n_iterations=0).fit(X, np.zeros(240, dtype=int))
    for rows in (X, X[:100]):  # scikit-learn's own logistic output has two columns all the same
        assert set(model.predict(rows)) == set(mlp.predict(rows)) == {0}
        np.testing.assert_allclose(model.predict_proba(rows), mlp.predict_proba(rows), atol=1e-12)


@pytest.mark.parametrize(
    "optimizer",
    [torch.optim.SGD, torch.optim.Adam, torch.optim.LBFGS, torch.optim.Adafactor],
)
def test_a_pruned_net_goes_on_learning(optimizer):
    net = pruner(make_net(optimizer=optimizer, lr=0.01)).fit(X, Y).estimator_
    before = arrays(net)
    with torch.random.fork_rng():
        net.partial_fit(X, Y)
    assert all(not np.array_equal(a, b) for a, b in zip(before, arrays(net), strict=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"compensation": "bias"},
        {"compensation": "least-squares", "criterion": "reconstruction"},
        {"distillation": 0.7},
        {"distillation": 1.0, "temperature": 4.0, "retrain_learning_rate": "cosine"},
        {"schedule": "iterative", "criterion": "taylor"},
        {"schedule": Widths((7, 3)), "criterion": "correlation"},
        {"keep": "smallest", "tolerance": 0.1},
    ],
)
def test_every_option_on_every_kind(estimator, changes):
    model = pruner(estimator, n_iterations=2, retrain_max_iter=2, **changes).fit(X, NAMES)
    assert model.history_["n_units"].iloc[-1] < 12
    np.testing.assert_allclose(model.estimator_.predict_proba(X), model.predict_proba(X), atol=1e-6)


def test_compensation_loses_less_and_a_teacher_pulls(estimator):
    trained(estimator)
    dense = estimator.predict_proba(X.astype(np.float32))

    def distance(**changes):
        common = {"threshold": Count(8), "n_iterations": 1, "retrain_max_iter": 0}
        model = pruner(FrozenEstimator(estimator), **(common | changes)).fit(X, Y)
        return np.abs(model.predict_proba(X) - dense).mean()

    assert distance(compensation="least-squares") < distance()
    taught = {"distillation": 1.0, "retrain_max_iter": 30}
    assert distance(**taught) < distance()


def skip_without_weights(estimator):
    if isinstance(estimator, MLPClassifier) and not has_fit_parameter(estimator, "sample_weight"):
        pytest.skip("this scikit-learn's MLPClassifier takes no weights")


@pytest.mark.parametrize("kind", KINDS)
def test_weight_zero_is_absence(kind):
    skip_without_weights(KINDS[kind]())
    weight = np.random.RandomState(0).randint(3, size=len(Y)).astype(float)
    rows = weight > 0
    first = pruner(KINDS[kind]()).fit(X, Y, sample_weight=weight)
    second = pruner(KINDS[kind]()).fit(X[rows], Y[rows], sample_weight=weight[rows])
    pd.testing.assert_frame_equal(history(first), history(second))
    assert_same(arrays(first.estimator_), arrays(second.estimator_))


def test_weights_enter_the_loss_and_the_scores(estimator):
    skip_without_weights(estimator)
    weight = np.where(Y == 0, 30.0, 1.0)
    heavy = pruner(estimator, n_iterations=1).fit(X, Y, sample_weight=weight)
    plain = pruner(estimator, n_iterations=1).fit(X, Y)
    assert (heavy.predict(X) == 0).sum() > (plain.predict(X) == 0).sum()
    assert not np.array_equal(heavy.importances_[0][0], plain.importances_[0][0])


def test_class_weights_of_the_inner_estimator_count():
    weights = {0: 30.0, 1: 1.0, 2: 1.0}
    heavy = pruner(make_own(class_weight=weights), n_iterations=1).fit(X, Y)
    plain = pruner(make_own(), n_iterations=1).fit(X, Y)
    assert (heavy.predict(X) == 0).sum() > (plain.predict(X) == 0).sum()


def test_one_seed_one_model_and_the_callers_generators_stay(estimator):
    if not isinstance(estimator, NeuralNetClassifier):
        estimator.set_params(random_state=None)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    first, again = (pruner(estimator, criterion="random").fit(X, Y) for _ in range(2))
    first.predict_proba(X)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state[1])
    assert np.random.get_state()[2:] == numpy_state[2:]
    pd.testing.assert_frame_equal(history(first), history(again))
    assert_same(arrays(first.estimator_), arrays(again.estimator_))
    other = pruner(estimator, criterion="random", random_state=1).fit(X, Y)
    assert not np.array_equal(arrays(first.estimator_)[0], arrays(other.estimator_)[0])


@pytest.mark.parametrize("make", [make_mlp, make_own])
def test_an_estimators_own_seed_is_used_for_its_training(make):
    first, second = (
        pruner(make(), n_iterations=0, random_state=seed).fit(X, Y, X, Y) for seed in (1, 2)
    )
    assert_same(arrays(first.estimator_), arrays(second.estimator_))


def test_a_shorter_run_is_the_beginning_of_a_longer_one(estimator):
    short, long = (pruner(estimator, n_iterations=n).fit(X, Y) for n in (2, 4))
    pd.testing.assert_frame_equal(history(short), history(long).iloc[:3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_precision_of_the_data_is_kept(estimator, dtype):
    model = pruner(estimator, n_iterations=1).fit(X.astype(dtype), Y)
    assert arrays(model.estimator_)[0].dtype == dtype
    assert model.predict_proba(X.astype(dtype)).dtype == dtype
    other = np.float64 if dtype == np.float32 else np.float32
    np.testing.assert_allclose(
        model.predict_proba(X.astype(other)), model.predict_proba(X.astype(dtype)), atol=1e-4
    )
    pruner(estimator, n_iterations=1).fit(X.astype(dtype), Y, X.astype(other), Y)


def test_tables_of_validation_data(estimator):
    table = pd.DataFrame(X, columns=[f"{1300 + 10 * i} nm" for i in range(8)])
    model = pruner(estimator, n_iterations=1)
    model.fit(table[:180], NAMES[:180], table[180:], pd.Series(NAMES[180:]))
    assert model.feature_names_in_.tolist() == list(table.columns)
    again = pruner(estimator, n_iterations=1).fit(X[:180], NAMES[:180], X[180:], NAMES[180:])
    pd.testing.assert_frame_equal(history(model), history(again))


@pytest.mark.parametrize(
    ("net", "extra"),
    [
        (lambda: make_net(nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 3)), {"criterion": "taylor"}),
        (
            lambda: make_net(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 3), nn.Softmax(dim=1),
                             nn.Identity(), criterion=nn.NLLLoss),
            {"distillation": 0.5},
        ),
        (lambda: make_net(nn.LazyLinear(12), nn.ReLU(), nn.LazyLinear(3)), {}),
        (
            lambda: make_net(train_split=ValidSplit(5, stratified=True),
                             callbacks=[EpochScoring("balanced_accuracy")]),
            {},
        ),
        (lambda: make_net(optimizer=torch.optim.AdamW, optimizer__weight_decay=0.1, lr=0.01), {}),
    ],
)  # fmt: skip
def test_nets_of_many_kinds(net, extra):
    model = pruner(net(), n_iterations=2, **extra).fit(X, NAMES)
    assert model.history_["n_units"].tolist() == [12, 10, 8]
    np.testing.assert_allclose(model.estimator_.predict_proba(X), model.predict_proba(X), atol=1e-6)
    assert set(model.predict(X)) <= set(NAMES)


class OnLogits(NeuralNetClassifier):
    """A net whose loss takes logits, whatever skorch's own does with this criterion."""

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        return self.criterion_(y_pred.log_softmax(dim=1), y_true)


def test_a_loss_of_the_users_own_is_not_judged():
    parts = seeded(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 3))
    net = OnLogits(parts, lr=0.1, batch_size=32, train_split=None, verbose=0)
    assert pruner(net).fit(X, Y).score(X, Y) > 0.6


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(8, 9), nn.Linear(9, 3)

    def forward(self, X):
        X = torch.relu(self.first(X))
        return self.last((X[:, :, None] @ X[:, None]).mean(1))


@pytest.fixture
def no_training(monkeypatch):
    def trained(*args, **kwargs):
        raise AssertionError("trained before all was checked")

    monkeypatch.setattr(MLPClassifier, "fit", trained)
    monkeypatch.setattr(NeuralNetClassifier, "partial_fit", trained)
    monkeypatch.setattr(_own_adapter, "first_training", trained)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            LogisticRegression(),
            UnsupportedNetworkError,
            r"CAPoZPruner cannot prune LogisticRegression; give it a.* MLPClassifier, a NeuralNet",
        ),
        (FrozenEstimator(LogisticRegression()), UnsupportedNetworkError, "LogisticRegression"),
        (None, UnsupportedNetworkError, "CAPoZPruner cannot prune NoneType"),
        (CAPoZPruner(make_mlp()), UnsupportedNetworkError, "CAPoZPruner cannot prune CAPoZPruner"),
        (
            NeuralNetClassifier(Attentive, criterion=nn.CrossEntropyLoss, verbose=0),
            UnsupportedNetworkError,
            r"Attentive runs matmul\(\) on its units, and it is not known",
        ),
        (
            make_net(nn.Linear(8, 3)),
            UnsupportedNetworkError,
            "Sequential has no units that could go: those of '0', as they are the network's outp",
        ),
        (
            make_net(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 4)),
            ValueError,
            "The module gives 4 outputs, y holds 3 classes; give the module one output per class",
        ),
        (
            make_net(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3), criterion=nn.NLLLoss),
            UnsupportedNetworkError,
            "Sequential ends in linear and is trained with NLLLoss, .* Use CrossEntropyLoss with",
        ),
        (
            make_net(
                nn.Linear(8, 5),
                nn.ReLU(),
                nn.Linear(5, 3),
                nn.LogSoftmax(dim=1),
                criterion=nn.NLLLoss,
            ),
            UnsupportedNetworkError,
            "ends in log_softmax and is trained with NLLLoss",
        ),
        (make_own(hidden_layer_sizes=(0,)), ValueError, "hidden_layer_sizes"),
    ],
)
def test_what_cannot_be_pruned_is_said_before_any_training(no_training, given, error, message):
    with pytest.raises(error, match=message):
        pruner(given).fit(X, Y)


@pytest.mark.parametrize("make", [make_net, make_own])
@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda", "device='cuda': torch finds no CUDA device here; use device='cpu'"),
        ("gpu", "device='gpu' is none of torch's: Expected one of cpu"),
    ],
)
def test_a_device_that_is_not_there(no_training, monkeypatch, make, device, message):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match=message):
        pruner(make(device=device)).fit(X, Y)


@pytest.mark.parametrize("make", [make_mlp, make_own])
def test_a_schedule_for_other_layers_raises_before_any_training(no_training, make):
    with pytest.raises(ValueError, match="Widths"):
        CAPoZPruner(make(), schedule=Widths([[4, 4]])).fit(X, Y)


@pytest.mark.parametrize("make", [make_mlp, make_own])
def test_a_budget_that_cannot_be_reached_raises_before_any_training(no_training, make):
    # 8 features, 12 units, 3 classes: one unit leaves 11 of 132 multiply-adds.
    with pytest.raises(ValueError, match=r"0.0833 of the 132 multiply-adds are left"):
        CAPoZPruner(make(), threshold=Budget(0.05)).fit(X, Y)
    with pytest.raises(ValueError, match=r"0.0833 of the 132 multiply-adds are left"):
        PrunedMLPClassifier((12,), threshold=Budget(0.05)).fit(X, Y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"criterion": "apo"}, "criterion='apo' is not known"),
        ({"threshold": "median"}, "threshold='median' is not known"),
        ({"schedule": "daily"}, "schedule='daily' is not known"),
        ({"n_iterations": -1}, "'n_iterations' parameter of CAPoZPruner"),
        ({"keep": "first"}, "'keep'"),
        ({"tolerance": -0.1}, "'tolerance'"),
        ({"min_units": 0}, "'min_units'"),
        ({"validation_fraction": 1}, "'validation_fraction'"),
        ({"retrain_max_iter": None}, "'retrain_max_iter'"),
        ({"retrain_learning_rate": 0.1}, "'retrain_learning_rate'"),
        ({"compensation": True}, "'compensation'"),
        ({"distillation": 2}, "'distillation'"),
        ({"temperature": -1}, "'temperature'"),
        ({"verbose": "loud"}, "'verbose'"),
        ({"random_state": "seed"}, "'random_state'"),
    ],
)
def test_bad_parameters_raise_before_any_training(no_training, estimator, parameters, message):
    with pytest.raises(ValueError, match=message):
        pruner(estimator, **parameters).fit(X, Y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": np.full((240, 8), np.nan)}, "Input X contains NaN"),
        ({"y": X[:, 0]}, "Unknown label type: continuous"),
        ({"X_val": X}, "X_val and y_val belong together; only X_val was given"),
        ({"X_val": X, "y_val": Y + 1}, r"y_val holds labels that .*: \[3\]"),
        ({"X_val": X[:, :3], "y_val": Y}, "X has 3 features"),
        ({"sample_weight": -np.ones(240)}, "Negative values"),
    ],
)
def test_bad_data_raise_before_any_training(no_training, estimator, arguments, message):
    with pytest.raises(ValueError, match=message):
        pruner(estimator).fit(**({"X": X, "y": Y} | arguments))


def test_parameters_reach_the_inner_estimator_and_the_parts():
    model = CAPoZPruner(make_mlp(), criterion=CAPoZ(), threshold=Count(1))
    model.set_params(estimator__alpha=0.5, criterion__tolerance=0.1, threshold__count=3)
    assert model.estimator.alpha == 0.5
    assert clone(model).criterion.tolerance == 0.1
    assert model.get_params()["threshold__count"] == 3


def test_the_html_view(estimator):
    model = pruner(estimator, n_iterations=1)
    assert "CAPoZPruner" in model._repr_html_()
    assert type(estimator).__name__ in model.fit(X, Y)._repr_html_()


def test_a_module_of_the_users_script():
    class Net(nn.Module):  # no pickle can find it, as in a process that was sent it
        def __init__(self):
            super().__init__()
            self.layers = seeded(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 3))

        def forward(self, inputs):
            return self.layers(inputs)

    net = NeuralNetClassifier(
        Net, criterion=nn.CrossEntropyLoss, max_epochs=2, verbose=0, train_split=None
    )
    pruner = CAPoZPruner(net, threshold=Count(3), n_iterations=2, retrain_max_iter=1)
    assert pruner.fit(X.astype(np.float32), Y).history_["n_units"].tolist() == [12, 9, 6]


def test_pickles(estimator):
    model = pruner(estimator, n_iterations=1).fit(X, NAMES)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(model.estimator_)).predict_proba(X),
        model.estimator_.predict_proba(X),
    )


READER = """
import sys
import joblib, numpy as np

{prelude}
X, expected = joblib.load({expected!r})
for name, probabilities in expected.items():
    model = joblib.load(f"{folder}/{{name}}.joblib")
    np.testing.assert_array_equal(model.predict_proba(X), probabilities, err_msg=name)
    if hasattr(model, "net_"):
        model.net_.partial_fit(X, model.predict(X).argsort() % 3)
print("read", len(expected))
"""


def read_in_a_new_process(folder, models, prelude=""):
    for name, model in models.items():
        joblib.dump(model, folder / f"{name}.joblib")
    expected = folder / "expected.joblib"
    joblib.dump((X, {name: model.predict_proba(X) for name, model in models.items()}), expected)
    code = READER.format(prelude=prelude, expected=str(expected), folder=folder)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"read {len(models)}\n"


def test_a_new_process_predicts_the_same(tmp_path):
    models = {kind: pruner(make(), n_iterations=1).fit(X, NAMES) for kind, make in KINDS.items()}
    models["classifier"] = make_own(n_iterations=1, threshold="fraction").fit(X, NAMES)
    models["net itself"] = models["net"].estimator_
    read_in_a_new_process(tmp_path, models)


def test_a_pruned_mlpclassifier_needs_this_package_no_longer(tmp_path):
    models = {
        "fitted here": pruner(make_mlp(), n_iterations=1).fit(X, NAMES).estimator_,
        "frozen": pruner(FrozenEstimator(make_mlp(solver="sgd").fit(X, Y))).fit(X, Y).estimator_,
    }
    prelude = 'sys.modules["sklearn_capoz"] = None  # importing it is an error'
    read_in_a_new_process(tmp_path, models, prelude)


def test_a_grid_over_the_parts_in_a_pipeline():
    steps = [("scale", StandardScaler()), ("prune", pruner(make_mlp(), retrain_max_iter=2))]
    grid = {
        "prune__criterion": ["l1", CAPoZ(tolerance=0.1)],
        "prune__threshold": ["mean+std", Count(3)],
        "prune__n_iterations": [1, 2],
    }
    search = GridSearchCV(Pipeline(steps), grid, cv=2, n_jobs=2).fit(X, NAMES)
    assert len(search.cv_results_["params"]) == 8
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ > 0.6
    best = search.best_estimator_
    again = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(again.predict_proba(X), best.predict_proba(X))
    assert best[-1].history_["n_units"].iloc[-1] < 12
