"""How CAPoZPruner reaches into the estimators that it prunes.

An adapter trains an estimator of one kind, shows its network as a prunable
model, and puts the pruned network back into a copy. Each kind has one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy
from dataclasses import replace

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from .._sklearn import get_feature_names
from ..exceptions import UnsupportedNetworkError
from ..networks import DenseNetwork
from ..pruning import PrunableModel
from ..pruning._dense_model import DenseModel
from ..training import OptimizerState, TrainingSettings, initial_network
from ..training._samples import PruningData
from ._classifier import PrunedMLPClassifier
from ._convert import is_skorch_net

__all__ = ["Adapter", "check_columns", "find_adapter"]


class Adapter(ABC):
    """What CAPoZPruner asks of a kind of estimator."""

    @abstractmethod
    def fit(
        self, estimator, data: PruningData, classes: np.ndarray, random_state: np.random.RandomState
    ):
        """Train a clone on the training samples."""

    @abstractmethod
    def model(self, fitted, random_state: np.random.RandomState) -> PrunableModel:
        """View a trained estimator's network, with the settings that it was trained with."""

    @abstractmethod
    def with_model(self, fitted, model: PrunableModel):
        """Return a copy of a trained estimator with another network."""

    def weigh(self, estimator, data: PruningData, classes: np.ndarray) -> PruningData:
        """Fold the estimator's own class weights into those of the training samples."""
        return data

    @abstractmethod
    def keeps_arrays(self, estimator) -> bool:
        """Return whether its networks under pruning are plain arrays."""

    def check_trained(self, estimator) -> None:
        """Raise scikit-learn's NotFittedError where an estimator is not trained."""
        check_is_fitted(estimator)

    def widths(self, estimator) -> tuple[int, ...] | None:
        """Return the widths of the hidden layers, where they are known before training."""
        return None

    def classes(self, fitted) -> np.ndarray:
        """Return the labels that a trained estimator knows, in the order of its codes."""
        return fitted.classes_

    def n_features(self, fitted) -> int:
        """Return the features that a trained estimator expects."""
        return fitted.n_features_in_

    def name_features(self, fitted, names: np.ndarray) -> None:
        """Let a trained estimator know its features by name, as a fit on a table does."""
        fitted.feature_names_in_ = names

    def n_epochs(self, fitted) -> int:
        """Return the epochs that training took."""
        return fitted.n_iter_

    def has_short_cut(self, estimator) -> bool:
        """Return whether `train_network` can train the estimator's network."""
        return False

    def train_network(
        self, estimator, data: PruningData, classes: np.ndarray, random_state: np.random.RandomState
    ) -> tuple[PrunableModel, int]:
        """Train the network that `fit` would, without an estimator around it; count the epochs."""
        raise NotImplementedError


#: Of MLPClassifier, as (solver, learning_rate): those that the engine has.
_ENGINE_SOLVERS = {
    *(("adam", rate) for rate in ("constant", "invscaling", "adaptive")),
    ("sgd", "constant"),
}


