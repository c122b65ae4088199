"""CAPoZPruner around every kind of estimator."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochScoring
from skorch.dataset import ValidSplit
from small_estimators import (
    KINDS,
    NAMES,
    X,
    Y,
    arrays,
    assert_same,
    history,
    make_mlp,
    make_net,
    make_own,
    pruner,
    trained,
    widths,
)
from torch import nn

from sklearn_capoz import CAPoZPruner
from sklearn_capoz.criteria import CAPoZ
from sklearn_capoz.schedules import Widths
from sklearn_capoz.thresholds import Count

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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


def test_retraining_may_take_one_epoch(estimator):
    table = pruner(estimator, retrain_max_iter=1).fit(X, Y).history_
    assert table["n_epochs"].tolist()[1:] == [1, 1, 1]


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


@pytest.mark.parametrize("frozen", [False, True])
def test_one_class_has_one_probability(frozen):
    """scikit-learn's own gives two columns."""
    y = np.full(len(X), "alunite")
    mlp = make_mlp().fit(X, y)
    pruner = CAPoZPruner(FrozenEstimator(mlp) if frozen else make_mlp(), random_state=0)
    pruner.fit(X, y)
    np.testing.assert_array_equal(pruner.predict_proba(X), np.ones((len(X), 1)))
    np.testing.assert_array_equal(pruner.predict(X), y)
    assert pruner.estimator_.predict(X).tolist() == y.tolist()
