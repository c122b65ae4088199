"""Estimators whose schedule cuts while the network is trained for the first time."""

import warnings

import numpy as np
import pytest
import torch
from joblib import Memory
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz import (
    CAPoZPruner,
    CAPoZPrunerCV,
    PrunedCNNClassifier,
    PrunedMLPClassifier,
    pruning_path,
)
from sklearn_capoz.criteria import Criterion
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.schedules import Gradual, Schedule, Step

#: Of 12 units 6 in the end, cut after epochs 4, 6 and 8 of 12.
SCHEDULE = Gradual(0.5, epochs=(2, 8))
WIDTHS = [12, 8, 6, 6]
EPOCHS = [4, 2, 2, 4]
PRUNING = {"schedule": SCHEDULE, "n_iterations": 3, "keep": "last", "random_state": 0}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3))

    def forward(self, X):
        return self.layers(X)


def make_net(max_epochs=12):
    return NeuralNetClassifier(
        Net, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=0.01, batch_size=32,
        max_epochs=max_epochs, train_split=None, verbose=0,
    )  # fmt: skip


def make_mlp(**given):
    return MLPClassifier((12,), **{"max_iter": 12, "learning_rate_init": 0.01} | given)


def make_own(**given):
    return PrunedMLPClassifier((12,), **{"max_iter": 12, "learning_rate_init": 0.01} | given)


MAKERS = {
    "classifier": lambda: make_own(**PRUNING),
    "classifier in skorch's loop": lambda: make_own(callbacks=[], **PRUNING),
    "restarts": lambda: make_own(n_restarts=3, **PRUNING),
    "MLPClassifier": lambda: CAPoZPruner(make_mlp(), **PRUNING),
    "MLPClassifier by sgd": lambda: CAPoZPruner(make_mlp(solver="sgd"), **PRUNING),
    "PrunedMLPClassifier": lambda: CAPoZPruner(make_own(), **PRUNING),
    "net": lambda: CAPoZPruner(make_net(), **PRUNING),
}


@pytest.fixture(scope="module")
def samples(data):
    return data[0].astype(np.float32), data[1]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_every_cut_is_a_row_and_all_is_one_training(make, samples):
    state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    model, again = make().fit(*samples), make().fit(*samples)
    assert model.history_["n_units"].tolist() == WIDTHS
    assert model.history_["n_epochs"].tolist() == EPOCHS
    assert [len(scores[0]) for scores in model.importances_] == WIDTHS
    assert model.support_[0].sum() == 6
    # The same seed gives the same weights, and takes nothing from the caller's generators.
    np.testing.assert_array_equal(model.predict_proba(samples[0]), again.predict_proba(samples[0]))
    np.testing.assert_array_equal(state, np.random.get_state()[1])
    assert torch.equal(torch_state, torch.get_rng_state())
    assert model.score(*samples) > 0.36  # 12 epochs


def test_the_fitted_estimator_knows_all_of_its_training(samples):
    model = make_own(**PRUNING).fit(*samples)
    assert (model.n_iter_, len(model.loss_curve_)) == (12, 12)
    fitted = CAPoZPruner(make_mlp(random_state=1), **PRUNING).fit(*samples).estimator_
    assert (fitted.n_iter_, len(fitted.loss_curve_), fitted.hidden_layer_sizes) == (12, 12, (6,))
    assert fitted.t_ == 12 * 192
    assert fitted.loss_ == fitted.loss_curve_[-1]
    assert (
        fitted.get_params() | {"hidden_layer_sizes": (12,)} == make_mlp(random_state=1).get_params()
    )
    fitted.partial_fit(*samples)
    own = CAPoZPruner(make_own(), **PRUNING).fit(*samples).estimator_
    assert (own.n_iter_, own.network_.widths) == (12, (6,))
    net = CAPoZPruner(make_net(), **PRUNING).fit(*samples).estimator_
    assert net.history[:, "epoch"] == list(range(1, 13))
    net.partial_fit(*samples)