class MLPClassifierAdapter(Adapter):
    """scikit-learn trains it; the engine, which gives the same results, retrains it."""

    def fit(self, estimator, data, classes, random_state):
        fitted = _with_random_state(clone(estimator), random_state)
        weight = {}
        if not np.all(data.train.weight == 1):
            if not has_fit_parameter(fitted, "sample_weight"):
                raise ValueError(
                    "sample_weight was given, and this scikit-learn's MLPClassifier takes none; "
                    "install scikit-learn 1.7 or later, or prune a PrunedMLPClassifier."
                )
            weight = {"sample_weight": data.train.weight}
        return fitted.fit(data.train.X, classes[data.train.y], **weight)

    def model(self, fitted, random_state):
        network = DenseNetwork(
            tuple(fitted.coefs_),
            tuple(fitted.intercepts_),
            (fitted.activation,) * (len(fitted.coefs_) - 1),
            fitted.out_activation_,
        )
        optimizer = getattr(fitted, "_optimizer", None)
        # What has trained it counts, whatever `solver` was set to since. What lbfgs has trained
        # is retrained by Adam, which works on batches.
        settings = self._settings(fitted, "sgd" if hasattr(optimizer, "velocities") else "adam")
        state = None if optimizer is None else self._optimizer_state(optimizer, network)
        return DenseModel(network, state, settings, "cpu", random_state)

    @staticmethod
    def _settings(estimator, solver: str) -> TrainingSettings:
        names = (
            *("alpha", "batch_size", "learning_rate_init", "max_iter", "tol", "n_iter_no_change"),
            *("early_stopping", "shuffle", "momentum", "nesterovs_momentum"),
            *("beta_1", "beta_2", "epsilon"),
        )
        return TrainingSettings(solver=solver, **{name: getattr(estimator, name) for name in names})

    def keeps_arrays(self, estimator):
        return True

    def widths(self, estimator):
        return tuple(np.atleast_1d(estimator.hidden_layer_sizes).tolist())

    def has_short_cut(self, estimator):
        """Whether the engine trains to the same weights: no subclass, no validation split."""
        return (
            type(estimator) is MLPClassifier
            and (estimator.solver, estimator.learning_rate) in _ENGINE_SOLVERS
            and not estimator.early_stopping
            and not estimator.verbose
            and all(width > 0 for width in self.widths(estimator))
        )

    def train_network(self, estimator, data, classes, random_state):
        estimator = _with_random_state(clone(estimator), random_state)
        estimator._validate_params()
        generator = check_random_state(estimator.random_state)
        network = initial_network(
            data.train.X.shape[1],
            self.widths(estimator),
            len(classes),
            estimator.activation,
            generator,
            data.train.X.dtype,
            "logistic" if len(classes) == 2 else "softmax",
        )
        settings = self._settings(estimator, estimator.solver)
        model = DenseModel(network, None, settings, "cpu", generator)
        ((trained, n_epochs),) = DenseModel.train_together([model], [data])
        return replace(trained, random_state=random_state), n_epochs

    def with_model(self, fitted, model):
        pruned = deepcopy(fitted)
        pruned.coefs_ = list(model.network.weights)
        pruned.intercepts_ = list(model.network.biases)
        pruned.hidden_layer_sizes = model.widths
        if model.widths != tuple(len(biases) for biases in fitted.intercepts_[:-1]):
            self._forget_the_best(pruned)
        optimizer = getattr(pruned, "_optimizer", None)
        if model.optimizer is not None and optimizer is not None:
            moments = [[*m.weights, *m.biases] for m in model.optimizer.moments]
            if hasattr(optimizer, "velocities"):
                (optimizer.velocities,) = moments
            else:
                (optimizer.ms, optimizer.vs), optimizer.t = moments, model.optimizer.n_steps
        return pruned

    @staticmethod
    def _forget_the_best(pruned: MLPClassifier) -> None:
        """Make a `fit` with warm_start begin anew, and not measure itself by the dense network."""
        pruned._best_coefs = [weights.copy() for weights in pruned.coefs_]
        pruned._best_intercepts = [biases.copy() for biases in pruned.intercepts_]
        if getattr(pruned, "best_validation_score_", None) is not None:
            pruned.best_validation_score_ = -np.inf
        if getattr(pruned, "best_loss_", None) is not None:
            pruned.best_loss_ = np.inf
        pruned._no_improvement_count = 0

    @staticmethod
    def _optimizer_state(optimizer, network: DenseNetwork) -> OptimizerState:
        """Return the moments that scikit-learn's optimiser holds, so that retraining goes on."""
        adam = not hasattr(optimizer, "velocities")
        n = len(network.weights)
        moments = tuple(
            DenseNetwork(tuple(m[:n]), tuple(m[n:]), network.activations, network.output)
            for m in ((optimizer.ms, optimizer.vs) if adam else (optimizer.velocities,))
        )
        return OptimizerState(moments, optimizer.t if adam else 0)


class PrunedMLPAdapter(Adapter):
    """Its first training is run, its own pruning parameters are not used."""

    def fit(self, estimator, data, classes, random_state):
        fitted = _with_random_state(clone(estimator), random_state)
        fitted._check_parameters()
        fitted.classes_, fitted.n_features_in_ = classes, data.train.X.shape[1]
        fitted._store_model(fitted._train_dense(data, check_random_state(fitted.random_state)))
        return fitted

    def keeps_arrays(self, estimator):
        return estimator._keeps_arrays()

    def widths(self, estimator):
        return estimator._dense_widths()

    def weigh(self, estimator, data, classes):
        return estimator._weigh_classes(data, classes)

    def model(self, fitted, random_state):
        return fitted._as_model(random_state)

    def with_model(self, fitted, model):
        pruned = deepcopy(fitted)
        pruned._store_model(model)
        return pruned


def find_adapter(estimator) -> tuple[Adapter, BaseEstimator, bool]:
    """Return the adapter of an estimator, the estimator itself, and whether it came frozen."""
    frozen = isinstance(estimator, FrozenEstimator)
    inner = estimator.estimator if frozen else estimator
    adapter: Adapter
    if isinstance(inner, MLPClassifier):
        adapter = MLPClassifierAdapter()
    elif isinstance(inner, PrunedMLPClassifier):
        adapter = PrunedMLPAdapter()
    elif is_skorch_net(inner):
        from ._skorch_adapter import SkorchAdapter  # imports torch

        adapter = SkorchAdapter()
    else:
        raise UnsupportedNetworkError(
            f"CAPoZPruner cannot prune {type(inner).__name__}; give it a MLPClassifier, a "
            "NeuralNetClassifier, a PrunedMLPClassifier, or one of these, trained, in a "
            "FrozenEstimator."
        )
    if frozen:
        adapter.check_trained(inner)
    return adapter, inner, frozen


def check_columns(estimator, X, n_features: int, name: str = "X") -> None:
    """Raise scikit-learn's error where X has other columns than a trained estimator expects.

    Parameters
    ----------
    estimator : fitted estimator
        One that remembers names of features is asked for them too.
    X : array-like of shape (n_samples, n_columns)
        As the user gave it: a checked array has no names.
    n_features : int
        What the estimator expects.
    name : str, default="X"
        Of X.
    """
    if hasattr(estimator, "feature_names_in_") and get_feature_names(X) is not None:
        validate_data(estimator, X, reset=False, skip_check_array=True)
    n_columns = np.shape(X)[1]
    if n_columns != n_features:
        raise ValueError(
            f"{name} has {n_columns} features, but {type(estimator).__name__} is expecting "
            f"{n_features} features as input."
        )


def _with_random_state(estimator, random_state: np.random.RandomState):
    """Seed an estimator that the user has not seeded."""
    if estimator.random_state is None:
        estimator.random_state = random_state.randint(2**31 - 1)
    return estimator
