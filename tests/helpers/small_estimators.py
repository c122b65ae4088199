"""Estimators of every kind that can be pruned, which train in a few hundredths of a second."""

import numpy as np
import torch
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_capoz import CAPoZPruner, PrunedMLPClassifier
from sklearn_capoz.thresholds import Count

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
