"""CompiledClassifier: one network, and what shows it is made from it."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sklearn_capoz.deploy import CompiledClassifier, compile_pipeline
from sklearn_capoz.networks import DenseNetwork


def make(n_features=4, n_classes=3, dtype=np.float32, seed=0, **parameters):
    rng = np.random.RandomState(seed)
    network = DenseNetwork(
        (rng.randn(n_features, 6).astype(dtype), rng.randn(6, n_classes).astype(dtype)),
        (rng.randn(6).astype(dtype), rng.randn(n_classes).astype(dtype)),
        ("relu",),
    )
    return CompiledClassifier(network, np.arange(n_classes) * 10, **parameters)


@pytest.mark.parametrize("n_rows", [5, 300])  # numpy below 128 rows, compiled code above
def test_set_params_changes_what_it_predicts_with(n_rows):
    X = np.random.RandomState(1).randn(n_rows, 4)
    first, second = make(seed=0), make(seed=1)
    expected = second.predict_proba(X)
    assert not np.allclose(first.predict_proba(X), expected)
    assert first.set_params(network=second.network) is first
    np.testing.assert_array_equal(first.predict_proba(X), expected)
    first.set_params(classes=["a", "b", "c"])
    assert set(first.predict(X)) <= {"a", "b", "c"}
    assert first.classes_.tolist() == ["a", "b", "c"]
    wide = make(n_features=7, seed=2)
    first.set_params(network=wide.network)
    assert first.n_features_in_ == 7
    with pytest.raises(ValueError, match="expecting 7 features"):
        first.predict(X)


@pytest.mark.parametrize("n_rows", [5, 300])
def test_no_weight_changes_behind_its_back(n_rows):
    """Whether numpy predicts or compiled code, which has the weights packed."""
    X = np.random.RandomState(1).randn(n_rows, 4)
    given = make().network
    weights, biases = (tuple(map(np.array, parts)) for parts in (given.weights, given.biases))
    model = CompiledClassifier(DenseNetwork(weights, biases, ("relu",)), ["a", "b", "c"])
    expected = model.predict_proba(X)
    for array in (*weights, *biases):
        array += 1
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    model.set_params(classes=[1, 2, 3])
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    for array in (*model.network_.weights, *model.network_.biases):
        with pytest.raises(ValueError, match="read-only"):
            array += 1
    again = CompiledClassifier(model.network, model.classes)
    assert again.network is model.network  # nobody can write to it: no second copy


def test_all_that_it_shows_comes_from_its_parameters():
    history = pd.DataFrame({"n_units": [6]})
    model = make(feature_names=list("abcd"), wavelengths=[1, 2, 3, 4], history=history)
    assert model.feature_names_in_.tolist() == list("abcd")
    assert model.wavelengths_.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert model.history_ is history
    assert model.network_ is model.network
    model.set_params(feature_names=None, wavelengths=None, history=None)
    for name in ("feature_names_in_", "wavelengths_", "history_"):
        assert not hasattr(model, name)
    assert clone(model) is model
    assert clone(make_pipeline(model))[0] is model


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"classes": ["a", "b"]}, r"classes must have the shape \(3,\) .*found \(2,\)"),
        ({"feature_names": ["a"]}, r"feature_names must have the shape \(4,\)"),
        ({"wavelengths": [1.0] * 5}, r"wavelengths must have the shape \(4,\)"),
        ({"network": "mlp"}, "network must be a DenseNetwork, got str"),
        ({"networks": 1}, "Invalid parameter 'networks'"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(parameters, message):
    model = make()
    before = model.get_params()
    with pytest.raises(ValueError, match=message):
        model.set_params(**parameters)
    after = model.get_params()
    assert all(after[name] is before[name] for name in before)


@pytest.mark.parametrize(
    ("weights", "biases", "activations"),
    [
        (((4, 6), (5, 3)), ((6,), (3,)), ("relu",)),
        (((4, 6), (6, 3)), ((6,), (2,)), ("relu",)),
        (((4, 6), (6, 3)), ((6,), (3,)), ()),
        (((4, 6), (6, 3)), ((6,), (3,)), ("gelu",)),
        (((4, 6), (6, 3)), ((6,),), ("relu",)),
        (((4, 3, 1),), ((3,),), ()),
        ((), (), ()),
    ],
)
def test_layers_that_do_not_fit_together_reach_no_compiled_code(weights, biases, activations):
    network = DenseNetwork(
        tuple(np.ones(s) for s in weights), tuple(np.ones(s) for s in biases), activations
    )
    with pytest.raises(ValueError, match="layers of the network do not fit together"):
        CompiledClassifier(network, ["a", "b", "c"])


def test_a_network_put_in_by_hand_is_checked_before_it_predicts():
    model = make()
    model.network = DenseNetwork((np.ones((4, 6)), np.ones((9, 3))), (np.ones(6),) * 2, ("relu",))
    with pytest.raises(ValueError, match="do not fit together"):
        model.predict(np.ones((300, 4)))


@pytest.mark.parametrize("dtype", [np.float16, np.int64])
def test_a_network_of_other_numbers_is_refused(dtype):
    with pytest.raises(ValueError, match="must be float32 or all float64"):
        make(dtype=dtype)


@pytest.mark.parametrize("n_rows", [1, 129, 1000])
@pytest.mark.parametrize("network_dtype", [np.float32, np.float64])
def test_any_numbers_as_samples(n_rows, network_dtype):
    model = make(dtype=network_dtype)
    X = np.random.RandomState(0).randint(-5, 5, (n_rows, 4))
    expected = model.predict(X.astype(network_dtype))
    for samples in (
        *(X.astype(dtype) for dtype in ("f4", "f8", "i2", "i8", "f2", ">f8", object)),
        X.tolist(),
        np.asfortranarray(X.astype("f8")),
        np.repeat(X, 2, axis=1)[:, ::2],
        pd.DataFrame(X),
    ):
        np.testing.assert_array_equal(model.predict(samples), expected)


@pytest.mark.parametrize("n_rows", [5, 300])
def test_wrong_samples_are_named(n_rows):
    model = make()
    for shape, message in (
        ((n_rows, 3), "X has 3 features, but CompiledClassifier is expecting 4"),
        ((n_rows, 5), "X has 5 features"),
        ((n_rows,), "Expected 2D array"),
        ((n_rows, 2, 2), "dim 3"),
        ((0, 4), "0 sample"),
    ):
        for method in (model.predict, model.predict_proba, model.predict_log_proba):
            with pytest.raises(ValueError, match=message):
                method(np.ones(shape))
    for bad in (np.nan, np.inf):
        X = np.ones((n_rows, 4))
        X[-1, -1] = bad
        with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
            model.predict(X)


def test_printing_it_does_not_fill_the_screen(models):
    names = [f"band {i}" for i in range(4)]
    history = pd.DataFrame(np.zeros((30, 14)))
    model = make(feature_names=names, wavelengths=np.arange(4), history=history)
    assert repr(model) == (
        "CompiledClassifier(DenseNetwork(4-6-3, relu, softmax, float32), 3 classes)"
    )
    text = repr(compile_pipeline(models["absorption"][0]))
    assert "weights" not in text
    assert len(text.splitlines()) < 30
    assert "weights" not in model._repr_html_()


def test_pickles_hold_the_parameters(models):
    model, X = models["scaler"]
    compiled = compile_pipeline(model)
    compiled.predict(X)
    again = pickle.loads(pickle.dumps(compiled))
    np.testing.assert_array_equal(again.predict_proba(X), compiled.predict_proba(X))