def test_where_nothing_is_cut_it_is_the_plain_training(samples):
    """To the bit in the engine; of skorch too, as torch's generator goes on."""
    for make in (make_own, lambda **given: CAPoZPruner(make_net(), **given)):
        plain = make(**PRUNING | {"n_iterations": 0}).fit(*samples)
        paused = make(**PRUNING | {"schedule": Gradual(0.0, epochs=(2, 8))}).fit(*samples)
        for name in ("weights", "biases"):
            arrays = zip(*(getattr(m._network, name) for m in (plain, paused)), strict=True)
            for a, b in arrays:
                np.testing.assert_array_equal(a, b)


def test_an_mlp_classifier_is_trained_as_it_trains_itself(samples):
    """The twin: scikit-learn's own training of 12 epochs, to rounding."""
    schedule = Gradual(0.0, epochs=(2, 8))
    pruner = CAPoZPruner(make_mlp(random_state=3), **PRUNING | {"schedule": schedule})
    X, y = (array[::2] for array in samples)
    X_val, y_val = (array[1::2] for array in samples)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = make_mlp(random_state=3).fit(X, y)
        pruner.fit(X, y, X_val, y_val)
    for a, b in zip(own.coefs_, pruner.estimator_.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def test_early_stopping_looks_for_the_best_epoch_after_the_last_cut(samples):
    model = make_own(early_stopping=True, **PRUNING | {"n_iterations": 2}).fit(*samples)
    assert model.history_["n_units"].tolist() == [12, 7, 6]
    assert model.n_iter_ > 8


@pytest.mark.parametrize("keep", ["best", "smallest"])
def test_what_is_kept_is_trained_on_all_samples_for_as_many_epochs(keep, samples):
    model = make_own(**PRUNING | {"keep": keep}).fit(*samples)
    assert model.n_iter_ == 12
    assert model._kept.settings.max_iter == 12
    assert len(model._kept.loss_curve) == 12
    width = model.history_["n_units"][model.best_iteration_]
    assert model.network_.widths == (width,)


def test_the_path_and_the_search(samples):
    path = pruning_path(make_own(**PRUNING), *samples)
    assert [each.network_.widths[0] for each in path.estimators] == WIDTHS
    search = CAPoZPrunerCV(
        make_own(**PRUNING), criteria=["taylor", "l1"], max_iterations=3, cv=2
    ).fit(*samples)
    assert search.cv_results_["mean_n_units"].tolist() == WIDTHS * 2
    best, n_cuts = search.best_estimator_, search.best_params_["n_iterations"]
    # What was scored is what is kept: the network after so many cuts of this schedule.
    assert best.network_.widths == (WIDTHS[n_cuts],)
    assert (best.n_iterations, best.best_iteration_) == (3, n_cuts)
    for estimator in (make_mlp(), make_net()):
        search = CAPoZPrunerCV(CAPoZPruner(estimator, **PRUNING), max_iterations=3, cv=2)
        assert search.fit(*samples).cv_results_["mean_n_units"].tolist() == WIDTHS
    grid = GridSearchCV(make_own(**PRUNING), {"criterion": ["taylor", "l1"]}, cv=2).fit(*samples)
    assert grid.best_estimator_.network_.widths == (6,)


def test_a_search_over_a_schedule_that_stretches_keeps_what_was_scored(samples):
    model = make_own(**PRUNING | {"schedule": "gradual", "retrain_max_iter": 2})
    search = CAPoZPrunerCV(model, max_iterations=3, cv=2).fit(*samples)
    n_units, n = search.cv_results_["mean_n_units"], search.best_index_
    assert search.best_estimator_.network_.widths == (n_units[n],)


def test_a_progress_bar(samples, capsys):
    make_own(verbose=1, **PRUNING).fit(*samples)
    assert "4/4" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:Persisting input arguments took")  # on a busy machine
@pytest.mark.parametrize("make", [make_mlp, make_net])
def test_a_memory_changes_nothing(make, samples, tmp_path):
    memory = Memory(tmp_path, verbose=0)
    plain, first, again = (
        CAPoZPruner(make(), memory=given, **PRUNING).fit(*samples)
        for given in (None, memory, memory)
    )
    for model in (first, again):
        np.testing.assert_array_equal(
            model.predict_proba(samples[0]), plain.predict_proba(samples[0])
        )


def test_channels(samples):
    X, y = samples
    model = PrunedCNNClassifier(
        "1d", network_params={"channels": 4, "hidden": 6, "kernel_size": 3, "pool_size": 2},
        criterion="l1", compensation=None, max_iter=6,
        **PRUNING | {"schedule": Gradual(0.5, epochs=(0, 4)), "n_iterations": 2},
    ).fit(X, y)  # fmt: skip
    assert model.history_["n_epochs"].tolist() == [2, 2, 2]
    assert model.history_["n_units"].tolist() == [10, 5, 5]
    assert model.predict(X).shape == y.shape


class AtFive(Schedule):
    def iterations(self, widths, n_iterations):
        return [(Step((0,), at=5),)][:n_iterations]


def test_a_rule_of_the_users_own_decides_at_an_epoch(samples):
    model = make_own(**PRUNING | {"schedule": AtFive(), "threshold": "fraction"}).fit(*samples)
    assert model.history_["n_units"].tolist() == [12, 9]
    assert model.history_["n_epochs"].tolist() == [5, 7]
    assert np.isnan(model.history_["threshold_0"]).all()


NEVER = 10**9
REFUSED = {
    "beyond": (make_own(max_iter=8, **PRUNING), ValueError, "after epoch 8, and that training has"),
    "beyond, MLPClassifier": (CAPoZPruner(make_mlp(max_iter=5), **PRUNING), ValueError, "5 epochs"),
    "beyond, net": (CAPoZPruner(make_net(8), **PRUNING), ValueError, "has 8 epochs. Let the"),
    "beyond, own": (CAPoZPruner(make_own(max_iter=8), **PRUNING), ValueError, "has 8 epochs"),
    "teacher": (make_own(max_iter=NEVER, distillation=0.5, **PRUNING), ValueError, "no trained ne"),
    "lbfgs": (
        CAPoZPruner(make_mlp(solver="lbfgs", max_iter=NEVER), **PRUNING),
        UnsupportedNetworkError,
        "MLPClassifier has to train by solver='adam'",
    ),
    "its own split": (
        CAPoZPruner(make_mlp(early_stopping=True, max_iter=NEVER), **PRUNING),
        UnsupportedNetworkError,
        "without early_stopping and verbose",
    ),
    "too few epochs": (
        make_own(max_iter=NEVER, **PRUNING | {"n_iterations": 7}),
        ValueError,
        "has 6 epochs for 7 cuts",
    ),
    "none": (
        make_own(max_iter=NEVER, **PRUNING | {"schedule": Gradual(0.5, epochs=(8, 8))}),
        ValueError,
        "must be two whole numbers",
    ),
}


@pytest.mark.parametrize(("model", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_before_any_training(model, error, message, samples):
    model = clone(model)
    with pytest.raises(error, match=message):
        model.fit(*samples)
    with pytest.raises(NotFittedError):
        model.predict(samples[0])


@pytest.mark.parametrize("make", [make_mlp, make_net])
def test_a_trained_network_is_refused(make, samples):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = make().fit(*samples)
    with pytest.raises(UnsupportedNetworkError, match="FrozenEstimator is trained already"):
        CAPoZPruner(FrozenEstimator(fitted), **PRUNING).fit(*samples)


class Exploding(Criterion):
    """Fails at the second cut."""

    def score(self, layer):
        if layer.n_units < 12:
            raise FloatingPointError("diverged")
        return layer.incoming.sum(axis=1)


def test_a_failed_fit_leaves_the_model_as_it_was(samples):
    model = make_own(**PRUNING).fit(*samples)
    before = model.predict_proba(samples[0])
    model.set_params(criterion=Exploding())
    with pytest.raises(FloatingPointError):
        model.fit(*samples)
    np.testing.assert_array_equal(model.predict_proba(samples[0]), before)
