"""CAPoZPruner: prunes the network of another estimator."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_memory, validate_data

from .._sklearn import HasMethods
from .._validation import PRUNING_CONSTRAINTS, encode_labels
from ..exceptions import UnsupportedNetworkError
from ..networks._predictor import Predictor
from ..training._samples import make_samples, split_samples
from ._adapters import check_columns, find_adapter
from ._convert import as_dense_network
from ._prediction import NetworkPredictionMixin
from ._results import PruningResultsMixin, spawn_random_states

__all__ = ["CAPoZPruner"]


class CAPoZPruner(
    PruningResultsMixin, NetworkPredictionMixin, MetaEstimatorMixin, ClassifierMixin, BaseEstimator
):
    """Meta-estimator that trains a network classifier and removes its redundant units.

    Parameters
    ----------
    estimator : MLPClassifier, skorch.NeuralNetClassifier or PrunedMLPClassifier
        What to train and prune. A skorch net's module is a chain of Linear,
        activation, Dropout and BatchNorm1d layers; its `criterion` is
        CrossEntropyLoss where that ends in a Linear, and may be skorch's default,
        NLLLoss, only where a Softmax follows. One that is trained already comes
        in a :class:`sklearn.frozen.FrozenEstimator`, and stays as it was.
    criterion : str or Criterion, default="c-apoz"
        What scores the units, as in :class:`PrunedMLPClassifier`.
    threshold : str or ThresholdRule, default="mean+std"
        What turns scores into units that go.
    n_iterations : int, default=5
        Iterations of pruning at most.
    schedule : str or Schedule, default="multi-pass"
        When to score, cut and retrain.
    keep : {"last", "best", "smallest"}, default="last"
        Which iteration's network to keep.
    tolerance : float, default=0.0
        Accuracy (0..1) that `keep="smallest"` may give up.
    min_units : int, default=1
        Units that stay in every hidden layer.
    validation_fraction : float, default=0.2
        Share of the samples set aside to score units and to choose the iteration.
    retrain_max_iter : int, default=100
        Epochs of retraining at most, after each cut.
    compensation : {None, "bias", "least-squares"}, default=None
        How the next layer makes up for a unit that goes.
    distillation : float or None, default=None
        Weight in (0, 1] of the dense network's softened outputs in retraining.
    temperature : float, default=2.0
        Softening of those outputs.
    retrain_learning_rate : {"constant", "cosine"}, default="constant"
        Whether it falls to zero over `retrain_max_iter` epochs.
    memory : str, joblib.Memory or None, default=None
        Where trained networks and finished iterations are kept, so that a grid
        search trains each dense network once and walks each path once.
    verbose : bool or int, default=False
        Show a progress bar.
    random_state : int, RandomState instance or None, default=None
        The split, retraining, and the estimator where it has no seed of its own.

    Attributes
    ----------
    estimator_ : estimator
        The pruned one, of the same class as `estimator`: an MLPClassifier has
        smaller `coefs_` and needs this package no longer. It knows the names of
        the features, where X had any, unless it is a skorch net.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X has string column names.
    history_, support_, importances_, compression_rate_, best_iteration_, criterion_
        As in :class:`PrunedMLPClassifier`.

    Raises
    ------
    UnsupportedNetworkError
        If the estimator or its module is of no kind that can be pruned, or the
        module's end does not suit NLLLoss; before any training.

    See Also
    --------
    PrunedMLPClassifier : The same in one estimator, and faster.

    Notes
    -----
    An MLPClassifier is retrained by this package's engine, which gives
    scikit-learn's own results: by "sgd" if that has trained it, else by "adam",
    with the moments of the units that stay. A skorch net is retrained in its
    own loop.

    An interrupt (Ctrl-C) during pruning does not raise: as MLPClassifier does,
    `fit` warns and keeps what it has, here the iterations that are done. In
    the first training it does what it does in the estimator's own: MLPClassifier
    warns and stops there, and pruning goes on with the weights so far. A skorch
    net takes it as the end of the training at hand, first or later, and pruning
    goes on.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.neural_network import MLPClassifier
    >>> from sklearn_capoz import CAPoZPruner
    >>> X, y = make_classification(n_samples=300, random_state=0)
    >>> dense = MLPClassifier((10,), early_stopping=True, random_state=0)
    >>> pruner = CAPoZPruner(dense, n_iterations=2, random_state=0).fit(X, y)
    >>> len(pruner.estimator_.intercepts_[0]) < 10
    True
    """

    _parameter_constraints = {
        "estimator": "no_validation",  # `find_adapter` says more
        **PRUNING_CONSTRAINTS,
        "memory": [str, HasMethods("cache"), None],
    }

    def __init__(
        self,
        estimator,
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
        memory=None,
        verbose=False,
        random_state=None,
    ):
        self.estimator = estimator
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
        self.memory = memory
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X, y, X_val=None, y_val=None, sample_weight=None):
        """Train a clone of the estimator, unless it is frozen, and prune it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; a skorch module is brought to their dtype, float32 or float64.
        y : array-like of shape (n_samples,)
            Labels.
        X_val, y_val : array-like, default=None
            Validation data, one half to score units on and one half to choose
            the iteration on. By default a stratified `validation_fraction` of X.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights in the loss and in the scores.

        Returns
        -------
        self : CAPoZPruner
        """
        return self._fit(X, y, X_val, y_val, sample_weight)

    def _prepare(self, *args, **kwargs):
        job, fitted = super()._prepare(*args, **kwargs)
        memory = None if self.memory is None else check_memory(self.memory)
        return replace(job, memory=memory), fitted

    def _check_parameters(self):
        self._validate_params()

    def _dense_widths(self):
        adapter, estimator, _ = find_adapter(self.estimator)
        return adapter.widths(estimator)

    def _keeps_arrays(self):
        adapter, estimator, _ = find_adapter(self.estimator)
        return adapter.keeps_arrays(estimator)

    def _check_columns(self, X) -> None:
        """Raise where X has other columns than a frozen estimator was trained with."""
        adapter, estimator, frozen = find_adapter(self.estimator)
        if frozen:
            check_columns(estimator, X, adapter.n_features(estimator))

    def _split(self, X, y, X_val, y_val, sample_weight):
        adapter, estimator, frozen = find_adapter(self.estimator)
        split_random, training_random, scoring_random = spawn_random_states(
            check_random_state(self.random_state), 3
        )
        checked, y = validate_data(self, X, y, dtype=(np.float64, np.float32))
        self._check_columns(X)
        check_classification_targets(y)
        samples = make_samples(checked, y, sample_weight)
        self.classes_ = adapter.classes(estimator) if frozen else np.unique(samples.y)
        samples = replace(samples, y=encode_labels(samples.y, self.classes_, "y"))
        validation = self._check_validation(X_val, y_val)
        data = split_samples(samples, validation, self.validation_fraction, split_random)
        data = adapter.weigh(estimator, data, self.classes_)
        return data, training_random, scoring_random

    def _train(self, data, random_state, network_only):
        adapter, estimator, frozen = find_adapter(self.estimator)
        if frozen:
            fitted = deepcopy(estimator)
        elif network_only and self.memory is None and adapter.has_short_cut(estimator):
            return *adapter.train_network(estimator, data, self.classes_, random_state), None
        else:
            fitted, random_state = check_memory(self.memory).cache(_fit)(
                adapter, estimator, data, self.classes_, random_state
            )
        return adapter.model(fitted, random_state), adapter.n_epochs(fitted), fitted

    def _store_model(self, model, fitted) -> None:
        adapter = find_adapter(fitted)[0]
        self.estimator_ = adapter.with_model(fitted, model)
        if hasattr(self, "feature_names_in_"):
            adapter.name_features(self.estimator_, self.feature_names_in_)
        self._predictor = self._make_predictor()

    def _make_predictor(self):
        """Compile the pruned network, or run it as it is where an activation has no such form."""
        try:
            return Predictor(as_dense_network(self.estimator_))
        except UnsupportedNetworkError:
            from ..pruning._skorch_model import SkorchPredictor

            return SkorchPredictor(self.estimator_)


def _fit(adapter, estimator, data, classes, random_state):
    """Train the dense network; a cache must know what became of the generator, too."""
    return adapter.fit(estimator, data, classes, random_state), random_state
