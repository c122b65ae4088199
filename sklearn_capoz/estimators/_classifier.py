"""PrunedMLPClassifier: a multi-layer perceptron that prunes itself while it is fitted."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from numbers import Integral, Real

from sklearn.base import BaseEstimator, ClassifierMixin

from .._sklearn import Interval, StrOptions
from .._validation import PRUNING_CONSTRAINTS
from ..networks import ACTIVATIONS, DenseNetwork
from ..pruning import PrunableModel
from ..pruning._plan import first_epoch
from ..teachers import check_teacher
from ._class_weight import weigh_classes
from ._first_training import (
    as_skorch_model,
    check_widths,
    first_training,
    kept_network,
    net_of,
    network_of,
    untrained_model,
)
from ._fitting import (
    Dense,
    Plan,
    choose,
    classroom,
    first_training_of,
    learn,
    learnt_of_the_path,
    prune,
    train,
)
from ._kept import KeptNetworkMixin
from ._plan_checks import check_dense_plan, check_epochs, dense_iterations, make_plan
from ._split import Split, split

__all__ = ["PrunedMLPClassifier"]


class PrunedMLPClassifier(KeptNetworkMixin, ClassifierMixin, BaseEstimator):
    r"""Multi-layer perceptron classifier that removes its redundant units.

    The network is trained; then, iteration by iteration, each hidden unit is
    scored, the redundant ones are cut out, and the smaller network is trained
    further. The training parameters have the names and defaults of
    :class:`sklearn.neural_network.MLPClassifier`.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(100,)
        Units of each hidden layer before pruning.
    activation : {"relu", "tanh", "logistic", "identity"}, default="relu"
        C-APoZ and its kin count exact zeros, which only "relu" has.
    criterion : str or Criterion, default="c-apoz"
        What scores the units: a name of `sklearn_capoz.criteria.CRITERIA`, or an object of that
        module.
    threshold : str or ThresholdRule, default="mean+std"
        What turns scores into units that go: a name of `sklearn_capoz.thresholds.THRESHOLDS`, or an
        object of that module.
    n_iterations : int, default=5
        Iterations of pruning at most; 0 is a plain multi-layer perceptron.
    schedule : str or Schedule, default="multi-pass"
        When to score, cut and retrain: a name of `sklearn_capoz.schedules.SCHEDULES`, or an object
        of that module.
    granularity : {"unit", "connection"}, default="unit"
        What goes: hidden units, or single weights, by a criterion that has a value per weight. A
        weight that is zero stays so in all training that follows.
    keep : {"best", "smallest", "last"}, default="best"
        Which iteration's network to keep: the most accurate, the smallest within `tolerance` of the
        most accurate, or, as in the paper, the last. The first two then train it on all samples,
        see Notes.
    tolerance : float, default=0.0
        Accuracy (0..1) that `keep="smallest"` may give up.
    min_units : int, default=1
        Units that stay in every hidden layer, and inputs; or connections in every layer.
    prune_inputs : bool, default=False
        Whether the network's inputs are units too: scored by the same criterion, cut by the same
        rule and schedule, for which they are the first group. X keeps its columns, of which the
        network then takes those of `get_support`. Criteria that count zeros need inputs that are
        zero now and then.
    validation_fraction : float, default=0.2
        Share of the samples set aside, half of it to score units on and half to
        choose the iteration on; not used when `X_val` is given.
    retrain_max_iter : int, default=100
        Epochs of retraining at most, after each cut; 0 prunes without retraining. A cut in the
        middle of the first training (`Gradual` with `epochs`) is followed by none.
    compensation : {None, "bias", "least-squares"}, default=None
        How the next layer makes up for a unit that goes: not at all, by its mean in the bias, or by
        a least-squares refit on the scoring samples.
    distillation : float or None, default=None
        Weight in (0, 1] of a teacher's softened outputs in the loss of retraining.
    teacher : str, Teacher, fitted classifier or None, default=None
        Whose outputs: None for the unpruned network's own, a name of
        `sklearn_capoz.teachers.TEACHERS` or an object of that module, or any fitted
        classifier with `predict_proba` for the same features and classes, which then
        teaches the first training as well. In a
        :class:`sklearn.frozen.FrozenEstimator` it survives `clone`, as in a grid search.
        A pickled fitted model leaves it out.
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
        With a list, even an empty one, skorch's own loop trains. It is slower and draws another
        order of minibatches, so that results differ from those of None by more than rounding,
        unless a batch holds all samples.
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
        The pruned network as arrays, which cannot be written to. Where inputs are pruned it takes
        `X[:, model.get_support()]`, and so does `net_`.
    net_ : skorch.NeuralNetClassifier
        The pruned network as a skorch net of its own, made anew each time it is asked for. To
        train further, keep it: `net = model.net_; net.partial_fit(X, codes)` moves `net` and
        not the model, whose predictions stay those of `network_`.
    history_ : DataFrame
        A row per iteration, 0 is the dense network: units, parameters and bytes and their ratios to
        the dense network's; per hidden layer i `n_units_i`, `n_pruned_i` and `threshold_i`, the
        rule's threshold on this row's scores, beyond which units go in the next iteration (NaN
        where it counts units or the schedule names the widths), and with `prune_inputs` `n_inputs`,
        `n_pruned_inputs` and `threshold_inputs`; validation accuracy before and after retraining
        (with `schedule="iterative"`, around the iteration's last one); epochs; seconds. With
        `granularity="connection"` also `n_connections`, `sparsity` (the share of weights that are
        zero) and, per layer, `n_connections_i`; parameters and bytes are what a file then holds.
    support_ : list of ndarray of bool
        Per hidden layer, which of the original units remain; of connections, per layer and of the
        shape of its weights (torch's, with `callbacks`), which of them are not zero.
    importances_ : list of list of ndarray
        `importances_[iteration][layer]`, the scores of the units alive then; or of the
        connections, in the order of the layer's weights.
    input_support_ : ndarray of shape (n_features_in_,), bool
        With `prune_inputs`, which columns of X the network takes.
    input_importances_ : list of ndarray
        With `prune_inputs`, per iteration the scores of the inputs alive then.
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
    By default the most accurate iteration is kept and its network then trained on all samples,
    those that were set aside included, for as many epochs as the first training took. (Not where
    `X_val` is given, which is never trained on, and not with `retrain_max_iter=0`.) Over the six
    small data sets that it was chosen on it lost nothing in the mean against MLPClassifier's own
    defaults, where keeping the last loses three points (`python -m benchmarks.defaults` has two
    others): a small network gains more from the fifth that was set aside than it loses by being
    pruned. `history_` tells of the iterations before that last training.
    The paper's rule, the last iteration's network as the loop leaves it, is `keep="last"`.

    An interrupt (Ctrl-C) during pruning does not raise: as
    :class:`sklearn.neural_network.MLPClassifier` does, `fit` warns and keeps what it has,
    here the iterations that are done. One during the first training raises KeyboardInterrupt.

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
        "prune_inputs": ["boolean"],
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

    #: The network that is kept, with what its training needs to go on.
    _kept: PrunableModel
    _UNLISTED = frozenset({"net_"})

    def __init__(
        self, hidden_layer_sizes=(100,), activation="relu", *,
        criterion="c-apoz", threshold="mean+std", n_iterations=5, schedule="multi-pass",
        granularity="unit", keep="best", tolerance=0.0, min_units=1, prune_inputs=False,
        validation_fraction=0.2, retrain_max_iter=100, compensation=None,
        distillation=None, teacher=None, temperature=2.0,
        retrain_learning_rate="constant", solver="adam", alpha=0.0001, batch_size="auto",
        learning_rate_init=0.001, max_iter=200, early_stopping=False, n_iter_no_change=10,
        tol=1e-4, dropout=0.0, class_weight=None, n_restarts=1,
        callbacks=None, device="cpu", verbose=False, random_state=None,
    ):  # fmt: skip
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
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

    def fit(self, X, y, X_val=None, y_val=None, sample_weight=None, groups=None):
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
        groups : array-like of shape (n_samples,), default=None
            Samples of one group, such as the spectra of one rock, stay together:
            all are trained on, or scored on, or chosen on. Not used with `X_val`.

        Returns
        -------
        self : PrunedMLPClassifier
        """
        plan = self._plan()
        samples = self._split(plan, X, y, X_val, y_val, sample_weight, groups)
        dense = self._train(plan, samples)
        records = prune(self, plan, samples, dense)
        return self._keep(plan, samples, dense, records)

    @property
    def network_(self) -> DenseNetwork:
        """The pruned network as arrays."""
        return self._network

    @property
    def net_(self):
        """The pruned network as a skorch net of its own."""
        return net_of(self, self._kept)

    @property
    def _network(self) -> DenseNetwork:
        return network_of(self._kept)

    def _plan(self) -> Plan:
        self._validate_params()
        widths = check_widths(self.hidden_layer_sizes)
        if self.device != "cpu":
            from ..training._skorch_net import check_device  # imports torch: the CPU does without

            check_device(self.device)
        is_arrays = self.callbacks is None
        teacher = check_teacher(self.teacher, self.distillation)
        pruning = make_plan(self, widths, is_arrays, teacher, self.device)
        return Plan(pruning, is_arrays, teacher)

    def _split(
        self, plan: Plan, X, y, X_val=None, y_val=None, sample_weight=None, groups=None
    ) -> Split:
        given = X, y, X_val, y_val, sample_weight, groups
        found = split(self, *given, teacher=plan.teacher)
        widths = check_widths(self.hidden_layer_sizes)
        check_dense_plan(self, plan.pruning, widths, found)
        return replace(found, data=weigh_classes(found.data, found.classes, self.class_weight))

    def _train(self, plan: Plan, samples: Split, network_only: bool = False) -> Dense:
        data, n_classes = samples.data, len(samples.classes)
        room = classroom(self, samples, partial(untrained_model, self, data, n_classes))
        widths = check_widths(self.hidden_layer_sizes)
        iterations = dense_iterations(self, plan.pruning, widths, samples)
        check_epochs(self, iterations, self.max_iter)
        pause = first_epoch(iterations)

        def trainer():
            def prepare(models):
                return models if plan.teacher is None else plan.teacher.before(models, room)

            given = self, data, n_classes, samples.training_random
            return *first_training(*given, prepare=prepare, pause_at=pause), None

        return train(self, plan, room, trainer)

    def _keep(
        self, plan: Plan, samples: Split, dense: Dense, records, iteration: int | None = None
    ):
        """Set what is learnt; with the network of one iteration, or as `keep` says."""
        if iteration is None:
            iteration, model = choose(self, plan, samples, dense, records)
        else:
            model = records[iteration].model
        n_epochs, losses = first_training_of(plan, dense, records)
        return learn(
            self,
            learnt_of_the_path(plan, samples, records, iteration)
            | {"n_iter_": n_epochs, "loss_curve_": losses}
            | kept_network(model),
        )

    def __setstate__(self, state: dict) -> None:
        if "_model" in state:  # a file of version 0.1.0
            state["_kept"] = state.pop("_model") or as_skorch_model(state["_net"])
            for name in ("_net", "network_", "_predictor"):
                state.pop(name, None)
        state.setdefault("granularity", "unit")  # as in files from before there was another
        if "_kept" in state:
            state |= kept_network(state["_kept"])
        super().__setstate__(state)
