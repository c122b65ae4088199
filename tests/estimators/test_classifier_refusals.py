"""What PrunedMLPClassifier refuses, and says, before any training."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError

from sklearn_capoz import PrunedMLPClassifier
from sklearn_capoz._sklearn import InvalidParameterError
from sklearn_capoz.criteria import CAPoZ
from sklearn_capoz.pruning._dense_model import DenseModel
from sklearn_capoz.schedules import Widths
from sklearn_capoz.thresholds import Count

X, Y = make_classification(
    240, 8, n_informative=6, n_redundant=0, n_classes=3, class_sep=2.0, random_state=0
)
NAMES = np.array(["kaolinite", "alunite", "calcite"])[Y]


def test_unfitted():
    model = PrunedMLPClassifier()
    with pytest.raises(NotFittedError):
        model.predict(X)
    with pytest.raises(NotFittedError):
        _ = model.net_


@pytest.fixture
def no_training(monkeypatch):
    def trained(cls, models, data):
        raise AssertionError("trained before all was checked")

    monkeypatch.setattr(DenseModel, "train_together", classmethod(trained))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"criterion": "apo"}, "criterion='apo' is not known; choose one of"),
        ({"criterion": CAPoZ(tolerance=-1)}, "'tolerance' parameter of CAPoZ"),
        ({"criterion": 3}, "criterion=3 is not known"),
        ({"threshold": "median"}, "threshold='median' is not known; choose one of"),
        ({"threshold": Count(-1)}, "'count' parameter of Count"),
        ({"schedule": "daily"}, "schedule='daily' is not known; choose one of"),
        ({"schedule": Widths((0,))}, "Widths needs whole numbers of at least 1"),
        ({"n_iterations": -1}, "'n_iterations' parameter of PrunedMLPClassifier must be"),
        ({"n_iterations": 1.5}, "'n_iterations'"),
        ({"keep": "first"}, "'keep' parameter .* Got 'first'"),
        ({"tolerance": 2}, "'tolerance'"),
        ({"min_units": 0}, "'min_units'"),
        ({"validation_fraction": 0}, "'validation_fraction'"),
        ({"validation_fraction": 1.0}, "'validation_fraction'"),
        ({"retrain_max_iter": -1}, "'retrain_max_iter'"),
        ({"retrain_learning_rate": "linear"}, "'retrain_learning_rate'"),
        ({"compensation": "mean"}, "'compensation'"),
        ({"distillation": 0.0}, "'distillation'"),
        ({"distillation": 1.1}, "'distillation'"),
        ({"temperature": 0}, "'temperature'"),
        ({"hidden_layer_sizes": ()}, r"hidden_layer_sizes must be one or more whole .* got \(\)"),
        ({"hidden_layer_sizes": (5, 0)}, r"hidden_layer_sizes must be .* got \(5, 0\)"),
        ({"hidden_layer_sizes": (5, 2.5)}, "hidden_layer_sizes must be"),
        ({"hidden_layer_sizes": 0}, "'hidden_layer_sizes'"),
        ({"hidden_layer_sizes": (True,)}, r"hidden_layer_sizes must be .* got \(True,\)"),
        ({"hidden_layer_sizes": "30"}, "'hidden_layer_sizes'"),
        ({"hidden_layer_sizes": (3, (4, 5))}, "hidden_layer_sizes must be"),
        ({"activation": "gelu"}, "'activation'"),
        ({"solver": "lbfgs"}, "'solver'"),
        ({"alpha": -1}, "'alpha'"),
        ({"batch_size": 0}, "'batch_size'"),
        ({"learning_rate_init": 0}, "'learning_rate_init'"),
        ({"max_iter": 0}, "'max_iter'"),
        ({"early_stopping": "yes"}, "'early_stopping'"),
        ({"n_iter_no_change": 0}, "'n_iter_no_change'"),
        ({"tol": -1}, "'tol'"),
        ({"dropout": 1.0}, "'dropout'"),
        ({"class_weight": "even"}, "'class_weight'"),
        ({"n_restarts": 0}, "'n_restarts'"),
        ({"callbacks": "early"}, "'callbacks'"),
        ({"device": 0}, "'device'"),
        ({"random_state": "seed"}, "'random_state'"),
        ({"verbose": "loud"}, "'verbose'"),
    ],
)
def test_bad_parameters_raise_before_any_training(no_training, parameters, message, classifier):
    error = TypeError if parameters.get("criterion") == 3 else ValueError
    with pytest.raises(error, match=message) as raised:
        classifier(**parameters).fit(X, Y)
    named = next(iter(parameters))
    if not hasattr(parameters[named], "get_params"):
        assert named in str(raised.value)
        assert error is TypeError or isinstance(raised.value, InvalidParameterError)


def spoiled(value):
    bad = X.copy()
    bad[3, 2] = value
    return bad


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": spoiled(np.nan)}, "Input X contains NaN"),
        ({"X": spoiled(np.inf)}, "Input X contains infinity"),
        ({"X": X[:, 0]}, "Expected 2D array, got 1D array"),
        ({"X": X[:5]}, "inconsistent numbers of samples"),
        ({"y": X[:, 0]}, "Unknown label type: continuous"),
        ({"y": np.eye(240)}, "y should be a 1d array|Multi-output|bad input shape|multilabel"),
        ({"X_val": X}, "X_val and y_val belong together; only X_val was given"),
        ({"y_val": Y}, "X_val and y_val belong together; only y_val was given"),
        ({"X_val": X[:, :3], "y_val": Y}, "X has 3 features, but .* is expecting 8 features"),
        ({"X_val": spoiled(np.nan), "y_val": Y}, "contains NaN"),
        ({"X_val": X, "y_val": Y + 1}, r"y_val holds labels that the classifier is not .*: \[3\]"),
        ({"X_val": X[:1], "y_val": Y[:1]}, "X_val holds 1 sample; at least 2 are needed"),
        ({"X_val": X, "y_val": Y[:7]}, "inconsistent numbers of samples"),
        ({"sample_weight": -np.ones(240)}, "Negative values"),
        ({"sample_weight": np.zeros(240)}, "zero"),
        ({"sample_weight": np.ones(7)}, r"sample_weight.shape == \(7,\), expected \(240,\)"),
    ],
)
def test_bad_data_raise_before_any_training(no_training, arguments, message, classifier):
    with pytest.raises(ValueError, match=message):
        classifier().fit(**({"X": X, "y": Y} | arguments))


def test_widths_for_another_number_of_layers_raise_before_any_training(no_training, classifier):
    with pytest.raises(ValueError, match="Widths names 2 layers in"):
        classifier(schedule=Widths([(5, 4)])).fit(X, Y)


def test_class_weights_of_unknown_labels_raise_before_any_training(no_training, classifier):
    with pytest.raises(ValueError, match="class_weight names 'rock', which is not among"):
        classifier(class_weight={"rock": 2.0}).fit(X, NAMES)
