"""How CAPoZPruner reaches into scikit-learn's MLPClassifier."""

from __future__ import annotations

import warnings
from copy import deepcopy
from dataclasses import replace

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import has_fit_parameter

from ..exceptions import UnsupportedNetworkError
from ..networks import DenseNetwork
from ..pruning._dense_model import DenseModel
from ..pruning._model import copy_generator
from ..training import OptimizerState, TrainingSettings, initial_network
from ._adapter import Adapter, Description
from ._register import register_adapter
from ._split import with_random_state

__all__ = ["MLPClassifierAdapter"]

#: Of MLPClassifier, as (solver, learning_rate): those that the engine has.
_ENGINE_SOLVERS = {
    *(("adam", rate) for rate in ("constant", "invscaling", "adaptive")),
    ("sgd", "constant"),
}


class MLPClassifierAdapter(Adapter):
    """scikit-learn trains it; the engine, which gives the same results, retrains it."""

    def handles(self, estimator):
        return isinstance(estimator, MLPClassifier)

    def describe(self, estimator):
        if not hasattr(estimator, "coefs_"):
            widths = tuple(np.atleast_1d(estimator.hidden_layer_sizes).tolist())
            max_epochs = estimator.max_iter if _engine_trains(estimator) else None
            return Description(widths, is_arrays=True, max_epochs=max_epochs)
        return Description(
            widths=tuple(len(biases) for biases in estimator.intercepts_[:-1]),
            is_arrays=True,
            classes=estimator.classes_,
            n_features=estimator.n_features_in_,
            n_epochs=estimator.n_iter_,
        )

    def fit(self, estimator, data, classes, random_state):
        """Let scikit-learn train a clone; one that validates sets its own samples aside.

        Parameters
        ----------
        estimator : MLPClassifier
            Stays as it was.
        data : PruningData
            `train` alone is looked at.
        classes : ndarray of shape (n_classes,)
            The labels, in the order of the codes in `data`.
        random_state : RandomState
            Where the estimator has no seed of its own.

        Returns
        -------
        fitted : MLPClassifier

        Raises
        ------
        ValueError
            If samples are weighted and this scikit-learn's MLPClassifier takes no weights.
        """
        fitted = with_random_state(clone(estimator), random_state)
        weight = {}
        if not np.all(data.train.weight == 1):
            if not has_fit_parameter(fitted, "sample_weight"):
                raise ValueError(
                    "sample_weight was given, and this scikit-learn's MLPClassifier takes none; "
                    "install scikit-learn 1.7 or later, or prune a PrunedMLPClassifier."
                )
            weight = {"sample_weight": data.train.weight}
        return fitted.fit(data.train.X, classes[data.train.y], **weight)

    def network(self, fitted):
        if fitted.out_activation_ == "logistic" and fitted.n_outputs_ > 1:
            raise UnsupportedNetworkError(
                f"This MLPClassifier gives {fitted.n_outputs_} labels at once; only one label per "
                "sample can be handled."
            )
        return DenseNetwork(
            tuple(fitted.coefs_),
            tuple(fitted.intercepts_),
            (fitted.activation,) * (len(fitted.coefs_) - 1),
            # Of one class scikit-learn's own gives two probabilities.
            "softmax" if len(fitted.classes_) == 1 else fitted.out_activation_,
        )

    def model(self, fitted, random_state):
        network = self.network(fitted)
        optimizer = getattr(fitted, "_optimizer", None)
        # What has trained it counts, whatever `solver` was set to since. What lbfgs has trained
        # is retrained by Adam, which works on batches.
        settings = _settings(fitted, "sgd" if hasattr(optimizer, "velocities") else "adam")
        state = None if optimizer is None else _optimizer_state(optimizer, network)
        return DenseModel(network, state, settings, "cpu", random_state)

    def train_network(self, estimator, data, classes, random_state):
        if not _engine_trains(estimator):
            return None
        model = self._seeded(estimator, data, classes, random_state)
        ((trained, n_epochs),) = DenseModel.train_together([model], [data])
        return replace(trained, random_state=random_state), n_epochs

    def train_until(self, estimator, data, classes, random_state, epoch):
        model = self._seeded(estimator, data, classes, copy_generator(random_state))
        return DenseModel.train_together([model.until(epoch)], [data])[0]

    def finish(self, estimator, data, classes, random_state, model):
        # scikit-learn alone knows what belongs to a fitted one: let it train on a sample a class.
        shell = with_random_state(clone(estimator), random_state)
        given = {"max_iter": shell.max_iter, "batch_size": shell.batch_size}
        first = np.unique(data.train.y, return_index=True)[1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            shell.set_params(max_iter=1, batch_size="auto")
            shell.fit(data.train.X[first], classes[data.train.y[first]])
        fitted = self.with_model(shell.set_params(**given), model)
        losses = list(model.loss_curve)
        fitted.loss_curve_, fitted.loss_, fitted.best_loss_ = losses, losses[-1], min(losses)
        fitted.n_iter_, fitted.t_ = len(losses), len(losses) * len(data.train.y)
        return fitted

    def _seeded(self, estimator, data, classes, random_state) -> DenseModel:
        estimator = with_random_state(clone(estimator), random_state)
        estimator._validate_params()
        generator = check_random_state(estimator.random_state)
        return self.untrained(estimator, data, classes, generator)

    def untrained(self, estimator, data, classes, random_state):
        network = initial_network(
            data.train.X.shape[1],
            self.describe(estimator).widths,
            len(classes),
            estimator.activation,
            random_state,
            data.train.X.dtype,
            "logistic" if len(classes) == 2 else "softmax",
        )
        # What scikit-learn trains by lbfgs, its peers are trained by Adam, which works on batches.
        settings = _settings(estimator, "sgd" if estimator.solver == "sgd" else "adam")
        return DenseModel(network, None, settings, "cpu", random_state)

    def with_model(self, fitted, model):
        pruned = deepcopy(fitted)
        # Copies: scikit-learn trains in place, and the model may be in use elsewhere.
        pruned.coefs_ = [weights.copy() for weights in model.network.weights]
        pruned.intercepts_ = [biases.copy() for biases in model.network.biases]
        pruned.hidden_layer_sizes = model.network.widths
        pruned.n_features_in_ = model.network.n_features
        if _is_cut(model.network, self.network(fitted)):
            _forget_the_best(pruned)
        optimizer = getattr(pruned, "_optimizer", None)
        if model.optimizer is not None and optimizer is not None:
            moments = [
                [array.copy() for array in (*moment.weights, *moment.biases)]
                for moment in model.optimizer.moments
            ]
            if hasattr(optimizer, "velocities"):
                (optimizer.velocities,) = moments
            else:
                (optimizer.ms, optimizer.vs), optimizer.t = moments, model.optimizer.n_steps
        return pruned


def _is_cut(network: DenseNetwork, old: DenseNetwork) -> bool:
    """Whether inputs or units went, or connections."""
    if (network.n_features, network.widths) != (old.n_features, old.widths):
        return True
    return any(
        ((new == 0) > (before == 0)).any()
        for new, before in zip(network.weights, old.weights, strict=True)
    )


def _engine_trains(estimator) -> bool:
    """Whether the engine trains to the same weights: no subclass, no validation split."""
    return (
        type(estimator) is MLPClassifier
        and (estimator.solver, estimator.learning_rate) in _ENGINE_SOLVERS
        and not estimator.early_stopping
        and not estimator.verbose
        and all(width > 0 for width in np.atleast_1d(estimator.hidden_layer_sizes))
    )


def _settings(estimator, solver: str) -> TrainingSettings:
    names = (
        *("alpha", "batch_size", "learning_rate_init", "max_iter", "tol", "n_iter_no_change"),
        *("early_stopping", "shuffle", "momentum", "nesterovs_momentum"),
        *("beta_1", "beta_2", "epsilon"),
    )
    return TrainingSettings(solver=solver, **{name: getattr(estimator, name) for name in names})


def _optimizer_state(optimizer, network: DenseNetwork) -> OptimizerState:
    """Return the moments that scikit-learn's optimiser holds, so that retraining goes on."""
    adam = not hasattr(optimizer, "velocities")
    n = len(network.weights)
    moments = tuple(
        DenseNetwork(tuple(m[:n]), tuple(m[n:]), network.activations, network.output)
        for m in ((optimizer.ms, optimizer.vs) if adam else (optimizer.velocities,))
    )
    return OptimizerState(moments, optimizer.t if adam else 0)


def _forget_the_best(pruned: MLPClassifier) -> None:
    """Make a `fit` with warm_start begin anew, and not measure itself by the dense network."""
    pruned._best_coefs = [weights.copy() for weights in pruned.coefs_]
    pruned._best_intercepts = [biases.copy() for biases in pruned.intercepts_]
    if getattr(pruned, "best_validation_score_", None) is not None:
        pruned.best_validation_score_ = -np.inf
    if getattr(pruned, "best_loss_", None) is not None:
        pruned.best_loss_ = np.inf
    pruned._no_improvement_count = 0


register_adapter(MLPClassifierAdapter())
