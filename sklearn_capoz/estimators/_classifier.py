"""PrunedMLPClassifier: a multi-layer perceptron that prunes itself while it is fitted."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import networks
from .._sklearn import Interval, InvalidParameterError, StrOptions
from .._validation import PRUNING_CONSTRAINTS
from ..networks import ACTIVATIONS, DenseNetwork
from ..networks._predictor import Predictor
from ..pruning import accuracy
from ..pruning._dense_model import DenseModel
from ..training import TrainingSettings, initial_network
from ..training._samples import PruningData, Samples, make_samples, split_samples
from ._prediction import NetworkPredictionMixin
from ._results import PruningResultsMixin, spawn_random_states

__all__ = ["PrunedMLPClassifier"]


class PrunedMLPClassifier(
    PruningResultsMixin, NetworkPredictionMixin, ClassifierMixin, BaseEstimator
):
    r"""Multi-layer perceptron classifier that removes its redundant units.

    The network is trained; then, iteration by iteration, each hidden unit is
    scored, the redundant ones are cut out, and the smaller network is trained
    further. The training parameters have the names and defaults of
    :class:`sklearn.neural_network.MLPClassifier`.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(30,)
        Units of each hidden layer before pruning.
    activation : {"relu", "tanh", "logistic", "identity"}, default="relu"
        C-APoZ and its kin count exact zeros, which only "relu" has.
    criterion : str or Criterion, default="c-apoz"
        What scores the units: a name of `sklearn_capoz.criteria.CRITERIA`, or
        an object of that module.
    threshold : str or ThresholdRule, default="mean+std"
        What turns scores into units that go: a name of
        `sklearn_capoz.thresholds.THRESHOLDS`, or an object of that module.
    n_iterations : int, default=5
        Iterations of pruning at most; 0 is a plain multi-layer perceptron.
    schedule : str or Schedule, default="multi-pass"
        When to score, cut and retrain: a name of
        `sklearn_capoz.schedules.SCHEDULES`, or an object of that module.
    keep : {"last", "best", "smallest"}, default="last"
        Which iteration's network to keep: the last, the most accurate, or the
        smallest within `tolerance` of the most accurate.
    tolerance : float, default=0.0
        Accuracy (0..1) that `keep="smallest"` may give up.
    min_units : int, default=1
        Units that stay in every hidden layer.
    validation_fraction : float, default=0.2
        Share of the samples set aside, half of it to score units on and half to
        choose the iteration on; not used when `X_val` is given.
    retrain_max_iter : int, default=100
        Epochs of retraining at most, after each cut; 0 prunes without retraining.
    compensation : {None, "bias", "least-squares"}, default=None
        How the next layer makes up for a unit that goes: not at all, by its mean
        in the bias, or by a least-squares refit on the scoring samples.
    distillation : float or None, default=None
        Weight in (0, 1] of the dense network's softened outputs in the loss of
        retraining.
    temperature : float, default=2.0
        Softening of those outputs.
    retrain_learning_rate : {"constant", "cosine"}, default="constant"
        "cosine" lets it fall to zero over `retrain_max_iter` epochs.
    solver : {"adam", "sgd"}, default="adam"
        "sgd" has a Nesterov momentum of 0.9.
    alpha : float, default=0.0001
        L2 penalty.
    batch_size : int or "auto", default="auto"
        "auto" is min(200, n_samples).
    learning_rate_init : float, default=0.001
        Learning rate.
    max_iter : int, default=200
        Epochs of the first training at most.
    early_stopping : bool, default=False
        End training when the accuracy on the scoring samples no longer rises,
        rather than when the training loss no longer falls.
    n_iter_no_change : int, default=10
        Epochs without improvement that end a training.
    tol : float, default=1e-4
        What counts as improvement.
    dropout : float, default=0.0
        Share of hidden activations dropped in training.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss.
    n_restarts : int, default=1
        First trainings from different weights, of which the one with the best
        accuracy on the scoring samples is pruned.
    callbacks : list of skorch callbacks or None, default=None
        With a list, even an empty one, skorch's own loop trains. It is slower and
        draws another order of minibatches, so that results differ from those of
        None by more than rounding, unless a batch holds all samples.
    device : str, default="cpu"
        Where to train: a device of torch.
    verbose : bool or int, default=False
        Show a progress bar.
    random_state : int, RandomState instance or None, default=None
        Initial weights, order of samples, split and dropout.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X has string column names.
    network_ : DenseNetwork
        The pruned network as arrays.
    net_ : skorch.NeuralNetClassifier
        The pruned network as a skorch net, which `partial_fit` trains further.
    history_ : DataFrame
        A row per iteration, 0 is the dense network: units, parameters and bytes
        and their ratios to the dense network's; per hidden layer i `n_units_i`,
        `n_pruned_i` and `threshold_i`, the rule's threshold on this row's scores,
        beyond which units go in the next iteration (NaN where it counts units
        or the schedule names the widths); validation accuracy before and after
        retraining (with `schedule="iterative"`, around the iteration's last
        one); epochs; seconds.
    support_ : list of ndarray of bool
        Per hidden layer, which of the original units remain.
    importances_ : list of list of ndarray
        `importances_[iteration][layer]`, the scores of the units alive then.
    compression_rate_ : float
        Parameters of the dense network over those of the one kept.
    best_iteration_ : int
        The iteration that is kept.
    criterion_ : Criterion
    n_iter_ : int
        Epochs of the first training.
    loss_curve_ : list of float
        Training loss of the first training.

    Raises
    ------
    InvalidParameterError
        If a parameter is outside its range, before any training.
    NoCorrectSampleError
        If C-APoZ is asked for and the dense network labels no scoring sample
        right; later in a path that ends it, with a PruningStalledWarning.

    See Also
    --------
    CAPoZPruner : The same around another estimator.

    Notes
    -----
    An interrupt (Ctrl-C) during pruning does not raise: as
    :class:`sklearn.neural_network.MLPClassifier` does, `fit` warns and keeps what it has,
    here the iterations that are done. One during the first training raises KeyboardInterrupt;
    with `callbacks` skorch takes it as the end of the training at hand, and pruning goes on.

    References
    ----------
    Deng, Zhao, Li and Cai, Infrared and Laser Engineering, 2022,
    DOI 10.3788/IRLA20210252.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn_capoz import PrunedMLPClassifier
    >>> X, y = make_classification(n_samples=300, random_state=0)
    >>> model = PrunedMLPClassifier((10,), n_iterations=2, max_iter=20, random_state=0)
    >>> model.fit(X, y).network_.n_parameters < 10 * 20 + 10 + 10 * 2 + 2
    True
    """

    _parameter_constraints = {
        **PRUNING_CONSTRAINTS,
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "solver": [StrOptions({"adam", "sgd"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "n_restarts": [Interval(Integral, 1, None, closed="left")],
        "callbacks": [list, None],
        "device": [str],
    }

    # The network as it goes on training: one of the two, and a net once it is asked for.
    _model: Any
    _net: Any

    def __init__(
        self,
        hidden_layer_sizes=(30,),
        activation="relu",
        *,
        criterion="c-apoz",
        threshold="mean+std",
        n_iterations=5,
        schedule="multi-pass",
        keep="last",
        tolerance=0.0,
        min_units=1,
        validation_fraction=0.2,
        retrain_max_iter=100,
        compensation=None,
        distillation=None,
        temperature=2.0,
        retrain_learning_rate="constant",
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate_init=0.001,
        max_iter=200,
        early_stopping=False,
        n_iter_no_change=10,
        tol=1e-4,
        dropout=0.0,
        class_weight=None,
        n_restarts=1,
        callbacks=None,
        device="cpu",
        verbose=False,
        random_state=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.criterion = criterion
        self.threshold = threshold
        self.n_iterations = n_iterations
        self.schedule = schedule
        self.keep = keep
        self.tolerance = tolerance
        self.min_units = min_units
        self.validation_fraction = validation_fraction
        self.retrain_max_iter = retrain_max_iter
        self.compensation = compensation
        self.distillation = distillation
        self.temperature = temperature
        self.retrain_learning_rate = retrain_learning_rate
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.dropout = dropout
        self.class_weight = class_weight
        self.n_restarts = n_restarts
        self.callbacks = callbacks
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X, y, X_val=None, y_val=None, sample_weight=None):
        """Train the network and prune it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; float32 and float64 are trained as they are.
        y : array-like of shape (n_samples,)
            Labels.
        X_val, y_val : array-like, default=None
            Validation data, one half to score units on and one half to choose
            the iteration on. By default a stratified `validation_fraction` of X.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights in the loss and in the scores.

        Returns
        -------
        self : PrunedMLPClassifier
        """
        return self._fit(X, y, X_val, y_val, sample_weight)

    @property
    def net_(self):
        """The pruned network as a skorch net."""
        check_is_fitted(self)
        # Made when first asked for: it takes longer than pruning a small network.
        if self._net is None:
            self._net = self._make_net(
                self.network_,
                self._training_settings(),
                optimizer=self._model.optimizer,
                loss_curve=self._model.loss_curve,
            )
        return self._net

    def _split(self, X, y, X_val, y_val, sample_weight):
        split_random, training_random, scoring_random = spawn_random_states(
            check_random_state(self.random_state), 3
        )
        samples = self._check_samples(X, y, sample_weight)
        validation = self._check_validation(X_val, y_val)
        data = split_samples(samples, validation, self.validation_fraction, split_random)
        return self._weigh_classes(data, self.classes_), training_random, scoring_random

    def _train(self, data, random_state, network_only):
        return self._train_dense(data, random_state), self.n_iter_, None

    def _keeps_arrays(self):
        return self.callbacks is None

    def _dense_widths(self):
        return tuple(np.atleast_1d(self.hidden_layer_sizes).tolist())

    def _check_parameters(self) -> None:
        self._validate_params()
        widths = np.atleast_1d(np.array(self.hidden_layer_sizes, dtype=object))
        whole = [
            isinstance(width, Integral) and not isinstance(width, bool) and int(width) >= 1
            for width in widths
        ]
        if widths.ndim != 1 or not whole or not all(whole):
            raise InvalidParameterError(
                "hidden_layer_sizes must be one or more whole numbers of at least 1, got "
                f"{self.hidden_layer_sizes!r}."
            )
        if self.device != "cpu":
            from ..training._skorch_net import (
                check_device,
            )  # imports torch, which the CPU does without

            check_device(self.device)

    def _check_samples(self, X, y, sample_weight) -> Samples:
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32))
        check_classification_targets(y)
        samples = make_samples(X, y, sample_weight)
        self.classes_, codes = np.unique(samples.y, return_inverse=True)
        return replace(samples, y=codes)

    def _train_dense(self, data: PruningData, random_state: np.random.RandomState):
        """Train `n_restarts` networks side by side; return the best on the scoring samples.

        The pruning that follows, here or in CAPoZPruner, takes the network from there.
        """
        settings = self._training_settings()
        models: list = []
        for generator in spawn_random_states(random_state, self.n_restarts):
            network = initial_network(
                data.train.X.shape[1],
                np.atleast_1d(self.hidden_layer_sizes).tolist(),
                len(self.classes_),
                self.activation,
                generator,
                data.train.X.dtype,
            )
            if self.callbacks is None:
                models.append(DenseModel(network, None, settings, self.device, generator))
            else:
                net = self._make_net(network, settings)
                models.append(networks.SkorchModel(net, settings, generator))
        trained = type(models[0]).train_together(models, [data] * len(models))
        accuracies = [accuracy(model, data.score) for model, _ in trained]
        model, self.n_iter_ = trained[int(np.argmax(accuracies))]
        self.loss_curve_ = list(model.loss_curve)
        return model

    def _training_settings(self) -> TrainingSettings:
        return TrainingSettings(
            solver=self.solver,
            alpha=self.alpha,
            batch_size=self.batch_size,
            learning_rate_init=self.learning_rate_init,
            max_iter=self.max_iter,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            early_stopping=self.early_stopping,
            dropout=self.dropout,
        )

    def _as_model(self, random_state: np.random.RandomState):
        """View the fitted network as a prunable model."""
        settings = self._training_settings()
        if self._model is None:
            return networks.SkorchModel(self._net, settings, random_state)
        return replace(self._model, settings=settings, random_state=random_state)

    def _make_net(self, network: DenseNetwork, settings: TrainingSettings, **trained):
        callbacks = deepcopy(self.callbacks)
        return networks.net_from_training(
            network, settings, callbacks=callbacks, device=self.device, **trained
        )

    def _store_model(self, model, fitted=None) -> None:
        """Keep a network as arrays and as the skorch net that the user sees."""
        if not isinstance(model, DenseModel):
            self._model, self._net = None, model.net
            self.network_ = networks.network_from_module(model.net.module_)
            # So that a clone of the net has the pruned widths too.
            self._net.module__hidden_layer_sizes = self.network_.widths
        else:
            # Without what only the pruning loop needed.
            self._model, self._net = replace(model, teacher=None), None
            self.network_ = model.network
        self._predictor = Predictor(self.network_)

    def _weigh_classes(self, data: PruningData, classes: np.ndarray) -> PruningData:
        """Fold `class_weight` into the weights of the training samples."""
        if self.class_weight is None:
            return data
        samples = data.train
        present = np.unique(samples.y)
        weight = np.ones(len(classes))
        weight[present] = compute_class_weight(
            self.class_weight, classes=classes[present], y=classes[samples.y]
        )
        train = replace(samples, weight=samples.weight * weight[samples.y])
        return replace(data, train=train)
