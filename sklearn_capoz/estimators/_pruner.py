"""CAPoZPruner: prunes the network of another estimator."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils.validation import check_memory

from .._sklearn import HasMethods
from .._validation import PRUNING_CONSTRAINTS
from ..exceptions import UnsupportedNetworkError
from ..networks import DenseNetwork
from ..networks._predictor import Predictor
from ..pruning import PrunableModel
from ..pruning._model import copy_generator
from ..pruning._plan import first_epoch
from ..teachers import check_teacher
from ._check_inputs import has_several
from ._fitting import (
    Dense,
    InnerPlan,
    choose,
    classroom,
    learn,
    learnt_of_the_path,
    prune,
    train,
    warn_of_whole_layers,
)
from ._kept import KeptNetworkMixin, read_only
from ._plan_checks import check_dense_plan, check_epochs, dense_iterations, make_plan
from ._register import Inner, check_columns, find_adapter, find_inner
from ._split import Split, split

__all__ = ["CAPoZPruner"]


class CAPoZPruner(KeptNetworkMixin, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Meta-estimator that trains a network classifier and removes its redundant units.

    Parameters
    ----------
    estimator : MLPClassifier, skorch.NeuralNetClassifier, PrunedMLPClassifier or another
        What to train and prune. A skorch net's module is any whose units can be
        followed: Linear layers, convolutions, branches that meet, layers that run
        twice. Its `criterion` is CrossEntropyLoss where it ends in scores, and may be
        skorch's default, NLLLoss, only where it ends in a Softmax. One that is
        trained already comes in a :class:`sklearn.frozen.FrozenEstimator`, and stays
        as it was. Another kind needs an adapter: see `sklearn_capoz.estimators.register_adapter`.
    criterion : str or Criterion, default="c-apoz"
        What scores the units, as in :class:`PrunedMLPClassifier`.
    threshold : str or ThresholdRule, default="mean+std"
        What turns scores into units that go.
    n_iterations : int, default=5
        Iterations of pruning at most.
    schedule : str or Schedule, default="multi-pass"
        When to score, cut and retrain.
    granularity : {"unit", "connection"}, default="unit"
        What goes: hidden units and channels, or single weights of any layer.
    keep : {"best", "smallest", "last"}, default="best"
        Which iteration's network to keep; "best" and "smallest" then train it on
        all samples, as in :class:`PrunedMLPClassifier`.
    tolerance : float, default=0.0
        Accuracy (0..1) that `keep="smallest"` may give up.
    min_units : int, default=1
        Units that stay in every hidden layer, and inputs; or connections in every layer.
    prune_inputs : bool, default=False
        Whether the network's inputs are units too, as in :class:`PrunedMLPClassifier`. Not those of
        a skorch net.
    validation_fraction : float, default=0.2
        Share of the samples set aside to score units and to choose the iteration.
    retrain_max_iter : int, default=100
        Epochs of retraining at most, after each cut.
    compensation : {None, "bias", "least-squares"}, default=None
        How the next layer makes up for a unit that goes.
    distillation : float or None, default=None
        Weight in (0, 1] of a teacher's softened outputs in retraining.
    teacher : str, Teacher, fitted classifier or None, default=None
        Whose outputs, as in :class:`PrunedMLPClassifier`; the first training is the
        estimator's own, and nobody's lesson.
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
        the features, where X had any, unless it is a skorch net. Each time it is
        asked for it is a copy: `partial_fit` moves that copy and not the pruner. Where
        inputs are pruned it takes `X[:, pruner.get_support()]`.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X has string column names.
    history_, support_, importances_, compression_rate_, best_iteration_, criterion_
        As in :class:`PrunedMLPClassifier`.
    input_support_, input_importances_
        With `prune_inputs`, as there.

    Raises
    ------
    UnsupportedNetworkError
        If the estimator or its module is of no kind that can be pruned, or the
        module's end does not suit NLLLoss; before any training, and with the name of the layer.

    See Also
    --------
    PrunedMLPClassifier : The same in one estimator, and faster.

    Notes
    -----
    An MLPClassifier is retrained by this package's engine, which gives
    scikit-learn's own results: by "sgd" if that has trained it, else by "adam",
    with the moments of the units that stay. A skorch net is retrained in its
    own loop.

    Of connections, zeros stay zero in all that this class trains. Who trains `estimator_` further
    sees to it himself: a skorch net by :class:`sklearn_capoz.training.ZerosStay` among its
    callbacks; MLPClassifier has no such thing.

    An interrupt (Ctrl-C) during pruning does not raise: as MLPClassifier does,
    `fit` warns and keeps what it has, here the iterations that are done. In
    the first training it does what it does in the estimator's own: MLPClassifier
    warns and stops there, and pruning goes on with the weights so far; of a
    skorch net KeyboardInterrupt is raised.

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
        "estimator": "no_validation",  # `find_inner` says more
        **PRUNING_CONSTRAINTS,
        "prune_inputs": ["boolean"],
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
        granularity="unit",
        keep="best",
        tolerance=0.0,
        min_units=1,
        prune_inputs=False,
        validation_fraction=0.2,
        retrain_max_iter=100,
        compensation=None,
        distillation=None,
        teacher=None,
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
        self.granularity = granularity
        self.keep = keep
        self.tolerance = tolerance
        self.min_units = min_units
        self.prune_inputs = prune_inputs
        self.validation_fraction = validation_fraction
        self.retrain_max_iter = retrain_max_iter
        self.compensation = compensation
        self.distillation = distillation
        self.teacher = teacher
        self.temperature = temperature
        self.retrain_learning_rate = retrain_learning_rate
        self.memory = memory
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X, y, X_val=None, y_val=None, sample_weight=None, groups=None):
        """Train a clone of the estimator, unless it is frozen, and prune it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; a skorch module without convolutions is brought to their dtype, float32 or
            float64. Of a skorch net samples have any number of axes, (n_samples, channels, height,
            width) for example; and X may be several arrays: a dict for a module with several
            arguments, a tuple for one whose argument is a list.
        y : array-like of shape (n_samples,)
            Labels.
        X_val, y_val : array-like, default=None
            Validation data, one half to score units on and one half to choose
            the iteration on. By default a stratified `validation_fraction` of X.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights in the loss and in the scores.
        groups : array-like of shape (n_samples,), default=None
            Samples of one group, such as the spectra of one rock, stay together:
            all are trained on, or scored on, or chosen on. Not used with `X_val`.

        Returns
        -------
        self : CAPoZPruner
        """
        plan = self._plan()
        samples = self._split(plan, X, y, X_val, y_val, sample_weight, groups)
        dense = self._train(plan, samples)
        records = prune(self, plan, samples, dense)
        return self._keep(plan, samples, dense, records)

    @property
    def estimator_(self):
        """The pruned estimator, a copy of its own."""
        kept = self._kept
        return find_adapter(kept).copy(kept)

    @property
    def _network(self) -> DenseNetwork:
        kept = self._kept
        return read_only(find_adapter(kept).network(kept))

    def _plan(self) -> InnerPlan:
        self._validate_params()
        memory = None if self.memory is None else check_memory(self.memory)
        inner = find_inner(self.estimator)
        is_arrays = inner.description.is_arrays
        teacher = check_teacher(self.teacher, self.distillation)
        device = getattr(inner.estimator, "device", "cpu")
        pruning = make_plan(self, inner.description.widths, is_arrays, teacher, device)
        return InnerPlan(pruning, is_arrays, teacher, inner, memory)

    def _split(
        self, plan: InnerPlan, X, y, X_val=None, y_val=None, sample_weight=None, groups=None
    ) -> Split:
        adapter, estimator = plan.inner.adapter, plan.inner.estimator
        known, n_features = plan.inner.description.classes, plan.inner.description.n_features
        given = X, y, X_val, y_val, sample_weight, groups
        found = split(self, *given, classes=known, allow_nd=adapter.allow_nd, teacher=plan.teacher)
        if plan.inner.is_frozen and not has_several(X) and np.ndim(X) < 3:
            check_columns(estimator, X, n_features)
        widths = plan.inner.description.widths
        if plan.is_arrays and widths is not None:
            check_dense_plan(self, plan.pruning, widths, found)
        return replace(found, data=adapter.weigh(estimator, found.data, found.classes))

    def _train(self, plan: InnerPlan, samples: Split, network_only: bool = False) -> Dense:
        """Train the dense network, or take the one that came.

        With `network_only` the estimator around it may be None, where that lets the
        network be trained sooner, to the same weights up to rounding.
        """
        adapter, estimator = plan.inner.adapter, plan.inner.estimator
        work = (estimator, samples.data, samples.classes, samples.training_random)
        untrained = partial(_untrained, plan.inner, samples)
        room = classroom(self, samples, untrained)
        if plan.teacher is not None and plan.teacher.trains_networks:
            untrained(np.random.RandomState(0))  # what cannot be had is said before any training
        # None is no place to look things up: check_memory makes of it one that calls.
        memory = check_memory(plan.memory)

        def first_training():
            if plan.inner.is_frozen:
                fitted, random_state = adapter.copy(estimator), samples.training_random
                adapter.show_inputs(fitted, samples.data.train.X)
            else:
                begun, pause = self._begin(plan, samples)
                if pause is not None:
                    return *memory.cache(_train_until)(adapter, *work, pause), None
                short = network_only and plan.memory is None and adapter.train_network(*work)
                if short:
                    return *short, None
                fitted, random_state = self._first_training(plan, samples, begun, work)
            n_epochs = adapter.describe(fitted).n_epochs
            model = adapter.model(fitted, random_state)
            if plan.inner.is_frozen:
                warn_of_whole_layers(plan, model)
            return model, n_epochs, fitted

        return train(self, plan, room, first_training)

    def _begin(self, plan: InnerPlan, samples: Split) -> tuple[PrunableModel | None, int | None]:
        """Return the network before its training, if it can be had, and where that first pauses.

        The plan is checked for it, before any training.
        """
        inner, widths = plan.inner, plan.inner.description.widths
        begun = inner.adapter.begin(
            inner.estimator, samples.data, samples.classes, samples.training_random
        )
        if begun is not None:
            iterations = plan.pruning.check(begun)
            if self.distillation is not None:  # raises where it cannot be taught
                begun.configured(replace(begun.settings, distillation=self.distillation), None)
            warn_of_whole_layers(plan, begun)
        elif widths is not None:
            iterations = dense_iterations(self, plan.pruning, widths, samples)
        else:
            return None, None
        check_epochs(self, iterations, inner.max_epochs)
        return begun, first_epoch(iterations)

    @staticmethod
    def _first_training(plan: InnerPlan, samples: Split, begun, work: tuple) -> tuple:
        """Return the trained estimator and the generator: from the memory, if there is one."""
        adapter, random_state = plan.inner.adapter, samples.training_random
        if plan.memory is not None:
            return plan.memory.cache(_fit)(adapter, *work)
        if begun is not None:
            fitted = adapter.train_begun(begun, samples.data, random_state)
            if fitted is not None:
                return fitted, random_state
        return _fit(adapter, *work)

    def _keep(
        self, plan: InnerPlan, samples: Split, dense: Dense, records, iteration: int | None = None
    ):
        """Set what is learnt; with the network of one iteration, or as `keep` says."""
        if iteration is None:
            iteration, model = choose(self, plan, samples, dense, records)
        else:
            model = records[iteration].model
        adapter, estimator = plan.inner.adapter, plan.inner.estimator
        if dense.fitted is None:
            random_state = copy_generator(samples.training_random)
            kept = adapter.finish(estimator, samples.data, samples.classes, random_state, model)
        else:
            kept = adapter.with_model(dense.fitted, model)
        learnt = learnt_of_the_path(plan, samples, records, iteration)
        support = learnt.get("input_support_")
        if "feature_names_in_" in samples.columns:
            names = samples.columns["feature_names_in_"]
            adapter.name_features(kept, names if support is None else names[support])
        predictor = _predictor(adapter, kept, support)
        return learn(self, learnt | {"_kept": kept, "_predictor": predictor})

    def __setstate__(self, state: dict) -> None:
        if "estimator_" in state:  # a file of version 0.1.0
            state["_kept"] = state.pop("estimator_")
        state.setdefault("granularity", "unit")  # as in files from before there was another
        if "_kept" in state:
            kept = state["_kept"]
            state["_predictor"] = _predictor(find_adapter(kept), kept, state.get("input_support_"))
        super().__setstate__(state)


def _untrained(inner: Inner, samples: Split, random_state: np.random.RandomState):
    """Make a network like the one to prune, with new weights."""
    new = clone(inner.estimator)
    if "random_state" in new.get_params(deep=False):
        new.set_params(random_state=None)  # a seed would give every network the same weights
    model = inner.adapter.untrained(new, samples.data, samples.classes, random_state)
    if model is None:
        raise UnsupportedNetworkError(
            f"Teachers that are networks like {type(new).__name__} cannot be trained here, as its "
            "adapter has no `untrained`; let a fitted classifier teach, or teacher=None."
        )
    return model


def _predictor(adapter, kept, support: np.ndarray | None):
    """Return what predicts, of all columns of X: a kept estimator takes those that are left."""
    predictor = adapter.predictor(kept)
    return predictor if support is None else Predictor(predictor.network, support)


def _train_until(adapter, estimator, data, classes, random_state, epoch):
    """Train the network up to its first cut; a cache stores what a function gives."""
    return adapter.train_until(estimator, data, classes, random_state, epoch)


def _fit(adapter, estimator, data, classes, random_state):
    """Train the dense network; a cache must know what became of the generator, too."""
    return adapter.fit(estimator, data, classes, random_state), random_state
