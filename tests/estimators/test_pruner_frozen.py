"""CAPoZPruner around a network that is trained already."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from small_estimators import X, Y, arrays, assert_same, make_mlp, make_own, pruner, trained, widths

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
