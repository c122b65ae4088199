"""How CAPoZPruner reaches into the estimators that it prunes.

An adapter trains an estimator of one kind, shows its network as a prunable
model, and puts the pruned network back into a copy. Each kind has one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.utils.validation import check_is_fitted, has_fit_parameter
from skorch import NeuralNetClassifier

from ._samples import PruningData
from .classifier import PrunedMLPClassifier
from .exceptions import UnsupportedNetworkError
from .networks import DenseModel, DenseNetwork, OptimizerState, SkorchModel, TrainingSettings
from .pruning import PrunableModel

__all__ = ["Adapter", "find_adapter"]


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

    def classes(self, fitted) -> np.ndarray:
        """Return the labels that a trained estimator knows, in the order of its codes."""
        return fitted.classes_

    def n_epochs(self, fitted) -> int:
        """Return the epochs that training took."""
        return fitted.n_iter_


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
        # What lbfgs has trained is retrained by Adam, which works on batches.
        solver = "sgd" if fitted.solver == "sgd" else "adam"
        settings = TrainingSettings(
            solver=solver,
            **{
                name: getattr(fitted, name)
                for name in (
                    *("alpha", "batch_size", "learning_rate_init", "tol", "n_iter_no_change"),
                    *("early_stopping", "shuffle", "momentum", "nesterovs_momentum"),
                    *("beta_1", "beta_2", "epsilon"),
                )
            },
        )
        return DenseModel(network, self._optimizer(fitted, network), settings, "cpu", random_state)

    def with_model(self, fitted, model):
        pruned = deepcopy(fitted)
        pruned.coefs_ = list(model.network.weights)
        pruned.intercepts_ = list(model.network.biases)
        pruned.hidden_layer_sizes = model.widths
        for name in ("_best_coefs", "_best_intercepts"):  # dense leftovers of early stopping
            pruned.__dict__.pop(name, None)
        optimizer = getattr(pruned, "_optimizer", None)
        if model.optimizer is not None and optimizer is not None:
            moments = [[*m.weights, *m.biases] for m in model.optimizer.moments]
            if fitted.solver == "adam":
                (optimizer.ms, optimizer.vs), optimizer.t = moments, model.optimizer.n_steps
            else:
                (optimizer.velocities,) = moments
        return pruned

    @staticmethod
    def _optimizer(fitted, network: DenseNetwork) -> OptimizerState | None:
        """Return the moments that scikit-learn's optimiser holds, so that retraining goes on."""
        optimizer = getattr(fitted, "_optimizer", None)
        if optimizer is None:
            return None
        adam = fitted.solver == "adam"
        n = len(network.weights)
        moments = tuple(
            DenseNetwork(tuple(m[:n]), tuple(m[n:]), network.activations, network.output)
            for m in ((optimizer.ms, optimizer.vs) if adam else (optimizer.velocities,))
        )
        return OptimizerState(moments, optimizer.t if adam else 0)


class SkorchAdapter(Adapter):
    """The net's own loop, optimizer and callbacks train and retrain it."""

    def fit(self, estimator, data, classes, random_state):
        net = clone(estimator)
        X, y = data.train.X, data.train.y
        with torch.random.fork_rng():
            torch.manual_seed(random_state.randint(2**31))
            net.check_data(X, y)
            net.initialize()
            dtype = torch.from_numpy(X[:0]).dtype
            net.module_.to(dtype)
            net.criterion_.to(dtype)
            with torch.no_grad():  # gives lazy layers their shape
                n_outputs = net.module_.eval()(torch.as_tensor(X[:2], device=net.device)).shape[1]
        if n_outputs != len(classes):
            raise ValueError(
                f"The module gives {n_outputs} outputs, y holds {len(classes)} classes; give the "
                "module one output per class."
            )
        model = self.model(net, random_state)
        _ = model.chain  # raises for what cannot be pruned, before any training
        return model.retrained(data)[0].net

    def n_epochs(self, fitted):
        return len(fitted.history_)

    def model(self, fitted, random_state):
        # The net stops by its own callbacks, or after max_epochs.
        settings = TrainingSettings(max_iter=fitted.max_epochs, n_iter_no_change=10**9)
        return SkorchModel(fitted, settings, random_state)

    def with_model(self, fitted, model):
        return model.net


class PrunedMLPAdapter(Adapter):
    """Its first training is run, its own pruning parameters are not used."""

    def fit(self, estimator, data, classes, random_state):
        fitted = _with_random_state(clone(estimator), random_state)
        fitted._check_parameters()
        fitted.classes_, fitted.n_features_in_ = classes, data.train.X.shape[1]
        fitted._store_model(fitted._train_dense(data, random_state))
        return fitted

    def weigh(self, estimator, data, classes):
        return estimator._weigh_classes(data, classes)

    def model(self, fitted, random_state):
        return fitted._as_model(random_state)

    def with_model(self, fitted, model):
        pruned = deepcopy(fitted)
        pruned._store_model(model)
        return pruned


ADAPTERS: dict[type, type[Adapter]] = {
    MLPClassifier: MLPClassifierAdapter,
    NeuralNetClassifier: SkorchAdapter,
    PrunedMLPClassifier: PrunedMLPAdapter,
}


def find_adapter(estimator) -> tuple[Adapter, BaseEstimator, bool]:
    """Return the adapter of an estimator, the estimator itself, and whether it came frozen."""
    frozen = isinstance(estimator, FrozenEstimator)
    inner = estimator.estimator if frozen else estimator
    for kind, adapter in ADAPTERS.items():
        if isinstance(inner, kind):
            if frozen:
                check_is_fitted(inner)
            return adapter(), inner, frozen
    raise UnsupportedNetworkError(
        f"CAPoZPruner cannot prune {type(inner).__name__}; give it a "
        f"{', a '.join(kind.__name__ for kind in ADAPTERS)}, or one of these, trained, in a "
        "FrozenEstimator."
    )


def _with_random_state(estimator, random_state: np.random.RandomState):
    """Seed an estimator that the user has not seeded."""
    if estimator.random_state is None:
        estimator.random_state = random_state.randint(2**31 - 1)
    return estimator
