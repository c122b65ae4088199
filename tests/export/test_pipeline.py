"""compile_pipeline: fewer steps, the same labels."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_capoz.deploy import CompiledClassifier, compile_pipeline
from sklearn_capoz.exceptions import UnsupportedNetworkError
from sklearn_capoz.export._parts import take_apart
from sklearn_capoz.export._pipeline import fold_linear_steps
from sklearn_capoz.networks import DenseNetwork

NAMES = (
    "mlp",
    "mlp of float64",
    "two classes",
    "numbers as classes",
    "pruned",
    "pruner",
    "scaler",
    "linear steps",
    "absorption",
    "attenuated",
)


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_identical_and_probabilities_nearly(models, name):
    model, X = models[name]
    compiled = compile_pipeline(model)
    np.testing.assert_array_equal(compiled.predict(X), model.predict(X))
    tolerance = 2e-5 if X.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(
        compiled.predict_proba(X), model.predict_proba(X), rtol=0, atol=tolerance
    )
    np.testing.assert_array_equal(compiled.classes_, model.classes_)
    assert compiled.n_features_in_ == X.shape[1]


def test_all_that_is_linear_is_folded(models):
    for name in ("scaler", "linear steps"):
        assert isinstance(compile_pipeline(models[name][0]), CompiledClassifier)
    left = [name for name, _ in compile_pipeline(models["absorption"][0]).steps]
    assert left == ["spectralabsorptionindex", "prunedmlpclassifier"]
    left = [name for name, _ in compile_pipeline(models["attenuated"][0]).steps]
    assert left[-2:] == ["spectralabsorptionindex", "mlpclassifier"]


def test_a_scaler_by_hand():
    """relu(((x - 1) / 2) * 3 + 4) = relu(1.5 x + 2.5)."""
    scaler = StandardScaler().fit(np.array([[-1.0], [3.0]]))
    weights = (np.array([[3.0]]), np.array([[1.0, -1.0]]))
    network = DenseNetwork(weights, (np.array([4.0]), np.zeros(2)), ("relu",))
    left, folded = fold_linear_steps([("scaler", scaler)], network)
    assert left == []
    np.testing.assert_allclose(folded.weights[0], [[1.5]])
    np.testing.assert_allclose(folded.biases[0], [2.5])
    assert folded.weights[1] is network.weights[1]
    assert network.weights[0][0, 0] == 3  # the original stays


@pytest.mark.parametrize(
    "scaler",
    [
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        StandardScaler(with_mean=False, with_std=False),
        MinMaxScaler((-1, 3)),
        PCA(3),
        PCA(whiten=True),
    ],
)
def test_every_kind_of_linear_step(scaler):
    rng = np.random.RandomState(0)
    X = rng.randn(60, 5) * [1, 2, 3, 4, 5] + 3
    scaler.fit(X)
    k = scaler.transform(X).shape[1]
    network = DenseNetwork((rng.randn(k, 4),), (rng.randn(4),), ())
    left, folded = fold_linear_steps([("step", scaler)], network)
    assert left == []
    np.testing.assert_allclose(
        folded.forward(X)[-1], network.forward(scaler.transform(X))[-1], rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("thing", [None, "model.capoz", MLPClassifier])
def test_what_is_no_estimator_is_named(thing):
    with pytest.raises(UnsupportedNetworkError, match=f"{type(thing).__name__} holds no network"):
        compile_pipeline(thing)


def test_what_is_not_linear_or_a_subclass_stays():
    class Stranger(StandardScaler):
        pass

    X = np.random.RandomState(0).rand(20, 2)
    network = DenseNetwork((np.ones((2, 2)),), (np.zeros(2),), ())
    for step in (MinMaxScaler(clip=True).fit(X), Stranger().fit(X)):
        steps = [("first", StandardScaler().fit(X)), ("step", step)]
        assert fold_linear_steps(steps, network)[0] == steps


def test_a_shift_that_float32_cannot_take_is_not_folded():
    rng = np.random.RandomState(0)
    X = (1e5 + rng.randn(200, 4)).astype(np.float32)
    scaler = StandardScaler().fit(X)
    network = DenseNetwork((rng.randn(4, 3).astype("f"),), (np.zeros(3, "f"),), ())
    assert fold_linear_steps([("scaler", scaler)], network)[0]
    network = DenseNetwork((rng.randn(4, 3),), (np.zeros(3),), ())
    assert not fold_linear_steps([("scaler", scaler)], network)[0]


def test_nested_frozen_and_passthrough_steps(models):
    model, X = models["scaler"]
    scaler, mlp = model[0], model[1]
    nested = Pipeline(
        [
            ("first", Pipeline([("nothing", "passthrough"), ("scaler", FrozenEstimator(scaler))])),
            ("last", FrozenEstimator(mlp)),
        ]
    )
    steps, name, classifier = take_apart(nested)
    assert ([step for step, _ in steps], name) == (["scaler"], "last")
    assert classifier is mlp
    np.testing.assert_array_equal(compile_pipeline(nested).predict(X), model.predict(X))


def test_names_that_several_steps_have_are_numbered(models):
    scaler, mlp = StandardScaler(), MLPClassifier()
    nested = make_pipeline(make_pipeline(scaler, PCA()), make_pipeline(scaler, mlp))
    steps, name, _ = take_apart(nested)
    assert [step for step, _ in steps] == ["standardscaler-1", "pca", "standardscaler-2"]
    assert name == "mlpclassifier"
    nested = Pipeline(
        [("a-1", scaler), ("b", Pipeline([("a", scaler), ("c", scaler)])), ("a", mlp)]
    )
    steps, name, _ = take_apart(nested)
    assert [*(step for step, _ in steps), name] == ["a-1", "a-2", "c", "a-3"]


def test_feature_names_are_kept_and_checked():
    X = pd.DataFrame(np.random.RandomState(0).rand(40, 3), columns=["a", "b", "c"])
    y = np.arange(40) % 2
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((4,), tol=1, random_state=0))
    compiled = compile_pipeline(pipeline.fit(X, y))
    assert list(compiled.feature_names_in_) == ["a", "b", "c"]
    np.testing.assert_array_equal(compiled.predict(X), pipeline.predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        compiled.predict(X[["b", "a", "c"]])


def test_compiled_classifiers_stay_as_they_are(models):
    model, X = models["scaler"]
    compiled = compile_pipeline(model)
    assert clone(compiled) is compiled
    assert compiled.fit(X[:2], ["one", "two"]) is compiled
    again = pickle.loads(pickle.dumps(compiled))
    np.testing.assert_array_equal(again.predict_proba(X), compiled.predict_proba(X))
    assert compiled.score(X, model.predict(X)) == 1
    logarithms = compiled.predict_log_proba(X)
    np.testing.assert_allclose(np.exp(logarithms), compiled.predict_proba(X), rtol=1e-5)
    assert compile_pipeline(compiled).network.n_parameters == compiled.network.n_parameters
    with pytest.raises(ValueError, match="expecting 24 features"):
        compiled.predict(X[:, :5])


def test_what_cannot_be_compiled_is_named():
    X, y = np.random.RandomState(0).rand(20, 2), np.arange(20) % 2
    with pytest.raises(UnsupportedNetworkError, match="LogisticRegression holds no network"):
        compile_pipeline(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y))
    with pytest.raises(NotFittedError):
        compile_pipeline(make_pipeline(StandardScaler(), MLPClassifier()))
