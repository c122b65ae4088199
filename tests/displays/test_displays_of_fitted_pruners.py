"""The displays of what the estimators really learn."""

import warnings
from copy import copy

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier
from sklearn_capoz.datasets import make_mineral_spectra
from sklearn_capoz.displays import (
    ImportanceDisplay,
    PruningPathDisplay,
    TradeOffDisplay,
    UnitMapDisplay,
)
from sklearn_capoz.exceptions import PruningStalledWarning


@pytest.fixture(scope="module")
def spectra():
    X, y = make_mineral_spectra(350, random_state=0)
    return X / X.mean(axis=1, keepdims=True), y


@pytest.fixture(scope="module", params=["multi-pass", "iterative", "gradual"])
def fitted(request, spectra):
    model = PrunedMLPClassifier(
        (12, 8), n_iterations=3, schedule=request.param, max_iter=30, keep="last", random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PruningStalledWarning)
        return model.fit(*spectra)


@pytest.mark.parametrize("layer", [0, 1])
def test_the_last_iterations_units_are_those_of_the_support(fitted, layer):
    last = len(fitted.history_) - 1
    display = ImportanceDisplay.from_estimator(fitted, iteration=last, layer=layer)
    np.testing.assert_array_equal(display.units, np.flatnonzero(fitted.support_[layer]))


def test_units_beyond_the_threshold_are_those_marked(spectra):
    model = PrunedMLPClassifier((20,), n_iterations=1, max_iter=30, random_state=0).fit(*spectra)
    display = ImportanceDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.pruned, display.scores > display.threshold)
    assert display.pruned.any()


def test_a_threshold_that_nobody_asked_for_is_no_line(fitted):
    fitted = copy(fitted)
    fitted.history_ = fitted.history_.assign(threshold_0=np.nan)
    display = ImportanceDisplay.from_estimator(fitted)
    assert display.threshold_line_ is None
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert not [label for label in labels if "threshold" in label]


@pytest.mark.parametrize("criterion", ["l1", "l2"])
def test_where_low_scores_are_redundant(spectra, criterion):
    model = PrunedMLPClassifier(
        (20,), criterion=criterion, n_iterations=1, max_iter=30, random_state=0
    ).fit(*spectra)
    display = ImportanceDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.pruned, display.scores < display.threshold)
    assert display.pruned.any()


def test_a_pruner_around_scikit_learns_network(spectra):
    X, y = spectra
    dense = MLPClassifier((12,), tol=1, n_iter_no_change=2, random_state=0)
    pruner = CAPoZPruner(dense, threshold="fraction", n_iterations=2, keep="last", random_state=0)
    pruner.fit(X, y)
    display = ImportanceDisplay.from_estimator(pruner, iteration=2)
    np.testing.assert_array_equal(display.units, np.flatnonzero(pruner.support_[0]))
    maps = UnitMapDisplay.from_estimator(pruner, X.reshape(35, 10, -1))
    assert maps.maps.shape == (len(pruner.estimator_.intercepts_[0]), 35, 10)


def test_paths(fitted):
    path = PruningPathDisplay.from_estimator(fitted, size="n_bytes")
    assert path.best_iteration == fitted.best_iteration_
    both = TradeOffDisplay.from_estimators({"a": fitted, "b": [fitted, fitted]})
    assert len(both.summary) == 2 * len(fitted.history_)
