"""What becomes of a pruned estimator: trained on, fitted again, stored and sent elsewhere."""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNetClassifier
from small_estimators import (
    KINDS,
    NAMES,
    X,
    Y,
    arrays,
    assert_same,
    make_mlp,
    make_net,
    make_own,
    pruner,
    seeded,
    widths,
)
from torch import nn

from sklearn_capoz import CAPoZPruner
from sklearn_capoz.thresholds import Count

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
