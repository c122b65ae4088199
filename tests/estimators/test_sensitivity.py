"""Accuracy against the number of pruned units."""

from copy import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier

from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier, sensitivity_curve
from sklearn_capoz.criteria import Criterion
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.networks import DenseNetwork


@pytest.fixture(scope="module")
def data():
    return make_classification(300, n_features=8, n_informative=6, n_classes=3, random_state=1)


@pytest.fixture(scope="module")
def dense(data):
    return PrunedMLPClassifier(
        (8, 5), n_iterations=0, keep="last", learning_rate_init=0.01, random_state=0
    ).fit(*data)


def test_every_layer_alone_and_all_together(data, dense):
    curve = sensitivity_curve(dense, *data, X_test=data[0], y_test=data[1])
    counts = curve.groupby("layer", sort=False)["n_pruned"].apply(list)
    assert list(counts.index) == ["0", "1", "all"]
    # One unit of a layer always stays.
    assert counts["0"] == list(range(8))
    assert counts["1"] == list(range(5))
    assert counts["all"] == list(range(12))
    unpruned = curve.loc[curve["n_pruned"] == 0, "accuracy"]
    assert set(unpruned) == {dense.score(*data)}


def test_accuracies_are_those_of_networks_with_silenced_units(data, dense):
    X, y = data
    curve = sensitivity_curve(dense, X, y, X_test=X, y_test=y, criterion="l1")
    network = dense.network_
    order = np.argsort(np.abs(network.weights[0]).sum(axis=0))
    hidden = np.maximum(X @ network.weights[0] + network.biases[0], 0)
    for n_pruned in range(8):
        silenced = hidden.copy()
        silenced[:, order[:n_pruned]] = 0
        second = np.maximum(silenced @ network.weights[1] + network.biases[1], 0)
        codes = (second @ network.weights[2] + network.biases[2]).argmax(axis=1)
        row = curve[(curve["layer"] == "0") & (curve["n_pruned"] == n_pruned)]
        assert row["accuracy"].item() == pytest.approx((dense.classes_[codes] == y).mean())


def test_compensation_makes_up_for_a_duplicate(data, dense):
    """The second of two equal units costs nothing once its weights are folded into the first."""
    X, y = data
    model = dense._kept
    weights, biases = (
        [a.copy() for a in part] for part in (model.network.weights, model.network.biases)
    )
    weights[0][:, 1], biases[0][1] = weights[0][:, 0], biases[0][0]
    twin = copy(dense)
    twin._kept = replace(model, network=DenseNetwork(tuple(weights), tuple(biases), ("relu",) * 2))
    whole, without, folded = (
        sensitivity_curve(
            twin, X, y, X_test=X, y_test=y, criterion="correlation", compensation=compensation
        )["accuracy"][n_pruned]
        for n_pruned, compensation in ((0, None), (1, None), (1, "least-squares"))
    )
    assert folded == pytest.approx(whole, abs=0.004)  # one sample of 300
    assert abs(without - whole) > 0.01  # another network


def test_default_ranks_on_one_half_and_measures_on_the_other(data, dense):
    first = sensitivity_curve(dense, *data, random_state=0)
    again = sensitivity_curve(dense, *data, random_state=0)
    other = sensitivity_curve(dense, *data, random_state=1)
    assert first.equals(again)
    assert not first.equals(other)


def test_pruner_is_looked_into(data):
    pruner = CAPoZPruner(
        PrunedMLPClassifier((6,), max_iter=5, random_state=0), n_iterations=0, random_state=0
    ).fit(*data)
    assert sensitivity_curve(pruner, *data, random_state=0)["layer"].unique().tolist() == ["0"]


def test_errors(data, dense):
    with pytest.raises(NotFittedError):
        sensitivity_curve(PrunedMLPClassifier(), *data)
    with pytest.raises(ValueError, match="X_test and y_test belong together"):
        sensitivity_curve(dense, *data, X_test=data[0])
    with pytest.raises(ValueError, match=r"^y holds labels"):
        sensitivity_curve(dense, data[0], np.full(300, 9))
    with pytest.raises(ValueError, match=r"^y_test holds labels"):
        sensitivity_curve(dense, *data, X_test=data[0], y_test=np.full(300, 9))
    with pytest.raises(
        ValueError, match=r"X has 5 features, but PrunedMLPClassifier .* 8 features"
    ):
        sensitivity_curve(dense, data[0][:, :5], data[1])
    with pytest.raises(ValueError, match="X_test has 5 features"):
        sensitivity_curve(dense, *data, X_test=data[0][:, :5], y_test=data[1])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"compensation": "least_squares"}, r"one of \['bias', 'least-squares'\], got 'least_sq"),
        ({"criterion": "apo"}, "criterion='apo' is not known"),
        ({"random_state": "seed"}, "'seed' cannot be used to seed"),
    ],
)
def test_parameters_are_checked_before_the_data(dense, parameters, message):
    with pytest.raises(ValueError, match=message):
        sensitivity_curve(dense, None, None, **parameters)


@pytest.mark.parametrize("wrap", [lambda e: e, lambda e: CAPoZPruner(FrozenEstimator(e))])
def test_columns_are_asked_for_by_name(data, wrap):
    X, y = data
    table = pd.DataFrame(X, columns=list("abcdefgh"))
    mlp = MLPClassifier((6,), tol=1, n_iter_no_change=2, random_state=0).fit(table, y)
    model = wrap(mlp)
    if model is not mlp:
        model.set_params(n_iterations=0).fit(table, y)
    curve = sensitivity_curve(model, table, y, random_state=0)
    assert curve.equals(sensitivity_curve(model, X, y, random_state=0))
    turned = table[table.columns[::-1]]
    with pytest.raises(ValueError, match="The feature names should match"):
        sensitivity_curve(model, turned, y)
    with pytest.raises(ValueError, match="The feature names should match"):
        sensitivity_curve(model, table, y, X_test=turned, y_test=y)


def test_a_network_without_a_hidden_layer_has_no_curve(data):
    bare = MLPClassifier((), solver="lbfgs", random_state=0).fit(*data)
    with pytest.raises(UnsupportedNetworkError, match="has no hidden layer"):
        sensitivity_curve(bare, *data)


def test_scores_of_a_criterion_are_checked(data, dense):
    class Column(Criterion):
        prune_high = False

        def score(self, layer):
            return np.abs(layer.incoming).sum(axis=1)[:, None]

    with pytest.raises(ValueError, match=r"Column.score gave shape \(8, 1\), expected \(8,\)"):
        sensitivity_curve(dense, *data, criterion=Column())
