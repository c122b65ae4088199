"""PrunedCNNClassifier: convolutional networks over spectra and patches, trained and pruned."""

from __future__ import annotations

import warnings
from numbers import Integral, Real

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from .._fitting import all_or_nothing
from .._sklearn import HasMethods, Interval, StrOptions, check_sample_weight
from .._validation import PRUNING_CONSTRAINTS, both_or_none, check_labels
from ..datasets import ScenePixels
from ..teachers import check_teacher, without_teacher
from ..teachers._fitted import FittedTeacher, OfTheseSamples
from ._cnn_inputs import (
    batches,
    check_validation,
    check_X,
    fitted_bands,
    middle,
    usable,
)
from ._cnn_net import make_net, network_samples
from ._plan_checks import check_engine
from ._pruner import CAPoZPruner

__all__ = ["PrunedCNNClassifier"]

#: What the estimator learns by the pruner inside.
LEARNT = (
    "history_",
    "importances_",
    "support_",
    "best_iteration_",
    "compression_rate_",
    "criterion_",
)


class PrunedCNNClassifier(ClassifierMixin, BaseEstimator):
    """Convolutional network over spectra or patches that removes its redundant channels.

    It joins scikit-learn's steps for the bands, a network of `sklearn_capoz.networks` in skorch's
    training loop, and the pruning of :class:`CAPoZPruner`. Patches are gathered batch by batch from
    the one scene; networks of patches map scenes in one sweep, see `predict_scene`.

    Parameters
    ----------
    kind : {"1d", "2d", "3d"} or type, default="1d"
        Network over the spectrum (`SpectralCNN1D`), over the patch (`SpatialCNN2D`), or over both
        (`SpectralSpatialCNN3D`); or a torch module class of patches whose constructor takes
        `n_bands`, `n_classes` and `patch_size`.
    patch_size : int, default=9
        Rows and columns of a patch, an odd number; "1d" does not use it.
    bands : transformer or None, default=None
        What is done to each spectrum before, fitted on the training pixels. None standardises the
        bands, and for patches takes their first 40 principal components, whitened.
    network_params : dict or None, default=None
        More parameters of the network's constructor, such as ``{"channels": (20, 40)}``, or
        ``{"channels": 20}`` for "1d".
    criterion : str or Criterion, default="reconstruction"
        What scores the channels, as in :class:`PrunedMLPClassifier`. Counting zeros says little of
        channels.
    threshold : str or ThresholdRule, default="mean+std"
        What turns scores into channels that go.
    n_iterations : int, default=5
        Iterations of pruning at most; 0 leaves the network dense.
    schedule : str or Schedule, default="multi-pass"
        When to score, cut and retrain.
    granularity : {"unit", "connection"}, default="unit"
        What goes: channels and units, or single weights.
    keep : {"best", "smallest", "last"}, default="best"
        Which iteration's network to keep, as in :class:`PrunedMLPClassifier`.
    tolerance : float, default=0.0
        Accuracy (0..1) that `keep="smallest"` may give up.
    min_units : int, default=1
        Channels or units that stay in every hidden layer.
    validation_fraction : float, default=0.2
        Share of the samples set aside to score channels and to choose the iteration. Drawn at
        random they lie inside of training patches: give `groups`.
    retrain_max_iter : int, default=6
        Epochs of retraining at most, after each cut.
    compensation : {"auto", None, "bias", "least-squares"}, default="auto"
        How the next layer makes up for a channel that goes. "auto" is "least-squares", and None
        where single weights go, for which nothing is made up.
    distillation : float or None, default=None
        Weight in (0, 1] of a teacher's softened outputs in retraining.
    teacher : {"ensemble", "born-again"}, Teacher, fitted classifier or None, default=None
        Whose outputs, as in :class:`PrunedMLPClassifier`; a fitted classifier is given the
        samples as `fit` is. The first training is without.
    temperature : float, default=2.0
        Softening of those outputs.
    retrain_learning_rate : {"constant", "cosine"}, default="constant"
        Whether it falls to zero over `retrain_max_iter` epochs.
    dtype : {"float32", "float64"}, default="float32"
        Precision of network and bands. Convolutions in float64 take up to eight times as long.
    mixed_precision : bool, default=False
        Train in bfloat16 where that is not too coarse, for processors that have it (AVX512_BF16 or
        AMX, recent GPUs). Weights, scores and predictions stay in float32.
    learning_rate_init : float, default=0.001
        Of Adam.
    batch_size : int, default=64
    max_iter : int, default=30
        Epochs of the first training.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, of the first training and of all retraining. "balanced"
        gains average accuracy where classes are rare, and may cost overall accuracy.
    device : str, default="cpu"
        Where torch trains.
    verbose : bool or int, default=False
        Show a progress bar.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    module_ : torch.nn.Module
        The pruned network, on the CPU, in evaluation mode; it takes what `bands_` gives.
    bands_ : transformer
    patch_size_ : int
        1 for a network of spectra.
    n_channels_ : int
        What `bands_` makes of a spectrum, and the network takes.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
        Bands.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X has string column names.
    dtype_ : str
        Precision of the network.
    n_iter_ : int
        Epochs of the first training.
    history_, support_, importances_, compression_rate_, best_iteration_, criterion_
        As in :class:`PrunedMLPClassifier`.

    Raises
    ------
    ValueError
        If X is not what `kind` takes, has other than `patch_size` rows, or nothing without NaN; if
        `patch_size` is even or larger than the scene; if torch finds no such device; if
        `mixed_precision` is asked for in float64.
    UnsupportedNetworkError
        If a network of the user's own cannot be pruned; before any training.

    Warns
    -----
    UserWarning
        If samples are left out, as their patches hold NaN; if `mixed_precision` is asked of a
        processor without bfloat16.

    See Also
    --------
    CAPoZPruner : Prunes any torch module in a skorch net.
    sklearn_capoz.datasets.sample_pixels : Pixels to train and to test on that do not overlap.

    Examples
    --------
    >>> from sklearn_capoz import PrunedCNNClassifier
    >>> from sklearn_capoz.datasets import make_mineral_scene, sample_pixels
    >>> scene = make_mineral_scene((20, 20), minerals=["Alunite", "Calcite"], random_state=0)
    >>> X_train, X_test, y_train, y_test = sample_pixels(
    ...     scene.cube, scene.labels + 1, train_size=0.3, patch_size=5, random_state=0
    ... )
    >>> model = PrunedCNNClassifier(
    ...     "2d", patch_size=5, network_params={"channels": (8,), "hidden": 8}, n_iterations=1,
    ...     max_iter=5, random_state=0,
    ... )
    >>> model.fit(X_train, y_train).predict(X_test).shape == y_test.shape
    True
    """

    _parameter_constraints = {
        **PRUNING_CONSTRAINTS,
        "compensation": [*PRUNING_CONSTRAINTS["compensation"], StrOptions({"auto"})],
        "kind": [StrOptions({"1d", "2d", "3d"}), callable],
        "patch_size": [Interval(Integral, 3, None, closed="left")],
        "bands": [HasMethods(["fit", "transform"]), None],
        "network_params": [dict, None],
        "dtype": [StrOptions({"float32", "float64"})],
        "mixed_precision": ["boolean"],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "device": [str],
    }

    def __init__(
        self,
        kind="1d",
        *,
        patch_size=9,
        bands=None,
        network_params=None,
        criterion="reconstruction",
        threshold="mean+std",
        n_iterations=5,
        schedule="multi-pass",
        granularity="unit",
        keep="best",
        tolerance=0.0,
        min_units=1,
        validation_fraction=0.2,
        retrain_max_iter=6,
        compensation="auto",
        distillation=None,
        teacher=None,
        temperature=2.0,
        retrain_learning_rate="constant",
        dtype="float32",
        mixed_precision=False,
        learning_rate_init=0.001,
        batch_size=64,
        max_iter=30,
        class_weight=None,
        device="cpu",
        verbose=False,
        random_state=None,
    ):
        self.kind = kind
        self.patch_size = patch_size
        self.bands = bands
        self.network_params = network_params
        self.criterion = criterion
        self.threshold = threshold
        self.n_iterations = n_iterations
        self.schedule = schedule
        self.granularity = granularity
        self.keep = keep
        self.tolerance = tolerance
        self.min_units = min_units
        self.validation_fraction = validation_fraction
        self.retrain_max_iter = retrain_max_iter
        self.compensation = compensation
        self.distillation = distillation
        self.teacher = teacher
        self.temperature = temperature
        self.retrain_learning_rate = retrain_learning_rate
        self.dtype = dtype
        self.mixed_precision = mixed_precision
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    #: What to do where another estimator is asked for.
    _instead_of_pruner = (
        "prunes its network itself, by its own criterion, threshold and schedule, and GridSearchCV "
        "searches over these. CAPoZPruner, CAPoZPrunerCV, pruning_path and sensitivity_curve take "
        "a NeuralNetClassifier of such a module: SpectralCNN1D, SpatialCNN2D or "
        "SpectralSpatialCNN3D of sklearn_capoz.networks."
    )
    _instead_of_dense = (
        "holds a network of convolutions, and here only chains of dense layers are known, such as "
        "a PrunedMLPClassifier's. save_model and to_onnx write it in floating point; of kind '1d' "
        "quantize makes one in integers, which to_c writes."
    )

    @all_or_nothing
    def fit(self, X, y, X_val=None, y_val=None, sample_weight=None, groups=None):
        """Train the network and prune it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands) or (n_samples, n_bands, p, p), or ScenePixels
            Spectra for "1d", patches or pixels of a scene else; p is `patch_size`.
        y : array-like of shape (n_samples,)
            Labels.
        X_val, y_val : array-like, default=None
            Validation data of the same kind as X, one half to score channels on and one half to
            choose the iteration on; pixels are of the same scene. By default a stratified
            `validation_fraction` of X.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights in the loss and in the scores.
        groups : array-like of shape (n_samples,), default=None
            Samples of one group, such as the pixels of one field, stay together: all are trained
            on, or scored on, or chosen on. Not used with `X_val`.

        Returns
        -------
        self : PrunedCNNClassifier
        """
        self._validate_params()
        teacher = check_teacher(self.teacher, self.distillation)
        check_engine(teacher, has_engine=False)
        if self.mixed_precision:
            from ..training._mixed_precision import check_mixed_precision

            check_mixed_precision(self.dtype, self.device)
        size = 1 if self.kind == "1d" else self.patch_size
        X = check_X(self, X, size, self.dtype, reset=True)
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_consistent_length(X, y, groups)
        check_labels(y)
        check_classification_targets(y)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
        used = usable(X, size, sample_weight)
        has_validation = both_or_none(X_val=X_val, y_val=y_val)
        if has_validation:
            X_val, y_val = check_validation(self, X, X_val, y_val, size)
        if not used.all():
            X, y = X[used], y[used]
            sample_weight, groups = (
                None if part is None else np.asarray(part)[used] for part in (sample_weight, groups)
            )
        bands = fitted_bands(self, middle(X), y, sample_weight)
        samples = network_samples(self, bands, X)
        net = make_net(self, bands, X, samples, len(np.unique(y)))
        pruner = CAPoZPruner(net, **self._pruning_params())
        if isinstance(teacher, FittedTeacher):
            lessons = np.exp(teacher.look_at(X, np.unique(y)))
            pruner.set_params(teacher=OfTheseSamples(teacher.classifier, lessons))
        with warnings.catch_warnings():
            if isinstance(X, ScenePixels):  # where a pixel lies says nothing of its range
                warnings.filterwarnings("ignore", "X_val lies elsewhere")
            if has_validation:
                X_val = network_samples(self, bands, X_val)
            pruner.fit(samples, y, X_val, y_val, sample_weight=sample_weight, groups=groups)
        module = pruner.estimator_.module_
        # The scene has served its turn: what is kept takes patches from anywhere.
        self.module_ = (module.network if isinstance(X, ScenePixels) else module).cpu().eval()
        self.bands_, self.patch_size_ = bands, size
        self.n_channels_ = bands.transform(middle(X[:1])).shape[1]
        self.classes_, self.n_iter_ = pruner.classes_, self.max_iter
        for name in LEARNT:
            setattr(self, name, getattr(pruner, name))
        return self

    def predict(self, X):
        """Predict the label of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands) or (n_samples, n_bands, p, p), or ScenePixels

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        codes = self._logits(X).argmax(axis=1)
        return self.classes_.take(codes)

    def predict_proba(self, X):
        """Predict the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_bands) or (n_samples, n_bands, p, p), or ScenePixels

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        return softmax(self._logits(X), axis=1)

    def _logits(self, X) -> np.ndarray:
        import torch

        check_is_fitted(self)
        X = check_X(self, X, self.patch_size_, self.dtype_, reset=False)
        with torch.inference_mode():
            found = [
                self.module_(torch.from_numpy(batch)).numpy()
                for batch in batches(self.bands_, X, self.patch_size_, self.dtype_)
            ]
        # In float32 probabilities would not add up to 1.
        return np.concatenate(found).astype(np.float64)

    @property
    def dtype_(self) -> str:
        """Precision of the network that is there, whatever `dtype` says by now."""
        return str(next(self.module_.parameters()).dtype).removeprefix("torch.")

    def __getstate__(self):
        state = super().__getstate__()
        return without_teacher(state) if "module_" in state else state

    def _pruning_params(self) -> dict:
        """Return what the pruner inside takes of the parameters."""
        own = {name: getattr(self, name) for name in PRUNING_CONSTRAINTS}
        if self.compensation == "auto":
            own["compensation"] = "least-squares" if self.granularity == "unit" else None
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        return own | {"random_state": seed}
